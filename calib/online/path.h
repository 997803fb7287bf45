/* SPDX-License-Identifier: MIT */
/* path.h - thresholds as points of the unit cube, along the path that the solver found.
 *
 *   online_path path = {.t = thresholds, .budget = 0.0045};
 *   online_path_tau(&path, 3, x, tau);
 *
 * x[0] goes along the dial, from 0.7 to 1.3 of the budget; x[1] moves thresholds from early exits
 * to late ones, x[2] the first exit's, x[3] the second's, by up to a factor of 3 either way. The
 * middle is the dial at the budget: the offline answer.
 */
#ifndef CALIB_PATH_ONLINE_H
#define CALIB_PATH_ONLINE_H

#include "runtime/deer.h"

typedef struct {
    const deer_thresholds *t; /* with a dial */
    double budget;            /* GFLOPs, in the thresholds' scope */
} online_path;

/* tau [max_exit + 1] of x [d]; never and always stay what they are. */
void online_path_tau(const online_path *path, int d, const double *x, float *tau);

/* What the dial expects these to cost; context is the path. */
double online_path_cost(const void *context, const double *x);

#endif
