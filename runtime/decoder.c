/* decoder.c - the language model: MPT blocks with gated cross-attention to the media tokens. */
#include <math.h>
#include <string.h>

#include "runtime/backbone.h"
#include "runtime/kernels.h"

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

size_t backbone_layout(const deer_config *c, backbone_scratch *s, float *base)
{
    size_t side = (size_t)c->image_size, grid = side / (size_t)c->patch_size, p = grid * grid;
    size_t w = (size_t)c->vision_width, l = (size_t)c->resampler_latents, t = (size_t)c->max_text;
    size_t d = (size_t)c->d_model, m = 2 * l, values = 3 * side * side;
    size_t resampler = (size_t)c->resampler_heads * (size_t)c->resampler_head_dim;
    size_t cross = (size_t)c->cross_heads * (size_t)c->cross_head_dim;
    size_t wide = 2 * (p + 1) * larger(3 * w, (size_t)c->vision_mlp), mixed, scores;
    size_t sizes[9], total = 0;
    float **slices[9] = {&s->pixels, &s->patches, &s->tokens, &s->media, &s->hidden,
                         &s->normed, &s->wide,    &s->mixed,  &s->scores};

    wide = larger(wide, (p + l) * 2 * resampler + l * resampler);
    wide = larger(wide, l * (size_t)c->resampler_mlp);
    wide = larger(wide, m * 2 * cross + t * cross);
    wide = larger(wide, t * larger(larger(3 * d, (size_t)c->mlp), (size_t)c->cross_mlp));
    mixed = larger(larger(2 * (p + 1) * w, l * resampler), t * larger(cross, d));
    scores = larger(larger((p + 1) * (p + 1), l * (p + l)), t * larger(m, t));
    sizes[0] = 2 * values;
    sizes[1] = 2 * values;
    sizes[2] = 2 * (p + 1) * w;
    sizes[3] = m * w;
    sizes[4] = t * d;
    sizes[5] = larger(larger(2 * (p + 1) * w, (p + l) * w), t * d);
    sizes[6] = wide;
    sizes[7] = mixed;
    sizes[8] = scores;
    for (int i = 0; i < 9; i++) {
        *slices[i] = base ? base + total : NULL;
        total += (sizes[i] + 15) / 16 * 16; /* whole cache lines */
    }
    return total;
}

void decoder_start(const deer_model *model, backbone_scratch *s, const int32_t *ids, int count)
{
    size_t d = (size_t)model->config.d_model;

    for (int i = 0; i < count; i++)
        memcpy(s->hidden + (size_t)i * d, model->embedding + (size_t)ids[i] * d,
               d * sizeof *s->hidden);
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

static void cross_attention(const deer_model *model, const cross_weights *x, backbone_scratch *s,
                            const int32_t *ids, int count)
{
    const deer_config *c = &model->config;
    int d = c->d_model, inner = c->cross_heads * c->cross_head_dim, w = c->vision_width;
    int media = 2 * c->resampler_latents;
    float *kv = s->wide, *q = s->wide + (long)media * 2 * inner;

    layer_norm(s->normed, s->hidden, x->norm.w, x->norm.b, count, d);
    linear(q, s->normed, x->to_q.w, NULL, count, inner, d);
    linear(kv, s->media, x->to_kv.w, NULL, media, 2 * inner, w);
    attention(s->mixed, q, inner, kv, kv + inner, 2 * inner, count, media, c->cross_heads,
              c->cross_head_dim, 1 / sqrtf((float)c->cross_head_dim), NULL, s->scores);
    mask_media(c, s->mixed, kv + inner, 2 * inner, media, ids, count);
    linear(s->normed, s->mixed, x->to_out.w, NULL, count, d, inner);
    add_gated(s->hidden, s->normed, *x->attn_gate, count * d);
    layer_norm(s->normed, s->hidden, x->ff_norm.w, x->ff_norm.b, count, d);
    linear(s->wide, s->normed, x->ff_up.w, NULL, count, c->cross_mlp, d);
    gelu(s->wide, count * c->cross_mlp);
    linear(s->normed, s->wide, x->ff_down.w, NULL, count, d, c->cross_mlp);
    add_gated(s->hidden, s->normed, *x->ff_gate, count * d);
}

/* LayerNorm of q and k over the whole width, before the heads are split, in the packed rows. */
static void normalise_qk(const decoder_weights *l, float *qkv, int count, int d)
{
    for (int i = 0; i < count; i++, qkv += 3L * d) {
        layer_norm(qkv, qkv, l->q_ln.w, NULL, 1, d);
        layer_norm(qkv + d, qkv + d, l->k_ln.w, NULL, 1, d);
    }
}

static void self_block(const deer_model *model, const decoder_weights *l, backbone_scratch *s,
                       int count)
{
    const deer_config *c = &model->config;
    int d = c->d_model, dim = d / c->heads;

    layer_norm(s->normed, s->hidden, l->norm_1.w, NULL, count, d);
    linear(s->wide, s->normed, l->qkv.w, NULL, count, 3 * d, d);
    if (l->q_ln.w)
        normalise_qk(l, s->wide, count, d);
    attention(s->mixed, s->wide, 3 * d, s->wide + d, s->wide + 2 * d, 3 * d, count, count, c->heads,
              dim, 1 / sqrtf((float)dim), model->slopes, s->scores);
    linear_add(s->hidden, s->mixed, l->out_proj.w, NULL, count, d, d);
    layer_norm(s->normed, s->hidden, l->norm_2.w, NULL, count, d);
    linear(s->wide, s->normed, l->up.w, NULL, count, c->mlp, d);
    gelu(s->wide, count * c->mlp);
    linear_add(s->hidden, s->wide, l->down.w, NULL, count, d, c->mlp);
}

void decoder_layer(const deer_model *model, backbone_scratch *s, int layer, const int32_t *ids,
                   int count)
{
    const decoder_weights *l = &model->decoder[layer];

    if (l->has_cross)
        cross_attention(model, &l->cross, s, ids, count);
    self_block(model, l, s, count);
}
