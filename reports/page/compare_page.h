/* SPDX-License-Identifier: MIT */
/* compare_page.h - what is one JSON object as one HTML file that needs nothing else. */
#ifndef REPORTS_COMPARE_PAGE_H
#define REPORTS_COMPARE_PAGE_H

#include <jansson.h>
#include <stdio.h>

#include "runtime/deer.h"

/* The page of what deer-report compare --json prints. The caller frees *text. */
deer_status compare_page_text(const json_t *comparison, char **text, size_t *size, deer_error *err);

/* Likewise of a table's report (reports/formats/table_json.h). */
deer_status table_page_text(const json_t *report, char **text, size_t *size, deer_error *err);

#endif
