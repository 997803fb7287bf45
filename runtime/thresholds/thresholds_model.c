/* SPDX-License-Identifier: MIT */
/* thresholds_model.c - whether thresholds are for this model. */
#include <string.h>

#include "runtime/thresholds/thresholds_format.h"

deer_status thresholds_check_model(const char *name, const deer_thresholds *t,
                                   const deer_model *model, deer_error *err)
{
    const char *fingerprint = deer_model_fingerprint(model), *weights = deer_model_type(model);

    if (!strcmp(t->model_fingerprint, fingerprint) &&
        (!*t->weights || !strcmp(t->weights, weights)))
        return DEER_OK;
    return deer_fail(
        err, "%s: made for another model (%s%s%.12s..., this is %s %.12s...); calibrate anew", name,
        t->weights, *t->weights ? " " : "", t->model_fingerprint, weights, fingerprint);
}
