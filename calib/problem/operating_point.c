/* SPDX-License-Identifier: MIT */
/* operating_point.c - thresholds, and what they do. */
#include "calib/problem/operating_point.h"

#include "runtime/base/tau.h"

#include <math.h>
#include <string.h>

operating_point operating_point_new(int max_exit)
{
    operating_point x = {.max_exit = max_exit,
                         .budget = NAN,
                         .cost = NAN,
                         .llm = NAN,
                         .total = NAN,
                         .peak_llm = NAN,
                         .peak_total = NAN,
                         .memory = NAN,
                         .loss = NAN};

    tau_never(max_exit, x.tau);
    return x;
}

void operating_point_set(operating_point *x, const float *tau)
{
    memcpy(x->tau, tau, (size_t)x->max_exit * sizeof *tau);
    x->tau[x->max_exit] = TAU_ALWAYS;
}

void operating_point_evaluate(const steps *s, operating_point *x)
{
    evaluation e;

    steps_evaluate(s, x->tau, x->max_exit, &e);
    x->cost = e.cost;
    x->loss = e.loss;
    memcpy(x->fraction, e.fraction, sizeof x->fraction);
}

double operating_point_cost(const operating_point *x, bool llm)
{
    return llm ? x->llm : x->total;
}
