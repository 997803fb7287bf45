/* SPDX-License-Identifier: MIT */
/* demos_convert.c - pixels that are not u8 [T,H,W,3], made so. */
#include <math.h>
#include <stdlib.h>

#include "datasets/demos/demos_internal.h"
#include "runtime/base/machine_failure.h"

bool demos_convertible(hdf5_shape *s, demo_form *form)
{
    bool last = s->rank == 4 && (s->size[3] == 3 || s->size[3] == 4);
    bool first = s->rank == 4 && !last && (s->size[1] == 3 || s->size[1] == 4);

    if ((!last && !first) || (s->type != H5T_FLOAT && s->type != H5T_INTEGER) ||
        (s->type == H5T_INTEGER && s->is_signed && s->bytes == 1)) /* wrapped bytes: which? */
        return false;
    *form = (demo_form){.converted = true,
                        .first = first,
                        .real = s->type == H5T_FLOAT,
                        .channels = (int)(first ? s->size[1] : s->size[3])};
    if (first) {
        s->size[1] = s->size[2];
        s->size[2] = s->size[3];
    }
    s->size[3] = 3;
    return true;
}

typedef struct {
    const demo_form *form;
    hsize_t steps, pixels; /* of a frame */
    const float *value;    /* as they are stored */
} stored;

static float value_at(const stored *s, hsize_t t, hsize_t pixel, hsize_t channel)
{
    hsize_t channels = (hsize_t)s->form->channels;
    const float *frame = s->value + t * s->pixels * channels;

    return s->form->first ? frame[channel * s->pixels + pixel] : frame[pixel * channels + channel];
}

static void find_range(const stored *s, float *low, float *high, bool *numbers)
{
    *low = *high = 0;
    *numbers = true;
    for (hsize_t t = 0; t < s->steps; t++)
        for (hsize_t p = 0; p < s->pixels; p++)
            for (hsize_t k = 0; k < 3; k++) {
                float v = value_at(s, t, p, k);

                *numbers = *numbers && !isnan(v);
                *low = fminf(*low, v);
                *high = fmaxf(*high, v);
            }
}

/* Floats of which none is above 1 are shares of 255. */
static deer_status convert(const stored *s, const char *path, const char *name, uint8_t *out,
                           deer_error *err)
{
    float low, high, scale;
    bool numbers;

    find_range(s, &low, &high, &numbers);
    if (!numbers || low < 0 || high > 255)
        return deer_fail(err, "%s: %s has pixels of %g to %g%s; 0 to 1 or 0 to 255 is expected",
                         path, name, (double)low, (double)high, numbers ? "" : " and NaN");
    scale = s->form->real && high <= 1 ? 255 : 1;
    for (hsize_t t = 0; t < s->steps; t++)
        for (hsize_t p = 0; p < s->pixels; p++)
            for (hsize_t k = 0; k < 3; k++)
                *out++ = (uint8_t)lrintf(value_at(s, t, p, k) * scale);
    return DEER_OK;
}

deer_status demos_read_converted(const demo_file *f, const char *name, const hdf5_shape *shape,
                                 const demo_form *form, uint8_t *out, deer_error *err)
{
    hsize_t pixels = shape->size[1] * shape->size[2];
    float *value =
        malloc((size_t)(shape->size[0] * pixels * (hsize_t)form->channels) * sizeof *value);
    const stored s = {form, shape->size[0], pixels, value};
    deer_status status = value ? hdf5_read(f->file, f->path, name, H5T_NATIVE_FLOAT, value, err)
                               : machine_fail(err, "out of memory reading %s", f->path);

    if (!status)
        status = convert(&s, f->path, name, out, err);
    free(value);
    return status;
}
