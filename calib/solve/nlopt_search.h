/* SPDX-License-Identifier: MIT */
/* nlopt_search.h - global search for thresholds by NLopt, in quantile coordinates.
 *
 * A threshold is the share of steps whose delta is at or below it, so every coordinate lives in
 * 0..1 and equal distances mean equally many steps. CRS2-LM (controlled random search with local
 * mutation) explores from the best start, SBPLX polishes. The budget enters as an exact penalty: a
 * unit of cost above it is charged more than any unit below it can earn. Deterministic for a seed;
 * one search at a time in a process (NLopt's random numbers are global). */
#ifndef CALIB_NLOPT_SEARCH_H
#define CALIB_NLOPT_SEARCH_H

#include "calib/solve/coordinate.h"

typedef struct {
    double budget;
    double price; /* of a unit of cost in loss, roughly: the oracle's or the coordinate search's */
    uint64_t seed;
    long evaluations; /* of the global phase */
} nlopt_search_spec;

/* Improves best, which must keep the budget and comes back keeping it, never worse. Returns how
 * many candidates were evaluated. */
long nlopt_search(const grid *g, const nlopt_search_spec *spec, candidate *best);

#endif
