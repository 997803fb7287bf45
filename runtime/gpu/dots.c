/* SPDX-License-Identifier: MIT */
/* dots.c - whether a device's products of 4 bytes are right: drivers have advertised instructions
 * that were not. Integers are exact, so that a few small products tell. */
#include <stdlib.h>
#include <string.h>

#include "runtime/gpu/tape.h"

enum { ROWS = 3, OUTPUTS = 32, WORDS = 21, PAIR = ORDERS_TEXT };

/* Slices stand for inputs, weights, scales of either, and what both kernels make of them. */
#define X SLICE_BYTES
#define W SLICE_HIDDEN
#define ONES SLICE_BYTE_SCALES
#define FEW SLICE_WIDE
#define MANY SLICE_MIXED

/* Word i of the inputs or the weights; all 256 bytes in either. */
static uint32_t word_of(uint32_t i, uint32_t salt)
{
    return (i + salt) * 0x9e3779b1u ^ 0x7f80ff01u;
}

static gpu_view view_of(const gpu_program *p, gpu_slice slice)
{
    return (gpu_view){.slice = slice, .words = p->size[slice]};
}

static gpu_dispatch copy_of(const gpu_program *p, gpu_slice to, gpu_slice from)
{
    return (gpu_dispatch){
        .kernel = GPU_COPY, .view = {view_of(p, to), view_of(p, from)}, .barrier = true};
}

static gpu_dispatch product_of(const gpu_program *p, gpu_slice to, gpu_taste taste)
{
    bool few = to == FEW;
    gpu_view nothing = view_of(p, SLICE_NOTHING), ones = view_of(p, ONES);

    return (gpu_dispatch){
        .kernel = few ? GPU_LINEAR_FEW : GPU_LINEAR_MANY,
        .constants = {WEIGHT_Q8, 16, taste.slices},
        .view = {view_of(p, to), view_of(p, X), ones, view_of(p, W), ones, nothing, nothing},
        .push = {PAIR, OUTPUTS, 4 * WORDS, WORDS, WORDS, 0, OUTPUTS},
        .groups = {few ? OUTPUTS / 16 : 1, 1, 1},
        .barrier = true};
}

static deer_status make_program(gpu_program *p, gpu_taste taste, deer_error *err)
{
    int n = 0;

    for (int i = 0; i < SLICES; i++)
        p->size[i] = 1;
    p->size[X] = p->size[SLICE_PIXELS_IN] = ROWS * WORDS;
    p->size[W] = p->size[SLICE_EMBEDDED_IN] = OUTPUTS * WORDS;
    p->size[ONES] = p->size[SLICE_MEDIA_IN] = OUTPUTS;
    p->size[FEW] = p->size[MANY] = ROWS * OUTPUTS;
    p->size[SLICE_HIDDEN_OUT] = p->size[SLICE_FEATURES_OUT] = ROWS * OUTPUTS;
    p->size[SLICE_LIVE] = p->size[SLICE_TELL_IN] = ORDERS_DECIDE;
    p->list = calloc(8, sizeof *p->list);
    p->unit = calloc(1, sizeof *p->unit);
    if (!p->list || !p->unit)
        return deer_fail(err, "out of memory for a GPU");
    p->list[n++] = copy_of(p, SLICE_LIVE, SLICE_TELL_IN);
    p->list[n++] = copy_of(p, X, SLICE_PIXELS_IN);
    p->list[n++] = copy_of(p, W, SLICE_EMBEDDED_IN);
    p->list[n++] = copy_of(p, ONES, SLICE_MEDIA_IN);
    p->list[n++] = product_of(p, FEW, taste);
    p->list[n++] = product_of(p, MANY, taste);
    p->list[n++] = copy_of(p, SLICE_HIDDEN_OUT, FEW);
    p->list[n++] = copy_of(p, SLICE_FEATURES_OUT, MANY);
    p->count = p->unit[0].end = n;
    p->units = 1;
    return DEER_OK;
}

static void fill(const gpu_tape *t)
{
    uint32_t *live = tape_words(t, SLICE_TELL_IN), *x = tape_words(t, SLICE_PIXELS_IN);
    uint32_t *w = tape_words(t, SLICE_EMBEDDED_IN);

    live[PAIR + 1] = ROWS;
    for (uint32_t i = 0; i < ROWS * WORDS; i++)
        x[i] = word_of(i, 1);
    for (uint32_t i = 0; i < OUTPUTS * WORDS; i++)
        w[i] = word_of(i, 1000);
    for (int i = 0; i < OUTPUTS; i++)
        tape_floats(t, SLICE_MEDIA_IN)[i] = 1;
}

/* Inputs are signed bytes, weights bytes that are 128 too high, in panels of 16 outputs. */
static int32_t expected(uint32_t row, uint32_t output)
{
    int32_t sum = 0;

    for (uint32_t i = 0; i < WORDS; i++) {
        uint32_t x = word_of(row * WORDS + i, 1);
        uint32_t w = word_of((output / 16 * WORDS + i) * 16 + output % 16, 1000);
        for (int byte = 0; byte < 32; byte += 8)
            sum += (int8_t)(x >> byte) * ((int32_t)(w >> byte & 255) - 128);
    }
    return sum;
}

static bool all_right(const gpu_tape *t)
{
    const float *few = tape_floats(t, SLICE_HIDDEN_OUT), *many = tape_floats(t, SLICE_FEATURES_OUT);

    for (uint32_t i = 0; i < ROWS * OUTPUTS; i++) {
        float sum = (float)expected(i / OUTPUTS, i % OUTPUTS);
        if (few[i] != sum || many[i] != sum)
            return false;
    }
    return true;
}

deer_status dots_check(gpu_home *home, deer_error *err)
{
    gpu_program program = {.model = home->model};
    gpu_tape tape;
    int unit = 0;
    deer_status status;

    if (!home->gpu->dots)
        return DEER_OK;
    if (make_program(&program, tape_taste(home->gpu), err)) {
        program_free(&program);
        return DEER_FAILED;
    }
    if (tape_make(home, &program, &tape, NULL)) {
        home->gpu->dots = false; /* its compiler does not take them */
        return DEER_OK;
    }
    fill(&tape);
    status = tape_run(&tape, &unit, 1, err) || tape_wait(&tape, err) ? DEER_FAILED : DEER_OK;
    if (!status)
        home->gpu->dots = all_right(&tape);
    tape_free(&tape);
    return status;
}
