/* SPDX-License-Identifier: MIT */
/* test_threads.c - the pool: every part runs once, meetings wait, callers get out of each other's
 * way, children have pools of their own, and threads can be bound to cores. */
#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "runtime/base/threads.h"
#include "runtime/cli/tool.h"
#include "runtime/deer.h"
#include "tests/runtime/with_threads.h"

enum { PARTS = 4, ROUNDS = 100 };

typedef struct {
    atomic_int ran[PARTS], before, late;
    int seen_parts;
} counts;

static void count_and_meet(void *context, int part, int parts)
{
    counts *c = context;

    c->ran[part]++;
    if (part == 0)
        c->seen_parts = parts;
    c->before++;
    threads_meet(parts);
    if (c->before != parts) /* somebody had not come yet */
        c->late++;
    threads_meet(parts);
    if (part == 0)
        c->before = 0;
}

/* Of a machine with as many cores; 0: of this one. */
static int pretended_cores;

int sched_getaffinity(pid_t pid, size_t size, cpu_set_t *set)
{
    CPU_ZERO(set);
    if (!pretended_cores)
        return syscall(SYS_sched_getaffinity, pid, size, set) < 0 ? -1 : 0;
    for (int i = 0; i < pretended_cores; i++)
        CPU_SET(i, set);
    return 0;
}

/* Exit status of a child that runs the function. */
static int in_child(int (*f)(void))
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(f());
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int count_of_many_cores(void)
{
    pretended_cores = 700;
    return threads_count() == THREADS_MOST ? 0 : 1;
}

static void test_no_more_threads_than_the_pool_has(void **state)
{
    const deer_pool_options many = {.size = sizeof many, .threads = THREADS_MOST + 1};
    deer_pool *pool;

    (void)state;
    assert_int_equal(in_child(count_of_many_cores), 0);
    assert_int_equal(deer_pool_new(&many, &pool, NULL), DEER_USAGE);
    assert_null(pool);
}

static int count_free_cores(void)
{
    cpu_set_t set;

    sched_getaffinity(0, sizeof set, &set);
    return CPU_COUNT(&set);
}

static void pin_threads(int threads)
{
    const deer_pool_options options = {.size = sizeof options, .threads = threads, .pin = 1};
    deer_pool *pool;

    if (!deer_pool_new(&options, &pool, NULL))
        threads_enter(pool);
}

static int pin_without_a_job(void)
{
    int cores = count_free_cores();

    pin_threads(0);
    return count_free_cores() == 1 && in_child(count_free_cores) == cores ? 0 : 1;
}

/* Before any job has started the pool. */
static void test_child_of_a_pinned_thread_is_free(void **state)
{
    (void)state;
    assert_int_equal(in_child(pin_without_a_job), 0);
}

static void test_every_part_runs_and_meets(void **state)
{
    counts c = {.late = 0};
    int runs = 0;

    (void)state;
    with_threads(PARTS);
    for (int i = 0; i < ROUNDS; i++)
        for (int limit = 1; limit <= PARTS; limit++, runs++) {
            threads_run(count_and_meet, &c, limit);
            assert_int_equal(c.seen_parts, limit);
        }
    assert_int_equal(c.late, 0);
    for (int part = 0; part < PARTS; part++) /* limits beyond the part */
        assert_int_equal(c.ran[part], runs * (PARTS - part) / PARTS);
}

static void nest(void *context, int part, int parts)
{
    counts *inner = context;

    (void)parts;
    threads_run(count_and_meet, &inner[part], PARTS); /* the pool is busy: alone */
}

static void test_second_caller_runs_alone(void **state)
{
    counts inner[PARTS] = {0};

    (void)state;
    threads_run(nest, inner, PARTS);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(inner[i].seen_parts, 1);
        assert_int_equal(inner[i].ran[0], 1);
    }
}

static int share_in_child(void)
{
    counts c = {.late = 0};

    threads_run(count_and_meet, &c, PARTS);
    return c.seen_parts == PARTS && !c.late ? 0 : 1;
}

static void test_child_has_its_own_pool(void **state)
{
    (void)state;
    assert_int_equal(in_child(share_in_child), 0);
}

typedef struct {
    cpu_set_t allowed[PARTS];
} affinities;

static void look_at_affinity(void *context, int part, int parts)
{
    affinities *a = context;

    sched_getaffinity(0, sizeof a->allowed[part], &a->allowed[part]);
    threads_meet(parts);
}

/* One core each, no two the same while there are cores; a child of it may use all. */
static int pin_in_child(void)
{
    affinities a;
    cpu_set_t all;
    int cores = count_free_cores(), together;

    CPU_ZERO(&all);
    pin_threads(PARTS);
    threads_run(look_at_affinity, &a, PARTS);
    for (int i = 0; i < PARTS; i++) {
        if (CPU_COUNT(&a.allowed[i]) != 1)
            return 1;
        CPU_OR(&all, &all, &a.allowed[i]);
    }
    together = cores < PARTS ? cores : PARTS;
    if (CPU_COUNT(&all) != together)
        return 2;
    return in_child(count_free_cores) == cores ? 0 : 3;
}

static void test_pinned(void **state)
{
    (void)state;
    assert_int_equal(in_child(pin_in_child), 0);
}

/* Tools start no more threads than there are cores they may use. */
static int limit_to_one_core(void)
{
    cpu_set_t may, one;
    int first = 0;

    if (sched_getaffinity(0, sizeof may, &may) || tool_cores() != CPU_COUNT(&may))
        return 1;
    while (!CPU_ISSET(first, &may))
        first++;
    CPU_ZERO(&one);
    CPU_SET(first, &one);
    return sched_setaffinity(0, sizeof one, &one) || tool_cores() != 1 ? 2 : 0;
}

static void test_tools_count_their_own_cores(void **state)
{
    (void)state;
    assert_int_equal(in_child(limit_to_one_core), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_more_threads_than_the_pool_has),
        cmocka_unit_test(test_child_of_a_pinned_thread_is_free),
        cmocka_unit_test(test_every_part_runs_and_meets),
        cmocka_unit_test(test_second_caller_runs_alone),
        cmocka_unit_test(test_child_has_its_own_pool),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_tools_count_their_own_cores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
