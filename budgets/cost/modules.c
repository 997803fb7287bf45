/* SPDX-License-Identifier: MIT */
/* modules.c - MACs of each module, term by term. */
#include "budgets/cost/modules.h"

enum { VIEWS = 2 }; /* static and wrist camera */

/* Dimensions as factors of a product. */
static uint64_t u(int dimension)
{
    return (uint64_t)dimension;
}

uint64_t module_patches(const deer_config *c)
{
    uint64_t side = u(c->image_size / c->patch_size);

    return side * side;
}

bool module_has_cross(const deer_config *c, int layer)
{
    return (layer + 1) % c->cross_every == 0;
}

static uint64_t sum(const module_term *terms, int count)
{
    uint64_t macs = 0;

    for (int i = 0; i < count; i++)
        macs += terms[i].macs;
    return macs;
}

/* Scores q k^T or the weighted sum of v; inner is heads * head dimension. */
static uint64_t attention(uint64_t queries, uint64_t keys, uint64_t inner)
{
    return queries * keys * inner;
}

int module_vision_terms(const deer_config *c, module_term terms[MODULE_TERMS])
{
    uint64_t w = u(c->vision_width), n = module_patches(c), t = n + 1 /* class token */;
    uint64_t layers = u(c->vision_layers), p = u(c->patch_size);

    terms[0] = (module_term){"patch embedding", n * w * 3 * p * p};
    terms[1] = (module_term){"queries, keys, values", layers * t * 3 * w * w};
    terms[2] = (module_term){"attention scores", layers * attention(t, t, w)};
    terms[3] = (module_term){"weighted sum", layers * attention(t, t, w)};
    terms[4] = (module_term){"output projection", layers * t * w * w};
    terms[5] = (module_term){"MLP", layers * 2 * t * w * u(c->vision_mlp)};
    return 6;
}

int module_resampler_terms(const deer_config *c, module_term terms[MODULE_TERMS])
{
    uint64_t w = u(c->vision_width), l = u(c->resampler_latents), layers = u(c->resampler_layers);
    uint64_t keys = module_patches(c) + l; /* latents attend to themselves as well */
    uint64_t inner = u(c->resampler_heads) * u(c->resampler_head_dim);

    terms[0] = (module_term){"queries of the latents", layers * l * w * inner};
    terms[1] = (module_term){"keys, values of patches, latents", layers * keys * w * 2 * inner};
    terms[2] = (module_term){"attention scores", layers * attention(l, keys, inner)};
    terms[3] = (module_term){"weighted sum", layers * attention(l, keys, inner)};
    terms[4] = (module_term){"output projection", layers * l * inner * w};
    terms[5] = (module_term){"MLP", layers * 2 * l * w * u(c->resampler_mlp)};
    return 6;
}

int module_cross_terms(const deer_config *c, int tokens, module_term terms[MODULE_TERMS])
{
    uint64_t d = u(c->d_model), t = u(tokens), media = VIEWS * u(c->resampler_latents);
    uint64_t inner = u(c->cross_heads) * u(c->cross_head_dim);

    terms[0] = (module_term){"queries of the text", t * d * inner};
    terms[1] = (module_term){"keys, values of both images", media * u(c->vision_width) * 2 * inner};
    terms[2] = (module_term){"attention scores", attention(t, media, inner)};
    terms[3] = (module_term){"weighted sum", attention(t, media, inner)};
    terms[4] = (module_term){"output projection", t * inner * d};
    terms[5] = (module_term){"MLP", 2 * t * d * u(c->cross_mlp)};
    return 6;
}

int module_decoder_terms(const deer_config *c, int tokens, module_term terms[MODULE_TERMS])
{
    uint64_t d = u(c->d_model), t = u(tokens);

    terms[0] = (module_term){"queries, keys, values", t * 3 * d * d};
    terms[1] = (module_term){"attention scores (full square)", attention(t, t, d)};
    terms[2] = (module_term){"weighted sum (full square)", attention(t, t, d)};
    terms[3] = (module_term){"output projection", t * d * d};
    terms[4] = (module_term){"MLP", 2 * t * d * u(c->mlp)};
    return 5;
}

/* Width of what LSTM layer i reads. */
static uint64_t lstm_input(const deer_config *c, int layer)
{
    return layer ? u(c->lstm_hidden) : u(c->d_model);
}

/* Hidden layers of the pose or the gripper MLP and its output layer. */
static uint64_t head_mlp_macs(const deer_config *c, uint64_t outputs)
{
    uint64_t in = u(c->lstm_hidden), macs = 0;

    for (int i = 0; i < c->head_mlp_layers; i++) {
        macs += in * u(c->head_mlp[i]);
        in = u(c->head_mlp[i]);
    }
    return macs + in * outputs;
}

int module_head_terms(const deer_config *c, module_term terms[MODULE_TERMS])
{
    uint64_t input = 0;

    for (int i = 0; i < c->lstm_layers; i++)
        input += 4 * u(c->lstm_hidden) * lstm_input(c, i);
    terms[0] = (module_term){"LSTM, W_hh h (shared)", module_head_recurrent_macs(c)};
    terms[1] = (module_term){"LSTM, W_ih x", input};
    terms[2] = (module_term){"pose MLP", head_mlp_macs(c, DEER_POSE)};
    terms[3] = (module_term){"gripper MLP", head_mlp_macs(c, 1)};
    return 4;
}

uint64_t module_vision_macs(const deer_config *c)
{
    module_term terms[MODULE_TERMS];

    return sum(terms, module_vision_terms(c, terms));
}

uint64_t module_resampler_macs(const deer_config *c)
{
    module_term terms[MODULE_TERMS];

    return sum(terms, module_resampler_terms(c, terms));
}

uint64_t module_cross_macs(const deer_config *c, int tokens)
{
    module_term terms[MODULE_TERMS];

    return sum(terms, module_cross_terms(c, tokens, terms));
}

uint64_t module_decoder_macs(const deer_config *c, int tokens)
{
    module_term terms[MODULE_TERMS];

    return sum(terms, module_decoder_terms(c, tokens, terms));
}

uint64_t module_head_recurrent_macs(const deer_config *c)
{
    return u(c->lstm_layers) * 4 * u(c->lstm_hidden) * u(c->lstm_hidden);
}

uint64_t module_head_macs(const deer_config *c)
{
    module_term terms[MODULE_TERMS];

    return sum(terms, module_head_terms(c, terms));
}
