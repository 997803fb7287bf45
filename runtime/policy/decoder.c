/* SPDX-License-Identifier: MIT */
/* decoder.c - the language model: MPT blocks with gated cross-attention to the media tokens. */
#include <math.h>
#include <string.h>

#include "runtime/kernels/kernels.h"
#include "runtime/model/arch.h"
#include "runtime/policy/backbone.h"

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
