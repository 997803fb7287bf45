/* SPDX-License-Identifier: MIT */
/* Tests of the worker loop: every piece once, in order; failures stop the others and are the same
 * whatever the number of threads. */
#include "runtime/base/threads/jobs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include <cmocka.h>
#include <sched.h>

enum { PIECES = 500 };

typedef struct {
    atomic_int taken[PIECES];
    atomic_int loops, disordered; /* threads; pieces taken after later ones */
    int fails_from;               /* pieces from here on fail */
} world;

static deer_status loop(jobs *all, void *context, deer_error *err)
{
    world *w = context;
    deer_status status = DEER_OK;
    int before = -1;

    atomic_fetch_add(&w->loops, 1);
    for (int i; !status && (i = jobs_next(all)) >= 0;) {
        atomic_fetch_add(&w->disordered, i <= before);
        before = i;
        atomic_fetch_add(&w->taken[i], 1);
        sched_yield();
        if (i >= w->fails_from)
            status = deer_fail_with(DEER_USAGE, err, "piece %d", i);
    }
    return status;
}

static void test_every_piece_is_taken_once(void **state)
{
    (void)state;
    for (int threads = -1; threads <= 9; threads++) {
        world w = {.fails_from = PIECES};
        deer_error err;

        assert_int_equal(jobs_run(PIECES, threads, loop, &w, &err), DEER_OK);
        for (int i = 0; i < PIECES; i++)
            assert_int_equal(w.taken[i], 1);
        assert_int_equal(w.loops, threads < 1 ? 1 : threads);
        assert_int_equal(w.disordered, 0);
    }
}

static void test_no_more_threads_than_pieces(void **state)
{
    world w = {.fails_from = PIECES};

    (void)state;
    assert_int_equal(jobs_run(3, 8, loop, &w, NULL), DEER_OK);
    assert_int_equal(w.loops, 3);
    assert_int_equal(jobs_run(0, 8, loop, &w, NULL), DEER_OK);
    assert_int_equal(w.loops, 3);
}

static void test_the_first_failure_is_told_and_stops_all(void **state)
{
    (void)state;
    for (int threads = 1; threads <= 8; threads++) {
        world w = {.fails_from = 40};
        deer_error err = {""};
        int taken = 0;

        assert_int_equal(jobs_run(PIECES, threads, loop, &w, &err), DEER_USAGE);
        assert_string_equal(err.message, "piece 40");
        for (int i = 0; i < PIECES; i++)
            taken += w.taken[i];
        assert_in_range(taken, 41, 40 + threads);
    }
}

/* One thread fails before it takes a piece; the other sees that it should stop. */
static deer_status one_fails_early(jobs *all, void *context, deer_error *err)
{
    atomic_int *arrived = context;

    if (atomic_fetch_add(arrived, 1) == 0)
        return deer_fail(err, "nothing to work with");
    while (!jobs_stopped(all))
        sched_yield();
    return jobs_next(all) == -1 ? DEER_OK : deer_fail(err, "took a piece after the failure");
}

static void test_others_see_the_failure(void **state)
{
    atomic_int arrived = 0;
    deer_error err;

    (void)state;
    assert_int_equal(jobs_run(2, 2, one_fails_early, &arrived, &err), DEER_FAILED);
    assert_string_equal(err.message, "nothing to work with");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_piece_is_taken_once),
        cmocka_unit_test(test_no_more_threads_than_pieces),
        cmocka_unit_test(test_the_first_failure_is_told_and_stops_all),
        cmocka_unit_test(test_others_see_the_failure),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
