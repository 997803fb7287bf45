/* SPDX-License-Identifier: MIT */
/* thresholds_format.h - what reader and writer of the thresholds file agree on, and whose
 * thresholds are refused. */
#ifndef RUNTIME_THRESHOLDS_FORMAT_H
#define RUNTIME_THRESHOLDS_FORMAT_H

#include "runtime/deer.h"

enum { THRESHOLDS_VERSION = 1 };

/* Fails, with both types of weights and fingerprints, where the thresholds are not this model's.
 * The same model in other weights is another model: its exits agree at other values. `name` says
 * which thresholds, a path say. */
deer_status thresholds_check_model(const char *name, const deer_thresholds *thresholds,
                                   const deer_model *model, deer_error *err);

#endif
