/* SPDX-License-Identifier: MIT */
/* no_gpu.c - in place of runtime/gpu where deer is built without it (GPU=0). */
#include "runtime/gpu/gpu.h"

deer_status gpu_list(gpu_about *list, int room, int *count, deer_error *err)
{
    (void)list, (void)room;
    *count = 0;
    return deer_fail(err, "this deer was built without GPUs (make GPU=1)");
}

const char *gpu_note(const deer_model *model)
{
    (void)model;
    return NULL;
}

deer_status gpu_measure(const deer_model *model, gpu_limits *limits, deer_error *err)
{
    (void)model, (void)limits;
    return deer_fail_with(DEER_USAGE, err, "the model runs on the processor");
}

deer_status gpu_bring(deer_model *model, const char *wish, const char *cache, deer_error *err)
{
    (void)model, (void)cache;
    return deer_fail(err, "there is no device '%s': this deer was built without GPUs (make GPU=1)",
                     wish);
}
