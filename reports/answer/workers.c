/* SPDX-License-Identifier: MIT */
/* workers.c - threads that take the next piece until none is left. */
#include "reports/answer/workers.h"

#include <pthread.h>
#include <stdatomic.h>

enum { MOST_THREADS = 64 };

typedef struct {
    int n;
    atomic_int next, finished;
    void (*work)(void *context, int i);
    void *context;
    tool_progress *bar;
    double before;
    pthread_t caller;
} job;

static void *worker(void *argument)
{
    job *j = argument;

    for (int i; (i = atomic_fetch_add(&j->next, 1)) < j->n;) {
        int finished;

        j->work(j->context, i);
        finished = atomic_fetch_add(&j->finished, 1) + 1;
        if (j->bar && pthread_equal(pthread_self(), j->caller))
            tool_progress_update(j->bar, j->before + finished);
    }
    return NULL;
}

void workers_run(int n, int threads, void (*work)(void *context, int i), void *context,
                 tool_progress *bar, double *done)
{
    job j = {.n = n,
             .work = work,
             .context = context,
             .bar = bar,
             .before = done ? *done : 0,
             .caller = pthread_self()};
    pthread_t thread[MOST_THREADS];
    int started = 0;

    if (threads > n)
        threads = n;
    while (started < threads - 1 && started < MOST_THREADS &&
           !pthread_create(&thread[started], NULL, worker, &j))
        started++;
    worker(&j);
    for (int t = 0; t < started; t++)
        pthread_join(thread[t], NULL);
    if (done)
        *done += n;
}
