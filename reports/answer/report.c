/* SPDX-License-Identifier: MIT */
/* report.c - from a cache and a question to a report. */
#include "reports/answer/report.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/cost/cost.h"
#include "reports/formats/text.h"

/* ---------------------------------------------------------------- cache -------------------- */

static void measure_instructions(report *r)
{
    const cache *c = r->c;
    double sum = 0;

    for (int e = 0; e < c->about.episodes; e++) {
        sum += (double)c->episode[e].tokens * c->episode[e].steps;
        r->longest = c->episode[e].tokens > r->longest ? c->episode[e].tokens : r->longest;
    }
    r->tokens = (int)lround(sum / (double)c->steps);
}

/* The shape of a model that is not there, whose exits are mapped one to one to the cache's. */
static deer_status published_shape(const char *name, const cache *c, deer_config *config,
                                   deer_error *err)
{
    deer_status status = deer_config_shape(name, config, err);
    char clean[sizeof config->name];

    if (status)
        return status;
    text_copy_utf8(clean, sizeof clean, config->name);
    strcpy(config->name, clean);
    if (config->exits == c->exits)
        return DEER_OK;
    return deer_fail_with(
        DEER_USAGE, err,
        "the shape %s has %d exits and the cache %d: exits are mapped one to one, "
        "so there must be as many",
        name, config->exits, c->exits);
}

static deer_status check_images(const report *r, deer_error *err)
{
    int side = r->q->load.image_size, patch = r->config.patch_size;

    if (!side || (side >= patch && side % patch == 0))
        return DEER_OK;
    return deer_fail_with(DEER_USAGE, err,
                          "--image-size %d is no multiple of the %d pixels of a patch of %s", side,
                          patch, r->config.name);
}

static deer_status open_cache(report *r, deer_error *err)
{
    if (cache_open(r->q->cache, &r->c, err))
        return DEER_FAILED;
    if (r->c->steps < 1 || r->c->about.episodes < 1)
        return deer_fail(err, "%s has no episodes; record some and replay them", r->q->cache);
    r->config = r->c->about.config;
    text_copy_utf8(r->model_name, sizeof r->model_name, r->config.name);
    measure_instructions(r);
    r->mapped = r->q->model_shape != NULL;
    if (r->mapped) {
        deer_status status = published_shape(r->q->model_shape, r->c, &r->config, err);

        if (status)
            return status;
    }
    return check_images(r, err);
}

/* ---------------------------------------------------------------- parts -------------------- */

static bool changed(const question_load *l)
{
    bool parts = false;

    for (int s = 0; s < STAGE_KINDS; s++)
        parts = parts || l->has_part[s];
    return l->cameras || l->image_size || l->tokens || parts;
}

static deer_status load_success(report *r, deer_error *err)
{
    double fixed[DEER_MAX_EXITS];
    deer_status status;

    for (int k = 0; k < r->w.exits; k++)
        fixed[k] = r->w.fixed[k].at.cost;
    if (r->mapped && r->q->rollouts)
        return deer_fail_with(
            DEER_USAGE, err,
            "evaluations are of the policy in the cache, not of the shape %s: leave "
            "--rollouts or --model-shape out",
            r->q->model_shape);
    if (changed(&r->q->load) && r->q->rollouts)
        return deer_fail_with(DEER_USAGE, err,
                              "evaluations are of the policy as it is: leave --rollouts out, or "
                              "--cameras, --image-size, --tokens and --part-dtype");
    status = success_load(r->q->rollout, r->q->rollouts, fixed, r->w.exits, &r->success, err);
    return status ? status : success_check_policy(&r->success, r->c->about.model, err);
}

static deer_status count_tasks(report *r, deer_error *err)
{
    if (tasks_make(r->c, &r->t, err))
        return DEER_FAILED;
    r->sums = calloc((size_t)r->w.budgets * (size_t)r->t.n, sizeof *r->sums);
    if (!r->sums)
        return deer_fail(err, "out of memory for %d tasks", r->t.n);
    for (int b = 0; b < r->w.budgets; b++)
        tasks_count(&r->t, &r->p.s, &r->w.frontier[r->w.exits - 1].ours[b], r->sums + b * r->t.n);
    return DEER_OK;
}

/* The budget recommended where every exit is allowed: what the fleet would take, or the dearest
 * when even that loses too much. */
static void recommend(report *r)
{
    int last = r->w.exits - 1, b = sweep_cheapest(&r->w, last, r->f.max_loss);

    for (; b >= 0 && b < r->w.budgets && !isnan(r->q->min_success); b++) {
        interval ignored;
        double value;

        success_at(&r->success, r->w.frontier[last].ours[b].at.cost, &value, &ignored);
        if (value >= r->q->min_success)
            break;
    }
    r->recommended = b < 0 || b >= r->w.budgets ? r->w.budgets - 1 : b;
}

static deer_status judge_trust(report *r, const calibration_spec *spec, deer_error *err)
{
    const sweep_point *x = &r->w.frontier[r->w.exits - 1].ours[r->recommended];
    deer_status status = trust_guarantee(&r->p, r->q, &r->success, r->t.of_episode,
                                         cache_longest(&r->c->about), &r->trust, err);

    if (!status && r->q->model)
        status = trust_on_policy(r->c, r->q->model, spec, x, r->q->threads, &r->trust, err);
    return status;
}

static deer_status make_parts(report *r, const calibration_spec *spec, deer_error *err)
{
    const question *q = r->q;
    sweep_spec range = {.budgets = q->budgets,
                        .from = q->from,
                        .to = q->to,
                        .seed = q->seed,
                        .threads = q->threads,
                        .views = r->given.reuses ? r->given.eyes.views : NULL,
                        .progress = q->progress,
                        .context = q->context};
    deer_status status = given_problem(r->c, q, spec, &r->given, &r->p, err);

    if (!status)
        status = sweep_make(&r->p, &range, &r->w, err);
    if (!status)
        status = given_judge(r->c, q, spec, &r->p, &r->given, err);
    if (!status)
        status = load_success(r, err);
    if (!status)
        status = fleet_make(q, &r->config, r->tokens, &r->w, &r->success, &r->f, err);
    if (!status)
        status = count_tasks(r, err);
    if (status)
        return status;
    recommend(r);
    r->moments = tasks_moments(r->c, &r->p.s, &r->w.frontier[r->w.exits - 1].ours[r->recommended],
                               r->moment, REPORT_MOMENTS);
    if (r->moments < 0)
        return deer_fail(err, "out of memory for %d episodes", r->c->about.episodes);
    return judge_trust(r, spec, err);
}

/* ---------------------------------------------------------------- whole -------------------- */

deer_status report_make(const question *q, report *r, deer_error *err)
{
    deer_status status;

    memset(r, 0, sizeof *r);
    r->q = q;
    status = open_cache(r, err);
    if (!status)
        status = given_open(r->c, q, &r->given, err);
    if (!status) {
        calibration_spec spec = {.criterion = DEER_CRITERION_L2,
                                 .loss = LOSS_DEEPEST,
                                 .gripper_weight = LOSS_GRIPPER_WEIGHT,
                                 .max_exit = r->config.exits - 1,
                                 .scope_llm = q->scope_llm,
                                 .costs_of = &r->config};

        given_specify(&r->given, &spec);
        status = make_parts(r, &spec, err);
    }
    if (status)
        report_free(r);
    return status;
}

void report_free(report *r)
{
    fleet_free(&r->f);
    free(r->sums);
    tasks_free(&r->t);
    sweep_free(&r->w);
    calibration_free(&r->p);
    given_close(r->c, &r->given);
    cache_close(r->c);
    r->c = NULL;
    r->sums = NULL;
}

const task_sums *report_sums(const report *r, int budget)
{
    return r->sums + budget * r->t.n;
}

/* None of the machines runs the policy: why, and whether it is asking for another runtime that
 * helps. */
static deer_status nobody_runs(const fleet *f, deer_error *err)
{
    const char *ask =
        f->left_out ? "; estimate another runtime with --runtime tuned, ggml or pytorch" : "";

    if (f->machines > 1)
        return deer_fail_with(DEER_INFEASIBLE, err, "%s on none of these machines%s",
                              f->left_out ? "deer runs" : "this kind of model can run", ask);
    return deer_fail_with(DEER_INFEASIBLE, err, "%s: %.300s%s", f->machine[0].title,
                          f->answer[0].reason, ask);
}

deer_status report_verdict(const report *r, deer_error *err)
{
    const fleet_answer *nearest = NULL;
    char name[256];

    for (int i = 0; i < r->q->rates; i++) {
        const fleet_choice *c = &r->f.choice[i];
        const fleet_answer *a = c->nearest < 0 ? NULL : &r->f.answer[c->nearest];

        if (c->machines)
            return DEER_OK;
        if (a && (!nearest || a->lacking < nearest->lacking))
            nearest = a;
    }
    if (r->f.left_out + r->f.cannot == r->f.machines)
        return nobody_runs(&r->f, err);
    if (!nearest)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "no machine can be judged: every profile misses a figure");
    fleet_describe(&r->f, r->q, nearest, name, sizeof name);
    return deer_fail_with(DEER_INFEASIBLE, err,
                          "no machine meets the demands at any rate; the nearest, at %g Hz, is %s "
                          "(%.200s)",
                          r->q->rate[nearest->rate], name, nearest->reason);
}
