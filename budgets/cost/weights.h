/* SPDX-License-Identifier: MIT */
/* weights.h - how many numbers each part holds, and the bytes they take in a model file: arch.h,
 * summed up. docs/model-file.md has the types. */
#ifndef BUDGETS_WEIGHTS_H
#define BUDGETS_WEIGHTS_H

#include <stdint.h>

#include "runtime/model/arch.h"

typedef struct {
    uint64_t matrices; /* weights of linear layers */
    uint64_t rows;     /* rows of those matrices: outputs */
    uint64_t tables;   /* embedding table, patch embedding */
    uint64_t vectors;  /* biases, norms, gates, positions, latents, class token */
} deer_weights;

/* A part's; of the decoder's, one layer's. */
deer_weights weights_of(const deer_config *config, arch_part part);
deer_weights weights_layer(const deer_config *config, int i); /* decoder layer i, all it has */
deer_weights weights_recurrent(const deer_config *config);    /* W_hh of all LSTM layers */

deer_weights weights_add(deer_weights a, deer_weights b);
uint64_t weights_count(deer_weights w);

/* Exact bytes in a model file of that dtype. */
uint64_t weights_bytes(deer_weights w, weight_dtype dtype);

#endif
