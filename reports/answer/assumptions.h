/* SPDX-License-Identifier: MIT */
/* assumptions.h - what a report takes for granted, one sentence each. */
#ifndef REPORTS_ASSUMPTIONS_H
#define REPORTS_ASSUMPTIONS_H

#include "reports/answer/report.h"

enum { ASSUMPTIONS_MOST = 32, ASSUMPTION_LENGTH = 400 };

/* Fills list and returns how many there are: of the data, the thresholds, the model's shape, then
 * those of the latency model. */
int assumptions_list(const report *r, char list[ASSUMPTIONS_MOST][ASSUMPTION_LENGTH]);

#endif
