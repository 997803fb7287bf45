/* SPDX-License-Identifier: MIT */
/* evaluation.h - files of deer-sim eval --json: reading one, and whether two may be compared.
 *
 *   json_t *a = evaluation_load("full.json", &err);
 *   json_t *b = evaluation_load("early.json", &err);
 *   if (evaluation_differs(a, b, text, sizeof text))
 *       fprintf(stderr, "%s\n", text);        // "seed 7, not 1000"
 */
#ifndef REPORTS_EVALUATION_H
#define REPORTS_EVALUATION_H

#include <jansson.h>
#include <stdbool.h>

#include "runtime/deer.h"

/* The file's JSON, which the caller releases; NULL with an error. */
json_t *evaluation_load(const char *path, deer_error *err);

/* Whether `other` judged on other starts than `first`: chains or single tasks, the seed, the split,
 * the tasks. The first difference goes to text [size]. False also when a file does not say. */
bool evaluation_differs(const json_t *first, const json_t *other, char *text, size_t size);

#endif
