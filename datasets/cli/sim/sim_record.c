/* SPDX-License-Identifier: MIT */
/* sim_record.c - deer-sim record: demonstrations by the scripted expert, or expert labels along a
 * policy's own path. */
#include <stdio.h>
#include <string.h>

#include "datasets/cli/sim/sim_commands.h"
#include "datasets/tabletop/chain.h"
#include "datasets/tabletop/parallel.h"
#include "datasets/tabletop/rollout.h"
#include "runtime/base/clock.h"
#include "runtime/cli/tool_policy.h"

enum { MAX_TASKS = 256, TRIES = 5 };

typedef struct {
    int tasks[MAX_TASKS], n_tasks;
    uint64_t seed;
    rollout_recording how;
    bool keep_failures;
    deer_model *model;
    deer_thresholds *thresholds;
    rollout_stage stage;
    demos_writer *writer;
    tool_progress progress;
    long steps, episodes;
    tabletop_split split;
    int row; /* tasks in a row from one reset */
} recording;

static deer_status start(void *context, deer_error *err)
{
    recording *r = context;

    if (r->model && policy_bring(r->model, err))
        return DEER_FAILED;
    return rollout_stage_open(&r->stage, r->model, r->thresholds, err);
}

/* An episode as bytes: the structure, then its arrays. */
static deer_status pack(const demo_episode *e, parallel_result *out, deer_error *err)
{
    size_t image = (size_t)e->steps * TABLETOP_IMAGE * TABLETOP_IMAGE * 3, n = (size_t)e->steps;

    if (parallel_append(out, e, sizeof *e, err) ||
        parallel_append(out, e->static_rgb, image, err) ||
        parallel_append(out, e->gripper_rgb, image, err) ||
        parallel_append(out, e->actions, n * DEMO_ACTION * sizeof(float), err) ||
        parallel_append(out, e->object, n * TABLETOP_OBJECT_SIZE * sizeof(float), err))
        return DEER_FAILED;
    return DEER_OK;
}

/* One attempt at row i: its tasks in a row, until one fails. Expert episodes that fail are left
 * out, a policy's are kept, for that is what its labels are recorded for. */
static deer_status record_row(recording *r, const chain *row, int *kept, parallel_result *out,
                              deer_error *err)
{
    demo_episode e;
    bool done = true;
    deer_status status = DEER_OK;

    for (int i = 0; i < row->length && done && !status; i++) {
        chain_begin(r->stage.world, row, i);
        status = rollout_record(&r->stage, row->seed + (uint64_t)i, &r->how, &e, &done, err);
        if (!status && (done || r->keep_failures)) {
            status = pack(&e, out, err);
            ++*kept;
        }
        demo_episode_free(&e);
    }
    return status;
}

/* Row i begins with task i % n. If not even the first task succeeds, it is drawn anew; after TRIES
 * there is none. */
static deer_status job(void *context, int i, parallel_result *out, deer_error *err)
{
    recording *r = context;
    int task = r->tasks[i % r->n_tasks], kept = 0;
    deer_status status = DEER_OK;

    if (i == 0 && r->model)
        policy_say_device(r->model); /* one process speaks for all */
    for (int attempt = 0; attempt < TRIES && !kept && !status; attempt++) {
        uint64_t seed = rollout_seed(r->seed + (uint64_t)attempt * 0x10001, i / r->n_tasks);
        chain row = {seed, r->split, 1, {task}};
        if (r->row > 1)
            chain_draw(r->stage.world, seed, task, r->row, r->split, &row);
        status = record_row(r, &row, &kept, out, err);
    }
    return status;
}

/* The episode at the start of bytes, its arrays pointing into them; how many bytes it takes. */
static size_t unpack(uint8_t *bytes, demo_episode *e)
{
    size_t image;

    memcpy(e, bytes, sizeof *e);
    image = (size_t)e->steps * TABLETOP_IMAGE * TABLETOP_IMAGE * 3;
    e->static_rgb = bytes + sizeof *e;
    e->gripper_rgb = e->static_rgb + image;
    e->actions = (float *)(void *)(e->gripper_rgb + image);
    e->object = e->actions + (size_t)e->steps * DEMO_ACTION;
    return (size_t)((uint8_t *)(e->object + (size_t)e->steps * TABLETOP_OBJECT_SIZE) - bytes);
}

static deer_status collect(void *context, int i, const void *data, size_t size, deer_error *err)
{
    recording *r = context;
    demo_episode e;
    uint8_t *bytes = (uint8_t *)(uintptr_t)data; /* only read from */

    tool_progress_update(&r->progress, i + 1);
    for (size_t at = 0; at < size; r->episodes++) {
        at += unpack(bytes + at, &e);
        r->steps += e.steps;
        if (demos_writer_add(r->writer, &e, err))
            return DEER_FAILED;
    }
    return DEER_OK;
}

static deer_status record_all(recording *r, int rows, int workers, const char *out, deer_error *err)
{
    char env_args[80];

    snprintf(env_args, sizeof env_args, "{\"env_name\":\"deer-tabletop\",\"horizon\":%d}",
             TABLETOP_MAX_STEPS);
    if (demos_writer_open(out, env_args, &r->writer, err))
        return DEER_FAILED;
    tool_progress_start(&r->progress, "record", "rows", rows);
    if (parallel_run(rows, workers, start, job, collect, r, err)) {
        tool_progress_end(&r->progress);
        demos_writer_abandon(r->writer);
        return DEER_FAILED;
    }
    tool_progress_end(&r->progress);
    return demos_writer_finish(r->writer, err);
}

typedef struct {
    policy_choice policy;
    const char *tasks, *out, *unknown, *split, *device;
    long episodes, seed, workers, keep, row;
    double noise;
} request;

/* Fills what the options say; false after a message. */
static bool understand(const tool_command *self, request *q, recording *r)
{
    if (policy_contradicts(self, &q->policy) ||
        tool_outside(self, "episodes", q->episodes, 1, SIM_MOST_EPISODES) ||
        tool_outside(self, "row", q->row, 1, TABLETOP_CHAIN) ||
        tool_outside(self, "keep-steps", q->keep, 1, TABLETOP_MAX_STEPS) ||
        tool_outside(self, "workers", q->workers, 1, PARALLEL_MOST) ||
        !sim_split(self, q->split, &r->split))
        return false;
    r->n_tasks = sim_select_tasks(q->tasks, r->tasks, &q->unknown);
    if (!q->out)
        tool_usage(self, "--out FILE is required");
    else if (r->n_tasks < 0)
        tool_usage(self, "there is no task '%s'; deer-sim tasks lists them", q->unknown);
    else if (q->noise < 0)
        tool_usage(self, "--noise must be 0 or more, not %g", q->noise);
    else if (q->policy.exit != TOOL_NOT_GIVEN && !q->policy.model)
        tool_usage(self, "--exit needs --model");
    else if (q->policy.thresholds && !q->policy.model)
        tool_usage(self, "--thresholds needs --model");
    else if (q->device && !q->policy.model)
        tool_usage(self, "--device needs --model");
    else {
        r->row = (int)q->row;
        r->seed = (uint64_t)q->seed;
        r->how = (rollout_recording){q->noise, q->keep == TOOL_NOT_GIVEN ? 0 : (int)q->keep};
        r->keep_failures = q->policy.model || r->how.keep_steps;
        return true;
    }
    return false;
}

static deer_status run(const request *q, recording *r, deer_error *err)
{
    double started = clock_seconds(), seconds;
    policy p = {.model = NULL};
    deer_status status;

    policy_device(q->device);
    status = q->policy.model ? policy_open(&q->policy, &p, err) : DEER_OK;

    r->model = p.model;
    r->thresholds = p.thresholds;
    if (!status)
        status = record_all(r, (int)q->episodes * r->n_tasks, (int)q->workers, q->out, err);
    seconds = clock_seconds() - started;
    if (!status)
        fprintf(stderr, "%s: %ld episodes, %ld steps in %.1f s (%.0f steps/s)\n", q->out,
                r->episodes, r->steps, seconds, (double)r->steps / seconds);
    policy_close(&p);
    return status;
}

int sim_record_main(int argc, char **argv)
{
    static recording r;
    request q = {.policy = POLICY_FOR_CHILDREN,
                 .tasks = "all",
                 .split = "seen",
                 .episodes = 10,
                 .workers = tool_cores(),
                 .keep = TOOL_NOT_GIVEN,
                 .row = 1,
                 .noise = 0.7};
    const tool_option options[] = {
        {"out", TOOL_FILE, &q.out, "FILE", "demonstrations file to write (required)"},
        {"tasks", TOOL_STRING, &q.tasks, "NAMES",
         "tasks or families, comma-separated (default all)"},
        {"episodes", TOOL_INT, &q.episodes, "N", "episodes per task (default 10)"},
        {"row", TOOL_INT, &q.row, "N",
         "1 to 5 tasks in a row from one reset, those after the first drawn (default 1)"},
        {"split", TOOL_STRING, &q.split, "NAME", "seen (default) or unseen wordings and layouts"},
        {"seed", TOOL_INT, &q.seed, "S", "everything random comes from it (default 0)"},
        {"noise", TOOL_DOUBLE, &q.noise, "X",
         "disturbance of executed actions, 0 or more (default 0.7)"},
        {"keep-steps", TOOL_INT, &q.keep, "N",
         "keep only the first N steps of each episode, 1 to 60"},
        {"model", TOOL_STRING, &q.policy.model, "FILE",
         "let this model act; labels stay the expert's"},
        {"policy", TOOL_RENAMED, "model", NULL, NULL},
        {"thresholds", TOOL_STRING, &q.policy.thresholds, "FILE",
         "let --model stop early under these"},
        {"exit", TOOL_INT, &q.policy.exit, "K",
         "exit at which --model acts, from 0 (default its deepest)"},
        {"device", TOOL_STRING, &q.device, "NAME",
         "where --model runs: cpu, gpu, auto, or part of a name that deer-run devices lists "
         "(default $DEER_DEVICE, or cpu)"},
        {"workers", TOOL_INT, &q.workers, "N", "processes, 1 to 1024 (default one per core)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-sim record", "records demonstrations on the tabletop", "--out FILE [options]",
        options,
        "deer-sim record --tasks all --episodes 20 --seed 1 --out demos.h5\n"
        "deer-sim record --tasks lift,stack_red_on_blue --episodes 100 --out some.h5\n"
        "deer-sim record --episodes 50 --row 3 --seed 2 --out rows.h5"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!understand(&self, &q, &r))
        return TOOL_USAGE;
    status = run(&q, &r, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
