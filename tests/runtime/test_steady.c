/* SPDX-License-Identifier: MIT */
/* test_steady.c - a step in the steady state: no allocation of any kind, no memory that grows.
 *
 * Every allocator of the C library and mmap are replaced by ones that count, for this program and
 * all libraries it uses, on all threads. The sanitizers bring their own, so under them these tests
 * are skipped. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <setjmp.h>

#include <cmocka.h>

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "budgets/measure/statistics.h"
#include "runtime/deer.h"
#include "runtime/thresholds/thresholds_format.h"
#include "tests/base/unless_long.h"
#include "tests/base/with_threads.h"

#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer)
#define COUNTS 0
#else
#define COUNTS 1
#endif

static atomic_long calls; /* of any allocator, or of free with something to free */

#if COUNTS
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);
extern void __libc_free(void *);

void *malloc(size_t n)
{
    atomic_fetch_add(&calls, 1);
    return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
    atomic_fetch_add(&calls, 1);
    return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
    atomic_fetch_add(&calls, 1);
    return __libc_realloc(p, n);
}

void *memalign(size_t alignment, size_t n);
void *memalign(size_t alignment, size_t n)
{
    atomic_fetch_add(&calls, 1);
    return __libc_memalign(alignment, n);
}

void *aligned_alloc(size_t alignment, size_t n)
{
    return memalign(alignment, n);
}

int posix_memalign(void **p, size_t alignment, size_t n)
{
    *p = memalign(alignment, n);
    return *p ? 0 : 12;
}

void free(void *p)
{
    atomic_fetch_add(&calls, p ? 1 : 0);
    __libc_free(p);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
    atomic_fetch_add(&calls, 1);
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}
#endif

static const char model_path[] = "datasets/tabletop/policy.safetensors";

enum { SIDE = 64, FRAMES = 16, EXITS = 6 };

static uint8_t frames[FRAMES][2][SIDE * SIDE * 3];
static deer_error error;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

static void fill_frames(void)
{
    uint32_t state = 7;

    for (size_t i = 0; i < sizeof frames; i++)
        ((uint8_t *)frames)[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
}

static const deer_session_options cameras = {
    .size = sizeof cameras, .static_view = {SIDE, SIDE, 0, 0}, .gripper_view = {SIDE, SIDE, 0, 0}};

/* Runs steps first to last - 1 and counts them by the exit they take. */
static void run(deer_session *session, int first, int last, long taken[EXITS])
{
    for (int t = first; t < last; t++) {
        uint8_t(*f)[SIDE * SIDE * 3] = frames[t % FRAMES];
        deer_observation seen = {{f[0], sizeof f[0]}, {f[1], sizeof f[1]}};
        deer_action action;

        ok(deer_step(session, &seen, &action, &error));
        taken[action.exit]++;
    }
}

/* Steps that leave at different exits, after one of each kind of work: nothing is allocated,
 * nothing is freed, and the process is as large as before. */
static void steps_allocate_nothing(int threads)
{
    deer_model *model;
    deer_session *session;
    deer_thresholds t;
    long taken[EXITS] = {0}, before, after;
    const int steps = unless_long(500, 2000);
    size_t small, large;

    with_threads(threads);
    fill_frames();
    ok(deer_model_open(model_path, DEER_ALL_EXITS, &model, &error));
    thresholds_fix(model, EXITS - 1, &t, NULL);
    ok(deer_session_new(model, &t, &cameras, &session, &error));
    ok(deer_session_set_instruction(session, "lift the red block", &error));
    run(session, 0, FRAMES, taken); /* all layers: what the products set up, they set up now */
    for (int k = 0; k < EXITS - 1; k++)
        t.tau[k] = 0.03f;
    ok(deer_session_set_thresholds(session, &t, &error));
    memset(taken, 0, sizeof taken);
    small = resident_bytes();
    before = atomic_load(&calls);
    run(session, 0, steps, taken);
    after = atomic_load(&calls);
    large = resident_bytes();
    assert_int_equal(after - before, 0);
    assert_in_range(large, 0, small + (64 << 10));
    assert_true(taken[0] + taken[1] + taken[2] > 0 && taken[EXITS - 1] < steps);
    deer_session_free(session);
    deer_model_close(model);
    assert_true(atomic_load(&calls) > after); /* the counter counts: closing frees */
}

static void test_one_thread(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    steps_allocate_nothing(1);
}

static void test_two_threads(void **state)
{
    (void)state;
    if (!COUNTS)
        skip();
    steps_allocate_nothing(2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_thread),
                                       cmocka_unit_test(test_two_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
