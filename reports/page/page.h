/* SPDX-License-Identifier: MIT */
/* page.h - a report as one HTML file that needs nothing else. */
#ifndef REPORTS_PAGE_H
#define REPORTS_PAGE_H

#include "reports/answer/report.h"

/* The page: reports/page/template.html with its tables, pictures of hard moments (when the question
 * names demonstrations, which must be the cache's), style, scripts and the report's JSON. Every
 * text that comes from a file is escaped. The caller frees *text. */
deer_status page_text(const report *r, char **text, size_t *size, deer_error *err);

#endif
