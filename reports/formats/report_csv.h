/* SPDX-License-Identifier: MIT */
/* report_csv.h - a report as one table: every machine, mode, type, rate and budget. */
#ifndef REPORTS_REPORT_CSV_H
#define REPORTS_REPORT_CSV_H

#include "reports/answer/report.h"

/* The header row and one row for each combination; numbers that are not known are empty. The
 * caller frees. NULL when out of memory. */
char *report_csv_text(const report *r, size_t *size);

#endif
