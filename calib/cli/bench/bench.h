/* SPDX-License-Identifier: MIT */
/* bench.h - the parts of deer-calib bench that are files of their own. */
#ifndef CALIB_BENCH_H
#define CALIB_BENCH_H

#include "runtime/deer.h"

/* Prints, for made-up problems, what our thresholds close of the gap from the official heuristic to
 * the per-step oracle, and what no rule can exceed. */
deer_status bench_limits(deer_error *err);

/* Prints how often guarantees break: every world, number of episodes and order they are stored in.
 */
deer_status bench_coverage(int draws, deer_error *err);

/* How much of a guaranteed budget is used, of the generator's episodes. */
deer_status bench_budgets(int draws, deer_error *err);

/* How often an average cost, a fraction of full depth, that is promised on random halves of the
 * cache's episodes is exceeded on the other halves. */
deer_status bench_halves(const char *dir, int draws, double fraction, deer_error *err);

/* Prints how much of the gap rules close that see more than delta, on the cache in folder dir,
 * whose model must be where the cache says. */
deer_status bench_signals(const char *dir, int threads, deer_error *err);

#endif
