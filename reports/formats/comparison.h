/* SPDX-License-Identifier: MIT */
/* comparison.h - two reports of deer-report whatif side by side.
 *
 *   comparison_sides s = {.path = {"a.json", "b.json"}};
 *   if (comparison_load(s.path[0], &s.report[0], &err) || comparison_load(..)) ...
 *   json = comparison_json(&s, comparison_pairs(&pair), NULL);
 *
 * Keys: `a` and `b` (what each is of, and its frontier), `frontier` (losses at equal shares of the
 * way from the first exit's cost to full depth's, and whose is less beyond the bands), `rates`,
 * `machines` (with another verdict), `paired` (rollouts from the same starts, or null), `watched`,
 * and `words`: each of these in a sentence.
 */
#ifndef REPORTS_COMPARISON_H
#define REPORTS_COMPARISON_H

#include <jansson.h>

#include "reports/answer/paired.h"

typedef struct {
    const char *path[2];
    json_t *report[2];
} comparison_sides;

/* A report's JSON; another file is an error. */
deer_status comparison_load(const char *path, json_t **report, deer_error *err);

/* pairs: of comparison_pairs, or null; taken over. watched: the folder that evaluations come into,
 * or NULL. To be checked with json_complete. */
json_t *comparison_json(const comparison_sides *s, json_t *pairs, const char *watched);

/* Of pairs that are finished. */
json_t *comparison_pairs(const paired *p);

#endif
