/* SPDX-License-Identifier: MIT */
/* official.h - the thresholds of the official code, to the last bit.
 *
 *   official_steps steps;
 *   float fractions[DEER_MAX_EXITS], tau[DEER_MAX_EXITS];
 *   if (official_take(values, n, exits, &steps, &err)) ...
 *   official_fractions(OFFICIAL_EXP, 0.8, false, exits, fractions);
 *   official_thresholds(&steps, exits, fractions, tau);
 *   official_free(&steps);
 *
 * One assumes how many steps leave at each exit (a distribution with one parameter) and reads the
 * thresholds off the sequential quantiles of the criterion values.
 * Source: official ExitController.set_threshold (robot_flamingo/models/value_net.py), leq mode.
 */
#ifndef CALIB_OFFICIAL_H
#define CALIB_OFFICIAL_H

#include <stdint.h>

#include "calib/problem/smallest.h"
#include "runtime/deer.h"

#define OFFICIAL_NEVER (-1e8f) /* the official threshold of an exit that is never taken */
#define OFFICIAL_ALWAYS 1e8f   /* and of the deepest exit */

typedef enum {
    OFFICIAL_EXP,   /* ratio^(k+1) */
    OFFICIAL_GAUSS, /* a bell of width 1 around exit `parameter` (0-based, any real) */
    OFFICIAL_GAMMA, /* gamma density of shape `parameter` and scale 2 at k+1 */
} official_distribution;

/* "exp", "gauss", "gamma"; NULL for no such value. */
const char *official_name(official_distribution distribution);

/* Assumed exit fractions of `exits` exits, summing to 1, in the official float32 arithmetic.
 * skip_first sets the first exit's to zero (what the official code does for the 9B model). All zero
 * or not finite when the parameter makes the densities underflow: such fractions never exit. */
void official_fractions(official_distribution distribution, double parameter, bool skip_first,
                        int exits, float *fractions);

/* Criterion values of steps, borrowed, and which steps have left. */
typedef struct {
    const float *values; /* [exits, n] */
    uint32_t *order;     /* [exits, n] ascending, of few steps of one rank; NULL of many, */
    smallest_column column[DEER_MAX_EXITS]; /* [exits] where each quantile is counted */
    uint8_t *gone;                          /* [n] scratch */
    int64_t n, all; /* this rank's and everybody's: one and the same unless spread is set */
    bool spread;
    int exits;
} official_steps;

/* Of values [exits, n], this rank's where they are spread over the ranks of a cluster;
 * official_free frees. */
deer_status official_take(const float *values, int64_t n, int exits, official_steps *steps,
                          deer_error *err);
deer_status official_take_spread(const float *values, int64_t n, int exits, official_steps *steps,
                                 deer_error *err);
void official_free(official_steps *steps);

/* Thresholds of the first `exits` exits (at most steps->exits) for given fractions: tau_k is the
 * floor(n * fraction_k)-th smallest value among the steps that have not left before, equal values
 * leave together, OFFICIAL_NEVER when there is no such step; the last is OFFICIAL_ALWAYS. */
void official_thresholds(official_steps *steps, int exits, const float *fractions, float *tau);

#endif
