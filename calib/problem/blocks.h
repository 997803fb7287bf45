/* SPDX-License-Identifier: MIT */
/* blocks.h - sums over a block of steps whose exits are chosen; shared by the evaluators of deltas
 * (steps.h) and of ranks (grid.h). A block stays in the first-level cache. */
#ifndef CALIB_BLOCKS_H
#define CALIB_BLOCKS_H

#include <stdint.h>

enum { BLOCK = 4096 }; /* steps; counts within a block fit 16 bits */

/* Adds to count [exits] how many of chosen [m] are each exit. */
void block_add_counts(const uint16_t *restrict chosen, int m, int exits, int64_t *count);

/* Sum of loss [exits, n] at the chosen exits of steps from .. from + m - 1. */
double block_sum_loss(const float *loss, int64_t n, int64_t from, const uint16_t *restrict chosen,
                      int m, int exits);

/* Adds to count [groups, exits] how many of steps of the given groups [m] take each exit. */
void block_add_group_counts(const uint16_t *restrict group, const uint16_t *restrict chosen, int m,
                            int groups, int exits, int64_t *restrict count);

/* The sum of cost [groups, exits] over steps counted like that, in their order: the same however
 * they were counted. */
double block_cost(const double *cost, const int64_t *count, int groups, int exits);

#endif
