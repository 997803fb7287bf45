/* image.c - PIL's bicubic resampling and CLIP's normalisation. */
#include "runtime/image.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { FRACTION_BITS = 22, MAX_SIDE = 16384 };

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

/* Weights of one output pixel: normalised in double, then rounded to fixed point. */
static void weigh(image_axis *axis, int x)
{
    double scale = (double)axis->in / axis->out, stretch = fmax(scale, 1);
    double support = 2 * stretch, centre = (x + 0.5) * scale, sum = 0;
    int first = (int)(centre - support + 0.5), last = (int)(centre + support + 0.5);
    int *weight = axis->weight + (size_t)x * (size_t)axis->taps;

    first = first < 0 ? 0 : first;
    last = last > axis->in ? axis->in : last;
    for (int k = 0; k < last - first; k++)
        sum += bicubic((k + first - centre + 0.5) / stretch);
    for (int k = 0; k < last - first; k++) {
        double w = bicubic((k + first - centre + 0.5) / stretch) / sum * (1 << FRACTION_BITS);
        weight[k] = (int)(w < 0 ? w - 0.5 : w + 0.5);
    }
    axis->first[x] = first;
    axis->count[x] = last - first;
}

static bool axis_prepare(image_axis *axis, int in, int out)
{
    double stretch = fmax((double)in / out, 1);

    *axis = (image_axis){.in = in, .out = out, .taps = (int)ceil(2 * stretch) * 2 + 1};
    axis->first = calloc((size_t)out, sizeof(int));
    axis->count = calloc((size_t)out, sizeof(int));
    axis->weight = calloc((size_t)out * (size_t)axis->taps, sizeof(int));
    if (!axis->first || !axis->count || !axis->weight)
        return false;
    for (int x = 0; x < out; x++)
        weigh(axis, x);
    return true;
}

static void axis_free(image_axis *axis)
{
    free(axis->first);
    free(axis->count);
    free(axis->weight);
}

void image_plan_free(image_plan *plan)
{
    axis_free(&plan->across);
    axis_free(&plan->down);
    free(plan->rows);
    free(plan->resized);
    *plan = (image_plan){0};
}

size_t image_plan_bytes(const image_plan *plan)
{
    size_t across = (size_t)plan->across.out, down = (size_t)plan->down.out;

    return across * (size_t)(plan->across.taps + 2) * sizeof(int) +
           down * (size_t)(plan->down.taps + 2) * sizeof(int) +
           3 * across * ((size_t)plan->height + down);
}

/* The shorter side becomes `side`, the longer one keeps the proportion, rounded down (torchvision).
 */
deer_status image_plan_prepare(image_plan *plan, int height, int width, int side, deer_error *err)
{
    int shorter = height < width ? height : width, out_height, out_width;

    if (plan->height == height && plan->width == width && plan->rows)
        return DEER_OK;
    image_plan_free(plan);
    if (shorter < 1 || height > MAX_SIDE || width > MAX_SIDE)
        return deer_fail(err, "an image of %d x %d pixels cannot be used", width, height);
    out_height = (int)((long)side * height / shorter);
    out_width = (int)((long)side * width / shorter);
    plan->height = height;
    plan->width = width;
    plan->rows = malloc((size_t)height * (size_t)out_width * 3);
    plan->resized = malloc((size_t)out_height * (size_t)out_width * 3);
    if (!plan->rows || !plan->resized || !axis_prepare(&plan->across, width, out_width) ||
        !axis_prepare(&plan->down, height, out_height)) {
        image_plan_free(plan);
        return deer_fail(err, "out of memory for an image of %d x %d pixels", width, height);
    }
    return DEER_OK;
}

static uint8_t clip8(int sum)
{
    sum >>= FRACTION_BITS;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void resize_across(const image_axis *axis, const uint8_t *in, uint8_t *out, int rows)
{
    for (int y = 0; y < rows; y++, in += (size_t)axis->in * 3)
        for (int x = 0; x < axis->out; x++, out += 3) {
            const int *w = axis->weight + (size_t)x * (size_t)axis->taps;
            int sum[3] = {1 << 21, 1 << 21, 1 << 21};
            for (int k = 0; k < axis->count[x]; k++)
                for (int c = 0; c < 3; c++)
                    sum[c] += in[3 * (axis->first[x] + k) + c] * w[k];
            for (int c = 0; c < 3; c++)
                out[c] = clip8(sum[c]);
        }
}

static void resize_down(const image_axis *axis, const uint8_t *in, uint8_t *out, int row)
{
    for (int y = 0; y < axis->out; y++, out += row) {
        const int *w = axis->weight + (size_t)y * (size_t)axis->taps;
        const uint8_t *from = in + (size_t)axis->first[y] * (size_t)row;
        for (int i = 0; i < row; i++) {
            int sum = 1 << 21;
            for (int k = 0; k < axis->count[y]; k++)
                sum += from[(size_t)k * (size_t)row + (size_t)i] * w[k];
            out[i] = clip8(sum);
        }
    }
}

/* A pass is skipped when its size stays the same, as PIL does. */
static const uint8_t *resize(image_plan *plan, const uint8_t *rgb)
{
    int row = plan->across.out * 3;

    if (plan->across.in != plan->across.out) {
        resize_across(&plan->across, rgb, plan->rows, plan->height);
        rgb = plan->rows;
    }
    if (plan->down.in != plan->down.out) {
        resize_down(&plan->down, rgb, plan->resized, row);
        rgb = plan->resized;
    }
    return rgb;
}

void image_preprocess(image_plan *plan, const deer_image *image, int side, const float mean[3],
                      const float std[3], float *out)
{
    const uint8_t *rgb = resize(plan, image->rgb);
    int width = plan->across.out, height = plan->down.out;
    /* torchvision centres by rounding half to even */
    int left = (int)nearbyint((width - side) / 2.0), top = (int)nearbyint((height - side) / 2.0);

    for (int c = 0; c < 3; c++)
        for (int y = 0; y < side; y++) {
            const uint8_t *row = rgb + ((size_t)(top + y) * (size_t)width + (size_t)left) * 3 + c;
            for (int x = 0; x < side; x++)
                *out++ = ((float)row[3 * x] / 255.0f - mean[c]) / std[c];
        }
}

deer_status image_pair_preprocess(image_plan plan[2], const deer_observation *seen,
                                  const deer_config *c, float *out, deer_error *err)
{
    const deer_image *view[2] = {&seen->static_view, &seen->gripper_view};
    size_t pixels = 3 * (size_t)c->image_size * (size_t)c->image_size;

    if (!view[0]->rgb || !view[1]->rgb)
        return deer_fail(err, "an observation lacks an image");
    for (int i = 0; i < 2; i++) {
        if (image_plan_prepare(&plan[i], view[i]->height, view[i]->width, c->image_size, err))
            return DEER_FAILED;
        image_preprocess(&plan[i], view[i], c->image_size, c->image_mean, c->image_std,
                         out + (size_t)i * pixels);
    }
    return DEER_OK;
}
