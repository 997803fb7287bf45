/* SPDX-License-Identifier: MIT */
/* rollouts_paired.h - deer-report rollouts --paired: evaluations against the first, start by start.
 */
#ifndef REPORTS_ROLLOUTS_PAIRED_H
#define REPORTS_ROLLOUTS_PAIRED_H

#include "runtime/cli/tool.h"

/* argument [n]: [NAME=]FILE[,FILE..], files of the same seeds in the same order each. Prints a
 * table, or JSON; returns the exit status. */
int rollouts_paired(const tool_command *self, const char *const *argument, int n, double within,
                    const char *out, bool json);

#endif
