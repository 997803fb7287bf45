/* SPDX-License-Identifier: MIT */
/* run_bench.c - deer-run bench: latency and memory of each exit on this computer. */
#include <malloc.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "budgets/machines/latency.h"
#include "budgets/measure/machine_profile.h"
#include "budgets/measure/statistics.h"
#include "runtime/base/clock.h"
#include "runtime/base/threads/threads.h"
#include "runtime/cli/run_bench.h"
#include "runtime/cli/run_commands.h"
#include "runtime/cli/run_limits.h"
#include "runtime/cli/tool_policy.h"
#include "runtime/deer_replay.h"

enum { WARM_UP = 3, IMAGES = 4, MAX_BENCH_STEPS = 1000000, MAX_SIDE = 4096, MAX_LOGGED = 10000 };
enum { MAX_TOKENS = 4096, SHORT = 8 };

static const char instruction[] = "lift the red block";

/* ---------------------------------------------------------------- measuring ---------------- */

/* Bytes of one observation. */
static size_t image_pair(long side)
{
    return 2 * (size_t)side * (size_t)side * 3;
}

/* Random pixels from a fixed seed: [IMAGES, 2, side, side, 3]. */
static uint8_t *random_images(long side)
{
    size_t n = IMAGES * image_pair(side);
    uint8_t *pixels = malloc(n);
    uint32_t state = 1;

    for (size_t i = 0; pixels && i < n; i++) {
        state = state * 1664525u + 1013904223u;
        pixels[i] = (uint8_t)(state >> 24);
    }
    return pixels;
}

/* The instruction, or as many equal tokens where a number is asked or the model has no tokenizer.
 */
static deer_status instruct(const bench *b, const policy *p, deer_error *err)
{
    static int32_t ids[MAX_TOKENS];
    const deer_config *c = deer_model_config(p->model);

    if (b->tokens == TOOL_NOT_GIVEN && !deer_session_set_instruction(p->session, instruction, err))
        return DEER_OK;
    for (int i = 0; i < MAX_TOKENS; i++)
        ids[i] = i ? 0 : c->media_token;
    return deer_session_set_tokens(p->session, ids,
                                   b->tokens == TOOL_NOT_GIVEN ? SHORT : (int)b->tokens, err);
}

/* Sleeps until the next step is due, a period after the one before; whether it is late for that. */
static bool await_turn(double rate, double *due)
{
    double now = clock_seconds(), left = *due + 1 / rate - now;

    if (left > 0) /* may end early by a signal: the next step begins early, then */
        nanosleep(&(struct timespec){(time_t)left, (long)(1e9 * fmod(left, 1))}, NULL);
    *due = left > 0 ? now + left : now;
    return left < 0;
}

/* Times steps after a warm-up that touches every weight; log may be NULL. *before: bytes of the
 * process in memory after the warm-up. *first: milliseconds of the very first step. */
static deer_status time_steps(bench *b, policy *p, const uint8_t *pixels, double *ms,
                              stage_log *log, size_t *before, double *first, deer_error *err)
{
    const deer_camera camera = {.width = (int32_t)b->side, .height = (int32_t)b->side};
    size_t size = image_pair(b->side) / 2;
    double due = clock_seconds();
    deer_action action;

    if (deer_session_set_cameras(p->session, &camera, &camera, err))
        return DEER_FAILED;
    for (long i = -WARM_UP; i < b->steps; i++) {
        const uint8_t *at = pixels + (size_t)((i + WARM_UP) % IMAGES) * 2 * size;
        deer_observation seen = {{at, size}, {at + size, size}};
        double start;
        if (i == 0)
            *before = resident_bytes();
        if (!isnan(b->rate))
            b->late += await_turn(b->rate, &due) && i > 0;
        start = clock_seconds();
        if (deer_step(p->session, &seen, &action, err))
            return DEER_FAILED;
        if (i >= 0)
            ms[i] = 1e3 * (clock_seconds() - start);
        else if (i == -WARM_UP)
            *first = 1e3 * (clock_seconds() - start);
        if (log && i >= 0)
            stage_log_step(log, (int)b->encodings);
        else if (log)
            stage_log_skip(log);
    }
    return DEER_OK;
}

/* The same steps once more, stage by stage. */
static deer_status time_stages(bench *b, policy *p, const uint8_t *pixels, double *ms,
                               stage_table *s, deer_error *err)
{
    stage_log log;
    size_t before;
    double first;
    deer_status status = stage_log_start(&log, p->model, p->session,
                                         b->steps < MAX_LOGGED ? b->steps : MAX_LOGGED, err);

    if (!status)
        status = time_steps(b, p, pixels, ms, &log, &before, &first, err);
    if (!status)
        status = run_limits(p->model, &s->limits, err);
    if (!status)
        status = stage_log_table(&log, s, err);
    stage_log_end(&log);
    return status;
}

/* With one encoding a step it is the wrist camera's. */
static unsigned views_of(const bench *b)
{
    return b->encodings == 2 ? DEER_BOTH_VIEWS : b->encodings ? DEER_GRIPPER_VIEW : 0;
}

/* Cameras that are not encoded at a step are so at the first one alone. */
static void set_encodings(const bench *b, deer_thresholds *t)
{
    const deer_camera_rule never = {DEER_MOST_AGE, INFINITY}, always = {0, 0};

    t->cameras = (deer_camera_rules){.static_view = b->encodings < 2 ? never : always,
                                     .gripper_view = b->encodings < 1 ? never : always};
}

static void summarise(bench *b, const policy *p, double *ms, size_t before, bench_exit *m)
{
    const deer_config *c = deer_model_config(p->model);
    deer_cost_kept kept = {{deer_model_max_exit(p->model), deer_model_max_exit(p->model)}};
    deer_cost_saved saved;
    deer_cost cost;

    m->process_bytes = resident_bytes(); /* before sorting needs some */
    snprintf(b->device, sizeof b->device, "%s", deer_model_device(p->model));
    m->growth = (long)m->process_bytes - (long)before;
    m->said = m->said_low = m->said_high = NAN;
    m->exit = deer_model_max_exit(p->model);
    m->layer = c->exit_layers[m->exit];
    m->tokens = deer_session_tokens(p->session);
    m->threads = threads_count();
    sort_numbers(ms, (size_t)b->steps);
    m->median = quantile(ms, (size_t)b->steps, 0.5);
    m->p10 = quantile(ms, (size_t)b->steps, 0.1);
    m->p90 = quantile(ms, (size_t)b->steps, 0.9);
    m->p99 = quantile(ms, (size_t)b->steps, 0.99);
    m->dtype = deer_dtype_of(p->model);
    deer_cost_of(c, m->tokens, m->dtype, &cost);
    saved = deer_cost_reuse(&cost, views_of(b), m->exit, &kept);
    m->llm = deer_gflops(cost.exit[m->exit].llm - saved.llm);
    m->total = deer_gflops(cost.exit[m->exit].total - saved.total);
    m->model_bytes = deer_model_bytes(p->model);
    m->session_bytes = deer_session_bytes(p->session);
    m->predicted_bytes = cost.exit[m->exit].weight_bytes + deer_session_need(c, m->threads);
    if (b->encodings < 2)
        m->predicted_bytes += deer_session_need_reuse(c);
}

/* Bytes in memory, without what the C library keeps of what the exit before has freed. */
static size_t resident_without_spare(void)
{
#ifdef __GLIBC__
    malloc_trim(0);
#endif
    return resident_bytes();
}

/* One exit, with the model mapped up to it; its stages, too, where s is not NULL. */
static deer_status measure(bench *b, int exit, bench_exit *m, stage_table *s, deer_error *err)
{
    const policy_choice choice = {.model = b->model, .exit = exit, .budget = NAN};
    policy p;
    double start = clock_seconds();
    size_t empty = resident_without_spare(), before, own;
    deer_status status = policy_open(&choice, &p, err);
    uint8_t *pixels;
    double *ms;

    if (!status)
        set_encodings(b, p.thresholds);
    if (!status)
        status = policy_start(&p, err);
    if (status) {
        policy_close(&p);
        return status;
    }
    m->open_ms = 1e3 * (clock_seconds() - start);
    if (b->side == TOOL_NOT_GIVEN)
        b->side = deer_model_config(p.model)->image_size;
    own = IMAGES * image_pair(b->side) + (size_t)b->steps * sizeof *ms;
    pixels = random_images(b->side);
    ms = malloc((size_t)b->steps * sizeof *ms);
    for (long i = 0; ms && i < b->steps; i++)
        ms[i] = NAN; /* in memory from the start: what grows later is the session's doing */
    if (!pixels || !ms)
        status = deer_fail(err, "out of memory");
    else if (!(status = instruct(b, &p, err)) &&
             !(status = time_steps(b, &p, pixels, ms, NULL, &before, &m->first_ms, err))) {
        summarise(b, &p, ms, before, m);
        m->policy_bytes = (long)m->process_bytes - (long)empty - (long)own;
    }
    if (!status && s)
        status = time_stages(b, &p, pixels, ms, s, err);
    free(ms);
    free(pixels);
    policy_close(&p);
    return status;
}

/* The configuration of a model. */
static deer_status read_config(const char *path, deer_config *config, deer_error *err)
{
    deer_model *model;
    deer_status status = deer_model_open(path, 0, &model, err);

    if (!status)
        *config = *deer_model_config(model);
    deer_model_close(model);
    return status;
}

/* ---------------------------------------------------------------- command ------------------ */

/* What a machine's profile says of the exits that were measured. */
static deer_status predict(const deer_hardware *machine, const deer_config *c, int encodings,
                           bench_exit *m, int count, deer_error *err)
{
    static deer_latency latency;

    if (deer_latency_of(machine, 0, c, m->tokens, m->dtype, &latency, err))
        return DEER_FAILED;
    for (; count-- > 0; m++) {
        const deer_range t = deer_latency_step(&latency, encodings, m->exit);
        m->said = 1e3 * t.expected;
        m->said_low = 1e3 * t.low;
        m->said_high = 1e3 * t.high;
    }
    return DEER_OK;
}

static deer_status write_profile(const bench *b, const deer_config *c, weight_dtype dtype,
                                 const stage_table *s, deer_error *err)
{
    const machine_measured measured = {
        .config = c, .limits = &s->limits, .rows = s->row, .count = s->rows, .dtype = dtype};

    return machine_profile_write(b->profile_out, &measured, err);
}

static deer_status run(bench *b, long exit, bool json, deer_error *err)
{
    static stage_table profiled;
    static deer_hardware machine;
    bench_exit m[DEER_MAX_EXITS];
    stage_table *s = b->profile || b->profile_out ? &profiled : NULL;
    int first = (int)exit, last = (int)exit, count = 0;
    deer_config config;
    deer_status status = read_config(b->model, &config, err);

    if (!status && b->tokens != TOOL_NOT_GIVEN && b->tokens > config.max_text)
        return deer_fail_with(DEER_USAGE, err, "%s takes at most %d tokens; --tokens is %ld",
                              b->model, config.max_text, b->tokens);
    if (!status && b->hardware)
        status = deer_hardware_load(b->hardware, &machine, err);
    if (status)
        return status;
    if (exit == TOOL_NOT_GIVEN) {
        first = 0;
        last = config.exits - 1;
    }
    tool_progress_start(&b->progress, "bench", "exits", last - first + 1);
    for (int k = first; k <= last && !status; k++) {
        status = measure(b, k, &m[count++], k == last ? s : NULL, err);
        tool_progress_update(&b->progress, count);
    }
    tool_progress_end(&b->progress);
    if (!status && b->profile_out)
        status = write_profile(b, &config, m->dtype, s, err);
    if (!status && b->hardware)
        status = predict(&machine, &config, (int)b->encodings, m, count, err);
    if (!status && json)
        status = bench_print_json(b, m, count, s, err);
    else if (!status)
        bench_print(b, m, count, s);
    return status;
}

int run_bench_main(int argc, char **argv)
{
    bench b = {
        .steps = 30, .side = TOOL_NOT_GIVEN, .tokens = TOOL_NOT_GIVEN, .encodings = 2, .rate = NAN};
    long exit = TOOL_NOT_GIVEN, threads = TOOL_NOT_GIVEN;
    const char *device = NULL;
    bool pin = false, json = false;
    const tool_option options[] = {
        {"model", TOOL_STRING, &b.model, "FILE", "policy to run (required)"},
        {"exit", TOOL_INT, &exit, "K", "only this exit, from 0 (default: every one)"},
        {"steps", TOOL_INT, &b.steps, "N", "timed steps an exit, 1 to 1000000 (default 30)"},
        {"side", TOOL_INT, &b.side, "PIXELS",
         "side of camera images, 1 to 4096 (default the model's)"},
        {"tokens", TOOL_INT, &b.tokens, "N",
         "length of the instruction, 1 to as many as the model takes (default a short one)"},
        {"encodings", TOOL_INT, &b.encodings, "N",
         "cameras that a step encodes, 0 to 2 (default), what is left being used again"},
        {"rate", TOOL_DOUBLE, &b.rate, "HZ",
         "steps a second, as a robot makes them (default one behind the other)"},
        {"threads", TOOL_INT, &threads, "N",
         "for matrix products, 1 to 1024 (default one per core)"},
        {"device", TOOL_STRING, &device, "NAME",
         "cpu, gpu, auto, or part of a name that deer-run devices lists (default $DEER_DEVICE, or "
         "cpu)"},
        {"pin", TOOL_FLAG, &pin, NULL, "bind each thread to a core of its own"},
        {"profile", TOOL_FLAG, &b.profile, NULL,
         "time of each stage of the deepest exit, beside this machine's limits"},
        {"profile-out", TOOL_TEXT, &b.profile_out, "FILE",
         "write (or complete) this machine's hardware profile"},
        {"hardware", TOOL_STRING, &b.hardware, "NAME|FILE",
         "print what this hardware profile says beside what was measured"},
        {"json", TOOL_FLAG, &json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-run bench", "measures latency and memory of each exit", "--model FILE [options]",
        options,
        "deer-run bench --model policy.safetensors\n"
        "deer-run bench --model policy.safetensors --exit 2 --steps 200 --threads 1\n"
        "deer-run bench --model policy.safetensors --rate 20\n"
        "deer-run bench --model 3b.safetensors --profile --profile-out here.json\n"
        "deer-run bench --model policy.safetensors --hardware here.json"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!b.model)
        return tool_usage(&self, "--model FILE is required");
    if (tool_outside(&self, "exit", exit, 0, DEER_MAX_EXITS - 1) ||
        tool_outside(&self, "steps", b.steps, 1, MAX_BENCH_STEPS) ||
        tool_outside(&self, "side", b.side, 1, MAX_SIDE) ||
        tool_outside(&self, "tokens", b.tokens, 1, MAX_TOKENS) ||
        tool_outside(&self, "encodings", b.encodings, 0, 2) ||
        tool_outside(&self, "threads", threads, 1, TOOL_MOST_THREADS) ||
        tool_rate_outside(&self, b.rate) ||
        tool_ends_otherwise(&self, "profile-out", b.profile_out, ".json"))
        return TOOL_USAGE;
    if (b.profile_out && !isnan(b.rate))
        return tool_usage(&self, "--profile-out is of steps in a row: leave --rate out");
    policy_device(device);
    status = policy_threads(threads, pin, &err);
    if (!status)
        status = run(&b, exit, json, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
