/* SPDX-License-Identifier: MIT */
/* online.c - deer-calib online: thresholds found by trying them. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cli/commands.h"
#include "calib/online/evaluator.h"
#include "calib/online/journal.h"
#include "calib/online/path.h"
#include "calib/pipeline/temporary.h"
#include "runtime/base/clock.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/tau.h"
#include "runtime/base/threads/jobs.h"
#include "runtime/cli/tool.h"
#include "runtime/deer_replay.h"

enum { MOST_FILE = 16 << 20, FINAL_UNIT = ONLINE_UNITS, FINAL_SIZE = 8 };

typedef struct {
    const char *command, *thresholds, *out, *journal;
    double budget, timeout, seconds;
    long coordinates, evaluations, parallel, episodes, seed;
    bool json;
} request;

typedef struct {
    const request *r;
    deer_thresholds *t;
    json_t *file; /* of the thresholds, as it is */
    online_path path;
    evaluator how;
    journal *results;
    char folder[512]; /* for candidates */
    double deadline;
    tool_progress bar;
} job;

/* A batch of trials, tried side by side. */
typedef struct {
    job *j;
    const online_trial *trial;
    online_result *result;
} batch;

/* What the winner and the start do where none was seen. */
typedef struct {
    online_result found, start;
} verdict;

/* ---------------------------------------------------------------- thresholds --------------- */

static json_t *tau_json(const float *tau, int last)
{
    json_t *list = json_array();

    for (int k = 0; k < last; k++)
        json_push(list,
                  tau_word(tau[k]) ? json_string(tau_word(tau[k])) : json_real((double)tau[k]));
    json_push(list, json_null());
    return list;
}

/* The given file with other thresholds, of which its expectations, guarantee and reference say
 * nothing. */
static deer_status write_thresholds(const job *j, const double *x, const online_result *seen,
                                    const char *path, deer_error *err)
{
    bool llm = deer_thresholds_budget_is_llm(j->t);
    json_t *json = json_copied(j->file);
    float tau[DEER_MAX_EXITS];

    online_path_tau(&j->path, (int)j->r->coordinates, x, tau);
    json_put(json, "tau", tau_json(tau, deer_thresholds_max_exit(j->t)));
    json_put(
        json, "expected",
        seen ? json_pack("{s:f}", llm ? "average_llm_gflops" : "average_total_gflops", seen->cost)
             : json_object());
    json_put(
        json, "budget",
        json_pack("{s:f, s:s}", "average_gflops", j->r->budget, "scope", llm ? "llm" : "total"));
    json_put(json, "calibration",
             json_pack("{s:i, s:i, s:s, s:I}", "episodes", 0, "steps", 0, "solver", "online",
                       "seed", (json_int_t)j->r->seed));
    json_object_del(json, "guarantee");
    json_object_del(json, "reference");
    return json_write(path, json, JSON_INDENT(1) | JSON_REAL_PRECISION(17), err);
}

/* ---------------------------------------------------------------- trying ------------------- */

static deer_status try(const job *j, const online_trial *t, online_result *result, deer_error *err)
{
    char path[600];
    int size = t->unit == FINAL_UNIT ? FINAL_SIZE : online_unit_size(t->unit);

    if (journal_find(j->results, t, result))
        return DEER_OK;
    snprintf(path, sizeof path, "%s/candidate-%d.json", j->folder, t->number);
    if (write_thresholds(j, t->x, NULL, path, err) ||
        evaluator_run(&j->how, path, (uint64_t)(j->r->seed + t->unit), size * (int)j->r->episodes,
                      result, err))
        return DEER_FAILED;
    return journal_add(j->results, t, result, err);
}

static deer_status try_some(jobs *all, void *context, deer_error *err)
{
    batch *b = context;
    deer_status status = DEER_OK;

    for (int i; !status && (i = jobs_next(all)) >= 0;)
        status = try(b->j, &b->trial[i], &b->result[i], err);
    return status;
}

static deer_status try_batch(void *context, const online_trial *trial, int count,
                             online_result *result, deer_error *err)
{
    batch b = {context, trial, result};
    deer_status status = jobs_run(count, count, try_some, &b, err);

    if (!status)
        tool_progress_update(&b.j->bar, trial[count - 1].number + 1);
    return status;
}

static bool is_late(void *context)
{
    const job *j = context;

    return clock_seconds() > j->deadline;
}

/* On seeds that no candidate saw. */
static deer_status judge(job *j, const online_answer *a, verdict *v, deer_error *err)
{
    online_trial trial[2] = {{.number = -1, .unit = FINAL_UNIT},
                             {.number = -2, .unit = FINAL_UNIT}};
    online_result result[2];
    batch b = {j, trial, result};
    int count = a->best ? 2 : 1;
    deer_status status;

    memcpy(trial[0].x, a->candidate[0].x, sizeof trial[0].x);
    memcpy(trial[1].x, a->candidate[a->best].x, sizeof trial[1].x);
    status = jobs_run(count, (int)j->r->parallel, try_some, &b, err);
    v->start = result[0];
    v->found = result[count - 1];
    return status;
}

static deer_status search(job *j, online_answer *a, verdict *v, deer_error *err)
{
    const online_spec spec = {.d = (int)j->r->coordinates,
                              .limit = j->r->budget,
                              .expected = online_path_cost,
                              .context = &j->path,
                              .evaluations = (int)j->r->evaluations,
                              .batch = (int)j->r->parallel,
                              .seed = (uint64_t)j->r->seed,
                              .enough = is_late,
                              .clock = j};
    deer_status status;

    if (journal_known(j->results))
        fprintf(stderr, "deer-calib online: goes on with %d results of %s\n",
                journal_known(j->results), j->r->journal);
    tool_progress_start(&j->bar, "online", "evaluations", (double)spec.evaluations);
    status = online_search(&spec, try_batch, j, a, err);
    if (!status)
        status = judge(j, a, v, err);
    tool_progress_end(&j->bar);
    return status;
}

/* ---------------------------------------------------------------- report ------------------- */

/* 95%, Wilson. */
static void interval(const online_result *r, double *low, double *high)
{
    const double z = 1.959964;
    double n = r->rollouts, p = r->success, scale = 1 + z * z / n;
    double centre = (p + z * z / (2 * n)) / scale;
    double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale;

    *low = fmax(0, centre - half);
    *high = fmin(1, centre + half);
}

static void print_row(const char *name, const online_result *r, double budget)
{
    double low, high;

    interval(r, &low, &high);
    printf("%-16s %8.0f %7.1f%%  [%5.1f, %5.1f]  %10.6f  %+6.1f%%\n", name, r->rollouts,
           100 * r->success, 100 * low, 100 * high, r->cost, 100 * (r->cost / budget - 1));
}

static void print(const job *j, const online_answer *a, const verdict *v)
{
    printf("%d evaluations of %d candidates, as many episodes as %.0f first units%s\n", a->trials,
           a->candidates, a->kept, a->out_of_time ? "; ended by --seconds" : "");
    printf("budget: %.6g GFLOPs (%s) a step\n\n", j->r->budget,
           deer_thresholds_budget_is_llm(j->t) ? "llm" : "total");
    printf("%-16s %8s %8s  %-14s  %10s  %7s\n", "on unseen seeds", "rollouts", "success",
           "95% interval", "GFLOPs", "off");
    print_row("offline", &v->start, j->r->budget);
    print_row(a->best ? "found" : "found: offline", &v->found, j->r->budget);
}

static json_t *result_json(const online_result *r)
{
    double low, high;

    interval(r, &low, &high);
    return json_pack("{s:f, s:f, s:f, s:f, s:f}", "success", r->success, "low", low, "high", high,
                     "rollouts", r->rollouts, "cost", r->cost);
}

static deer_status print_json(const job *j, const online_answer *a, const verdict *v,
                              deer_error *err)
{
    json_t *x = json_array();

    for (int i = 0; i < j->r->coordinates; i++)
        json_push(x, json_real(a->candidate[a->best].x[i]));
    return json_print(json_pack("{s:i, s:i, s:f, s:b, s:f, s:b, s:o, s:o, s:o}", "evaluations",
                                a->trials, "candidates", a->candidates, "units", a->kept,
                                "out_of_time", a->out_of_time, "budget", j->r->budget, "is_offline",
                                a->best == 0, "x", x, "offline", result_json(&v->start), "found",
                                result_json(&v->found)),
                      JSON_INDENT(1) | JSON_REAL_PRECISION(8), err);
}

/* ---------------------------------------------------------------- command ------------------ */

/* FNV-1a of the thresholds, as they are. */
static deer_status hash_of(json_t *file, uint64_t *hash, deer_error *err)
{
    char *text = json_text(json_incref(file), JSON_COMPACT | JSON_SORT_KEYS);

    if (!text)
        return deer_fail(err, "out of memory for the thresholds");
    *hash = 14695981039346656037u;
    for (const char *c = text; *c; c++)
        *hash = (*hash ^ (uint8_t)*c) * 1099511628211u;
    free(text);
    return DEER_OK;
}

static deer_status open_journal(job *j, deer_error *err)
{
    char settings[2048];
    uint64_t hash = 0;
    int n;

    if (hash_of(j->file, &hash, err))
        return DEER_FAILED;
    n = snprintf(settings, sizeof settings,
                 "budget %.17g, coordinates %ld, episodes %ld, seed %ld, thresholds %016llx, "
                 "evaluator %s",
                 j->r->budget, j->r->coordinates, j->r->episodes, j->r->seed,
                 (unsigned long long)hash, j->r->command);
    if (n < 0 || (size_t)n >= sizeof settings)
        return deer_fail_with(DEER_USAGE, err, "--eval is too long; put it into a script");
    return journal_open(j->r->journal, settings, &j->results, err);
}

static deer_status open_all(job *j, deer_error *err)
{
    const request *r = j->r;
    double least;

    if (deer_thresholds_load(r->thresholds, NULL, &j->t, err))
        return DEER_FAILED;
    if (deer_thresholds_points(j->t) < 2)
        return deer_fail(err, "%s has no dial to search along; solve with --frontier",
                         r->thresholds);
    least = deer_thresholds_point(j->t, 0)->budget_gflops;
    if (r->budget < least)
        return deer_fail_with(
            DEER_INFEASIBLE, err, "an average of %.6g GFLOPs (%s) is below the dial's least, %.6g",
            r->budget, deer_thresholds_budget_is_llm(j->t) ? "llm" : "total", least);
    j->file = json_file_read(r->thresholds, MOST_FILE, err);
    if (!j->file || open_journal(j, err) || temporary_folder(j->folder, sizeof j->folder, err)) {
        *j->folder = 0;
        return DEER_FAILED;
    }
    j->path = (online_path){j->t, r->budget};
    j->how =
        (evaluator){.command = r->command,
                    .cost = deer_thresholds_budget_is_llm(j->t) ? "llm_gflops" : "total_gflops",
                    .timeout = r->timeout};
    j->deadline = clock_seconds() + r->seconds;
    return DEER_OK;
}

static void close_all(job *j)
{
    journal_close(j->results);
    json_decref(j->file);
    deer_thresholds_free(j->t);
    if (*j->folder)
        temporary_remove(j->folder);
}

static deer_status run(const request *r, deer_error *err)
{
    static online_answer a;
    job j = {.r = r};
    verdict v;
    deer_status status = open_all(&j, err);

    if (!status)
        status = search(&j, &a, &v, err);
    if (!status)
        status = write_thresholds(&j, a.candidate[a.best].x, &v.found, r->out, err);
    if (!status && r->json)
        status = print_json(&j, &a, &v, err);
    else if (!status)
        print(&j, &a, &v);
    close_all(&j);
    return status;
}

static bool is_wrong(const tool_command *self, const request *r)
{
    if (!r->command || !r->thresholds || !r->out || isnan(r->budget))
        tool_usage(self, "--eval, --thresholds, --budget and --out are required");
    else if (!strstr(r->command, "{thresholds}"))
        tool_usage(self, "--eval needs a place for {thresholds}, and takes {seed} and {episodes}");
    else if (!(r->budget > 0))
        tool_usage(self, "--budget must be above 0");
    else if (!(r->timeout > 0) || !(r->seconds > 0))
        tool_usage(self, "--timeout and --seconds must be above 0");
    else
        return tool_outside(self, "coordinates", r->coordinates, 1, ONLINE_MOST) ||
               tool_outside(self, "evaluations", r->evaluations, 1, GAUSSIAN_MOST) ||
               tool_outside(self, "parallel", r->parallel, 1, ONLINE_BATCH) ||
               tool_outside(self, "episodes", r->episodes, 1, 1000000) ||
               tool_outside(self, "seed", r->seed, 0, LONG_MAX - FINAL_UNIT);
    return true;
}

int calib_online_main(int argc, char **argv)
{
    request r = {.budget = NAN,
                 .timeout = 3600,
                 .seconds = 1e9,
                 .coordinates = 3,
                 .evaluations = 40,
                 .parallel = 1,
                 .episodes = 1,
                 .seed = 1};
    const tool_option options[] = {
        {"eval", TOOL_STRING, &r.command, "CMD",
         "tries {thresholds} on {seed} for {episodes}, prints JSON (required)"},
        {"thresholds", TOOL_STRING, &r.thresholds, "FILE", "with a dial, to begin from (required)"},
        {"budget", TOOL_DOUBLE, &r.budget, "X",
         "average that may be used, GFLOPs a step (required)"},
        {"out", TOOL_FILE, &r.out, "FILE", "thresholds to write (required)"},
        {"journal", TOOL_FILE, &r.journal, "FILE",
         "results so far; a killed search goes on from it (default OUT.journal.json)"},
        {"coordinates", TOOL_INT, &r.coordinates, "N", "of the search, 1 to 4 (default 3)"},
        {"evaluations", TOOL_INT, &r.evaluations, "N", "trials in all, at most 512 (default 40)"},
        {"seconds", TOOL_DOUBLE, &r.seconds, "S", "begin no trial after so long"},
        {"parallel", TOOL_INT, &r.parallel, "N", "trials at once, 1 to 64 (default 1)"},
        {"episodes", TOOL_INT, &r.episodes, "N",
         "of a candidate's first trial; later ones take 1, 2 and 4 times as many (default 1)"},
        {"seed", TOOL_INT, &r.seed, "S",
         "trials take S to S + 3, the final report S + 4 (default 1)"},
        {"timeout", TOOL_DOUBLE, &r.timeout, "S", "of one trial, seconds (default 3600)"},
        {"json", TOOL_FLAG, &r.json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-calib online", "finds thresholds by trying them on the robot, or on a simulator",
        "--eval CMD --thresholds FILE --budget X --out FILE [options]", options,
        "deer-calib solve --cache cache --scope llm --avg-fraction 0.3 --frontier f.json --out "
        "t.json\n"
        "deer-calib online --eval 'deer-sim eval --model policy.safetensors --thresholds "
        "{thresholds} --seed {seed} --episodes {episodes} --json' --thresholds t.json --budget "
        "0.003 --out online.json"};
    char journal_name[1024];
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (is_wrong(&self, &r))
        return TOOL_USAGE;
    if (!r.journal) {
        snprintf(journal_name, sizeof journal_name, "%s.journal.json", r.out);
        r.journal = journal_name;
    }
    status = run(&r, &err);
    return status ? tool_fail(&self, status, &err) : TOOL_DONE;
}
