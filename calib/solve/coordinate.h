/* SPDX-License-Identifier: MIT */
/* coordinate.h - exact coordinate search for thresholds.
 *
 * With all thresholds but one fixed, what that one does to the sums of loss and cost is known for
 * all its values at once: sort the steps that reach the exit by delta, and add up what changes as
 * each, in that order, leaves there instead of going on. The best value is the least prefix sum.
 * Exits are visited from the deepest to the first, so that one backward pass keeps what every step
 * would get by going on.
 *
 * Under a budget the sum is loss + lambda * cost, with an outer bisection on lambda (coordinate_
 * descend, coordinate_search); that leaves the solutions off the lower convex hull unreached, so
 * coordinate_fill then takes the least loss among the values that keep the budget itself. */
#ifndef CALIB_COORDINATE_H
#define CALIB_COORDINATE_H

#include "calib/solve/grid.h"

/* A solution on a grid. */
typedef struct {
    int cut[DEER_MAX_EXITS];
    double loss, cost; /* means on the grid */
} candidate;

/* Scratch memory for one grid, and the best that was found for a few smaller budgets. */
typedef struct coordinate coordinate;

deer_status coordinate_new(const grid *g, coordinate **c, deer_error *err);
void coordinate_free(coordinate *c);

/* Sweeps until no cut improves loss + lambda * cost (at most `sweeps` times). */
void coordinate_descend(coordinate *c, double lambda, int sweeps, candidate *x);

/* Sweeps until no single cut lowers the loss within cost <= budget; x must keep the budget. */
void coordinate_fill(coordinate *c, double budget, int sweeps, candidate *x);

/* Moves two cuts at once: one goes up or down by 1, 2, 4, .. levels, another answers with its best
 * within the budget. Neighbouring exits first; until nothing improves, or `work` (steps times exits
 * looked at) is used up. */
void coordinate_pairs(coordinate *c, double budget, double work, candidate *x);

/* The whole search within cost <= budget. best holds the start, which must keep the budget, and is
 * only ever replaced by something better. starts [n_starts] seed the descents besides. What they
 * find within smaller budgets is filled up from one to the next, and to this one: with a few large
 * losses a search within a large budget alone does not find what one within a smaller would have.
 * Returns the last lambda: what a unit of cost is worth in loss. */
double coordinate_search(coordinate *c, double budget, const candidate *starts, int n_starts,
                         candidate *best);

/* Changes one to three cuts of best at random, `kicks` times, and lets all answer; what is better
 * stays. Deterministic for a seed. best must keep the budget. */
void coordinate_kicks(coordinate *c, double budget, uint64_t seed, int kicks, candidate *best);

/* Passes over the grid made so far. */
long coordinate_passes(const coordinate *c);

#endif
