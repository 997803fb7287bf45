/* SPDX-License-Identifier: MIT */
/* parallel.h - many independent jobs on several processes, results in order.
 *
 *   static deer_status job(void *context, int i, parallel_result *out, deer_error *err);
 *   static deer_status collect(void *context, int i, const void *data, size_t size,
 *                              deer_error *err);
 *   parallel_run(n, workers, start, job, collect, context, err);
 *
 * Workers are forked processes: job i runs in worker i % workers, after that worker called start
 * (for what cannot cross a fork, as an OpenGL context). collect runs in the calling process for
 * i = 0, 1, 2, ... whatever the number of workers, so that the outcome does not depend on it.
 */
#ifndef TABLETOP_PARALLEL_H
#define TABLETOP_PARALLEL_H

#include "runtime/deer.h"

enum { PARALLEL_MOST = 1024 }; /* workers */

/* What a job hands back: bytes, appended piece by piece. */
typedef struct parallel_result parallel_result;
deer_status parallel_append(parallel_result *out, const void *data, size_t size, deer_error *err);

typedef deer_status (*parallel_start)(void *context, deer_error *err);
typedef deer_status (*parallel_job)(void *context, int i, parallel_result *out, deer_error *err);
typedef deer_status (*parallel_collect)(void *context, int i, const void *data, size_t size,
                                        deer_error *err);

/* Runs jobs 0..n-1. The first failure (of a job, or a worker that died) ends the run with its
 * message; no worker outlives the call. */
deer_status parallel_run(int n, int workers, parallel_start start, parallel_job job,
                         parallel_collect collect, void *context, deer_error *err);

#endif
