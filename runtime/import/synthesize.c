/* SPDX-License-Identifier: MIT */
/* synthesize.c - random models of given dimensions. */
#include "runtime/import/synthesize.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/config.h"

/* ---------------------------------------------------------------- tensors ------------------ */

/* All tensors of a configuration, in order of execution: docs/model-file.md. */
typedef struct {
    model_tensor *tensor;
    size_t count, room;
    bool failed;     /* out of memory */
    char prefix[96]; /* of the names that follow */
} listing;

static void add(listing *l, const char *name, int rank, const int64_t *shape)
{
    char *full = NULL;

    if (l->count == l->room) {
        size_t room = l->room ? 2 * l->room : 512;
        model_tensor *grown = realloc(l->tensor, room * sizeof *grown);

        l->failed |= !grown;
        l->tensor = grown ? grown : l->tensor;
        l->room = grown ? room : l->room;
    }
    if (l->failed || asprintf(&full, "%s%s", l->prefix, name) < 0) {
        l->failed = true;
        return;
    }
    l->tensor[l->count] = (model_tensor){full, rank, {0}};
    memcpy(l->tensor[l->count++].shape, shape, (size_t)rank * sizeof *shape);
}

static void listing_free(listing *l)
{
    for (size_t i = 0; i < l->count; i++)
        free((char *)(uintptr_t)l->tensor[i].name);
    free(l->tensor);
}

__attribute__((format(printf, 2, 3))) static void under(listing *l, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(l->prefix, sizeof l->prefix, format, args);
    va_end(args);
}

static void vector(listing *l, const char *name, int n)
{
    add(l, name, 1, (const int64_t[]){n});
}

static void matrix(listing *l, const char *name, int rows, int columns)
{
    add(l, name, 2, (const int64_t[]){rows, columns});
}

static void norm(listing *l, const char *name, int n, bool has_bias)
{
    char full[64];

    snprintf(full, sizeof full, "%s.weight", name);
    vector(l, full, n);
    snprintf(full, sizeof full, "%s.bias", name);
    if (has_bias)
        vector(l, full, n);
}

static void linear(listing *l, const char *name, int out, int in, bool has_bias)
{
    char full[64];

    snprintf(full, sizeof full, "%s.weight", name);
    matrix(l, full, out, in);
    snprintf(full, sizeof full, "%s.bias", name);
    if (has_bias)
        vector(l, full, out);
}

static void list_vision(listing *l, const deer_config *c)
{
    int w = c->vision_width, grid = c->image_size / c->patch_size;

    under(l, "vision_encoder.visual.");
    vector(l, "class_embedding", w);
    matrix(l, "positional_embedding", grid * grid + 1, w);
    add(l, "conv1.weight", 4, (const int64_t[]){w, 3, c->patch_size, c->patch_size});
    norm(l, "ln_pre", w, true);
    for (int i = 0; i < c->vision_layers; i++) {
        under(l, "vision_encoder.visual.transformer.resblocks.%d.", i);
        norm(l, "ln_1", w, true);
        matrix(l, "attn.in_proj_weight", 3 * w, w);
        vector(l, "attn.in_proj_bias", 3 * w);
        linear(l, "attn.out_proj", w, w, true);
        norm(l, "ln_2", w, true);
        linear(l, "mlp.c_fc", c->vision_mlp, w, true);
        linear(l, "mlp.c_proj", w, c->vision_mlp, true);
    }
}

static void list_resampler(listing *l, const deer_config *c)
{
    int w = c->vision_width, inner = c->resampler_heads * c->resampler_head_dim;

    under(l, "perceiver.");
    matrix(l, "latents", c->resampler_latents, w);
    norm(l, "norm", w, true);
    for (int i = 0; i < c->resampler_layers; i++) {
        under(l, "perceiver.layers.%d.", i);
        norm(l, "0.norm_media", w, true);
        norm(l, "0.norm_latents", w, true);
        linear(l, "0.to_q", inner, w, false);
        linear(l, "0.to_kv", 2 * inner, w, false);
        linear(l, "0.to_out", w, inner, false);
        norm(l, "1.0", w, true);
        linear(l, "1.1", c->resampler_mlp, w, false);
        linear(l, "1.3", w, c->resampler_mlp, false);
    }
}

static void list_lstm(listing *l, const deer_config *c, int i)
{
    bool plain = c->lstm == DEER_LSTM_PLAIN;
    int h = c->lstm_hidden, k = plain ? i : 0;
    char name[32];

    if (plain)
        under(l, "extra_exit.rnn.");
    else
        under(l, "extra_exit.rnn.layers.%d.", 3 * i);
    snprintf(name, sizeof name, "weight_ih_l%d", k);
    matrix(l, name, 4 * h, i ? h : c->d_model);
    snprintf(name, sizeof name, "weight_hh_l%d", k);
    matrix(l, name, 4 * h, h);
    snprintf(name, sizeof name, "bias_ih_l%d", k);
    vector(l, name, 4 * h);
    snprintf(name, sizeof name, "bias_hh_l%d", k);
    vector(l, name, 4 * h);
    under(l, "extra_exit.rnn.layers.");
    snprintf(name, sizeof name, "%d", 3 * i + 1);
    if (!plain)
        norm(l, name, h, true);
}

/* Linear, (LayerNorm,) ReLU, ..., Linear: the indices of a torch Sequential. */
static void list_mlp(listing *l, const deer_config *c, const char *part, int outputs)
{
    int in = c->lstm_hidden, at = 0;
    char name[16];

    under(l, "extra_exit.%s.mlp.", part);
    for (int i = 0; i <= c->head_mlp_layers; i++) {
        bool last = i == c->head_mlp_layers;
        int out = last ? outputs : c->head_mlp[i];

        snprintf(name, sizeof name, "%d", at++);
        linear(l, name, out, in, true);
        snprintf(name, sizeof name, "%d", at);
        if (!last && c->head_mlp_layernorm) {
            norm(l, name, out, true);
            at++;
        }
        at++;
        in = out;
    }
}

static void list_cross(listing *l, const deer_config *c, int i)
{
    int d = c->d_model, inner = c->cross_heads * c->cross_head_dim;

    under(l, "lang_encoder.transformer.blocks.%d.gated_cross_attn_layer.", i);
    vector(l, "attn_gate", 1);
    vector(l, "ff_gate", 1);
    norm(l, "attn.norm", d, true);
    linear(l, "attn.to_q", inner, d, false);
    linear(l, "attn.to_kv", 2 * inner, c->vision_width, false);
    linear(l, "attn.to_out", d, inner, false);
    norm(l, "ff.0", d, true);
    linear(l, "ff.1", c->cross_mlp, d, false);
    linear(l, "ff.3", d, c->cross_mlp, false);
}

static void list_decoder(listing *l, const deer_config *c, int i)
{
    bool small = c->block == DEER_BLOCK_MPT_1B;
    int d = c->d_model;

    if (config_has_cross(c, i))
        list_cross(l, c, i);
    under(l, "lang_encoder.transformer.blocks.%d.decoder_layer.", i);
    norm(l, small ? "ln_1" : "norm_1", d, false);
    linear(l, "attn.Wqkv", 3 * d, d, false);
    if (small) {
        norm(l, "attn.q_ln", d, false);
        norm(l, "attn.k_ln", d, false);
    }
    linear(l, "attn.out_proj", d, d, false);
    norm(l, small ? "ln_2" : "norm_2", d, false);
    linear(l, small ? "mlp.mlp_up" : "ffn.up_proj", c->mlp, d, false);
    linear(l, small ? "mlp.mlp_down" : "ffn.down_proj", d, c->mlp, false);
}

static void list_all(listing *l, const deer_config *c)
{
    list_vision(l, c);
    list_resampler(l, c);
    under(l, "lang_encoder.transformer.");
    matrix(l, "wte.weight", c->vocab, c->d_model);
    for (int i = 0; i < c->lstm_layers; i++)
        list_lstm(l, c, i);
    list_mlp(l, c, "actions", DEER_POSE);
    list_mlp(l, c, "gripper", 1);
    for (int i = 0; i <= c->exit_layers[c->exits - 1]; i++)
        list_decoder(l, c, i);
}

/* ---------------------------------------------------------------- values ------------------- */

typedef struct {
    const listing *list;
    uint64_t seed;
} generator;

/* A well mixed number of a counter. Source: the finalizer of MurmurHash3 (Appleby). */
static inline uint32_t mix(uint32_t x)
{
    x ^= x >> 16;
    x *= 0x85ebca6b;
    x ^= x >> 13;
    x *= 0xc2b2ae35;
    return x ^ x >> 16;
}

static uint32_t key_of(uint64_t seed, size_t tensor, size_t piece)
{
    uint32_t key = mix((uint32_t)seed ^ 0x9e3779b9) ^ (uint32_t)(seed >> 32);

    key = mix(key + (uint32_t)tensor);
    return mix(key + (uint32_t)piece);
}

/* Elements [first, first + n): uniform, mean 0. Counters start anew every 2^24 elements. */
static void fill_uniform(const generator *g, size_t tensor, size_t first, size_t n, float deviation,
                         float *out)
{
    float step = deviation * sqrtf(3) * 0x1p-31f; /* of a signed 32-bit number */

    while (n) {
        size_t left = ((size_t)1 << 24) - (first & 0xffffff), run = n < left ? n : left;
        uint32_t key = key_of(g->seed, tensor, first >> 24), at = (uint32_t)(first & 0xffffff);

        for (size_t i = 0; i < run; i++)
            out[i] = step * (float)(int32_t)mix((at + (uint32_t)i) * 0x9e3779b9 ^ key);
        first += run;
        out += run;
        n -= run;
    }
}

static deer_status generate(void *context, size_t i, size_t first, size_t rows, float *room,
                            const float **data, deer_error *err)
{
    const generator *g = context;
    const model_tensor *t = &g->list->tensor[i];
    size_t columns = 1;

    (void)err;
    for (int d = 1; d < t->rank; d++)
        columns *= (size_t)t->shape[d];
    *data = room;
    if (t->rank > 1)
        fill_uniform(g, i, first * columns, rows * columns, 1 / sqrtf((float)columns), room);
    else if (strstr(t->name, "bias"))
        fill_uniform(g, i, first, rows, 0.02f, room);
    else if (strstr(t->name, "class_embedding"))
        fill_uniform(g, i, first, rows, 1 / sqrtf((float)t->shape[0]), room);
    else
        for (size_t k = 0; k < rows; k++)
            room[k] = strstr(t->name, "_gate") ? 0.5f : 1.0f;
    return DEER_OK;
}

/* ---------------------------------------------------------------- whole -------------------- */

void synthesize_layers(deer_config *config, int layers)
{
    int apart = config->exit_layers[0] + 1;

    config->layers = layers;
    config->exits = 0;
    for (int i = apart - 1; i < layers - 1 && config->exits < DEER_MAX_EXITS - 1; i += apart)
        config->exit_layers[config->exits++] = i;
    config->exit_layers[config->exits++] = layers - 1;
}

deer_status synthesize_model(const model_output *to, const deer_config *config, uint64_t seed,
                             const char *words, deer_error *err)
{
    listing list = {NULL};
    generator g = {&list, seed};
    model_source source = {generate, &g};
    json_t *json = config_to_json(config);
    deer_config checked;
    deer_status status = json ? config_from_json(to->path, json, &checked, err)
                              : deer_fail(err, "out of memory writing %s", to->path);

    json_decref(json);
    if (!status) {
        list_all(&list, &checked);
        status = list.failed ? deer_fail(err, "out of memory writing %s", to->path)
                             : model_write(to, to->path, list.tensor, list.count, &checked, words,
                                           &source, err);
    }
    listing_free(&list);
    return status;
}
