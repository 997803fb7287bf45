/* SPDX-License-Identifier: MIT */
/* search.h - the best of what can only be tried, at a cost that may not be exceeded.
 *
 *   online_spec spec = {.d = 2, .limit = 0.0045, .expected = cost_of, .evaluations = 40, ...};
 *   online_search(&spec, evaluate, context, &answer, &err);
 *   ... answer.x ...
 *
 * Points of the unit cube are tried in units of growing numbers of episodes, whose seeds are the
 * same for every point (common random numbers). After a few points spread evenly, every other trial
 * goes to a new point, where success is expected to improve most on the best so far, times the
 * probability that the limit is kept; the others go to the points that may be the best, which are
 * judged more closely (racing). Success and cost are Gaussian processes. Source: Gardner and
 * others, Bayesian Optimization with Inequality Constraints, ICML 2014.
 *
 * The same results lead to the same trials: whoever keeps results by the number of their trial can
 * stop at any time and go on. */
#ifndef CALIB_SEARCH_H
#define CALIB_SEARCH_H

#include "calib/online/gaussian.h"

enum { ONLINE_UNITS = 4, ONLINE_BATCH = 64 };

/* One trial: unit `unit` of a point. */
typedef struct {
    int number, candidate, unit;
    double x[ONLINE_MOST];
} online_trial;

typedef struct {
    double success; /* share of the rollouts */
    double rollouts;
    double cost; /* mean of a step, GFLOPs */
} online_result;

/* Tries `count` points at once. */
typedef deer_status (*online_evaluate)(void *context, const online_trial *trial, int count,
                                       online_result *result, deer_error *err);

typedef struct {
    int d;                                                    /* coordinates, 1 to ONLINE_MOST */
    double limit;                                             /* of the cost */
    double (*expected)(const void *context, const double *x); /* cost, before anything is tried */
    const void *context;
    int evaluations;             /* trials in all */
    int batch;                   /* of them at once */
    uint64_t seed;               /* of the points to choose among */
    bool (*enough)(void *clock); /* NULL, or whether to stop before */
    void *clock;
} online_spec;

/* A point that was tried; the first one is the middle of the cube. */
typedef struct {
    double x[ONLINE_MOST];
    int units;                /* of it that were tried */
    double rollouts, success; /* in all; their share */
    double cost;              /* mean */
    double believed, doubt;   /* success by the process: mean and standard deviation */
    double keeps;             /* probability that the limit is kept */
} online_candidate;

typedef struct {
    online_candidate candidate[GAUSSIAN_MOST];
    int candidates, trials;
    int best;         /* surest of its success among those likely to keep the limit */
    double kept;      /* units' worth of episodes that were run */
    bool out_of_time; /* it ended before all evaluations */
} online_answer;

/* Episodes of a unit, as multiples of the first one's: 1, 1, 2, 4. */
int online_unit_size(int unit);

deer_status online_search(const online_spec *spec, online_evaluate evaluate, void *context,
                          online_answer *answer, deer_error *err);

#endif
