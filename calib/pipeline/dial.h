/* SPDX-License-Identifier: MIT */
/* dial.h - answers for a range of budgets, from what the cheapest thresholds cost to the deepest
 * exit. */
#ifndef CALIB_DIAL_H
#define CALIB_DIAL_H

#include "calib/guarantee/guarantee.h"
#include "calib/problem/operating_point.h"

/* Solves for one budget. */
typedef deer_status (*dial_solver)(void *context, double budget, operating_point *x,
                                   deer_error *err);

/* Where a long computation is: done of total. */
typedef struct {
    void (*report)(void *context, int done, int total); /* NULL: nobody wants to know */
    void *context;
} dial_progress;

/* Solves for `points` budgets with exits up to max_exit: point [points], ascending in their
 * budgets; an answer that loses more than a cheaper one is replaced by that one. */
deer_status dial_make(int points, const steps *whole, int max_exit, dial_solver solver,
                      void *context, const dial_progress *progress, operating_point *point,
                      deer_error *err);

/* A dial whose budgets are guaranteed, all at once. */
typedef struct {
    int points, max_exit, episodes;
    const steps *part; /* solved on, by which the range of budgets is chosen, */
    const bool *for_solving;
    const guarantee_spec *guarantee; /* its budget and deviation are not looked at */
    guarantee_judge judge;
    /* Solves for point number i on the part; what x points to is the solver's and stays. */
    deer_status (*solve)(void *context, int i, guarantee_point *x, deer_error *err);
    /* What thresholds do in all episodes. */
    deer_status (*describe)(void *context, const float *tau, operating_point *x, deer_error *err);
    void *context;
} dial_promises;

/* point, g [points]: g[i].given is false where point i's budget cannot be guaranteed. A point that
 * loses more than a cheaper one, or has no guarantee where that has one, is replaced by it. */
deer_status dial_guarantee(const dial_promises *d, const dial_progress *progress,
                           operating_point *point, guarantee *g, deer_error *err);

#endif
