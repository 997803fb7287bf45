/* SPDX-License-Identifier: MIT */
/* table_json.h - the report of a table as one JSON object (docs/report.md, "Another policy's
 * table"). */
#ifndef REPORTS_TABLE_JSON_H
#define REPORTS_TABLE_JSON_H

#include "reports/answer/table_report.h"

/* To be checked with json_complete. */
json_t *table_report_json(const question *q, const table_report *r);

#endif
