/* SPDX-License-Identifier: MIT */
/* published.c - the configurations DeeR-VLA published weights for.
 *
 * Source: the shapes of the official classes instantiated with the official configuration: DeeR-B
 * keeps the first 12 of MPT-1B's 24 decoder layers, the 9B model the first 16 of MPT-7B's 32. */
#include <string.h>

#include "budgets/cost/cost.h"

/* What both models share: CLIP ViT-L/14, the resampler, the action head. */
static const deer_config shared = {
    .image_size = 224,
    .patch_size = 14,
    .vision_width = 1024,
    .vision_layers = 24,
    .vision_heads = 16,
    .vision_mlp = 4096,
    .image_mean = {0.48145466f, 0.4578275f, 0.40821073f},
    .image_std = {0.26862954f, 0.26130258f, 0.27577711f},
    .resampler_layers = 6,
    .resampler_heads = 8,
    .resampler_head_dim = 64,
    .resampler_latents = 64,
    .resampler_mlp = 4096,
    .vocab = 50280,
    .max_text = 32,
    .media_token = 50278,
    .cross_heads = 8,
    .cross_head_dim = 64,
    .lstm = DEER_LSTM_LAYERNORM,
    .lstm_layers = 4,
    .lstm_hidden = 1024,
    .head_mlp_layers = 2,
    .head_mlp = {1024, 512},
    .head_mlp_layernorm = true,
    .action_scale = {0.02f, 0.02f, 0.02f, 0.05f, 0.05f, 0.05f},
};

/* An exit after every second of the layers kept. */
static void set_layers(deer_config *c, int layers)
{
    c->layers = layers;
    c->exits = layers / 2;
    for (int k = 0; k < c->exits; k++)
        c->exit_layers[k] = 2 * k + 1;
}

static void set_3b(deer_config *c)
{
    strcpy(c->name, "deer-3b");
    c->block = DEER_BLOCK_MPT_1B;
    c->d_model = 2048;
    c->heads = 16;
    c->mlp = 8192;
    c->cross_every = 1;
    c->cross_mlp = 8192;
    set_layers(c, 12);
}

static void set_9b(deer_config *c)
{
    strcpy(c->name, "deer-9b");
    c->block = DEER_BLOCK_MPT_7B;
    c->d_model = 4096;
    c->heads = 32;
    c->mlp = 16384;
    c->cross_every = 4;
    c->cross_mlp = 16384;
    set_layers(c, 16);
}

bool deer_config_published(const char *name, deer_config *config)
{
    bool is_3b = !strcmp(name, "3b"), is_9b = !strcmp(name, "9b");

    if (!is_3b && !is_9b)
        return false;
    *config = shared;
    if (is_3b)
        set_3b(config);
    else
        set_9b(config);
    return true;
}
