/* SPDX-License-Identifier: MIT */
/* weights.h - how many numbers each module holds, by how a model file stores them.
 *
 * docs/model-file.md has the types: a bf16 file keeps vectors and norms in f32, and a q8 file has
 * one byte a weight for matrices, with an f32 scale a row, and bf16 for what is not multiplied by
 * the small products (the embedding table, the patch embedding).
 */
#ifndef BUDGETS_WEIGHTS_H
#define BUDGETS_WEIGHTS_H

#include "budgets/cost/cost.h"

typedef struct {
    uint64_t matrices; /* weights of linear layers */
    uint64_t rows;     /* rows of those matrices: outputs */
    uint64_t tables;   /* embedding table, patch embedding */
    uint64_t vectors;  /* biases, norms, gates, positions, latents, class token */
} deer_weights;

deer_weights weights_vision(const deer_config *c);
deer_weights weights_resampler(const deer_config *c);
deer_weights weights_embedding(const deer_config *c);
deer_weights weights_cross(const deer_config *c);          /* one layer's cross-attention */
deer_weights weights_decoder(const deer_config *c);        /* one layer without it */
deer_weights weights_layer(const deer_config *c, int i);   /* layer i with what it has */
deer_weights weights_head_recurrent(const deer_config *c); /* W_hh of all LSTM layers */
deer_weights weights_head(const deer_config *c);           /* all of the head, W_hh included */

deer_weights weights_add(deer_weights a, deer_weights b);
deer_weights weights_times(uint64_t n, deer_weights a);
uint64_t weights_count(deer_weights w);

/* Exact bytes in a model file of that dtype. */
uint64_t weights_bytes(deer_weights w, weight_dtype dtype);

#endif
