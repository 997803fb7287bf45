/* SPDX-License-Identifier: MIT */
/* success.h - closed-loop success at any average cost, from evaluations of deer-sim eval --json.
 *
 *   success_curve curve;
 *   if (success_load(files, n, fixed_cost, exits, &curve, &err)) ...
 *   success_at(&curve, 0.0187, &value, &interval);
 *
 * An evaluation lies at the average cost that its exit fractions have in the report's own model
 * shape and scope; between two evaluations success is interpolated linearly.
 */
#ifndef REPORTS_SUCCESS_H
#define REPORTS_SUCCESS_H

#include "reports/answer/sweep.h"

#define SUCCESS_MOST 64

typedef struct {
    char file[128]; /* name without folders, UTF-8 */
    double cost;    /* GFLOPs */
    double value;   /* 0..1 */
    interval wilson_95;
    double rollouts;
} success_row;

typedef struct {
    int n;             /* 0: nothing is known */
    char warning[512]; /* that evaluations judged on other starts than the first; or empty */
    success_row row[SUCCESS_MOST];
} success_curve;

/* fixed_cost [exits]: GFLOPs of a step at each exit, averaged over the instructions. No file may be
 * given twice. */
deer_status success_load(char *const *files, int n, const double *fixed_cost, int exits,
                         success_curve *curve, deer_error *err);

/* Success at a cost; NaN below the cheapest evaluation. Beyond the dearest, what that one has. */
void success_at(const success_curve *curve, double cost, double *value, interval *wilson_95);

#endif
