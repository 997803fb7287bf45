/* SPDX-License-Identifier: MIT */
/* test_threads.c - the pool: every part runs once, meetings wait, nobody waits for who does not
 * come, callers get out of each other's way, children have pools of their own, and threads can be
 * bound to cores. */
#include <dirent.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "runtime/base/clock.h"
#include "runtime/base/threads/threads.h"
#include "runtime/cli/tool.h"
#include "runtime/deer.h"
#include "tests/base/with_threads.h"

enum { PARTS = 4, ROUNDS = 100, PATIENCE = 20 }; /* seconds */

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

static void assert_each_ran_once(counts *c, int parts)
{
    for (int part = 0; part < PARTS; part++)
        assert_int_equal(atomic_exchange(&c->ran[part], 0), part < parts);
}

/* Threads come when the system lets them: how many there are is not for the test to say, but that
 * they do come is. */
static void test_parts_that_come_meet(void **state)
{
    double began = clock_seconds();
    counts c = {.late = 0};
    int most = 0;

    (void)state;
    for (int i = 0; most < 2 || i < ROUNDS; i++) {
        if (i % 10 == 0)
            with_threads(PARTS); /* a pool that has not met with a crowd */
        for (int limit = 1; limit <= PARTS; limit++) {
            threads_run_together(count_and_meet, &c, limit);
            assert_in_range(c.seen_parts, 1, limit);
            assert_each_ran_once(&c, c.seen_parts);
            most = c.seen_parts > most ? c.seen_parts : most;
        }
        assert_true(clock_seconds() - began < PATIENCE);
    }
    assert_int_equal(c.late, 0);
}

static void count(void *context, int part, int parts)
{
    counts *c = context;

    c->ran[part]++;
    if (part == 0)
        c->seen_parts = parts;
}

static void test_every_part_runs_whoever_does_it(void **state)
{
    counts c = {.late = 0};

    (void)state;
    for (int i = 0; i < ROUNDS * ROUNDS; i++) {
        if (i % ROUNDS == 0)
            with_threads(PARTS);
        threads_run(count, &c, 1 + i % PARTS);
        assert_in_range(c.seen_parts, 1, 1 + i % PARTS);
        assert_each_ran_once(&c, c.seen_parts);
    }
}

static void nest(void *context, int part, int parts)
{
    counts *inner = context;

    (void)parts;
    threads_run_together(count_and_meet, &inner[part], PARTS); /* the pool is busy: alone */
}

static void test_second_caller_runs_alone(void **state)
{
    counts inner[PARTS] = {0};

    (void)state;
    with_threads(PARTS);
    threads_run(nest, inner, PARTS);
    for (int i = 0; i < PARTS; i++) {
        assert_int_equal(inner[i].seen_parts, 1);
        assert_int_equal(inner[i].ran[0], 1);
    }
}

typedef struct {
    atomic_int here, elsewhere;
    pid_t caller;
} places;

static void note_place(void *context, int part, int parts)
{
    places *p = context;

    (void)part;
    (void)parts;
    atomic_fetch_add(gettid() == p->caller ? &p->here : &p->elsewhere, 1);
    usleep(100); /* time for others to come */
}

/* A crowd is what the pool must not wait in: many jobs whose other parts never come. */
static void test_a_thread_that_is_late_is_not_waited_for(void **state)
{
    places p = {.caller = gettid()};
    int jobs = 0;

    (void)state;
    with_threads(PARTS);
    for (double began = clock_seconds(); !p.elsewhere && clock_seconds() - began < PATIENCE; jobs++)
        threads_run(note_place, &p, PARTS);
    assert_int_not_equal(p.elsewhere, 0);
    assert_in_range(p.here + p.elsewhere, jobs, jobs * PARTS);
}

/* A little job, of threads that sleep by now; how many parts it had. */
static int little_job(counts *c, double deadline)
{
    assert_true(clock_seconds() < deadline);
    usleep(1000);
    threads_run(count, c, 2);
    return c->seen_parts;
}

/* Whoever wakes threads for next to nothing again and again is better off alone, and tries again.
 */
static void test_waking_that_does_not_pay_ends(void **state)
{
    double deadline = clock_seconds() + PATIENCE;
    counts c = {.late = 0};

    (void)state;
    with_threads(2);
    for (int times = 0; times < 2; times++) {
        while (little_job(&c, deadline) == 2)
            continue;
        while (little_job(&c, deadline) == 1)
            continue;
    }
}

static void count_slowly(void *context, int part, int parts)
{
    usleep(5000);
    count(context, part, parts);
}

/* Until it has begun to go alone, and has done so for 0.2 seconds. The pauses double from 0.02, so
 * that this one is 0.32 or more. */
static void until_alone(counts *c, double deadline)
{
    double since;

    while (little_job(c, deadline) == 1) /* some pause that had begun before */
        continue;
    for (;;) {
        while (little_job(c, deadline) == 2)
            continue;
        since = clock_seconds();
        while (little_job(c, deadline) == 1)
            if (clock_seconds() - since > 0.2)
                return;
    }
}

/* That little jobs are not worth waking somebody for says nothing about a long one. */
static void test_long_jobs_are_shared_all_the_same(void **state)
{
    double deadline = clock_seconds() + PATIENCE;
    counts c = {.late = 0};

    (void)state;
    with_threads(2);
    do {
        until_alone(&c, deadline);
        threads_run(count_slowly, &c, 2);
        threads_run(count_slowly, &c, 2);
    } while (c.seen_parts == 1);
}

typedef struct {
    double deadline;
    atomic_int core, thread; /* of the other part */
} seat_of_other;

/* The caller keeps its core until the other one has come, if there is one. */
static void note_core(void *context, int part, int parts)
{
    seat_of_other *s = context;

    if (part > 0) {
        s->core = sched_getcpu();
        s->thread = gettid();
    }
    while (part == 0 && parts > 1 && !s->thread && clock_seconds() < s->deadline)
        continue;
}

static int bind_to(pid_t thread, int core)
{
    cpu_set_t one;

    CPU_ZERO(&one);
    CPU_SET(core, &one);
    return sched_setaffinity(thread, sizeof one, &one);
}

/* A thread that slept on the caller's core wakes there where the system does not look further, and
 * has to go elsewhere then. */
static int wake_on_the_caller_s_core(void)
{
    double end = clock_seconds() + PATIENCE;
    seat_of_other first = {.deadline = end};
    int core = sched_getcpu(), shared = 0, elsewhere = 0;
    cpu_set_t all, left;

    if (sched_getaffinity(0, sizeof all, &all) || CPU_COUNT(&all) < 2)
        return 0;
    if (bind_to(0, core))
        return 1;
    with_threads(2);
    threads_run(note_core, &first, 2);
    usleep(5000); /* it sleeps */
    if (!first.thread || sched_setaffinity(first.thread, sizeof all, &all))
        return 2;
    while (shared < ROUNDS && clock_seconds() < end) {
        seat_of_other s = {.deadline = end};
        threads_run(note_core, &s, 2);
        shared += s.thread == first.thread;
        elsewhere += s.thread == first.thread && s.core != core;
        usleep(1000);
    }
    if (sched_getaffinity(first.thread, sizeof left, &left) || !CPU_EQUAL(&left, &all))
        return 3;
    return elsewhere > shared / 2 ? 0 : 4;
}

static void test_who_is_woken_makes_room(void **state)
{
    (void)state;
    assert_int_equal(in_child(wake_on_the_caller_s_core), 0);
}

static int share_in_child(void)
{
    places p = {.caller = gettid()};

    for (double began = clock_seconds(); !p.elsewhere && clock_seconds() - began < PATIENCE;)
        threads_run(note_place, &p, PARTS);
    return p.elsewhere ? 0 : 1;
}

static void test_child_has_its_own_pool(void **state)
{
    (void)state;
    assert_int_equal(in_child(share_in_child), 0);
}

/* How many of the process's threads are bound to one core, and to which cores. */
static int bound_threads(cpu_set_t *to)
{
    DIR *tasks = opendir("/proc/self/task");
    struct dirent *task;
    int bound = 0;

    CPU_ZERO(to);
    while (tasks && (task = readdir(tasks))) {
        cpu_set_t may;
        if (task->d_name[0] != '.' && !sched_getaffinity(atoi(task->d_name), sizeof may, &may) &&
            CPU_COUNT(&may) == 1) {
            CPU_OR(to, to, &may);
            bound++;
        }
    }
    if (tasks)
        closedir(tasks);
    return bound;
}

/* One core each, no two the same while there are cores; a child of it may use all. */
static int pin_in_child(void)
{
    double began = clock_seconds();
    cpu_set_t cores_used;
    int cores = count_free_cores(), together = cores < PARTS ? cores : PARTS;

    pin_threads(PARTS);
    threads_start();
    while (bound_threads(&cores_used) < PARTS || CPU_COUNT(&cores_used) != together)
        if (clock_seconds() - began > PATIENCE)
            return 1;
    return in_child(count_free_cores) == cores ? 0 : 2;
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

/* A server blocks a signal and reads it from a file; a thread that does not would die of it. */
static int keep_a_signal(void)
{
    sigset_t set;
    counts c = {0};

    with_threads(PARTS);
    threads_run_together(count_and_meet, &c, PARTS);
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    kill(getpid(), SIGTERM);
    return sigpending(&set) || !sigismember(&set, SIGTERM);
}

static void test_signals_are_the_application_s(void **state)
{
    (void)state;
    assert_int_equal(in_child(keep_a_signal), 0);
}

static void *note_mask(void *mask)
{
    pthread_sigmask(SIG_SETMASK, NULL, mask);
    return NULL;
}

/* What a thread causes itself kills the process where it is blocked: of a system call that a
 * sandbox answers by SIGSYS, its handler would not hear. */
static void test_signals_a_thread_causes_are_its_own(void **state)
{
    static const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS};
    pthread_t thread;
    sigset_t mask;

    (void)state;
    assert_true(threads_spawn(&thread, note_mask, &mask));
    pthread_join(thread, NULL);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        assert_false(sigismember(&mask, own[i]));
    assert_true(sigismember(&mask, SIGTERM));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_more_threads_than_the_pool_has),
        cmocka_unit_test(test_child_of_a_pinned_thread_is_free),
        cmocka_unit_test(test_parts_that_come_meet),
        cmocka_unit_test(test_every_part_runs_whoever_does_it),
        cmocka_unit_test(test_a_thread_that_is_late_is_not_waited_for),
        cmocka_unit_test(test_waking_that_does_not_pay_ends),
        cmocka_unit_test(test_long_jobs_are_shared_all_the_same),
        cmocka_unit_test(test_who_is_woken_makes_room),
        cmocka_unit_test(test_second_caller_runs_alone),
        cmocka_unit_test(test_child_has_its_own_pool),
        cmocka_unit_test(test_pinned),
        cmocka_unit_test(test_signals_are_the_application_s),
        cmocka_unit_test(test_signals_a_thread_causes_are_its_own),
        cmocka_unit_test(test_tools_count_their_own_cores),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
