/* SPDX-License-Identifier: MIT */
/* print_outcome.h - what a calibration found, for people and for machines. */
#ifndef CALIB_PRINT_OUTCOME_H
#define CALIB_PRINT_OUTCOME_H

#include <jansson.h>
#include <stdio.h>

#include "calib/pipeline/outcome.h"

/* source: the folder or file it was found on. */
void outcome_print(FILE *out, const char *source, const outcome *o);

/* A new object. */
json_t *outcome_json(const outcome *o);

/* Of a guarantee; null where none is given. */
json_t *outcome_guarantee_json(const guarantee *g);

/* The list of the official code's --thresholds: one number per exit, the last never reached. */
void outcome_print_official(FILE *out, const outcome *o);

/* "llm", "total", or "cost" of a table. */
const char *outcome_scope(const outcome *o);

#endif
