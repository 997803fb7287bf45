/* SPDX-License-Identifier: MIT */
/* operating_point.c - thresholds, and what they do. */
#include "calib/problem/operating_point.h"

#include "runtime/base/tau.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void operating_point_of(const calibration *p, const char *name, const float *tau, int max_exit,
                        operating_point *x)
{
    evaluation e;

    steps_evaluate(&p->s, tau, max_exit, &e);
    *x = (operating_point){
        .max_exit = max_exit,
        .budget = NAN,
        .cost = e.cost,
        .llm = p->llm ? steps_mean_cost(&p->s, p->llm, tau, max_exit) : NAN,
        .total = p->total ? steps_mean_cost(&p->s, p->total, tau, max_exit) : e.cost,
        .peak_llm = p->llm ? p->peak_llm[max_exit] : NAN,
        .peak_total = p->total ? p->peak_total[max_exit] : steps_peak(&p->s, max_exit),
        .memory = p->total ? p->memory[max_exit] : NAN,
        .loss = e.loss};
    snprintf(x->name, sizeof x->name, "%s", name);
    memcpy(x->fraction, e.fraction, sizeof x->fraction);
    memcpy(x->tau, tau, (size_t)max_exit * sizeof *tau);
    x->tau[max_exit] = TAU_ALWAYS;
}

double operating_point_cost(const operating_point *x, bool llm)
{
    return llm ? x->llm : x->total;
}
