/* SPDX-License-Identifier: MIT */
/* onpolicy.c - solve, replay the head, solve again. */
#include "calib/pipeline/onpolicy.h"

#include "runtime/base/tau.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

void onpolicy_free(onpolicy_result *r)
{
    calibration_free(&r->problem);
}

static deer_status replayed_problem(cache *c, const deer_model *model, const calibration_spec *spec,
                                    const history_rule *rule, int threads, calibration *p,
                                    deer_error *err)
{
    calibration_actions a;
    deer_status status;

    if (history_replay(c, model, rule, threads, &a, err))
        return DEER_FAILED;
    status = calibration_make(c, spec, &a, p, err);
    calibration_actions_free(&a);
    return status;
}

deer_status onpolicy_judge_some(cache *c, const deer_model *model, const calibration_spec *spec,
                                const float *tau, const bool *some, int threads, calibration *p,
                                deer_error *err)
{
    history_rule rule = {.kind = HISTORY_ON_POLICY,
                         .tau = tau,
                         .max_exit = spec->max_exit,
                         .criterion = spec->criterion,
                         .score = spec->score,
                         .episodes = some};

    if (!model)
        return calibration_make(c, spec, NULL, p, err);
    return replayed_problem(c, model, spec, &rule, threads, p, err);
}

deer_status onpolicy_judge(cache *c, const deer_model *model, const calibration_spec *spec,
                           const float *tau, int threads, calibration *p, deer_error *err)
{
    return onpolicy_judge_some(c, model, spec, tau, NULL, threads, p, err);
}

/* Keeps the steps of the episodes to solve on, numbered anew. */
static deer_status restrict_to(const bool *episodes, calibration *p, deer_error *err)
{
    steps part;

    if (!episodes)
        return DEER_OK;
    if (steps_select(&p->s, episodes, &part, err))
        return DEER_FAILED;
    steps_free(&p->s);
    p->s = part;
    return DEER_OK;
}

/* The steps that the first solve sees. */
static deer_status first_problem(cache *c, const deer_model *model, const onpolicy_spec *spec,
                                 calibration *p, deer_error *err)
{
    history_rule rule = {
        .kind = spec->history, .max_exit = spec->problem.max_exit, .seed = spec->solve.seed};
    bool cached = (spec->problem.max_exit == c->exits - 1 && !c->eyes) || !model;

    if (spec->history != HISTORY_RANDOM && cached)
        return calibration_make(c, &spec->problem, NULL, p, err);
    if (spec->history == HISTORY_ON_POLICY)
        rule.kind = HISTORY_FULL; /* full up to this deepest exit */
    return replayed_problem(c, model, &spec->problem, &rule, spec->threads, p, err);
}

static deer_status solve_once(const onpolicy_spec *spec, const steps *s, double budget, solution *x,
                              deer_error *err)
{
    solve_spec how = spec->solve;

    how.budget = budget;
    return spec->official_best ? solve_official_best(s, &how, x, err) : solve(s, &how, x, err);
}

static double largest_change(const operating_point *a, const operating_point *b)
{
    double change = 0;

    for (int k = 0; k < DEER_MAX_EXITS; k++)
        change = fmax(change, fabs(a->fraction[k] - b->fraction[k]));
    return change;
}

/* ---------------------------------------------------------------- rounds ------------------- */

/* Keeps x, as judged, and its own problem p (taken over, or freed) when it is the best that fits
 * the budget. */
static void offer(onpolicy_result *r, bool *found, const solution *x, calibration *p, double budget)
{
    if (x->at.cost > budget || (*found && x->at.loss >= r->x.at.loss)) {
        calibration_free(p);
        return;
    }
    calibration_free(&r->problem);
    r->problem = *p;
    r->x = *x;
    *found = true;
}

/* What tau does under its own history in the episodes to solve on. */
static deer_status judge_part(cache *c, const deer_model *model, const onpolicy_spec *spec,
                              const float *tau, calibration *p, deer_error *err)
{
    if (onpolicy_judge_some(c, model, &spec->problem, tau, spec->episodes, spec->threads, p, err))
        return DEER_FAILED;
    if (!restrict_to(spec->episodes, p, err))
        return DEER_OK;
    calibration_free(p);
    return DEER_FAILED;
}

/* Judges x, and solves again on what its history gives, until it converges. *found: whether any
 * round's thresholds fit the budget. */
static deer_status iterate(cache *c, const deer_model *model, const onpolicy_spec *spec,
                           solution *x, onpolicy_result *r, bool *found, deer_error *err)
{
    double budget = spec->solve.budget, target = budget;
    deer_status status = DEER_OK;
    bool more = true;

    for (r->rounds = 1; more; r->rounds++) {
        calibration own;
        solution judged = *x, next = {0};

        if (judge_part(c, model, spec, x->at.tau, &own, err))
            return DEER_FAILED;
        operating_point_evaluate(&own.s, &judged.at);
        if (r->rounds == 1)
            r->first = judged.at.cost;
        r->converged =
            largest_change(&x->at, &judged.at) < ONPOLICY_CONVERGED && judged.at.cost <= budget;
        if (r->rounds > 1 && judged.at.cost > budget)
            target -= judged.at.cost - budget; /* aim lower by what it was above */
        more = !r->converged && r->rounds < ONPOLICY_ROUNDS;
        if (more)
            status = solve_once(spec, &own.s, target, &next, err);
        offer(r, found, &judged, &own, budget);
        if (status && status != DEER_INFEASIBLE)
            return status;
        more = more && !status; /* aimed so low that there is nothing: no more rounds */
        *x = next;
    }
    r->rounds--;
    return DEER_OK;
}

/* Always the same exit: the history is then its own whatever the deltas are, if they are finite.
 * The last resort. */
static deer_status fixed_exit(cache *c, const deer_model *model, const onpolicy_spec *spec,
                              onpolicy_result *r, deer_error *err)
{
    int last = spec->problem.max_exit, k = last;

    if (calibration_make(c, &spec->problem, NULL, &r->problem, err) ||
        restrict_to(spec->episodes, &r->problem, err))
        return DEER_FAILED;
    while (k > 0 && steps_fixed_cost(&r->problem.s, k) > spec->solve.budget)
        k--;
    calibration_free(&r->problem);
    r->x = (solution){.at = operating_point_new(last), .parameter = NAN};
    for (int i = k; i < last; i++)
        r->x.at.tau[i] = FLT_MAX;
    snprintf(r->x.at.name, sizeof r->x.at.name, "fixed exit %d", k);
    if (judge_part(c, model, spec, r->x.at.tau, &r->problem, err))
        return DEER_FAILED;
    operating_point_evaluate(&r->problem.s, &r->x.at);
    if (r->x.at.cost <= spec->solve.budget * (1 + 1e-12)) /* sums of the same costs round apart */
        return DEER_OK;
    return deer_fail_with(DEER_INFEASIBLE, err,
                          "no thresholds keep an average of %.9g under their own history: always "
                          "taking exit %d, where its delta is finite, costs %.9g",
                          spec->solve.budget, k, r->x.at.cost);
}

deer_status onpolicy_solve(cache *c, const deer_model *model, const onpolicy_spec *spec,
                           onpolicy_result *r, deer_error *err)
{
    solution x;
    bool found = false;
    deer_status status;

    memset(r, 0, sizeof *r);
    if (first_problem(c, model, spec, &r->problem, err) ||
        restrict_to(spec->episodes, &r->problem, err)) {
        onpolicy_free(r);
        return DEER_FAILED;
    }
    status = solve_once(spec, &r->problem.s, spec->solve.budget, &x, err);
    r->expected = r->first = x.at.cost;
    r->x = x;
    if (!status && spec->history == HISTORY_ON_POLICY) {
        calibration_free(&r->problem);
        status = iterate(c, model, spec, &x, r, &found, err);
        if (!status && !found)
            status = fixed_exit(c, model, spec, r, err);
    }
    if (status)
        onpolicy_free(r);
    return status;
}
