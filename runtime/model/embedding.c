/* SPDX-License-Identifier: MIT */
/* embedding.c - the rows of the token embedding that an instruction needs, from the file. */
#include <math.h>

#include "runtime/model/model.h"

deer_status model_embed(const deer_model *model, const int32_t *ids, int count, float *out,
                        deer_error *err)
{
    const safetensor *t = model->embedding;
    size_t d = (size_t)model->config.d_model, size = d * number_size(t->type);

    if (safetensors_unchanged(&model->file, err))
        return DEER_FAILED;
    for (int i = 0; i < count; i++, out += d) {
        int bad = 0;
        /* into the row's upper half, so that widening never overtakes what it reads */
        char *raw = (char *)(out + d) - size;
        if (safetensors_read(&model->file, t->begin + (size_t)ids[i] * size, raw, size, err))
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
