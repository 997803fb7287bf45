/* SPDX-License-Identifier: MIT */
/* limits.c - what budgets allow. */
#include "calib/pipeline/limits.h"

#include <math.h>

#include "calib/solve/solve.h"

deer_status limits_deepest(const limits *asked, const char *unit, const double *peak,
                           const double *memory, int exits, int *deepest, deer_error *err)
{
    *deepest = solve_deepest(peak, memory, exits, asked->peak, asked->memory);
    if (*deepest >= 0)
        return DEER_OK;
    if (peak[0] > asked->peak)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "no exit keeps a peak of %.6g%s: the first one costs %.6g",
                              asked->peak, unit, peak[0]);
    return deer_fail_with(DEER_INFEASIBLE, err,
                          "no exit fits into %.0f bytes: the first one needs %.0f", asked->memory,
                          memory[0]);
}

deer_status limits_average(const limits *asked, const char *unit, const steps *whole,
                           double *budget, deer_error *err)
{
    double full = steps_fixed_cost(whole, whole->exits - 1), least = steps_fixed_cost(whole, 0);

    *budget = !isnan(asked->average)    ? asked->average
              : !isnan(asked->fraction) ? asked->fraction * full
                                        : INFINITY;
    if (*budget >= least)
        return DEER_OK;
    return deer_fail_with(DEER_INFEASIBLE, err,
                          "an average of %.6g%s cannot be met: always taking the first exit costs "
                          "%.6g, %.1f%% of full depth",
                          *budget, unit, least, 100 * least / full);
}

bool limits_have_average(const limits *asked)
{
    return !isnan(asked->average) || !isnan(asked->fraction);
}
