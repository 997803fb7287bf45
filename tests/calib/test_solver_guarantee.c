/* SPDX-License-Identifier: MIT */
/* test_solver_guarantee.c - bounds, splits, what is promised and what is refused, paths of budgets.
 */
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

static double p_value(bound_kind kind, const double *z, int n, double limit, double high,
                      double spread)
{
    bound_case c = {.limit = limit, .high = high, .spread = spread, .delta = 0.1, .seed = 1};
    double p;

    ok(bound_p_value(kind, z, n, &c, &p, &err));
    return p;
}

/* Distributions with mean 0 and a largest value. */
static double draw_rare(uint64_t *random)
{
    return (uniform(random) < 0.02) - 0.02;
}

static double draw_flat(uint64_t *random)
{
    return uniform(random) - 0.5;
}

static double draw_long_tail(uint64_t *random) /* 1 / sqrt(u) up to 10 has mean 1.9 - 0.01 .. */
{
    return fmin(1 / sqrt(uniform(random) + 1e-12), 10) - 1.9;
}

static double draw_two_point(uint64_t *random)
{
    return uniform(random) < 0.7 ? -0.3 : 0.7;
}

/* Under a true null hypothesis p <= 0.1 comes in a tenth of all draws at most, whatever the
 * distribution and whatever spread was guessed: with rare large values, where the t-test errs, too.
 */
static void test_betting_is_valid(void **state)
{
    static const struct {
        double (*draw)(uint64_t *);
        double high, spread;
    } cases[] = {{draw_rare, 0.98, 0.14},    {draw_rare, 0.98, 0.01},     {draw_flat, 0.5, 0.29},
                 {draw_long_tail, 8.1, 1.5}, {draw_two_point, 0.7, 0.46}, {draw_two_point, 0.7, 5}};
    int rejected_by_t = 0, draws = 400;
    uint64_t random = 5;

    (void)state;
    for (size_t c = 0; c < sizeof cases / sizeof *cases; c++)
        for (int n = 10; n <= 160; n *= 4) {
            int rejected = 0;

            for (int d = 0; d < draws; d++) {
                double z[160];

                for (int i = 0; i < n; i++)
                    z[i] = cases[c].draw(&random);
                rejected += p_value(BOUND_BETTING, z, n, 0, cases[c].high, cases[c].spread) <= 0.1;
                rejected_by_t += !c && n == 40 && p_value(BOUND_T, z, n, 0, 1, 1) <= 0.1;
            }
            if (rejected > 0.1 * draws + 2.5 * sqrt(0.09 * draws))
                fail_msg("case %zu, %d draws: a true null is rejected in %d of %d", c, n, rejected,
                         draws);
        }
    assert_true(rejected_by_t > 0.3 * draws);
}

/* What no order can change: the same numbers sorted either way, or shuffled. */
static void test_betting_knows_no_order(void **state)
{
    double z[90], up[90], down[90], p;

    (void)state;
    for (int i = 0; i < 90; i++)
        z[i] = up[i] = (i % 10 < 7 ? -0.3 : 0.7) - 0.08;
    for (int i = 0; i < 90; i++) /* two values: sorting is counting */
        for (int k = i + 1; k < 90; k++)
            if (up[k] < up[i]) {
                double swapped = up[i];

                up[i] = up[k];
                up[k] = swapped;
            }
    for (int i = 0; i < 90; i++)
        down[i] = up[89 - i];
    p = p_value(BOUND_BETTING, z, 90, 0, 0.7, 0.46);
    assert_true(p > 0.01 && p < 1);
    assert_true(p_value(BOUND_BETTING, up, 90, 0, 0.7, 0.46) == p);
    assert_true(p_value(BOUND_BETTING, down, 90, 0, 0.7, 0.46) == p);
}

/* Sixty gains, then sixty losses that are larger: a gambler who may stop when he is ahead calls
 * this a success. The mean says otherwise, and it is never contradicted. */
static void test_what_the_mean_contradicts(void **state)
{
    double z[120];

    (void)state;
    for (int i = 0; i < 120; i++)
        z[i] = i < 60 ? -1 : 1.1;
    assert_true(p_value(BOUND_BETTING, z, 120, 0, 2, 1) == 1);
    assert_true(p_value(BOUND_T, z, 120, 0, 2, 1) == 1);
}

static void test_betting_has_power(void **state)
{
    uint64_t random = 9;
    double z[200], zeros[400] = {0};

    (void)state;
    for (int i = 0; i < 200; i++)
        z[i] = uniform(&random);                                       /* mean 0.5, spread 0.29 */
    assert_true(p_value(BOUND_BETTING, z, 200, 0.54, 1, 0.29) <= 0.1); /* two standard errors */
    assert_true(p_value(BOUND_BETTING, z, 200, 0.45, 1, 0.29) > 0.1);
    assert_true(p_value(BOUND_BETTING, z, 0, 0.6, 1, 0.29) == 1);
    /* log(10) / log(1 / 0.99) = 230 zeros show that a mean of [0, 1] is below 0.01 */
    assert_true(p_value(BOUND_BETTING, zeros, 240, 0.01, 1, 0) <= 0.1);
    assert_true(p_value(BOUND_BETTING, zeros, 220, 0.01, 1, 0) > 0.1);
    assert_true(p_value(BOUND_BETTING, zeros, 1, 0.01, 0.01, 0) == 0); /* it cannot be otherwise */
}

/* A draw of the mean over repetitions: 9 zeros, and a tenth that may be 1, are 0.1 on average. */
static void test_crc(void **state)
{
    double zeros[9] = {0};

    (void)state;
    assert_true(bound_crc_holds(zeros, 9, 0.1, 1));
    assert_false(bound_crc_holds(zeros, 9, 0.099, 1));
    zeros[0] = 0.01;
    assert_false(bound_crc_holds(zeros, 9, 0.1, 1));
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
        assert_true(
            fabs(p_value(BOUND_T, z, table[r].n, table[r].t * sqrt(square / (n - 1) / n), 99, 1) -
                 table[r].p) < 2e-4);
    }
}

/* A draw above what was said to be possible is no evidence for anything. */
static void test_betting_needs_its_range(void **state)
{
    double z[200] = {0};

    (void)state;
    assert_true(p_value(BOUND_BETTING, z, 200, 0.1, 1, 0.1) <= 0.1);
    z[199] = 1 + 1e-12; /* a rounding */
    assert_true(p_value(BOUND_BETTING, z, 200, 0.1, 1, 0.1) <= 0.1);
    z[199] = 1.01;
    assert_true(p_value(BOUND_BETTING, z, 200, 0.1, 1, 0.1) == 1);
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

/* ---------------------------------------------------------------- promises ----------------- */

static deer_status judge(void *context, const float *tau, const bool *some, episode_sums *sums,
                         deer_error *e)
{
    (void)some;
    (void)e;
    guarantee_sum(context, tau, 5, sums);
    return DEER_OK;
}

/* Solves on a quarter of the episodes of s and promises on the rest. */
static deer_status promise(steps *s, guarantee_spec *spec, double budget, guarantee *g)
{
    bool *solving = malloc((size_t)s->episodes * sizeof *solving);
    solve_spec how = {.budget = budget, .max_exit = 5, .method = SOLVE_COORDINATE};
    solution x;
    steps part;
    deer_status status;

    spec->share = GUARANTEE_SHARE;
    spec->confidence = 0.9;
    ok(guarantee_split(spec, s->episodes, solving, &err));
    ok(steps_select(s, solving, &part, &err));
    ok(solve(&part, &how, &x, &err));
    status = guarantee_choose(spec, &part, &x.at, s->episodes, solving, judge, s, g, &err);
    steps_free(&part);
    free(solving);
    return status;
}

/* At a budget of exactly the first exit's cost, and hardly above: that exit keeps it for certain.
 * At one below the first exit there is nothing. */
static void test_certain(void **state)
{
    steps s = synthetic(12, 3);
    guarantee_spec spec = {.budget = 1.0 / 6, .deviation = INFINITY, .seed = 1};
    guarantee g;
    evaluation e;

    (void)state;
    for (int i = 0; i < 2; i++, spec.budget = 0.19) {
        ok(promise(&s, &spec, spec.budget, &g));
        steps_evaluate(&s, g.at.tau, 5, &e);
        assert_true(g.given && g.certain && g.p_budget == 0 && e.fraction[0] == 1);
        assert_non_null(strstr(g.statement, "for certain"));
    }
    spec.budget = 1; /* full depth */
    ok(promise(&s, &spec, 1, &g));
    assert_true(g.certain && g.p_budget == 0);
    spec.budget = 0.1;
    assert_int_equal(promise(&s, &spec, 0.2, &g), DEER_INFEASIBLE);
    assert_non_null(strstr(err.message, "ask for less"));
    assert_false(g.given);
    spec.budget = 0.5;
    spec.longest = 10;
    assert_int_equal(promise(&s, &spec, 0.5, &g), DEER_USAGE); /* episodes are longer */
    steps_free(&s);
}

/* The deepest exit deviates from itself by nothing: however few the episodes, it is not refused. */
static void test_full_depth_does_not_deviate(void **state)
{
    steps s = synthetic_limited(12, 3);
    guarantee_spec spec = {.budget = INFINITY,
                           .deviation = 0.001,
                           .largest_loss = 0.5,
                           .deepest_is_reference = true,
                           .seed = 1};
    guarantee g;

    (void)state;
    for (int64_t i = 0; i < s.n; i++)
        s.loss[5 * s.n + i] = 0;
    ok(promise(&s, &spec, INFINITY, &g));
    assert_true(g.certain && g.at.loss == 0 && fabs(g.at.cost - 1) < 1e-12);
    spec.deepest_is_reference = false;
    assert_int_equal(promise(&s, &spec, INFINITY, &g), DEER_INFEASIBLE);
    assert_non_null(strstr(err.message, "would be needed"));
    steps_free(&s);
}

/* A delta that is no number keeps a step from leaving where a fixed exit says: then what that costs
 * is not certain. */
static void test_never_is_not_certain(void **state)
{
    steps s = synthetic(40, 3);
    guarantee_spec spec = {.budget = 1.0 / 6, .deviation = INFINITY, .seed = 1};
    guarantee g;

    (void)state;
    s.delta[0] = INFINITY;
    assert_int_equal(promise(&s, &spec, 0.5, &g), DEER_INFEASIBLE);
    steps_free(&s);
}

/* Seed, assumption and kinds are in the statement. */
static void test_statement(void **state)
{
    steps s = synthetic(200, 3);
    int stratum[200];
    double mix[200];
    guarantee_spec spec = {
        .budget = 0.5, .deviation = INFINITY, .seed = 17, .stratum = stratum, .per_kind = true};
    guarantee g;

    (void)state;
    for (int e = 0; e < 200; e++) {
        stratum[e] = e % 2;
        mix[e] = e % 2 ? 0.25 : 0.75;
    }
    ok(promise(&s, &spec, 0.5, &g));
    assert_non_null(strstr(g.statement, "drawn like these of each of the 2 tasks (of up to "));
    assert_non_null(strstr(g.statement, " steps, which is assumed)"));
    assert_non_null(strstr(g.statement, "with seed 17"));
    assert_non_null(strstr(g.statement, "best of several seeds voids it"));
    spec.per_kind = false;
    spec.mix = mix;
    spec.mix_name = "night.json";
    ok(promise(&s, &spec, 0.5, &g));
    assert_non_null(strstr(g.statement, "mixed as in night.json"));
    spec.mix = NULL;
    spec.bound = BOUND_CRC;
    ok(promise(&s, &spec, 0.5, &g));
    assert_non_null(strstr(g.statement, "on average over repetitions"));
    assert_true(strlen(g.statement) < sizeof g.statement - 1);
    steps_free(&s);
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
    steps_evaluate(&world, g.at.tau, 5, &e);
    print_message("loss promised 0.03: %.4f at cost %.3f\n", e.loss, e.cost);
    assert_true(e.loss <= 0.03 && e.loss > 0.02);
    spec.budget = e.cost * 1.2;
    ok(promise(&s, &spec, 0.5, &both));
    assert_true(both.p_budget <= 0.1 && both.p_deviation <= 0.1);
    assert_non_null(strstr(both.statement, "average cost"));
    assert_non_null(strstr(both.statement, "average loss"));
    spec.budget = 0.17; /* the first exit keeps it, and loses too much */
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
    spec.share = GUARANTEE_SHARE;
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

/* ---------------------------------------------------------------- frontier ----------------- */

/* The path keeps every budget it can, and stays close to solving each. */
static void test_path(void **state)
{
    steps s = synthetic(60, 7);
    double budgets[9];
    operating_point path[9];
    solve_spec spec = {.budget = 0.5, .max_exit = 5, .method = SOLVE_COORDINATE};
    solution x;

    (void)state;
    ok(solve(&s, &spec, &x, &err));
    for (int i = 0; i < 9; i++)
        budgets[i] = 0.1 + 0.1 * i;
    ok(frontier_path(&s, 5, x.at.tau, budgets, 9, path, &err));
    for (int i = 0; i < 9; i++) {
        evaluation e;

        steps_evaluate(&s, path[i].tau, 5, &e);
        assert_true(fabs(e.cost - path[i].cost) < 1e-12 && fabs(e.loss - path[i].loss) < 1e-9);
        assert_true(i == 0 || path[i].cost <= budgets[i]); /* a tenth is below the first exit */
        if (i < 2)
            continue;
        spec.budget = budgets[i];
        ok(solve(&s, &spec, &x, &err));
        assert_true(path[i].loss <= 1.25 * x.at.loss + 1e-3);
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
    assert_true(x.at.loss <= 0.02);
    spec.budget = budget - 0.01;
    ok(solve(&s, &spec, &x, &err));
    assert_true(x.at.loss > 0.02);
    steps_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_betting_is_valid),
        cmocka_unit_test(test_betting_has_power),
        cmocka_unit_test(test_betting_knows_no_order),
        cmocka_unit_test(test_what_the_mean_contradicts),
        cmocka_unit_test(test_betting_needs_its_range),
        cmocka_unit_test(test_crc),
        cmocka_unit_test(test_t_against_tables),
        cmocka_unit_test(test_split_is_stratified),
        cmocka_unit_test(test_split_is_fair),
        cmocka_unit_test(test_deviation),
        cmocka_unit_test(test_losses_above_the_largest),
        cmocka_unit_test(test_certain),
        cmocka_unit_test(test_full_depth_does_not_deviate),
        cmocka_unit_test(test_never_is_not_certain),
        cmocka_unit_test(test_statement),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_budget_for_a_loss),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
