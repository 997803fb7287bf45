/* SPDX-License-Identifier: MIT */
/* weights.c - how many numbers each module holds, by how a model file stores them. */
#include "budgets/cost/weights.h"

#include "budgets/cost/modules.h"

static uint64_t u(int dimension)
{
    return (uint64_t)dimension;
}

/* ---------------------------------------------------------------- sums --------------------- */

deer_weights weights_add(deer_weights a, deer_weights b)
{
    return (deer_weights){a.matrices + b.matrices, a.rows + b.rows, a.tables + b.tables,
                          a.vectors + b.vectors};
}

deer_weights weights_times(uint64_t n, deer_weights a)
{
    return (deer_weights){n * a.matrices, n * a.rows, n * a.tables, n * a.vectors};
}

uint64_t weights_count(deer_weights w)
{
    return w.matrices + w.tables + w.vectors;
}

uint64_t weights_bytes(deer_weights w, weight_dtype dtype)
{
    const weight_form *f = &weight_forms[dtype];

    return u(f->weight) * w.matrices + u(f->row) * w.rows + u(f->table) * w.tables + 4 * w.vectors;
}

/* A linear layer [out, in]. */
static void linear(deer_weights *w, uint64_t out, uint64_t in)
{
    w->matrices += out * in;
    w->rows += out;
}

/* The same with a bias. */
static void linear_bias(deer_weights *w, uint64_t out, uint64_t in)
{
    linear(w, out, in);
    w->vectors += out;
}

/* ---------------------------------------------------------------- modules ------------------ */

deer_weights weights_vision(const deer_config *c)
{
    uint64_t w = u(c->vision_width), m = u(c->vision_mlp), p = u(c->patch_size);
    deer_weights block = {0}, around = {0};

    linear_bias(&block, 3 * w, w); /* q, k, v */
    linear_bias(&block, w, w);     /* output projection */
    linear_bias(&block, m, w);
    linear_bias(&block, w, m);
    block.vectors += 4 * w; /* ln_1, ln_2 */

    around.tables = w * 3 * p * p;                 /* patch embedding */
    around.vectors = w                             /* class token */
                     + (module_patches(c) + 1) * w /* positions */
                     + 2 * w /* ln_pre */;
    return weights_add(around, weights_times(u(c->vision_layers), block));
}

deer_weights weights_resampler(const deer_config *c)
{
    uint64_t w = u(c->vision_width), m = u(c->resampler_mlp);
    uint64_t inner = u(c->resampler_heads) * u(c->resampler_head_dim);
    deer_weights layer = {0}, around = {0};

    linear(&layer, inner, w);     /* to_q */
    linear(&layer, 2 * inner, w); /* to_kv */
    linear(&layer, w, inner);     /* to_out */
    linear(&layer, m, w);
    linear(&layer, w, m);
    layer.vectors += 4 * w + 2 * w; /* norms of media and latents, of the MLP */

    around.vectors = u(c->resampler_latents) * w + 2 * w /* last norm */;
    return weights_add(around, weights_times(u(c->resampler_layers), layer));
}

deer_weights weights_embedding(const deer_config *c)
{
    return (deer_weights){.tables = u(c->vocab) * u(c->d_model)};
}

deer_weights weights_cross(const deer_config *c)
{
    uint64_t d = u(c->d_model), inner = u(c->cross_heads) * u(c->cross_head_dim);
    deer_weights w = {.vectors = 2 /* gates */ + 4 * d /* norms of attention and MLP */};

    linear(&w, inner, d);                      /* to_q */
    linear(&w, 2 * inner, u(c->vision_width)); /* to_kv */
    linear(&w, d, inner);                      /* to_out */
    linear(&w, u(c->cross_mlp), d);
    linear(&w, d, u(c->cross_mlp));
    return w;
}

deer_weights weights_decoder(const deer_config *c)
{
    uint64_t d = u(c->d_model), qk_norms = c->block == DEER_BLOCK_MPT_1B ? 2 * d : 0;
    deer_weights w = {.vectors = 2 * d + qk_norms};

    linear(&w, 3 * d, d); /* q, k, v */
    linear(&w, d, d);     /* output projection */
    linear(&w, u(c->mlp), d);
    linear(&w, d, u(c->mlp));
    return w;
}

deer_weights weights_layer(const deer_config *c, int i)
{
    deer_weights w = weights_decoder(c);

    return module_has_cross(c, i) ? weights_add(w, weights_cross(c)) : w;
}

deer_weights weights_head_recurrent(const deer_config *c)
{
    uint64_t h = u(c->lstm_hidden);
    deer_weights w = {0};

    for (int i = 0; i < c->lstm_layers; i++)
        linear(&w, 4 * h, h);
    return w;
}

/* The pose or the gripper MLP. */
static deer_weights head_mlp(const deer_config *c, uint64_t outputs)
{
    uint64_t in = u(c->lstm_hidden);
    deer_weights w = {0};

    for (int i = 0; i < c->head_mlp_layers; i++) {
        linear_bias(&w, u(c->head_mlp[i]), in);
        in = u(c->head_mlp[i]);
        w.vectors += c->head_mlp_layernorm ? 2 * in : 0;
    }
    linear_bias(&w, outputs, in);
    return w;
}

deer_weights weights_head(const deer_config *c)
{
    uint64_t h = u(c->lstm_hidden);
    deer_weights w = weights_head_recurrent(c);

    for (int i = 0; i < c->lstm_layers; i++) {
        linear(&w, 4 * h, i ? h : u(c->d_model));
        w.vectors += 8 * h /* b_ih, b_hh */ + (c->lstm == DEER_LSTM_LAYERNORM ? 2 * h : 0);
    }
    return weights_add(w, weights_add(head_mlp(c, DEER_POSE), head_mlp(c, 1)));
}
