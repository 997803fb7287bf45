/* SPDX-License-Identifier: MIT */
/* outcome.c - what a calibration found, beside what could be had. */
#include "calib/pipeline/outcome.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "calib/criterion/criteria.h"
#include "calib/solve/oracle.h"
#include "runtime/base/tau.h"

double outcome_cost(const outcome *o)
{
    return operating_point_cost(&o->found, o->scope_llm);
}

/* "official-gauss 2.1" without its parameter. */
static void name_of_heuristic(const char *solver, char name[64])
{
    snprintf(name, 64, "%.*s", (int)strcspn(solver, " "), solver);
}

void outcome_describe(outcome *o, const calibration *p, const solution *found, const float *tau,
                      const calibration *official_p, const solution *official, solve_method method)
{
    int last = found->at.max_exit;
    float never[DEER_MAX_EXITS];
    char name[64];

    tau_never(last, never);
    calibration_describe(p, last == o->exits - 1 ? "full depth" : "deepest allowed", never, last,
                         &o->full);
    calibration_describe(p, solve_method_name(method), tau, last, &o->found);
    o->found.budget = isfinite(o->budget) ? o->budget : NAN;
    snprintf(o->solver, sizeof o->solver, "%s", found->at.name);
    o->evaluations = found->evaluations;
    o->seconds = found->seconds;
    o->has_official = official != NULL;
    if (!official)
        return;
    name_of_heuristic(official->at.name, name);
    calibration_describe(official_p, name, official->at.tau, last, &o->official);
}

deer_status outcome_judge(outcome *o, const steps *s, deer_error *err)
{
    double cost = outcome_cost(o);

    o->oracle_loss = oracle_solve(s, o->found.max_exit, cost).loss;
    o->gap_closed =
        o->has_official ? oracle_gap_closed(o->official.loss, o->found.loss, o->oracle_loss) : NAN;
    o->held_out = (score_verdict){NAN, NAN};
    if (o->has_scopes && criterion_of(o->problem.criterion)->fit)
        return DEER_OK;
    return score_judge(s, NULL, 0, o->found.max_exit, cost, &o->held_out, err);
}
