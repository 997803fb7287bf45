/* SPDX-License-Identifier: MIT */
/* measure.c - what a device can do at most, with the kernels that a step has: copies, large
 * products, and how long starting anything takes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/gpu/backend_gpu.h"

static const double least = 0.02; /* seconds that each unit is timed for, its fastest run counts */

enum { RUNS = 5, PAIR = ORDERS_TEXT, TABLE = ORDERS_DECIDE, WORDS = TABLE + 4 };

/* Slices stand for what is copied (and the weights of the products), where to (and their inputs),
 * what they make, and scales. */
#define FROM SLICE_WIDE
#define TO SLICE_MIXED
#define MADE SLICE_HIDDEN
#define ONES SLICE_BYTE_SCALES
#define SMALL SLICE_POOLED

/* As large as it takes to keep the device busy, no larger than a view may be; rows and outputs in
 * whole tiles of 64. */
typedef struct {
    uint32_t rows, n, k;  /* of a product */
    int products, copies; /* one behind the other in a submission */
    size_t words;         /* of a copy */
} amount;

static const amount of_gpus = {256, 4096, 4096, 1, 8, (size_t)16 << 20};
static const amount of_software = {64, 256, 512, 1, 2, (size_t)2 << 20};

enum { FILL, COPIES, PRODUCTS, ONE = PRODUCTS + WEIGHT_DTYPES, MANY, UNITS };
enum { SMALL_ONES = 64 }; /* dispatches of MANY */

/* ---------------------------------------------------------------- the program -------------- */

static gpu_view view_of(const gpu_program *p, gpu_slice slice)
{
    return (gpu_view){.slice = slice, .words = p->size[slice]};
}

static gpu_view some_of(gpu_slice slice, size_t words)
{
    return (gpu_view){.slice = slice, .words = words};
}

static void add(gpu_program *p, int unit, gpu_dispatch d)
{
    if (!p->unit[unit].end)
        p->unit[unit].first = p->count;
    d.barrier = true;
    p->list[p->count++] = d;
    p->unit[unit].end = p->count;
}

/* Words that are numbers in every type of weights. */
static void fill(gpu_program *p, gpu_slice slice)
{
    add(p, FILL,
        (gpu_dispatch){.kernel = GPU_ZERO, .view = {view_of(p, slice)}, .push = {0x3f003f00u}});
}

static gpu_dispatch product_of(const gpu_program *p, const amount *a, gpu_taste taste,
                               weight_dtype type)
{
    bool few = a->rows <= taste.few;
    uint32_t words = (uint32_t)matrix_words(type, (int)a->k);
    size_t weights = matrix_panel_words(type, (int)a->n, (int)a->k);
    gpu_view nothing = view_of(p, SLICE_NOTHING), ones = view_of(p, ONES);

    return (gpu_dispatch){
        .kernel = few ? GPU_LINEAR_FEW : GPU_LINEAR_MANY,
        .constants = {(uint32_t)type, 16, taste.slices},
        .view = {view_of(p, MADE), some_of(TO, (size_t)a->rows * a->k), ones,
                 some_of(FROM, weights), ones, nothing, nothing},
        .push = {PAIR, a->n, a->k, words, type == WEIGHT_Q8 ? words : a->k, 0, a->n},
        .groups = {few ? a->n / 16 : a->n / 64, few ? a->rows / 16 : a->rows / 64, 1}};
}

/* One column of one row: next to nothing. */
static gpu_dispatch small_one(const gpu_program *p)
{
    return (gpu_dispatch){.kernel = GPU_POOL,
                          .view = {view_of(p, SMALL), view_of(p, SMALL)},
                          .push = {PAIR + 2, TABLE, 1, 1},
                          .groups = {1, 1, 1}};
}

static void size_slices(gpu_program *p, const amount *a)
{
    size_t chunks = ((size_t)a->k + 2047) / 2048;

    for (int i = 0; i < SLICES; i++)
        p->size[i] = 1;
    p->size[FROM] = p->size[TO] = a->words;
    p->size[MADE] = (size_t)a->rows * a->n;
    p->size[ONES] = a->rows * chunks > a->n ? a->rows * chunks : a->n;
    p->size[SMALL] = 2;
    p->size[SLICE_LIVE] = p->size[SLICE_TELL_IN] = WORDS;
}

static deer_status make_program(gpu_program *p, const amount *a, gpu_taste taste, deer_error *err)
{
    p->list = calloc((size_t)(16 + a->copies + WEIGHT_DTYPES * a->products + SMALL_ONES),
                     sizeof *p->list);
    p->unit = calloc(UNITS, sizeof *p->unit);
    p->units = UNITS;
    if (!p->list || !p->unit)
        return deer_fail(err, "out of memory for measuring a GPU");
    size_slices(p, a);
    add(p, FILL,
        (gpu_dispatch){.kernel = GPU_COPY,
                       .view = {view_of(p, SLICE_LIVE), view_of(p, SLICE_TELL_IN)}});
    fill(p, FROM);
    fill(p, TO);
    fill(p, ONES);
    fill(p, SMALL);
    for (int i = 0; i < a->copies; i++)
        add(p, COPIES,
            (gpu_dispatch){.kernel = GPU_COPY, .view = {view_of(p, TO), view_of(p, FROM)}});
    for (int type = 0; type < WEIGHT_DTYPES; type++)
        for (int i = 0; i < a->products; i++)
            add(p, PRODUCTS + type, product_of(p, a, taste, (weight_dtype)type));
    add(p, ONE, small_one(p));
    for (int i = 0; i < SMALL_ONES; i++)
        add(p, MANY, small_one(p));
    return DEER_OK;
}

/* ---------------------------------------------------------------- timing ------------------- */

static void give_orders(const gpu_tape *t, const amount *a)
{
    uint32_t *live = tape_words(t, SLICE_TELL_IN);

    live[PAIR + 1] = a->rows;
    live[PAIR + 3] = 1;  /* one sequence, */
    live[TABLE + 1] = 1; /* of one row */
}

/* Seconds of a unit, handed over and waited for; the best of a few, of many if it is short. */
static deer_status time_unit(gpu_tape *t, int unit, double *seconds, deer_error *err)
{
    double first = clock_seconds();

    *seconds = INFINITY;
    for (int i = 0; i <= RUNS || clock_seconds() - first < least; i++) { /* the first warms up */
        double began = clock_seconds();
        if (tape_run(t, &unit, 1, err) || tape_wait(t, err))
            return DEER_FAILED;
        if (i)
            *seconds = fmin(*seconds, clock_seconds() - began);
    }
    return DEER_OK;
}

static deer_status time_all(gpu_tape *t, const amount *a, gpu_limits *l, deer_error *err)
{
    double seconds[UNITS], product = 2.0 * a->rows * a->n * a->k * a->products;

    give_orders(t, a);
    for (int unit = 0; unit < UNITS; unit++)
        if (time_unit(t, unit, &seconds[unit], err))
            return DEER_FAILED;
    l->copy_gbs = 8.0 * (double)a->words * a->copies / seconds[COPIES] / 1e9;
    for (int type = 0; type < WEIGHT_DTYPES; type++)
        l->gflops[type] = product / seconds[PRODUCTS + type] / 1e9;
    l->dispatch_seconds = fmax(seconds[MANY] - seconds[ONE], 0) / (SMALL_ONES - 1);
    l->submission_seconds = seconds[ONE] - l->dispatch_seconds;
    if (l->submission_seconds <= 0) /* not told apart: no more than both */
        l->submission_seconds = seconds[ONE];
    return DEER_OK;
}

deer_status gpu_measure(const deer_model *model, gpu_limits *l, deer_error *err)
{
    gpu_home *home = model->device;
    gpu_program program = {.model = model};
    gpu_tape tape;
    const amount *a;
    deer_status status;

    if (model->on != &backend_gpu)
        return deer_fail_with(DEER_USAGE, err, "the model runs on the processor");
    a = home->gpu->software ? &of_software : &of_gpus;
    *l = (gpu_limits){.unified = home->gpu->unified, .software = home->gpu->software};
    for (uint32_t i = 0; i < home->gpu->memory.memoryHeapCount; i++) {
        const VkMemoryHeap *heap = &home->gpu->memory.memoryHeaps[i];
        if (heap->flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT && heap->size > l->memory)
            l->memory = heap->size;
    }
    for (int type = 0; type < WEIGHT_DTYPES; type++)
        if (type != (int)model->type && products_prove(home, (weight_dtype)type, err))
            return DEER_FAILED;
    if (make_program(&program, a, tape_taste(home->gpu), err)) {
        program_free(&program);
        return DEER_FAILED;
    }
    if (tape_make(home, &program, &tape, err))
        return DEER_FAILED;
    status = time_all(&tape, a, l, err);
    tape_free(&tape);
    return status;
}
