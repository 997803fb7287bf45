/* SPDX-License-Identifier: MIT */
/* arch.c - the architecture, part by part, in order of execution. */
#include "runtime/model/arch.h"

#include <stdarg.h>
#include <stdio.h>

#include "runtime/model/parts.h"

/* A walk through the tensors. */
typedef struct {
    const deer_config *c;
    const arch_visitor *to;
    arch_part part;
    int layer;
    char prefix[96]; /* of the names that follow */
} walk;

/* ---------------------------------------------------------------- names -------------------- */

__attribute__((format(printf, 4, 5))) static void under(walk *w, arch_part part, int layer,
                                                        const char *format, ...)
{
    va_list args;

    w->part = part;
    w->layer = layer;
    if (w->to->nameless)
        return;
    va_start(args, format);
    vsnprintf(w->prefix, sizeof w->prefix, format, args);
    va_end(args);
}

/* The tensor <prefix><name><suffix>. */
static void emit(walk *w, const char *name, const char *suffix, arch_tensor t)
{
    char full[192];

    t.part = w->part;
    t.layer = w->layer;
    if (!w->to->nameless) {
        snprintf(full, sizeof full, "%s%s%s", w->prefix, name, suffix);
        t.name = full;
    }
    w->to->tensor(w->to->context, &t);
}

/* ---------------------------------------------------------------- kinds of tensors --------- */

/* What a product is for, and what goes through it. */
typedef struct {
    arch_rows rows;
    const char *what;
} use;

static void vector(walk *w, const char *name, const char *suffix, size_t field, int n)
{
    emit(w, name, suffix,
         (arch_tensor){.role = ARCH_ADDED, .rank = 1, .shape = {n}, .field = field});
}

/* Two dimensions, but added and not multiplied. */
static void added(walk *w, const char *name, size_t field, int rows, int columns)
{
    emit(w, name, "",
         (arch_tensor){.role = ARCH_ADDED, .rank = 2, .shape = {rows, columns}, .field = field});
}

static void matrix_of(walk *w, const char *name, const char *suffix, size_t field, int rows,
                      int columns, use u)
{
    emit(w, name, suffix,
         (arch_tensor){.role = ARCH_MATRIX,
                       .rank = 2,
                       .shape = {rows, columns},
                       .field = field,
                       .rows = u.rows,
                       .what = u.what});
}

/* field: of a norm_layer. */
static void norm(walk *w, const char *name, size_t field, int n, bool has_bias)
{
    vector(w, name, ".weight", field + offsetof(norm_layer, w), n);
    if (has_bias)
        vector(w, name, ".bias", field + offsetof(norm_layer, b), n);
}

/* field: of a linear_layer. */
static void linear_of(walk *w, const char *name, size_t field, int out, int in, bool has_bias,
                      use u)
{
    matrix_of(w, name, ".weight", field + offsetof(linear_layer, w), out, in, u);
    if (has_bias)
        vector(w, name, ".bias", field + offsetof(linear_layer, b), out);
}

static void attention(const walk *w, arch_rows queries, arch_rows keys, int heads, int width,
                      bool causal)
{
    if (w->to->attention)
        w->to->attention(w->to->context, &(arch_attention){.part = w->part,
                                                           .layer = w->layer,
                                                           .queries = queries,
                                                           .keys = keys,
                                                           .heads = heads,
                                                           .width = width,
                                                           .causal = causal});
}

/* ---------------------------------------------------------------- images ------------------- */

#define IN(field) offsetof(vision_block, field)

static void vision_layer(walk *w, int i)
{
    int width = w->c->vision_width, mlp = w->c->vision_mlp;

    under(w, ARCH_VISION, i, "vision_encoder.visual.transformer.resblocks.%d.", i);
    norm(w, "ln_1", IN(ln_1), width, true);
    matrix_of(w, "attn.in_proj_weight", "", IN(in_proj.w), 3 * width, width,
              (use){ARCH_TOKENS, "queries, keys, values"});
    vector(w, "attn.in_proj_bias", "", IN(in_proj.b), 3 * width);
    attention(w, ARCH_TOKENS, ARCH_TOKENS, w->c->vision_heads, width, false);
    linear_of(w, "attn.out_proj", IN(out_proj), width, width, true,
              (use){ARCH_TOKENS, "output projection"});
    norm(w, "ln_2", IN(ln_2), width, true);
    linear_of(w, "mlp.c_fc", IN(c_fc), mlp, width, true, (use){ARCH_TOKENS, "MLP"});
    linear_of(w, "mlp.c_proj", IN(c_proj), width, mlp, true, (use){ARCH_TOKENS, "MLP"});
}

#undef IN
#define IN(field) offsetof(vision_weights, field)

static void vision(walk *w)
{
    int width = w->c->vision_width, patch = w->c->patch_size, grid = w->c->image_size / patch;

    under(w, ARCH_VISION, -1, "vision_encoder.visual.");
    vector(w, "class_embedding", "", IN(class_embedding), width);
    added(w, "positional_embedding", IN(positional_embedding), grid * grid + 1, width);
    emit(w, "conv1.weight", "",
         (arch_tensor){.role = ARCH_TABLE,
                       .rank = 4,
                       .shape = {width, 3, patch, patch},
                       .field = IN(conv1.w),
                       .rows = ARCH_PATCHES,
                       .what = "patch embedding"});
    norm(w, "ln_pre", IN(ln_pre), width, true);
    for (int i = 0; i < w->c->vision_layers; i++)
        vision_layer(w, i);
}

#undef IN
#define IN(field) offsetof(resampler_layer, field)

static void resample_layer(walk *w, int i)
{
    int width = w->c->vision_width, mlp = w->c->resampler_mlp;
    int inner = w->c->resampler_heads * w->c->resampler_head_dim;

    under(w, ARCH_RESAMPLER, i, "perceiver.layers.%d.", i);
    norm(w, "0.norm_media", IN(norm_media), width, true);
    norm(w, "0.norm_latents", IN(norm_latents), width, true);
    linear_of(w, "0.to_q", IN(to_q), inner, width, false,
              (use){ARCH_LATENTS, "queries of the latents"});
    linear_of(w, "0.to_kv", IN(to_kv), 2 * inner, width, false,
              (use){ARCH_SEEN, "keys, values of patches, latents"});
    attention(w, ARCH_LATENTS, ARCH_SEEN, w->c->resampler_heads, inner, false);
    linear_of(w, "0.to_out", IN(to_out), width, inner, false,
              (use){ARCH_LATENTS, "output projection"});
    norm(w, "1.0", IN(ff_norm), width, true);
    linear_of(w, "1.1", IN(ff_up), mlp, width, false, (use){ARCH_LATENTS, "MLP"});
    linear_of(w, "1.3", IN(ff_down), width, mlp, false, (use){ARCH_LATENTS, "MLP"});
}

#undef IN

static void resampler(walk *w)
{
    int width = w->c->vision_width;

    under(w, ARCH_RESAMPLER, -1, "perceiver.");
    added(w, "latents", offsetof(resampler_weights, latents), w->c->resampler_latents, width);
    norm(w, "norm", offsetof(resampler_weights, norm), width, true);
    for (int i = 0; i < w->c->resampler_layers; i++)
        resample_layer(w, i);
}

/* ---------------------------------------------------------------- text --------------------- */

static void embedding(walk *w)
{
    under(w, ARCH_EMBEDDING, -1, "lang_encoder.transformer.");
    emit(w, "wte.weight", "",
         (arch_tensor){
             .role = ARCH_TABLE, .rank = 2, .shape = {w->c->vocab, w->c->d_model}, .what = NULL});
}

#define IN(field) offsetof(cross_weights, field)

static void cross(walk *w, int i)
{
    int d = w->c->d_model, inner = w->c->cross_heads * w->c->cross_head_dim, mlp = w->c->cross_mlp;

    under(w, ARCH_CROSS, i, "lang_encoder.transformer.blocks.%d.gated_cross_attn_layer.", i);
    vector(w, "attn_gate", "", IN(attn_gate), 1);
    vector(w, "ff_gate", "", IN(ff_gate), 1);
    norm(w, "attn.norm", IN(norm), d, true);
    linear_of(w, "attn.to_q", IN(to_q), inner, d, false, (use){ARCH_TEXT, "queries of the text"});
    linear_of(w, "attn.to_kv", IN(to_kv), 2 * inner, w->c->vision_width, false,
              (use){ARCH_MEDIA, "keys, values of both images"});
    attention(w, ARCH_TEXT, ARCH_MEDIA, w->c->cross_heads, inner, false);
    linear_of(w, "attn.to_out", IN(to_out), d, inner, false, (use){ARCH_TEXT, "output projection"});
    norm(w, "ff.0", IN(ff_norm), d, true);
    linear_of(w, "ff.1", IN(ff_up), mlp, d, false, (use){ARCH_TEXT, "MLP"});
    linear_of(w, "ff.3", IN(ff_down), d, mlp, false, (use){ARCH_TEXT, "MLP"});
}

#undef IN
#define IN(field) offsetof(decoder_weights, field)

static void decoder(walk *w, int i)
{
    bool small = w->c->block == DEER_BLOCK_MPT_1B;
    int d = w->c->d_model, mlp = w->c->mlp;

    under(w, ARCH_DECODER, i, "lang_encoder.transformer.blocks.%d.decoder_layer.", i);
    norm(w, small ? "ln_1" : "norm_1", IN(norm_1), d, false);
    linear_of(w, "attn.Wqkv", IN(qkv), 3 * d, d, false, (use){ARCH_TEXT, "queries, keys, values"});
    if (small) {
        norm(w, "attn.q_ln", IN(q_ln), d, false);
        norm(w, "attn.k_ln", IN(k_ln), d, false);
    }
    attention(w, ARCH_TEXT, ARCH_TEXT, w->c->heads, d, true);
    linear_of(w, "attn.out_proj", IN(out_proj), d, d, false, (use){ARCH_TEXT, "output projection"});
    norm(w, small ? "ln_2" : "norm_2", IN(norm_2), d, false);
    linear_of(w, small ? "mlp.mlp_up" : "ffn.up_proj", IN(up), mlp, d, false,
              (use){ARCH_TEXT, "MLP"});
    linear_of(w, small ? "mlp.mlp_down" : "ffn.down_proj", IN(down), d, mlp, false,
              (use){ARCH_TEXT, "MLP"});
}

#undef IN

/* ---------------------------------------------------------------- head --------------------- */

#define IN(field) offsetof(lstm_weights, field)

/* The layers of the official LSTM lie between LayerNorms and dropouts; torch's own has them all in
 * one module. */
static void lstm(walk *w, int i)
{
    bool plain = w->c->lstm == DEER_LSTM_PLAIN;
    int h = w->c->lstm_hidden, in = i ? h : w->c->d_model;
    char suffix[16], name[16];

    snprintf(suffix, sizeof suffix, "_l%d", plain ? i : 0);
    if (plain)
        under(w, ARCH_HEAD, i, "extra_exit.rnn.");
    else
        under(w, ARCH_HEAD, i, "extra_exit.rnn.layers.%d.", 3 * i);
    matrix_of(w, "weight_ih", suffix, IN(ih.w), 4 * h, in, (use){ARCH_EXITS, "LSTM, W_ih x"});
    matrix_of(w, "weight_hh", suffix, IN(hh.w), 4 * h, h,
              (use){ARCH_STEP, "LSTM, W_hh h (shared)"});
    vector(w, "bias_ih", suffix, IN(ih.b), 4 * h);
    vector(w, "bias_hh", suffix, IN(hh.b), 4 * h);
    if (plain)
        return;
    under(w, ARCH_HEAD, i, "extra_exit.rnn.layers.");
    snprintf(name, sizeof name, "%d", 3 * i + 1);
    norm(w, name, IN(norm), h, true);
}

#undef IN

/* The next index of a Sequential, at *at or, in a file, behind it. */
static const char *index_of(const walk *w, int rank, int *at, char name[16])
{
    if (w->to->index)
        *at = w->to->index(w->to->context, w->prefix, rank, *at);
    snprintf(name, 16, "%d", (*at)++);
    return name;
}

/* Linear, (LayerNorm,) ReLU, .., Linear. field: of an mlp_weights. */
static void mlp(walk *w, const char *part, const char *what, size_t field, int outputs)
{
    const deer_config *c = w->c;
    int in = c->lstm_hidden, at = 0;
    char name[16];

    under(w, ARCH_HEAD, -1, "extra_exit.%s.mlp.", part);
    for (int i = 0; i <= c->head_mlp_layers; i++) {
        bool last = i == c->head_mlp_layers;
        int out = last ? outputs : c->head_mlp[i];
        size_t layer = field + offsetof(mlp_weights, linear) + (size_t)i * sizeof(linear_layer);
        size_t normed = field + offsetof(mlp_weights, norm) + (size_t)i * sizeof(norm_layer);

        linear_of(w, index_of(w, 2, &at, name), layer, out, in, true, (use){ARCH_EXITS, what});
        if (!last && c->head_mlp_layernorm)
            norm(w, index_of(w, 1, &at, name), normed, out, true);
        at++; /* the ReLU */
        in = out;
    }
}

static void head(walk *w)
{
    for (int i = 0; i < w->c->lstm_layers; i++)
        lstm(w, i);
    mlp(w, "actions", "pose MLP", offsetof(head_weights, pose), DEER_POSE);
    mlp(w, "gripper", "gripper MLP", offsetof(head_weights, gripper), 1);
}

/* ---------------------------------------------------------------- whole -------------------- */

int arch_layers(const deer_config *config, int exit)
{
    return config->exit_layers[exit] + 1;
}

bool arch_has_cross(const deer_config *config, int layer)
{
    return (layer + 1) % config->cross_every == 0;
}

void arch_visit_part(const deer_config *config, arch_part part, int layer,
                     const arch_visitor *visitor)
{
    walk w = {.c = config, .to = visitor};

    switch (part) {
    case ARCH_VISION:
        vision(&w);
        return;
    case ARCH_RESAMPLER:
        resampler(&w);
        return;
    case ARCH_EMBEDDING:
        embedding(&w);
        return;
    case ARCH_HEAD:
        head(&w);
        return;
    case ARCH_CROSS:
        cross(&w, layer);
        return;
    default:
        decoder(&w, layer);
    }
}

void arch_visit(const deer_config *config, int layers, const arch_visitor *visitor)
{
    for (arch_part part = ARCH_VISION; part <= ARCH_HEAD; part++)
        arch_visit_part(config, part, -1, visitor);
    for (int i = 0; i < layers; i++) {
        if (arch_has_cross(config, i))
            arch_visit_part(config, ARCH_CROSS, i, visitor);
        arch_visit_part(config, ARCH_DECODER, i, visitor);
    }
}

size_t arch_vectors(const deer_config *c, arch_rows rows, const arch_load *load)
{
    size_t grid = (size_t)(c->image_size / c->patch_size), patches = grid * grid;
    size_t latents = (size_t)c->resampler_latents, images = (size_t)load->images;

    switch (rows) {
    case ARCH_PATCHES:
        return images * patches;
    case ARCH_TOKENS:
        return images * (patches + 1);
    case ARCH_LATENTS:
        return images * latents;
    case ARCH_SEEN:
        return images * (patches + latents);
    case ARCH_MEDIA:
        return (size_t)(load->cameras ? load->cameras : ARCH_VIEWS) * latents;
    case ARCH_TEXT:
        return (size_t)load->tokens;
    case ARCH_EXITS:
        return (size_t)load->exits;
    default:
        return 1;
    }
}

weight_dtype arch_kept_as(arch_role role, weight_dtype dtype)
{
    if (role == ARCH_ADDED)
        return WEIGHT_F32;
    return role == ARCH_TABLE && dtype == WEIGHT_Q8 ? WEIGHT_BF16 : dtype;
}

size_t arch_matrix_rows(const arch_tensor *t)
{
    return t->rank ? (size_t)t->shape[0] : 1;
}

size_t arch_matrix_columns(const arch_tensor *t)
{
    size_t n = 1;

    for (int i = 1; i < t->rank; i++)
        n *= (size_t)t->shape[i];
    return n;
}
