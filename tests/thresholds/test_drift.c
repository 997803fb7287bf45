/* SPDX-License-Identifier: MIT */
/* test_drift.c - the drift watch: seldom wrong while nothing changes, quick when something does. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/deer_drift.h"
#include "runtime/thresholds/thresholds_format.h"

enum { REFERENCE = 120, KINDS = 6, STEPS = 15 };

static deer_error error;
static uint64_t randomness;

/* An episode's difficulty: kinds differ, tails are heavy, everything is `shift` higher in a changed
 * world. */
static double difficulty(int kind, double shift)
{
    return exp(0.5 * kind + shift + 0.4 * random_normal(&randomness));
}

static uint32_t kind_name(int kind)
{
    const char name[2] = {(char)('a' + kind), 0};

    return deer_drift_kind(name);
}

static float delta_of(double hard)
{
    return (float)(0.01 * hard * random_uniform(&randomness, 0.5, 1.5));
}

static int exit_of(float delta)
{
    return delta < 0.01f ? 0 : delta < 0.03f ? 1 : 2;
}

/* Steps of one episode; sums of exits and deltas where asked. */
static void play(deer_drift *watch, double hard, double *exits, double *deltas)
{
    *exits = *deltas = 0;
    for (int t = 0; t < STEPS; t++) {
        deer_action a = {.delta = {delta_of(hard)}};
        a.exit = exit_of(a.delta[0]);
        *exits += a.exit;
        *deltas += (double)a.delta[0];
        if (watch)
            deer_drift_step(watch, &a, NULL);
    }
}

static void calibrate(deer_thresholds *t)
{
    memset(t, 0, sizeof *t);
    t->exits = 3;
    t->max_exit = 2;
    t->steps_per_stage = 1;
    t->reference.episodes = REFERENCE;
    for (int k = 0; k < 3; k++)
        t->expected.exit_fraction[k] = 1.0 / 3;
    for (int i = 0; i < REFERENCE; i++) {
        double exits, deltas;
        play(NULL, difficulty(i % KINDS, 0), &exits, &deltas);
        t->reference.kind[i] = kind_name(i % KINDS);
        t->reference.mean_exit[i] = (float)(exits / STEPS);
        t->reference.mean_delta[i] = (float)(deltas / STEPS);
    }
}

/* Episodes until the alarm, -1 when there is none. Kinds come in long runs: their order may not
 * matter. */
static int alarm_after(int episodes, double shift)
{
    deer_thresholds t;
    deer_drift *watch;
    deer_drift_report report;
    int after = -1;

    calibrate(&t);
    assert_int_equal(deer_drift_new(&t, &watch, &error), DEER_OK);
    for (int i = 0; i < episodes && after < 0; i++) {
        int kind = i * KINDS / episodes;
        double exits, deltas;
        play(watch, difficulty(kind, shift), &exits, &deltas);
        assert_int_equal(deer_drift_end_episode(watch, kind_name(kind), &report, &error), DEER_OK);
        assert_true(report.episodes == i + 1 && report.steps == (long)(i + 1) * STEPS);
        assert_true(report.evidence > 0 && report.most >= report.evidence);
        if (report.drifted)
            after = i + 1;
    }
    deer_drift_free(watch);
    return after;
}

/* At most 1% of streams may ever raise an alarm: 8 of 300 has probability below 2% then. */
static void test_no_alarm_in_the_same_world(void **state)
{
    int alarms = 0;

    (void)state;
    randomness = 1;
    for (int i = 0; i < 300; i++)
        alarms += alarm_after(200, 0) > 0;
    if (alarms > 7)
        fail_msg("%d of 300 streams raised an alarm", alarms);
}

static void test_alarm_in_another_world(void **state)
{
    int slowest = 0;

    (void)state;
    randomness = 2;
    for (int i = 0; i < 50; i++) {
        int after = alarm_after(200, 0.8);
        assert_true(after > 0);
        slowest = after > slowest ? after : slowest;
    }
    assert_true(slowest < 120);
}

/* Years in another world: the evidence stays a number. */
static void test_evidence_stays_finite(void **state)
{
    enum { EPISODES = 3000 };
    deer_thresholds t;
    deer_drift *watch;
    deer_drift_report report;

    (void)state;
    randomness = 3;
    calibrate(&t);
    assert_int_equal(deer_drift_new(&t, &watch, &error), DEER_OK);
    for (int i = 0; i < EPISODES; i++) {
        double exits, deltas;
        play(watch, difficulty(0, 0.05 * i), &exits, &deltas);
        assert_int_equal(deer_drift_end_episode(watch, kind_name(0), &report, &error), DEER_OK);
        assert_true(isfinite(report.evidence) && isfinite(report.most));
    }
    assert_true(report.drifted);
    deer_drift_free(watch);
}

static void test_nothing_to_compare_with(void **state)
{
    static deer_thresholds none;
    deer_drift *watch;

    (void)state;
    assert_int_equal(deer_drift_new(&none, &watch, &error), DEER_USAGE);
    assert_null(watch);
}

static void test_an_empty_episode_is_none(void **state)
{
    deer_thresholds t;
    deer_drift *watch;
    deer_drift_report report;

    (void)state;
    calibrate(&t);
    assert_int_equal(deer_drift_new(&t, &watch, &error), DEER_OK);
    assert_int_equal(deer_drift_end_episode(watch, 0, &report, &error), DEER_OK);
    assert_true(report.episodes == 0 && isnan(report.stability) && !report.drifted);
    deer_drift_free(watch);
}

static void test_unknown_promise_is_no_drift(void **state)
{
    deer_thresholds t;
    deer_drift *watch;
    deer_drift_report report;
    double exits, deltas;

    (void)state;
    calibrate(&t);
    t.expected.exit_fraction[1] = NAN;
    assert_int_equal(deer_drift_new(&t, &watch, &error), DEER_OK);
    play(watch, difficulty(0, 0), &exits, &deltas);
    assert_int_equal(deer_drift_end_episode(watch, kind_name(0), &report, &error), DEER_OK);
    assert_true(isnan(report.stability) && report.evidence > 0);
    deer_drift_free(watch);
}

/* Episodes whose criterion was never measured are no evidence of anything by it. */
static void test_unmeasured_episodes_are_no_evidence(void **state)
{
    deer_action a = {.exit = 1, .delta = {NAN}};
    deer_drift_report report;
    deer_thresholds t;
    deer_drift *watch;

    (void)state;
    calibrate(&t);
    for (int i = 0; i < REFERENCE; i++)
        t.reference.mean_exit[i] = 1; /* as in every episode below */
    t.reference.mean_delta[REFERENCE - 1] = 1e6f;
    assert_int_equal(deer_drift_new(&t, &watch, &error), DEER_OK);
    for (int i = 0; i < 200; i++) {
        deer_drift_step(watch, &a, NULL);
        assert_int_equal(deer_drift_end_episode(watch, kind_name(0), &report, &error), DEER_OK);
    }
    assert_true(report.evidence < 2 && !report.drifted);
    deer_drift_free(watch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_alarm_in_the_same_world),
        cmocka_unit_test(test_alarm_in_another_world),
        cmocka_unit_test(test_evidence_stays_finite),
        cmocka_unit_test(test_nothing_to_compare_with),
        cmocka_unit_test(test_an_empty_episode_is_none),
        cmocka_unit_test(test_unknown_promise_is_no_drift),
        cmocka_unit_test(test_unmeasured_episodes_are_no_evidence),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
