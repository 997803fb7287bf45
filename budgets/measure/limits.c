/* SPDX-License-Identifier: MIT */
/* limits.c - measures what this machine can do at most. */
#include "budgets/measure/limits.h"

#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "budgets/measure/limits_loops.h"
#include "runtime/base/clock.h"

enum { RUNS = 5, FALLBACK_CACHE = 32 << 20 };
enum { MAX_CACHE = 256 << 20, MAX_THREADS = 256 };
enum { WAIT, GO, LEAVE };

static const double spin_seconds = 0.08; /* of one run of one loop */

/* One thread's share of a run. */
typedef struct {
    limits_loop loop;          /* NULL: read memory */
    const unsigned char *from; /* [bytes] of this thread alone */
    size_t bytes;
    atomic_int *signal;
    double began, ended, done; /* seconds; operations or bytes */
} share;

static void *run_share(void *context)
{
    share *s = context;
    int told;

    while ((told = atomic_load(s->signal)) == WAIT)
        sched_yield();
    s->began = clock_seconds();
    s->done = 0;
    do {
        s->done += told == LEAVE ? 0 : s->loop ? s->loop() : limits_read(s->from, s->bytes);
        s->ended = clock_seconds();
    } while (told == GO && s->ended - s->began < spin_seconds);
    return NULL;
}

/* All threads together, once: operations or bytes a second, over the time in which any ran. */
static double run_together(int threads, share *shares)
{
    pthread_t thread[MAX_THREADS];
    atomic_int signal = WAIT;
    double began = INFINITY, ended = 0, done = 0;
    int started = 0;

    for (int i = 0; i < threads; i++)
        shares[i].signal = &signal;
    while (started < threads &&
           !pthread_create(&thread[started], NULL, run_share, &shares[started]))
        started++;
    atomic_store(&signal, started == threads ? GO : LEAVE);
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    for (int i = 0; i < started; i++) {
        began = fmin(began, shares[i].began);
        ended = fmax(ended, shares[i].ended);
        done += shares[i].done;
    }
    return started == threads ? done / (ended - began) : NAN;
}

/* The best of RUNS, in units of 1e9 a second. */
static double best(int threads, share *shares)
{
    double most = 0;

    for (int i = 0; i < RUNS; i++)
        most = fmax(most, run_together(threads, shares));
    return most > 0 ? most / 1e9 : NAN;
}

static double peak_of(int threads, limits_loop loop)
{
    share shares[MAX_THREADS] = {0};

    for (int i = 0; i < threads; i++)
        shares[i].loop = loop;
    return loop ? best(threads, shares) : NAN;
}

/* All threads read `bytes` together, each its own part, again and again. */
static double reading(int threads, const unsigned char *memory, size_t bytes)
{
    share shares[MAX_THREADS] = {0};
    size_t each = bytes / (size_t)threads / 4096 * 4096;

    for (int i = 0; i < threads; i++) {
        shares[i].from = memory + (size_t)i * each;
        shares[i].bytes = each;
    }
    return best(threads, shares);
}

/* Bytes of the last-level cache: index3 is the third level. sysconf knows it on more systems but
 * counts the caches of the whole processor, also those that this (virtual) machine has no part in.
 */
static size_t last_cache(void)
{
    FILE *f = fopen("/sys/devices/system/cpu/cpu0/cache/index3/size", "re");
    long size = 0;
    char unit = 'K';

    if (f && fscanf(f, "%ld%c", &size, &unit) >= 1)
        size *= unit == 'M' ? 1 << 20 : 1 << 10;
    if (f)
        fclose(f);
    return size > 0 && size <= MAX_CACHE ? (size_t)size : 0;
}

/* From an array twelve times the last cache next to nothing of a pass is left for the next one; a
 * quarter of the cache stays. */
static deer_status read_bandwidth(int threads, machine_limits *l, deer_error *err)
{
    size_t known = last_cache(), cache = known ? known : FALLBACK_CACHE, bytes = 12 * cache;
    unsigned char *memory =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return deer_fail(err, "out of memory measuring its bandwidth (%zu bytes)", bytes);
    madvise(memory, bytes, MADV_HUGEPAGE); /* fewer address translations; a wish only */
    memset(memory, 1, bytes);
    l->cache_bytes = known;
    l->read_gbs = reading(threads, memory, bytes);
    l->cache_gbs = known ? reading(threads, memory, cache / 4) : NAN;
    munmap(memory, bytes);
    return DEER_OK;
}

deer_status limits_measure(int threads, machine_limits *limits, deer_error *err)
{
    if (threads < 1 || threads > MAX_THREADS)
        return deer_fail_with(DEER_USAGE, err, "limits are measured with 1 to %d threads",
                              MAX_THREADS);
    *limits = (machine_limits){.threads = threads};
    limits->f32_gflops = peak_of(threads, limits_loop_f32());
    limits->bf16_gflops = peak_of(threads, limits_loop_bf16());
    limits->int8_gops = peak_of(threads, limits_loop_int8());
    return read_bandwidth(threads, limits, err);
}
