/* SPDX-License-Identifier: MIT */
/* usage.h - a budget side by side: asked, expected, used.
 *
 *   usage u = usage_of(thresholds, NAN, sum, steps, episodes);
 *   usage_print(stdout, &u);
 *
 * Steps of an episode are alike, so episodes are the units of the interval: it says how far off the
 * average of many more episodes like these may be, at 95%.
 */
#ifndef BUDGETS_USAGE_H
#define BUDGETS_USAGE_H

#include <jansson.h>
#include <stdio.h>

#include "runtime/deer.h"

/* Averages of a step, GFLOPs in one scope; NaN where there is none. */
typedef struct {
    bool llm;      /* the scope; else total */
    bool governed; /* by deer_session_set_governor */
    double asked, expected;
    double used, low, high; /* and its interval; with one episode there is none */
} usage;

/* Of episodes under thresholds, or under a governor with the budget `governed` (NaN: none).
 *   sum    [n] GFLOPs of an episode's steps, in the thresholds' scope
 *   steps  [n] how many they are */
usage usage_of(const deer_thresholds *thresholds, double governed, const double *sum,
               const double *steps, size_t n);

/* Whether more was used than was asked, beyond chance: the whole interval lies above. */
bool usage_exceeded(const usage *use);

/* One line; nothing where no budget was asked for. */
void usage_print(FILE *out, const usage *use);

/* A new object; null where no budget was asked for. */
json_t *usage_json(const usage *use);

#endif
