/* SPDX-License-Identifier: MIT */
/* embedding.c - the rows of the token embedding that an instruction needs, from the file. */
#include <errno.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "runtime/model/model.h"

/* n bytes of the file's data. */
static deer_status read_data(const deer_model *model, size_t at, void *to, size_t n,
                             deer_error *err)
{
    const safetensors *file = &model->file;

    for (char *p = to; n > 0;) {
        ssize_t some = pread(file->fd, p, n, (off_t)(file->data_offset + at));
        if (some < 0 && errno == EINTR)
            continue;
        if (some <= 0)
            return deer_fail(err, "cannot read %s: %s", file->path,
                             some ? strerror(errno) : "it has become shorter");
        p += some, at += (size_t)some, n -= (size_t)some;
    }
    return DEER_OK;
}

deer_status model_embed(const deer_model *model, const int32_t *ids, int count, float *out,
                        deer_error *err)
{
    const safetensor *t = model->embedding;
    size_t d = (size_t)model->config.d_model, size = d * number_size(t->type);

    for (int i = 0; i < count; i++, out += d) {
        int bad = 0;
        /* into the row's upper half, so that widening never overtakes what it reads */
        char *raw = (char *)(out + d) - size;
        if (read_data(model, t->begin + (size_t)ids[i] * size, raw, size, err))
            return DEER_FAILED;
        if (raw != (char *)out)
            number_to_float(t->type, raw, 1, d, out);
        for (size_t j = 0; j < d; j++)
            bad |= !isfinite(out[j]);
        if (bad)
            return deer_fail(err, "%s: tensor %s, row %d: values that are not finite",
                             model->file.path, t->name, (int)ids[i]);
    }
    return DEER_OK;
}
