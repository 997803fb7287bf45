/* SPDX-License-Identifier: MIT */
/* usage.c - a budget side by side: asked, expected, used. */
#include "budgets/measure/usage.h"

#include <math.h>

#include "runtime/base/json/json_build.h"

/* Mean of a step, as a ratio of sums over episodes, and its standard error by linearization. */
static void fill_used(const double *sum, const double *steps, size_t n, usage *use)
{
    double sums = 0, all = 0, squares = 0, half;

    for (size_t i = 0; i < n; i++) {
        sums += sum[i];
        all += steps[i];
    }
    use->used = sums / all;
    for (size_t i = 0; i < n; i++) {
        double off = sum[i] - use->used * steps[i];
        squares += off * off;
    }
    half = n < 2 ? NAN : 1.959964 * sqrt(squares * (double)n / ((double)n - 1)) / all;
    use->low = use->used - half;
    use->high = use->used + half;
}

usage usage_of(const deer_thresholds *t, double governed, const double *sum, const double *steps,
               size_t n)
{
    const deer_expected *expected = deer_thresholds_expected(t);
    bool llm = deer_thresholds_budget_is_llm(t);
    usage use = {.llm = llm,
                 .governed = !isnan(governed),
                 .asked = isnan(governed) ? deer_thresholds_budget(t) : governed,
                 .expected = !isnan(governed) || !expected ? NAN
                             : llm                         ? expected->average_llm_gflops
                                                           : expected->average_total_gflops};

    fill_used(sum, steps, n, &use);
    return use;
}

bool usage_exceeded(const usage *use)
{
    return use->low > use->asked;
}

void usage_print(FILE *out, const usage *use)
{
    if (isnan(use->asked))
        return;
    fprintf(out, "budget, %s GFLOPs a step: asked %.6f, ", use->llm ? "LLM" : "total", use->asked);
    if (use->governed)
        fprintf(out, "governed, ");
    else if (!isnan(use->expected))
        fprintf(out, "expected %.6f, ", use->expected);
    fprintf(out, "used %.6f", use->used);
    if (!isnan(use->low))
        fprintf(out, " [%.6f, %.6f]", use->low, use->high);
    fprintf(out, ", %+.1f%%%s\n", 100 * (use->used / use->asked - 1),
            usage_exceeded(use) ? ": EXCEEDED" : "");
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *usage_json(const usage *use)
{
    if (isnan(use->asked))
        return json_null();
    return json_pack("{s:s, s:b, s:o, s:o, s:o, s:o, s:o, s:b}", "scope",
                     use->llm ? "llm" : "total", "governed", use->governed, "asked",
                     number(use->asked), "expected", number(use->expected), "used",
                     number(use->used), "used_low", number(use->low), "used_high",
                     number(use->high), "exceeded", usage_exceeded(use));
}
