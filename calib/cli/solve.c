/* SPDX-License-Identifier: MIT */
/* solve.c - deer-calib solve on a feature cache, and the short form that replays first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cli/commands.h"
#include "calib/cli/official_values.h"
#include "calib/cli/outcome.h"
#include "calib/cli/run_replay.h"
#include "calib/cli/settings.h"
#include "calib/cli/solve_parts.h"
#include "calib/cli/temporary.h"
#include "calib/criterion/combined.h"
#include "calib/solve/frontier.h"
#include "runtime/cli/tool.h"
#include "runtime/deer_drift.h"

/* Everything one solve has in hand. */
typedef struct {
    const solve_arguments *a;
    solve_settings *set;
    cache *c;
    deer_model *model;
    bool *for_solving; /* [episodes] of a promise, NULL: all */
    calibration whole; /* as cached, up to the deepest exit there is, then the deepest allowed */
    steps solving;     /* of the episodes for solving; of all, whole's own */
    double full_llm, full_total;
    deer_score score[DEER_MAX_EXITS];
    onpolicy_result found, official;
    bool has_official;
    guarantee promised;
    calibration final; /* all episodes under the chosen thresholds' history */
    float tau[DEER_MAX_EXITS];
    frontier_row *rows; /* [a->points], NULL without a frontier */
} job;

/* ---------------------------------------------------------------- budgets ------------------ */

static void free_whole(job *j)
{
    if (j->for_solving)
        steps_free(&j->solving);
    calibration_free(&j->whole);
}

static deer_status make_whole(job *j, int max_exit, deer_error *err)
{
    free_whole(j);
    j->set->spec.problem.max_exit = j->set->spec.solve.max_exit = max_exit;
    if (calibration_make(j->c, &j->set->spec.problem, NULL, &j->whole, err))
        return DEER_FAILED;
    if (j->for_solving)
        return steps_select(&j->whole.s, j->for_solving, &j->solving, err);
    j->solving = j->whole.s;
    return DEER_OK;
}

static deer_status choose_budgets(job *j, deer_error *err)
{
    bool llm = j->set->spec.problem.scope_llm;
    limits asked = {.average = j->set->average,
                    .fraction = j->set->fraction,
                    .peak = j->set->peak,
                    .memory = j->set->memory,
                    .unit = llm ? " GFLOPs (llm)" : " GFLOPs (total)"};
    int deepest, last = j->c->exits - 1;
    deer_status status;

    if (make_whole(j, last, err))
        return DEER_FAILED;
    j->full_llm = calibration_fixed_cost(&j->whole, j->whole.llm, last);
    j->full_total = calibration_fixed_cost(&j->whole, j->whole.total, last);
    status = limits_deepest(&asked, llm ? j->whole.peak_llm : j->whole.peak_total, j->whole.memory,
                            j->c->exits, &deepest, err);
    if (!status)
        status = limits_average(&asked, &j->solving, &j->set->spec.solve.budget, err);
    if (!status && deepest != last)
        status = make_whole(j, deepest, err);
    if (!status && isfinite(j->set->guarantee.deviation) && !isfinite(j->set->spec.solve.budget))
        status =
            frontier_budget_for_loss(&j->solving, &j->set->spec.solve, j->set->guarantee.deviation,
                                     &j->set->spec.solve.budget, err);
    return status;
}

/* ---------------------------------------------------------------- guarantee ---------------- */

static deer_status judge(void *context, const float *tau, episode_sums *sums, deer_error *err)
{
    job *j = context;
    calibration own;

    if (onpolicy_judge(j->c, j->model, &j->set->spec.problem, tau, j->set->spec.threads, &own, err))
        return DEER_FAILED;
    guarantee_sum(&own.s, tau, j->set->spec.problem.max_exit, sums);
    calibration_free(&own);
    return DEER_OK;
}

/* Episodes of one task are one kind. */
static deer_status task_strata(const cache *c, int **stratum, deer_error *err)
{
    *stratum = malloc((size_t)c->about.episodes * sizeof **stratum);
    if (!*stratum)
        return deer_fail(err, "out of memory for %d episodes", c->about.episodes);
    for (int e = 0; e < c->about.episodes; e++) {
        int first = 0;

        while (strcmp(c->episode[first].task, c->episode[e].task))
            first++;
        (*stratum)[e] = first;
    }
    return DEER_OK;
}

static deer_status split(job *j, deer_error *err)
{
    int *stratum = NULL;
    deer_status status;

    j->for_solving = calloc((size_t)j->c->about.episodes, sizeof *j->for_solving);
    if (!j->for_solving)
        return deer_fail(err, "out of memory for %d episodes", j->c->about.episodes);
    status = task_strata(j->c, &stratum, err);
    j->set->guarantee.stratum = stratum;
    if (!status)
        status = guarantee_split(&j->set->guarantee, j->c->about.episodes, j->for_solving, err);
    free(stratum);
    return status;
}

static deer_status promise(job *j, deer_error *err)
{
    guarantee_spec *g = &j->set->guarantee;
    onpolicy_spec part = j->set->spec;
    deer_status status;

    part.episodes = j->for_solving;
    g->unit = part.problem.scope_llm ? " GFLOPs (llm)" : " GFLOPs (total)";
    g->budget = isnan(j->set->average) && isnan(j->set->fraction) ? INFINITY : part.solve.budget;
    if (isnan(g->largest_loss)) /* poses lie in -1..1 */
        g->largest_loss = 2 + part.problem.gripper_weight;
    status = onpolicy_solve(j->c, j->model, &part, &j->found, err);
    if (!status)
        status =
            guarantee_choose(g, &j->found.problem.s, j->found.x.tau, part.problem.max_exit,
                             j->c->about.episodes, j->for_solving, judge, j, &j->promised, err);
    if (!status)
        memcpy(j->tau, j->promised.tau, sizeof j->tau);
    return status;
}

/* ---------------------------------------------------------------- solving ------------------ */

/* On the part that is for solving: a promise knows nothing of the others. */
static deer_status fit_score(job *j, deer_error *err)
{
    combined_spec spec = {.problem = j->set->spec.problem,
                          .episodes = j->for_solving,
                          .seed = j->set->spec.solve.seed,
                          .threads = j->set->spec.threads};

    j->set->spec.problem.score = j->score;
    return combined_fit(j->c, j->model, &spec, j->score, err);
}

static deer_status solve_plainly(job *j, deer_error *err)
{
    deer_status status = onpolicy_solve(j->c, j->model, &j->set->spec, &j->found, err);

    if (!status)
        memcpy(j->tau, j->found.x.tau, sizeof j->tau);
    return status;
}

/* The steps that the table shows: all episodes under the chosen thresholds' own history. Random
 * history, which no robot has, is shown as it was solved on. */
static deer_status show_on(job *j, deer_error *err)
{
    onpolicy_spec *spec = &j->set->spec;

    if (spec->history == HISTORY_RANDOM && !j->promised.given) {
        j->final = j->found.problem;
        j->found.problem = (calibration){0};
        return DEER_OK;
    }
    return onpolicy_judge(j->c, j->model, &spec->problem, j->tau, spec->threads, &j->final, err);
}

/* The best official heuristic at the cost the answer really has. */
static void solve_officially(job *j)
{
    onpolicy_spec official = j->set->spec;
    evaluation here;
    deer_error ignored;

    if (official.problem.criterion == DEER_CRITERION_COMBINED)
        official.problem.criterion = DEER_CRITERION_L2;
    steps_evaluate(&j->final.s, j->tau, official.problem.max_exit, &here);
    official.official_best = true;
    if (j->promised.given)
        official.solve.budget = here.cost;
    j->has_official = isfinite(official.solve.budget) &&
                      !onpolicy_solve(j->c, j->model, &official, &j->official, &ignored);
}

static deer_status solve_all(job *j, deer_error *err)
{
    deer_status status = j->set->guarantee.confidence > 0 ? promise(j, err) : solve_plainly(j, err);

    if (!status)
        status = show_on(j, err);
    if (!status)
        solve_officially(j);
    return status;
}

/* ---------------------------------------------------------------- delivery ----------------- */

static void make_outcome(const job *j, outcome *o)
{
    const onpolicy_spec *spec = &j->set->spec;
    int last = spec->problem.max_exit;
    float never[DEER_MAX_EXITS];

    limits_never(last, never);
    *o = (outcome){.source = j->a->demos ? j->a->demos : j->a->cache,
                   .scope = j->a->scope,
                   .episodes = j->c->about.episodes,
                   .exits = j->c->exits,
                   .steps = j->final.s.n,
                   .budget = spec->solve.budget,
                   .peak = spec->problem.scope_llm ? j->final.peak_llm[last]
                                                   : j->final.peak_total[last],
                   .memory = j->final.memory[last],
                   .full_llm = j->full_llm,
                   .full_total = j->full_total,
                   .x = j->found.x,
                   .has_official = j->has_official,
                   .problem = &spec->problem,
                   .has_history = true,
                   .history = spec->history,
                   .rounds = &j->found,
                   .promised = j->promised};
    table_row_of(&j->final, last == j->c->exits - 1 ? "full depth" : "deepest allowed", never, last,
                 &o->full);
    table_row_of(&j->final, solve_method_name(spec->solve.method), j->tau, last, &o->found);
    if (j->has_official)
        table_row_of(&j->official.problem, "official", j->official.x.tau, last, &o->official);
    if (j->has_official)
        snprintf(o->official.name, sizeof o->official.name, "%.*s",
                 (int)strcspn(j->official.x.solver, " "), j->official.x.solver);
    outcome_judge(o, &j->final.s, spec->problem.scope_llm ? o->found.llm : o->found.total);
}

static deer_promise promise_of(const job *j, const table_row *row)
{
    deer_promise p = {.average_llm_gflops = row->llm,
                      .average_total_gflops = row->total,
                      .peak_llm_gflops = row->peak_llm,
                      .peak_total_gflops = row->peak_total,
                      .memory_bytes = j->final.memory[row->max_exit],
                      .loss = row->loss};

    memcpy(p.exit_fraction, row->fraction, sizeof row->fraction);
    return p;
}

static void fill_guarantee(const guarantee *from, deer_guarantee *g)
{
    *g = (deer_guarantee){.budget_gflops = NAN, .loss = NAN};
    if (!from->given)
        return;
    g->confidence = from->confidence;
    g->budget_gflops = isfinite(from->budget) ? from->budget : NAN;
    g->loss = isfinite(from->deviation) ? from->deviation : NAN;
    g->solved_on = from->solved_on;
    g->tested_on = from->tested_on;
    snprintf(g->bound, sizeof g->bound, "%s", bound_name(from->bound));
    snprintf(g->statement, sizeof g->statement, "%s", from->statement);
}

/* The dial: every point of the frontier that costs more than the one before. */
static void fill_points(const job *j, deer_thresholds *t)
{
    for (int i = 0; j->rows && i < j->a->points && t->points < DEER_MAX_POINTS; i++) {
        deer_point *p = &t->point[t->points++];
        p->budget_gflops = j->rows[i].budget;
        memcpy(p->tau, j->rows[i].row.tau, sizeof p->tau);
        p->tau[t->max_exit] = INFINITY;
        p->promise = promise_of(j, &j->rows[i].row);
    }
}

/* Every episode's mean exit and mean first delta; where there are more than fit, every so many. */
static void fill_reference(const job *j, const table_row *row, deer_reference *r)
{
    const steps *s = &j->final.s;
    int every = (s->episodes + DEER_MAX_REFERENCE - 1) / DEER_MAX_REFERENCE;

    for (int64_t i = 0; i < s->n;) {
        int episode = s->episode[i], finite = 0;
        double exits = 0, delta = 0;
        int64_t first = i;
        for (; i < s->n && s->episode[i] == episode; i++) {
            int k = 0;
            while (k < row->max_exit && !(s->delta[(int64_t)k * s->n + i] <= row->tau[k]))
                k++;
            exits += k;
            if (isfinite(s->delta[i])) {
                delta += (double)s->delta[i];
                finite++;
            }
        }
        if (episode % every || !finite)
            continue;
        r->kind[r->episodes] = deer_drift_kind(j->c->episode[episode].task);
        r->mean_exit[r->episodes] = (float)(exits / (double)(i - first));
        r->mean_delta[r->episodes++] = (float)(delta / finite);
    }
}

static void fill_thresholds(const job *j, const table_row *row, const solution *x,
                            deer_thresholds *t)
{
    int last = row->max_exit;

    memset(t, 0, sizeof *t);
    strcpy(t->model_fingerprint, j->c->about.model);
    strcpy(t->weights, j->model ? deer_model_type(j->model) : j->c->about.weights);
    t->criterion = j->set->spec.problem.criterion;
    t->exits = last + 1;
    t->max_exit = last;
    t->steps_per_stage = 1;
    memcpy(t->tau, row->tau, sizeof t->tau);
    memcpy(t->score, j->score, sizeof t->score);
    t->tau[last] = INFINITY;
    t->promise = promise_of(j, row);
    fill_guarantee(&j->promised, &t->guarantee);
    fill_points(j, t);
    fill_reference(j, row, &t->reference);
    snprintf(t->solver, sizeof t->solver, "%s", x->solver);
    t->budget_gflops = isfinite(j->set->spec.solve.budget) ? j->set->spec.solve.budget : NAN;
    t->budget_is_llm = j->set->spec.problem.scope_llm;
    t->calibration_episodes = j->c->about.episodes;
    t->calibration_steps = (long)j->c->steps;
    t->seed = (unsigned long)j->set->spec.solve.seed;
}

static deer_status deliver(const job *j, deer_error *err)
{
    outcome o;
    deer_thresholds t;

    make_outcome(j, &o);
    fill_thresholds(j, &o.found, &o.x, &t);
    if (j->a->out && deer_thresholds_save(j->a->out, &j->c->about.config, &t, err))
        return DEER_FAILED;
    outcome_deliver(j->a, &o);
    return DEER_OK;
}

/* ---------------------------------------------------------------- frontier ----------------- */

static deer_status solve_for(void *context, double budget, table_row *row, deer_error *err)
{
    job *j = context;
    onpolicy_spec spec = j->set->spec;
    onpolicy_result r;
    deer_status status;

    spec.solve.budget = budget;
    status = onpolicy_solve(j->c, j->model, &spec, &r, err);
    if (!status)
        table_row_of(&r.problem, r.x.solver, r.x.tau, spec.problem.max_exit, row);
    onpolicy_free(&r);
    return status;
}

static deer_status make_frontier(job *j, deer_error *err)
{
    int points = (int)j->a->points;
    deer_status status;

    j->rows = calloc((size_t)points, sizeof *j->rows);
    if (!j->rows)
        return deer_fail(err, "out of memory for a frontier");
    status = frontier_make(points, &j->whole.s, solve_for, j, j->rows, err);
    return status ? status : frontier_write(j->a->frontier, j->rows, points, j->a->scope, err);
}

/* ---------------------------------------------------------------- entry -------------------- */

static deer_status run_open(job *j, deer_error *err)
{
    const solve_arguments *a = j->a;
    deer_status status = j->set->guarantee.confidence > 0 ? split(j, err) : DEER_OK;

    if (!status)
        status = choose_budgets(j, err);
    if (!status && j->set->spec.history != HISTORY_FULL)
        status = settings_open_model(j->c, a->model, &j->model, err);
    if (!status && j->set->spec.problem.criterion == DEER_CRITERION_COMBINED)
        status = fit_score(j, err);
    if (!status && a->frontier)
        status = make_frontier(j, err);
    if (!status && (!a->frontier || isfinite(j->set->spec.solve.budget) || a->out)) {
        status = solve_all(j, err);
        if (!status)
            status = deliver(j, err);
    }
    return status;
}

static deer_status run(const solve_arguments *a, solve_settings *set, deer_error *err)
{
    job *j = calloc(1, sizeof *j);
    deer_status status;

    if (!j)
        return deer_fail(err, "out of memory");
    j->a = a;
    j->set = set;
    status = cache_open(a->cache, &j->c, err);
    if (!status)
        status = run_open(j, err);
    free_whole(j);
    calibration_free(&j->final);
    onpolicy_free(&j->found);
    onpolicy_free(&j->official);
    free(j->rows);
    free(j->for_solving);
    deer_model_close(j->model);
    cache_close(j->c);
    free(j);
    return status;
}

/* Replays into the cache, a temporary one when none is named, then solves. */
static deer_status replay_and_run(solve_arguments *a, solve_settings *set, deer_error *err)
{
    char folder[64];
    bool temporary = !a->cache;
    replay_spec spec = {.model = a->model,
                        .demos = a->demos,
                        .cameras = a->cameras,
                        .threads = (int)a->threads,
                        .batch = REPLAY_BATCH,
                        .per_shard = REPLAY_PER_SHARD};
    replay_report report;
    deer_status status;

    if (temporary && temporary_folder(folder, sizeof folder, err))
        return DEER_FAILED;
    if (temporary)
        a->cache = folder;
    spec.cache = a->cache;
    status = run_replay(&spec, &report, err);
    if (!status)
        status = run(a, set, err);
    if (temporary)
        temporary_remove(folder);
    return status;
}

/* From the values that a checkpoint of the official code holds. */
static deer_status solve_values(const solve_arguments *a, const solve_settings *set,
                                deer_error *err)
{
    const official_request request = {.path = a->official,
                                      .average = a->average,
                                      .fraction = a->fraction,
                                      .method = set->spec.solve.method,
                                      .json = a->json,
                                      .print_official = a->print_official};

    return official_values(&request, err);
}

static int solve_main(int argc, char **argv, bool with_replay)
{
    const tool_command self = {.name = with_replay ? "deer-calib" : "deer-calib solve"};
    solve_arguments a;
    solve_settings set;
    deer_error err;
    deer_status status;
    int ended;

    if (solve_arguments_parse(argc, argv, with_replay, &a, &set, &ended))
        return ended;
    status = a.table      ? solve_table(&a, &set, &err)
             : a.official ? solve_values(&a, &set, &err)
             : a.demos    ? replay_and_run(&a, &set, &err)
                          : run(&a, &set, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}

int calib_solve_main(int argc, char **argv)
{
    return solve_main(argc, argv, false);
}

int calib_short_main(int argc, char **argv)
{
    return solve_main(argc, argv, true);
}
