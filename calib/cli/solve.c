/* SPDX-License-Identifier: MIT */
/* solve.c - deer-calib solve on a feature cache or a table, and the short form that replays first.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cli/arguments.h"
#include "calib/cli/commands.h"
#include "calib/cli/official_values.h"
#include "calib/cli/print_outcome.h"
#include "calib/cli/print_rules.h"
#include "calib/cli/run_replay.h"
#include "calib/cli/table.h"
#include "calib/cluster/cluster.h"
#include "calib/pipeline/calibrate_table.h"
#include "calib/pipeline/deliver.h"
#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/cli/tool.h"

/* ---------------------------------------------------------------- output ------------------- */

/* rules: of exits, NULL without. */
static deer_status print(const solve_arguments *a, const outcome *o, const rule_choice *rules,
                         deer_error *err)
{
    json_t *json = a->json ? outcome_json(o) : NULL;

    if (json && rules)
        json_put(json, "rules", rules_json(rules));
    if (json && json_print(json, JSON_INDENT(2) | JSON_REAL_PRECISION(12), err))
        return DEER_FAILED;
    if (!a->json && !a->print_official)
        outcome_print(stdout,
                      a->table         ? a->table
                      : a->demos.count ? a->demos.name[0]
                                       : a->cache,
                      o);
    if (!a->json && rules)
        rules_print(stdout, rules);
    if (a->print_official)
        outcome_print_official(a->json ? stderr : stdout, o);
    return DEER_OK;
}

/* Writes the points of a dial, where a file for them is named. */
static deer_status write_frontier(const char *path, const operating_point *point,
                                  const guarantee *promised, int points, const char *scope,
                                  deer_error *err)
{
    json_t *json, *list;

    if (!path)
        return DEER_OK;
    json = json_object();
    list = json_array();
    for (int i = 0; i < points; i++) {
        json_t *one = table_json(&point[i]);

        json_put(one, "budget", json_real(point[i].budget));
        json_put(one, "guarantee", promised ? outcome_guarantee_json(&promised[i]) : json_null());
        json_push(list, one);
    }
    json_put(json, "deer_frontier", json_integer(1));
    json_put(json, "scope", json_string(scope));
    json_put(json, "points", list);
    return json_write(path, json, JSON_INDENT(1) | JSON_REAL_PRECISION(12), err);
}

/* ---------------------------------------------------------------- a cache ------------------ */

static deer_status output(const solve_arguments *a, const calibrated *found, deer_error *err)
{
    bool first = cluster_rank() == 0;

    if (first && write_frontier(a->frontier, found->point, found->point_guarantee, found->points,
                                a->scope, err))
        return DEER_FAILED;
    if (!found->has_outcome)
        return DEER_OK;
    if (a->out && deliver_file(a->out, found, err))
        return DEER_FAILED;
    return print(a, &found->o, found->rules, err);
}

static deer_status solve_cache(const solve_arguments *a, const calibrate_spec *spec,
                               deer_error *err)
{
    replay_watch watch = {.started = false};
    replay_spec replay = {.model = a->model,
                          .demos = a->demos.name,
                          .files = a->demos.count,
                          .reading = a->reading,
                          .threads = (int)a->threads,
                          .batch = REPLAY_BATCH,
                          .per_shard = REPLAY_PER_SHARD,
                          .progress = replay_watch_show,
                          .context = &watch};
    calibrate_source from = {.cache = a->cache,
                             .replay = a->demos.count ? &replay : NULL,
                             .replayed = replay_watch_end,
                             .context = &watch,
                             .model = a->model};
    calibrated *found;
    deer_status status = calibrate(&from, spec, &found, err);

    if (!status)
        status = output(a, found, err);
    if (watch.started)
        tool_progress_end(&watch.bar);
    calibrated_free(found);
    return status;
}

/* ---------------------------------------------------------------- a table ------------------ */

/* A table's thresholds belong to no model that the runtime knows: --out is the result as JSON. */
static deer_status output_table(const solve_arguments *a, const calibrated_table *found,
                                deer_error *err)
{
    if (cluster_rank())
        return DEER_OK;
    if (write_frontier(a->frontier, found->point, found->point_guarantee, found->points, "cost",
                       err))
        return DEER_FAILED;
    if (!found->has_outcome)
        return DEER_OK;
    if (a->out &&
        json_write(a->out, outcome_json(&found->o), JSON_INDENT(2) | JSON_REAL_PRECISION(12), err))
        return DEER_FAILED;
    return print(a, &found->o, NULL, err);
}

static deer_status solve_table(const solve_arguments *a, const calibrate_spec *spec,
                               deer_error *err)
{
    calibrated_table found;
    deer_status status = calibrate_table(a->table, spec, &found, err);

    if (!status)
        status = output_table(a, &found, err);
    calibrated_table_free(&found);
    return status;
}

/* ---------------------------------------------------------------- entry -------------------- */

/* From the values that a checkpoint of the official code holds. */
static deer_status solve_values(const solve_arguments *a, const calibrate_spec *spec,
                                deer_error *err)
{
    const official_request request = {.path = a->official,
                                      .average = a->average,
                                      .fraction = a->fraction,
                                      .method = spec->solve.method,
                                      .json = a->json,
                                      .print_official = a->print_official};

    return official_values(&request, err);
}

typedef struct {
    tool_progress bar;
    bool started;
} dial_watch;

static void end_dial(dial_watch *w)
{
    if (w->started)
        tool_progress_end(&w->bar);
    w->started = false;
}

static void show_dial(void *context, int done, int total)
{
    dial_watch *w = context;

    if (!w->started)
        tool_progress_start(&w->bar, "frontier", "budgets", total);
    w->started = true;
    tool_progress_update(&w->bar, done);
    if (done == total)
        end_dial(w);
}

static int solve_main(int argc, char **argv, bool with_replay)
{
    const tool_command self = {.name = with_replay ? "deer-calib" : "deer-calib solve"};
    dial_watch watch = {.started = false};
    solve_arguments a;
    calibrate_spec spec;
    deer_error err;
    deer_status status;
    int ended;

    if (solve_arguments_parse(argc, argv, with_replay, &a, &spec, &ended))
        return ended;
    spec.progress = (dial_progress){show_dial, &watch};
    status = a.table      ? solve_table(&a, &spec, &err)
             : a.official ? solve_values(&a, &spec, &err)
                          : solve_cache(&a, &spec, &err);
    end_dial(&watch);
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
