/* SPDX-License-Identifier: MIT */
/* page_tables.h - what the page says without its script, from the report's JSON. */
#ifndef REPORTS_PAGE_TABLES_H
#define REPORTS_PAGE_TABLES_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

/* Writes a part of the page by its name in the template; false when there is no such part. */
bool page_table(FILE *out, const json_t *report, const char *name, size_t length);

#endif
