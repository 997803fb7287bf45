/* SPDX-License-Identifier: MIT */
/* dispatches.c - how often deer's own kernels are started on a GPU. */
#include "budgets/cost/dispatches.h"

/* So many products, each of which may need its inputs quantised. */
static int products(int n, weight_dtype dtype)
{
    return dtype == WEIGHT_Q8 ? 2 * n : n;
}

/* Orders and pixels are copied, patches cut, embedded (never by 8-bit weights) and joined by their
 * class token, normed; a layer has two norms, an attention and four products. */
int dispatches_vision(const deer_config *c, weight_dtype dtype)
{
    return 2 + 4 + c->vision_layers * (3 + products(4, dtype));
}

/* Latents for each image, and a norm behind the layers, which have four norms, an attention and
 * five products. */
int dispatches_resampler(const deer_config *c, weight_dtype dtype)
{
    return 2 + c->resampler_layers * (5 + products(5, dtype));
}

/* Two norms, an attention and four products, or five with cross-attention, which has its own. */
int dispatches_layer(const deer_config *c, weight_dtype dtype, bool cross)
{
    int own = 3 + products(4, dtype) + (c->block == DEER_BLOCK_MPT_1B); /* q and k are normed */

    return own + (cross ? 3 + products(5, dtype) : 0);
}

int dispatches_step(const deer_config *c, weight_dtype dtype)
{
    return 3 + products(c->lstm_layers, dtype) + 4;
}

/* Pooling, LSTM layers, the two MLPs, the decision. */
int dispatches_head(const deer_config *c, weight_dtype dtype, bool first)
{
    int lstm = products(1, dtype) + 1 + (c->lstm != DEER_LSTM_PLAIN);
    int mlp =
        products(c->head_mlp_layers + 1, dtype) + (c->head_mlp_layernorm ? c->head_mlp_layers : 0);

    return 1 + first + c->lstm_layers * lstm + 2 * mlp + 1;
}

int submissions_of_step(int exit, bool last)
{
    return 1 + (exit + 1) + !last + 1;
}
