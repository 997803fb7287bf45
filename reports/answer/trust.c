/* SPDX-License-Identifier: MIT */
/* trust.c - guarantees from episodes held out, and thresholds under their own history. */
#include "reports/answer/trust.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/replay/history.h"
#include "calib/solve/frontier.h"
#include "reports/answer/fleet.h"
#include "runtime/base/tau.h"

/* ---------------------------------------------------------------- guarantee ---------------- */

/* As cached: what given thresholds do in every episode. */
static deer_status judge(void *context, const float *tau, const bool *some, episode_sums *sums,
                         deer_error *err)
{
    const calibration *p = context;

    (void)some;
    (void)err;
    guarantee_sum(&p->s, tau, p->s.exits - 1, sums);
    return DEER_OK;
}

static double fixed_loss(const steps *s, int k)
{
    float never[DEER_MAX_EXITS];
    evaluation e;

    tau_never(k, never);
    steps_evaluate(s, never, k, &e);
    return e.loss;
}

/* An answer at half the range of costs, to walk from. */
static deer_status solve_half_way(const steps *s, solve_spec *how, solution *x, deer_error *err)
{
    deer_status status;

    how->budget = (steps_fixed_cost(s, 0) + steps_fixed_cost(s, how->max_exit)) / 2;
    status = solve(s, how, x, err);
    if (status != DEER_INFEASIBLE)
        return status;
    how->budget = INFINITY;
    return solve(s, how, x, err);
}

static bool keeps(const operating_point *x, double max_loss, const question *q,
                  const success_curve *success)
{
    interval ignored;
    double value;

    success_at(success, x->cost, &value, &ignored);
    return x->loss <= max_loss && (isnan(q->min_success) || value >= q->min_success);
}

/* Sets how->budget: the least of the sweep's that keeps what is asked on s, else the dearest. */
static deer_status choose_budget(const steps *s, const question *q, const success_curve *success,
                                 solve_spec *how, deer_error *err)
{
    double max_loss = fleet_max_loss(q, fixed_loss(s, 0), fixed_loss(s, how->max_exit));
    double budget[SWEEP_MOST_BUDGETS];
    operating_point path[SWEEP_MOST_BUDGETS];
    solution x;
    int b = 0;
    deer_status status = sweep_budgets(s, q->from, q->to, q->budgets, budget, err);

    if (!status)
        status = solve_half_way(s, how, &x, err);
    if (!status)
        status = frontier_path(s, how->max_exit, x.at.tau, budget, q->budgets, path, err);
    if (status)
        return status;
    while (b < q->budgets - 1 && !keeps(&path[b], max_loss, q, success))
        b++;
    how->budget = budget[b];
    return DEER_OK;
}

static deer_status choose_guaranteed(const calibration *p, const question *q,
                                     const success_curve *success, guarantee_spec *spec,
                                     const bool *for_solving, guarantee *g, deer_error *err)
{
    solve_spec how = {.max_exit = p->s.exits - 1, .method = SOLVE_COORDINATE, .seed = spec->seed};
    steps part = {0};
    solution x;
    deer_status status = steps_select(&p->s, for_solving, &part, err);

    if (!status)
        status = choose_budget(&part, q, success, &how, err);
    spec->budget = how.budget;
    if (!status)
        status = solve(&part, &how, &x, err);
    if (!status)
        status = guarantee_choose(spec, &part, &x.at, p->s.episodes, for_solving, judge,
                                  (void *)(uintptr_t)p, g, err);
    steps_free(&part);
    return status;
}

deer_status trust_guarantee(const calibration *p, const question *q, const success_curve *success,
                            const int *stratum, int longest, trust *t, deer_error *err)
{
    guarantee_spec spec = {.confidence = q->confidence,
                           .bound = BOUND_BETTING,
                           .deviation = INFINITY,
                           .largest_loss = 2 + LOSS_GRIPPER_WEIGHT, /* poses lie in -1..1 */
                           .share = GUARANTEE_SHARE,
                           .longest = longest,
                           .seed = q->seed,
                           .unit = " GFLOPs",
                           .stratum = stratum};
    bool *for_solving = calloc((size_t)p->s.episodes, sizeof *for_solving);
    deer_status status;

    if (!for_solving)
        return deer_fail(err, "out of memory for %d episodes", p->s.episodes);
    status = guarantee_split(&spec, p->s.episodes, for_solving, err);
    if (!status)
        status = choose_guaranteed(p, q, success, &spec, for_solving, &t->given, err);
    free(for_solving);
    t->guaranteed = !status;
    strcpy(t->statement, status ? err->message : t->given.statement);
    return status == DEER_INFEASIBLE ? DEER_OK : status;
}

/* ---------------------------------------------------------------- own history -------------- */

deer_status trust_on_policy(cache *c, const char *model, const calibration_spec *spec,
                            const sweep_point *x, int threads, trust *t, deer_error *err)
{
    history_rule rule = {.kind = HISTORY_ON_POLICY,
                         .tau = x->at.tau,
                         .max_exit = x->at.max_exit,
                         .criterion = spec->criterion,
                         .score = spec->score};
    deer_model *policy = NULL;
    calibration_actions actions = {0};
    calibration own;
    evaluation e;
    deer_status status = cache_open_model(c, model, &policy, err);

    if (status)
        return status;
    status = history_replay(c, policy, &rule, threads, &actions, err);
    if (!status)
        status = calibration_make(c, spec, &actions, &own, err);
    calibration_actions_free(&actions);
    deer_model_close(policy);
    if (status)
        return status;
    steps_evaluate(&own.s, x->at.tau, x->at.max_exit, &e);
    t->on_policy = true;
    t->own_cost = e.cost;
    t->own_loss = e.loss;
    calibration_free(&own);
    return DEER_OK;
}
