/* SPDX-License-Identifier: MIT */
/* steps.h - the calibration problem in memory: what every step would cost and lose at every exit.
 *
 *   steps s;
 *   if (steps_alloc(n, exits, groups, &s, &err)) ...
 *   ... fill s.delta, s.loss, s.cost, s.group, s.episode ...
 *   if (steps_check(&s, &err)) ...
 *   steps_evaluate(&s, tau, max_exit, &e);      // e.cost, e.loss, e.fraction
 *   steps_free(&s);
 *
 * A step leaves at the first exit k with delta_k <= tau_k, and at max_exit whatever its delta is:
 * the runtime's rule, in float32 like there. A delta that is no finite number never leaves, not
 * even at a threshold of infinity. Columns lie one exit behind the other.
 */
#ifndef CALIB_STEPS_H
#define CALIB_STEPS_H

#include <stdint.h>

#include "runtime/deer.h"

#define STEPS_MAX ((int64_t)1 << 31) /* as many steps or more are refused */
#define STEPS_MAX_GROUPS 1024

typedef struct {
    int64_t n;    /* N, steps */
    int exits;    /* K */
    float *delta; /* [K, N]; once checked finite, or NaN where an exit must not be taken */
    float *loss;  /* [K, N], finite; once checked rounded for exact sums: steps_check */

    /* Over the ranks of a cluster (calib/cluster/cluster.h): n are this rank's, whole episodes, and
     * none maybe; what functions say is of all. Else all is n. */
    bool spread;
    int64_t all, first; /* everybody's; and how many come before this rank's */

    /* Steps of one group cost the same: a group is an instruction length in tokens. */
    int groups;      /* G */
    double *cost;    /* [G, K], finite, not falling from one exit to the next */
    uint16_t *group; /* [N] */

    int episodes;     /* of all ranks */
    int32_t *episode; /* [N], 0 .. episodes-1, each one's steps together and in time order */
} steps;

/* Allocates all columns, zeroed. Fails for sizes out of range (n, exits or groups below 1 or too
 * many) and when out of memory. steps_free frees, also a zeroed struct. */
deer_status steps_alloc(int64_t n, int exits, int groups, steps *s, deer_error *err);
void steps_free(steps *s);

/* The same spread over the ranks, each with its n; those may be 0, all together not. */
deer_status steps_alloc_spread(int64_t n, int exits, int groups, steps *s, deer_error *err);

/* Makes the columns fit their promises: infinite deltas become NaN (such an exit is never taken, as
 * in the runtime); a loss that is not finite, a cost that falls, a group or episode out of range is
 * an error. Losses are rounded to multiples of a power of two, 2^-48 of the largest loss for a few
 * steps and 2^-24 for 2^26 of them, so that doubles hold every sum of them: then it is the same in
 * whatever order, and on however many ranks, they are added up. Where that would leave nothing of
 * most losses, beside one that is huge, they stay as they are; on many ranks it is an error. */
deer_status steps_check(steps *s, deer_error *err);

/* What thresholds do on average over all steps. */
typedef struct {
    double cost, loss;               /* means over the steps */
    double fraction[DEER_MAX_EXITS]; /* of steps leaving at each exit */
    int64_t count[DEER_MAX_EXITS];   /* the same, counted */
} evaluation;

/* Evaluates tau [max_exit + 1] (the last is ignored) in one pass. */
void steps_evaluate(const steps *s, const float *tau, int max_exit, evaluation *e);

/* Mean cost under another cost table [G, K] than s->cost (the other scope, say). */
double steps_mean_cost(const steps *s, const double *cost, const float *tau, int max_exit);

/* Cost of one step of the dearest group at exit k. */
double steps_peak(const steps *s, int k);

/* Mean cost when every step leaves at exit k; under another cost table. */
double steps_fixed_cost(const steps *s, int k);
double steps_cost_at(const steps *s, const double *cost, int k);

/* The thresholds [max_exit + 1] that cost least: every step leaves at the first exit whose delta is
 * a number. Returns their mean cost, below which there is no budget; it is that of the first exit
 * when all of its deltas are numbers. */
double steps_cheapest(const steps *s, int max_exit, float *tau);

/* Whether any step may not leave at some exit before max_exit. */
bool steps_have_gaps(const steps *s, int max_exit);

/* A copy of the steps of the episodes with chosen[episode] set; episodes are renumbered. */
deer_status steps_select(const steps *s, const bool *chosen, steps *part, deer_error *err);

/* Every stride-th step of all, the first one first, on every rank; episodes keep their numbers. */
deer_status steps_sample(const steps *s, int64_t stride, steps *sample, deer_error *err);

#endif
