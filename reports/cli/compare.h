/* SPDX-License-Identifier: MIT */
/* compare.h - deer-report compare: two reports of whatif side by side. */
#ifndef REPORTS_COMPARE_H
#define REPORTS_COMPARE_H

/* Arguments A.json B.json of whatif --json: two policies, or two sets of demonstrations. Prints the
 * loss of both frontiers at equal shares of the way from the first exit's cost to full depth's, and
 * every machine whose verdict differs; --json prints the same as an object. */
int report_compare_main(int argc, char **argv);

#endif
