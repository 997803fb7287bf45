/* SPDX-License-Identifier: MIT */
/* bench_limits.h - how much of the gap to the oracle can be closed at all. */
#ifndef CALIB_BENCH_LIMITS_H
#define CALIB_BENCH_LIMITS_H

#include "runtime/deer.h"

/* Prints, for made-up problems, what our thresholds close of the gap from the official heuristic to
 * the per-step oracle, and what no rule can exceed. */
deer_status bench_limits(deer_error *err);

#endif
