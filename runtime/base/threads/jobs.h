/* SPDX-License-Identifier: MIT */
/* jobs.h - pieces of work that several threads take one after another.
 *
 *   static deer_status loop(jobs *all, void *context, deer_error *err)   // of each thread
 *   {
 *       ... what this thread needs of its own ...
 *       for (int i; !status && (i = jobs_next(all)) >= 0;)
 *           status = piece i;
 *       ... free it ...
 *       return status;
 *   }
 *   status = jobs_run(pieces, threads, loop, &context, &err);
 *
 * For long pieces that differ in length: files, shards, searches. Products are shared by
 * threads.h. Which thread does what is not fixed; pieces write to places of their own. */
#ifndef RUNTIME_JOBS_H
#define RUNTIME_JOBS_H

#include "runtime/deer.h"

/* A thread's view of all pieces. */
typedef struct jobs jobs;

typedef deer_status jobs_loop(jobs *all, void *context, deer_error *err);

/* Runs the loop on up to `threads` threads, no more than there are pieces; the caller's is one of
 * them, so that work is done also where no thread can be started. Without pieces nothing runs. When
 * loops fail, the others get no further piece, and the status and message are those of the first
 * piece that failed, the same for any number of threads. */
deer_status jobs_run(int pieces, int threads, jobs_loop *loop, void *context, deer_error *err);

/* The next piece, in ascending order; -1 when there is none left or another thread failed. */
int jobs_next(jobs *all);

/* Whether another thread failed: a long piece may end early. */
bool jobs_stopped(const jobs *all);

#endif
