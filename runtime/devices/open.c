/* SPDX-License-Identifier: MIT */
/* open.c - a model, opened where it is to run. */
#include "runtime/devices/devices.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "runtime/base/machine_failure.h"
#include "runtime/base/options.h"
#include "runtime/base/threads/threads.h"
#include "runtime/gpu/gpu.h"

/* Without an option the environment decides, and without that it is the processor. */
static const char *or_environment(const char *option, const char *variable)
{
    const char *set = option && *option ? option : getenv(variable);

    return set && *set ? set : NULL;
}

/* Whether there is one that "gpu" would mean. Without a loader or a driver there is none; want of
 * memory says nothing. */
static deer_status look_for_gpu(bool *there, deer_error *err)
{
    unsigned before = machine_failures();
    gpu_about list[16];
    int count = 0;

    *there = false;
    if (gpu_list(list, 16, &count, err))
        return machine_failures() != before ? DEER_FAILED : DEER_OK;
    for (int i = 0; i < count && i < 16; i++)
        *there |= list[i].usable && strcmp(list[i].kind, "software") != 0;
    return DEER_OK;
}

/* By "auto" the processor stands in for a GPU that is not there, never for one that fails. */
deer_status devices_bring(deer_model *model, const char *device, const char *cache, deer_error *err)
{
    bool there = true;

    device = or_environment(device, "DEER_DEVICE");
    cache = or_environment(cache, "DEER_KERNEL_CACHE");
    if (!device || !strcasecmp(device, "cpu"))
        return DEER_OK;
    if (!strcasecmp(device, "auto")) {
        device = "gpu";
        if (look_for_gpu(&there, err))
            return DEER_FAILED;
    }
    return there ? gpu_bring(model, device, cache, err) : DEER_OK;
}

static deer_status open_there(const char *path, int max_exit, const deer_model_options *o,
                              deer_model **out, deer_error *err)
{
    deer_status status = model_open(path, max_exit, out, err);

    if (!status)
        status = devices_bring(*out, o->device, o->kernel_cache, err);
    if (status) {
        deer_model_close(*out);
        *out = NULL;
    }
    return status;
}

deer_status deer_model_open(const char *path, int32_t max_exit, deer_model **out, deer_error *err)
{
    return deer_model_open_with(path, max_exit, NULL, out, err);
}

deer_status deer_model_open_with(const char *path, int32_t max_exit,
                                 const deer_model_options *options, deer_model **out,
                                 deer_error *err)
{
    deer_model_options o;
    deer_pool *before;
    deer_status status;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_model_open has nowhere to put the model");
    *out = NULL;
    if (!path)
        return deer_fail_with(DEER_USAGE, err, "which model file?");
    if (options_read("deer_model_options", &o, sizeof o, options, err))
        return DEER_USAGE;
    if (o.reserved)
        return deer_fail_with(DEER_USAGE, err, "deer_model_options.reserved must be 0");
    before = threads_enter(o.pool);
    status = open_there(path, max_exit, &o, out, err);
    threads_leave(before);
    return status;
}
