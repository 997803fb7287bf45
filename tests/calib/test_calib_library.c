/* SPDX-License-Identifier: MIT */
/* test_calib_library.c - the public functions of libdeercalib: what they answer is what calibration
 * says of the same steps, and every argument that is wrong is refused. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "calib/deer_calib.h"
#include "calib/problem/synthetic.h"
#include "calib/solve/solve.h"

enum { EXITS = 4, FAR = 1 << 30 };

static steps made;           /* columns */
static float *delta, *loss;  /* the same as rows [N, K] */
static int64_t *episode;     /* [N] */
static double memory[EXITS]; /* of the exits */
static const int wrong[] = {-1, INT32_MIN, 1000, FAR, INT32_MAX};
static deer_error error;

enum { WRONG = sizeof wrong / sizeof *wrong };

static int make_rows(void **state)
{
    synthetic_spec spec = synthetic_default(EXITS, 40, 3);
    size_t n;

    (void)state;
    if (synthetic_make(&spec, &made, &error))
        return -1;
    n = (size_t)made.n;
    delta = malloc(n * EXITS * sizeof *delta);
    loss = malloc(n * EXITS * sizeof *loss);
    episode = malloc(n * sizeof *episode);
    if (!delta || !loss || !episode)
        return -1;
    for (size_t i = 0; i < n; i++) {
        episode[i] = 100 - made.episode[i];
        for (size_t k = 0; k < EXITS; k++) {
            delta[i * EXITS + k] = made.delta[k * n + i];
            loss[i * EXITS + k] = made.loss[k * n + i];
        }
    }
    for (int k = 0; k < EXITS; k++)
        memory[k] = 10.0 * (k + 1);
    return 0;
}

static int free_rows(void **state)
{
    (void)state;
    steps_free(&made);
    free(delta);
    free(loss);
    free(episode);
    return 0;
}

static deer_table table(void)
{
    return (deer_table){.size = sizeof(deer_table),
                        .exits = EXITS,
                        .steps = made.n,
                        .delta = delta,
                        .loss = loss,
                        .cost = made.cost,
                        .episode = episode};
}

static deer_solve_options half(void)
{
    return (deer_solve_options){
        .size = sizeof(deer_solve_options), .average = 0.5, .method = DEER_METHOD_COORDINATE};
}

/* ---------------------------------------------------------------- answers ------------------ */

static void test_solves_what_solve_does(void **state)
{
    const solve_spec spec = {
        .budget = 0.5, .max_exit = EXITS - 1, .method = SOLVE_COORDINATE, .seed = 1};
    const deer_table t = table();
    const deer_solve_options o = half();
    deer_solution *x = NULL, *again = NULL;
    const deer_operating_point *found;
    solution plain;

    (void)state;
    assert_int_equal(solve(&made, &spec, &plain, &error), DEER_OK);
    assert_int_equal(deer_solve(&t, &o, &x, &error), DEER_OK);
    found = deer_solution_found(x);
    assert_int_equal(found->max_exit, EXITS - 1);
    assert_memory_equal(found->tau, plain.at.tau, EXITS * sizeof(float));
    assert_true(found->cost == plain.at.cost && found->loss == plain.at.loss);
    assert_true(found->budget == 0.5 && isnan(found->memory));
    assert_string_equal(deer_solution_solver(x), plain.at.name);
    assert_true(deer_solution_full(x)->cost == made.cost[EXITS - 1]);
    assert_true(deer_solution_official(x)->loss >= found->loss);
    assert_true(deer_solution_oracle_loss(x) <= found->loss);
    assert_true(deer_solution_gap_closed(x) <= 1);
    assert_true(deer_solution_guarantee(x)->confidence == 0);
    assert_int_equal(deer_solution_points(x), 0);

    assert_int_equal(deer_evaluate(&t, found->tau, EXITS - 1, &again, &error), DEER_OK);
    assert_true(deer_solution_found(again)->cost == found->cost);
    assert_true(deer_solution_found(again)->loss == found->loss);
    assert_null(deer_solution_official(again));
    assert_true(isnan(deer_solution_gap_closed(again)));
    deer_solution_free(again);
    deer_solution_free(x);
}

static void test_promises_and_points(void **state)
{
    const deer_table t = table();
    deer_solve_options o = half();
    deer_solution *x = NULL;

    (void)state;
    o.average = 0.75;
    o.confidence = 0.9;
    o.points = 3;
    assert_int_equal(deer_solve(&t, &o, &x, &error), DEER_OK);
    assert_true(deer_solution_guarantee(x)->confidence == 0.9);
    assert_true(deer_solution_guarantee(x)->budget_gflops == 0.75);
    assert_int_equal(deer_solution_guarantee(x)->solved_on, 10);
    assert_int_equal(deer_solution_guarantee(x)->tested_on, 30);
    assert_int_equal(deer_solution_points(x), 3);
    assert_true(deer_solution_point(x, 2)->budget > deer_solution_point(x, 1)->budget);
    assert_true(deer_solution_point_guarantee(x, 2)->confidence == 0.9);
    assert_null(deer_solution_point(x, 3));
    assert_null(deer_solution_point(x, -1));
    assert_null(deer_solution_point_guarantee(x, 3));
    deer_solution_free(x);
}

static void test_memory_decides_the_deepest(void **state)
{
    deer_table t = table();
    deer_solve_options o = half();
    deer_solution *x = NULL;

    (void)state;
    t.memory = memory;
    o.memory = 25;
    assert_int_equal(deer_solve(&t, &o, &x, &error), DEER_OK);
    assert_int_equal(deer_solution_found(x)->max_exit, 1);
    assert_true(deer_solution_found(x)->memory == 20);
    deer_solution_free(x);
    o.memory = 5;
    assert_int_equal(deer_solve(&t, &o, &x, &error), DEER_INFEASIBLE);
    assert_null(x);
}

/* ---------------------------------------------------------------- refusals ----------------- */

static void refused(const deer_table *t, const deer_solve_options *o, deer_status status)
{
    deer_solution *x = (deer_solution *)delta;

    error.message[0] = 0;
    assert_int_equal(deer_solve(t, o, &x, &error), status);
    assert_true(error.message[0] && !strchr(error.message, '\n'));
    assert_null(x);
    assert_int_equal(deer_solve(t, o, &x, NULL), status);
}

static void test_wrong_tables(void **state)
{
    const deer_solve_options o = half();
    deer_table t = table();

    (void)state;
    refused(NULL, &o, DEER_USAGE);
    for (int i = 0; i < WRONG; i++) {
        t = table();
        t.exits = wrong[i];
        refused(&t, &o, DEER_USAGE);
    }
    t = table();
    t.size = 0;
    refused(&t, &o, DEER_USAGE);
    t = table();
    t.steps = 0;
    refused(&t, &o, DEER_USAGE);
    t.steps = INT64_MAX;
    refused(&t, &o, DEER_USAGE);
    t = table();
    t.delta = NULL;
    refused(&t, &o, DEER_USAGE);
    t = table();
    t.cost = NULL;
    refused(&t, &o, DEER_USAGE);
    t = table();
    t.loss = NULL; /* the official methods alone do without */
    refused(&t, &o, DEER_USAGE);
    t = table();
    t.cost = (const double[]){4, 3, 2, 1};
    refused(&t, &o, DEER_USAGE);
    t.cost = (const double[]){1, NAN, 2, 3};
    refused(&t, &o, DEER_USAGE);
    t = table();
    t.memory = (const double[]){1, 2, INFINITY, 4};
    refused(&t, &o, DEER_USAGE);
}

static void test_wrong_options(void **state)
{
    const double bad[] = {-1, NAN, INFINITY, -INFINITY};
    const deer_table t = table();
    deer_solve_options o = half();

    (void)state;
    refused(&t, NULL, DEER_USAGE); /* nothing is asked for */
    o.size = 4;
    refused(&t, &o, DEER_USAGE);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double *const number[] = {&o.average, &o.fraction,   &o.peak,        &o.memory,
                                  &o.loss,    &o.confidence, &o.largest_loss};

        for (size_t j = 0; j < sizeof number / sizeof *number; j++) {
            o = half();
            *number[j] = bad[i];
            refused(&t, &o, DEER_USAGE);
        }
    }
    for (int i = 0; i < WRONG; i++) {
        o = half();
        o.method = wrong[i];
        refused(&t, &o, DEER_USAGE);
        o = half();
        o.points = wrong[i];
        refused(&t, &o, DEER_USAGE);
    }
    o = half();
    o.longest = -1;
    refused(&t, &o, DEER_USAGE);
    o = half();
    o.fraction = 0.5;
    refused(&t, &o, DEER_USAGE);
    o = half();
    o.per_task = 1;
    refused(&t, &o, DEER_USAGE);
    o = half();
    o.average = 0.01;
    refused(&t, &o, DEER_INFEASIBLE);
    assert_int_equal(deer_solve(&t, &o, NULL, &error), DEER_USAGE);
}

static void test_wrong_thresholds(void **state)
{
    const float tau[EXITS] = {0.1f, NAN, 0.1f};
    const deer_table t = table();
    deer_solution *x = NULL;

    (void)state;
    assert_int_equal(deer_evaluate(&t, NULL, 1, &x, &error), DEER_USAGE);
    assert_int_equal(deer_evaluate(&t, tau, 2, &x, &error), DEER_USAGE);
    assert_int_equal(deer_evaluate(&t, tau, 1, NULL, &error), DEER_USAGE);
    assert_int_equal(deer_evaluate(NULL, tau, 1, &x, &error), DEER_USAGE);
    for (int i = 0; i < WRONG; i++)
        assert_int_equal(deer_evaluate(&t, tau, wrong[i], &x, &error), DEER_USAGE);
    assert_int_equal(deer_evaluate(&t, tau, 1, &x, &error),
                     DEER_OK); /* the last is not looked at */
    deer_solution_free(x);
}

static void test_wrong_values(void **state)
{
    const float values[2][3] = {{0.1f, 0.2f, 0.3f}, {0.3f, 0.2f, 0.1f}};
    float tau[2];

    (void)state;
#define official(v, k, n, d, p, out) deer_official_thresholds(v, k, n, d, p, false, out, &error)
    assert_int_equal(official(values[0], 2, 3, DEER_OFFICIAL_EXP, 1, tau), DEER_OK);
    assert_true(tau[0] == 0.1f && tau[1] == 1e8f);
    assert_int_equal(official(NULL, 2, 3, DEER_OFFICIAL_EXP, 1, tau), DEER_USAGE);
    assert_int_equal(official(values[0], 2, 3, DEER_OFFICIAL_EXP, 1, NULL), DEER_USAGE);
    assert_int_equal(official(values[0], 2, 0, DEER_OFFICIAL_EXP, 1, tau), DEER_USAGE);
    assert_int_equal(official(values[0], 2, INT64_MAX, DEER_OFFICIAL_EXP, 1, tau), DEER_USAGE);
    assert_int_equal(official(values[0], 2, 3, DEER_OFFICIAL_EXP, NAN, tau), DEER_USAGE);
    assert_int_equal(official(values[0], 2, 3, DEER_OFFICIAL_GAMMA, 0, tau), DEER_USAGE);
    for (int i = 0; i < WRONG; i++) {
        assert_int_equal(official(values[0], wrong[i], 3, DEER_OFFICIAL_EXP, 1, tau), DEER_USAGE);
        assert_int_equal(official(values[0], 2, 3, (deer_distribution)wrong[i], 1, tau),
                         DEER_USAGE);
        assert_string_equal(deer_method_name((deer_method)wrong[i]), "unknown");
    }
#undef official
}

static void test_wrong_caches(void **state)
{
    const deer_solve_options asked = half();
    const char *none[] = {NULL};
    deer_calibrate_options o = {.size = sizeof o, .cache = "/nowhere", .solve = &asked};
    deer_replay_options r = {
        .size = sizeof r, .files = 1, .model = "m", .demos = none, .cache = "/nowhere"};
    deer_replay_report report;
    deer_solution *x = NULL;
    deer_cache *c = NULL;
    uint16_t feature;

    (void)state;
    assert_int_equal(deer_cache_open(NULL, &c, &error), DEER_USAGE);
    assert_int_equal(deer_cache_open("", &c, &error), DEER_USAGE);
    assert_int_equal(deer_cache_open("/nowhere", NULL, &error), DEER_USAGE);
    assert_int_equal(deer_cache_open("/nowhere", &c, &error), DEER_FAILED);
    assert_null(c);
    assert_int_equal(deer_cache_features(NULL, 0, &feature, 1, &error), DEER_USAGE);
    assert_int_equal(deer_replay(NULL, &report, &error), DEER_USAGE);
    assert_int_equal(deer_replay(&r, &report, &error), DEER_USAGE);
    none[0] = "d";
    r.threads = -1;
    assert_int_equal(deer_replay(&r, &report, &error), DEER_USAGE);
    r.threads = 1;
    r.batch = FAR;
    assert_int_equal(deer_replay(&r, &report, &error), DEER_USAGE);
    r.batch = 0;
    assert_int_equal(deer_replay(&r, NULL, &error), DEER_FAILED);
    assert_int_equal(deer_calibrate(&o, NULL, &error), DEER_USAGE);
    assert_int_equal(deer_calibrate(NULL, &x, &error), DEER_USAGE);
    assert_int_equal(deer_calibrate(&o, &x, &error), DEER_FAILED);
    for (int i = 0; i < WRONG; i++) {
        o.criterion = wrong[i];
        assert_int_equal(deer_calibrate(&o, &x, &error), DEER_USAGE);
        o.criterion = 0;
        o.loss = wrong[i];
        assert_int_equal(deer_calibrate(&o, &x, &error), DEER_USAGE);
        o.loss = 0;
    }
    o.solve = NULL;
    assert_int_equal(deer_calibrate(&o, &x, &error), DEER_USAGE);
    assert_null(x);
}

static void test_nothing_is_asked(void **state)
{
    (void)state;
    deer_solution_free(NULL);
    deer_cache_close(NULL);
    assert_null(deer_solution_found(NULL));
    assert_null(deer_solution_full(NULL));
    assert_null(deer_solution_official(NULL));
    assert_null(deer_solution_guarantee(NULL));
    assert_string_equal(deer_solution_solver(NULL), "");
    assert_true(isnan(deer_solution_oracle_loss(NULL)) && isnan(deer_solution_gap_closed(NULL)));
    assert_int_equal(deer_solution_points(NULL), 0);
    assert_null(deer_solution_point(NULL, 0));
    assert_null(deer_solution_point_guarantee(NULL, 0));
    assert_null(deer_cache_config(NULL));
    assert_string_equal(deer_cache_model(NULL), "");
    assert_true(!deer_cache_steps(NULL) && !deer_cache_exits(NULL) && !deer_cache_width(NULL));
    assert_true(!deer_cache_episodes(NULL) && !deer_cache_episode(NULL, 0));
    assert_true(!deer_cache_action(NULL) && !deer_cache_delta(NULL));
    assert_null(deer_cache_demonstration(NULL));
    assert_true(isnan(deer_cache_cost(NULL, 0, 0, true)));
    assert_string_equal(deer_calib_version(), DEER_VERSION);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_solves_what_solve_does),
                                       cmocka_unit_test(test_promises_and_points),
                                       cmocka_unit_test(test_memory_decides_the_deepest),
                                       cmocka_unit_test(test_wrong_tables),
                                       cmocka_unit_test(test_wrong_options),
                                       cmocka_unit_test(test_wrong_thresholds),
                                       cmocka_unit_test(test_wrong_values),
                                       cmocka_unit_test(test_wrong_caches),
                                       cmocka_unit_test(test_nothing_is_asked)};

    return cmocka_run_group_tests(tests, make_rows, free_rows);
}
