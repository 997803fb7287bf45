/* SPDX-License-Identifier: MIT */
/* operating_point.h - thresholds, and what they do: the one form in which answers are passed on.
 *
 *   operating_point x;
 *   operating_point_of(&problem, "best", tau, max_exit, &x);
 *   use(x.total, x.loss, x.fraction);
 */
#ifndef CALIB_OPERATING_POINT_H
#define CALIB_OPERATING_POINT_H

#include "calib/problem/calibration.h"

/* One way to run the policy. Unknown numbers are NaN. */
typedef struct {
    char name[64];                   /* what made it: "best seed 1", "full depth" */
    int max_exit;                    /* the deepest exit allowed */
    float tau[DEER_MAX_EXITS];       /* [max_exit + 1]; -infinity never, the last +infinity */
    double budget;                   /* of the average that it was solved for; NaN: for none */
    double cost;                     /* average of a step, in the unit of the steps' own costs */
    double llm, total;               /* average GFLOPs of a step */
    double peak_llm, peak_total;     /* GFLOPs of a step that takes the deepest exit */
    double memory;                   /* bytes with that exit */
    double loss;                     /* average of a step */
    double fraction[DEER_MAX_EXITS]; /* of the steps, leaving at each exit */
} operating_point;

/* What tau [max_exit + 1] does on the steps of p. With p->llm and p->total NULL, s.cost is all
 * there is: it counts as total, and the rest is not known. */
void operating_point_of(const calibration *p, const char *name, const float *tau, int max_exit,
                        operating_point *x);

/* The average in one scope, GFLOPs. */
double operating_point_cost(const operating_point *x, bool llm);

#endif
