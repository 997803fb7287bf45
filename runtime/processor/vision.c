/* SPDX-License-Identifier: MIT */
/* vision.c - CLIP's vision transformer and the Perceiver resampler, all images in one batch. */
#include <math.h>
#include <string.h>

#include "runtime/base/threads/threads.h"
#include "runtime/kernels/kernels.h"
#include "runtime/processor/backbone.h"

/* ---------------------------------------------------------------- room --------------------- */

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

image_room vision_room(const deer_config *c)
{
    size_t side = (size_t)c->image_size, grid = side / (size_t)c->patch_size, p = grid * grid;
    size_t w = (size_t)c->vision_width, l = (size_t)c->resampler_latents;
    size_t inner = (size_t)c->resampler_heads * (size_t)c->resampler_head_dim;
    size_t tower = (p + 1) * larger(3 * w, (size_t)c->vision_mlp);
    size_t resampled = larger((p + l) * 2 * inner + l * inner, l * (size_t)c->resampler_mlp);

    return (image_room){.pixels = 3 * side * side,
                        .patches = 3 * side * side,
                        .tokens = (p + 1) * w,
                        .media = l * w,
                        .normed = (p + l) * w, /* there is a latent at least */
                        .wide = larger(tower, resampled),
                        .mixed = larger((p + 1) * w, l * larger(inner, w))};
}

/* ---------------------------------------------------------------- threads ------------------ */

typedef void image_job(const deer_model *model, backbone_scratch *s, int images);

typedef struct {
    const deer_model *model;
    const backbone_scratch *s;
    int images;
    image_job *job;
} image_share;

/* The scratch from image `first` on. */
static backbone_scratch scratch_from(const deer_model *model, const backbone_scratch *s,
                                     size_t first)
{
    image_room each = vision_room(&model->config);
    backbone_scratch own = *s;

    own.pixels += first * each.pixels;
    own.patches += first * each.patches;
    own.tokens += first * each.tokens;
    own.media += first * each.media;
    own.normed += first * each.normed;
    own.wide += first * each.wide;
    own.mixed += first * each.mixed;
    return own;
}

static void some_images(void *context, int part, int parts)
{
    const image_share *share = context;
    int first = share->images * part / parts, end = share->images * (part + 1) / parts;
    const workspace *all = &share->s->ws;
    backbone_scratch own = scratch_from(share->model, share->s, (size_t)first);

    own.ws = (workspace){1, all->bytes, all->base + (size_t)part * all->bytes};
    share->job(share->model, &own, end - first);
}

/* Images know nothing of each other: with as many of them as threads, each thread takes some
 * through everything. With fewer, the threads share each product. */
static void share_images(const deer_model *model, const backbone_scratch *s, int first, int images,
                         image_job *job)
{
    backbone_scratch from = scratch_from(model, s, (size_t)first);
    image_share share = {model, &from, images, job};

    if (s->ws.parts > 1 && s->ws.parts <= images)
        threads_run(some_images, &share, s->ws.parts);
    else
        job(model, &from, images);
}

/* ---------------------------------------------------------------- vision tower ------------- */

/* A call of memcpy takes longer than a patch's few pixels. */
static float *put_row(float *to, const float *from, int n)
{
    enum { SOME = 4 };
    int i = 0;

    for (; i + SOME <= n; i += SOME)
        memcpy(to + i, from + i, SOME * sizeof *to);
    for (; i < n; i++)
        to[i] = from[i];
    return to + n;
}

/* Patches in raster order, each as (channel, row, column): the convolution becomes one product. */
static void cut_patches(const deer_config *c, const float *pixels, float *patches, int images)
{
    int side = c->image_size, p = c->patch_size, grid = side / p;

    for (int image = 0; image < images; image++, pixels += 3L * side * side)
        for (int gy = 0; gy < grid; gy++)
            for (int gx = 0; gx < grid; gx++)
                for (int channel = 0; channel < 3; channel++)
                    for (int y = 0; y < p; y++)
                        patches = put_row(
                            patches, pixels + (channel * side + gy * p + y) * side + gx * p, p);
}

static void embed_patches(const deer_model *model, backbone_scratch *s, int images)
{
    const deer_config *c = &model->config;
    const vision_weights *v = &model->weights.vision;
    int w = c->vision_width, grid = c->image_size / c->patch_size, n = grid * grid;
    int values = 3 * c->patch_size * c->patch_size;

    cut_patches(c, s->pixels, s->patches, images);
    for (int image = 0; image < images; image++) {
        float *tokens = s->tokens + (long)image * (n + 1) * w;
        memcpy(tokens, v->positional_embedding, (size_t)(n + 1) * (size_t)w * sizeof *tokens);
        for (int i = 0; i < w; i++)
            tokens[i] += v->class_embedding[i];
        linear_add(&s->ws, tokens + w, s->patches + (long)image * n * values, &v->conv1, n);
    }
    layer_norm(s->tokens, s->tokens, v->ln_pre.w, v->ln_pre.b, images * (n + 1), w);
}

/* Attention is float32 where the weights beside it are. */
static weight_dtype attention_type(const linear_layer *l)
{
    return l->w.type == WEIGHT_F32 ? WEIGHT_F32 : WEIGHT_BF16;
}

static void vision_layer(const deer_config *c, const vision_block *b, backbone_scratch *s,
                         int images, int n)
{
    int w = c->vision_width, dim = w / c->vision_heads, rows = images * n;

    layer_norm(s->normed, s->tokens, b->ln_1.w, b->ln_1.b, rows, w);
    linear(&s->ws, s->wide, s->normed, &b->in_proj, rows);
    attention_run(&s->ws, &(attention_job){.out = s->mixed,
                                           .q = s->wide,
                                           .k = s->wide + w,
                                           .v = s->wide + 2 * w,
                                           .q_stride = 3 * w,
                                           .kv_stride = 3 * w,
                                           .sequences = images,
                                           .tq = n,
                                           .tk = n,
                                           .heads = c->vision_heads,
                                           .dim = dim,
                                           .type = attention_type(&b->in_proj),
                                           .scale = 1 / sqrtf((float)dim)});
    linear_add(&s->ws, s->tokens, s->mixed, &b->out_proj, rows);
    layer_norm(s->normed, s->tokens, b->ln_2.w, b->ln_2.b, rows, w);
    linear_then(&s->ws, s->wide, s->normed, &b->c_fc, rows, ACTIVATION_QUICK_GELU);
    linear_add(&s->ws, s->tokens, s->wide, &b->c_proj, rows);
}

static void see(const deer_model *model, backbone_scratch *s, int images)
{
    const deer_config *c = &model->config;
    int grid = c->image_size / c->patch_size;

    embed_patches(model, s, images);
    for (int i = 0; i < c->vision_layers; i++)
        vision_layer(c, &model->weights.vision.block[i], s, images, grid * grid + 1);
}

void vision_run(const deer_model *model, backbone_scratch *s, int first, int images)
{
    share_images(model, s, first, images, see);
}

/* ---------------------------------------------------------------- resampler ---------------- */

/* Keys and values come from an image's tokens and, behind them, from its latents themselves; all
 * images' rows lie together: seen [images, n + count, w], latents [images, count, w]. */
static void resample_layer(const deer_config *c, const resampler_layer *r, backbone_scratch *s,
                           int images, int n)
{
    int w = c->vision_width, count = c->resampler_latents;
    int inner = c->resampler_heads * c->resampler_head_dim;
    int all = images * count;
    long rows = n + count;
    float *kv = s->wide, *q = s->wide + images * rows * 2 * inner, *own = s->mixed;

    layer_norm(own, s->media, r->norm_latents.w, r->norm_latents.b, all, w);
    for (int image = 0; image < images; image++) {
        float *seen = s->normed + image * rows * w;
        const float *patches = s->tokens + ((long)image * (n + 1) + 1) * w; /* no class token */
        layer_norm(seen, patches, r->norm_media.w, r->norm_media.b, n, w);
        memcpy(seen + (long)n * w, own + (long)image * count * w,
               (size_t)count * (size_t)w * sizeof *own);
    }
    linear(&s->ws, q, own, &r->to_q, all);
    linear(&s->ws, kv, s->normed, &r->to_kv, (int)(images * rows));
    attention_run(&s->ws, &(attention_job){.out = s->mixed,
                                           .q = q,
                                           .k = kv,
                                           .v = kv + inner,
                                           .q_stride = inner,
                                           .kv_stride = 2 * inner,
                                           .sequences = images,
                                           .tq = count,
                                           .tk = n + count,
                                           .heads = c->resampler_heads,
                                           .dim = c->resampler_head_dim,
                                           .type = attention_type(&r->to_q),
                                           .scale = 1 / sqrtf((float)c->resampler_head_dim)});
    linear_add(&s->ws, s->media, s->mixed, &r->to_out, all);
    layer_norm(s->normed, s->media, r->ff_norm.w, r->ff_norm.b, all, w);
    linear_then(&s->ws, s->wide, s->normed, &r->ff_up, all, ACTIVATION_GELU);
    linear_add(&s->ws, s->media, s->wide, &r->ff_down, all);
}

static void resample(const deer_model *model, backbone_scratch *s, int images)
{
    const deer_config *c = &model->config;
    const resampler_weights *r = &model->weights.resampler;
    int w = c->vision_width, grid = c->image_size / c->patch_size;
    size_t size = (size_t)c->resampler_latents * (size_t)w;

    for (int image = 0; image < images; image++)
        memcpy(s->media + (size_t)image * size, r->latents, size * sizeof *s->media);
    for (int i = 0; i < c->resampler_layers; i++)
        resample_layer(c, &r->layer[i], s, images, grid * grid);
    layer_norm(s->media, s->media, r->norm.w, r->norm.b, images * c->resampler_latents, w);
}

void resampler_run(const deer_model *model, backbone_scratch *s, int first, int images)
{
    share_images(model, s, first, images, resample);
}
