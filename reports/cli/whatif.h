/* SPDX-License-Identifier: MIT */
/* whatif.h - deer-report whatif: which computer does this robot need? */
#ifndef REPORTS_WHATIF_H
#define REPORTS_WHATIF_H

/* Computes a report from a feature cache and a list of machines; prints a table, and writes the
 * page, JSON and CSV that were asked for. Status 3 when no machine meets the demands (everything
 * asked for is written all the same). */
int report_whatif_main(int argc, char **argv);

#endif
