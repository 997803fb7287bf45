/* solve.c - deer-calib solve, and the short form that replays first. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calib/commands/commands.h"
#include "calib/commands/run_replay.h"
#include "calib/commands/settings.h"
#include "calib/commands/table.h"
#include "calib/commands/temporary.h"
#include "calib/oracle.h"
#include "runtime/tool.h"

/* The options as given. */
typedef struct {
    const char *cache, *model, *demos, *out;
    const char *memory, *scope, *method, *criterion, *history, *loss;
    double average, fraction, peak, gripper_weight;
    long seed, evaluations, threads;
    bool json, print_official;
} arguments;

/* Everything one solve has in hand. */
typedef struct {
    const arguments *a;
    cache *c;
    deer_model *model;
    onpolicy_spec spec;
    double memory_limit;
    double full_llm, full_total; /* mean GFLOPs at the deepest exit */
    onpolicy_result found, official;
    bool has_official;
    oracle best_possible;
} job;

/* ---------------------------------------------------------------- budgets ------------------ */

/* The problem as cached with every exit: what budgets are compared with. */
static deer_status whole_problem(job *j, calibration *p, deer_error *err)
{
    calibration_spec spec = j->spec.problem;

    spec.max_exit = j->c->exits - 1;
    if (calibration_make(j->c, &spec, NULL, p, err))
        return DEER_FAILED;
    j->full_llm = calibration_fixed_cost(p, p->llm, spec.max_exit);
    j->full_total = calibration_fixed_cost(p, p->total, spec.max_exit);
    return DEER_OK;
}

static deer_status choose_deepest(job *j, const calibration *p, deer_error *err)
{
    const double *peak = j->spec.problem.scope_llm ? p->peak_llm : p->peak_total;
    double limit = isnan(j->a->peak) ? INFINITY : j->a->peak;
    int deepest = solve_deepest(peak, p->memory, j->c->exits, limit, j->memory_limit);

    j->spec.problem.max_exit = j->spec.solve.max_exit = deepest;
    if (deepest >= 0)
        return DEER_OK;
    if (peak[0] > limit)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "no exit keeps a peak of %.6g GFLOPs: the first one costs %.6g (%s)",
                              limit, peak[0], j->a->scope);
    return deer_fail_with(DEER_INFEASIBLE, err,
                          "no exit fits into %.0f bytes: the first one needs %.0f", j->memory_limit,
                          p->memory[0]);
}

static deer_status choose_average(job *j, const calibration *p, deer_error *err)
{
    bool llm = j->spec.problem.scope_llm;
    double full = llm ? j->full_llm : j->full_total, least;

    j->spec.solve.budget = !isnan(j->a->average)    ? j->a->average
                           : !isnan(j->a->fraction) ? j->a->fraction * full
                                                    : INFINITY;
    least = calibration_fixed_cost(p, llm ? p->llm : p->total, 0);
    if (j->spec.solve.budget >= least)
        return DEER_OK;
    return deer_fail_with(
        DEER_INFEASIBLE, err,
        "an average of %.6g GFLOPs (%s) cannot be met: always taking the first exit "
        "costs %.6g, %.1f%% of full depth",
        j->spec.solve.budget, j->a->scope, least, 100 * least / full);
}

static deer_status choose_budgets(job *j, deer_error *err)
{
    calibration p;
    deer_status status = whole_problem(j, &p, err);

    if (status)
        return status;
    status = choose_deepest(j, &p, err);
    if (!status)
        status = choose_average(j, &p, err);
    calibration_free(&p);
    return status;
}

/* ---------------------------------------------------------------- solving ------------------ */

static deer_status solve_both(job *j, deer_error *err)
{
    onpolicy_spec official = j->spec;
    deer_status status = onpolicy_solve(j->c, j->model, &j->spec, &j->found, err);
    deer_error ignored;

    if (status)
        return status;
    official.official_best = true;
    j->has_official = isfinite(j->spec.solve.budget) &&
                      !onpolicy_solve(j->c, j->model, &official, &j->official, &ignored);
    j->best_possible = oracle_solve(&j->found.problem.s, j->spec.problem.max_exit,
                                    fmin(j->spec.solve.budget, 1e300));
    return DEER_OK;
}

static void fill_thresholds(const job *j, const table_row *row, deer_thresholds *t)
{
    const onpolicy_result *r = &j->found;
    int last = r->x.max_exit;

    memset(t, 0, sizeof *t);
    strcpy(t->model_fingerprint, j->c->about.model);
    t->criterion = j->spec.problem.criterion;
    t->exits = last + 1;
    t->max_exit = last;
    t->steps_per_stage = 1;
    memcpy(t->tau, r->x.tau, sizeof t->tau);
    t->tau[last] = INFINITY;
    t->promise = (deer_promise){.average_llm_gflops = row->llm,
                                .average_total_gflops = row->total,
                                .peak_llm_gflops = row->peak_llm,
                                .peak_total_gflops = row->peak_total,
                                .memory_bytes = r->problem.memory[last],
                                .loss = row->loss};
    memcpy(t->promise.exit_fraction, row->fraction, sizeof row->fraction);
    snprintf(t->solver, sizeof t->solver, "%s", r->x.solver);
    t->budget_gflops = isfinite(j->spec.solve.budget) ? j->spec.solve.budget : NAN;
    t->budget_is_llm = j->spec.problem.scope_llm;
    t->calibration_episodes = j->c->about.episodes;
    t->calibration_steps = (long)j->c->steps;
    t->seed = (unsigned long)j->spec.solve.seed;
}

/* ---------------------------------------------------------------- output ------------------- */

static double gap_closed(const job *j)
{
    return j->has_official ? oracle_gap_closed(j->official.actual.loss, j->found.actual.loss,
                                               j->best_possible.loss)
                           : NAN;
}

enum { ROW_FULL, ROW_OFFICIAL, ROW_FOUND, ROWS };

static void make_rows(const job *j, table_row rows[ROWS])
{
    float never[DEER_MAX_EXITS];
    int last = j->found.x.max_exit;

    for (int k = 0; k < last; k++)
        never[k] = -INFINITY;
    never[last] = INFINITY;
    table_row_of(&j->found.problem, last == j->c->exits - 1 ? "full depth" : "deepest allowed",
                 never, last, &rows[ROW_FULL]);
    table_row_of(&j->found.problem, solve_method_name(j->spec.solve.method), j->found.x.tau, last,
                 &rows[ROW_FOUND]);
    if (!j->has_official)
        return;
    table_row_of(&j->official.problem, "official", j->official.x.tau, last, &rows[ROW_OFFICIAL]);
    snprintf(rows[ROW_OFFICIAL].name, sizeof rows[ROW_OFFICIAL].name, "%.*s",
             (int)strcspn(j->official.x.solver, " "), j->official.x.solver);
}

static void print_people(const job *j, const table_row rows[ROWS])
{
    const onpolicy_result *r = &j->found;
    const char *scope = j->a->scope;
    table_row shown[ROWS];
    int n = 0;

    printf("%s: %d episodes, %lld steps, %d exits\n", j->c->dir, j->c->about.episodes,
           (long long)r->problem.s.n, j->c->exits);
    if (isfinite(j->spec.solve.budget))
        printf("budget: average %.6g GFLOPs of %s, deepest exit %d\n\n", j->spec.solve.budget,
               scope, r->x.max_exit);
    else
        printf("budget: deepest exit %d\n\n", r->x.max_exit);
    shown[n++] = rows[ROW_FULL];
    if (j->has_official)
        shown[n++] = rows[ROW_OFFICIAL];
    shown[n++] = rows[ROW_FOUND];
    table_print(stdout, shown, n, j->c->exits, j->full_llm, j->full_total,
                j->spec.problem.scope_llm);
    printf("\nper-step oracle: loss %.5f", j->best_possible.loss);
    if (!isnan(gap_closed(j)))
        printf("; %.0f%% of the way there from the official heuristic", 100 * gap_closed(j));
    printf("\ntau:");
    for (int k = 0; k < r->x.max_exit; k++)
        if (r->x.tau[k] < -1e7f)
            printf(" never");
        else
            printf(" %.6g", (double)r->x.tau[k]);
    printf("\n%s, %ld passes in %.2f s; loss: pose deviation from %s + %g if the gripper differs\n",
           r->x.solver, r->x.evaluations, r->x.seconds,
           j->spec.problem.loss == LOSS_DEMO ? "the demonstration" : "the deepest exit",
           j->spec.problem.gripper_weight);
    if (j->spec.history == HISTORY_ON_POLICY)
        printf("on-policy: first answer predicted %.6g and cost %.6g under its own history; "
               "%s after %d round%s\n",
               r->predicted.cost, r->first.cost, r->settled ? "settled" : "not settled", r->rounds,
               r->rounds == 1 ? "" : "s");
}

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *history_json(const job *j)
{
    const onpolicy_result *r = &j->found;
    json_t *json = json_object();

    json_object_set_new(json, "kind", json_string(settings_history_name(j->spec.history)));
    json_object_set_new(json, "rounds", json_integer(r->rounds));
    json_object_set_new(json, "settled", json_boolean(r->settled));
    json_object_set_new(json, "first_predicted_cost", real_or_null(r->predicted.cost));
    json_object_set_new(json, "first_actual_cost", real_or_null(r->first.cost));
    json_object_set_new(json, "actual_cost", real_or_null(r->actual.cost));
    return json;
}

static void print_machines(const job *j, const table_row rows[ROWS])
{
    const onpolicy_result *r = &j->found;
    json_t *json = table_row_json(&rows[ROW_FOUND]);

    json_object_set_new(json, "solver", json_string(r->x.solver));
    json_object_set_new(json, "scope", json_string(j->a->scope));
    json_object_set_new(json, "budget_gflops", real_or_null(j->spec.solve.budget));
    json_object_set_new(json, "max_exit", json_integer(r->x.max_exit));
    json_object_set_new(json, "memory_bytes", json_real(r->problem.memory[r->x.max_exit]));
    json_object_set_new(json, "criterion",
                        json_string(deer_criterion_name(j->spec.problem.criterion)));
    json_object_set_new(json, "loss_reference",
                        json_string(settings_loss_name(j->spec.problem.loss)));
    json_object_set_new(json, "episodes", json_integer(j->c->about.episodes));
    json_object_set_new(json, "steps", json_integer((json_int_t)r->problem.s.n));
    json_object_set_new(json, "full", table_row_json(&rows[ROW_FULL]));
    json_object_set_new(json, "official",
                        j->has_official ? table_row_json(&rows[ROW_OFFICIAL]) : json_null());
    json_object_set_new(json, "oracle_loss", real_or_null(j->best_possible.loss));
    json_object_set_new(json, "gap_closed", real_or_null(gap_closed(j)));
    json_object_set_new(json, "evaluations", json_integer(r->x.evaluations));
    json_object_set_new(json, "seconds", json_real(r->x.seconds));
    json_object_set_new(json, "history", history_json(j));
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
    printf("\n");
    json_decref(json);
}

/* The list of the official code's --thresholds: one number per exit, the last never reached. */
static void print_official_line(const job *j)
{
    const solution *x = &j->found.x;

    printf("--thresholds");
    for (int k = 0; k < x->max_exit; k++)
        printf(" %.9g", x->tau[k] < -1e7f ? -1e5 : (double)x->tau[k]);
    printf(" 100000.0\n");
}

static deer_status deliver(const job *j, deer_error *err)
{
    table_row rows[ROWS];
    deer_thresholds t;

    make_rows(j, rows);
    fill_thresholds(j, &rows[ROW_FOUND], &t);
    if (j->a->out && deer_thresholds_save(j->a->out, &j->c->about.config, &t, err))
        return DEER_FAILED;
    if (j->a->json)
        print_machines(j, rows);
    else if (!j->a->print_official)
        print_people(j, rows);
    if (j->a->print_official)
        print_official_line(j);
    return DEER_OK;
}

/* ---------------------------------------------------------------- entry -------------------- */

static deer_status run(job *j, deer_error *err)
{
    deer_status status;

    if (cache_open(j->a->cache, &j->c, err))
        return DEER_FAILED;
    status = choose_budgets(j, err);
    if (!status && j->spec.history != HISTORY_FULL)
        status = settings_open_model(j->c, j->a->model, &j->model, err);
    if (!status)
        status = solve_both(j, err);
    if (!status)
        status = deliver(j, err);
    onpolicy_free(&j->found);
    onpolicy_free(&j->official);
    deer_model_close(j->model);
    cache_close(j->c);
    return status;
}

/* Replays into the cache, a temporary one when none is named, then solves. */
static deer_status replay_and_run(job *j, arguments *a, deer_error *err)
{
    char folder[64];
    bool temporary = !a->cache;
    replay_spec spec = {.model = a->model,
                        .demos = a->demos,
                        .threads = (int)a->threads,
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
        status = run(j, err);
    if (temporary)
        temporary_remove(folder);
    return status;
}

static deer_status check_arguments(const arguments *a, onpolicy_spec *spec, double *memory,
                                   deer_error *err)
{
    if (settings_scope(a->scope, &spec->problem.scope_llm, err) ||
        settings_method(a->method, &spec->solve.method, err) ||
        settings_criterion(a->criterion, &spec->problem.criterion, err) ||
        settings_history(a->history, &spec->history, err) ||
        settings_loss(a->loss, &spec->problem.loss, err) ||
        (a->memory && settings_bytes(a->memory, memory, err)))
        return DEER_USAGE;
    if (isnan(a->average) && isnan(a->fraction) && isnan(a->peak) && !a->memory)
        return deer_fail_with(DEER_USAGE, err,
                              "give a budget: --avg-gflops, --avg-fraction, "
                              "--peak-gflops or --memory");
    if (!isnan(a->average) && !isnan(a->fraction))
        return deer_fail_with(DEER_USAGE, err,
                              "--avg-gflops and --avg-fraction exclude each other");
    if (a->average <= 0 || a->fraction <= 0 || a->peak <= 0 || a->gripper_weight < 0 ||
        a->seed < 0 || a->evaluations < 0 || a->threads < 1 || a->threads > 1024)
        return deer_fail_with(DEER_USAGE, err,
                              "budgets, --threads and --gripper-weight must not be "
                              "negative or zero");
    spec->problem.gripper_weight = a->gripper_weight;
    spec->solve.seed = (uint64_t)a->seed;
    spec->solve.evaluations = a->evaluations;
    spec->threads = (int)a->threads;
    return DEER_OK;
}

static int solve_main(int argc, char **argv, bool with_replay)
{
    arguments a = {.scope = "total",
                   .method = "best",
                   .criterion = "l2",
                   .history = "on-policy",
                   .loss = "deepest",
                   .average = NAN,
                   .fraction = NAN,
                   .peak = NAN,
                   .gripper_weight = LOSS_GRIPPER_WEIGHT,
                   .seed = 1,
                   .threads = settings_cores()};
    const tool_option options[] = {
        {"cache", TOOL_STRING, &a.cache, "DIR",
         with_replay ? "keep the feature cache there (default: a temporary one)"
                     : "feature cache (required)"},
        {"model", TOOL_STRING, &a.model, "FILE",
         with_replay ? "policy (required)"
                     : "the cache's policy, when it is no longer where it was"},
        {"demos", TOOL_STRING, &a.demos, "FILE",
         with_replay ? "recorded demonstrations (required)" : "replay these first"},
        {"out", TOOL_STRING, &a.out, "FILE", "thresholds file to write"},
        {"avg-gflops", TOOL_DOUBLE, &a.average, "X", "average budget, GFLOPs a step"},
        {"avg-fraction", TOOL_DOUBLE, &a.fraction, "F", "the same as a share of full depth, 0..1"},
        {"peak-gflops", TOOL_DOUBLE, &a.peak, "X", "what no step may exceed"},
        {"memory", TOOL_STRING, &a.memory, "BYTES", "weights and scratch; K, M, G: powers of 1000"},
        {"scope", TOOL_STRING, &a.scope, "SCOPE", "GFLOPs are: total (default) or llm"},
        {"method", TOOL_STRING, &a.method, "M",
         "best (default), coordinate, nlopt, official-exp, -gauss, -gamma"},
        {"criterion", TOOL_STRING, &a.criterion, "C", "l2 (default), mean, max, cosine"},
        {"history", TOOL_STRING, &a.history, "H", "on-policy (default), full, random (official)"},
        {"loss", TOOL_STRING, &a.loss, "L", "deviation from: deepest (default) exit, or demo"},
        {"gripper-weight", TOOL_DOUBLE, &a.gripper_weight, "W",
         "loss of a wrong gripper (default 0.2)"},
        {"seed", TOOL_INT, &a.seed, "S", "of the global search (default 1)"},
        {"evaluations", TOOL_INT, &a.evaluations, "N", "of the global search (default by size)"},
        {"threads", TOOL_INT, &a.threads, "N", "threads (default one per core)"},
        {"json", TOOL_FLAG, &a.json, NULL, "print JSON on standard output"},
        {"print-official", TOOL_FLAG, &a.print_official, NULL,
         "print the official code's --thresholds"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        with_replay ? "deer-calib" : "deer-calib solve", "chooses exit thresholds under budgets",
        with_replay ? "--model FILE --demos FILE --avg-gflops X --out FILE [options]"
                    : "--cache DIR --avg-gflops X --out FILE [options]",
        options,
        with_replay ? "deer-calib --model policy.safetensors --demos demos.h5 --avg-fraction 0.7 "
                      "--out t.json"
                    : "deer-calib solve --cache cache --avg-fraction 0.7 --out thresholds.json\n"
                      "deer-calib solve --cache cache --scope llm --avg-gflops 0.005 --peak-gflops "
                      "0.011 --json"};
    job j = {.a = &a, .memory_limit = INFINITY};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (with_replay && (!a.model || !a.demos))
        return tool_usage(&self, "--model and --demos are required");
    if (a.demos && !a.model)
        return tool_usage(&self, "--demos needs --model");
    if (!with_replay && !a.cache && !a.demos)
        return tool_usage(&self, "--cache is required");
    if (check_arguments(&a, &j.spec, &j.memory_limit, &err))
        return tool_usage(&self, "%s", err.message);
    status = a.demos ? replay_and_run(&j, &a, &err) : run(&j, &err);
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
