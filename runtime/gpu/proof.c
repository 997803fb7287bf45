/* SPDX-License-Identifier: MIT */
/* proof.c - whether a device's products of 4 bytes and its matrix units are right: drivers have
 * advertised instructions that were not. What is multiplied are integers whose sums float32 holds,
 * so that a few products tell, in whatever order they are added up. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/machine_failure.h"
#include "runtime/gpu/tape.h"

enum { PAIR = ORDERS_TEXT };

/* A product: for matrix units more than one workgroup and more inputs than share a scale, in sizes
 * that divide nothing. */
typedef struct {
    weight_dtype type;
    uint32_t rows, outputs, inputs;
} amount;

/* Slices stand for inputs, weights, scales of either, and what both kernels make of them. */
#define X SLICE_BYTES
#define W SLICE_HIDDEN
#define ONES SLICE_BYTE_SCALES
#define FEW SLICE_WIDE
#define MANY SLICE_MIXED

/* ---------------------------------------------------------------- numbers ------------------ */

/* Number i of row `row` of the inputs or the weights: all 256 bytes in either. */
static int8_t number_of(uint32_t row, uint32_t i, uint32_t salt)
{
    uint32_t x = (row * 4099 + i + salt) * 0x9e3779b1u;

    return (int8_t)((x ^ x >> 15) * 0x85ebca6bu >> 24);
}

static int8_t input_of(uint32_t row, uint32_t i)
{
    return number_of(row, i, 1);
}

static int8_t weight_of(uint32_t output, uint32_t i)
{
    return number_of(output, i, 1000003);
}

/* Floats are far from 1, either way: what float16 would not hold. */
static float scaled(float x, uint32_t row)
{
    return ldexpf(x, row % 2 ? 60 : -60);
}

static uint32_t words_of(const amount *a)
{
    return (uint32_t)matrix_words(a->type, (int)a->inputs);
}

static uint32_t input_words(const amount *a)
{
    return a->type == WEIGHT_Q8 ? words_of(a) : a->inputs;
}

/* Inputs are words of signed bytes, or floats. */
static void fill_inputs(const amount *a, uint32_t *to)
{
    for (uint32_t row = 0; row < a->rows; row++, to += input_words(a))
        for (uint32_t i = 0; i < a->inputs; i++) {
            float x = scaled(input_of(row, i), row);
            if (a->type == WEIGHT_Q8)
                to[i / 4] |= (uint32_t)(uint8_t)input_of(row, i) << 8 * (i % 4);
            else
                memcpy(&to[i], &x, sizeof x);
        }
}

/* Weights are bytes that are 128 too high, or bfloat16, in panels of 16 outputs. */
static void fill_weights(const amount *a, uint32_t *to)
{
    uint32_t per = a->type == WEIGHT_Q8 ? 4 : 2;

    for (uint32_t output = 0; output < a->outputs; output++)
        for (uint32_t i = 0; i < a->inputs; i++) {
            float w = weight_of(output, i);
            uint32_t bits, at = (output / 16 * words_of(a) + i / per) * 16 + output % 16;
            memcpy(&bits, &w, sizeof bits);
            bits = a->type == WEIGHT_Q8 ? (uint32_t)(weight_of(output, i) + 128) : bits >> 16;
            to[at] |= bits << 32 / per * (i % per);
        }
}

static float expected(const amount *a, uint32_t row, uint32_t output)
{
    int32_t sum = 0;

    for (uint32_t i = 0; i < a->inputs; i++)
        sum += input_of(row, i) * weight_of(output, i);
    return a->type == WEIGHT_Q8 ? (float)sum : scaled((float)sum, row);
}

/* ---------------------------------------------------------------- the program -------------- */

static gpu_view view_of(const gpu_program *p, gpu_slice slice)
{
    return (gpu_view){.slice = slice, .words = p->size[slice]};
}

static gpu_dispatch copy_of(const gpu_program *p, gpu_slice to, gpu_slice from)
{
    return (gpu_dispatch){
        .kernel = GPU_COPY, .view = {view_of(p, to), view_of(p, from)}, .barrier = true};
}

static gpu_dispatch product_of(const gpu_program *p, const amount *a, gpu_slice to, gpu_taste taste)
{
    bool few = to == FEW;
    gpu_view nothing = view_of(p, SLICE_NOTHING), ones = view_of(p, ONES);

    return (gpu_dispatch){
        .kernel = few ? GPU_LINEAR_FEW : GPU_LINEAR_MANY,
        .constants = {a->type, 16, taste.slices},
        .view = {view_of(p, to), view_of(p, X), ones, view_of(p, W), ones, nothing, nothing},
        .push = {PAIR, a->outputs, a->inputs, words_of(a), input_words(a), 0, a->outputs},
        .groups = {few ? a->outputs / 16 : (a->outputs + 63) / 64,
                   few ? (a->rows + 15) / 16 : (a->rows + 63) / 64, 1},
        .barrier = true};
}

static void size_slices(gpu_program *p, const amount *a)
{
    for (int i = 0; i < SLICES; i++)
        p->size[i] = 1;
    p->size[X] = p->size[SLICE_PIXELS_IN] = a->rows * input_words(a);
    p->size[W] = p->size[SLICE_EMBEDDED_IN] = a->outputs * words_of(a);
    p->size[ONES] = p->size[SLICE_MEDIA_IN] = 2 * (a->rows + a->outputs);
    p->size[FEW] = p->size[MANY] = a->rows * a->outputs;
    p->size[SLICE_HIDDEN_OUT] = p->size[SLICE_FEATURES_OUT] = a->rows * a->outputs;
    p->size[SLICE_LIVE] = p->size[SLICE_TELL_IN] = ORDERS_DECIDE;
}

static deer_status make_program(gpu_program *p, const amount *a, gpu_taste taste, deer_error *err)
{
    int n = 0;

    size_slices(p, a);
    p->list = calloc(8, sizeof *p->list);
    p->unit = calloc(1, sizeof *p->unit);
    if (!p->list || !p->unit)
        return deer_fail(err, "out of memory for a GPU");
    p->list[n++] = copy_of(p, SLICE_LIVE, SLICE_TELL_IN);
    p->list[n++] = copy_of(p, X, SLICE_PIXELS_IN);
    p->list[n++] = copy_of(p, W, SLICE_EMBEDDED_IN);
    p->list[n++] = copy_of(p, ONES, SLICE_MEDIA_IN);
    p->list[n++] = product_of(p, a, FEW, taste);
    p->list[n++] = product_of(p, a, MANY, taste);
    p->list[n++] = copy_of(p, SLICE_HIDDEN_OUT, FEW);
    p->list[n++] = copy_of(p, SLICE_FEATURES_OUT, MANY);
    p->count = p->unit[0].end = n;
    p->units = 1;
    return DEER_OK;
}

static void fill(const gpu_tape *t, const amount *a)
{
    uint32_t *live = tape_words(t, SLICE_TELL_IN);

    live[PAIR + 1] = a->rows;
    fill_inputs(a, tape_words(t, SLICE_PIXELS_IN));
    fill_weights(a, tape_words(t, SLICE_EMBEDDED_IN));
    for (uint32_t i = 0; i < 2 * (a->rows + a->outputs); i++)
        tape_floats(t, SLICE_MEDIA_IN)[i] = 1;
}

/* ---------------------------------------------------------------- judging ------------------ */

/* Whether each of the kernels is right. */
typedef struct {
    bool few, many;
} verdict;

static verdict judge(const gpu_tape *t, const amount *a)
{
    const float *few = tape_floats(t, SLICE_HIDDEN_OUT), *many = tape_floats(t, SLICE_FEATURES_OUT);
    verdict v = {true, true};

    for (uint32_t i = 0; i < a->rows * a->outputs; i++) {
        float sum = expected(a, i / a->outputs, i % a->outputs);
        v.few = v.few && few[i] == sum;
        v.many = v.many && many[i] == sum;
    }
    return v;
}

/* What the device's compiler does not take is wrong, too. */
static deer_status try_it(gpu_home *home, const amount *a, verdict *v, deer_error *err)
{
    gpu_program program = {.model = home->model};
    gpu_tape tape;
    int unit = 0;
    deer_status status;
    unsigned before = machine_failures();

    *v = (verdict){false, false};
    if (make_program(&program, a, tape_taste(home->gpu), err)) {
        program_free(&program);
        return DEER_FAILED;
    }
    if (tape_make(home, &program, &tape, err))
        return machine_failures() != before ? DEER_FAILED : DEER_OK;
    fill(&tape, a);
    status = tape_run(&tape, &unit, 1, err) || tape_wait(&tape, err) ? DEER_FAILED : DEER_OK;
    if (!status)
        *v = judge(&tape, a);
    tape_free(&tape);
    return status;
}

/* Does without what was wrong, matrix units first. */
static void give_up(gpu_device *gpu, weight_dtype type, verdict v)
{
    if (v.many || !gpu->matrix[type].rows) {
        gpu->dots = false;
        return;
    }
    gpu->matrix[type] = (gpu_shape){0};
    snprintf(gpu->note, sizeof gpu->note,
             "its matrix units do not multiply %s weights rightly: they are not used",
             weight_dtype_name(type));
}

deer_status products_prove(gpu_home *home, weight_dtype type, deer_error *err)
{
    gpu_device *gpu = home->gpu;
    verdict v;

    gpu->matrix[type] = gpu->offered.shape[type];
    while (gpu->matrix[type].rows || (type == WEIGHT_Q8 && gpu->dots)) {
        amount a =
            gpu->matrix[type].rows ? (amount){type, 67, 80, 2120} : (amount){type, 3, 32, 84};
        bool dots = gpu->dots;
        if (try_it(home, &a, &v, err))
            return DEER_FAILED;
        if (v.many && (v.few || type != WEIGHT_Q8 || !dots))
            break;
        give_up(gpu, type, v);
    }
    return DEER_OK;
}
