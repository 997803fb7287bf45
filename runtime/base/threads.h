/* SPDX-License-Identifier: MIT */
/* threads.h - a pool of threads that share one job at a time.
 *
 *   static void job(void *context, int part, int parts) { ... every parts-th row ... }
 *   threads_run(job, &context, threads_count());     // returns when every part is done
 *
 * The pool starts with the first job that wants it and lasts as long as the process. Its threads
 * look for work for a moment before they sleep, since the products of a step follow closely. A
 * second caller does not wait: while the pool is busy, the job runs on the caller's thread alone.
 * A child made by fork starts without a pool and makes its own. */
#ifndef RUNTIME_THREADS_H
#define RUNTIME_THREADS_H

enum { THREADS_MOST = 256 };

/* Part `part` of `parts`. */
typedef void threads_job(void *context, int part, int parts);

/* How many parts can run at once: deer_set_threads's number, else the process's cores. */
int threads_count(void);

/* Runs all parts of the job, part 0 on the calling thread. The number of parts is at most `limit`
 * and may be smaller: 1 while the pool is busy or where no thread can be started. */
void threads_run(threads_job *job, void *context, int limit);

/* Inside a job: waits until all `parts` parts have come here. Every part must call it equally
 * often; with 1 part it does nothing. */
void threads_meet(int parts);

#endif
