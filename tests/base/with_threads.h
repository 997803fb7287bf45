/* SPDX-License-Identifier: MIT */
/* with_threads.h - the calling thread's products on so many threads, for tests. */
#ifndef TESTS_WITH_THREADS_H
#define TESTS_WITH_THREADS_H

#include "runtime/base/threads/threads.h"

/* Replaces the pool of the call before. */
static inline void with_threads(int threads)
{
    static deer_pool *pool;
    const deer_pool_options options = {.size = sizeof options, .threads = threads};
    deer_error err;

    deer_pool_free(pool);
    assert_int_equal(deer_pool_new(&options, &pool, &err), DEER_OK);
    threads_enter(pool);
}

#endif
