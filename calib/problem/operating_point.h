/* SPDX-License-Identifier: MIT */
/* operating_point.h - thresholds, and what they do: the one form in which answers are passed on.
 *
 *   operating_point x = operating_point_new(max_exit);
 *   ... x.tau ...
 *   operating_point_evaluate(&steps, &x);              // cost, loss, fraction
 *   calibration_describe(&problem, "best", x.tau, max_exit, &x);   // all of it: calibration.h
 */
#ifndef CALIB_OPERATING_POINT_H
#define CALIB_OPERATING_POINT_H

#include "calib/problem/steps.h"

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
    deer_camera_rules cameras;       /* zero: every camera is encoded at every step */
} operating_point;

/* Nothing known but the deepest exit: every threshold never, every number NaN. */
operating_point operating_point_new(int max_exit);

/* Takes tau [max_exit + 1]; the last is always. */
void operating_point_set(operating_point *x, const float *tau);

/* Fills in what x->tau does on these steps: cost, loss, fraction. */
void operating_point_evaluate(const steps *s, operating_point *x);

/* The average in one scope, GFLOPs. */
double operating_point_cost(const operating_point *x, bool llm);

#endif
