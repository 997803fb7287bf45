/* SPDX-License-Identifier: MIT */
/* calibrate_table.c - thresholds for anybody's early-exit model. */
#include "calib/pipeline/calibrate_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "calib/pipeline/kinds.h"
#include "calib/problem/table_file.h"
#include "calib/solve/frontier.h"

typedef struct {
    const char *path;
    const calibrate_spec *spec;
    calibrated_table *x;
    solve_spec how;    /* with the budget and the deepest exit decided */
    step_table t;      /* borrowed */
    task_kinds kinds;  /* of a guarantee, and */
    bool *for_solving; /* [episodes]; NULL: all */
    steps solving;     /* those episodes; of all, t's own */
    solution found, official;
    bool has_official;
    solution *dial; /* [spec->points] of a guaranteed dial */
} job;

/* The table as the problem of a cache whose costs are unknown; borrowed. */
static calibration view_of(const job *j)
{
    return (calibration){.s = j->t.s};
}

/* ---------------------------------------------------------------- solving ------------------ */

static deer_status decide_budgets(job *j, deer_error *err)
{
    const limits *asked = &j->spec->asked;
    double deviation = j->spec->guarantee.deviation;
    deer_status status =
        limits_deepest(asked, "", j->t.s.cost, j->t.memory, j->t.s.exits, &j->how.max_exit, err);

    if (!status && isfinite(asked->memory) && !j->t.has_memory)
        status = deer_fail_with(DEER_USAGE, err, "%s has no dataset memory for --memory", j->path);
    if (!status)
        status = limits_average(asked, "", &j->solving, &j->how.budget, err);
    if (!status && isfinite(deviation) && !isfinite(j->how.budget))
        status = frontier_budget_for_loss(&j->solving, &j->how, deviation, &j->how.budget, err);
    return status;
}

static deer_status judge(void *context, const float *tau, const bool *some, episode_sums *sums,
                         deer_error *err)
{
    job *j = context;

    (void)some;
    (void)err;
    guarantee_sum(&j->t.s, tau, j->how.max_exit, sums);
    return DEER_OK;
}

/* Which episodes to solve on; a guarantee knows nothing of the others before it is tested on them.
 */
static deer_status split(job *j, deer_error *err)
{
    deer_status status = DEER_OK;
    guarantee_spec kinds = j->spec->guarantee;

    if (!guarantee_asked(&kinds)) {
        j->solving = j->t.s;
        return DEER_OK;
    }
    j->for_solving = calloc((size_t)j->t.s.episodes, sizeof *j->for_solving);
    if (!j->for_solving)
        return deer_fail(err, "out of memory for %d episodes", j->t.s.episodes);
    if (j->t.task)
        status = task_kinds_make(j->t.task, j->t.s.episodes, j->spec->mix, &j->kinds, err);
    else if (j->spec->mix || kinds.per_kind)
        status = deer_fail_with(DEER_USAGE, err,
                                "the table has no dataset task for --per-task and --mix");
    task_kinds_tell(&j->kinds, &kinds);
    if (!status)
        status = guarantee_split(&kinds, j->t.s.episodes, j->for_solving, err);
    return status ? status : steps_select(&j->t.s, j->for_solving, &j->solving, err);
}

/* A loss of 0 in every single step is taken to be so by definition. */
static bool loses_nothing(const steps *s, int k)
{
    int64_t losing = 0;

    for (int64_t i = 0; i < s->n; i++)
        losing += s->loss[(int64_t)k * s->n + i] > 0;
    if (s->spread)
        cluster_count(&losing, 1);
    return !losing;
}

/* What is asked, but for the budget. */
static guarantee_spec promise_of(const job *j)
{
    guarantee_spec g = j->spec->guarantee;

    task_kinds_tell(&j->kinds, &g);
    g.deepest_is_reference =
        j->spec->problem.loss == LOSS_DEEPEST && loses_nothing(&j->t.s, j->how.max_exit);
    return g;
}

static deer_status choose_guaranteed(job *j, deer_error *err)
{
    guarantee_spec g = promise_of(j);
    guarantee *held = &j->x->o.guaranteed;
    deer_status status;

    g.budget = limits_have_average(&j->spec->asked) ? j->how.budget : INFINITY;
    status = guarantee_choose(&g, &j->solving, &j->found.at, j->t.s.episodes, j->for_solving, judge,
                              j, held, err);
    if (status)
        return status;
    operating_point_set(&j->found.at, held->at.tau);
    operating_point_evaluate(&j->t.s, &j->found.at);
    return DEER_OK;
}

static deer_status describe(job *j, deer_error *err)
{
    const calibration view = view_of(j);
    outcome *o = &j->x->o;
    int last = j->how.max_exit;

    o->episodes = j->t.s.episodes;
    o->exits = j->t.s.exits;
    o->steps = j->t.s.all;
    o->budget = j->how.budget;
    o->full_llm = NAN;
    o->full_total = steps_fixed_cost(&j->t.s, j->t.s.exits - 1);
    outcome_describe(o, &view, &j->found, j->found.at.tau, &view,
                     j->has_official ? &j->official : NULL, j->how.method);
    o->found.memory = j->t.has_memory ? j->t.memory[last] : NAN;
    return outcome_judge(o, &j->t.s, err);
}

static deer_status solve_all(job *j, deer_error *err)
{
    solve_spec official = j->how;
    bool limited = limits_have_average(&j->spec->asked) || isfinite(j->spec->guarantee.deviation);
    deer_status status = solve(&j->solving, &j->how, &j->found, err);

    if (!status && j->for_solving && limited)
        status = choose_guaranteed(j, err);
    if (status)
        return status;
    if (j->x->o.guaranteed.given)
        official.budget = j->found.at.cost;
    if (isfinite(official.budget)) {
        status = solve_official_best(&j->t.s, &official, &j->official, err);
        j->has_official = !status;
    }
    if (status && status != DEER_INFEASIBLE) /* of the heuristic alone */
        return status;
    status = describe(j, err);
    j->x->has_outcome = !status;
    return status;
}

/* ---------------------------------------------------------------- dial --------------------- */

static deer_status solve_for(void *context, double budget, operating_point *x, deer_error *err)
{
    job *j = context;
    const calibration view = view_of(j);
    solve_spec how = j->how;
    solution found;
    deer_status status;

    how.budget = budget;
    status = solve(&j->t.s, &how, &found, err);
    if (!status)
        calibration_describe(&view, found.at.name, found.at.tau, how.max_exit, x);
    return status;
}

static deer_status solve_part(void *context, int i, guarantee_point *x, deer_error *err)
{
    job *j = context;
    solve_spec how = j->how;

    how.budget = x->budget;
    x->solving = &j->solving;
    x->found = &j->dial[i].at;
    return solve(&j->solving, &how, &j->dial[i], err);
}

static deer_status describe_point(void *context, const float *tau, operating_point *x,
                                  deer_error *err)
{
    const job *j = context;
    const calibration view = view_of(j);

    (void)err;
    calibration_describe(&view, solve_method_name(j->how.method), tau, j->how.max_exit, x);
    return DEER_OK;
}

static deer_status make_guaranteed_dial(job *j, deer_error *err)
{
    int points = j->spec->points;
    const guarantee_spec asked = promise_of(j);
    const dial_promises d = {.points = points,
                             .max_exit = j->how.max_exit,
                             .episodes = j->t.s.episodes,
                             .part = &j->solving,
                             .for_solving = j->for_solving,
                             .guarantee = &asked,
                             .judge = judge,
                             .solve = solve_part,
                             .describe = describe_point,
                             .context = j};

    j->dial = calloc((size_t)points, sizeof *j->dial);
    j->x->point_guarantee = calloc((size_t)points, sizeof *j->x->point_guarantee);
    if (!j->dial || !j->x->point_guarantee)
        return deer_fail(err, "out of memory for %d budgets", points);
    return dial_guarantee(&d, &j->spec->progress, j->x->point, j->x->point_guarantee, err);
}

static deer_status make_dial(job *j, deer_error *err)
{
    const calibrate_spec *spec = j->spec;

    if (!spec->points)
        return DEER_OK;
    j->x->point = calloc((size_t)spec->points, sizeof *j->x->point);
    if (!j->x->point)
        return deer_fail(err, "out of memory for %d budgets", spec->points);
    j->x->points = spec->points;
    if (guarantee_asked_together(&spec->guarantee))
        return make_guaranteed_dial(j, err);
    return dial_make(spec->points, &j->t.s, j->how.max_exit, solve_for, j, &spec->progress,
                     j->x->point, err);
}

/* ---------------------------------------------------------------- whole -------------------- */

static deer_status run(job *j, deer_error *err)
{
    deer_status status = split(j, err);

    if (!status)
        status = decide_budgets(j, err);
    if (!status)
        status = make_dial(j, err);
    if (!status && !(j->spec->only_dial && !isfinite(j->how.budget)))
        status = solve_all(j, err);
    return status;
}

deer_status calibrate_steps(const char *name, const step_table *table, const calibrate_spec *spec,
                            calibrated_table *x, deer_error *err)
{
    job j = {.path = name, .spec = spec, .x = x, .how = spec->solve, .t = *table};
    deer_status status;

    *x = (calibrated_table){0};
    status = run(&j, err);
    if (j.for_solving)
        steps_free(&j.solving);
    free(j.dial);
    free(j.for_solving);
    task_kinds_free(&j.kinds);
    if (status)
        calibrated_table_free(x);
    return status;
}

deer_status calibrate_table(const char *path, const calibrate_spec *spec, calibrated_table *x,
                            deer_error *err)
{
    step_table t;
    deer_status status;

    *x = (calibrated_table){0};
    status = table_file_read(path, &t, err);
    if (!status)
        status = calibrate_steps(path, &t, spec, x, err);
    step_table_free(&t);
    return status;
}

void calibrated_table_free(calibrated_table *x)
{
    free(x->point);
    free(x->point_guarantee);
    *x = (calibrated_table){0};
}
