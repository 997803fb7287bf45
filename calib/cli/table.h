/* SPDX-License-Identifier: MIT */
/* table.h - settings of thresholds side by side, for people and for machines. */
#ifndef CALIB_TABLE_H
#define CALIB_TABLE_H

#include <jansson.h>
#include <stdio.h>

#include "calib/problem/calibration.h"

/* One way to run the policy. Unknown numbers are NaN. */
typedef struct {
    char name[64];
    int max_exit;
    double llm, total;           /* average GFLOPs of a step */
    double peak_llm, peak_total; /* GFLOPs */
    double loss;
    double fraction[DEER_MAX_EXITS];
    float tau[DEER_MAX_EXITS];
} table_row;

/* What tau does on the steps of p; p->llm and p->total NULL: s.cost is all there is. */
void table_row_of(const calibration *p, const char *name, const float *tau, int max_exit,
                  table_row *row);

/* scope: "llm", "total", or "cost" for a table's problem, whose cost is in `total` and which has no
 * llm. full_llm, full_total: what 100% of a scope is. */
void table_print(FILE *out, const table_row *rows, int n, int exits, double full_llm,
                 double full_total, const char *scope);

/* A new JSON object; tau is null at the last exit and "never" for -infinity. */
json_t *table_row_json(const table_row *row);

#endif
