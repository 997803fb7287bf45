/* record.c - deer-sim record: demonstrations by the scripted expert, or expert labels along a
 * policy's own path. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/sim/commands.h"
#include "datasets/tabletop/chain.h"
#include "datasets/tabletop/parallel.h"
#include "datasets/tabletop/rollout.h"
#include "runtime/tool.h"

enum { MAX_TASKS = 256, TRIES = 5 };

typedef struct {
    int tasks[MAX_TASKS], n_tasks;
    uint64_t seed;
    rollout_recording how;
    bool keep_failures;
    deer_model *model;
    deer_thresholds thresholds;
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

    return rollout_stage_open(&r->stage, r->model, &r->thresholds, err);
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
    if (demos_writer_open(out, "{\"env_name\":\"deer-tabletop\"}", &r->writer, err))
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

int sim_record_main(int argc, char **argv)
{
    const char *tasks = "all", *out = NULL, *model = NULL, *unknown = NULL;
    const char *split = "seen";
    long episodes = 10, seed = 0, workers = tool_cores(), keep = 0, exit_index = -1, row = 1;
    double noise = 0.7, started;
    const tool_option options[] = {
        {"out", TOOL_STRING, &out, "FILE", "demonstrations file to write (required)"},
        {"tasks", TOOL_STRING, &tasks, "NAMES", "tasks or families, comma-separated (default all)"},
        {"episodes", TOOL_INT, &episodes, "N", "episodes per task (default 10)"},
        {"row", TOOL_INT, &row, "N",
         "N tasks in a row from one reset, those after the first drawn (default 1)"},
        {"split", TOOL_STRING, &split, "NAME", "seen (default) or unseen wordings and layouts"},
        {"seed", TOOL_INT, &seed, "S", "everything random comes from it (default 0)"},
        {"noise", TOOL_DOUBLE, &noise, "X", "disturbance of executed actions (default 0.7)"},
        {"keep-steps", TOOL_INT, &keep, "N", "keep only the first N steps of each episode"},
        {"policy", TOOL_STRING, &model, "FILE", "let this model act; labels stay the expert's"},
        {"exit", TOOL_INT, &exit_index, "K", "exit at which that model acts (default its deepest)"},
        {"workers", TOOL_INT, &workers, "N", "processes (default one per core)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-sim record", "records demonstrations on the tabletop", "--out FILE [options]",
        options,
        "deer-sim record --tasks all --episodes 20 --seed 1 --out demos.h5\n"
        "deer-sim record --tasks lift,stack_red_on_blue --episodes 100 --out some.h5\n"
        "deer-sim record --episodes 50 --row 3 --seed 2 --out rows.h5"};
    recording *r = calloc(1, sizeof *r);
    deer_error err;
    deer_status status;
    int ended;

    if (!r || tool_parse(&self, argc, argv, NULL, NULL, &ended)) {
        free(r);
        return r ? ended : DEER_FAILED;
    }
    r->n_tasks = sim_select_tasks(tasks, r->tasks, &unknown);
    if (!out || r->n_tasks < 0 || episodes < 1 || episodes > 1000000 || workers < 1 || keep < 0) {
        free(r);
        return !out      ? tool_usage(&self, "--out FILE is required")
               : unknown ? tool_usage(&self, "there is no task '%s'", unknown)
                         : tool_usage(&self, "--episodes and --workers must be positive");
    }
    if (row < 1 || row > TABLETOP_CHAIN || sim_split(split, &r->split)) {
        free(r);
        return tool_usage(&self, "--row is 1 to %d, --split seen or unseen", TABLETOP_CHAIN);
    }
    r->row = (int)row;
    r->seed = (uint64_t)seed;
    r->how = (rollout_recording){noise, (int)keep};
    r->keep_failures = model || keep;
    started = tool_seconds();
    status = model ? deer_model_open(model, (int)exit_index, &r->model, &err) : DEER_OK;
    if (r->model)
        deer_thresholds_fixed(r->model, deer_model_max_exit(r->model), &r->thresholds);
    if (!status)
        status = record_all(r, (int)episodes * r->n_tasks, (int)workers, out, &err);
    if (status)
        tool_fail(&self, status, &err);
    else
        fprintf(stderr, "%s: %ld episodes, %ld steps in %.1f s (%.0f steps/s)\n", out, r->episodes,
                r->steps, tool_seconds() - started, (double)r->steps / (tool_seconds() - started));
    deer_model_close(r->model);
    free(r);
    return (int)status;
}
