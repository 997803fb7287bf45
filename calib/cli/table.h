/* SPDX-License-Identifier: MIT */
/* table.h - settings of thresholds side by side, for people and for machines. */
#ifndef CALIB_TABLE_H
#define CALIB_TABLE_H

#include <jansson.h>
#include <stdio.h>

#include "calib/problem/operating_point.h"

/* scope: "llm", "total", or "cost" for a table's problem, whose cost is in `total` and which has no
 * llm. full_llm, full_total: what 100% of a scope is. */
void table_print(FILE *out, const operating_point *rows, int n, int exits, double full_llm,
                 double full_total, const char *scope);

/* A new JSON object; tau has one entry an exit: null at the last, "never" for -infinity, "always"
 * for infinity. */
json_t *table_json(const operating_point *row);

#endif
