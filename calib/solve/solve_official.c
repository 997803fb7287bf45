/* SPDX-License-Identifier: MIT */
/* solve_official.c - bisection of the official heuristics' parameter. */
#include "calib/solve/solve_official.h"

#include <math.h>
#include <stdio.h>

/* Ranges in which the assumed fractions go from all at the first exit to all at the last. */
static void parameter_range(official_distribution distribution, int exits, double *low,
                            double *high)
{
    *low = distribution == OFFICIAL_GAUSS ? -12 : 1e-3;
    *high = distribution == OFFICIAL_EXP     ? 1e3
            : distribution == OFFICIAL_GAUSS ? exits + 12
                                             : 4 * exits + 8;
}

static double middle(official_distribution distribution, double low, double high)
{
    return distribution == OFFICIAL_GAUSS ? (low + high) / 2 : sqrt(low * high);
}

static void try_parameter(const steps *s, official_sorted *sorted,
                          official_distribution distribution, double parameter, solution *x)
{
    float fractions[DEER_MAX_EXITS];

    official_fractions(distribution, parameter, false, x->max_exit + 1, fractions);
    official_thresholds(sorted, x->max_exit + 1, fractions, x->tau);
    steps_evaluate(s, x->tau, x->max_exit, &x->found);
    x->parameter = parameter;
    x->evaluations++;
}

bool solve_official(const steps *s, official_sorted *sorted, official_distribution distribution,
                    double budget, int max_exit, solution *x)
{
    double low, high;
    bool found = false;
    solution y = {.max_exit = max_exit};

    parameter_range(distribution, max_exit + 1, &low, &high);
    try_parameter(s, sorted, distribution, high, &y);
    if (y.found.cost <= budget) {
        *x = y;
        found = true;
        low = high;
    }
    for (int i = 0; i < 34 && high - low > 1e-9 * fabs(high); i++) {
        double parameter = middle(distribution, low, high);

        try_parameter(s, sorted, distribution, parameter, &y);
        if (y.found.cost <= budget) {
            if (!found || y.found.cost > x->found.cost)
                *x = y;
            found = true;
            low = parameter;
        } else {
            high = parameter;
        }
    }
    x->evaluations = y.evaluations;
    snprintf(x->solver, sizeof x->solver, "official-%s %.6g", official_name(distribution),
             x->parameter);
    return found;
}
