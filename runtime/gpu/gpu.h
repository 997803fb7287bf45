/* SPDX-License-Identifier: MIT */
/* gpu.h - GPUs by way of Vulkan: which there are, and a model's weights on one of them.
 *
 *   gpu_list(list, 8, &count, &err);
 *   gpu_bring(model, "gpu", NULL, &err);          // model->on is backend_gpu now
 *
 * Sessions and batches of such a model run there. docs/gpu.md is the design. A deer that is built
 * without it (GPU=0) has runtime/devices/no_gpu.c in its place. */
#ifndef RUNTIME_GPU_H
#define RUNTIME_GPU_H

#include "runtime/model/model.h"

typedef struct {
    char name[256], driver[64]; /* driver: its version, and Vulkan's */
    char kind[16];              /* "discrete", "integrated", "virtual", "software", "other" */
    uint64_t memory;            /* bytes of the largest heap on the device */
    bool usable;
    char missing[128]; /* what keeps it from that */
    char uses[192];    /* of what it offers, what deer uses */
} gpu_about;

/* Fills up to `room` of the devices there are; *count becomes how many that is. None is no error;
 * no loader, or no driver, is. Want of memory counts as a failure of the machine. */
deer_status gpu_list(gpu_about *list, int room, int *count, deer_error *err);

/* Whether the name means this device: "gpu" any that is usable and no software, else a part of its
 * name, without regard to case. */
bool gpu_named(const gpu_about *about, const char *wish);

/* Brings an open model's weights to the device that `wish` means; then model->on runs there. What
 * the processor no longer needs of them it lets go. cache: a file that keeps the driver's compiled
 * kernels from one run to the next; NULL: none. On failure the model is as it was. */
deer_status gpu_bring(deer_model *model, const char *wish, const char *cache, deer_error *err);

/* What was found wrong with a model's device and is done without, for people; NULL: nothing, or it
 * runs on the processor. */
const char *gpu_note(const deer_model *model);

/* What the device of a model can do at most, with deer's own kernels. */
typedef struct {
    bool unified, software;
    uint64_t memory;              /* bytes of its largest heap */
    double copy_gbs;              /* GB/s read and written by copies */
    double gflops[WEIGHT_DTYPES]; /* of large products, two operations a multiply-add */
    double dispatch_seconds;      /* of a small dispatch that waits for the one before */
    double submission_seconds;    /* from handing one over to hearing that it is done */
} gpu_limits;

/* Measures it, in a second on a card, longer on slow devices, in up to 200 MB of its memory.
 * DEER_USAGE for a model on the processor. */
deer_status gpu_measure(const deer_model *model, gpu_limits *limits, deer_error *err);

#endif
