/* SPDX-License-Identifier: MIT */
/* stages.h - the work of each stage of a step: arithmetic, bytes moved, products.
 *
 * What a machine needs to know of a model: latency.h divides it by what the machine can do.
 */
#ifndef BUDGETS_STAGES_H
#define BUDGETS_STAGES_H

#include "budgets/cost/cost.h"

/* One run of a stage. */
typedef struct {
    uint64_t macs;
    uint64_t weight_bytes;     /* read once each run */
    uint64_t activation_bytes; /* operands read and results written by its products */
    int products;              /* matrix products, attention scores and weighted sums included */
    int dispatches;            /* of deer's own kernels on a GPU (dispatches.h) */
} deer_work;

typedef struct {
    deer_work vision;                    /* both images, as one batch */
    deer_work resampler;                 /* both images */
    deer_work vision_one, resampler_one; /* of one image */
    deer_work media_one; /* keys and values of one image's media in a layer with cross-attention */
    deer_work layer_with_cross;
    deer_work layer_without_cross;
    deer_work head_recurrent;  /* W_hh h: once a step */
    deer_work head_first;      /* pseudo exit and first exit together, without the above */
    deer_work head_evaluation; /* each exit behind the first, likewise */
} deer_stages;

enum { DEER_MOST_CAMERAS = 4 };

/* What a step is given, and of which type the weights of each part are. */
typedef struct {
    int cameras; /* 1 to DEER_MOST_CAMERAS; the models there are have 2 */
    int tokens;  /* of the instruction */
    weight_dtype vision, resampler, decoder, head;
} deer_load;

/* Both cameras, every part of one type. */
deer_load deer_load_of(int tokens, weight_dtype dtype);

/* The work of each stage for such a load: as below, with "both images" those of all cameras. */
void deer_stages_of_load(const deer_config *config, const deer_load *load, deer_stages *stages);

/* The work of each stage for an instruction of `tokens` text tokens (cut to config->max_text).
 * MACs add up to those of deer_cost_of. Activations are 32-bit numbers where weights are f32 and
 * 16-bit ones otherwise; attention scores stay on chip. Pure arithmetic. */
void deer_stages_of(const deer_config *config, int tokens, weight_dtype dtype, deer_stages *stages);

/* The work of decoder layer i, 0-based. */
const deer_work *deer_stages_layer(const deer_config *config, const deer_stages *stages, int i);

#endif
