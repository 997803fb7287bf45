/* trust.c - promises on episodes held out, and thresholds under their own history. */
#include "reports/trust.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/history.h"
#include "calib/solve.h"
#include "reports/shape.h"

/* Share of the episodes that thresholds are solved on; the rest tests them. */
static const double solving_share = 1.0 / 3;

/* ---------------------------------------------------------------- promise ------------------ */

/* As cached: what given thresholds do in every episode. */
static deer_status judge(void *context, const float *tau, episode_sums *sums, deer_error *err)
{
    const calibration *p = context;

    (void)err;
    guarantee_sum(&p->s, tau, p->s.exits - 1, sums);
    return DEER_OK;
}

static deer_status promise(const calibration *p, const guarantee_spec *spec,
                           const bool *for_solving, guarantee *g, deer_error *err)
{
    solve_spec how = {.budget = spec->budget,
                      .max_exit = p->s.exits - 1,
                      .method = SOLVE_COORDINATE,
                      .seed = spec->seed};
    steps part = {0};
    solution x;
    deer_status status = steps_select(&p->s, for_solving, &part, err);

    if (!status)
        status = solve(&part, &how, &x, err);
    if (!status)
        status = guarantee_choose(spec, &part, x.tau, how.max_exit, p->s.episodes, for_solving,
                                  judge, (void *)(uintptr_t)p, g, err);
    steps_free(&part);
    return status;
}

deer_status trust_promise(const calibration *p, double budget, double confidence,
                          const int *stratum, uint64_t seed, trust *t, deer_error *err)
{
    guarantee_spec spec = {.confidence = confidence,
                           .bound = BOUND_BETTING,
                           .budget = budget,
                           .deviation = INFINITY,
                           .largest_loss = 2 + LOSS_GRIPPER_WEIGHT, /* poses lie in -1..1 */
                           .share = solving_share,
                           .seed = seed,
                           .unit = " GFLOPs",
                           .stratum = stratum};
    bool *for_solving = calloc((size_t)p->s.episodes, sizeof *for_solving);
    deer_status status;

    if (!for_solving)
        return deer_fail(err, "out of memory for %d episodes", p->s.episodes);
    status = guarantee_split(&spec, p->s.episodes, for_solving, err);
    if (!status)
        status = promise(p, &spec, for_solving, &t->given, err);
    free(for_solving);
    t->promised = !status;
    strcpy(t->statement, status ? err->message : t->given.statement);
    return status == DEER_INFEASIBLE ? DEER_OK : status;
}

/* ---------------------------------------------------------------- own history -------------- */

static deer_status open_own_model(const cache *c, const char *path, deer_model **model,
                                  deer_error *err)
{
    if (deer_model_open(path, DEER_ALL_EXITS, model, err))
        return DEER_FAILED;
    if (!strcmp(deer_model_fingerprint(*model), c->about.model))
        return DEER_OK;
    deer_fail(err, "%s (%.8s) is not the model that the cache %s is of (%.8s)", path,
              deer_model_fingerprint(*model), c->dir, c->about.model);
    deer_model_close(*model);
    return DEER_FAILED;
}

deer_status trust_on_policy(cache *c, const char *model, const deer_config *config,
                            const calibration_spec *spec, const sweep_point *x, int threads,
                            trust *t, deer_error *err)
{
    history_rule rule = {.kind = HISTORY_ON_POLICY,
                         .tau = x->tau,
                         .max_exit = x->deepest,
                         .criterion = spec->criterion};
    deer_model *policy = NULL;
    calibration_actions actions = {0};
    calibration own;
    evaluation e;
    deer_status status = open_own_model(c, model, &policy, err);

    if (status)
        return status;
    status = history_replay(c, policy, &rule, threads, &actions, err);
    if (!status)
        status = shape_calibration(c, config, spec, &actions, &own, err);
    calibration_actions_free(&actions);
    deer_model_close(policy);
    if (status)
        return status;
    steps_evaluate(&own.s, x->tau, x->deepest, &e);
    t->on_policy = true;
    t->own_cost = e.cost;
    t->own_loss = e.loss;
    calibration_free(&own);
    return DEER_OK;
}
