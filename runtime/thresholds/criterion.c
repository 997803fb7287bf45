/* SPDX-License-Identifier: MIT */
/* criterion.c - the table of criteria, and their formulas. */
#include "runtime/thresholds/criterion.h"

#include <math.h>
#include <string.h>

/* ---------------------------------------------------------------- formulas ----------------- */

/* Sums go from the first component to the last, in float32, as in the official code. */

static float delta_l2(const float *p, const float *q)
{
    float squares = 0;

    for (int i = 0; i < DEER_POSE; i++) {
        float d = p[i] - q[i];
        squares += d * d;
    }
    return sqrtf(squares / DEER_POSE);
}

static float delta_mean(const float *p, const float *q)
{
    float sum = 0;

    for (int i = 0; i < DEER_POSE; i++)
        sum += fabsf(p[i] - q[i]);
    return sum / DEER_POSE;
}

static float delta_max(const float *p, const float *q)
{
    float largest = 0;

    for (int i = 0; i < DEER_POSE; i++) {
        float d = fabsf(p[i] - q[i]);
        largest = isnan(d) || d > largest ? d : largest; /* keeps a NaN */
    }
    return largest;
}

static float delta_cosine(const float *p, const float *q)
{
    float dot = 0, pp = 0, qq = 0;

    for (int i = 0; i < DEER_POSE; i++) {
        dot += p[i] * q[i];
        pp += p[i] * p[i];
        qq += q[i] * q[i];
    }
    return 1 - dot / (fmaxf(sqrtf(pp), 1e-8f) * fmaxf(sqrtf(qq), 1e-8f));
}

/* ---------------------------------------------------------------- the table ---------------- */

static const exit_criterion criteria[] = {
    [DEER_CRITERION_L2] = {"l2", 0, delta_l2},
    [DEER_CRITERION_MEAN] = {"mean", 0, delta_mean},
    [DEER_CRITERION_MAX] = {"max", 0, delta_max},
    [DEER_CRITERION_COSINE] = {"cosine", 0, delta_cosine},
    [DEER_CRITERION_COMBINED] = {"combined", CRITERION_NEEDS_SCORE, delta_l2},
};

enum { CRITERIA = sizeof criteria / sizeof *criteria };

const exit_criterion *exit_criterion_of(deer_criterion id)
{
    return (unsigned)id < CRITERIA ? &criteria[id] : NULL;
}

bool exit_criterion_named(const char *name, deer_criterion *id)
{
    for (int i = 0; name && i < CRITERIA; i++)
        if (!strcmp(criteria[i].name, name)) {
            *id = (deer_criterion)i;
            return true;
        }
    return false;
}

/* ---------------------------------------------------------------- public ------------------- */

const char *deer_criterion_name(deer_criterion criterion)
{
    const exit_criterion *how = exit_criterion_of(criterion);

    return how ? how->name : "unknown";
}

float deer_criterion_delta(deer_criterion criterion, const float p[DEER_POSE],
                           const float q[DEER_POSE])
{
    const exit_criterion *how = exit_criterion_of(criterion);

    return p && q && how && !how->needs ? how->evaluate(p, q) : NAN;
}
