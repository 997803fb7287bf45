/* SPDX-License-Identifier: MIT */
/* success.h - closed-loop success at any average cost, from evaluations of deer-sim eval --json.
 *
 *   success_curve curve;
 *   if (success_load(files, n, fixed_cost, exits, &curve, &err)) ...
 *   success_at(&curve, 0.0187, &value, &interval);
 *
 * An evaluation lies at the average cost that its exit fractions have in the report's own model
 * shape and scope; between two evaluations success is interpolated linearly. It is that of the
 * policy and of the type of weights that were judged, of no other.
 */
#ifndef REPORTS_SUCCESS_H
#define REPORTS_SUCCESS_H

#include "budgets/cost/stages.h"
#include "reports/answer/sweep.h"

#define SUCCESS_MOST 64

typedef struct {
    char file[128]; /* name without folders, UTF-8 */
    double cost;    /* GFLOPs */
    double value;   /* 0..1 */
    interval wilson_95;
    double rollouts;
    char model[DEER_FINGERPRINT]; /* of the policy that was judged; empty where the file does not
                                     say */
} success_row;

typedef struct {
    int n;             /* 0: nothing is known */
    int dtype;         /* weight_dtype of the policy that was judged; -1: the files do not say */
    char warning[512]; /* that evaluations judged on other starts than the first; or empty */
    success_row row[SUCCESS_MOST];
} success_curve;

/* fixed_cost [exits]: GFLOPs of a step at each exit, averaged over the instructions. No file may be
 * given twice, and all must be of one type of weights. */
deer_status success_load(char *const *files, int n, const double *fixed_cost, int exits,
                         success_curve *curve, deer_error *err);

/* Refuses evaluations of another policy than the one of this fingerprint. */
deer_status success_check_policy(const success_curve *curve, const char *fingerprint,
                                 deer_error *err);

/* Success at a cost; NaN below the cheapest evaluation. Beyond the dearest, what that one has. */
void success_at(const success_curve *curve, double cost, double *value, interval *wilson_95);

#endif
