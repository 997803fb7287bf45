/* vision.c - CLIP's vision transformer and the Perceiver resampler, both images in one batch. */
#include <math.h>
#include <string.h>

#include "runtime/backbone.h"
#include "runtime/kernels.h"

/* Patches in raster order, each as (channel, row, column): the convolution becomes one product. */
static void cut_patches(const deer_config *c, const float *pixels, float *patches)
{
    int side = c->image_size, p = c->patch_size, grid = side / p;

    for (int image = 0; image < 2; image++, pixels += 3L * side * side)
        for (int gy = 0; gy < grid; gy++)
            for (int gx = 0; gx < grid; gx++)
                for (int channel = 0; channel < 3; channel++)
                    for (int y = 0; y < p; y++, patches += p)
                        memcpy(patches, pixels + (channel * side + gy * p + y) * side + gx * p,
                               (size_t)p * sizeof *patches);
}

static void embed_patches(const deer_model *model, backbone_scratch *s)
{
    const deer_config *c = &model->config;
    const vision_weights *v = &model->vision;
    int w = c->vision_width, grid = c->image_size / c->patch_size, n = grid * grid;
    int values = 3 * c->patch_size * c->patch_size;

    cut_patches(c, s->pixels, s->patches);
    for (int image = 0; image < 2; image++) {
        float *tokens = s->tokens + (long)image * (n + 1) * w;
        memcpy(tokens, v->class_embedding, (size_t)w * sizeof *tokens);
        linear(tokens + w, s->patches + (long)image * n * values, v->conv1, NULL, n, w, values);
        for (int i = 0; i < (n + 1) * w; i++)
            tokens[i] += v->positional_embedding[i];
    }
    layer_norm(s->tokens, s->tokens, v->ln_pre.w, v->ln_pre.b, 2 * (n + 1), w);
}

static void vision_layer(const deer_config *c, const vision_block *b, backbone_scratch *s, int n)
{
    int w = c->vision_width, dim = w / c->vision_heads, rows = 2 * n;
    float scale = 1 / sqrtf((float)dim);

    layer_norm(s->normed, s->tokens, b->ln_1.w, b->ln_1.b, rows, w);
    linear(s->wide, s->normed, b->in_proj.w, b->in_proj.b, rows, 3 * w, w);
    for (int image = 0; image < 2; image++) {
        const float *qkv = s->wide + (long)image * n * 3 * w;
        attention(s->mixed + (long)image * n * w, qkv, 3 * w, qkv + w, qkv + 2 * w, 3 * w, n, n,
                  c->vision_heads, dim, scale, NULL, s->scores);
    }
    linear_add(s->tokens, s->mixed, b->out_proj.w, b->out_proj.b, rows, w, w);
    layer_norm(s->normed, s->tokens, b->ln_2.w, b->ln_2.b, rows, w);
    linear(s->wide, s->normed, b->c_fc.w, b->c_fc.b, rows, c->vision_mlp, w);
    quick_gelu(s->wide, rows * c->vision_mlp);
    linear_add(s->tokens, s->wide, b->c_proj.w, b->c_proj.b, rows, w, c->vision_mlp);
}

void vision_run(const deer_model *model, backbone_scratch *s)
{
    const deer_config *c = &model->config;
    int grid = c->image_size / c->patch_size;

    embed_patches(model, s);
    for (int i = 0; i < c->vision_layers; i++)
        vision_layer(c, &model->vision.block[i], s, grid * grid + 1);
}

/* ---------------------------------------------------------------- resampler ---------------- */

/* Keys and values come from the image's tokens and, behind them, from the latents themselves. */
static void resample_layer(const deer_config *c, const resampler_layer *r, backbone_scratch *s,
                           const float *patches, int n, float *latents)
{
    int w = c->vision_width, count = c->resampler_latents;
    int inner = c->resampler_heads * c->resampler_head_dim;
    float *seen = s->normed, *own = s->normed + (long)n * w;
    float *kv = s->wide, *q = s->wide + (long)(n + count) * 2 * inner;

    layer_norm(seen, patches, r->norm_media.w, r->norm_media.b, n, w);
    layer_norm(own, latents, r->norm_latents.w, r->norm_latents.b, count, w);
    linear(q, own, r->to_q.w, NULL, count, inner, w);
    linear(kv, seen, r->to_kv.w, NULL, n + count, 2 * inner, w);
    attention(s->mixed, q, inner, kv, kv + inner, 2 * inner, count, n + count, c->resampler_heads,
              c->resampler_head_dim, 1 / sqrtf((float)c->resampler_head_dim), NULL, s->scores);
    linear_add(latents, s->mixed, r->to_out.w, NULL, count, w, inner);
    layer_norm(s->normed, latents, r->ff_norm.w, r->ff_norm.b, count, w);
    linear(s->wide, s->normed, r->ff_up.w, NULL, count, c->resampler_mlp, w);
    gelu(s->wide, count * c->resampler_mlp);
    linear_add(latents, s->wide, r->ff_down.w, NULL, count, w, c->resampler_mlp);
}

void resampler_run(const deer_model *model, backbone_scratch *s)
{
    const deer_config *c = &model->config;
    const resampler_weights *r = &model->resampler;
    int w = c->vision_width, grid = c->image_size / c->patch_size, n = grid * grid;
    long size = (long)c->resampler_latents * w;

    for (int image = 0; image < 2; image++) {
        const float *patches =
            s->tokens + ((long)image * (n + 1) + 1) * w; /* behind the class token */
        float *latents = s->media + image * size;
        memcpy(latents, r->latents, (size_t)size * sizeof *latents);
        for (int i = 0; i < c->resampler_layers; i++)
            resample_layer(c, &r->layer[i], s, patches, n, latents);
        layer_norm(latents, latents, r->norm.w, r->norm.b, c->resampler_latents, w);
    }
}
