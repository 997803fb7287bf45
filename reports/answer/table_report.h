/* SPDX-License-Identifier: MIT */
/* table_report.h - what thresholds do for anybody's early-exit policy, of whom a table is all there
 * is.
 *
 *   table_report r;
 *   if (table_report_make(&q, &r, &err)) ...      // q.table: calib/problem/table_file.h
 *   json = table_report_json(&q, &r);
 *   table_report_free(&r);
 *
 * Costs are in the table's own unit: no machine is known to it. The rest is as in report.h.
 */
#ifndef REPORTS_TABLE_REPORT_H
#define REPORTS_TABLE_REPORT_H

#include <jansson.h>

#include "calib/problem/table_file.h"
#include "reports/answer/question.h"

typedef struct {
    step_table table;
    calibration p; /* its steps are the table's */
    sweep w;
    double max_loss;
    int recommended; /* budget; -1: none keeps the loss asked for */
} table_report;

deer_status table_report_make(const question *q, table_report *r, deer_error *err);
void table_report_free(table_report *r);

#endif
