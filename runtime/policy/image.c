/* SPDX-License-Identifier: MIT */
/* image.c - PIL's bicubic resampling and CLIP's normalisation. */
#include "runtime/policy/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/threads/threads.h"
#include "runtime/kernels/isa.h"

enum { MAX_SIDE = 16384, BLOCK = 16 /* rows and columns that are turned at once */ };

/* ---------------------------------------------------------------- filters ------------------ */

/* The cubic convolution kernel with a = -0.5. */
static double bicubic(double x)
{
    const double a = -0.5;

    x = fabs(x);
    if (x < 1)
        return ((a + 2) * x - (a + 3)) * x * x + 1;
    if (x < 2)
        return (((x - 5) * x + 8) * x - 4) * a;
    return 0;
}

/* Weights of output pixel `x` of `out`: normalised in double, then rounded to fixed point. */
static void weigh(image_axis *axis, int i, int x, int in, int out)
{
    double scale = (double)in / out, stretch = fmax(scale, 1);
    double support = 2 * stretch, centre = (x + 0.5) * scale, sum = 0;
    int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
    int *weight = axis->weight + (size_t)i * (size_t)axis->taps;

    first = first < 0 ? 0 : first;
    last = last > in ? in : last;
    for (int k = 0; k < last - first; k++)
        sum += bicubic((k + first - centre + 0.5) / stretch);
    for (int k = 0; k < last - first; k++) {
        double w = bicubic((k + first - centre + 0.5) / stretch) / sum * (1 << ISA_FILTER_BITS);
        weight[k] = (int)(w < 0 ? w - 0.5 : w + 0.5);
    }
    axis->first[i] = first;
    axis->count[i] = last - first;
}

/* Pixels before the `side` in the middle of n; torchvision rounds half to even. */
static int before_middle(int n, int side)
{
    return (int)nearbyint((n - side) / 2.0);
}

/* `side` pixels in the middle of `in` pixels made into `out`. */
static bool axis_prepare(image_axis *axis, int in, int out, int side)
{
    double stretch = fmax((double)in / out, 1);

    *axis = (image_axis){.taps = (int)ceil(2 * stretch) * 2 + 1};
    axis->first = calloc((size_t)side, sizeof(int));
    axis->count = calloc((size_t)side, sizeof(int));
    axis->weight = calloc((size_t)side * (size_t)axis->taps, sizeof(int));
    if (!axis->first || !axis->count || !axis->weight)
        return false;
    for (int i = 0; i < side; i++)
        weigh(axis, i, before_middle(out, side) + i, in, out);
    axis->begin = axis->first[0];
    axis->used = axis->first[side - 1] + axis->count[side - 1] - axis->begin;
    return true;
}

static void axis_free(image_axis *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->weight);
}

/* ---------------------------------------------------------------- plans -------------------- */

static size_t whole_blocks(int n)
{
    return ((size_t)n + BLOCK - 1) / BLOCK * BLOCK;
}

/* Bytes of the plan's memory: columns, turned, rows, resized. */
static void plan_sizes(const image_plan *plan, size_t size[4])
{
    size_t row = whole_blocks(3 * plan->side);

    size[0] = whole_blocks(3 * plan->across.used) * BLOCK;
    size[1] = row * BLOCK;
    size[2] = whole_blocks(plan->down.used) * row;
    size[3] = (size_t)plan->side * row;
}

void image_plan_free(image_plan *plan)
{
    axis_free(&plan->across);
    axis_free(&plan->down);
    free(plan->columns);
    *plan = (image_plan){0};
}

size_t image_plan_bytes(const image_plan *plan)
{
    size_t side = (size_t)plan->side, size[4];

    if (!plan->columns)
        return 0;
    plan_sizes(plan, size);
    return side * (size_t)(plan->across.taps + plan->down.taps + 4) * sizeof(int) + size[0] +
           size[1] + size[2] + size[3];
}

/* The shorter side becomes `side`, the longer one keeps the proportion, rounded down (torchvision).
 */
static bool make_room(image_plan *plan, int shorter)
{
    int out_height = (int)((long)plan->side * plan->camera.height / shorter);
    int out_width = (int)((long)plan->side * plan->camera.width / shorter);
    size_t size[4];

    if (!axis_prepare(&plan->across, plan->camera.width, out_width, plan->side) ||
        !axis_prepare(&plan->down, plan->camera.height, out_height, plan->side))
        return false;
    plan_sizes(plan, size);
    plan->columns = calloc(1, size[0] + size[1] + size[2] + size[3]);
    if (!plan->columns)
        return false;
    plan->turned = plan->columns + size[0];
    plan->rows = plan->turned + size[1];
    plan->resized = plan->rows + size[2];
    return true;
}

/* Zeros become what they stand for. */
static deer_status complete(const deer_camera *from, int side, deer_camera *c, deer_error *err)
{
    *c = *from;
    if (c->width == 0 && c->height == 0)
        c->width = c->height = side;
    if (c->width < 1 || c->height < 1 || c->width > MAX_SIDE || c->height > MAX_SIDE)
        return deer_fail_with(DEER_USAGE, err,
                              "a camera of %d x %d pixels cannot be used (1 to %d each)", c->width,
                              c->height, MAX_SIDE);
    if (c->row_stride == 0)
        c->row_stride = 3 * c->width;
    if (c->row_stride < 3 * c->width)
        return deer_fail_with(DEER_USAGE, err, "rows of %d pixels do not fit %d bytes apart",
                              c->width, c->row_stride);
    if (c->channels != DEER_RGB && c->channels != DEER_BGR)
        return deer_fail_with(DEER_USAGE, err,
                              "a camera's channels are neither DEER_RGB nor "
                              "DEER_BGR but %d",
                              c->channels);
    return DEER_OK;
}

static bool same_camera(const deer_camera *a, const deer_camera *b)
{
    return a->width == b->width && a->height == b->height && a->row_stride == b->row_stride &&
           a->channels == b->channels;
}

/* A plan from nothing. */
static deer_status plan_make(image_plan *plan, const deer_camera *camera, int side, deer_error *err)
{
    int shorter = camera->height < camera->width ? camera->height : camera->width;

    *plan = (image_plan){.camera = *camera, .side = side};
    if (shorter == side || make_room(plan, shorter))
        return DEER_OK;
    image_plan_free(plan);
    return deer_fail(err, "out of memory for an image of %d x %d pixels", camera->width,
                     camera->height);
}

deer_status image_plan_prepare(image_plan *plan, const deer_camera *camera, int side,
                               deer_error *err)
{
    deer_camera c;
    image_plan fresh;

    if (complete(camera, side, &c, err))
        return DEER_USAGE;
    if (plan->side == side && same_camera(&plan->camera, &c))
        return DEER_OK;
    if (plan_make(&fresh, &c, side, err))
        return DEER_FAILED;
    image_plan_free(plan);
    *plan = fresh;
    return DEER_OK;
}

deer_status image_pair_prepare(image_plan plan[2], const deer_camera *static_view,
                               const deer_camera *gripper_view, int side, deer_error *err)
{
    const deer_camera *view[2] = {static_view, gripper_view};
    deer_camera c[2];
    image_plan fresh[2] = {{.side = 0}, {.side = 0}};
    deer_status status = DEER_OK;

    for (int i = 0; i < 2 && !status; i++)
        status = complete(view[i], side, &c[i], err);
    if (!status && plan[0].side == side && same_camera(&plan[0].camera, &c[0]) &&
        plan[1].side == side && same_camera(&plan[1].camera, &c[1]))
        return DEER_OK;
    for (int i = 0; i < 2 && !status; i++)
        status = plan_make(&fresh[i], &c[i], side, err);
    for (int i = 0; i < 2; i++) {
        image_plan_free(status ? &fresh[i] : &plan[i]);
        if (!status)
            plan[i] = fresh[i];
    }
    return status;
}

/* ---------------------------------------------------------------- resizing ----------------- */

typedef uint8_t bytes __attribute__((vector_size(BLOCK), aligned(1), may_alias));

/* Bytes of two vectors in turn: of their first halves, of their second ones. */
#define ZIP_FIRST(a, b)                                                                            \
    __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define ZIP_SECOND(a, b)                                                                           \
    __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)

/* What the rows of a block were become its columns. A byte's place is four bits of row and four of
 * column; each round moves them on by one bit. */
static void turn(uint8_t *to, size_t to_stride, const uint8_t *from, size_t from_stride)
{
    bytes now[BLOCK], next[BLOCK];

    for (int i = 0; i < BLOCK; i++)
        now[i] = *(const bytes *)(from + (size_t)i * from_stride);
    for (int round = 0; round < 4; round++) {
        for (int i = 0; i < BLOCK / 2; i++) {
            next[2 * i] = ZIP_FIRST(now[i], now[i + BLOCK / 2]);
            next[2 * i + 1] = ZIP_SECOND(now[i], now[i + BLOCK / 2]);
        }
        memcpy(now, next, sizeof now);
    }
    for (int i = 0; i < BLOCK; i++)
        *(bytes *)(to + (size_t)i * to_stride) = now[i];
}

/* Some rows of n bytes -> columns [n][BLOCK], n rounded up to whole blocks; behind the last row and
 * column there is anything. */
static void turn_rows(uint8_t *columns, const uint8_t *from, size_t stride, int rows, size_t n)
{
    uint8_t edge[BLOCK][BLOCK] = {{0}};

    for (size_t at = 0; at < n; at += BLOCK, columns += (size_t)BLOCK * BLOCK) {
        size_t some = n - at < BLOCK ? n - at : BLOCK;
        if (some == BLOCK && rows == BLOCK) {
            turn(columns, BLOCK, from + at, stride);
            continue;
        }
        for (int r = 0; r < rows; r++)
            memcpy(edge[r], from + (size_t)r * stride + at, some);
        turn(columns, BLOCK, edge[0], BLOCK);
    }
}

/* Image rows -> as many rows of `side` pixels. Lanes of the filter are rows of the image, so that
 * all of them share a weight; what is turned for that is turned back. */
static void resize_across(image_plan *plan, const uint8_t *rgb, size_t stride)
{
    const image_axis *axis = &plan->across;
    size_t pixel = (size_t)3 * BLOCK, row = whole_blocks(3 * plan->side);

    for (int y = 0; y < plan->down.used; y += BLOCK) {
        int left = plan->down.used - y, rows = left < BLOCK ? left : BLOCK;
        uint8_t *to = plan->rows + (size_t)y * row;

        turn_rows(plan->columns, rgb + (size_t)y * stride, stride, rows, 3 * (size_t)axis->used);
        for (int x = 0; x < plan->side; x++)
            isa_now()->filter_rows(plan->turned + (size_t)x * pixel,
                                   plan->columns + (size_t)(axis->first[x] - axis->begin) * pixel,
                                   (long)pixel, axis->weight + (size_t)x * (size_t)axis->taps,
                                   axis->count[x], (int)pixel);
        for (size_t at = 0; at < row; at += BLOCK)
            turn(to + at, row, plan->turned + at * BLOCK, BLOCK);
    }
}

static void resize_down(image_plan *plan)
{
    const image_axis *axis = &plan->down;
    size_t row = whole_blocks(3 * plan->side);

    for (int y = 0; y < plan->side; y++)
        isa_now()->filter_rows(plan->resized + (size_t)y * row,
                               plan->rows + (size_t)(axis->first[y] - axis->begin) * row, (long)row,
                               axis->weight + (size_t)y * (size_t)axis->taps, axis->count[y],
                               (int)row);
}

image_view image_resize(image_plan *plan, const uint8_t *pixels)
{
    bool cut = !plan->columns;
    size_t top = (size_t)(cut ? before_middle(plan->camera.height, plan->side) : plan->down.begin);
    size_t left =
        (size_t)(cut ? before_middle(plan->camera.width, plan->side) : plan->across.begin);
    size_t stride = (size_t)plan->camera.row_stride;
    image_view view = {.pixels = pixels + top * stride + 3 * left,
                       .stride = stride,
                       .red = plan->camera.channels == DEER_BGR ? 2 : 0};

    if (cut)
        return view;
    resize_across(plan, view.pixels, stride);
    resize_down(plan);
    view.pixels = plan->resized;
    view.stride = whole_blocks(3 * plan->side);
    return view;
}

void image_normalise(const image_view *view, int side, const float mean[3], const float std[3],
                     float *out)
{
    float normalised[3][256]; /* every value that a pixel can have */
    size_t plane = (size_t)side * (size_t)side;
    const uint8_t *pixels = view->pixels;
    int red = view->red;

    for (int c = 0; c < 3; c++)
        for (int v = 0; v < 256; v++)
            normalised[c][v] = ((float)v / 255.0f - mean[c]) / std[c];
    for (int y = 0; y < side; y++, pixels += view->stride)
        for (int x = 0; x < side; x++, out++) {
            out[0] = normalised[0][pixels[3 * x + red]];
            out[plane] = normalised[1][pixels[3 * x + 1]];
            out[2 * plane] = normalised[2][pixels[3 * x + 2 - red]];
        }
}

void image_preprocess(image_plan *plan, const uint8_t *pixels, const float mean[3],
                      const float std[3], float *out)
{
    image_view view = image_resize(plan, pixels);

    image_normalise(&view, plan->side, mean, std, out);
}

/* ---------------------------------------------------------------- an observation ----------- */

deer_status image_check(const image_plan *plan, const deer_image *image, deer_error *err)
{
    const deer_camera *camera = &plan->camera;
    uint64_t needs =
        (uint64_t)(camera->height - 1) * (uint64_t)camera->row_stride + 3 * (uint64_t)camera->width;
    uint64_t whole = (uint64_t)camera->height * (uint64_t)camera->row_stride;

    if (!image->pixels)
        return deer_fail_with(DEER_USAGE, err, "an observation lacks an image");
    if (image->bytes < needs || image->bytes > whole)
        return deer_fail_with(DEER_USAGE, err,
                              "an image of %llu bytes is not its camera's: %d x %d pixels, rows "
                              "%d bytes apart",
                              (unsigned long long)image->bytes, camera->width, camera->height,
                              camera->row_stride);
    return DEER_OK;
}

typedef struct {
    image_plan *plan;
    const deer_image *const *from;
    image_view *view;
} resizing;

static void resize_some(void *context, int part, int parts)
{
    const resizing *r = context;

    for (int i = part; i < 2; i += parts)
        r->view[i] = image_resize(&r->plan[i], r->from[i]->pixels);
}

deer_status image_pair_resize(image_plan plan[2], const deer_observation *seen, image_view view[2],
                              deer_error *err)
{
    const deer_image *const from[2] = {&seen->static_view, &seen->gripper_view};
    resizing r = {plan, from, view};

    for (int i = 0; i < 2; i++)
        if (image_check(&plan[i], from[i], err))
            return DEER_USAGE;
    threads_run(resize_some, &r, 2);
    return DEER_OK;
}

typedef struct {
    const image_view *view;
    unsigned views;
    const deer_config *config;
    float *out;
} normalising;

static void normalise_some(void *context, int part, int parts)
{
    const normalising *n = context;
    const deer_config *c = n->config;
    size_t pixels = 3 * (size_t)c->image_size * (size_t)c->image_size;

    for (int i = part; i < 2; i += parts)
        if (n->views >> i & 1)
            image_normalise(&n->view[i], c->image_size, c->image_mean, c->image_std,
                            n->out + (size_t)i * pixels);
}

void image_pair_normalise(const image_view view[2], unsigned views, const deer_config *c,
                          float *out)
{
    normalising n = {view, views, c, out};

    threads_run(normalise_some, &n, 2);
}
