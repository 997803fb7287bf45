/* SPDX-License-Identifier: MIT */
/* thresholds_write.c - writing the thresholds file (docs/thresholds-file.md). */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/tau.h"
#include "runtime/thresholds/criterion.h"
#include "runtime/thresholds/thresholds_format.h"

/* NaN (not known) is null. */
static json_t *number_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* JSON has no infinities; the official code writes -1e8 for an exit that is never taken. */
static json_t *tau_json(const float *tau, int max_exit)
{
    json_t *list = json_array();

    for (int k = 0; k <= max_exit; k++)
        json_push(list, k == max_exit      ? json_null()
                        : tau_word(tau[k]) ? json_string(tau_word(tau[k]))
                                           : json_real((double)tau[k]));
    return list;
}

static json_t *scores_json(const deer_score *score, int max_exit)
{
    json_t *list = json_array();

    for (int k = 0; k < max_exit; k++) {
        json_t *one = json_pack("{s:f}", "constant", (double)score[k].constant);
        for (int j = 0; j < DEER_SIGNALS; j++)
            if (score[k].weight[j] != 0)
                json_put(one, deer_signal_name((deer_signal)j),
                         json_real((double)score[k].weight[j]));
        json_push(list, one);
    }
    return list;
}

/* What the caller filled in by hand may not make a file that nothing can read. */
static deer_status check(const char *path, const deer_config *config, const deer_thresholds *t,
                         deer_error *err)
{
    char name[400];

    if (!path || !config || !t)
        return deer_fail_with(DEER_USAGE, err, "writing thresholds lacks an argument");
    snprintf(name, sizeof name, "cannot write %s", path);
    if (t->max_exit >= config->exits)
        return deer_fail_with(DEER_USAGE, err, "%s: thresholds up to exit %d of %d", name,
                              t->max_exit, config->exits);
    return thresholds_check(name, t, err);
}

static json_t *expected_json(const deer_expected *p, int max_exit)
{
    json_t *json = json_object(), *fractions = json_array();

    for (int k = 0; k <= max_exit; k++)
        json_push(fractions, number_json(p->exit_fraction[k]));
    json_put(json, "average_llm_gflops", number_json(p->average_llm_gflops));
    json_put(json, "average_total_gflops", number_json(p->average_total_gflops));
    json_put(json, "peak_llm_gflops", number_json(p->peak_llm_gflops));
    json_put(json, "peak_total_gflops", number_json(p->peak_total_gflops));
    json_put(json, "memory_bytes", number_json(p->memory_bytes));
    json_put(json, "loss", number_json(p->loss));
    json_put(json, "exit_fraction", fractions);
    return json;
}

static json_t *guarantee_json(const deer_guarantee *g)
{
    return json_pack("{s:f, s:o, s:o, s:I, s:I, s:s, s:s}", "confidence", g->confidence,
                     "average_gflops", number_json(g->budget_gflops), "loss", number_json(g->loss),
                     "solved_on_episodes", (json_int_t)g->solved_on, "tested_on_episodes",
                     (json_int_t)g->tested_on, "bound", g->bound, "statement", g->statement);
}

static json_t *floats_json(const float *x, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_push(list, number_json((double)x[i]));
    return list;
}

static json_t *kinds_json(const uint32_t *kind, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_push(list, json_integer(kind[i]));
    return list;
}

static json_t *camera_json(const deer_camera_rule *rule)
{
    json_t *json = json_pack("{s:i}", "age", rule->age);

    if (rule->age > 0 && isfinite(rule->rho))
        json_put(json, "rho", json_real((double)rule->rho));
    return json;
}

/* Cameras that are encoded at every step need no rules. */
static void put_cameras(json_t *to, const deer_camera_rules *r)
{
    json_t *json;

    if (!r->static_view.age && !r->gripper_view.age)
        return;
    json = json_pack("{s:o, s:o}", "static", camera_json(&r->static_view), "gripper",
                     camera_json(&r->gripper_view));
    if (r->stagger)
        json_put(json, "stagger", json_true());
    json_put(to, "cameras", json);
}

static json_t *pattern_json(const deer_exit_rule *rule)
{
    json_t *list = json_array();

    for (int i = 0; i < rule->steps; i++)
        json_push(list, json_integer(rule->pattern[i]));
    return list;
}

static void put_rule(json_t *to, const deer_exit_rule *rule)
{
    json_t *json;

    if (!rule->kind)
        return;
    json = json_pack("{s:s}", "kind", deer_rule_name((deer_rule_kind)rule->kind));
    if (rule->kind == DEER_RULE_SCHEDULE) {
        json_put(json, "pattern", pattern_json(rule));
    } else {
        json_put(json, "deep", json_integer(rule->deep));
        if (rule->kind == DEER_RULE_REFRESH)
            json_put(json, "steps", json_integer(rule->steps));
        else
            json_put(json, "limit", json_real((double)rule->limit));
    }
    json_put(to, "rule", json);
}

static json_t *points_json(const deer_thresholds *t)
{
    json_t *list = json_array();

    for (int i = 0; i < t->points; i++) {
        const deer_point *p = &t->point[i];
        json_t *one = json_pack("{s:f, s:o, s:o}", "average_gflops", p->budget_gflops, "tau",
                                tau_json(p->tau, t->max_exit), "expected",
                                expected_json(&p->expected, t->max_exit));

        put_cameras(one, &p->cameras);
        put_rule(one, &p->rule);
        if (t->point_guarantee[i].confidence > 0)
            json_put(one, "guarantee", guarantee_json(&t->point_guarantee[i]));
        json_push(list, one);
    }
    return list;
}

static json_t *thresholds_json(const deer_config *config, const deer_thresholds *t)
{
    json_t *json = json_object(), *layers = json_array();

    for (int k = 0; k <= t->max_exit; k++)
        json_push(layers, json_integer(config->exit_layers[k]));
    json_put(json, "deer_thresholds", json_integer(THRESHOLDS_VERSION));
    json_put(json, "model_fingerprint", json_string(t->model_fingerprint));
    if (*t->weights)
        json_put(json, "weights", json_string(t->weights));
    if (*t->sums)
        json_put(json, "sums", json_string(t->sums));
    json_put(json, "criterion", json_string(deer_criterion_name(t->criterion)));
    if (exit_criterion_of(t->criterion)->needs & CRITERION_NEEDS_SCORE)
        json_put(json, "score", scores_json(t->score, t->max_exit));
    json_put(json, "exit_layers", layers);
    json_put(json, "tau", tau_json(t->tau, t->max_exit));
    json_put(json, "steps_per_stage", json_integer(t->steps_per_stage));
    put_cameras(json, &t->cameras);
    put_rule(json, &t->rule);
    json_put(json, "expected", expected_json(&t->expected, t->max_exit));
    if (t->guarantee.confidence > 0)
        json_put(json, "guarantee", guarantee_json(&t->guarantee));
    if (t->points)
        json_put(json, "dial", points_json(t));
    if (t->reference.episodes)
        json_put(json, "reference",
                 json_pack("{s:o, s:o, s:o}", "kind",
                           kinds_json(t->reference.kind, t->reference.episodes), "mean_exit",
                           floats_json(t->reference.mean_exit, t->reference.episodes), "mean_delta",
                           floats_json(t->reference.mean_delta, t->reference.episodes)));
    json_put(json, "budget",
             json_pack("{s:o, s:s}", "average_gflops", number_json(t->budget_gflops), "scope",
                       t->budget_is_llm ? "llm" : "total"));
    json_put(json, "calibration",
             json_pack("{s:I, s:I, s:s, s:I, s:s}", "episodes", (json_int_t)t->calibration_episodes,
                       "steps", (json_int_t)t->calibration_steps, "solver", t->solver, "seed",
                       (json_int_t)t->seed, "deer", DEER_VERSION));
    return json;
}

deer_status deer_thresholds_save(const char *path, const deer_config *config,
                                 const deer_thresholds *t, deer_error *err)
{
    if (check(path, config, t, err))
        return DEER_USAGE;
    return json_write(path, thresholds_json(config, t), JSON_INDENT(1) | JSON_REAL_PRECISION(17),
                      err);
}
