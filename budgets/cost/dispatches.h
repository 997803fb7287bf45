/* SPDX-License-Identifier: MIT */
/* dispatches.h - how often deer's own kernels are started on a GPU: dispatches and copies of each
 * stage, one behind the other (runtime/gpu/program.c; tests/gpu/test_gpu.c holds the two equal). */
#ifndef BUDGETS_DISPATCHES_H
#define BUDGETS_DISPATCHES_H

#include "runtime/base/dtype.h"
#include "runtime/deer.h"

/* Inputs of 8-bit weights are quantised by a dispatch of their own before each product. */
int dispatches_vision(const deer_config *config, weight_dtype dtype);
int dispatches_resampler(const deer_config *config, weight_dtype dtype);
int dispatches_layer(const deer_config *config, weight_dtype dtype, bool cross);

/* Once a step: orders and instruction, W_hh h, and the state that is kept. */
int dispatches_step(const deer_config *config, weight_dtype dtype);

/* An evaluation of the head with what decides behind it; the first one pools two rows. */
int dispatches_head(const deer_config *config, weight_dtype dtype, bool first);

/* What a step that leaves at exit k hands over: images, each exit, the one ahead, the state. */
int submissions_of_step(int exit, bool last);

#endif
