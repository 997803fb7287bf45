/* SPDX-License-Identifier: MIT */
/* bench_signals.h - whether more signals than delta would make a better rule. */
#ifndef CALIB_BENCH_SIGNALS_H
#define CALIB_BENCH_SIGNALS_H

#include "runtime/deer.h"

/* Prints how much of the gap rules close that see more than delta, on the cache in folder dir,
 * whose model must be where the cache says. */
deer_status bench_signals(const char *dir, int threads, deer_error *err);

#endif
