/* SPDX-License-Identifier: MIT */
/* page_tables.h - the tables of the page: what it says without its script. */
#ifndef REPORTS_PAGE_TABLES_H
#define REPORTS_PAGE_TABLES_H

#include <stdio.h>

#include "reports/answer/report.h"

void page_title(FILE *out, const report *r);
void page_lede(FILE *out, const report *r);     /* the answer in a sentence for each rate */
void page_cards(FILE *out, const report *r);    /* cheapest, lowest power, fastest, by rate */
void page_ranking(FILE *out, const report *r);  /* every machine, by rate */
void page_frontier(FILE *out, const report *r); /* every exit allowed, budget by budget */
void page_fixed(FILE *out, const report *r);    /* always the same exit */
void page_times(FILE *out, const report *r);    /* milliseconds to each exit, by machine */
void page_tasks(FILE *out, const report *r);    /* exits by task at the recommended budget */
void page_trust(FILE *out, const report *r);
void page_assumptions(FILE *out, const report *r);
void page_sources(FILE *out, const report *r); /* figures of the machines and their origin */

#endif
