/* SPDX-License-Identifier: MIT */
/* test_solver_guarantee.c - bounds, coverage on unseen episodes, paths of budgets. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "calib/guarantee/bound.h"
#include "calib/guarantee/guarantee.h"
#include "calib/problem/synthetic.h"
#include "calib/solve/frontier.h"

static deer_error err;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

static steps synthetic(int episodes, uint64_t seed)
{
    synthetic_spec spec = synthetic_default(6, episodes, seed);
    steps s;

    spec.useless = 0.2;
    ok(synthetic_make(&spec, &s, &err));
    return s;
}

/* The same where no step can lose more than a half. */
static steps synthetic_limited(int episodes, uint64_t seed)
{
    steps s = synthetic(episodes, seed);

    for (int64_t i = 0; i < s.n * s.exits; i++)
        s.loss[i] = fminf(s.loss[i], 0.5f);
    return s;
}

/* ---------------------------------------------------------------- bounds ------------------- */

static double uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0;
}

/* Under a true null hypothesis p <= 0.1 comes in a tenth of all draws at most, whatever the
 * distribution: here rare large values, where the t-test errs. */
static void test_betting_is_valid(void **state)
{
    uint64_t random = 5;
    int rejected = 0, rejected_by_t = 0, draws = 2000;

    (void)state;
    for (int d = 0; d < draws; d++) {
        double z[40];

        for (int i = 0; i < 40; i++)
            z[i] = uniform(&random) < 0.02 ? 1 : 0; /* mean 0.02, and that is the limit */
        rejected += bound_p_value(BOUND_BETTING, z, 40, 0.02, 0, 1, 0.14, 0.1) <= 0.1;
        rejected_by_t += bound_p_value(BOUND_T, z, 40, 0.02, 0, 1, 0.14, 0.1) <= 0.1;
    }
    print_message("a true null is rejected in %.1f%% of draws by betting, %.1f%% by t\n",
                  100.0 * rejected / draws, 100.0 * rejected_by_t / draws);
    assert_true(rejected <= 0.1 * draws);
    assert_true(rejected_by_t > 0.1 * draws);
}

static void test_betting_has_power(void **state)
{
    uint64_t random = 9;
    double z[200];

    (void)state;
    for (int i = 0; i < 200; i++)
        z[i] = uniform(&random); /* mean 0.5, spread 0.29 */
    assert_true(bound_p_value(BOUND_BETTING, z, 200, 0.6, 0, 1, 0.29, 0.1) < 0.1);
    assert_true(bound_p_value(BOUND_BETTING, z, 200, 0.45, 0, 1, 0.29, 0.1) > 0.1);
    assert_true(bound_p_value(BOUND_BETTING, z, 0, 0.6, 0, 1, 0.29, 0.1) == 1);
}

/* Quantiles of Student's t from tables: P(T <= -2.015) is 0.05 with 5 degrees of freedom, ... */
static void test_t_against_tables(void **state)
{
    static const struct {
        int n;
        double t, p;
    } table[] = {{6, 2.015, 0.05}, {11, 1.372, 0.10}, {31, 2.457, 0.01}, {2, 3.078, 0.10}};

    (void)state;
    for (size_t r = 0; r < sizeof table / sizeof *table; r++) {
        double z[64], n = table[r].n, square = 0;

        for (int i = 0; i < table[r].n; i++) {
            z[i] = i - (n - 1) / 2; /* mean 0 */
            square += z[i] * z[i];
        }
        assert_true(fabs(bound_p_value(BOUND_T, z, table[r].n,
                                       table[r].t * sqrt(square / (n - 1) / n), -99, 99, 1, 0.1) -
                         table[r].p) < 2e-4);
    }
}

/* A draw above what was said to be possible is no evidence for anything. */
static void test_betting_needs_its_range(void **state)
{
    double z[200] = {0};

    (void)state;
    assert_true(bound_p_value(BOUND_BETTING, z, 200, 0.1, 0, 1, 0.1, 0.1) < 0.1);
    z[199] = 1 + 1e-12; /* a rounding */
    assert_true(bound_p_value(BOUND_BETTING, z, 200, 0.1, 0, 1, 0.1, 0.1) < 0.1);
    z[199] = 1.01;
    assert_true(bound_p_value(BOUND_BETTING, z, 200, 0.1, 0, 1, 0.1, 0.1) == 1);
}

/* ---------------------------------------------------------------- splitting ---------------- */

static void test_split_is_stratified(void **state)
{
    guarantee_spec spec = {.share = 1.0 / 3, .seed = 4};
    int stratum[90], count[3] = {0}, other = 0;
    bool solving[90], again[90];

    (void)state;
    for (int e = 0; e < 90; e++)
        stratum[e] = e % 3;
    spec.stratum = stratum;
    ok(guarantee_split(&spec, 90, solving, &err));
    ok(guarantee_split(&spec, 90, again, &err));
    assert_memory_equal(solving, again, sizeof solving);
    for (int e = 0; e < 90; e++)
        count[e % 3] += solving[e];
    for (int k = 0; k < 3; k++)
        assert_int_equal(count[k], 10);
    spec.seed = 5;
    ok(guarantee_split(&spec, 90, again, &err));
    for (int e = 0; e < 90; e++)
        other += solving[e] != again[e];
    assert_true(other > 10);
    assert_int_equal(guarantee_split(&spec, 3, solving, &err), DEER_INFEASIBLE);
}

/* Every episode is as likely to be for solving as any other, also where it is alone of its kind. */
static void test_split_is_fair(void **state)
{
    enum { KINDS = 10, SEEDS = 600 };
    int stratum[KINDS], count[KINDS] = {0};

    (void)state;
    for (int e = 0; e < KINDS; e++)
        stratum[e] = e;
    for (int seed = 0; seed < SEEDS; seed++) {
        guarantee_spec spec = {.share = 1.0 / 3, .seed = (uint64_t)seed, .stratum = stratum};
        bool solving[KINDS];

        ok(guarantee_split(&spec, KINDS, solving, &err));
        for (int e = 0; e < KINDS; e++)
            count[e] += solving[e];
    }
    for (int e = 0; e < KINDS; e++) /* four standard deviations */
        assert_true(fabs(count[e] - SEEDS / 3.0) < 4 * sqrt(SEEDS * 2 / 9.0));
}

/* ---------------------------------------------------------------- coverage ----------------- */

static deer_status judge(void *context, const float *tau, episode_sums *sums, deer_error *e)
{
    (void)e;
    guarantee_sum(context, tau, 5, sums);
    return DEER_OK;
}

/* Solves on a third of the episodes of s and promises on the rest. */
static deer_status promise(steps *s, guarantee_spec *spec, double budget, guarantee *g)
{
    bool *solving = malloc((size_t)s->episodes * sizeof *solving);
    solve_spec how = {.budget = budget, .max_exit = 5, .method = SOLVE_COORDINATE};
    solution x;
    steps part;
    deer_status status;

    spec->share = 1.0 / 3;
    spec->confidence = 0.9;
    ok(guarantee_split(spec, s->episodes, solving, &err));
    ok(steps_select(s, solving, &part, &err));
    ok(solve(&part, &how, &x, &err));
    status = guarantee_choose(spec, &part, x.tau, 5, s->episodes, solving, judge, s, g, &err);
    steps_free(&part);
    free(solving);
    return status;
}

/* Over 60 draws of 100 episodes the promised budget is exceeded, in a world of 3,000 other
 * episodes, in at most a tenth (and two standard errors), and most of it is used. A plain solve
 * exceeds it in about half. */
static void test_coverage(void **state)
{
    steps world = synthetic(3000, 999);
    int broken = 0, broken_plainly = 0, draws = 60;
    double used = 0;

    (void)state;
    for (int d = 0; d < draws; d++) {
        steps s = synthetic(100, (uint64_t)(100 + d));
        guarantee_spec spec = {.budget = 0.5, .deviation = INFINITY, .seed = (uint64_t)d};
        solve_spec plain = {.budget = 0.5, .max_exit = 5, .method = SOLVE_COORDINATE};
        guarantee g;
        solution x;
        evaluation e;

        ok(promise(&s, &spec, 0.5, &g));
        steps_evaluate(&world, g.tau, 5, &e);
        broken += e.cost > 0.5;
        used += e.cost / 0.5 / draws;
        ok(solve(&s, &plain, &x, &err));
        steps_evaluate(&world, x.tau, 5, &e);
        broken_plainly += e.cost > 0.5;
        steps_free(&s);
    }
    print_message("%d of %d promises broken, %.1f%% of the budget used; a plain solve breaks %d\n",
                  broken, draws, 100 * used, broken_plainly);
    assert_true(broken <= 0.1 * draws + 2 * sqrt(0.09 * draws));
    assert_true(used > 0.85);
    assert_true(broken_plainly > draws / 4);
    steps_free(&world);
}

/* The cheapest thresholds whose loss stays below a limit, and both promises at once. */
static void test_deviation(void **state)
{
    steps world = synthetic_limited(3000, 999), s = synthetic_limited(600, 12);
    guarantee_spec spec = {.budget = INFINITY, .deviation = 0.03, .largest_loss = 0.5, .seed = 1};
    guarantee g, both;
    evaluation e;

    (void)state;
    ok(promise(&s, &spec, 0.5, &g));
    steps_evaluate(&world, g.tau, 5, &e);
    print_message("loss promised 0.03: %.4f at cost %.3f\n", e.loss, e.cost);
    assert_true(e.loss <= 0.03 && e.loss > 0.01);
    spec.budget = e.cost * 1.2;
    ok(promise(&s, &spec, 0.5, &both));
    assert_true(both.p_budget <= 0.1 && both.p_deviation <= 0.1);
    assert_non_null(strstr(both.statement, "average cost"));
    assert_non_null(strstr(both.statement, "average loss"));
    spec.budget = 0.17;
    assert_int_equal(promise(&s, &spec, 0.2, &both), DEER_INFEASIBLE);
    steps_free(&world);
    steps_free(&s);
}

/* A step of a single held-out episode loses more than any can: no promise of the mean loss, and no
 * trouble for a promise of the cost. */
static void test_losses_above_the_largest(void **state)
{
    steps s = synthetic_limited(300, 12);
    guarantee_spec spec = {.budget = INFINITY, .deviation = 0.1, .largest_loss = 0.5, .seed = 1};
    bool solving[300];
    guarantee g;
    int e = 299;

    (void)state;
    spec.share = 1.0 / 3;
    ok(guarantee_split(&spec, 300, solving, &err));
    while (solving[e])
        e--;
    ok(promise(&s, &spec, 0.5, &g));
    assert_non_null(strstr(g.statement, "that lose at most 0.5 each"));
    for (int64_t i = 0; i < s.n; i++)
        for (int k = 0; k < s.exits && s.episode[i] == e; k++)
            s.loss[k * s.n + i] = 3;
    assert_int_equal(promise(&s, &spec, 0.5, &g), DEER_USAGE);
    assert_non_null(strstr(err.message, "loses 3"));
    assert_non_null(strstr(err.message, "--largest-loss"));
    spec.budget = 0.5;
    spec.deviation = INFINITY;
    ok(promise(&s, &spec, 0.5, &g));
    steps_free(&s);
}

/* A budget hardly above the cheapest: too few episodes, and how many it would take. */
static void test_too_few_episodes(void **state)
{
    steps s = synthetic(12, 3);
    guarantee_spec spec = {.budget = 0.19, .deviation = INFINITY, .seed = 1};
    guarantee g;

    (void)state;
    assert_int_equal(promise(&s, &spec, 0.19, &g), DEER_INFEASIBLE);
    assert_non_null(strstr(err.message, "12 episodes are too few"));
    assert_non_null(strstr(err.message, "would be needed"));
    assert_false(g.given);
    spec.budget = 0.5;
    spec.longest = 10;
    assert_int_equal(promise(&s, &spec, 0.5, &g), DEER_USAGE); /* episodes are longer */
    steps_free(&s);
}

/* ---------------------------------------------------------------- frontier ----------------- */

/* The path keeps every budget it can, and stays close to solving each. */
static void test_path(void **state)
{
    steps s = synthetic(60, 7);
    double budgets[9];
    frontier_point path[9];
    solve_spec spec = {.budget = 0.5, .max_exit = 5, .method = SOLVE_COORDINATE};
    solution x;

    (void)state;
    ok(solve(&s, &spec, &x, &err));
    for (int i = 0; i < 9; i++)
        budgets[i] = 0.1 + 0.1 * i;
    ok(frontier_path(&s, 5, x.tau, budgets, 9, path, &err));
    for (int i = 0; i < 9; i++) {
        evaluation e;

        steps_evaluate(&s, path[i].tau, 5, &e);
        assert_true(fabs(e.cost - path[i].cost) < 1e-12 && fabs(e.loss - path[i].loss) < 1e-9);
        assert_true(i == 0 || path[i].cost <= budgets[i]); /* a tenth is below the first exit */
        if (i < 2)
            continue;
        spec.budget = budgets[i];
        ok(solve(&s, &spec, &x, &err));
        assert_true(path[i].loss <= 1.25 * x.found.loss + 1e-3);
    }
    steps_free(&s);
}

static void test_budget_for_a_loss(void **state)
{
    steps s = synthetic(40, 8);
    solve_spec spec = {.max_exit = 5, .method = SOLVE_COORDINATE};
    double budget;
    solution x;

    (void)state;
    ok(frontier_budget_for_loss(&s, &spec, 0.02, &budget, &err));
    spec.budget = budget;
    ok(solve(&s, &spec, &x, &err));
    assert_true(x.found.loss <= 0.02);
    spec.budget = budget - 0.01;
    ok(solve(&s, &spec, &x, &err));
    assert_true(x.found.loss > 0.02);
    steps_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_betting_is_valid),
        cmocka_unit_test(test_betting_has_power),
        cmocka_unit_test(test_betting_needs_its_range),
        cmocka_unit_test(test_t_against_tables),
        cmocka_unit_test(test_split_is_stratified),
        cmocka_unit_test(test_split_is_fair),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_deviation),
        cmocka_unit_test(test_losses_above_the_largest),
        cmocka_unit_test(test_too_few_episodes),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_budget_for_a_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
