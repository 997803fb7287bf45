/* SPDX-License-Identifier: MIT */
/* cache_model.c - the policy that a cache is of. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "calib/cache/cache.h"
#include "calib/cluster/cluster.h"

/* The cache's own; and ranks that replay its heads must get the same bits. */
static deer_status check_model(const cache *c, const char *path, const deer_model *model,
                               deer_error *err)
{
    char sums[DEER_SUMS] = "";

    if (strcmp(deer_model_fingerprint(model), c->about.model))
        return deer_fail(err, "%s (%.8s) is not the model that the cache %s is of (%.8s)", path,
                         deer_model_fingerprint(model), c->dir, c->about.model);
    strcpy(sums, deer_model_sums(model));
    return !c->spread || cluster_alike(sums, sizeof sums)
               ? DEER_OK
               : deer_fail(err, "the processors of this job add up the model's products in "
                                "different orders: use machines of one kind, or say the same "
                                "DEER_ISA on all");
}

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
    if (!check_model(c, path ? path : c->about.model_path, *model, err))
        return DEER_OK;
    deer_model_close(*model);
    *model = NULL;
    return DEER_FAILED;
}
