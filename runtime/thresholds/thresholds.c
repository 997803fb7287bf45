/* SPDX-License-Identifier: MIT */
/* thresholds.c - thresholds in memory: a fixed exit, the budget dial. */
#include <math.h>
#include <string.h>

#include "runtime/deer.h"
#include "runtime/thresholds/thresholds_format.h"

void deer_thresholds_fixed(const deer_model *model, int exit, deer_thresholds *t)
{
    memset(t, 0, sizeof *t);
    strcpy(t->model_fingerprint, deer_model_fingerprint(model));
    strcpy(t->weights, deer_model_type(model));
    t->exits = exit + 1;
    t->max_exit = exit;
    t->steps_per_stage = 1;
    for (int k = 0; k < exit; k++)
        t->tau[k] = -INFINITY;
    t->tau[exit] = INFINITY;
    t->promise = (deer_promise){NAN, NAN, NAN, NAN, NAN, NAN, {0}};
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        t->promise.exit_fraction[k] = k == exit;
    t->guarantee.budget_gflops = t->guarantee.loss = NAN;
    strcpy(t->solver, "fixed");
    t->budget_gflops = NAN;
}

deer_status thresholds_check_model(const char *name, const deer_thresholds *t,
                                   const deer_model *model, deer_error *err)
{
    const char *fingerprint = deer_model_fingerprint(model), *weights = deer_model_type(model);

    if (!strcmp(t->model_fingerprint, fingerprint) &&
        (!*t->weights || !strcmp(t->weights, weights)))
        return DEER_OK;
    return deer_fail(
        err, "%s: made for another model (%s%s%.12s..., this is %s %.12s...); calibrate anew", name,
        t->weights, *t->weights ? " " : "", t->model_fingerprint, weights, fingerprint);
}

deer_status deer_thresholds_set_budget(deer_thresholds *t, double average_gflops, deer_error *err)
{
    const char *scope = t->budget_is_llm ? "llm" : "total";
    int i = t->points - 1;

    if (t->points < 1)
        return deer_fail_with(DEER_USAGE, err,
                              "these thresholds have no dial; solve with --frontier");
    while (i >= 0 && !(t->point[i].budget_gflops <= average_gflops))
        i--;
    if (i < 0)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "an average of %.6g GFLOPs (%s) is below the dial's least, %.6g",
                              average_gflops, scope, t->point[0].budget_gflops);
    memcpy(t->tau, t->point[i].tau, sizeof t->tau);
    t->promise = t->point[i].promise;
    t->budget_gflops = t->point[i].budget_gflops;
    t->guarantee = (deer_guarantee){.budget_gflops = NAN, .loss = NAN};
    t->reference.episodes = 0;
    return DEER_OK;
}
