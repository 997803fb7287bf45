/* SPDX-License-Identifier: MIT */
/* machine_profile.h - what was measured here as a hardware profile (docs/hardware.md). */
#ifndef RUN_MACHINE_PROFILE_H
#define RUN_MACHINE_PROFILE_H

#include "budgets/measure/stage_log.h"

/* What the profile is made of. */
typedef struct {
    const deer_config *config; /* of the model that ran */
    const machine_limits *limits;
    const stage_row *rows; /* [count] */
    int count;
    weight_dtype dtype;
} machine_measured;

/* Writes the profile of this machine to path, atomically. A profile that runs with other models
 * left there is completed: the figures of the machine itself are replaced, the times of this model
 * added, and efficiency is fitted to all of them (budgets/machines/hardware_fit.h). Refuses a file
 * at path that is no measured profile. */
deer_status machine_profile_write(const char *path, const machine_measured *measured,
                                  deer_error *err);

#endif
