/* SPDX-License-Identifier: MIT */
/* bind.c - which tensors a model consists of: official names, shapes, order of execution. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/model.h"

/* Goes through the tensors and notes everything that is wrong. */
typedef struct {
    const safetensors *file;
    size_t end;
    deer_status status;
    deer_error said;         /* all that is wrong, as far as there is room */
    int unsaid;              /* problems there was none for */
    char prefix[128];        /* of the names that follow */
    const safetensor **list; /* where to note each tensor, or NULL */
    size_t count, room;
    char *arena;  /* where the weights will be, NULL while their size is not known */
    size_t bytes; /* of it, so far */
    model_copy *copy;
    size_t copies, copies_room;
} binder;

/* One more thing that is wrong with tensor `name`. */
static void complain(binder *b, const char *name, const char *problem)
{
    size_t used, room = sizeof b->said.message - 32;

    if (!b->status) {
        b->status = deer_fail(&b->said, "%s: tensor %s %s", b->file->path, name, problem);
        return;
    }
    used = strlen(b->said.message);
    if (used + strlen(name) + strlen(problem) + 3 < room)
        snprintf(b->said.message + used, room - used, "; %s %s", name, problem);
    else
        b->unsaid++;
}

static deer_status verdict(const binder *b, deer_error *err)
{
    if (!b->status)
        return DEER_OK;
    return b->unsaid ? deer_fail(err, "%s; and %d more", b->said.message, b->unsaid)
                     : deer_fail(err, "%s", b->said.message);
}

/* The tensor of that name, NULL when it is missing or of another shape. */
static const safetensor *find(binder *b, const char *name, int rank, const int64_t *shape)
{
    char full[256];
    const safetensor *t;

    snprintf(full, sizeof full, "%s%s", b->prefix, name);
    t = safetensors_find(b->file, full);
    if (!t) {
        complain(b, full, "is missing");
        return NULL;
    }
    if (t->rank != rank || memcmp(t->shape, shape, (size_t)rank * sizeof *shape)) {
        complain(b, full, "does not have the shape the configuration says");
        return NULL;
    }
    if (t->end > b->end)
        b->end = t->end;
    if (b->list && b->count < b->room)
        b->list[b->count++] = t;
    return t;
}

/* The next place in the arena, for what a copy brings there. */
static void *place(binder *b, size_t bytes, model_copy copy)
{
    char *to = b->arena ? b->arena + b->bytes : NULL;

    b->bytes += (bytes + 63) / 64 * 64;
    copy.to = to;
    if (b->copies < b->copies_room)
        b->copy[b->copies] = copy;
    b->copies++;
    return to;
}

/* A vector, or a matrix that is not multiplied; room for a multiple of 16 numbers. */
static const float *bind_floats(binder *b, const char *name, int rank, const int64_t *shape)
{
    const safetensor *t = find(b, name, rank, shape);
    size_t n = (size_t)shape[0] * (size_t)(rank > 1 ? shape[1] : 1);

    if (!t)
        return NULL;
    if (!safetensors_is_f32(t)) {
        complain(b, t->name, "is not float32");
        return NULL;
    }
    return place(b, (n + 15) / 16 * 16 * sizeof(float), (model_copy){.from = t, .columns = (int)n});
}

static const float *bind_vector(binder *b, const char *name, int n)
{
    return bind_floats(b, name, 1, (const int64_t[]){n});
}

static bool type_of(const safetensor *t, weight_dtype *type)
{
    return t->readable && weight_dtype_from_number(t->type, type);
}

/* Weights [n, k], whatever the tensor's rank. */
static matrix bind_weights(binder *b, const char *name, int n, int k, int rank,
                           const int64_t *shape)
{
    const safetensor *t = find(b, name, rank, shape);
    matrix m = {.n = n, .k = k};
    char scale[160];

    if (!t)
        return m;
    if (!type_of(t, &m.type)) {
        complain(b, t->name, "is not float32, bfloat16 or 8-bit");
        return m;
    }
    m.panels = place(b, matrix_panel_words(m.type, n, k) * sizeof(uint32_t),
                     (model_copy){.from = t, .n = n, .k = k});
    snprintf(scale, sizeof scale, "%s_scale", name);
    if (m.type == WEIGHT_Q8)
        m.scale = bind_vector(b, scale, n);
    return m;
}

static matrix bind_matrix(binder *b, const char *name, int rows, int columns)
{
    return bind_weights(b, name, rows, columns, 2, (const int64_t[]){rows, columns});
}

static norm_layer bind_norm(binder *b, const char *name, int n, bool has_bias)
{
    char full[128];
    norm_layer a = {NULL, NULL};

    snprintf(full, sizeof full, "%s.weight", name);
    a.w = bind_vector(b, full, n);
    snprintf(full, sizeof full, "%s.bias", name);
    if (has_bias)
        a.b = bind_vector(b, full, n);
    return a;
}

static linear_layer bind_linear(binder *b, const char *name, int out, int in, bool has_bias)
{
    char full[128];
    linear_layer a = {.b = NULL};

    snprintf(full, sizeof full, "%s.weight", name);
    a.w = bind_matrix(b, full, out, in);
    snprintf(full, sizeof full, "%s.bias", name);
    if (has_bias)
        a.b = bind_vector(b, full, out);
    return a;
}

__attribute__((format(printf, 2, 3))) static void under(binder *b, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(b->prefix, sizeof b->prefix, format, args);
    va_end(args);
}

/* ---------------------------------------------------------------- parts -------------------- */

static void bind_vision(binder *b, const deer_config *c, vision_weights *v)
{
    int w = c->vision_width, grid = c->image_size / c->patch_size;
    int64_t kernel[4] = {w, 3, c->patch_size, c->patch_size};

    under(b, "vision_encoder.visual.");
    v->class_embedding = bind_vector(b, "class_embedding", w);
    v->positional_embedding =
        bind_floats(b, "positional_embedding", 2, (const int64_t[]){grid * grid + 1, w});
    v->conv1.w = bind_weights(b, "conv1.weight", w, 3 * c->patch_size * c->patch_size, 4, kernel);
    v->ln_pre = bind_norm(b, "ln_pre", w, true);
    for (int i = 0; i < c->vision_layers; i++) {
        vision_block *block = &v->block[i];
        under(b, "vision_encoder.visual.transformer.resblocks.%d.", i);
        block->ln_1 = bind_norm(b, "ln_1", w, true);
        block->in_proj.w = bind_matrix(b, "attn.in_proj_weight", 3 * w, w);
        block->in_proj.b = bind_vector(b, "attn.in_proj_bias", 3 * w);
        block->out_proj = bind_linear(b, "attn.out_proj", w, w, true);
        block->ln_2 = bind_norm(b, "ln_2", w, true);
        block->c_fc = bind_linear(b, "mlp.c_fc", c->vision_mlp, w, true);
        block->c_proj = bind_linear(b, "mlp.c_proj", w, c->vision_mlp, true);
    }
}

static void bind_resampler(binder *b, const deer_config *c, resampler_weights *r)
{
    int w = c->vision_width, inner = c->resampler_heads * c->resampler_head_dim;

    under(b, "perceiver.");
    r->latents = bind_floats(b, "latents", 2, (const int64_t[]){c->resampler_latents, w});
    r->norm = bind_norm(b, "norm", w, true);
    for (int i = 0; i < c->resampler_layers; i++) {
        resampler_layer *layer = &r->layer[i];
        under(b, "perceiver.layers.%d.", i);
        layer->norm_media = bind_norm(b, "0.norm_media", w, true);
        layer->norm_latents = bind_norm(b, "0.norm_latents", w, true);
        layer->to_q = bind_linear(b, "0.to_q", inner, w, false);
        layer->to_kv = bind_linear(b, "0.to_kv", 2 * inner, w, false);
        layer->to_out = bind_linear(b, "0.to_out", w, inner, false);
        layer->ff_norm = bind_norm(b, "1.0", w, true);
        layer->ff_up = bind_linear(b, "1.1", c->resampler_mlp, w, false);
        layer->ff_down = bind_linear(b, "1.3", w, c->resampler_mlp, false);
    }
}

static void bind_cross(binder *b, const deer_config *c, int i, cross_weights *x)
{
    int d = c->d_model, inner = c->cross_heads * c->cross_head_dim;

    under(b, "lang_encoder.transformer.blocks.%d.gated_cross_attn_layer.", i);
    x->attn_gate = bind_vector(b, "attn_gate", 1);
    x->ff_gate = bind_vector(b, "ff_gate", 1);
    x->norm = bind_norm(b, "attn.norm", d, true);
    x->to_q = bind_linear(b, "attn.to_q", inner, d, false);
    x->to_kv = bind_linear(b, "attn.to_kv", 2 * inner, c->vision_width, false);
    x->to_out = bind_linear(b, "attn.to_out", d, inner, false);
    x->ff_norm = bind_norm(b, "ff.0", d, true);
    x->ff_up = bind_linear(b, "ff.1", c->cross_mlp, d, false);
    x->ff_down = bind_linear(b, "ff.3", d, c->cross_mlp, false);
}

static void bind_decoder(binder *b, const deer_config *c, int i, decoder_weights *l)
{
    bool small = c->block == DEER_BLOCK_MPT_1B;
    int d = c->d_model;

    l->has_cross = config_has_cross(c, i);
    if (l->has_cross)
        bind_cross(b, c, i, &l->cross);
    under(b, "lang_encoder.transformer.blocks.%d.decoder_layer.", i);
    l->norm_1 = bind_norm(b, small ? "ln_1" : "norm_1", d, false);
    l->qkv = bind_linear(b, "attn.Wqkv", 3 * d, d, false);
    if (small) {
        l->q_ln = bind_norm(b, "attn.q_ln", d, false);
        l->k_ln = bind_norm(b, "attn.k_ln", d, false);
    }
    l->out_proj = bind_linear(b, "attn.out_proj", d, d, false);
    l->norm_2 = bind_norm(b, small ? "ln_2" : "norm_2", d, false);
    l->up = bind_linear(b, small ? "mlp.mlp_up" : "ffn.up_proj", c->mlp, d, false);
    l->down = bind_linear(b, small ? "mlp.mlp_down" : "ffn.down_proj", d, c->mlp, false);
}

static void bind_lstm(binder *b, const deer_config *c, int i, lstm_weights *l)
{
    bool plain = c->lstm == DEER_LSTM_PLAIN;
    int h = c->lstm_hidden, in = i ? h : c->d_model, k = plain ? i : 0;
    char name[64];

    if (plain)
        under(b, "extra_exit.rnn.");
    else
        under(b, "extra_exit.rnn.layers.%d.", 3 * i);
    snprintf(name, sizeof name, "weight_ih_l%d", k);
    l->ih.w = bind_matrix(b, name, 4 * h, in);
    snprintf(name, sizeof name, "weight_hh_l%d", k);
    l->hh.w = bind_matrix(b, name, 4 * h, h);
    snprintf(name, sizeof name, "bias_ih_l%d", k);
    l->ih.b = bind_vector(b, name, 4 * h);
    snprintf(name, sizeof name, "bias_hh_l%d", k);
    l->hh.b = bind_vector(b, name, 4 * h);
    under(b, "extra_exit.rnn.layers.");
    snprintf(name, sizeof name, "%d", 3 * i + 1);
    if (!plain)
        l->norm = bind_norm(b, name, h, true);
}

/* The next Sequential index >= *at that has a weight of this rank; dropout decides where they lie.
 */
static bool next_index(const binder *b, int rank, int *at)
{
    for (; *at < 64; ++*at) {
        char name[192];
        const safetensor *t;
        snprintf(name, sizeof name, "%s%d.weight", b->prefix, *at);
        t = safetensors_find(b->file, name);
        if (t)
            return t->rank == rank;
    }
    return false;
}

static void bind_mlp(binder *b, const deer_config *c, const char *part, int outputs, mlp_weights *m)
{
    int in = c->lstm_hidden, at = 0;
    char name[16];

    under(b, "extra_exit.%s.mlp.", part);
    for (int i = 0; i <= c->head_mlp_layers; i++) {
        int out = i < c->head_mlp_layers ? c->head_mlp[i] : outputs;
        bool found = next_index(b, 2, &at);
        snprintf(name, sizeof name, "%d", at++);
        if (!found)
            complain(b, b->prefix, "lacks a linear layer");
        m->linear[i] = bind_linear(b, name, out, in, true);
        in = out;
        if (i == c->head_mlp_layers || !c->head_mlp_layernorm)
            continue;
        found = next_index(b, 1, &at);
        snprintf(name, sizeof name, "%d", at++);
        if (!found)
            complain(b, b->prefix, "lacks a LayerNorm");
        m->norm[i] = bind_norm(b, name, out, true);
    }
}

static void bind_embedding(binder *b, deer_model *model)
{
    const deer_config *c = &model->config;
    weight_dtype type;

    model->embedding = find(b, "wte.weight", 2, (const int64_t[]){c->vocab, c->d_model});
    if (model->embedding && (!type_of(model->embedding, &type) || type == WEIGHT_Q8))
        complain(b, model->embedding->name, "is neither float32 nor bfloat16");
}

/* Every tensor in order of execution. */
static void bind_all(binder *b, deer_model *model)
{
    const deer_config *c = &model->config;

    bind_vision(b, c, &model->vision);
    bind_resampler(b, c, &model->resampler);
    under(b, "lang_encoder.transformer.");
    bind_embedding(b, model);
    for (int i = 0; i < c->lstm_layers; i++)
        bind_lstm(b, c, i, &model->head.lstm[i]);
    bind_mlp(b, c, "actions", DEER_POSE, &model->head.pose);
    bind_mlp(b, c, "gripper", 1, &model->head.gripper);
    for (int i = 0; i < model_layers_for(c, model->max_exit); i++)
        bind_decoder(b, c, i, &model->decoder[i]);
}

deer_status model_find(deer_model *model, size_t *end, size_t *bytes, deer_error *err)
{
    binder b = {.file = &model->file};

    bind_all(&b, model);
    *end = b.end;
    *bytes = b.bytes;
    return verdict(&b, err);
}

deer_status model_bind(deer_model *model, model_copy **copies, size_t *count, deer_error *err)
{
    binder b = {.file = &model->file, .arena = model->arena, .copies_room = model->file.count};

    b.copy = calloc(b.copies_room + 1, sizeof *b.copy);
    *copies = b.copy;
    if (!b.copy)
        return deer_fail(err, "out of memory opening %s", model->file.path);
    bind_all(&b, model);
    *count = b.copies;
    return verdict(&b, err);
}

deer_status model_list(deer_model *model, const safetensor **list, size_t room, size_t *count,
                       deer_error *err)
{
    binder b = {.file = &model->file, .list = list, .room = room};

    bind_all(&b, model);
    *count = b.count;
    return verdict(&b, err);
}
