/* SPDX-License-Identifier: MIT */
/* run_episode.c - deer-run episode: plays recorded observations through a policy.
 *
 * The policy sees what the demonstrator saw, so its actions can be compared with the demonstrated
 * ones step by step; they do not move anything. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/cost/cost.h"
#include "budgets/measure/statistics.h"
#include "datasets/demos/demos.h"
#include "datasets/hdf5/hdf5_io.h"
#include "runtime/base/clock.h"
#include "runtime/base/threads/threads.h"
#include "runtime/cli/run_commands.h"
#include "runtime/cli/run_limits.h"
#include "runtime/cli/run_played.h"
#include "runtime/cli/tool_policy.h"
#include "runtime/deer_replay.h"
#include "runtime/serve/step_log.h"

typedef struct {
    policy_choice policy;
    const char *name, *log, *device;
    file_list demos;
    demos_options reading;
    long threads;
    double deadline; /* ms; NaN: none */
    bool all, steps, profile, pin, json;
} request;

/* Who looks on while episodes are played; each may be NULL. */
typedef struct {
    deer_drift *drift;
    stage_log *stages;
    step_log *log;
} watchers;

/* ---------------------------------------------------------------- playing ------------------ */

static double pose_error(const deer_action *action, const float demonstrated[DEMO_ACTION])
{
    double squares = 0;

    for (int i = 0; i < DEER_POSE; i++) {
        double d = (double)action->command[i] - (double)demonstrated[i];
        squares += d * d;
    }
    return sqrt(squares / DEER_POSE);
}

static unsigned views_of(const deer_action *a)
{
    return (unsigned)(a->static_age == 0) | (unsigned)(a->gripper_age == 0) << 1;
}

static void note_step(const deer_cost *cost, deer_cost_kept *kept, const deer_action *a,
                      const float *demonstrated, double seconds, played_step *s)
{
    deer_cost_saved saved = deer_cost_reuse(cost, views_of(a), a->exit, kept);

    s->exit = a->exit;
    s->layer = a->exit_layer;
    s->head_evaluations = a->head_evaluations;
    s->llm = deer_gflops(cost->exit[a->exit].llm - saved.llm);
    s->total = deer_gflops(deer_cost_step(cost, a->exit, a->head_evaluations) - saved.total);
    s->age[0] = a->static_age;
    s->age[1] = a->gripper_age;
    s->ms = 1e3 * seconds;
    s->delta = (double)a->delta[a->exit];
    s->pose_error = pose_error(a, demonstrated);
    s->late = a->late;
    s->gripper_agrees = (a->command[DEER_POSE] > 0) == (demonstrated[DEER_POSE] > 0);
}

static deer_status log_step(step_log *log, const demo_episode *e, const played_step *s, int t,
                            const deer_action *action, deer_error *err)
{
    const step_log_about about = {.episode = e->name,
                                  .instruction = e->instruction,
                                  .step = t,
                                  .llm_gflops = s->llm,
                                  .total_gflops = s->total,
                                  .ms = s->ms};

    return log ? step_log_write(log, &about, action, err) : DEER_OK;
}

/* The first step of a session touches weights and makes tables: not what a step takes. */
static deer_status warm_up(policy *p, const demo_episode *e, deer_error *err)
{
    deer_observation seen = demo_episode_observation(e, 0);
    deer_action action;
    deer_status status = deer_step(p->session, &seen, &action, err);

    return status ? status : deer_session_reset(p->session, err);
}

/* A governor's account goes on from episode to episode: no step is taken then that is not played.
 */
static deer_status get_ready(const request *r, policy *p, const demo_episode *e, deer_error *err)
{
    if (deer_session_governor(p->session))
        return DEER_OK;
    return warm_up(p, e, err) ? DEER_FAILED : policy_govern(&r->policy, p->session, err);
}

static deer_status play_steps(const request *r, policy *p, const demo_episode *e,
                              const watchers *watch, played_episode *out, deer_error *err)
{
    deer_camera static_view, gripper_view;
    deer_cost_kept kept = {{0}};
    deer_cost cost;
    deer_status status;

    demo_episode_cameras(e, &static_view, &gripper_view);
    if (deer_session_set_cameras(p->session, &static_view, &gripper_view, err))
        return DEER_FAILED;
    out->tokens = deer_session_tokens(p->session);
    deer_cost_of(deer_model_config(p->model), out->tokens, deer_dtype_of(p->model), &cost);
    status = get_ready(r, p, e, err);
    if (status)
        return status;
    if (watch->stages)
        stage_log_skip(watch->stages);
    for (int t = 0; t < e->steps; t++) {
        deer_observation seen = demo_episode_observation(e, t);
        deer_action action;
        double start = clock_seconds(), seconds;
        if (deer_step(p->session, &seen, &action, err))
            return DEER_FAILED;
        seconds = clock_seconds() - start;
        if (watch->drift && deer_drift_step(watch->drift, &action, err))
            return DEER_FAILED;
        if (watch->stages)
            stage_log_step(watch->stages, (action.static_age == 0) + (action.gripper_age == 0));
        note_step(&cost, &kept, &action, e->actions + (size_t)t * DEMO_ACTION, seconds,
                  &out->step[t]);
        if (log_step(watch->log, e, &out->step[t], t, &action, err))
            return DEER_FAILED;
    }
    return DEER_OK;
}

static deer_status play_episode(const request *r, policy *p, demos *d, int i, const watchers *watch,
                                deer_drift_report *drift, played_episode *out, deer_error *err)
{
    demo_episode e;
    deer_status status;

    if (demos_read(d, i, &e, err))
        return DEER_FAILED;
    memcpy(out->name, e.name, sizeof out->name);
    memcpy(out->instruction, e.instruction, sizeof out->instruction);
    out->steps = e.steps;
    out->step = calloc((size_t)e.steps, sizeof *out->step);
    if (!out->step)
        status = deer_fail(err, "out of memory playing %s", e.name);
    else if (!*e.instruction)
        status = deer_fail(err, "%s: %s has no instruction; give one by --instruction",
                           r->demos.name[0], e.name);
    else if (!(status = deer_session_set_instruction(p->session, e.instruction, err)))
        status = play_steps(r, p, &e, watch, out, err);
    if (!status && watch->drift)
        status = deer_drift_end_episode(watch->drift, deer_drift_kind(e.task), drift, err);
    demo_episode_free(&e);
    return status;
}

/* stages may be NULL. */
static deer_status play_all(const request *r, policy *p, demos *d, int first, int count,
                            stage_log *stages, played *out, deer_error *err)
{
    watchers watch = {.stages = stages};
    tool_progress progress;
    deer_status status = DEER_OK;

    out->episode = calloc((size_t)count, sizeof *out->episode);
    if (!out->episode)
        return deer_fail(err, "out of memory for %d episodes", count);
    /* The reference is of the file's thresholds, which a governor does not keep. */
    out->watched = r->all && p->thresholds->reference.episodes && isnan(r->policy.govern);
    if (out->watched && deer_drift_new(p->thresholds, &watch.drift, err))
        return DEER_FAILED;
    if (r->log)
        status = step_log_open(r->log, &watch.log, err);
    tool_progress_start(&progress, "play", "episodes", count);
    for (int i = 0; i < count && !status; i++) {
        out->count = i + 1;
        status = play_episode(r, p, d, first + i, &watch, &out->drift, &out->episode[i], err);
        tool_progress_update(&progress, i + 1);
    }
    tool_progress_end(&progress);
    deer_drift_free(watch.drift);
    return step_log_close(watch.log, status ? NULL : err) && !status ? DEER_FAILED : status;
}

/* The same, stage by stage. */
static deer_status play_profiled(const request *r, policy *p, demos *d, int first, int count,
                                 played *out, deer_error *err)
{
    static stage_table table;
    stage_log log;
    long steps = r->all ? demos_total_steps(d) : demos_steps(d, first);
    deer_status status = stage_log_start(&log, p->model, p->session, steps, err);

    if (!status)
        status = play_all(r, p, d, first, count, &log, out, err);
    if (!status)
        status = run_limits(p->model, &table.limits, err);
    if (!status)
        status = stage_log_table(&log, &table, err);
    stage_log_end(&log);
    out->stages = &table;
    return status;
}

/* ---------------------------------------------------------------- command ------------------ */

static deer_status report(const request *r, const played *p, deer_error *err)
{
    played_summary all;
    usage use;
    bool steps = r->steps || !r->all;

    if (played_summarise(p, 0, p->count, &all, err) || played_usage(p, &use, err))
        return DEER_FAILED;
    if (r->json)
        return played_print_json(p, &all, &use, steps, err);
    for (int i = 0; i < p->count && steps; i++)
        played_print_steps(&p->episode[i]);
    if (r->all && played_print_episodes(p, err))
        return DEER_FAILED;
    played_print_totals(p, &all, &use);
    played_print_stages(p, &all);
    return DEER_OK;
}

/* Poor actions have a reason then. */
static void warn_of_unknown_words(const played *p, const deer_model *model)
{
    const char *first = NULL;
    int episodes = 0;

    for (int i = 0; i < p->count; i++)
        if (deer_unknown_words(model, p->episode[i].instruction)) {
            first = first ? first : p->episode[i].instruction;
            episodes++;
        }
    if (episodes)
        fprintf(stderr,
                "deer-run episode: %d of %d instructions have words that the model does not know, "
                "which all mean the same to it; the first is \"%s\"\n",
                episodes, p->count, first);
}

static deer_status play_and_report(const request *r, policy *p, demos *d, deer_error *err)
{
    played result = {.config = deer_model_config(p->model),
                     .weights = deer_model_type(p->model),
                     .thresholds = p->thresholds,
                     .threads = threads_count(),
                     .deadline_ms = r->deadline,
                     .fixed = !r->policy.thresholds,
                     .governed = r->policy.govern};
    int first = r->name ? demos_find(d, r->name) : 0, count = r->all ? demos_count(d) : 1;
    deer_status status;

    if (first < 0)
        return deer_fail(err, "%s has no demonstration %s; the first is %s", r->demos.name[0],
                         r->name, demos_name(d, 0));
    status = r->profile ? play_profiled(r, p, d, first, count, &result, err)
                        : play_all(r, p, d, first, count, NULL, &result, err);
    if (!status)
        warn_of_unknown_words(&result, p->model);
    result.memory_bytes = deer_model_bytes(p->model) + deer_session_bytes(p->session);
    if (!status)
        status = report(r, &result, err);
    played_free(&result);
    return status;
}

static deer_status run(const request *r, deer_error *err)
{
    policy p;
    demos *d;
    deer_status status;

    if (demos_open_files(r->demos.name, r->demos.count, &r->reading, &d, err))
        return DEER_FAILED;
    status = policy_open(&r->policy, &p, err);
    if (!status)
        status = policy_start(&p, err);
    if (!status && !isnan(r->deadline))
        status = deer_session_set_deadline(p.session, (int64_t)(1e3 * r->deadline), err);
    if (!status)
        status = play_and_report(r, &p, d, err);
    policy_close(&p);
    demos_close(d);
    return status;
}

/* What is asked for by options, which fill r. */
static int episode_with(const tool_option *options, request *r, int argc, char **argv)
{
    const tool_command self = {
        "deer-run episode", "plays recorded observations through a policy",
        "--model FILE --demos FILE.. [options]", options,
        "deer-run episode --model policy.safetensors --thresholds t.json --demos demos.h5\n"
        "deer-run episode --model policy.safetensors --exit 2 --demos demos.h5 --all --json\n"
        "deer-run episode --model policy.safetensors --thresholds t.json --demos demos.h5 --all "
        "--profile"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!r->policy.model || !r->demos.count)
        return tool_usage(&self, "--model and --demos are required");
    if (!isnan(r->deadline) && !(r->deadline >= 0.001 && r->deadline <= 1e9))
        return tool_usage(&self, "--deadline must be from 0.001 to 1e9 milliseconds");
    if (r->all && r->name)
        return tool_usage(&self, "--all and --demo exclude each other");
    if (policy_contradicts(&self, &r->policy) ||
        tool_outside(&self, "threads", r->threads, 1, TOOL_MOST_THREADS))
        return TOOL_USAGE;
    policy_device(r->device);
    status = policy_threads(r->threads, r->pin, &err);
    if (!status)
        status = run(r, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}

int run_episode_main(int argc, char **argv)
{
    request r = {.policy = POLICY_DEEPEST, .threads = TOOL_NOT_GIVEN, .deadline = NAN};
    const tool_option options[] = {
        {"model", TOOL_STRING, &r.policy.model, "FILE", "policy to run (required)"},
        {"demos", TOOL_FILES, &r.demos, "FILE..", "demonstrations to play (required)"},
        {"static-camera", TOOL_STRING, &r.reading.static_camera, "NAME",
         "below obs/ (default: the usual names)"},
        {"gripper-camera", TOOL_STRING, &r.reading.gripper_camera, "NAME", "the same on the wrist"},
        {"thresholds", TOOL_STRING, &r.policy.thresholds, "FILE", "when to exit"},
        {"exit", TOOL_INT, &r.policy.exit, "K",
         "or: always this exit, from 0 (default the deepest)"},
        {"budget", TOOL_DOUBLE, &r.policy.budget, "X",
         "turn the thresholds' dial to X GFLOPs a step"},
        {"govern", TOOL_DOUBLE, &r.policy.govern, "X",
         "turn the dial before each step, so that they take X on average"},
        {"horizon", TOOL_INT, &r.policy.horizon, "N",
         "with --govern: within 2% over any N steps, 200 or more (default 500)"},
        {"deadline", TOOL_DOUBLE, &r.deadline, "MS",
         "take an earlier exit where a step would take longer, milliseconds"},
        {"demo", TOOL_STRING, &r.name, "NAME", "which demonstration (default the first)"},
        {"all", TOOL_FLAG, &r.all, NULL, "every demonstration, one line each"},
        {"steps", TOOL_FLAG, &r.steps, NULL, "with --all: every step, too"},
        {"instruction", TOOL_STRING, &r.reading.instruction, "TEXT", "instead of the recorded one"},
        {"mask", TOOL_STRING, &r.reading.mask, "KEY", "only what mask/KEY of the file lists"},
        {"follow-links", TOOL_FLAG, &r.reading.follow_links, NULL,
         "read links and virtual datasets into files of the same folder"},
        {"threads", TOOL_INT, &r.threads, "N",
         "for matrix products, 1 to 1024 (default one per core)"},
        {"device", TOOL_STRING, &r.device, "NAME",
         "cpu, gpu, auto, or part of a name that deer-run devices lists (default $DEER_DEVICE, or "
         "cpu)"},
        {"pin", TOOL_FLAG, &r.pin, NULL, "bind each thread to a core of its own"},
        {"profile", TOOL_FLAG, &r.profile, NULL,
         "time of each stage of the steps played, beside this machine's limits"},
        {"log", TOOL_FILE, &r.log, "FILE", "append every step to it, a JSON line each"},
        {"json", TOOL_FLAG, &r.json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};

    return episode_with(options, &r, argc, argv);
}
