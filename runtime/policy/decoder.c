/* SPDX-License-Identifier: MIT */
/* decoder.c - the language model: MPT blocks with gated cross-attention to the media tokens. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/kernels.h"
#include "runtime/policy/backbone.h"
#include "runtime/policy/head.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* What the largest product and the largest attention need, for one thread; those of the head, which
 * borrows it, included. */
static size_t workspace_bytes(const deer_config *c, int frames)
{
    int grid = c->image_size / c->patch_size, p = grid * grid, w = c->vision_width;
    int l = c->resampler_latents, t = frames * c->max_text, d = c->d_model, images = 2 * frames;
    size_t bytes = workspace_linear(images * (p + l)); /* no product has more rows than these */

    bytes = larger(bytes, workspace_linear(t));
    bytes = larger(bytes, head_workspace(HEAD_ROWS));
    bytes = larger(bytes, workspace_attention(p + 1, w / c->vision_heads));
    bytes = larger(bytes, workspace_attention(p + l, c->resampler_head_dim));
    bytes = larger(bytes, workspace_attention(2 * l, c->cross_head_dim));
    return larger(bytes, workspace_attention(c->max_text, d / c->heads));
}

image_sizes backbone_image_sizes(const deer_config *c)
{
    size_t grid = (size_t)(c->image_size / c->patch_size), p = grid * grid;
    size_t w = (size_t)c->vision_width, l = (size_t)c->resampler_latents;
    size_t inner = (size_t)c->resampler_heads * (size_t)c->resampler_head_dim;
    size_t wide = (p + 1) * larger(3 * w, (size_t)c->vision_mlp);

    wide = larger(wide, (p + l) * 2 * inner + l * inner);
    return (image_sizes){.wide = larger(wide, l * (size_t)c->resampler_mlp),
                         .mixed = larger((p + 1) * w, l * larger(inner, w))};
}

size_t backbone_layout(const deer_config *c, int threads, int frames, backbone_scratch *s,
                       float *base)
{
    size_t f = (size_t)frames, images = 2 * f;
    size_t side = (size_t)c->image_size, grid = side / (size_t)c->patch_size, p = grid * grid;
    size_t w = (size_t)c->vision_width, l = (size_t)c->resampler_latents;
    size_t d = (size_t)c->d_model, t = f * (size_t)c->max_text, m = images * l;
    size_t values = 3 * side * side;
    size_t cross = (size_t)c->cross_heads * (size_t)c->cross_head_dim;
    image_sizes each = backbone_image_sizes(c);
    size_t wide = images * each.wide, mixed;
    size_t sizes[10], total = 0;
    float *workspace_base,
        **slices[10] = {&s->pixels, &s->patches, &s->tokens, &s->media, &s->embedded,
                        &s->hidden, &s->normed,  &s->wide,   &s->mixed, &workspace_base};

    wide = larger(wide, m * 2 * cross + t * cross);
    wide = larger(wide, t * larger(larger(3 * d, (size_t)c->mlp), (size_t)c->cross_mlp));
    mixed = larger(images * each.mixed, t * larger(cross, d));
    s->ws.parts = threads;
    s->ws.bytes = (workspace_bytes(c, frames) + 63) / 64 * 64;
    sizes[0] = images * values;
    sizes[1] = images * values;
    sizes[2] = images * (p + 1) * w;
    sizes[3] = m * w;
    sizes[4] = t * d;
    sizes[5] = t * d;
    sizes[6] = larger(larger(images * (p + 1) * w, images * (p + l) * w), t * d);
    sizes[7] = wide;
    sizes[8] = mixed;
    sizes[9] = (size_t)threads * s->ws.bytes / sizeof(float);
    for (int i = 0; i < 10; i++) {
        *slices[i] = base ? base + total : NULL;
        total += (sizes[i] + 15) / 16 * 16; /* whole cache lines */
    }
    s->ws.base = (char *)workspace_base;
    return total;
}

void decoder_start(const deer_model *model, backbone_scratch *s, const backend_text *text)
{
    size_t d = (size_t)model->config.d_model;

    memcpy(s->hidden, s->embedded, (size_t)text->rows * d * sizeof *s->hidden);
}

/* hidden += tanh(gate) * x */
static void add_gated(float *hidden, const float *x, float gate, int n)
{
    float scale = tanhf(gate);

    for (int i = 0; i < n; i++)
        hidden[i] += scale * x[i];
}

/* Tokens before the first <image> see nothing; tokens behind a second one see every key alike,
 * because the official mask then fills a whole row with the same number. */
static void mask_media(const deer_config *c, float *mixed, const float *v, int kv_stride, int media,
                       const int32_t *ids, int count)
{
    int inner = c->cross_heads * c->cross_head_dim, images = 0;

    for (int i = 0; i < count; i++) {
        float *row = mixed + (long)i * inner;
        images += ids[i] == c->media_token;
        if (images == 1)
            continue;
        memset(row, 0, (size_t)inner * sizeof *row);
        for (int j = 0; images > 1 && j < media; j++)
            for (int n = 0; n < inner; n++)
                row[n] += v[(long)j * kv_stride + n] / (float)media;
    }
}

/* Each instruction's tokens to the media of their own frame, into s->mixed. */
static void look(const deer_config *c, backbone_scratch *s, const backend_text *text,
                 const float *q, const float *kv)
{
    int inner = c->cross_heads * c->cross_head_dim, media = 2 * c->resampler_latents;
    const int32_t *ids = text->ids;
    float *out = s->mixed;

    for (int f = 0; f < text->frames; f++) {
        int count = text->tokens[f];
        attention_run(&s->ws, &(attention_job){.out = out,
                                               .q = q,
                                               .k = kv,
                                               .v = kv + inner,
                                               .q_stride = inner,
                                               .kv_stride = 2 * inner,
                                               .sequences = 1,
                                               .tq = count,
                                               .tk = media,
                                               .heads = c->cross_heads,
                                               .dim = c->cross_head_dim,
                                               .scale = 1 / sqrtf((float)c->cross_head_dim)});
        mask_media(c, out, kv + inner, 2 * inner, media, ids, count);
        ids += count;
        q += (long)count * inner;
        out += (long)count * inner;
        kv += (long)media * 2 * inner;
    }
}

static void cross_attention(const deer_model *model, const cross_weights *x, backbone_scratch *s,
                            const backend_text *text)
{
    const deer_config *c = &model->config;
    int d = c->d_model, inner = c->cross_heads * c->cross_head_dim, count = text->rows;
    int media = text->frames * 2 * c->resampler_latents;
    float *kv = s->wide, *q = s->wide + (long)media * 2 * inner;

    layer_norm(s->normed, s->hidden, x->norm.w, x->norm.b, count, d);
    linear(&s->ws, q, s->normed, &x->to_q, count);
    linear(&s->ws, kv, s->media, &x->to_kv, media);
    look(c, s, text, q, kv);
    linear(&s->ws, s->normed, s->mixed, &x->to_out, count);
    add_gated(s->hidden, s->normed, *x->attn_gate, count * d);
    layer_norm(s->normed, s->hidden, x->ff_norm.w, x->ff_norm.b, count, d);
    linear_then(&s->ws, s->wide, s->normed, &x->ff_up, count, ACTIVATION_GELU);
    linear(&s->ws, s->normed, s->wide, &x->ff_down, count);
    add_gated(s->hidden, s->normed, *x->ff_gate, count * d);
}

/* LayerNorm of q and k over the whole width, before the heads are split, in the packed rows. */
static void normalise_qk(const decoder_weights *l, float *qkv, int count, int d)
{
    layer_norm_within(qkv, 3L * d, l->q_ln.w, NULL, count, d);
    layer_norm_within(qkv + d, 3L * d, l->k_ln.w, NULL, count, d);
}

/* Each instruction's tokens to themselves and those before them, into s->mixed. */
static void attend(const deer_model *model, backbone_scratch *s, const backend_text *text)
{
    const deer_config *c = &model->config;
    int d = c->d_model, dim = d / c->heads;
    const float *qkv = s->wide;
    float *out = s->mixed;

    for (int f = 0; f < text->frames; f++) {
        int count = text->tokens[f];
        attention_run(&s->ws, &(attention_job){.out = out,
                                               .q = qkv,
                                               .k = qkv + d,
                                               .v = qkv + 2 * d,
                                               .q_stride = 3 * d,
                                               .kv_stride = 3 * d,
                                               .sequences = 1,
                                               .tq = count,
                                               .tk = count,
                                               .heads = c->heads,
                                               .dim = dim,
                                               .scale = 1 / sqrtf((float)dim),
                                               .slopes = model->slopes});
        qkv += (long)count * 3 * d;
        out += (long)count * d;
    }
}

static void self_block(const deer_model *model, const decoder_weights *l, backbone_scratch *s,
                       const backend_text *text)
{
    int d = model->config.d_model, count = text->rows;

    layer_norm(s->normed, s->hidden, l->norm_1.w, NULL, count, d);
    linear(&s->ws, s->wide, s->normed, &l->qkv, count);
    if (l->q_ln.w)
        normalise_qk(l, s->wide, count, d);
    attend(model, s, text);
    linear_add(&s->ws, s->hidden, s->mixed, &l->out_proj, count);
    layer_norm(s->normed, s->hidden, l->norm_2.w, NULL, count, d);
    linear_then(&s->ws, s->wide, s->normed, &l->up, count, ACTIVATION_GELU);
    linear_add(&s->ws, s->hidden, s->wide, &l->down, count);
}

void decoder_layer(const deer_model *model, backbone_scratch *s, int layer,
                   const backend_text *text)
{
    const decoder_weights *l = &model->weights.decoder[layer];

    if (l->has_cross)
        cross_attention(model, &l->cross, s, text);
    self_block(model, l, s, text);
}
