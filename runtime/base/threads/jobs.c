/* SPDX-License-Identifier: MIT */
/* jobs.c - one counter, and as many threads as can be had. */
#include "runtime/base/threads/jobs.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "runtime/base/threads/threads.h"

/* What all threads share. */
typedef struct {
    int pieces;
    jobs_loop *loop;
    void *context;
    atomic_int next;
    atomic_bool stop;
    pthread_mutex_t mutex; /* of what follows: the failure kept */
    deer_status status;
    deer_error err;
    int piece;
} common;

struct jobs {
    common *all;
    int piece; /* taken last */
};

int jobs_next(jobs *j)
{
    int piece;

    if (atomic_load(&j->all->stop))
        return -1;
    piece = atomic_fetch_add(&j->all->next, 1);
    if (piece >= j->all->pieces)
        return -1;
    j->piece = piece;
    return piece;
}

bool jobs_stopped(const jobs *j)
{
    return atomic_load(&j->all->stop);
}

/* Pieces are taken in order, so that the first one that fails is taken whatever else fails. */
static void keep_failure(common *all, int piece, deer_status status, const deer_error *err)
{
    atomic_store(&all->stop, true);
    pthread_mutex_lock(&all->mutex);
    if (!all->status || piece < all->piece) {
        all->status = status;
        all->err = *err;
        all->piece = piece;
    }
    pthread_mutex_unlock(&all->mutex);
}

static void *work(void *context)
{
    common *all = context;
    jobs own = {all, -1};
    deer_error err = {""};
    deer_status status = all->loop(&own, all->context, &err);

    if (status)
        keep_failure(all, own.piece, status, &err);
    return NULL;
}

deer_status jobs_run(int pieces, int threads, jobs_loop *loop, void *context, deer_error *err)
{
    common all = {
        .pieces = pieces, .loop = loop, .context = context, .mutex = PTHREAD_MUTEX_INITIALIZER};
    int wanted = (threads < pieces ? threads : pieces) - 1, started = 0;
    pthread_t *thread = wanted > 0 ? calloc((size_t)wanted, sizeof *thread) : NULL;

    if (pieces < 1)
        return DEER_OK;
    while (thread && started < wanted && threads_spawn(&thread[started], work, &all))
        started++;
    work(&all);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    free(thread);
    pthread_mutex_destroy(&all.mutex);
    if (all.status && err)
        *err = all.err;
    return all.status;
}
