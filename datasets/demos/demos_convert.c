/* demos_convert.c - pixels that are not u8 [T,H,W,3], made so: one frame at a time. */
#include <math.h>
#include <stdlib.h>

#include "datasets/demos/demos_internal.h"

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
    const char *path, *name;
    hid_t dataset, space, memory;
    const demo_form *form;
    hsize_t steps, pixels; /* of a frame */
    hsize_t size[4];       /* of a frame as it is stored; size[0] is 1 */
    float *frame;
} conversion;

static deer_status read_frame(const conversion *c, hsize_t t, deer_error *err)
{
    const hsize_t start[4] = {t, 0, 0, 0};

    if (H5Sselect_hyperslab(c->space, H5S_SELECT_SET, start, NULL, c->size, NULL) < 0 ||
        H5Dread(c->dataset, H5T_NATIVE_FLOAT, c->memory, c->space, H5P_DEFAULT, c->frame) < 0)
        return deer_fail(err, "%s: dataset %s cannot be read; the file is damaged", c->path,
                         c->name);
    return DEER_OK;
}

static float value_at(const conversion *c, hsize_t pixel, hsize_t channel)
{
    return c->form->first ? c->frame[channel * c->pixels + pixel]
                          : c->frame[pixel * (hsize_t)c->form->channels + channel];
}

/* 255 where every float lies within 0..1, 1 where all lie within 0..255. */
static deer_status find_scale(const conversion *c, float *scale, deer_error *err)
{
    float low = 0, high = 0;
    bool numbers = true;

    for (hsize_t t = 0; t < c->steps; t++) {
        if (read_frame(c, t, err))
            return DEER_FAILED;
        for (hsize_t p = 0; p < c->pixels; p++)
            for (hsize_t k = 0; k < 3; k++) {
                float v = value_at(c, p, k);

                numbers = numbers && !isnan(v);
                low = fminf(low, v);
                high = fmaxf(high, v);
            }
    }
    *scale = c->form->real && high <= 1 ? 255 : 1;
    if (!numbers || low < 0 || high > 255)
        return deer_fail(err, "%s: %s has pixels of %g to %g%s; 0 to 1 or 0 to 255 is expected",
                         c->path, c->name, (double)low, (double)high, numbers ? "" : " and NaN");
    return DEER_OK;
}

static deer_status convert(const conversion *c, uint8_t *out, deer_error *err)
{
    float scale;

    if (find_scale(c, &scale, err))
        return DEER_FAILED;
    for (hsize_t t = 0; t < c->steps; t++) {
        if (read_frame(c, t, err))
            return DEER_FAILED;
        for (hsize_t p = 0; p < c->pixels; p++)
            for (hsize_t k = 0; k < 3; k++)
                *out++ = (uint8_t)lrintf(value_at(c, p, k) * scale);
    }
    return DEER_OK;
}

deer_status demos_read_converted(const demo_file *f, const char *name, const hdf5_shape *shape,
                                 const demo_form *form, uint8_t *out, deer_error *err)
{
    hsize_t channels = (hsize_t)form->channels;
    conversion c = {.path = f->path,
                    .name = name,
                    .dataset = H5Dopen2(f->file, name, H5P_DEFAULT),
                    .form = form,
                    .steps = shape->size[0],
                    .pixels = shape->size[1] * shape->size[2],
                    .size = {1, shape->size[1], shape->size[2], channels}};
    deer_status status;

    if (c.dataset < 0)
        return deer_fail(err, "%s: there is no dataset %s", f->path, name);
    if (form->first) {
        c.size[1] = channels;
        c.size[2] = shape->size[1];
        c.size[3] = shape->size[2];
    }
    c.space = H5Dget_space(c.dataset);
    c.memory = H5Screate_simple(4, c.size, NULL);
    c.frame = malloc(c.pixels * channels * sizeof *c.frame);
    status = c.frame ? convert(&c, out, err) : deer_fail(err, "out of memory reading %s", f->path);
    free(c.frame);
    H5Sclose(c.memory);
    H5Sclose(c.space);
    H5Dclose(c.dataset);
    return status;
}
