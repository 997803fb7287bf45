/* SPDX-License-Identifier: MIT */
/* test_coverage.c - promises break in a tenth of all draws at most, whatever the order the episodes
 * are stored in, in worlds of many kinds; and most of what they allow is used. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "calib/guarantee/coverage.h"
#include "tests/base/unless_long.h"

enum { JUDGED_ON = 4000 };

static int draws; /* of each row */
static deer_error err;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

static const world *named(const char *name)
{
    for (int w = 0; w < n_worlds; w++)
        if (!strcmp(worlds[w].name, name))
            return &worlds[w];
    fail_msg("no world %s", name);
    return NULL;
}

/* A promise at confidence 0.9 may break in a tenth of the draws; two standard errors more are luck.
 */
static coverage_result hold(coverage_spec spec, double most)
{
    coverage_result r;

    spec.draws = draws;
    spec.judged_on = JUDGED_ON;
    spec.threads = 2;
    ok(coverage_run(&spec, &r, &err));
    print_message("%-16s %4d episodes, %-9s: %2d of %d broken, %5.1f%% used, %2d refused, %2d "
                  "certain, %2d worse than what is certain\n",
                  spec.world->name, spec.episodes, world_order_name(spec.order), r.broken, draws,
                  100 * r.used, r.refused, r.certain, r.worse);
    assert_true(r.broken <= most * draws + 2 * sqrt(most * (1 - most) * draws));
    return r;
}

static coverage_spec cost(const char *name, int episodes, world_order order)
{
    return (coverage_spec){.world = named(name),
                           .order = order,
                           .episodes = episodes,
                           .confidence = 0.9,
                           .budget = 0.45,
                           .deviation = INFINITY};
}

/* Ten tasks, from easy to hard: in each order the promise holds, and the order changes little. */
static void test_every_order(void **state)
{
    static const int sizes[] = {30, 100, 400};
    static const double used[] = {0.65, 0.85, 0.92};

    (void)state;
    for (int i = 0; i < 3; i++)
        for (int order = 0; order < WORLD_ORDERS; order++) {
            coverage_result r;

            if (sizes[i] >= unless_long(100, 400) && order != WORLD_BY_TASK &&
                order != WORLD_ADVERSE)
                continue; /* the bench has these, too */
            r = hold(cost("tasks", sizes[i], (world_order)order), 0.1);
            assert_true(r.refused == 0 && r.used > used[i]);
        }
}

/* Worlds of other kinds, stored in the worst order: fixed numbers of each task, two values only, 1
 * or 120 steps, rare long episodes, heavy tails, no chance at all. Nothing is refused, for a fixed
 * exit keeps the budget, and what is returned rarely loses more than that exit. */
static void test_every_world(void **state)
{
    (void)state;
    for (int w = 1; w < n_worlds; w++)
        for (int episodes = 30; episodes <= unless_long(30, 100); episodes += 70) {
            coverage_result r = hold(cost(worlds[w].name, episodes, WORLD_ADVERSE), 0.1);

            assert_true(r.refused == 0 && r.worse <= draws / 6);
        }
}

/* A whole path of budgets: that any of its promises breaks is as rare as that one alone does. */
static void test_frontier(void **state)
{
    static const world_order orders[] = {WORLD_AS_DRAWN, WORLD_ADVERSE};

    (void)state;
    for (int i = 0; i < 2; i++) {
        coverage_spec spec = cost("tasks", 100, orders[i]);
        coverage_result r;

        spec.budget = 0.25;
        spec.to = 0.85;
        spec.points = 5;
        r = hold(spec, 0.1);
        assert_true(r.refused == 0 && r.used > 0.8);
    }
}

static void test_losses(void **state)
{
    coverage_spec spec = cost("tasks", 400, WORLD_ADVERSE);
    coverage_result r;

    (void)state;
    spec.budget = INFINITY;
    spec.deviation = 0.04;
    r = hold(spec, 0.1);
    assert_true(r.refused == 0 && r.used > 0.6);
}

static void test_each_task(void **state)
{
    coverage_spec spec = cost("two kinds", 200, WORLD_BY_TASK);
    coverage_result r;

    (void)state;
    spec.per_task = true;
    r = hold(spec, 0.1);
    assert_true(r.refused == 0 && r.certain < draws / 2 && r.used > 0.8);
}

/* Hard tasks are rare where the episodes are from, and common where the promise is for. */
static void test_another_mix(void **state)
{
    static const double mix[] = {0.02, 0.02, 0.02, 0.02, 0.02, 0.1, 0.2, 0.2, 0.2, 0.2};
    coverage_spec spec = cost("tasks", 400, WORLD_BY_TASK), here = spec;
    coverage_result r;
    int broken_there = 0;

    (void)state;
    spec.mix = mix;
    r = hold(spec, 0.1);
    assert_true(r.refused == 0 && r.used > 0.8);
    for (int d = 0; d < 5; d++) { /* without the mix the promise is of these episodes alone */
        world_sample s, there;
        guarantee g;
        evaluation e;

        ok(world_draw(here.world, 400, 50 + (uint64_t)d, &s, &err));
        ok(coverage_promise(&here, &s, 1, &g, &err));
        ok(world_draw(&(world){"hard", 5, 0.25, 2, 0.3, 0.5, 0, {4, 4}, {10, 10}, 0, false}, 2000,
                      9, &there, &err));
        steps_evaluate(&there.s, g.at.tau, WORLD_EXITS - 1, &e);
        broken_there += e.cost > 0.45;
        world_free(&there);
        world_free(&s);
    }
    assert_int_equal(broken_there, 5);
}

/* Conformal risk control keeps the mean over repetitions: near the budget, and not above it. */
static void test_mean_over_repetitions(void **state)
{
    coverage_spec spec = cost("tasks", 100, WORLD_ADVERSE);
    coverage_result r, each;

    (void)state;
    each = hold(spec, 0.1);
    spec.bound = BOUND_CRC;
    spec.confidence = 0;
    r = hold(spec, 1);
    assert_true(r.mean_used <= 1 + 0.01 && r.mean_used > each.mean_used);
    assert_true(r.broken > 0.1 * draws);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_order),
        cmocka_unit_test(test_every_world),
        cmocka_unit_test(test_frontier),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_each_task),
        cmocka_unit_test(test_another_mix),
        cmocka_unit_test(test_mean_over_repetitions),
    };

    draws = unless_long(20, 60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
