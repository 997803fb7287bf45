/* SPDX-License-Identifier: MIT */
/* criteria.c - the criteria that thresholds can be calibrated for. */
#include "calib/criterion/criteria.h"

#include <string.h>

static const criterion criteria[] = {
    {DEER_CRITERION_L2, 0, NULL},
    {DEER_CRITERION_MEAN, 0, NULL},
    {DEER_CRITERION_MAX, 0, NULL},
    {DEER_CRITERION_COSINE, 0, NULL},
    {DEER_CRITERION_COMBINED, CRITERION_NEEDS_CACHE | CRITERION_NEEDS_BEFORE | CRITERION_NEEDS_DEER,
     combined_fit},
};

enum { CRITERIA = sizeof criteria / sizeof *criteria };

const criterion *criterion_at(int i)
{
    return i >= 0 && i < CRITERIA ? &criteria[i] : NULL;
}

const criterion *criterion_named(const char *name)
{
    for (int i = 0; i < CRITERIA; i++)
        if (!strcmp(deer_criterion_name(criteria[i].id), name))
            return &criteria[i];
    return NULL;
}

const criterion *criterion_of(deer_criterion id)
{
    for (int i = 0; i < CRITERIA; i++)
        if (criteria[i].id == id)
            return &criteria[i];
    return NULL;
}
