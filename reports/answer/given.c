/* SPDX-License-Identifier: MIT */
/* given.c - a thresholds file: its cameras, its exits. */
#include "reports/answer/given.h"

#include <math.h>
#include <string.h>

#include "calib/pipeline/onpolicy.h"
#include "calib/pipeline/rules.h"
#include "reports/answer/bootstrap.h"
#include "runtime/base/tau.h"
#include "runtime/deer_replay.h"

/* ---------------------------------------------------------------- opening ------------------ */

static deer_status check(const cache *c, const question *q, const given *g, deer_error *err)
{
    const deer_thresholds *t = g->file;

    if (strcmp(t->model_fingerprint, c->about.model))
        return deer_fail(err, "%s is for another policy (%.8s) than the cache %s (%.8s)",
                         q->thresholds, t->model_fingerprint, q->cache, c->about.model);
    if (t->max_exit >= c->exits)
        return deer_fail(err, "%s has %d exits, the cache %s %d", q->thresholds, t->max_exit + 1,
                         q->cache, c->exits);
    if (!t->rule.kind || g->policy)
        return DEER_OK;
    return deer_fail_with(DEER_USAGE, err, "%s has a rule of exits: judging it takes --model",
                          q->thresholds);
}

/* From here on the cache is seen through the file's cameras. */
static deer_status follow(cache *c, const question *q, given *g, deer_error *err)
{
    const deer_camera_rules *rules = &g->file->cameras;

    if (!g->policy)
        return deer_fail_with(DEER_USAGE, err,
                              "%s uses older encodings of cameras: what that loses takes --model",
                              q->thresholds);
    if (!cache_pairs(&c->about) || !eyes_can_follow(c, rules))
        return deer_fail(err,
                         "%s uses encodings up to %d and %d steps old, which the cache %s lacks; "
                         "replay it with deer-calib replay --ages",
                         q->thresholds, rules->static_view.age, rules->gripper_view.age, q->cache);
    if (eyes_open(c, &g->eyes, err))
        return DEER_FAILED;
    eyes_follow(c, rules, &g->eyes, &g->seen);
    c->eyes = &g->eyes;
    return DEER_OK;
}

deer_status given_open(cache *c, const question *q, given *g, deer_error *err)
{
    deer_status status;

    *g = (given){.seen = {.encoded = {1, 1}}};
    if (!q->thresholds)
        return DEER_OK;
    status = deer_thresholds_load(q->thresholds, NULL, &g->file, err);
    if (!status && q->model)
        status = cache_open_model(c, q->model, &g->policy, err);
    if (!status) {
        g->reuses = g->file->cameras.static_view.age || g->file->cameras.gripper_view.age;
        status = check(c, q, g, err);
    }
    if (!status && g->reuses)
        status = follow(c, q, g, err);
    if (status)
        given_close(c, g);
    return status;
}

void given_close(cache *c, given *g)
{
    if (c && c->eyes == &g->eyes)
        c->eyes = NULL;
    eyes_close(&g->eyes);
    deer_model_close(g->policy);
    deer_thresholds_free(g->file);
    *g = (given){.file = NULL};
}

/* ---------------------------------------------------------------- steps -------------------- */

void given_specify(const given *g, calibration_spec *spec)
{
    if (!g->file)
        return;
    spec->criterion = g->file->criterion;
    spec->score = g->file->score;
}

deer_status given_problem(cache *c, const question *q, const calibration_spec *spec, const given *g,
                          calibration *p, deer_error *err)
{
    history_rule rule = {.kind = HISTORY_FULL,
                         .max_exit = spec->max_exit,
                         .criterion = spec->criterion,
                         .score = spec->score};
    calibration_actions actions = {0};
    deer_status status;

    if (!g->reuses)
        return calibration_make(c, spec, NULL, p, err);
    status = history_replay(c, g->policy, &rule, q->threads, &actions, err);
    if (!status)
        status = calibration_make(c, spec, &actions, p, err);
    calibration_actions_free(&actions);
    return status;
}

/* ---------------------------------------------------------------- judging ------------------ */

/* The file's thresholds among all exits of the cache. */
static void spread(const deer_thresholds *t, int exits, float *tau)
{
    tau_never(exits - 1, tau);
    memcpy(tau, t->tau, (size_t)t->max_exit * sizeof *tau);
    if (t->max_exit < exits - 1)
        tau[t->max_exit] = INFINITY;
}

static deer_status describe(const calibration *p, const question *q, const float *tau, given *g,
                            deer_error *err)
{
    sweep_point *x = &g->point;
    bootstrap draws;
    bool failed;

    calibration_describe(p, "the thresholds file", tau, p->s.exits - 1, &x->at);
    if (bootstrap_make(&p->s, q->seed, &draws, err))
        return DEER_FAILED;
    failed = bootstrap_point(&draws, &p->s, x);
    bootstrap_free(&draws);
    x->at.max_exit = g->file->max_exit;
    if (g->reuses)
        x->mix = sweep_mix(&p->s, g->eyes.views, tau, p->s.exits - 1);
    return failed ? deer_fail(err, "out of memory for the bootstrap") : DEER_OK;
}

/* With a rule, exits are what a replay takes. */
static deer_status judge_rule(cache *c, const question *q, const calibration_spec *spec,
                              const float *tau, given *g, deer_error *err)
{
    rule_candidate x = {.rule = g->file->rule};
    rule_verdict v;

    memcpy(x.tau, tau, sizeof x.tau);
    if (rule_judge(c, g->policy, spec, &x, NULL, q->threads, &v, err))
        return DEER_FAILED;
    g->point.at.llm = v.llm;
    g->point.at.total = v.total;
    g->point.at.cost = spec->scope_llm ? v.llm : v.total;
    g->point.at.loss = v.loss[0];
    memcpy(g->point.at.fraction, v.fraction, sizeof g->point.at.fraction);
    if (g->reuses)
        memcpy(g->point.mix.share, v.share, sizeof g->point.mix.share);
    g->point.cost_95 = g->point.loss_95 = (interval){NAN, NAN};
    return DEER_OK;
}

deer_status given_judge(cache *c, const question *q, const calibration_spec *spec,
                        const calibration *p, given *g, deer_error *err)
{
    float tau[DEER_MAX_EXITS] = {0};
    calibration own;
    deer_status status;

    if (!g->file)
        return DEER_OK;
    spread(g->file, c->exits, tau);
    g->own_history = g->policy != NULL;
    if (!g->policy)
        return describe(p, q, tau, g, err);
    if (onpolicy_judge(c, g->policy, spec, tau, q->threads, &own, err))
        return DEER_FAILED;
    status = describe(&own, q, tau, g, err);
    calibration_free(&own);
    return !status && g->file->rule.kind ? judge_rule(c, q, spec, tau, g, err) : status;
}
