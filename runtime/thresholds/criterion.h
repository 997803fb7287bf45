/* SPDX-License-Identifier: MIT */
/* criterion.h - the criteria, one line each: what a threshold of an exit is compared with.
 *
 *   const exit_criterion *how = exit_criterion_of(t->criterion);
 *   value = how->evaluate(pose, previous);
 *   if (how->needs & CRITERION_NEEDS_SCORE) ... value is one signal among others ...
 *
 * What files, sessions and replay know of a criterion they take from here. What calibration does
 * for one is the table in calib/criterion/criteria.c.
 */
#ifndef RUNTIME_CRITERION_H
#define RUNTIME_CRITERION_H

#include "runtime/deer_replay.h"

enum {
    CRITERION_NEEDS_SCORE = 1, /* several signals and a fitted score of them (deer_score) */
};

typedef struct {
    const char *name; /* in files and on command lines */
    unsigned needs;
    /* How far an exit's pose is from the previous exit's; NaN when either is. With
     * CRITERION_NEEDS_SCORE, what stands in for it until a score is fitted. */
    float (*evaluate)(const float pose[DEER_POSE], const float previous[DEER_POSE]);
} exit_criterion;

/* The line of a criterion; NULL for numbers that are none. */
const exit_criterion *exit_criterion_of(deer_criterion id);

/* By name, which may be NULL; false, and *id untouched, when there is none of that name. */
bool exit_criterion_named(const char *name, deer_criterion *id);

#endif
