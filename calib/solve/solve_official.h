/* SPDX-License-Identifier: MIT */
/* solve_official.h - the official heuristics, their one parameter turned to meet a budget. */
#ifndef CALIB_SOLVE_OFFICIAL_H
#define CALIB_SOLVE_OFFICIAL_H

#include "calib/solve/solve.h"

/* The parameter with the greatest mean cost within the budget, by bisection (cost grows with every
 * one of the three parameters, up to ties; where deltas are no numbers it may not, and a scan of
 * the range comes first), and its thresholds. False when no parameter keeps the
 * budget. taken: s->delta, taken once. */
bool solve_official(const steps *s, official_steps *taken, official_distribution distribution,
                    double budget, int max_exit, solution *x);

#endif
