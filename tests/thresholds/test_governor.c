/* SPDX-License-Identifier: MIT */
/* test_governor.c - the budget holds in worlds that drift, jump, and mean ill. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/base/tau.h"
#include "runtime/thresholds/governor.h"

enum { EXITS = 6, LAST = EXITS - 1, POINTS = 12, STEPS = 6000, WINDOW = 500 };

static deer_error error;

/* What a step costs at each exit: as on the tabletop, in the LLM's scope. */
static const double cost[EXITS] = {0.0018, 0.0036, 0.0054, 0.0072, 0.0090, 0.0109};

/* ---------------------------------------------------------------- worlds ------------------- */

/* How hard the next step is: its exits agree where difficulty * 2^-k is at most tau. */
typedef double (*world)(int step, uint64_t *random);

/* Around 1, in runs, as episodes are: some steps much harder. */
static double weather(int step, uint64_t *random)
{
    uint64_t episode = (uint64_t)step / 20;
    double hard = random_unit(&episode) + 0.5;

    return hard * exp(0.7 * random_normal(random));
}

static double as_calibrated(int step, uint64_t *random)
{
    return weather(step, random);
}

static double slowly_harder(int step, uint64_t *random)
{
    return weather(step, random) * (1 + 3.0 * step / STEPS);
}

static double slowly_easier(int step, uint64_t *random)
{
    return weather(step, random) / (1 + 3.0 * step / STEPS);
}

static double up_and_down(int step, uint64_t *random)
{
    return weather(step, random) * exp(sin(step / 300.0));
}

static double jumps(int step, uint64_t *random)
{
    return weather(step, random) * (step / 700 % 2 ? 4 : 0.25);
}

static double never_agrees(int step, uint64_t *random)
{
    (void)step;
    (void)random;
    return INFINITY;
}

static double always_agrees(int step, uint64_t *random)
{
    (void)step;
    (void)random;
    return 0;
}

/* Free for hours, and then as much as it can get. */
static double lies_in_wait(int step, uint64_t *random)
{
    (void)random;
    return step < STEPS / 2 ? 0 : INFINITY;
}

static const world worlds[] = {as_calibrated, slowly_harder, slowly_easier, up_and_down,
                               jumps,         never_agrees,  always_agrees, lies_in_wait};

enum { WORLDS = sizeof worlds / sizeof *worlds };

/* ---------------------------------------------------------------- the dial ----------------- */

/* The thresholds of a setting 0..1 of the dial. */
static void taus(double setting, float *tau)
{
    tau_never(LAST, tau);
    for (int k = 0; k < LAST && setting < 1; k++)
        tau[k] = setting > 0 ? (float)(2.5 * pow(1 - setting, 2)) : TAU_ALWAYS;
}

static int exit_at(double difficulty, const float *tau)
{
    float value[LAST];

    for (int k = 0; k < LAST; k++)
        value[k] = (float)(difficulty * pow(2, -k));
    return tau_exit(value, 1, tau, LAST);
}

/* Points from the first exit to the deepest, each with what it costs where it was calibrated. */
static deer_thresholds dial(void)
{
    deer_thresholds t = {.exits = EXITS, .max_exit = LAST, .steps_per_stage = 1, .points = POINTS};

    for (int i = 0; i < POINTS; i++) {
        uint64_t random = 1;
        double sum = 0;

        taus(i / (POINTS - 1.0), t.point[i].tau);
        for (int n = 0; n < STEPS; n++)
            sum += cost[exit_at(as_calibrated(n, &random), t.point[i].tau)];
        t.point[i].budget_gflops = sum / STEPS;
    }
    return t;
}

/* ---------------------------------------------------------------- a run -------------------- */

typedef struct {
    double used[STEPS + 1]; /* by the steps before this one */
    int stopped;            /* steps that the limit stopped */
} history;

static void act(deer_thresholds t, double budget, int64_t horizon, world next, history *h)
{
    governor g;
    uint64_t random = 7;

    h->used[0] = 0;
    h->stopped = 0;
    assert_int_equal(governor_start(&g, &t, budget, horizon, &error), DEER_OK);
    for (int n = 0; n < STEPS; n++) {
        int deepest = governor_turn(&g, cost, &t);
        int exit = exit_at(next(n, &random), t.tau);

        assert_in_range(deepest, 0, LAST);
        h->stopped += exit > deepest;
        exit = exit < deepest ? exit : deepest;
        governor_pay(&g, cost[exit]);
        h->used[n + 1] = h->used[n] + cost[exit];
    }
    assert_int_equal(g.now.steps, STEPS);
    assert_true(fabs(g.now.used_gflops - h->used[STEPS]) < 1e-9);
}

/* The largest |average / budget - 1| of WINDOW steps in a row, behind the first `from`. */
static double worst_window(const history *h, double budget, int from)
{
    double worst = 0;

    for (int n = from; n + WINDOW <= STEPS; n++)
        worst = fmax(worst, fabs((h->used[n + WINDOW] - h->used[n]) / (WINDOW * budget) - 1));
    return worst;
}

static const double budgets[] = {0.20, 0.24, 0.33, 0.5, 0.7, 0.95}; /* of the deepest exit */

/* Whatever the world does, from the first step on. */
static void test_never_more(void **state)
{
    static history h;
    deer_thresholds t = dial();

    (void)state;
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++)
        for (int w = 0; w < WORLDS; w++) {
            double budget = budgets[b] * cost[LAST];
            act(t, budget, 0, worlds[w], &h);
            for (int n = 1; n <= STEPS; n++) {
                double over = h.used[n] - n * budget;
                assert_true(over <= cost[LAST] * sqrt(n) + 1e-9);
                assert_true(over <= 0.01 * GOVERNOR_HORIZON * budget + 1e-9);
            }
        }
}

/* Nor less, since the dial ends at full depth. */
static void test_any_window_is_within_two_per_cent(void **state)
{
    static history h;
    deer_thresholds t = dial();

    (void)state;
    for (size_t b = 0; b < sizeof budgets / sizeof *budgets; b++)
        for (int w = 0; w < WORLDS; w++) {
            double budget = budgets[b] * cost[LAST];
            act(t, budget, 0, worlds[w], &h);
            assert_true(worst_window(&h, budget, 0) <= 0.02 + 1e-9);
        }
}

static double half_as_hard_again(int step, uint64_t *random)
{
    return 1.5 * weather(step, random);
}

/* Where a calibration is wrong, but not absurdly, steps are rarely stopped by the limit: turning
 * the dial is enough. */
static void test_the_dial_is_enough(void **state)
{
    static const world wrong[] = {as_calibrated, half_as_hard_again, slowly_easier};
    static history h;
    deer_thresholds t = dial();

    (void)state;
    for (int w = 0; w < 3; w++) {
        act(t, 0.33 * cost[LAST], 0, wrong[w], &h);
        assert_true(h.stopped < (w == 1 ? STEPS / 20 : STEPS / 200));
    }
}

/* A dial that ends below full depth cannot spend a budget that an easy world leaves; what is saved
 * is not spent later all the same. */
static void test_savings_are_forgotten(void **state)
{
    static history h;
    deer_thresholds t = dial();
    double budget = 0.5 * cost[LAST];

    (void)state;
    t.points = POINTS - 1;
    act(t, budget, 0, lies_in_wait, &h);
    assert_true(h.used[STEPS / 2] < 0.4 * budget * STEPS / 2);
    assert_true(h.used[STEPS] - h.used[STEPS / 2] <= budget * STEPS / 2 * (1 + 0.01));
}

/* A longer horizon leaves hard phases more, and keeps its own promise. */
static void test_horizon(void **state)
{
    static history h;
    deer_thresholds t = dial();
    double budget = 0.33 * cost[LAST];

    (void)state;
    act(t, budget, 200, jumps, &h);
    for (int n = 0; n + 200 <= STEPS; n++)
        assert_true(fabs((h.used[n + 200] - h.used[n]) / (200 * budget) - 1) <= 0.02 + 1e-9);
    act(t, budget, 5000, jumps, &h);
    assert_true(worst_window(&h, budget, 0) > 0.02);
    assert_true(fabs(h.used[5000] / (5000 * budget) - 1) <= 0.02);
}

/* An instruction so long that even the first exit costs more: the account is paid back later. */
static void test_a_long_instruction_is_paid_back(void **state)
{
    deer_thresholds t = dial();
    double budget = 0.25 * cost[LAST], used = 0, dear[EXITS];
    governor g;

    (void)state;
    for (int k = 0; k < EXITS; k++)
        dear[k] = 2 * cost[k];
    assert_int_equal(governor_start(&g, &t, budget, 0, &error), DEER_OK);
    for (int n = 0; n < 2000; n++) {
        const double *now = n < 200 ? dear : cost;
        int k = governor_turn(&g, now, &t);
        if (n >= 20 && n < 200)
            assert_int_equal(k, 0);
        governor_pay(&g, now[k]);
        used += now[k];
    }
    assert_true(used <= 2000 * budget * 1.0026);
}

static void test_same_history_same_turns(void **state)
{
    static history a, b;
    deer_thresholds t = dial();

    (void)state;
    act(t, 0.004, 0, jumps, &a);
    act(t, 0.004, 0, jumps, &b);
    assert_memory_equal(a.used, b.used, sizeof a.used);
}

static void test_what_is_refused(void **state)
{
    deer_thresholds t = dial();
    governor g = {.now = {.horizon = 7}};

    (void)state;
    assert_int_equal(governor_start(&g, &t, NAN, 0, &error), DEER_USAGE);
    assert_int_equal(governor_start(&g, &t, INFINITY, 0, &error), DEER_USAGE);
    assert_int_equal(governor_start(&g, &t, 0, 0, &error), DEER_USAGE);
    assert_int_equal(governor_start(&g, &t, 0.004, 199, &error), DEER_USAGE);
    assert_int_equal(governor_start(&g, &t, 0.004, -1, &error), DEER_USAGE);
    assert_non_null(strstr(error.message, "200 steps or more"));
    assert_int_equal(governor_start(&g, &t, 0.001, 0, &error), DEER_INFEASIBLE);
    assert_non_null(strstr(error.message, "below the dial's least, 0.0018"));
    t.points = 0;
    assert_int_equal(governor_start(&g, &t, 0.004, 0, &error), DEER_USAGE);
    assert_non_null(strstr(error.message, "no dial to govern"));
    assert_int_equal(g.now.horizon, 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_more),
        cmocka_unit_test(test_any_window_is_within_two_per_cent),
        cmocka_unit_test(test_the_dial_is_enough),
        cmocka_unit_test(test_savings_are_forgotten),
        cmocka_unit_test(test_horizon),
        cmocka_unit_test(test_a_long_instruction_is_paid_back),
        cmocka_unit_test(test_same_history_same_turns),
        cmocka_unit_test(test_what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
