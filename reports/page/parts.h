/* SPDX-License-Identifier: MIT */
/* parts.h - what every page has: libraries, style, scripts, data. */
#ifndef REPORTS_PARTS_H
#define REPORTS_PARTS_H

#include <jansson.h>
#include <stdio.h>

#include "runtime/deer.h"

/* Whether the libraries that draw pages were there when this program was built. */
bool page_has_libraries(void);

void page_style(FILE *out);
/* The libraries, what draws with them, and a page's own script. */
void page_scripts(FILE *out, const char *own);
/* JSON for scripts to read, as the element "data". */
deer_status page_data(FILE *out, const json_t *json, deer_error *err);

#endif
