/* SPDX-License-Identifier: MIT */
/* threads.c - the pool: one generation of work after another. */
#include "runtime/base/threads.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runtime/deer.h"

enum { SPINS = 20000, PARTS_BITS = 9 }; /* about 100 microseconds of looking for work */

static struct {
    atomic_int wanted;  /* 0: one per core */
    atomic_bool busy;   /* owned by a caller */
    int workers;        /* threads started; touched by the owner only */
    atomic_uint ticket; /* generation << PARTS_BITS | parts: what there is to do */
    atomic_int pending; /* workers that have not finished it */
    atomic_int asleep;  /* threads that wait for a change of ticket or pending */
    threads_job *job;
    void *context;
    bool pinned; /* part i to the i-th of these: */
    cpu_set_t cores;
    atomic_int arrived;   /* parts that wait in threads_meet */
    atomic_uint meetings; /* that have ended */
} pool;

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
static void sleep_on(void *word, unsigned value)
{
    atomic_fetch_add(&pool.asleep, 1);
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, value, NULL, NULL, 0);
    atomic_fetch_sub(&pool.asleep, 1);
}

static void wake(void *word)
{
    if (atomic_load(&pool.asleep))
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, THREADS_MOST, NULL, NULL, 0);
}

static unsigned next_ticket(unsigned seen)
{
    for (;;) {
        unsigned now;

        for (int i = 0; i < SPINS; i++) {
            now = atomic_load_explicit(&pool.ticket, memory_order_acquire);
            if (now != seen)
                return now;
            relax();
        }
        sleep_on(&pool.ticket, seen);
    }
}

/* Binds the calling thread; parts beyond the cores begin again with the first. A core that cannot
 * be had any more leaves the thread where it is. */
static void pin(int part)
{
    int count = CPU_COUNT(&pool.cores), core = 0;
    cpu_set_t one;

    CPU_ZERO(&one);
    for (int left = part % count;; core++)
        if (CPU_ISSET(core, &pool.cores) && left-- == 0)
            break;
    CPU_SET(core, &one);
    sched_setaffinity(0, sizeof one, &one);
}

/* Part numbers of workers begin at 1. The ticket says how many parts it has, so that a worker that
 * has none never looks at a job that may be over. */
static void *work(void *argument)
{
    int part = (int)(intptr_t)argument;
    unsigned ticket = 0;

    if (pool.pinned)
        pin(part);
    for (;;) {
        ticket = next_ticket(ticket);
        int parts = (int)(ticket & ((1u << PARTS_BITS) - 1));
        if (part >= parts)
            continue;
        pool.job(pool.context, part, parts);
        if (atomic_fetch_sub(&pool.pending, 1) == 1)
            wake(&pool.pending);
    }
    return NULL;
}

static void forget_in_child(void)
{
    if (pool.pinned)
        sched_setaffinity(0, sizeof pool.cores, &pool.cores);
    pool.pinned = false;
    pool.workers = 0;
    atomic_store(&pool.ticket, 0);
    atomic_store(&pool.pending, 0);
    atomic_store(&pool.asleep, 0);
    atomic_store(&pool.arrived, 0);
    atomic_store(&pool.busy, false);
}

static void register_fork(void)
{
    pthread_atfork(NULL, NULL, forget_in_child);
}

static void watch_forks(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, register_fork);
}

/* Workers are never joined: they sleep until the process ends. */
static void start_workers(int count)
{
    pthread_attr_t attributes;

    if (pool.workers >= count)
        return;
    watch_forks();
    if (pthread_attr_init(&attributes))
        return;
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    while (pool.workers < count) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, work, (void *)(intptr_t)(pool.workers + 1)))
            break;
        pool.workers++;
    }
    pthread_attr_destroy(&attributes);
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

void deer_set_threads(int threads)
{
    atomic_store(&pool.wanted, threads < 1 ? 0 : at_most(threads));
}

int threads_count(void)
{
    static atomic_int counted;
    int wanted = atomic_load_explicit(&pool.wanted, memory_order_relaxed);

    if (wanted)
        return wanted;
    if (!atomic_load_explicit(&counted, memory_order_relaxed))
        atomic_store(&counted, cores());
    return atomic_load_explicit(&counted, memory_order_relaxed);
}

void deer_pin_threads(void)
{
    threads_count(); /* while the caller may still use every core */
    if (pool.pinned || sched_getaffinity(0, sizeof pool.cores, &pool.cores))
        return;
    watch_forks();
    pool.pinned = true;
    pin(0);
}

static void wait_for_workers(void)
{
    for (;;) {
        int left;

        for (int i = 0; i < SPINS; i++) {
            left = atomic_load_explicit(&pool.pending, memory_order_acquire);
            if (!left)
                return;
            relax();
        }
        sleep_on(&pool.pending, (unsigned)left);
    }
}

void threads_meet(int parts)
{
    unsigned before = atomic_load(&pool.meetings);

    if (parts < 2)
        return;
    if (atomic_fetch_add(&pool.arrived, 1) + 1 == parts) {
        atomic_store(&pool.arrived, 0);
        atomic_fetch_add(&pool.meetings, 1);
        return;
    }
    for (int i = 0; atomic_load(&pool.meetings) == before; i++)
        if (i < SPINS)
            relax();
        else
            sched_yield();
}

void threads_run(threads_job *job, void *context, int limit)
{
    int parts = threads_count() < limit ? threads_count() : limit;
    unsigned generation;

    if (parts < 2 || atomic_exchange_explicit(&pool.busy, true, memory_order_acquire)) {
        job(context, 0, 1);
        return;
    }
    start_workers(parts - 1);
    parts = pool.workers + 1 < parts ? pool.workers + 1 : parts;
    pool.job = job;
    pool.context = context;
    atomic_store_explicit(&pool.pending, parts - 1, memory_order_relaxed);
    generation = (atomic_load_explicit(&pool.ticket, memory_order_relaxed) >> PARTS_BITS) + 1;
    atomic_store(&pool.ticket, generation << PARTS_BITS | (unsigned)parts);
    wake(&pool.ticket);
    job(context, 0, parts);
    wait_for_workers();
    atomic_store_explicit(&pool.busy, false, memory_order_release);
}
