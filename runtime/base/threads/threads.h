/* SPDX-License-Identifier: MIT */
/* threads.h - pools of threads that share one job at a time.
 *
 *   static void job(void *context, int part, int parts) { ... every parts-th row ... }
 *   threads_run(job, &context, threads_count());     // returns when every part is done
 *
 * Jobs go to the calling thread's pool: the one it entered, as the library's functions do with the
 * pool that their model or session was made with, else the library's own, which lasts as long as
 * the process. A pool's threads start with the first job that wants them. They look for work for a
 * moment before they sleep, since the products of a step follow closely. A second caller does not
 * wait: while the pool is busy, the job runs on the caller's thread alone. A child made by fork
 * starts without threads and makes its own. */
#ifndef RUNTIME_THREADS_H
#define RUNTIME_THREADS_H

#include <pthread.h>
#include <stdbool.h>

#include "runtime/deer.h"

enum { THREADS_MOST = 256 };

/* Part `part` of `parts`. */
typedef void threads_job(void *context, int part, int parts);

/* From now on the calling thread's jobs go to this pool; NULL: they stay where they went. Returns
 * where that was, for threads_leave. */
deer_pool *threads_enter(deer_pool *pool);
void threads_leave(deer_pool *before);

/* A pool of one thread, the caller's: for work whose threads keep the cores busy already. Any
 * number of threads may use it at once. */
deer_pool *threads_single(void);

/* How many parts of the calling thread's jobs can run at once. */
int threads_count(void);

/* Starts a thread of the library's own. It takes no signal that is sent to the process (only those
 * that it causes itself): these are the application's, which may have blocked them everywhere else
 * to wait for them. Returns whether it runs. */
bool threads_spawn(pthread_t *thread, void *(*run)(void *context), void *context);

/* Runs all parts of the job, part 0 on the calling thread, and those whose thread does not come in
 * time. The number of parts is at most `limit` and may be smaller: 1 while the pool is busy, where
 * no thread can be started, or for a while after waking and waiting took longer than what others
 * did, but for jobs that take longer than all that was lost. */
void threads_run(threads_job *job, void *context, int limit);

/* The same for jobs whose parts meet: they all run at the same time, as many as there are threads
 * that come at once. */
void threads_run_together(threads_job *job, void *context, int limit);

/* Starts the threads that such jobs will want, so that the first one does not. */
void threads_start(void);

/* Inside a job that runs together: waits until all `parts` parts have come here. Every part must
 * call it equally often; with 1 part it does nothing. */
void threads_meet(int parts);

#endif
