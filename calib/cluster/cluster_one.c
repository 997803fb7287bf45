/* SPDX-License-Identifier: MIT */
/* cluster_one.c - one rank: there is nothing to exchange. */
#include <stdatomic.h>
#include <string.h>

#include "calib/cluster/cluster.h"

static _Atomic int64_t next;

void cluster_begin(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
}

int cluster_end(int status)
{
    return status;
}

int cluster_rank(void)
{
    return 0;
}

int cluster_size(void)
{
    return 1;
}

void cluster_sum(double *x, int64_t n)
{
    (void)x;
    (void)n;
}

void cluster_count(int64_t *x, int64_t n)
{
    (void)x;
    (void)n;
}

void cluster_least(float *x, int64_t n)
{
    (void)x;
    (void)n;
}

void cluster_most(float *x, int64_t n)
{
    (void)x;
    (void)n;
}

int64_t cluster_before(int64_t mine)
{
    (void)mine;
    return 0;
}

void cluster_gather(const void *mine, size_t size, void *all)
{
    memmove(all, mine, size);
}

void cluster_place(void *all, size_t size, int64_t first, int64_t count)
{
    (void)all;
    (void)size;
    (void)first;
    (void)count;
}

void cluster_tell(void *data, size_t size)
{
    (void)data;
    (void)size;
}

bool cluster_alike(const void *mine, size_t size)
{
    (void)mine;
    (void)size;
    return true;
}

int64_t cluster_next(void)
{
    return atomic_fetch_add(&next, 1);
}

void cluster_meet(void)
{
    atomic_store(&next, 0);
}
