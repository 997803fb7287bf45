/* SPDX-License-Identifier: MIT */
/* criteria.h - the criteria that thresholds can be calibrated for, one line each.
 *
 *   const criterion *how = criterion_named("combined");
 *   if (how->fit && how->fit(cache, model, &spec, score, &err)) ...
 *
 * What a criterion says of a step is the runtime's business (deer_criterion); here is what
 * calibration has to do for it, and what it needs to be calibrated at all.
 */
#ifndef CALIB_CRITERIA_H
#define CALIB_CRITERIA_H

#include "calib/criterion/combined.h"

enum {
    CRITERION_NEEDS_CACHE = 1,  /* actions: a table or a checkpoint's values do not do */
    CRITERION_NEEDS_BEFORE = 2, /* the step before: no history of single steps */
    CRITERION_NEEDS_DEER = 4,   /* the official code does not know it */
};

typedef struct {
    deer_criterion id; /* its name is deer_criterion_name(id) */
    unsigned needs;
    /* Fits score [DEER_MAX_EXITS] before thresholds are solved on it; NULL: nothing is fitted. */
    deer_status (*fit)(cache *c, const deer_model *model, const combined_spec *spec,
                       deer_score *score, deer_error *err);
} criterion;

/* The i-th, NULL behind the last. */
const criterion *criterion_at(int i);

/* By name, NULL where there is none; by the runtime's number. */
const criterion *criterion_named(const char *name);
const criterion *criterion_of(deer_criterion id);

#endif
