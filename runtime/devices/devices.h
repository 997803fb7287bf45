/* SPDX-License-Identifier: MIT */
/* devices.h - where models run.
 *
 *   model_open(path, exit, &model, &err);
 *   devices_bring(model, "gpu", NULL, &err);
 */
#ifndef RUNTIME_DEVICES_H
#define RUNTIME_DEVICES_H

#include "runtime/model/model.h"

/* Brings a model that is on the processor, and that has no session yet, to a device, as
 * deer_model_options have it (runtime/deer.h); NULL: what the environment says. In a child made by
 * fork, too, where the device is the child's alone. On failure the model is as it was. */
deer_status devices_bring(deer_model *model, const char *device, const char *kernel_cache,
                          deer_error *err);

#endif
