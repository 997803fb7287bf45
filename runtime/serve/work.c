/* SPDX-License-Identifier: MIT */
/* work.c - a queue and its threads. */
#include "runtime/serve/work.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/threads/threads.h"

typedef struct {
    work_item *first, **end;
} queue;

struct work {
    pthread_mutex_t lock;
    pthread_cond_t some; /* something waits, or it is over */
    queue waiting, done;
    bool over;
    metrics *counts;
    void (*wake)(void *context);
    void *context;
    int threads, workers; /* those started */
    pthread_t worker[];
};

/* ---------------------------------------------------------------- queues ------------------- */

static void push(queue *q, work_item *item)
{
    item->next = NULL;
    *q->end = item;
    q->end = &item->next;
}

static work_item *pop(queue *q)
{
    work_item *item = q->first;

    if (item) {
        q->first = item->next;
        q->end = item->next ? q->end : &q->first;
    }
    return item;
}

/* The next item, once there is one; NULL when it is over. */
static work_item *await(work *w)
{
    work_item *item;

    pthread_mutex_lock(&w->lock);
    while (!w->waiting.first && !w->over)
        pthread_cond_wait(&w->some, &w->lock);
    item = w->over ? NULL : pop(&w->waiting);
    pthread_mutex_unlock(&w->lock);
    return item;
}

void work_put(work *w, work_item *item)
{
    metrics_count_queued(w->counts, 1);
    pthread_mutex_lock(&w->lock);
    push(&w->waiting, item);
    pthread_cond_signal(&w->some);
    pthread_mutex_unlock(&w->lock);
}

work_item *work_done(work *w)
{
    work_item *item;

    pthread_mutex_lock(&w->lock);
    item = pop(&w->done);
    pthread_mutex_unlock(&w->lock);
    return item;
}

/* ---------------------------------------------------------------- threads ------------------ */

static void compute(work *w, work_item *item)
{
    metrics_count_queued(w->counts, -1);
    item->answer.size = 0;
    item->answer.failed = false;
    item->status = robot_answer(item->by, &item->request, &item->answer, &item->err);
    pthread_mutex_lock(&w->lock);
    push(&w->done, item);
    pthread_mutex_unlock(&w->lock);
    w->wake(w->context);
}

/* A worker without threads of its own computes alone. */
static void *run(void *context)
{
    work *w = context;
    const deer_pool_options options = {.size = sizeof options, .threads = w->threads};
    deer_pool *pool;
    work_item *item;

    if (deer_pool_new(&options, &pool, NULL))
        pool = NULL;
    threads_enter(pool ? pool : threads_single());
    while ((item = await(w)))
        compute(w, item);
    threads_leave(NULL);
    deer_pool_free(pool);
    return NULL;
}

deer_status work_start(int workers, int threads, metrics *counts, void (*wake)(void *context),
                       void *context, work **out, deer_error *err)
{
    work *w = calloc(1, sizeof *w + (size_t)workers * sizeof *w->worker);

    *out = NULL;
    if (!w)
        return deer_fail(err, "out of memory for %d workers", workers);
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->some, NULL);
    w->waiting.end = &w->waiting.first;
    w->done.end = &w->done.first;
    w->counts = counts;
    w->wake = wake;
    w->context = context;
    w->threads = threads;
    for (; w->workers < workers; w->workers++)
        if (pthread_create(&w->worker[w->workers], NULL, run, w)) {
            work_end(w);
            return deer_fail(err, "cannot start %d workers: no more threads", workers);
        }
    *out = w;
    return DEER_OK;
}

void work_end(work *w)
{
    if (!w)
        return;
    pthread_mutex_lock(&w->lock);
    w->over = true;
    pthread_cond_broadcast(&w->some);
    pthread_mutex_unlock(&w->lock);
    for (int i = 0; i < w->workers; i++)
        pthread_join(w->worker[i], NULL);
    pthread_cond_destroy(&w->some);
    pthread_mutex_destroy(&w->lock);
    free(w);
}
