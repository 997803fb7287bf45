/* SPDX-License-Identifier: MIT */
/* stages.c - runs parts of a step on demand, for comparing them with a peer: on the processor, or
 * where DEER_DEVICE says.
 *
 *   stages MODEL EXIT INPUTS THREADS
 *
 * opens a model up to an exit, reads the same inputs as the peer from the folder INPUTS (compare.py
 * writes them) and obeys lines on standard input, one answer a line:
 *   time STAGE N      milliseconds of N runs, separated by blanks
 *   check STAGE FILE  runs once, writes the result to FILE as float32, answers with its size
 *   limits            what the machine, or the device, can do at most, as JSON
 *   device            where it runs: "cpu" or a GPU's name
 * so that both can be kept loaded and take turns. */
#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/measure/limits.h"
#include "runtime/base/clock.h"
#include "runtime/base/threads/threads.h"
#include "runtime/cli/tool.h"
#include "runtime/gpu/gpu.h"
#include "runtime/policy/session.h"

enum { CAMERA_HEIGHT = 480, CAMERA_WIDTH = 640 };

typedef struct {
    const char *inputs; /* folder */
    int threads, exit;
    deer_model *model;
    deer_session *session;
    deer_head *head;
    deer_batch *batch;
    float *media, *pixels, *pooled, *state; /* inputs; state is h, then c */
    float *seen;                            /* media after a run of "vision" */
    uint8_t *frames;                        /* [count, 2, S, S, 3] */
    uint8_t *cameras;                       /* [2, CAMERA_HEIGHT, CAMERA_WIDTH, 3] */
    size_t count;
    float *features; /* [count, 2 + exit, d] */
    float *h, *c;    /* [layers, hidden] after the head's evaluation */
    int layer;       /* of the next run of "layer" */
    deer_action action;
} bench;

typedef struct {
    const char *name;
    void (*run)(bench *b);
    const float *(*result)(bench *b, size_t *n); /* after a run */
} stage;

static _Noreturn void die(const char *what, const char *why)
{
    fprintf(stderr, "stages: %s: %s\n", what, why);
    exit(1);
}

/* ---------------------------------------------------------------- inputs ------------------- */

static void *read_input(const bench *b, const char *name, size_t *bytes)
{
    char path[1024];
    FILE *f;
    void *data;
    long size;

    snprintf(path, sizeof path, "%s/%s", b->inputs, name);
    f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) || (size = ftell(f)) < 1 || fseek(f, 0, SEEK_SET))
        die(path, "cannot be read");
    data = aligned_alloc(64, ((size_t)size + 63) / 64 * 64);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
        die(path, "cannot be read");
    fclose(f);
    *bytes = (size_t)size;
    return data;
}

static float *read_floats(const bench *b, const char *name, size_t n)
{
    size_t bytes;
    float *data = read_input(b, name, &bytes);

    if (bytes != n * sizeof *data)
        die(name, "has another size than the model wants");
    return data;
}

static void set_tokens(bench *b)
{
    deer_error err;
    size_t bytes;
    int32_t *ids = read_input(b, "ids.i32", &bytes);
    int count = (int)(bytes / sizeof *ids);

    if (deer_session_set_tokens(b->session, ids, count, &err) ||
        deer_batch_set_tokens(b->batch, ids, count, &err))
        die("ids.i32", err.message);
    free(ids);
}

static void set_threads(int threads)
{
    deer_error err;
    deer_pool *pool;

    if (deer_pool_new(&(deer_pool_options){.size = sizeof(deer_pool_options), .threads = threads},
                      &pool, &err))
        die("threads", err.message);
    threads_enter(pool);
}

static void open_all(bench *b, const char *path)
{
    deer_thresholds *deepest;
    deer_error err;
    const deer_config *c;
    size_t bytes, side, state;

    if (deer_model_open(path, b->exit, &b->model, &err))
        die(path, err.message);
    if (deer_thresholds_fixed(b->model, deer_model_max_exit(b->model), &deepest, &err) ||
        deer_session_new(b->model, deepest, NULL, &b->session, &err) ||
        deer_head_new(b->model, 1, NULL, &b->head, &err))
        die(path, err.message);
    deer_thresholds_free(deepest);
    c = deer_model_config(b->model);
    side = (size_t)c->image_size;
    b->frames = read_input(b, "frames.u8", &bytes);
    b->count = bytes / (2 * side * side * 3);
    b->cameras = read_input(b, "cameras.u8", &bytes);
    if (bytes != (size_t)2 * CAMERA_HEIGHT * CAMERA_WIDTH * 3)
        die("cameras.u8", "has another size");
    if (deer_batch_new(b->model, (int)b->count, NULL, &b->batch, &err))
        die(path, err.message);
    set_tokens(b);
    state = (size_t)c->lstm_layers * (size_t)c->lstm_hidden;
    b->pixels = read_floats(b, "pixels.f32", 2 * 3 * side * side);
    b->media =
        read_floats(b, "media.f32", 2 * (size_t)c->resampler_latents * (size_t)c->vision_width);
    b->seen = calloc(2 * (size_t)c->resampler_latents * (size_t)c->vision_width, sizeof *b->seen);
    b->pooled = read_floats(b, "pooled.f32", (size_t)c->d_model);
    b->state = read_floats(b, "state.f32", 2 * state);
    b->h = calloc(2 * state, sizeof *b->h);
    b->c = b->h + state;
    b->features = calloc(b->count * (size_t)(2 + b->exit) * (size_t)c->d_model, sizeof(float));
    if (!b->h || !b->features || !b->seen)
        die(path, "out of memory");
}

/* ---------------------------------------------------------------- stages ------------------- */

static bool on_device(const bench *b)
{
    return strcmp(deer_model_device(b->model), "cpu") != 0;
}

/* A device runs behind. */
static void finish(const bench *b)
{
    if (b->session->on->wait)
        b->session->on->wait(b->session->work);
}

static size_t media_size(const bench *b)
{
    return (size_t)b->model->config.resampler_latents * (size_t)b->model->config.vision_width;
}

static void give_media(const bench *b)
{
    for (int i = 0; i < 2; i++)
        b->session->on->give_media(b->session->work, i, b->media + (size_t)i * media_size(b));
}

/* One decoder layer; runs take turns through all of them, so that none is left in a cache. */
static void run_layer(bench *b)
{
    deer_session *s = b->session;

    if (b->layer == 0) {
        give_media(b);
        session_start(s);
    }
    session_layer(s, b->layer);
    finish(b);
    b->layer = (b->layer + 1) % arch_layers(&b->model->config, b->exit);
}

static const float *hidden_after_all(bench *b, size_t *n)
{
    while (b->layer)
        run_layer(b);
    *n = (size_t)b->session->tokens * (size_t)b->model->config.d_model;
    return b->session->on->hidden(b->session->work);
}

static void run_head(bench *b)
{
    size_t state = (size_t)b->model->config.lstm_layers * (size_t)b->model->config.lstm_hidden;

    deer_error err;

    if (on_device(b))
        die("head", "alone is evaluated by the processor");
    if (deer_head_evaluate(b->head, 1, b->pooled, b->state, b->state + state, b->h, b->c,
                           b->action.pose, &b->action.gripper_probability, &err))
        die("head", err.message);
}

/* Everything behind the resampler: layers and exit tests up to the deepest exit. */
static void run_act(bench *b)
{
    deer_session *s = b->session;
    deer_error err;

    b->layer = 0;
    session_reset(s);
    give_media(b);
    session_start(s);
    if (session_act(s, &b->action, &err))
        die("act", err.message);
}

static const float *acted(bench *b, size_t *n)
{
    static float result[DEER_POSE + 1];

    memcpy(result, b->action.pose, sizeof b->action.pose);
    result[DEER_POSE] = b->action.gripper_probability;
    *n = DEER_POSE + 1;
    return result;
}

/* Two camera images as the vision tower takes them. */
static void run_preprocess(bench *b)
{
    const uint8_t *second = b->cameras + (size_t)CAMERA_HEIGHT * CAMERA_WIDTH * 3;
    const deer_camera camera = {.width = CAMERA_WIDTH, .height = CAMERA_HEIGHT};
    const size_t bytes = (size_t)CAMERA_HEIGHT * CAMERA_WIDTH * 3;
    deer_observation seen = {{b->cameras, bytes}, {second, bytes}};
    static image_plan plan[2]; /* made once: cameras keep their size */
    image_view view[2];
    deer_error err;

    if (image_pair_prepare(plan, &camera, &camera, b->model->config.image_size, &err) ||
        image_pair_resize(plan, &seen, view, &err))
        die("preprocess", err.message);
    image_pair_normalise(view, BACKEND_BOTH, &b->model->config,
                         b->session->on->pixels(b->session->work));
}

static const float *pixels(bench *b, size_t *n)
{
    *n = 6 * (size_t)b->model->config.image_size * (size_t)b->model->config.image_size;
    return b->session->on->pixels(b->session->work);
}

static void run_vision(bench *b)
{
    const backend *on = b->session->on;
    size_t side = (size_t)b->model->config.image_size;

    memcpy(on->pixels(b->session->work), b->pixels, 6 * side * side * sizeof *b->pixels);
    on->see(b->session->work, 1, BACKEND_BOTH, NULL);
    finish(b);
}

static const float *media(bench *b, size_t *n)
{
    for (int i = 0; i < 2; i++)
        b->session->on->take_media(b->session->work, i, b->seen + (size_t)i * media_size(b));
    *n = 2 * media_size(b);
    return b->seen;
}

static deer_observation frame(const bench *b, size_t i)
{
    int side = b->model->config.image_size;
    size_t size = 3 * (size_t)side * (size_t)side;
    const uint8_t *at = b->frames + 2 * i * size;

    return (deer_observation){{at, size}, {at + size, size}};
}

/* Features of every exit for all frames. */
static void run_replay(bench *b)
{
    deer_error err;
    int32_t ran;

    for (size_t i = 0; i < b->count; i++) {
        deer_observation seen = frame(b, i);
        if (deer_batch_add(b->batch, &seen, &err))
            die("replay", err.message);
    }
    if (deer_batch_run(b->batch, b->features, &ran, &err))
        die("replay", err.message);
}

static const float *features(bench *b, size_t *n)
{
    const deer_config *c = &b->model->config;

    *n = b->count * (size_t)(2 + b->exit) * (size_t)c->d_model;
    return b->features;
}

/* A whole step from camera images, at the deepest exit. */
static void run_step(bench *b)
{
    deer_observation seen = frame(b, 0);
    deer_error err;

    session_reset(b->session);
    if (deer_step(b->session, &seen, &b->action, &err))
        die("step", err.message);
}

static const stage stages[] = {
    {"preprocess", run_preprocess, pixels},
    {"layer", run_layer, hidden_after_all},
    {"head", run_head, acted},
    {"act", run_act, acted},
    {"vision", run_vision, media},
    {"replay", run_replay, features},
    {"step", run_step, acted},
};

/* ---------------------------------------------------------------- orders ------------------- */

static const stage *find(const char *name)
{
    for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
        if (!strcmp(stages[i].name, name))
            return &stages[i];
    die(name, "is no stage");
    return NULL;
}

static void time_stage(bench *b, const stage *s, long runs)
{
    for (long i = 0; i < runs; i++) {
        double start = clock_seconds();
        s->run(b);
        printf("%.6f ", 1e3 * (clock_seconds() - start));
    }
    putchar('\n');
}

static void check_stage(bench *b, const stage *s, const char *path)
{
    FILE *f = fopen(path, "wb");
    const float *result;
    size_t n;

    b->layer = 0;
    s->run(b);
    result = s->result(b, &n);
    if (!f || fwrite(result, sizeof *result, n, f) != n || fclose(f))
        die(path, "cannot be written");
    printf("%zu\n", n);
}

/* NaN has no place in JSON. */
static void print_limit(const char *name, double value, char end)
{
    if (isnan(value))
        printf("\"%s\": null%c", name, end);
    else
        printf("\"%s\": %.3f%c", name, value, end);
}

/* GFLOP/s of OpenBLAS's product of two matrices of 4096 x 4096, the better of two runs. */
static double sgemm_gflops(int threads)
{
    enum { N = 4096 };
    float *a = calloc((size_t)3 * N * N, sizeof *a), *c = a + (size_t)2 * N * N;
    double fastest = INFINITY;

    if (!a)
        die("limits", "out of memory");
    openblas_set_num_threads(threads);
    for (size_t i = 0; i < (size_t)2 * N * N; i++)
        a[i] = (float)(i % 251) / 251;
    for (int i = 0; i < 2; i++) {
        double start = clock_seconds();
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, N, N, N, 1, a, N, a + (size_t)N * N, N,
                    0, c, N);
        fastest = fmin(fastest, clock_seconds() - start);
    }
    free(a);
    return 2.0 * N * N * N / fastest / 1e9;
}

/* Of a device: copies for reading, and nothing of the processor's. */
static void print_device_limits(const bench *b)
{
    gpu_limits l;
    deer_error err;

    if (gpu_measure(b->model, &l, &err))
        die("limits", err.message);
    putchar('{');
    print_limit("read_gbs", l.copy_gbs, ',');
    print_limit("f32_gflops", l.gflops[WEIGHT_F32], ',');
    print_limit("bf16_gflops", l.gflops[WEIGHT_BF16], ',');
    print_limit("int8_gops", l.gflops[WEIGHT_Q8], ',');
    print_limit("sgemm_gflops", l.gflops[WEIGHT_F32], '}');
    putchar('\n');
}

static void print_limits(const bench *b)
{
    machine_limits l;
    deer_error err;

    if (on_device(b)) {
        print_device_limits(b);
        return;
    }
    if (limits_measure(b->threads, &l, &err))
        die("limits", err.message);
    putchar('{');
    print_limit("read_gbs", l.read_gbs, ',');
    print_limit("f32_gflops", l.f32_gflops, ',');
    print_limit("bf16_gflops", l.bf16_gflops, ',');
    print_limit("int8_gops", l.int8_gops, ',');
    print_limit("sgemm_gflops", sgemm_gflops(b->threads), '}');
    putchar('\n');
}

int main(int argc, char **argv)
{
    bench b = {.inputs = ""};
    char line[1200], name[16], rest[1024];

    if (argc != 5)
        die("usage", "stages MODEL EXIT INPUTS THREADS");
    b.exit = atoi(argv[2]);
    b.inputs = argv[3];
    b.threads = atoi(argv[4]);
    set_threads(b.threads);
    open_all(&b, argv[1]);
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "time %15s %1023s", name, rest) == 2)
            time_stage(&b, find(name), atol(rest));
        else if (sscanf(line, "check %15s %1023s", name, rest) == 2)
            check_stage(&b, find(name), rest);
        else if (!strcmp(line, "limits\n"))
            print_limits(&b);
        else if (!strcmp(line, "device\n"))
            puts(deer_model_device(b.model));
        else
            die(line, "is no order");
        fflush(stdout);
    }
    return 0;
}
