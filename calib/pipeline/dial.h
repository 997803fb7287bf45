/* SPDX-License-Identifier: MIT */
/* dial.h - answers for a range of budgets, from what the cheapest thresholds cost to the deepest
 * exit. */
#ifndef CALIB_DIAL_H
#define CALIB_DIAL_H

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

#endif
