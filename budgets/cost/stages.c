/* SPDX-License-Identifier: MIT */
/* stages.c - the work of each stage of a step: arithmetic, bytes moved, products. */
#include "budgets/cost/stages.h"

#include "budgets/cost/modules.h"
#include "budgets/cost/weights.h"

enum { VIEWS = 2 }; /* static and wrist camera */

/* Dimensions as factors of a product. */
static uint64_t u(int dimension)
{
    return (uint64_t)dimension;
}

/* Work so far, activations in numbers. */
typedef struct {
    uint64_t macs, activations;
    int products;
} tally;

/* rows numbers of `in` values each through a linear layer [out, in]. */
static void linear(tally *t, uint64_t rows, uint64_t out, uint64_t in)
{
    t->macs += rows * out * in;
    t->activations += rows * (in + out);
    t->products++;
}

/* Scores and weighted sum, `times` over (one image after the other); inner is heads x head
 * dimension. */
static void attention(tally *t, uint64_t times, uint64_t queries, uint64_t keys, uint64_t inner)
{
    t->macs += times * 2 * queries * keys * inner;
    t->activations += times * (2 * queries + 2 * keys) * inner;
    t->products += 2;
}

static tally vision(const deer_config *c)
{
    uint64_t w = u(c->vision_width), p = u(c->patch_size), patches = module_patches(c);
    uint64_t rows = VIEWS * (patches + 1);
    tally t = {0};

    linear(&t, VIEWS * patches, w, 3 * p * p);
    for (int i = 0; i < c->vision_layers; i++) {
        linear(&t, rows, 3 * w, w);
        attention(&t, VIEWS, patches + 1, patches + 1, w);
        linear(&t, rows, w, w);
        linear(&t, rows, u(c->vision_mlp), w);
        linear(&t, rows, w, u(c->vision_mlp));
    }
    return t;
}

static tally resampler(const deer_config *c)
{
    uint64_t w = u(c->vision_width), latents = u(c->resampler_latents);
    uint64_t keys = module_patches(c) + latents;
    uint64_t inner = u(c->resampler_heads) * u(c->resampler_head_dim);
    tally t = {0};

    for (int i = 0; i < c->resampler_layers; i++) {
        linear(&t, VIEWS * latents, inner, w);
        linear(&t, VIEWS * keys, 2 * inner, w);
        attention(&t, VIEWS, latents, keys, inner);
        linear(&t, VIEWS * latents, w, inner);
        linear(&t, VIEWS * latents, u(c->resampler_mlp), w);
        linear(&t, VIEWS * latents, w, u(c->resampler_mlp));
    }
    return t;
}

static void decoder(tally *t, const deer_config *c, uint64_t tokens)
{
    uint64_t d = u(c->d_model);

    linear(t, tokens, 3 * d, d);
    attention(t, 1, tokens, tokens, d);
    linear(t, tokens, d, d);
    linear(t, tokens, u(c->mlp), d);
    linear(t, tokens, d, u(c->mlp));
}

static void cross(tally *t, const deer_config *c, uint64_t tokens)
{
    uint64_t d = u(c->d_model), media = VIEWS * u(c->resampler_latents);
    uint64_t inner = u(c->cross_heads) * u(c->cross_head_dim);

    linear(t, tokens, inner, d);
    linear(t, media, 2 * inner, u(c->vision_width));
    attention(t, 1, tokens, media, inner);
    linear(t, tokens, d, inner);
    linear(t, tokens, u(c->cross_mlp), d);
    linear(t, tokens, d, u(c->cross_mlp));
}

static tally head_recurrent(const deer_config *c)
{
    tally t = {0};

    for (int i = 0; i < c->lstm_layers; i++)
        linear(&t, 1, 4 * u(c->lstm_hidden), u(c->lstm_hidden));
    return t;
}

/* The features of `rows` exits. */
static tally head_evaluation(const deer_config *c, uint64_t rows)
{
    const uint64_t outputs[] = {DEER_POSE, 1};
    tally t = {0};

    for (int i = 0; i < c->lstm_layers; i++)
        linear(&t, rows, 4 * u(c->lstm_hidden), u(i ? c->lstm_hidden : c->d_model));
    for (int m = 0; m < 2; m++) {
        uint64_t in = u(c->lstm_hidden);

        for (int i = 0; i < c->head_mlp_layers; i++) {
            linear(&t, rows, u(c->head_mlp[i]), in);
            in = u(c->head_mlp[i]);
        }
        linear(&t, rows, outputs[m], in);
    }
    return t;
}

static deer_work work(tally t, uint64_t weight_bytes, weight_dtype dtype)
{
    return (deer_work){.macs = t.macs,
                       .weight_bytes = weight_bytes,
                       .activation_bytes = u(weight_forms[dtype].activation) * t.activations,
                       .products = t.products};
}

void deer_stages_of(const deer_config *c, int tokens, weight_dtype dtype, deer_stages *s)
{
    uint64_t cut = u(tokens < c->max_text ? tokens : c->max_text);
    uint64_t recurrent = weights_bytes(weights_head_recurrent(c), dtype);
    uint64_t head = weights_bytes(weights_head(c), dtype);
    uint64_t layer = weights_bytes(weights_decoder(c), dtype);
    tally without = {0}, with;

    decoder(&without, c, cut);
    with = without;
    cross(&with, c, cut);
    s->vision = work(vision(c), weights_bytes(weights_vision(c), dtype), dtype);
    s->resampler = work(resampler(c), weights_bytes(weights_resampler(c), dtype), dtype);
    s->layer_without_cross = work(without, layer, dtype);
    s->layer_with_cross = work(with, layer + weights_bytes(weights_cross(c), dtype), dtype);
    s->head_recurrent = work(head_recurrent(c), recurrent, dtype);
    s->head_first = work(head_evaluation(c, 2), head - recurrent, dtype);
    s->head_evaluation = work(head_evaluation(c, 1), head - recurrent, dtype);
}

const deer_work *deer_stages_layer(const deer_config *c, const deer_stages *s, int i)
{
    return module_has_cross(c, i) ? &s->layer_with_cross : &s->layer_without_cross;
}
