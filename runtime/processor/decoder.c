/* SPDX-License-Identifier: MIT */
/* decoder.c - the language model: MPT blocks with gated cross-attention to the media tokens. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/kernels.h"
#include "runtime/model/arch.h"
#include "runtime/processor/backbone.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

text_room decoder_room(const deer_config *c)
{
    size_t t = (size_t)c->max_text, d = (size_t)c->d_model;
    size_t media = (size_t)ARCH_VIEWS * (size_t)c->resampler_latents;
    size_t cross = (size_t)c->cross_heads * (size_t)c->cross_head_dim;
    size_t mlp = larger((size_t)c->mlp, (size_t)c->cross_mlp);

    return (text_room){.embedded = t * d,
                       .hidden = t * d,
                       .normed = t * d,
                       /* k and v of the media beside q, then qkv, then hidden values */
                       .wide = larger(media * 2 * cross + t * cross, t * larger(3 * d, mlp)),
                       .mixed = t * larger(cross, d)};
}

/* Decoder layers that any exit runs; those with cross-attention among them, and before any. */
static int layers_of(const deer_config *c)
{
    return c->exit_layers[c->exits - 1] + 1;
}

kept_room decoder_kept_room(const deer_config *c)
{
    size_t media = (size_t)ARCH_VIEWS * (size_t)c->resampler_latents, t = (size_t)c->max_text;
    size_t cross = (size_t)c->cross_heads * (size_t)c->cross_head_dim;
    size_t seeing = (size_t)(layers_of(c) / c->cross_every);

    return (kept_room){.kv = seeing * media * 2 * cross,
                       .views = seeing,
                       .text = (size_t)(c->cross_every - 1) * t * (size_t)c->d_model,
                       .q = t * cross};
}

void decoder_forget(const deer_config *c, backbone_scratch *s, unsigned views)
{
    for (int i = 0; s->kept_views && i < layers_of(c) / c->cross_every; i++)
        s->kept_views[i] &= ~views;
}

void decoder_start(const deer_model *model, backbone_scratch *s, const backend_text *text)
{
    size_t d = (size_t)model->config.d_model;

    memcpy(s->hidden, s->embedded, (size_t)text->rows * d * sizeof *s->hidden);
    if (!text->again)
        s->kept_layers = 0;
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

/* Keys and values of the media for cross-attention `number`: what is kept, after those of changed
 * media are computed; a batch keeps none. */
static const float *media_kv(const deer_config *c, const cross_weights *x, backbone_scratch *s,
                             int number, int frames)
{
    int inner = c->cross_heads * c->cross_head_dim, latents = c->resampler_latents;
    unsigned due = s->kept_kv ? BACKEND_BOTH & ~s->kept_views[number] : BACKEND_BOTH;
    long one = (long)latents * 2 * inner;
    float *kv = s->kept_kv ? s->kept_kv + number * ARCH_VIEWS * one : s->wide;

    if (due == BACKEND_BOTH)
        linear(&s->ws, kv, s->media, &x->to_kv, ARCH_VIEWS * frames * latents);
    for (int i = 0; due != BACKEND_BOTH && i < ARCH_VIEWS; i++)
        if (due >> i & 1)
            linear(&s->ws, kv + i * one, s->media + (long)i * latents * c->vision_width, &x->to_kv,
                   latents);
    if (s->kept_kv)
        s->kept_views[number] = BACKEND_BOTH;
    return kv;
}

/* The text's queries; those of the first cross-attention depend on the text alone. */
static const float *text_q(const deer_config *c, const cross_weights *x, backbone_scratch *s,
                           int number, const backend_text *text)
{
    int inner = c->cross_heads * c->cross_head_dim;
    bool keep = number == 0 && s->kept_q;
    float *q = keep ? s->kept_q
                    : s->wide + (long)text->frames * ARCH_VIEWS * c->resampler_latents * 2 * inner;

    if (keep && s->kept_layers == c->cross_every)
        return q;
    layer_norm(s->normed, s->hidden, x->norm.w, x->norm.b, text->rows, c->d_model);
    linear(&s->ws, q, s->normed, &x->to_q, text->rows);
    if (keep)
        s->kept_layers = c->cross_every;
    return q;
}

/* number: which of the layers that have it, from 0. */
static void cross_attention(const deer_model *model, const cross_weights *x, backbone_scratch *s,
                            int number, const backend_text *text)
{
    const deer_config *c = &model->config;
    int d = c->d_model, count = text->rows;
    const float *q = text_q(c, x, s, number, text);

    look(c, s, text, q, media_kv(c, x, s, number, text->frames));
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

/* A layer before any cross-attention: what comes out depends on the text alone. */
static void text_layer(const deer_model *model, backbone_scratch *s, int layer,
                       const backend_text *text)
{
    const deer_config *c = &model->config;
    size_t d = (size_t)c->d_model, size = (size_t)text->rows * d * sizeof *s->hidden;
    float *kept = s->kept_text + (size_t)layer * (size_t)c->max_text * d;

    if (layer < s->kept_layers) {
        memcpy(s->hidden, kept, size);
        return;
    }
    self_block(model, &model->weights.decoder[layer], s, text);
    memcpy(kept, s->hidden, size);
    s->kept_layers = layer + 1;
}

void decoder_layer(const deer_model *model, backbone_scratch *s, int layer,
                   const backend_text *text)
{
    const decoder_weights *l = &model->weights.decoder[layer];
    int number = layer / model->config.cross_every;

    if (number == 0 && !l->has_cross && s->kept_text) {
        text_layer(model, s, layer, text);
        return;
    }
    if (l->has_cross)
        cross_attention(model, &l->cross, s, number, text);
    self_block(model, l, s, text);
}
