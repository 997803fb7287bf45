/* SPDX-License-Identifier: MIT */
/* grid.h - the calibration problem with deltas replaced by their ranks: what the searches run on.
 *
 *   grid g;
 *   if (grid_make(&s, max_exit, &g, &err)) ...
 *   grid_evaluate(&g, cut, &loss, &cost);
 *   grid_thresholds(&g, cut, tau);
 *   grid_free(&g);
 *
 * Exit k's distinct deltas are numbered in ascending order, its levels; a cut c takes the c
 * smallest levels: the exit is taken when the step's level is below c. 0 never exits. Up to 65,535
 * distinct values every one is a level of its own and nothing is lost; beyond, neighbouring values
 * share a level (equal values always do), which only coarsens where a threshold may lie;
 * grid_make_near puts the fine levels where thresholds are. The levels are 16 bits, so a pass over
 * them moves half the memory that deltas would.
 */
#ifndef CALIB_GRID_H
#define CALIB_GRID_H

#include "calib/problem/steps.h"

#define GRID_LEVELS 65535 /* the code 65535 itself means: never */

typedef struct {
    int64_t n;             /* steps */
    int64_t all;           /* of all ranks, where the steps are spread over them: */
    bool spread;           /* n are this rank's then, and all else is of everybody's */
    bool alike;            /* all ranks have these same steps, and search them together */
    int exits;             /* allowed: max_exit + 1; the last always exits and has no levels */
    uint16_t *level;       /* [exits - 1, n] */
    const float *loss;     /* [exits, n], the steps' own */
    const uint16_t *group; /* [n], likewise */
    double *cost;          /* [groups, exits] */
    double *part; /* [groups, exits, 2] that add up to cost, each such that sums are exact */
    int groups;
    bool exact;                 /* every distinct delta has a level of its own */
    int levels[DEER_MAX_EXITS]; /* of each exit that has a threshold */
    float *smallest[DEER_MAX_EXITS], *largest[DEER_MAX_EXITS]; /* [levels], deltas of each */
    int64_t *below[DEER_MAX_EXITS]; /* [levels + 1], steps below each cut */
} grid;

/* Ranks the steps of s, which stay as they are until grid_free. max_exit is the deepest exit
 * allowed. */
deer_status grid_make(const steps *s, int max_exit, grid *g, deer_error *err);

/* Ranks all steps so that thresholds tau [max_exit] are cuts exactly, however many distinct deltas
 * there are, and about 16,000 of the steps on either side of each have levels of their own. */
deer_status grid_make_near(const steps *s, int max_exit, const float *tau, grid *g,
                           deer_error *err);
void grid_free(grid *g);

/* Mean loss and cost of cuts [exits - 1]. */
void grid_evaluate(const grid *g, const int *cut, double *loss, double *cost);

/* The same in two: the exit [n] that each step takes, and what those lose and cost. */
void grid_exits(const grid *g, const int *cut, uint16_t *exit);
void grid_sum(const grid *g, const uint16_t *exit, double *loss, double *cost);

/* Float thresholds that choose the same steps as the cuts, halfway to the next larger delta so that
 * rounding in the last bit does not matter; -infinity never exits; tau [exits], the last +infinity.
 */
void grid_thresholds(const grid *g, const int *cut, float *tau);

/* The largest cuts that take no delta above tau [exits - 1]. */
void grid_cuts(const grid *g, const float *tau, int *cut);

/* The cut of exit k whose share of all steps is nearest to quantile (0..1) from below. */
int grid_quantile_cut(const grid *g, int k, double quantile);

/* Share of all steps below a cut. */
double grid_cut_quantile(const grid *g, int k, int cut);

#endif
