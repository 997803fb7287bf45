/* SPDX-License-Identifier: MIT */
/* test_report_fleet.c - which machine: verdicts, operating points and choices on made-up machines.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "budgets/machines/hardware_fit.h"
#include "reports/answer/fleet.h"

enum { EXITS = 6, BUDGETS = 3 };

static deer_error err;
static char folder[] = "/tmp/deer-fleet-XXXXXX";
static char path[4][96];
static deer_config config;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

/* ---------------------------------------------------------------- machines ----------------- */

static deer_figure exactly(double value)
{
    return deer_figure_measured(value, value, value, "made up", "2026");
}

/* A machine of some GFLOP/s, with as many GB/s as a tenth of that, and memory in GB. */
static void write_machine(int i, const char *name, double gflops, double gigabytes, double usd)
{
    static deer_hardware h;

    deer_hardware_init(&h, name, name, HARDWARE_CPU);
    h.measured = true;
    for (int d = 0; d < WEIGHT_DTYPES; d++)
        h.peak[d] = exactly(gflops * 1e9);
    h.bandwidth = exactly(gflops * 1e8);
    h.memory = exactly(gigabytes * 1e9);
    h.reserved = exactly(0.5e9);
    h.idle_watts = exactly(2);
    h.load = exactly(1);
    h.price = exactly(usd);
    h.step_overhead = exactly(1e-3);
    h.mode[0].watts = exactly(gflops / 100);
    h.mode[0].compute = h.mode[0].bandwidth = exactly(1);
    for (int s = 0; s < STAGE_KINDS; s++)
        for (int d = 0; d < WEIGHT_DTYPES; d++)
            h.efficiency[s][d] = (stage_efficiency){exactly(0.5), exactly(0.5), exactly(10e-6)};
    snprintf(path[i], sizeof path[i], "%s/%s.json", folder, name);
    ok(deer_hardware_save(path[i], &h, &err));
}

/* Nothing but a name is known. */
static void write_blank(int i)
{
    static deer_hardware h;

    deer_hardware_init(&h, "blank", "blank", HARDWARE_CPU);
    snprintf(path[i], sizeof path[i], "%s/blank.json", folder);
    ok(deer_hardware_save(path[i], &h, &err));
}

enum { QUICK, SLOW, CRAMPED, BLANK };

static int set_up(void **state)
{
    (void)state;
    assert_non_null(mkdtemp(folder));
    assert_true(deer_config_published("3b", &config));
    write_machine(QUICK, "quick", 20000, 64, 3000);
    write_machine(SLOW, "slow", 4000, 64, 500);
    write_machine(CRAMPED, "cramped", 20000, 1.2, 100);
    write_blank(BLANK);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++)
        unlink(path[i]);
    return rmdir(folder);
}

/* ---------------------------------------------------------------- frontiers ---------------- */

static double budgets[BUDGETS] = {1, 2, 3};
static sweep_point points[EXITS][BUDGETS];

/* Budget 0: always the first exit, loss 1. Budget 1: half of the steps go to the deepest allowed,
 * loss 0.4. Budget 2: all of them, loss 1 - deepest / 5. */
static sweep frontiers(void)
{
    sweep w = {.exits = EXITS, .budgets = BUDGETS, .budget = budgets};

    memset(points, 0, sizeof points);
    for (int k = 0; k < EXITS; k++) {
        for (int b = 0; b < BUDGETS; b++) {
            sweep_point *x = &points[k][b];

            x->at.max_exit = k;
            x->at.cost = budgets[b];
            x->at.fraction[0] = 1 - b / 2.0;
            x->at.fraction[k] += b / 2.0;
            x->at.loss = b == 0 ? 1 : fmax(1 - k / 5.0, b == 1 ? 0.4 : 0);
        }
        w.frontier[k].ours = points[k];
        w.fixed[k].at.loss = 1 - k / 5.0;
    }
    return w;
}

static question ask_for(int rates, const double *rate)
{
    question q = {.robots = 1,
                  .rates = rates,
                  .dtypes = 1,
                  .dtype = {WEIGHT_BF16},
                  .max_loss = NAN,
                  .min_success = NAN,
                  .watts = NAN,
                  .memory = NAN,
                  .classes = {true, true, true, true},
                  .host_price = NAN,
                  .host_watts = NAN,
                  .machines = 4};

    memcpy(q.rate, rate, (size_t)rates * sizeof *rate);
    for (int i = 0; i < 4; i++)
        q.machine[i] = path[i];
    return q;
}

static fleet made(const question *q, const sweep *w, const success_curve *success)
{
    static const success_curve none;
    fleet f;

    ok(fleet_make(q, &config, 14, w, success ? success : &none, &f, &err));
    return f;
}

/* ---------------------------------------------------------------- verdicts ----------------- */

static void test_verdicts_name_what_fails(void **state)
{
    question q = ask_for(1, (double[]){20});
    sweep w = frontiers();
    fleet f = made(&q, &w, NULL);

    (void)state;
    assert_int_equal(f.answer[QUICK].verdict, FLEET_MEETS);
    assert_int_equal(f.answer[QUICK].deepest, EXITS - 1);
    assert_true(f.answer[QUICK].sure);
    assert_int_equal(f.answer[SLOW].verdict, FLEET_RATE);
    assert_int_equal(f.answer[CRAMPED].verdict, FLEET_MEMORY);
    assert_int_equal(f.answer[BLANK].verdict, FLEET_UNKNOWN);
    assert_non_null(strstr(f.answer[BLANK].reason, "unknown"));
    assert_int_equal(f.choice[0].machines, 1);
    fleet_free(&f);
}

/* Between two exits' times, the shallower one is the deepest allowed. */
static void test_the_rate_decides_the_deepest_exit(void **state)
{
    static deer_hardware h;
    deer_latency t;
    double rate;
    question q;
    sweep w = frontiers();
    fleet f;

    (void)state;
    ok(deer_hardware_load(path[SLOW], &h, &err));
    ok(deer_latency_of(&h, 0, &config, 14, WEIGHT_BF16, &t, &err));
    rate = 2 / (t.exit[3].total.expected + t.exit[4].total.expected);
    q = ask_for(1, &rate);
    q.max_loss = 0.5;
    f = made(&q, &w, NULL);
    assert_int_equal(f.answer[SLOW].deepest, 3);
    assert_int_equal(f.answer[SLOW].budget, 1);
    fleet_free(&f);
    q.max_loss = 0.1; /* exit 3 loses 0.4 at best */
    f = made(&q, &w, NULL);
    assert_int_equal(f.answer[SLOW].verdict, FLEET_RATE);
    assert_non_null(strstr(f.answer[SLOW].reason, "exit 5, which the loss asked for needs"));
    assert_float_equal(f.answer[SLOW].lacking, rate * t.exit[5].total.expected, 1e-9);
    fleet_free(&f);
}

/* Means are the exits' times weighted by how many steps leave there; power idles in between. */
static void test_operating_points_add_up(void **state)
{
    question q = ask_for(1, (double[]){10});
    sweep w = frontiers();
    fleet f;
    const fleet_answer *a;
    const deer_exit_time *exit;
    double mean, joules, watts;

    (void)state;
    q.max_loss = 0.5;
    f = made(&q, &w, NULL);
    a = &f.answer[QUICK];
    exit = f.option[QUICK].costs[0].latency.exit;
    mean = (exit[0].total.expected + exit[5].total.expected) / 2;
    joules = (exit[0].joules.expected + exit[5].joules.expected) / 2;
    watts = 10 * joules + 2 * (1 - 10 * mean);
    assert_int_equal(a->budget, 1);
    assert_float_equal(a->at.seconds.expected, mean, 1e-12);
    assert_float_equal(a->at.p99.expected, exit[5].total.expected, 1e-12);
    assert_float_equal(a->at.joules.expected, joules, 1e-9);
    assert_float_equal(a->at.watts.expected, watts, 1e-6);
    fleet_free(&f);
}

static void test_power_and_memory_limits(void **state)
{
    question q = ask_for(1, (double[]){10});
    sweep w = frontiers();
    fleet f;

    (void)state;
    q.watts = 1;
    f = made(&q, &w, NULL);
    assert_int_equal(f.answer[QUICK].verdict, FLEET_POWER);
    fleet_free(&f);
    q.watts = NAN;
    q.memory = 1e8;
    f = made(&q, &w, NULL);
    assert_int_equal(f.answer[QUICK].verdict, FLEET_MEMORY);
    assert_non_null(strstr(f.answer[QUICK].reason, "allowed"));
    fleet_free(&f);
}

/* Two robots are a robot of twice the rate, with a session more. */
static void test_robots_share_a_computer(void **state)
{
    question one = ask_for(1, (double[]){20}), two = ask_for(1, (double[]){10});
    sweep w = frontiers();
    fleet f = made(&one, &w, NULL), g;
    const deer_memory *m, *more;

    (void)state;
    two.robots = 2;
    g = made(&two, &w, NULL);
    assert_float_equal(fleet_period(&two, 0), 0.05, 1e-12);
    assert_string_equal(fleet_limit(&two, 0), "share of the period");
    for (int i = QUICK; i <= SLOW; i++) {
        assert_int_equal(g.answer[i].verdict, f.answer[i].verdict);
        assert_int_equal(g.answer[i].deepest, f.answer[i].deepest);
    }
    assert_float_equal(g.answer[QUICK].at.watts.expected, f.answer[QUICK].at.watts.expected, 1e-9);
    assert_float_equal(g.answer[QUICK].at.joules.expected, f.answer[QUICK].at.joules.expected, 0);
    m = &f.option[f.answer[QUICK].option].costs[0].memory[0];
    more = &g.option[g.answer[QUICK].option].costs[0].memory[0];
    assert_true(m->activations > 0 && more->activations == 2 * m->activations);
    assert_true(fabs(more->total.expected - m->total.expected - (double)m->activations) < 1);
    assert_true(more->weights == m->weights);
    fleet_free(&f);
    fleet_free(&g);
}

/* A machine that is a little too slow and draws far too much power is far from meeting. */
static void test_the_worst_demand_is_the_reason(void **state)
{
    question q = ask_for(1, (double[]){20});
    sweep w = frontiers();
    fleet f;

    (void)state;
    q.watts = 0.1; /* every machine idles at 2 W */
    f = made(&q, &w, NULL);
    for (int i = QUICK; i <= CRAMPED; i++) {
        assert_int_equal(f.answer[i].verdict, FLEET_POWER);
        assert_non_null(strstr(f.answer[i].reason, "more than 0.100 W"));
        assert_true(f.answer[i].lacking >= 20);
    }
    assert_non_null(strstr(f.answer[SLOW].reason, "even the first exit alone"));
    assert_null(strstr(f.answer[QUICK].reason, "even the first exit alone"));
    fleet_free(&f);
    q.watts = NAN;
    q.rate[0] = 1e6;
    f = made(&q, &w, NULL); /* memory lacks less */
    assert_int_equal(f.answer[CRAMPED].verdict, FLEET_RATE);
    fleet_free(&f);
    q.max_loss = 1e-12; /* no exit of any machine keeps it */
    q.rate[0] = 20;
    for (int b = 0; b < BUDGETS; b++)
        points[EXITS - 1][b].at.loss = 1;
    f = made(&q, &w, NULL);
    assert_int_equal(f.answer[SLOW].verdict, FLEET_LOSS);
    assert_non_null(strstr(f.answer[SLOW].reason, "even at full depth"));
    fleet_free(&f);
}

static void test_success_can_be_demanded(void **state)
{
    success_curve success = {.n = 2,
                             .dtype = WEIGHT_BF16,
                             .row = {{.cost = 1, .value = 0.4}, {.cost = 3, .value = 0.9}}};
    question q = ask_for(1, (double[]){10});
    sweep w = frontiers();
    fleet f;

    (void)state;
    q.min_success = 0.6; /* at a cost of 2 it is 0.65 */
    f = made(&q, &w, &success);
    assert_int_equal(f.answer[QUICK].budget, 1);
    assert_float_equal(f.answer[QUICK].success, 0.65, 1e-12);
    fleet_free(&f);
    q.min_success = 0.95;
    f = made(&q, &w, &success);
    assert_int_equal(f.answer[QUICK].verdict, FLEET_SUCCESS);
    fleet_free(&f);
}

static void test_every_budget_has_a_verdict(void **state)
{
    question q = ask_for(1, (double[]){10});
    sweep w = frontiers();
    success_curve none = {0};
    fleet f;

    (void)state;
    q.max_loss = 0.5;
    f = made(&q, &w, NULL);
    assert_int_equal(fleet_at(&q, &w, &none, &f, &f.answer[QUICK], 0).verdict, FLEET_LOSS);
    assert_int_equal(fleet_at(&q, &w, &none, &f, &f.answer[QUICK], 2).verdict, FLEET_MEETS);
    assert_int_equal(fleet_at(&q, &w, &none, &f, &f.answer[BLANK], 2).verdict, FLEET_UNKNOWN);
    assert_true(isnan(fleet_at(&q, &w, &none, &f, &f.answer[BLANK], 2).at.seconds.expected));
    fleet_free(&f);
}

/* 99% of the steps leave at the middle exit or before, one in two hundred at the deepest. */
static void test_p99_is_not_the_deepest(void **state)
{
    question q = ask_for(1, (double[]){10});
    sweep w = frontiers();
    success_curve none = {0};
    fleet_budget at;
    fleet f;

    (void)state;
    for (int k = 0; k < EXITS; k++)
        memset(points[k][1].at.fraction, 0, sizeof points[k][1].at.fraction);
    for (int k = 2; k < EXITS; k++) {
        points[k][1].at.fraction[0] = 0.5;
        points[k][1].at.fraction[1] = 0.495;
        points[k][1].at.fraction[k] = 0.005;
    }
    f = made(&q, &w, NULL);
    at = fleet_at(&q, &w, &none, &f, &f.answer[QUICK], 1);
    assert_true(f.answer[QUICK].deepest > 1);
    assert_true(at.at.p99.expected == f.option[QUICK].costs[0].latency.exit[1].total.expected);
    fleet_free(&f);
}

/* ---------------------------------------------------------------- choices ------------------ */

static void test_choices_and_ranking(void **state)
{
    question q = ask_for(2, (double[]){2, 1000});
    sweep w = frontiers();
    fleet f = made(&q, &w, NULL);
    const int *ranked = f.ranked;

    (void)state;
    assert_int_equal(f.choice[0].machines, 2);
    assert_int_equal(f.answer[f.choice[0].cheapest].option, SLOW);
    assert_int_equal(f.answer[f.choice[0].fastest].option, QUICK);
    assert_int_equal(f.answer[ranked[0]].option, SLOW);
    assert_int_equal(f.answer[ranked[1]].option, QUICK);
    assert_int_equal(f.answer[ranked[3]].option, BLANK);
    assert_int_equal(f.choice[1].machines, 0);
    assert_int_equal(f.choice[1].cheapest, -1);
    assert_int_equal(f.answer[f.choice[1].nearest].option, QUICK);
    assert_int_equal(f.answer[ranked[4]].option, QUICK);
    assert_int_equal(f.answer[ranked[4]].rate, 1);
    fleet_free(&f);
}

/* Modes that several items name come together in one machine. */
static void test_a_machine_named_twice_counts_once(void **state)
{
    char all[] = "all", mode[] = "orin-nano-8:15w", other[] = "orin-nano-8:7w";
    question q = ask_for(1, (double[]){10});
    sweep w = frontiers();
    fleet f;

    (void)state;
    q.machine[1] = path[QUICK];
    f = made(&q, &w, NULL);
    assert_int_equal(f.machines, 3);
    assert_int_equal(f.options, 3);
    fleet_free(&f);
    q.machines = 2;
    q.machine[0] = mode;
    q.machine[1] = other;
    f = made(&q, &w, NULL);
    assert_int_equal(f.machines, 1);
    assert_int_equal(f.options, 2);
    fleet_free(&f);
    q.machine[0] = all;
    f = made(&q, &w, NULL);
    assert_int_equal(f.machines, deer_hardware_count());
    fleet_free(&f);
    q.machine[1] = path[QUICK];
    f = made(&q, &w, NULL);
    assert_int_equal(f.machines, deer_hardware_count() + 1);
    fleet_free(&f);
}

/* ---------------------------------------------------------------- buying ------------------- */

/* A machine that fails at its pessimistic end comes behind a dearer one that does not, and the
 * buyer's weight orders those alike. */
static void test_sure_comes_before_cheap(void **state)
{
    static deer_hardware h;
    question q = ask_for(1, (double[]){2});
    sweep w = frontiers();
    fleet f;

    (void)state;
    ok(deer_hardware_load(path[SLOW], &h,
                          &err)); /* as expected it is in time, at worst it is not */
    h.step_overhead.high = 0.4;
    ok(deer_hardware_save(path[SLOW], &h, &err));
    q.max_loss = 0.5;
    f = made(&q, &w, NULL);
    assert_true(f.answer[SLOW].verdict == FLEET_MEETS && !f.answer[SLOW].sure);
    assert_int_equal(f.answer[f.choice[0].best].option, QUICK);
    assert_int_equal(f.answer[f.choice[0].cheapest].option, QUICK);
    assert_int_equal(f.answer[f.choice[0].runner_up].option, SLOW);
    assert_int_equal(f.choice[0].sure, 1);
    fleet_free(&f);
    write_machine(SLOW, "slow", 4000, 64, 500);
    for (int weight = 0; weight < WEIGHTS_OF_BUYERS; weight++) {
        q.weight = (buyer_weight)weight;
        f = made(&q, &w, NULL);
        assert_int_equal(f.answer[f.choice[0].best].option, weight == WEIGH_TIME ? QUICK : SLOW);
        fleet_free(&f);
    }
}

/* 100 USD and 2 W idle become a card in a computer: by hand, 100 + 800 USD, (watts + 45) / 0.88. */
static void test_a_card_is_bought_with_a_computer(void **state)
{
    static deer_hardware h;
    question q = ask_for(1, (double[]){2});
    sweep w = frontiers();
    double watts, joules, seconds;
    fleet f;

    (void)state;
    q.max_loss = 0.5;
    f = made(&q, &w, NULL);
    watts = f.answer[QUICK].at.watts.expected;
    joules = f.answer[QUICK].at.joules.expected;
    seconds = f.answer[QUICK].at.seconds.expected;
    fleet_free(&f);
    ok(deer_hardware_load(path[QUICK], &h, &err));
    h.form = FORM_CARD;
    ok(deer_hardware_save(path[QUICK], &h, &err));
    f = made(&q, &w, NULL);
    assert_float_equal(fleet_price(&q, &f.machine[QUICK]).expected, 3800, 1e-9);
    assert_float_equal(f.answer[QUICK].at.watts.expected, (watts + 45) / 0.88, 1e-9);
    assert_float_equal(f.answer[QUICK].at.joules.expected, (joules + 45 * seconds) / 0.88, 1e-9);
    fleet_free(&f);
    q.host_price = 300; /* the buyer's own computer */
    q.host_watts = 20;
    f = made(&q, &w, NULL);
    assert_float_equal(fleet_price(&q, &f.machine[QUICK]).expected, 3300, 1e-9);
    assert_float_equal(f.answer[QUICK].at.watts.expected, (watts + 20) / 0.88, 1e-9);
    fleet_free(&f);
    write_machine(QUICK, "quick", 20000, 64, 3000);
}

/* Machines that deer does not run on are ranked last and counted, unless another runtime is asked
 * for; classes that were not asked for are not in "all". */
static void test_left_out_machines_are_counted(void **state)
{
    char apple[] = "apple-m4", hailo[] = "hailo-8", all[] = "all";
    question q = ask_for(1, (double[]){5});
    sweep w = frontiers();
    fleet f;
    int count, server, edge;

    (void)state;
    q.machines = 3;
    q.machine[1] = apple;
    q.machine[2] = hailo;
    f = made(&q, &w, NULL);
    assert_int_equal(f.left_out, 1);
    assert_int_equal(f.cannot, 1);
    assert_int_equal(f.choice[0].machines, 1);
    assert_int_equal(f.choice[0].runner_up, -1);
    assert_int_equal(f.answer[f.ranked[0]].option, 0);
    assert_int_equal(f.answer[f.ranked[2]].verdict > f.answer[f.ranked[0]].verdict, 1);
    assert_non_null(strstr(f.answer[1].reason, "neither macOS nor the GPU"));
    fleet_free(&f);
    q.runtime = RUNTIME_TUNED;
    f = made(&q, &w, NULL);
    assert_int_equal(f.left_out, 0);
    assert_int_equal(f.answer[0].verdict, FLEET_UNKNOWN); /* of processors nobody measured it */
    fleet_free(&f);
    q.machines = 1;
    q.machine[0] = all;
    memset(q.classes, 0, sizeof q.classes);
    q.classes[CLASS_DESKTOP] = true;
    f = made(&q, &w, NULL);
    for (int i = 0; i < f.machines; i++)
        assert_int_equal(f.machine[i].form, FORM_CARD);
    assert_true(f.machines >= 4);
    count = f.machines;
    assert_int_equal(f.unasked[CLASS_DESKTOP], 0);
    for (int c = 0; c < HARDWARE_CLASSES; c++) {
        assert_int_equal(f.unasked[c] > 0, c != CLASS_DESKTOP);
        count += f.unasked[c];
    }
    assert_int_equal(count, deer_hardware_count());
    server = f.unasked[CLASS_SERVER];
    edge = f.unasked[CLASS_EDGE];
    fleet_free(&f);
    q.machines = 2; /* one of another class by its name is not missing */
    q.machine[1] = apple;
    f = made(&q, &w, NULL);
    assert_int_equal(f.unasked[CLASS_SERVER], server);
    assert_int_equal(f.unasked[CLASS_EDGE], edge - 1);
    fleet_free(&f);
    q.machines = 1; /* nor is anything when all machines were not asked for */
    q.machine[0] = apple;
    f = made(&q, &w, NULL);
    assert_int_equal(f.unasked[CLASS_SERVER], 0);
    fleet_free(&f);
}

static void test_an_unknown_machine_lists_the_known(void **state)
{
    char name[] = "abacus";
    question q = ask_for(1, (double[]){10});
    sweep w = frontiers();
    success_curve none = {0};
    fleet f;

    (void)state;
    q.machine[1] = name;
    assert_int_not_equal(fleet_make(&q, &config, 14, &w, &none, &f, &err), DEER_OK);
    assert_non_null(strstr(err.message, "abacus"));
    assert_non_null(strstr(err.message, "orin-nano-8"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_verdicts_name_what_fails),
        cmocka_unit_test(test_the_rate_decides_the_deepest_exit),
        cmocka_unit_test(test_robots_share_a_computer),
        cmocka_unit_test(test_operating_points_add_up),
        cmocka_unit_test(test_power_and_memory_limits),
        cmocka_unit_test(test_the_worst_demand_is_the_reason),
        cmocka_unit_test(test_success_can_be_demanded),
        cmocka_unit_test(test_every_budget_has_a_verdict),
        cmocka_unit_test(test_p99_is_not_the_deepest),
        cmocka_unit_test(test_choices_and_ranking),
        cmocka_unit_test(test_a_machine_named_twice_counts_once),
        cmocka_unit_test(test_sure_comes_before_cheap),
        cmocka_unit_test(test_a_card_is_bought_with_a_computer),
        cmocka_unit_test(test_left_out_machines_are_counted),
        cmocka_unit_test(test_an_unknown_machine_lists_the_known),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
