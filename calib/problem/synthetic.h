/* SPDX-License-Identifier: MIT */
/* synthetic.h - made-up calibration problems with a known character, for tests and benches.
 *
 *   synthetic_spec spec = synthetic_default(6, 200, 7);     // 6 exits, 200 episodes, seed 7
 *   spec.useless = 0.4;
 *   if (synthetic_make(&spec, &s, &err)) ...
 *
 * Every step has a hidden difficulty that drifts through its episode (first-order autoregressive,
 * with heavy-tailed jumps); an exit's loss falls with depth and rises with difficulty; delta_k is
 * the change of the action since the exit before, seen through noise. A useless exit repeats the
 * one before it: its loss does not fall, and its delta is small whatever the difficulty. */
#ifndef CALIB_SYNTHETIC_H
#define CALIB_SYNTHETIC_H

#include "calib/problem/steps.h"

typedef struct {
    int exits;
    int episodes;
    int shortest, longest; /* steps of an episode, uniform */
    uint64_t seed;
    double persistence; /* autocorrelation of the difficulty, 0..1 */
    double tail;        /* degrees of freedom of the jumps: small is heavy */
    double noise;       /* how badly delta shows the loss */
    double useless;     /* share of the exits that add nothing (the first never is) */
    bool expected;      /* losses are what the difficulty makes expect: the same world without the
                           part of a loss that nothing a rule may see tells of */
} synthetic_spec;

synthetic_spec synthetic_default(int exits, int episodes, uint64_t seed);

/* Fills s (steps_alloc; the caller frees). Which exits are useless depends on exits and useless
 * alone, so that two seeds are draws from one world. Costs are 1..exits over exits. */
deer_status synthetic_make(const synthetic_spec *spec, steps *s, deer_error *err);

#endif
