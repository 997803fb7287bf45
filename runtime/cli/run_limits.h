/* SPDX-License-Identifier: MIT */
/* run_limits.h - what the place where a model runs can do at most. */
#ifndef RUN_LIMITS_WHERE_H
#define RUN_LIMITS_WHERE_H

#include "budgets/measure/limits.h"

/* Measures the processor, with the threads of the caller's pool, or the model's device. */
deer_status run_limits(const deer_model *model, machine_limits *limits, deer_error *err);

#endif
