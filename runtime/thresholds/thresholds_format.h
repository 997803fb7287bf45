/* SPDX-License-Identifier: MIT */
/* thresholds_format.h - what reader and writer of the thresholds file agree on, and which
 * thresholds are refused. */
#ifndef RUNTIME_THRESHOLDS_FORMAT_H
#define RUNTIME_THRESHOLDS_FORMAT_H

#include "runtime/deer_replay.h"

enum { THRESHOLDS_VERSION = 1 };

/* As deer_thresholds_fixed and deer_thresholds_load, into the caller's struct. */
deer_status thresholds_fix(const deer_model *model, int exit, deer_thresholds *thresholds,
                           deer_error *err);
deer_status thresholds_read(const char *path, const deer_model *model, deer_thresholds *thresholds,
                            deer_error *err);

/* Whether what a caller filled in by hand can be used at all: counts within their arrays, every
 * number a number. `name` says which thresholds, a path say. Fails with DEER_USAGE. */
deer_status thresholds_check(const char *name, const deer_thresholds *thresholds, deer_error *err);

/* Turns the dial to point i. */
void thresholds_take_point(deer_thresholds *thresholds, int i);

/* Fails, with both types of weights and fingerprints, where the thresholds are not this model's.
 * The same model in other weights is another model: its exits agree at other values. `name` says
 * which thresholds, a path say. */
deer_status thresholds_check_model(const char *name, const deer_thresholds *thresholds,
                                   const deer_model *model, deer_error *err);

#endif
