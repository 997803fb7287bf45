/* SPDX-License-Identifier: MIT */
/* report_json.h - a report for programs, and for the page's script. */
#ifndef REPORTS_REPORT_JSON_H
#define REPORTS_REPORT_JSON_H

#include <jansson.h>

#include "reports/answer/report.h"

/* A new object; docs/report.md describes it. The same report gives the same object: keys in one
 * order, no dates. NULL when out of memory. */
json_t *report_json(const report *r);

/* The object as text with six significant digits; the caller frees. NULL when out of memory. */
char *report_json_text(const report *r, bool indented);

#endif
