/* SPDX-License-Identifier: MIT */
/* hardware_internal.h - what the files of hardware.h share. */
#ifndef BUDGETS_HARDWARE_INTERNAL_H
#define BUDGETS_HARDWARE_INTERNAL_H

#include "budgets/machines/hardware.h"

/* Fills in, marked assumed, what a profile leaves unknown of efficiency, overheads, load, idle
 * power and the share of the peaks a mode has. */
void hardware_assume(deer_hardware *hardware);

/* In the order of their enums; both end with NULL. */
extern const char *const hardware_kind_names[HARDWARE_KINDS + 1];
extern const char *const stage_kind_names[STAGE_KINDS + 1];

/* A profile that ships: generated at build time from budgets/machines/profiles/<name>.json. */
typedef struct {
    const char *name, *text;
} hardware_text;

extern const hardware_text hardware_texts[]; /* ends with a NULL name */

#endif
