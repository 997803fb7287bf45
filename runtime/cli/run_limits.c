/* SPDX-License-Identifier: MIT */
/* run_limits.c - what the place where a model runs can do at most. */
#include "runtime/cli/run_limits.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/threads/threads.h"
#include "runtime/gpu/gpu.h"

static deer_status measure_device(const deer_model *model, machine_limits *l, deer_error *err)
{
    gpu_limits of_gpu;

    if (gpu_measure(model, &of_gpu, err))
        return DEER_FAILED;
    *l = (machine_limits){.threads = threads_count(),
                          .read_gbs = of_gpu.copy_gbs,
                          .cache_gbs = NAN,
                          .f32_gflops = of_gpu.gflops[WEIGHT_F32],
                          .bf16_gflops = of_gpu.gflops[WEIGHT_BF16],
                          .int8_gops = of_gpu.gflops[WEIGHT_Q8],
                          .card = !of_gpu.unified,
                          .device_bytes = of_gpu.memory,
                          .dispatch_seconds = of_gpu.dispatch_seconds,
                          .submission_seconds = of_gpu.submission_seconds};
    snprintf(l->device, sizeof l->device, "%.95s", deer_model_device(model));
    return DEER_OK;
}

deer_status run_limits(const deer_model *model, machine_limits *l, deer_error *err)
{
    return strcmp(deer_model_device(model), "cpu") ? measure_device(model, l, err)
                                                   : limits_measure(threads_count(), l, err);
}
