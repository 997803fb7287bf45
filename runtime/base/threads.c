/* SPDX-License-Identifier: MIT */
/* threads.c - pools: one generation of work after another. */
#include "runtime/base/threads.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/base/options.h"

enum { SPINS = 20000, PARTS_BITS = 9 }; /* about 100 microseconds of looking for work */

typedef struct {
    deer_pool *pool;
    int part;
    pthread_t thread;
} seat;

struct deer_pool {
    atomic_int count;   /* parts that may run at once; 0: not counted yet */
    atomic_bool busy;   /* owned by a caller */
    int workers;        /* threads started; touched by the owner only */
    atomic_uint ticket; /* generation << PARTS_BITS | parts: what there is to do */
    atomic_int pending; /* workers that have not finished it */
    atomic_int asleep;  /* threads that wait for a change of ticket or pending */
    atomic_bool ending; /* workers return */
    threads_job *job;
    void *context;
    bool pinned; /* part i to the i-th of these: */
    cpu_set_t cores;
    atomic_int arrived;   /* parts that wait in threads_meet */
    atomic_uint meetings; /* that have ended */
    deer_pool *next;      /* of all that a child made by fork must forget */
    seat seats[THREADS_MOST];
};

static deer_pool own; /* the library's */
static _Thread_local deer_pool *entered;

static struct {
    pthread_mutex_t lock;
    deer_pool *first;
} pools = {PTHREAD_MUTEX_INITIALIZER, NULL};

static deer_pool *here(void)
{
    return entered ? entered : &own;
}

deer_pool *threads_enter(deer_pool *pool)
{
    deer_pool *before = entered;

    if (pool)
        entered = pool;
    return before;
}

void threads_leave(deer_pool *before)
{
    entered = before;
}

static void relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ __volatile__("yield");
#endif
}

/* Sleeps while *word is `value`. Who changes the word looks at `asleep` afterwards; both orders are
 * sequentially consistent, so that one of the two sees the other. */
static void sleep_on(deer_pool *pool, void *word, unsigned value)
{
    atomic_fetch_add(&pool->asleep, 1);
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    atomic_fetch_sub(&pool->asleep, 1);
}

static void wake(deer_pool *pool, void *word)
{
    if (atomic_load(&pool->asleep))
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, THREADS_MOST, NULL, NULL, 0);
}

static unsigned next_ticket(deer_pool *pool, unsigned seen)
{
    for (;;) {
        unsigned now;

        for (int i = 0; i < SPINS; i++) {
            now = atomic_load_explicit(&pool->ticket, memory_order_acquire);
            if (now != seen)
                return now;
            relax();
        }
        sleep_on(pool, &pool->ticket, seen);
    }
}

/* Binds the calling thread; parts beyond the cores begin again with the first. A core that cannot
 * be had any more leaves the thread where it is. */
static void pin(const deer_pool *pool, int part)
{
    int count = CPU_COUNT(&pool->cores), core = 0;
    cpu_set_t one;

    CPU_ZERO(&one);
    for (int left = part % count;; core++)
        if (CPU_ISSET(core, &pool->cores) && left-- == 0)
            break;
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Part numbers of workers begin at 1. The ticket says how many parts it has, so that a worker that
 * has none never looks at a job that may be over. */
static void *work(void *argument)
{
    const seat *mine = argument;
    deer_pool *pool = mine->pool;
    unsigned ticket = 0;

    entered = pool;
    if (pool->pinned)
        pin(pool, mine->part);
    for (;;) {
        ticket = next_ticket(pool, ticket);
        int parts = (int)(ticket & ((1u << PARTS_BITS) - 1));
        if (atomic_load(&pool->ending))
            return NULL;
        if (mine->part >= parts)
            continue;
        pool->job(pool->context, mine->part, parts);
        if (atomic_fetch_sub(&pool->pending, 1) == 1)
            wake(pool, &pool->pending);
    }
}

/* ---------------------------------------------------------------- forks -------------------- */

static void forget(deer_pool *pool)
{
    if (pool->pinned)
        sched_setaffinity(0, sizeof pool->cores, &pool->cores);
    pool->pinned = false;
    pool->workers = 0;
    atomic_store(&pool->ticket, 0);
    atomic_store(&pool->pending, 0);
    atomic_store(&pool->asleep, 0);
    atomic_store(&pool->arrived, 0);
    atomic_store(&pool->busy, false);
}

static void before_fork(void)
{
    pthread_mutex_lock(&pools.lock);
}

static void after_fork(void)
{
    pthread_mutex_unlock(&pools.lock);
}

static void forget_in_child(void)
{
    for (deer_pool *p = pools.first; p; p = p->next)
        forget(p);
    after_fork();
}

static void register_fork(void)
{
    pthread_atfork(before_fork, after_fork, forget_in_child);
}

/* Before the pool has threads or pins one. */
static void watch_forks(deer_pool *pool)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    deer_pool *p;

    pthread_once(&once, register_fork);
    pthread_mutex_lock(&pools.lock);
    for (p = pools.first; p && p != pool; p = p->next)
        continue;
    if (!p) {
        pool->next = pools.first;
        pools.first = pool;
    }
    pthread_mutex_unlock(&pools.lock);
}

static void unwatch_forks(deer_pool *pool)
{
    pthread_mutex_lock(&pools.lock);
    for (deer_pool **p = &pools.first; *p; p = &(*p)->next)
        if (*p == pool) {
            *p = pool->next;
            break;
        }
    pthread_mutex_unlock(&pools.lock);
}

/* ---------------------------------------------------------------- life --------------------- */

static void start_workers(deer_pool *pool, int count)
{
    if (pool->workers >= count)
        return;
    watch_forks(pool);
    while (pool->workers < count) {
        seat *next = &pool->seats[pool->workers];
        next->pool = pool;
        next->part = pool->workers + 1;
        if (pthread_create(&next->thread, NULL, work, next))
            break;
        pool->workers++;
    }
}

static int at_most(int threads)
{
    return threads < THREADS_MOST ? threads : THREADS_MOST;
}

static int cores(void)
{
    cpu_set_t set;

    return sched_getaffinity(0, sizeof set, &set) ? 1 : at_most(CPU_COUNT(&set));
}

static int count_of(deer_pool *pool)
{
    int count = atomic_load_explicit(&pool->count, memory_order_relaxed);

    if (!count) {
        count = cores();
        atomic_store_explicit(&pool->count, count, memory_order_relaxed);
    }
    return count;
}

deer_pool *threads_single(void)
{
    static deer_pool single = {.count = 1};

    return &single;
}

int threads_count(void)
{
    return count_of(here());
}

/* The calling thread becomes part 0. */
static void pin_pool(deer_pool *pool)
{
    if (sched_getaffinity(0, sizeof pool->cores, &pool->cores))
        return;
    watch_forks(pool);
    pool->pinned = true;
    pin(pool, 0);
}

deer_status deer_pool_new(const deer_pool_options *options, deer_pool **out, deer_error *err)
{
    deer_pool_options o;
    deer_pool *pool;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_pool_new has nowhere to put the pool");
    *out = NULL;
    if (options_read("deer_pool_options", &o, sizeof o, options, err))
        return DEER_USAGE;
    if (o.threads < 0 || o.threads > THREADS_MOST || o.pin > 1)
        return deer_fail_with(DEER_USAGE, err, "a pool of %d threads (0 to %d), pin %u (0 or 1)",
                              o.threads, THREADS_MOST, o.pin);
    pool = calloc(1, sizeof *pool);
    if (!pool)
        return deer_fail(err, "out of memory for a pool of threads");
    atomic_store(&pool->count, o.threads ? o.threads : cores());
    if (o.pin)
        pin_pool(pool);
    *out = pool;
    return DEER_OK;
}

void deer_pool_free(deer_pool *pool)
{
    if (!pool)
        return;
    atomic_store(&pool->ending, true);
    atomic_fetch_add(&pool->ticket, 1u << PARTS_BITS);
    wake(pool, &pool->ticket);
    for (int i = 0; i < pool->workers; i++)
        pthread_join(pool->seats[i].thread, NULL);
    unwatch_forks(pool);
    if (pool->pinned)
        sched_setaffinity(0, sizeof pool->cores, &pool->cores);
    if (entered == pool)
        entered = NULL;
    free(pool);
}

int32_t deer_pool_threads(const deer_pool *pool)
{
    return pool ? atomic_load_explicit(&pool->count, memory_order_relaxed) : count_of(&own);
}

/* ---------------------------------------------------------------- jobs --------------------- */

static void wait_for_workers(deer_pool *pool)
{
    for (;;) {
        int left;

        for (int i = 0; i < SPINS; i++) {
            left = atomic_load_explicit(&pool->pending, memory_order_acquire);
            if (!left)
                return;
            relax();
        }
        sleep_on(pool, &pool->pending, (unsigned)left);
    }
}

void threads_meet(int parts)
{
    deer_pool *pool = here();
    unsigned before = atomic_load(&pool->meetings);

    if (parts < 2)
        return;
    if (atomic_fetch_add(&pool->arrived, 1) + 1 == parts) {
        atomic_store(&pool->arrived, 0);
        atomic_fetch_add(&pool->meetings, 1);
        return;
    }
    for (int i = 0; atomic_load(&pool->meetings) == before; i++)
        if (i < SPINS)
            relax();
        else
            sched_yield();
}

void threads_run(threads_job *job, void *context, int limit)
{
    deer_pool *pool = here();
    int count = count_of(pool), parts = count < limit ? count : limit;
    unsigned generation;

    if (parts < 2 || atomic_exchange_explicit(&pool->busy, true, memory_order_acquire)) {
        job(context, 0, 1);
        return;
    }
    start_workers(pool, parts - 1);
    parts = pool->workers + 1 < parts ? pool->workers + 1 : parts;
    pool->job = job;
    pool->context = context;
    atomic_store_explicit(&pool->pending, parts - 1, memory_order_relaxed);
    generation = (atomic_load_explicit(&pool->ticket, memory_order_relaxed) >> PARTS_BITS) + 1;
    atomic_store(&pool->ticket, generation << PARTS_BITS | (unsigned)parts);
    wake(pool, &pool->ticket);
    job(context, 0, parts);
    wait_for_workers(pool);
    atomic_store_explicit(&pool->busy, false, memory_order_release);
}

static void nothing(void *context, int part, int parts)
{
    (void)context;
    (void)part;
    (void)parts;
}

void threads_start(void)
{
    threads_run(nothing, NULL, threads_count());
}
