/* SPDX-License-Identifier: MIT */
/* test_exits.c - criteria of exits, thresholds on them, and the combined criterion's score. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/tau.h"
#include "runtime/deer.h"
#include "runtime/policy/exit_policy.h"
#include "runtime/thresholds/thresholds_format.h"

static void test_criteria(void **state)
{
    float p[6] = {0.5f, 0, 0, 0, 0, 0}, q[6] = {0, 0, 0, 0, 0, 0.25f}, none[6] = {0};

    (void)state;
    assert_true(fabsf(deer_criterion_delta(DEER_CRITERION_L2, p, q) - sqrtf(0.3125f / 6)) < 1e-7f);
    assert_true(fabsf(deer_criterion_delta(DEER_CRITERION_MEAN, p, q) - 0.125f) < 1e-7f);
    assert_true(deer_criterion_delta(DEER_CRITERION_MAX, p, q) == 0.5f);
    assert_true(fabsf(deer_criterion_delta(DEER_CRITERION_COSINE, p, q) - 1) < 1e-6f);
    assert_true(fabsf(deer_criterion_delta(DEER_CRITERION_COSINE, p, p)) < 1e-6f);
    assert_true(isfinite(deer_criterion_delta(DEER_CRITERION_COSINE, none, none)));
    for (int c = 0; c < 4; c++) {
        float bad[6] = {0.1f, 0.1f, NAN, 0.1f, 0.1f, 0.1f};
        assert_true(isnan(deer_criterion_delta((deer_criterion)c, bad, q)));
    }
}

/* float32 comparison, equality included; NaN never stops; the deepest exit always does. */
static void test_exit_policy(void **state)
{
    deer_thresholds t = {.max_exit = 2, .tau = {0.1f, -INFINITY, INFINITY}};

    (void)state;
    assert_true(exit_policy_stop(&t, 0, (float)0.1));
    assert_false(exit_policy_stop(&t, 0, nextafterf(0.1f, 1)));
    assert_false(exit_policy_stop(&t, 0, NAN));
    assert_false(exit_policy_stop(&t, 1, 0));
    assert_true(exit_policy_stop(&t, 2, NAN));
    assert_true(exit_policy_stop(&t, 2, INFINITY));
}

/* ---------------------------------------------------------------- combined criterion ------- */

enum { TRIALS = 2000 };

/* Pose components in -1..1, now and then as good as equal to the one before. */
static void draw_pose(unsigned *random, const float *near, float *pose)
{
    float reach = ldexpf(1, -(int)(*random >> 28));

    for (int i = 0; i < DEER_POSE; i++) {
        *random = *random * 1664525 + 1013904223;
        pose[i] = near[i] + reach * ((float)(*random >> 8) * 0x1p-23f - 1);
    }
}

/* Weight 1 on delta and none on anything else: the l2 criterion, bit for bit. Any other positive
 * weight, and a constant, keep the order of deltas: with the score of a threshold as the threshold,
 * the same exits. */
static void test_score_of_delta_is_delta(void **state)
{
    deer_score same = {.weight = {[DEER_SIGNAL_DELTA] = 1}};
    deer_score powers = {.constant = -2.5f, .weight = {[DEER_SIGNAL_DELTA] = 0.37f}};
    static const float rest[DEER_POSE];
    float before[DEER_POSE] = {0}, pose[DEER_POSE];
    unsigned random = 3;
    int stops = 0;

    (void)state;
    for (int i = 0; i < TRIALS; i++) {
        deer_exit_trial l2, score, power;
        double at[DEER_SIGNALS] = {[DEER_SIGNAL_DELTA] = (double)0.01f};
        float delta, value, tau = exit_score(&powers, at);

        draw_pose(&random, before, pose);
        deer_exit_trial_begin(&l2, DEER_CRITERION_L2, NULL, rest, before);
        deer_exit_trial_begin(&score, DEER_CRITERION_COMBINED, &same, rest, before);
        deer_exit_trial_begin(&power, DEER_CRITERION_COMBINED, &powers, rest, before);
        delta = deer_exit_trial_next(&l2, pose, 0.5f);
        value = deer_exit_trial_next(&score, pose, 0.5f);
        assert_true(delta > 1e-6f && value == delta);
        assert_int_equal(deer_exit_trial_next(&power, pose, 0.5f) <= tau, delta <= 0.01f);
        stops += delta <= 0.01f;
        memcpy(before, pose, sizeof before);
    }
    assert_true(stops > TRIALS / 10 && stops < TRIALS * 9 / 10);
}

/* What is no finite number stops nowhere but at the deepest exit, whatever its threshold is. */
static void test_only_numbers_stop(void **state)
{
    const deer_thresholds t = {.max_exit = 1, .tau = {INFINITY, INFINITY}};

    (void)state;
    assert_true(exit_policy_stop(&t, 0, 1e30f));
    assert_false(exit_policy_stop(&t, 0, NAN));
    assert_false(exit_policy_stop(&t, 0, INFINITY));
    assert_true(exit_policy_stop(&t, 1, NAN));
    assert_true(tau_stops(0.5f, 0.5f) && !tau_stops(0.5f, -INFINITY));
}

static double rms(const float *p, const float *q)
{
    double sum = 0;

    for (int i = 0; i < DEER_POSE; i++)
        sum += pow((double)p[i] - (double)q[i], 2);
    return sqrt(sum / DEER_POSE);
}

/* Every signal as deer.h says it. */
static void test_signals(void **state)
{
    static const float rest[DEER_POSE];
    float p[4][DEER_POSE], done[DEER_POSE] = {0.1f, -0.2f, 0.3f, 0, 0.5f, 0};
    deer_score score[3] = {{0}};
    unsigned random = 9;
    deer_exit_trial t;

    (void)state;
    for (int i = 0; i < 4; i++)
        draw_pose(&random, i ? p[i - 1] : rest, p[i]);
    deer_exit_trial_begin(&t, DEER_CRITERION_COMBINED, score, done, p[0]);
    for (int k = 0; k < 3; k++) {
        assert_true(deer_exit_trial_next(&t, p[k + 1], 0.7f) == 1); /* exp(0) */
        assert_true(fabs(t.signal[DEER_SIGNAL_DELTA] - rms(p[k + 1], p[k])) < 1e-6);
        assert_true(fabs(t.signal[DEER_SIGNAL_TURN] - rms(p[k + 1], done)) < 1e-6);
        assert_true(fabs(t.signal[DEER_SIGNAL_MARGIN] - 0.2) < 1e-6);
    }
}

/* Whatever is not finite makes the score a NaN, which never stops: with any sign of any weight. */
static void test_score_of_no_number(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};

    (void)state;
    for (int j = 0; j < DEER_SIGNALS; j++)
        for (int i = 0; i < 3; i++)
            for (int sign = -1; sign <= 1; sign++) {
                double signal[DEER_SIGNALS];
                deer_score score = {.weight = {0}};

                for (int a = 0; a < DEER_SIGNALS; a++) {
                    signal[a] = 0.1;
                    score.weight[a] = (float)sign;
                }
                assert_true(isfinite(exit_score(&score, signal)));
                signal[j] = (double)bad[i];
                assert_true(isnan(exit_score(&score, signal)));
            }
    for (int i = 0; i < 3; i++) { /* from the pose, through a whole trial */
        deer_score score = {.weight = {-1, 1}};
        deer_exit_trial t;
        float pose[DEER_POSE] = {0.1f, bad[i]}, pseudo[DEER_POSE] = {0}, done[DEER_POSE] = {0};

        deer_exit_trial_begin(&t, DEER_CRITERION_COMBINED, &score, done, pseudo);
        assert_true(isnan(deer_exit_trial_next(&t, pose, 0.9f)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_criteria),
        cmocka_unit_test(test_exit_policy),
        cmocka_unit_test(test_score_of_delta_is_delta),
        cmocka_unit_test(test_only_numbers_stop),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_score_of_no_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
