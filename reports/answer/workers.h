/* SPDX-License-Identifier: MIT */
/* workers.h - independent pieces of work on several threads. */
#ifndef REPORTS_WORKERS_H
#define REPORTS_WORKERS_H

#include "runtime/cli/tool.h"

/* Calls work(context, i) once for each i in 0..n-1, on up to `threads` threads (the caller's is
 * one), and returns when all are done. Which thread does what is not fixed; pieces must write to
 * places of their own. bar (may be NULL) counts on from *done. */
void workers_run(int n, int threads, void (*work)(void *context, int i), void *context,
                 tool_progress *bar, double *done);

#endif
