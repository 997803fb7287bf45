/* activations.c - the memory a session holds besides the weights. */
#include "budgets/activations.h"

#include "budgets/modules.h"

static uint64_t u(int dimension)
{
    return (uint64_t)dimension;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* One image's tower: patches, residual stream, its norm, q k v, attention scores, MLP. */
static uint64_t vision_floats(const deer_config *c)
{
    uint64_t n = module_patches(c), t = n + 1, w = u(c->vision_width), p = u(c->patch_size);
    uint64_t pixels = 3 * u(c->image_size) * u(c->image_size);

    return pixels + n * 3 * p * p + 2 * t * w + larger(4 * t * w + t * t, t * u(c->vision_mlp));
}

static uint64_t resampler_floats(const deer_config *c)
{
    uint64_t n = module_patches(c), l = u(c->resampler_latents), w = u(c->vision_width);
    uint64_t inner = u(c->resampler_heads) * u(c->resampler_head_dim);

    return (n + l) * w + 2 * l * w + 2 * l * inner + (n + l) * 2 * inner +
           larger(l * (n + l), l * u(c->resampler_mlp));
}

static uint64_t decoder_floats(const deer_config *c)
{
    uint64_t t = u(c->max_text), d = u(c->d_model), media = 2 * u(c->resampler_latents);
    uint64_t cross = u(c->cross_heads) * u(c->cross_head_dim);
    uint64_t attention = larger(4 * t * d + t * t, 2 * t * cross + media * 2 * cross + t * media);

    return 2 * t * d + larger(attention, t * larger(u(c->mlp), u(c->cross_mlp)));
}

uint64_t activation_floats(const deer_config *c)
{
    uint64_t media = 2 * u(c->resampler_latents) * u(c->vision_width);
    uint64_t state = 4 * u(c->lstm_layers) * u(c->lstm_hidden);

    return media + state + larger(larger(vision_floats(c), resampler_floats(c)), decoder_floats(c));
}
