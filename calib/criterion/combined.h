/* SPDX-License-Identifier: MIT */
/* combined.h - fits the combined criterion: what stopping at an exit is expected to lose.
 *
 *   deer_score score[DEER_MAX_EXITS];
 *   if (combined_fit(cache, model, &spec, score, &err)) ...
 *   problem.score = score;                    // and solve for thresholds on it
 *
 * At each exit the loss of stopping there is regressed (regression.h) on the logarithms of the
 * signals that the runtime has there (deer_signal). A robot's history is made by the thresholds
 * that are still to be found, so it is fitted on steps with an exit drawn at random at every one:
 * one score then serves every budget, and the points of a dial.
 */
#ifndef CALIB_COMBINED_H
#define CALIB_COMBINED_H

#include "calib/problem/calibration.h"
#include "runtime/deer_replay.h"

#define COMBINED_ALL 0u

typedef struct {
    calibration_spec problem; /* its criterion is the combined one, its score NULL */
    const bool *episodes;     /* [about.episodes] those to fit on; NULL: all */
    unsigned signals;         /* bit j: signal j may be used; COMBINED_ALL: every one */
    uint64_t seed;
    int threads;
} combined_spec;

/* Fills score [DEER_MAX_EXITS]. model NULL: on the history that was cached. Looks at no more than
 * about 20,000 steps. */
deer_status combined_fit(cache *c, const deer_model *model, const combined_spec *spec,
                         deer_score *score, deer_error *err);

#endif
