/* SPDX-License-Identifier: MIT */
/* cache_model.c - the policy that a cache is of. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "calib/cache/cache.h"

deer_status cache_open_model(const cache *c, const char *path, deer_model **model, deer_error *err)
{
    const deer_model_options here = {.size = sizeof here, .device = "cpu"}; /* for its head */

    *model = NULL;
    if (!path && !c->about.model_path[0])
        return deer_fail(err, "%s does not say where its model is; give it with --model", c->dir);
    if (!path && access(c->about.model_path, R_OK))
        return deer_fail(err,
                         "the model of %s, %s, cannot be read (%s); say where it is with --model, "
                         "or use --history full",
                         c->dir, c->about.model_path, strerror(errno));
    if (deer_model_open_with(path ? path : c->about.model_path, DEER_ALL_EXITS, &here, model, err))
        return DEER_FAILED;
    if (!strcmp(deer_model_fingerprint(*model), c->about.model))
        return DEER_OK;
    deer_fail(err, "%s (%.8s) is not the model that the cache %s is of (%.8s)",
              path ? path : c->about.model_path, deer_model_fingerprint(*model), c->dir,
              c->about.model);
    deer_model_close(*model);
    *model = NULL;
    return DEER_FAILED;
}
