/* SPDX-License-Identifier: MIT */
/* solve_table.c - deer-calib solve --table: thresholds for anybody's early-exit model. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cli/solve_parts.h"
#include "calib/problem/table_file.h"
#include "calib/solve/frontier.h"
#include "runtime/base/file.h"

typedef struct {
    const solve_arguments *a;
    solve_settings *set;
    table_file t;
    bool *for_solving; /* [episodes] of a promise, NULL: all */
    steps solving;     /* those episodes; of all, t's own */
    solution x, official;
    bool has_official;
    guarantee promised;
} job;

/* ---------------------------------------------------------------- solving ------------------ */

static deer_status choose_budgets(job *j, deer_error *err)
{
    limits asked = {.average = j->set->average,
                    .fraction = j->set->fraction,
                    .peak = j->set->peak,
                    .memory = j->set->memory,
                    .unit = ""};
    solve_spec *spec = &j->set->spec.solve;
    deer_status status =
        limits_deepest(&asked, j->t.s.cost, j->t.memory, j->t.s.exits, &spec->max_exit, err);

    if (!status && isfinite(asked.memory) && !j->t.has_memory)
        status =
            deer_fail_with(DEER_USAGE, err, "%s has no dataset memory for --memory", j->a->table);
    if (!status)
        status = limits_average(&asked, &j->solving, &spec->budget, err);
    if (!status && isfinite(j->set->guarantee.deviation) && !isfinite(spec->budget))
        status = frontier_budget_for_loss(&j->solving, spec, j->set->guarantee.deviation,
                                          &spec->budget, err);
    return status;
}

static deer_status judge(void *context, const float *tau, episode_sums *sums, deer_error *err)
{
    job *j = context;

    (void)err;
    guarantee_sum(&j->t.s, tau, j->set->spec.solve.max_exit, sums);
    return DEER_OK;
}

/* Which episodes to solve on; a promise knows nothing of the others before it is tested on them. */
static deer_status split(job *j, deer_error *err)
{
    deer_status status;

    j->solving = j->t.s;
    if (!(j->set->guarantee.confidence > 0))
        return DEER_OK;
    j->for_solving = calloc((size_t)j->t.s.episodes, sizeof *j->for_solving);
    if (!j->for_solving)
        return deer_fail(err, "out of memory for %d episodes", j->t.s.episodes);
    j->solving = (steps){0};
    status = guarantee_split(&j->set->guarantee, j->t.s.episodes, j->for_solving, err);
    return status ? status : steps_select(&j->t.s, j->for_solving, &j->solving, err);
}

static deer_status promise(job *j, deer_error *err)
{
    guarantee_spec *g = &j->set->guarantee;
    const solve_spec *spec = &j->set->spec.solve;
    deer_status status;

    g->budget = isnan(j->set->average) && isnan(j->set->fraction) ? INFINITY : spec->budget;
    status = guarantee_choose(g, &j->solving, j->x.tau, spec->max_exit, j->t.s.episodes,
                              j->for_solving, judge, j, &j->promised, err);
    if (status)
        return status;
    memcpy(j->x.tau, j->promised.tau, sizeof j->x.tau);
    steps_evaluate(&j->t.s, j->x.tau, spec->max_exit, &j->x.found);
    return DEER_OK;
}

static deer_status solve_all(job *j, deer_error *err)
{
    solve_spec spec = j->set->spec.solve;
    deer_error ignored;
    deer_status status = solve(&j->solving, &spec, &j->x, err);

    if (!status && j->for_solving)
        status = promise(j, err);
    if (status)
        return status;
    if (j->promised.given)
        spec.budget = j->x.found.cost;
    j->has_official =
        isfinite(spec.budget) && !solve_official_best(&j->t.s, &spec, &j->official, &ignored);
    return DEER_OK;
}

/* ---------------------------------------------------------------- delivery ----------------- */

static void make_outcome(const job *j, outcome *o)
{
    const calibration view = {.s = j->t.s}; /* borrowed */
    int last = j->set->spec.solve.max_exit;
    float never[DEER_MAX_EXITS];

    limits_never(last, never);
    *o = (outcome){.source = j->a->table,
                   .scope = "cost",
                   .episodes = j->t.s.episodes,
                   .exits = j->t.s.exits,
                   .steps = j->t.s.n,
                   .budget = j->set->spec.solve.budget,
                   .peak = j->t.s.cost[last],
                   .memory = j->t.has_memory ? j->t.memory[last] : NAN,
                   .full_llm = NAN,
                   .full_total = steps_fixed_cost(&j->t.s, j->t.s.exits - 1),
                   .x = j->x,
                   .has_official = j->has_official,
                   .promised = j->promised};
    table_row_of(&view, last == j->t.s.exits - 1 ? "full depth" : "deepest allowed", never, last,
                 &o->full);
    table_row_of(&view, solve_method_name(j->set->spec.solve.method), j->x.tau, last, &o->found);
    if (j->has_official)
        table_row_of(&view, "official", j->official.tau, last, &o->official);
    if (j->has_official)
        snprintf(o->official.name, sizeof o->official.name, "%.*s",
                 (int)strcspn(j->official.solver, " "), j->official.solver);
    outcome_judge(o, &j->t.s, o->found.total);
}

/* The result as JSON: a table's thresholds belong to no model that the runtime knows. */
static deer_status save(const char *path, const outcome *o, deer_error *err)
{
    json_t *json = outcome_json(o);
    char *text = json_dumps(json, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    deer_status status = text ? file_write(path, text, strlen(text), err)
                              : deer_fail(err, "out of memory writing %s", path);

    free(text);
    json_decref(json);
    return status;
}

static deer_status deliver(const job *j, deer_error *err)
{
    outcome o;

    make_outcome(j, &o);
    if (j->a->out && save(j->a->out, &o, err))
        return DEER_FAILED;
    outcome_deliver(j->a, &o);
    return DEER_OK;
}

static deer_status solve_for(void *context, double budget, table_row *row, deer_error *err)
{
    job *j = context;
    const calibration view = {.s = j->t.s};
    solve_spec spec = j->set->spec.solve;
    solution x;
    deer_status status;

    spec.budget = budget;
    status = solve(&j->t.s, &spec, &x, err);
    if (!status)
        table_row_of(&view, x.solver, x.tau, spec.max_exit, row);
    return status;
}

static deer_status write_frontier(job *j, deer_error *err)
{
    int points = (int)j->a->points;
    frontier_row *rows = calloc((size_t)points, sizeof *rows);
    deer_status status = rows ? frontier_make(points, &j->t.s, solve_for, j, rows, err)
                              : deer_fail(err, "out of memory for a frontier");

    if (!status)
        status = frontier_write(j->a->frontier, rows, points, "cost", err);
    free(rows);
    return status;
}

static deer_status run(job *j, deer_error *err)
{
    const solve_arguments *a = j->a;
    deer_status status = split(j, err);

    if (!status)
        status = choose_budgets(j, err);
    if (!status && a->frontier)
        status = write_frontier(j, err);
    if (!status && (!a->frontier || isfinite(j->set->spec.solve.budget) || a->out)) {
        status = solve_all(j, err);
        if (!status)
            status = deliver(j, err);
    }
    return status;
}

deer_status solve_table(const solve_arguments *a, solve_settings *set, deer_error *err)
{
    job *j = calloc(1, sizeof *j);
    deer_status status;

    if (!j)
        return deer_fail(err, "out of memory");
    j->a = a;
    j->set = set;
    status = table_file_read(a->table, &j->t, err);
    if (!status)
        status = run(j, err);
    if (j->for_solving)
        steps_free(&j->solving);
    free(j->for_solving);
    table_file_free(&j->t);
    free(j);
    return status;
}
