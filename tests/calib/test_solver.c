/* SPDX-License-Identifier: MIT */
/* test_solver.c - the calibration problem, its evaluator and the methods that solve it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "calib/criterion/score.h"
#include "calib/problem/synthetic.h"
#include "calib/solve/grid.h"
#include "calib/solve/oracle.h"
#include "calib/solve/solve.h"
#include "tests/base/unless_long.h"

static deer_error err;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

static steps synthetic(int exits, int episodes, double useless, uint64_t seed)
{
    synthetic_spec spec = synthetic_default(exits, episodes, seed);
    steps s;

    spec.useless = useless;
    ok(synthetic_make(&spec, &s, &err));
    return s;
}

static solution solved(const steps *s, double budget, solve_method method)
{
    solve_spec spec = {.budget = budget, .max_exit = s->exits - 1, .method = method, .seed = 1};
    solution x;

    ok(solve(s, &spec, &x, &err));
    return x;
}

/* n steps with costs 1..exits, all in one episode; columns are filled by the caller. */
static steps blank(int64_t n, int exits)
{
    steps s;

    ok(steps_alloc(n, exits, 1, &s, &err));
    for (int k = 0; k < exits; k++)
        s.cost[k] = k + 1;
    return s;
}

/* ---------------------------------------------------------------- evaluation --------------- */

/* The rule, written out: the slow way. */
static evaluation by_hand(const steps *s, const float *tau, int max_exit)
{
    evaluation e = {0};

    for (int64_t i = 0; i < s->n; i++) {
        int k = 0;

        while (k < max_exit && !(s->delta[k * s->n + i] <= tau[k]))
            k++;
        e.count[k]++;
        e.cost += s->cost[s->group[i] * s->exits + k] / (double)s->n;
        e.loss += (double)s->loss[k * s->n + i] / (double)s->n;
    }
    for (int k = 0; k <= max_exit; k++)
        e.fraction[k] = (double)e.count[k] / (double)s->n;
    return e;
}

static void test_evaluator_equals_the_rule(void **state)
{
    steps s = synthetic(7, 120, 0.2, 3);

    (void)state;
    for (int trial = 0; trial < 20; trial++) {
        float tau[7];
        evaluation fast, slow;
        int max_exit = trial % 7;

        for (int k = 0; k < 7; k++)
            tau[k] = trial % 3 ? s.delta[k * s.n + (trial * 977 + k * 131) % s.n] : -INFINITY;
        steps_evaluate(&s, tau, max_exit, &fast);
        slow = by_hand(&s, tau, max_exit);
        assert_memory_equal(fast.count, slow.count, sizeof slow.count);
        assert_true(fabs(fast.cost - slow.cost) < 1e-12);
        assert_true(fabs(fast.loss - slow.loss) < 1e-9);
    }
    steps_free(&s);
}

/* Steps of different groups cost differently at the same exit. */
static void test_groups(void **state)
{
    steps s;
    float tau[2] = {0.5f, INFINITY};
    evaluation e;

    (void)state;
    ok(steps_alloc(4, 2, 2, &s, &err));
    memcpy(s.cost, (double[]){1, 2, 10, 20}, 4 * sizeof(double));
    memcpy(s.group, (uint16_t[]){0, 1, 0, 1}, 4 * sizeof(uint16_t));
    memcpy(s.delta, (float[]){0, 0, 1, 1, 0, 0, 0, 0}, 8 * sizeof(float));
    ok(steps_check(&s, &err));
    steps_evaluate(&s, tau, 1, &e);
    assert_true(e.cost == (1 + 10 + 2 + 20) / 4.0);
    assert_true(steps_peak(&s, 1) == 20 && steps_fixed_cost(&s, 0) == 5.5);
    assert_true(steps_mean_cost(&s, s.cost, tau, 1) == e.cost);
    steps_free(&s);
}

/* Deltas that are not finite never exit, whatever the threshold; float32 decides at equality. */
static void test_not_finite_never_exits(void **state)
{
    steps s = blank(5, 2);
    float tau[2] = {0.1f, INFINITY};
    evaluation e;
    solution x;

    (void)state;
    memcpy(s.delta, (float[]){NAN, INFINITY, -INFINITY, 0.1f, nextafterf(0.1f, 1)},
           5 * sizeof(float));
    ok(steps_check(&s, &err));
    steps_evaluate(&s, tau, 1, &e);
    assert_int_equal(e.count[0], 1);
    x = solved(&s, 1.6, SOLVE_BEST); /* two can leave first at most */
    assert_int_equal((int)(x.at.fraction[0] * (double)s.n + 0.5), 2);
    assert_true(x.at.tau[0] < INFINITY);
    steps_free(&s);
}

/* 600 steps of four exits; the given shares of them may not leave at the first and second exit. */
static steps with_gaps(double first, double second)
{
    steps s = synthetic(4, 12, 0, 3);

    for (int64_t i = 0; i < s.n; i++) {
        if ((double)(i * 7919 % s.n) < first * (double)s.n)
            s.delta[i] = NAN;
        if ((double)(i * 104729 % s.n) < second * (double)s.n)
            s.delta[s.n + i] = i % 2 ? NAN : INFINITY;
    }
    ok(steps_check(&s, &err));
    return s;
}

/* Counted by the rule, with what is no number left out by hand. */
static double cost_by_hand(const steps *s, const float *tau, int max_exit)
{
    double sum = 0;

    for (int64_t i = 0; i < s->n; i++) {
        int k = 0;

        while (k < max_exit &&
               !(isfinite(s->delta[k * s->n + i]) && s->delta[k * s->n + i] <= tau[k]))
            k++;
        sum += s->cost[k];
    }
    return sum / (double)s->n;
}

/* In every method a step stays where its delta is no number, the budget is kept counting so, and
 * thresholds are numbers or never. */
static void test_gaps_in_every_method(void **state)
{
    static const double share[] = {0, 0.3, 0.6, 0.9, 1};

    (void)state;
    for (int c = 0; c < 25; c++) {
        steps s = with_gaps(share[c % 5], share[c / 5]);
        float tau[DEER_MAX_EXITS];
        double least = steps_cheapest(&s, 3, tau);

        for (int m = SOLVE_COORDINATE; solve_method_name((solve_method)m); m++)
            for (int i = 0; i < 3; i++) {
                double budget = least + (1 - least) * (0.1 + 0.35 * i);
                solve_spec spec = {.budget = budget, .max_exit = 3, .method = (solve_method)m};
                solution x;
                deer_status status = solve(&s, &spec, &x, &err);

                if (status == DEER_INFEASIBLE && m >= SOLVE_OFFICIAL_EXP)
                    continue; /* too few may leave for any of its parameters */
                ok(status);
                assert_true(x.at.cost <= budget);
                assert_true(fabs(cost_by_hand(&s, x.at.tau, 3) - x.at.cost) < 1e-9);
                for (int k = 0; k < 3; k++)
                    assert_true(x.at.tau[k] < INFINITY);
            }
        steps_free(&s);
    }
}

/* Not even thresholds of infinity let such steps leave; the least budget counts them; and the
 * oracle may not take those exits either. */
static void test_gaps_elsewhere(void **state)
{
    steps s = with_gaps(0.5, 0.5);
    float always[4] = {INFINITY, INFINITY, INFINITY, INFINITY}, tau[4];
    solve_spec spec = {.max_exit = 3, .method = SOLVE_COORDINATE};
    double least = steps_cheapest(&s, 3, tau), loss, cost;
    evaluation e;
    solution x;
    grid g;

    (void)state;
    steps_evaluate(&s, always, 3, &e);
    assert_true(e.cost == least && least > 0.3);
    assert_true(fabs(cost_by_hand(&s, always, 3) - least) < 1e-9);
    ok(grid_make(&s, 3, &g, &err));
    grid_evaluate(&g, g.levels, &loss, &cost);
    assert_true(cost == least);
    grid_free(&g);
    spec.budget = 0.3; /* enough for the first exit, if all could leave there */
    assert_int_equal(solve(&s, &spec, &x, &err), DEER_INFEASIBLE);
    assert_non_null(strstr(err.message, "wherever its delta is a number"));
    assert_true(isinf(oracle_solve(&s, 3, 0.3).loss));
    x = solved(&s, least, SOLVE_BEST);
    assert_true(oracle_solve(&s, 3, least).loss <= x.at.loss + 1e-9);
    for (int64_t i = 0; i < s.n; i++) /* what may not be taken would lose nothing */
        for (int k = 0; k < 4; k++)
            s.loss[k * s.n + i] = k == 3 || !isnan(s.delta[k * s.n + i]);
    s.loss[3 * s.n] = 1;
    for (int64_t i = 0; i < s.n; i++)
        s.loss[2 * s.n + i] = 1;
    assert_true(oracle_solve(&s, 3, 1).loss == 1);
    steps_free(&s);
}

static void test_bad_columns_are_refused(void **state)
{
    steps s = blank(3, 2);

    (void)state;
    s.loss[4] = NAN;
    assert_int_equal(steps_check(&s, &err), DEER_FAILED);
    assert_string_equal(err.message, "the loss of step 1 at exit 1 is not finite");
    s.loss[4] = 0;
    s.cost[1] = 0.5;
    assert_int_equal(steps_check(&s, &err), DEER_FAILED);
    s.cost[1] = 2;
    s.group[2] = 1;
    assert_int_equal(steps_check(&s, &err), DEER_FAILED);
    s.group[2] = 0;
    s.episode[0] = 1;
    assert_int_equal(steps_check(&s, &err), DEER_FAILED);
    steps_free(&s);
    assert_int_equal(steps_alloc(0, 2, 1, &s, &err), DEER_FAILED);
    assert_int_equal(steps_alloc(5, DEER_MAX_EXITS + 1, 1, &s, &err), DEER_FAILED);
}

static void test_select_keeps_whole_episodes(void **state)
{
    steps s = synthetic(4, 10, 0, 5), part;
    bool chosen[10] = {[2] = true, [7] = true};
    int64_t n = 0;

    (void)state;
    for (int64_t i = 0; i < s.n; i++)
        n += chosen[s.episode[i]];
    ok(steps_select(&s, chosen, &part, &err));
    ok(steps_check(&part, &err));
    assert_int_equal(part.n, n);
    assert_int_equal(part.episodes, 2);
    assert_int_equal(part.episode[0], 0);
    assert_int_equal(part.episode[n - 1], 1);
    steps_free(&part);
    steps_free(&s);
}

/* Losses of one step that stand for "never" leave the others as they are; of usual sizes they are
 * rounded by less than anyone sees. */
static void test_one_huge_loss_leaves_the_others(void **state)
{
    static const float huge[] = {1, 1e9f, 1e30f};
    enum { N = 20000 };
    float tau[2] = {0.5f, INFINITY};
    evaluation e;
    steps s;

    (void)state;
    for (int h = 0; h < 3; h++) {
        ok(steps_alloc(N, 2, 1, &s, &err));
        s.cost[0] = 1, s.cost[1] = 2;
        for (int64_t i = 0; i < N; i++) {
            s.loss[i] = 0.01f * (float)(i % 5 + 1);
            s.loss[N + i] = 0.004f;
        }
        s.loss[7] = huge[h];
        s.delta[7] = 1; /* goes on */
        ok(steps_check(&s, &err));
        steps_evaluate(&s, tau, 1, &e);
        assert_true(fabs(e.loss - (0.01 * 3 * N - 0.03 + 0.004) / N) < 1e-8);
        steps_free(&s);
    }
}

/* ---------------------------------------------------------------- ranks -------------------- */

/* Cuts, and the thresholds made of them, choose the same steps. */
static void test_grid_equals_thresholds(void **state)
{
    steps s = synthetic(6, 40, 0.3, 11);
    grid g;

    (void)state;
    for (int64_t i = 0; i < s.n; i++) /* ties, and some that never exit */
        s.delta[i] = i % 17 ? roundf(s.delta[i] * 300) / 300 : INFINITY;
    ok(grid_make(&s, 5, &g, &err));
    for (int trial = 0; trial < 30; trial++) {
        int cut[5], back[5];
        float tau[6];
        double loss, cost;
        evaluation e;

        for (int k = 0; k < 5; k++)
            cut[k] = (trial * 7919 + k * 104729) % (g.levels[k] + 1);
        grid_thresholds(&g, cut, tau);
        grid_evaluate(&g, cut, &loss, &cost);
        steps_evaluate(&s, tau, 5, &e);
        assert_true(fabs(e.cost - cost) < 1e-12 && fabs(e.loss - loss) < 1e-9);
        grid_cuts(&g, tau, back);
        assert_memory_equal(back, cut, sizeof cut);
    }
    grid_free(&g);
    steps_free(&s);
}

/* More distinct values than levels: neighbours share one, and evaluation stays exact. */
static void test_grid_of_many_values(void **state)
{
    steps s = synthetic(3, 3000, 0, 2);
    grid g;
    float tau[3];
    double loss, cost;
    evaluation e;
    int cut[2];

    (void)state;
    assert_true(s.n > 2 * GRID_LEVELS);
    ok(grid_make(&s, 2, &g, &err));
    for (int k = 0; k < 2; k++) {
        assert_true(g.levels[k] > GRID_LEVELS / 3 && g.levels[k] <= GRID_LEVELS);
        cut[k] = grid_quantile_cut(&g, k, 0.3);
        assert_true(fabs(grid_cut_quantile(&g, k, cut[k]) - 0.3) < 1e-3);
    }
    grid_thresholds(&g, cut, tau);
    grid_evaluate(&g, cut, &loss, &cost);
    steps_evaluate(&s, tau, 2, &e);
    assert_true(fabs(e.cost - cost) < 1e-12 && fabs(e.loss - loss) < 1e-9);
    grid_free(&g);
    steps_free(&s);
}

/* ---------------------------------------------------------------- solving ------------------ */

/* Least loss within the budget over all cuts of a three-exit problem. */
static double exhaustive(const steps *s, double budget)
{
    grid g;
    double best = INFINITY;

    ok(grid_make(s, 2, &g, &err));
    for (int a = 0; a <= g.levels[0]; a++)
        for (int b = 0; b <= g.levels[1]; b++) {
            double loss, cost;
            grid_evaluate(&g, (int[]){a, b}, &loss, &cost);
            if (cost <= budget)
                best = fmin(best, loss);
        }
    grid_free(&g);
    return best;
}

static void test_finds_the_optimum_of_small_problems(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        steps s = synthetic(3, 4, 0, seed);

        for (double budget = 0.45; budget < 1; budget += 0.1) {
            double best = exhaustive(&s, budget);
            solution x = solved(&s, budget, SOLVE_BEST);

            assert_true(x.at.cost <= budget);
            if (x.at.loss > best * (1 + 1e-6) + 1e-9)
                fail_msg("seed %d, budget %g: loss %.9g, optimum %.9g", (int)seed, budget,
                         x.at.loss, best);
        }
        steps_free(&s);
    }
}

/* All budgets at once are what each is alone, also where some exits may not be taken. */
static void test_the_oracle_of_many_budgets(void **state)
{
    (void)state;
    for (int bad = 0; bad < 2; bad++) {
        steps s = synthetic(6, 60, 0.4, 7);
        double budgets[9], losses[9];

        for (int64_t i = 0; bad && i < s.n; i += 3)
            s.delta[(i % 5) * s.n + i] = NAN;
        for (int b = 0; b < 9; b++)
            budgets[b] = 0.05 + 0.12 * b;
        for (int deepest = 0; deepest < 6; deepest++) {
            ok(oracle_frontier(&s, deepest, budgets, 9, losses, &err));
            for (int b = 0; b < 9; b++) {
                double alone = oracle_solve(&s, deepest, budgets[b]).loss;

                if (isinf(alone))
                    assert_true(isinf(losses[b]));
                else
                    assert_true(fabs(losses[b] - alone) < 1e-7);
            }
        }
        steps_free(&s);
    }
}

/* Every method keeps the budget, beats nothing impossible, and NLopt and the default are never
 * worse than the heuristics they start from. */
static void test_methods(void **state)
{
    steps s = synthetic(6, 60, 0.4, 4);

    (void)state;
    for (double budget = 0.35; budget < 1; budget += 0.2) {
        solve_spec spec = {.budget = budget, .max_exit = 5};
        solution official;
        double bound = oracle_solve(&s, 5, budget).loss;

        ok(solve_official_best(&s, &spec, &official, &err));
        for (int m = 0; solve_method_name((solve_method)m); m++) {
            solution x = solved(&s, budget, (solve_method)m);
            evaluation e = by_hand(&s, x.at.tau, 5);

            assert_true(x.at.cost <= budget && fabs(e.cost - x.at.cost) < 1e-12);
            assert_true(x.at.loss >= bound - 1e-9);
            if (m <= SOLVE_NLOPT)
                assert_true(x.at.loss <= official.at.loss);
            else
                assert_true(x.at.cost > budget - 0.02); /* the parameter uses the budget up */
        }
    }
    steps_free(&s);
}

static void test_deterministic(void **state)
{
    steps s = synthetic(6, 30, 0.2, 8);
    solution a = solved(&s, 0.5, SOLVE_BEST), b = solved(&s, 0.5, SOLVE_BEST);

    (void)state;
    assert_memory_equal(a.at.tau, b.at.tau, 6 * sizeof(float));
    steps_free(&s);
}

static void test_loss_falls_as_budget_grows(void **state)
{
    steps s = synthetic(6, 60, 0, 9);
    double previous = INFINITY;

    (void)state;
    for (int tenth = 3; tenth <= 10; tenth++) {
        solution x = solved(&s, tenth / 10.0, SOLVE_BEST);

        assert_true(x.at.loss <= previous + 1e-9);
        previous = x.at.loss;
    }
    assert_true(previous <= 1e-9); /* at full cost the deepest exit is affordable */
    steps_free(&s);
}

/* On other episodes of the same world, at equal average cost, the default is no worse than the best
 * official heuristic; where exits are useless it is much better. The heuristic is solved again for
 * the cost that the default really has there. */
static void test_held_out(void **state)
{
    (void)state;
    for (int regime = 0; regime < 2; regime++) {
        double useless = regime ? 0.4 : 0;
        steps seen = synthetic(6, 300, useless, 21), unseen = synthetic(6, 300, useless, 22);

        for (double budget = 0.3; budget < 0.75; budget += unless_long(4, 2) / 10.0) {
            solution ours = solved(&seen, budget, SOLVE_BEST), official;
            solve_spec same = {.max_exit = 5};
            evaluation e;
            double bound, gap;

            steps_evaluate(&unseen, ours.at.tau, 5, &e);
            same.budget = e.cost;
            ok(solve_official_best(&unseen, &same, &official, &err));
            bound = oracle_solve(&unseen, 5, e.cost).loss;
            gap = oracle_gap_closed(official.at.loss, e.loss, bound);
            print_message("useless %.1f budget %.1f: held-out gap closed %.0f%%\n", useless, budget,
                          100 * gap);
            assert_true(gap > (regime ? 0.1 : -0.02));
        }
        steps_free(&seen);
        steps_free(&unseen);
    }
}

/* ---------------------------------------------------------------- edges -------------------- */

static void test_single_exit(void **state)
{
    steps s = blank(10, 1);

    (void)state;
    for (int m = 0; solve_method_name((solve_method)m); m++) {
        solution x = solved(&s, 1, (solve_method)m);

        assert_true(x.at.max_exit == 0 && x.at.fraction[0] == 1);
        assert_true(x.at.tau[0] == INFINITY);
    }
    steps_free(&s);
}

static void test_single_step(void **state)
{
    steps s = blank(1, 3);
    solution x;

    (void)state;
    memcpy(s.loss, (float[]){3, 2, 1}, 3 * sizeof(float));
    x = solved(&s, 2.5, SOLVE_BEST);
    assert_true(x.at.cost == 2 && x.at.loss == 2);
    x = solved(&s, 3, SOLVE_BEST);
    assert_true(x.at.cost == 3);
    steps_free(&s);
}

/* All the same: any thresholds within the budget do. Equal deltas leave together or not at all. */
static void test_equal_losses_and_deltas(void **state)
{
    steps s = blank(100, 3);

    (void)state;
    for (int i = 0; i < 300; i++)
        s.delta[i] = 0.25f;
    for (int i = 0; i < 300; i++)
        s.loss[i] = 0.5f;
    for (int m = 0; m <= SOLVE_NLOPT; m++) {
        solution x = solved(&s, 1.5, (solve_method)m);

        assert_true(x.at.loss == 0.5 && x.at.cost == 1);
    }
    for (int i = 0; i < 300; i++)
        s.loss[i] = (float)(2 - i / 100);
    assert_true(solved(&s, 2.5, SOLVE_BEST).at.cost == 2); /* all at the second exit */
    steps_free(&s);
}

static void test_budgets_out_of_range(void **state)
{
    steps s = synthetic(4, 10, 0, 1);
    solve_spec spec = {.budget = 0.1, .max_exit = 3};
    solution x;

    (void)state;
    for (int m = 0; solve_method_name((solve_method)m); m++) {
        spec.method = (solve_method)m;
        assert_int_equal(solve(&s, &spec, &x, &err), DEER_INFEASIBLE);
        assert_non_null(strstr(err.message, "0.25")); /* the nearest that can be met */
    }
    assert_true(solved(&s, 0.25, SOLVE_BEST).at.cost == 0.25);
    assert_true(solved(&s, 99, SOLVE_BEST).at.loss <= 1e-9);
    assert_true(solved(&s, INFINITY, SOLVE_BEST).at.loss <= 1e-9);
    spec.max_exit = 4;
    assert_int_equal(solve(&s, &spec, &x, &err), DEER_USAGE);
    assert_int_equal(solve_official_best(&s, &spec, &x, &err), DEER_USAGE);
    steps_free(&s);
}

static void test_deepest_exit_by_peak_and_memory(void **state)
{
    const double peak[] = {1, 2, 3}, memory[] = {100, 200, 400};

    (void)state;
    assert_int_equal(solve_deepest(peak, memory, 3, INFINITY, INFINITY), 2);
    assert_int_equal(solve_deepest(peak, memory, 3, 2, INFINITY), 1);
    assert_int_equal(solve_deepest(peak, memory, 3, INFINITY, 399), 1);
    assert_int_equal(solve_deepest(peak, memory, 3, 0.5, INFINITY), -1);
    assert_int_equal(solve_deepest(peak, memory, 3, 5, 50), -1);
}

/* ---------------------------------------------------------------- fitted criterion --------- */

static void test_fitted_criterion_that_sees_the_loss(void **state)
{
    steps s = synthetic(4, 400, 0, 12);
    score_verdict v;

    (void)state;
    ok(score_judge(&s, s.loss, 1, 3, 0.5, &v, &err));
    assert_true(v.delta < 0.5);
    assert_true(v.score > v.delta + 0.2);
    steps_free(&s);
}

static void test_fitted_criterion_of_deltas(void **state)
{
    (void)state;
    for (int exits = 2; exits <= 24; exits += unless_long(22, 11)) {
        steps s = synthetic(exits, unless_long(120, 300), 0.4, 13);
        score_verdict v;

        ok(score_judge(&s, NULL, 0, exits - 1, 0.6, &v, &err));
        assert_true(v.score > v.delta - 0.1); /* it sees delta, too */
        assert_true(v.score < 1 && v.delta < 1);
        steps_free(&s);
    }
}

static void test_fitted_criterion_of_odd_problems(void **state)
{
    steps one = blank(1, 1), flat = synthetic(3, 4, 0, 1);
    score_verdict v;

    (void)state;
    ok(score_judge(&one, NULL, 0, 0, 1, &v, &err)); /* nothing to choose */
    assert_true(isnan(v.delta) && isnan(v.score));
    for (int64_t i = 0; i < 3 * flat.n; i++) {
        flat.loss[i] = 0;
        flat.delta[i] = INFINITY;
    }
    ok(score_judge(&flat, NULL, 0, 2, 0.1, &v, &err)); /* infeasible */
    assert_true(isnan(v.delta) && isnan(v.score));
    ok(score_judge(&flat, NULL, 0, 2, 1, &v, &err)); /* no gap */
    assert_true(isnan(v.delta) && isnan(v.score));
    steps_free(&one);
    steps_free(&flat);
}

/* Expected losses: the same deltas, the same mean; and a rule that is told the difficulty does
 * better than thresholds and worse than the oracle. */
static void test_expected_losses(void **state)
{
    synthetic_spec spec = synthetic_default(6, 400, 14);
    solve_spec how = {.budget = 0.5, .max_exit = 5, .method = SOLVE_COORDINATE};
    double sum = 0, expected_sum = 0, told;
    steps s, expected;
    solution x;

    (void)state;
    ok(synthetic_make(&spec, &s, &err));
    spec.expected = true;
    ok(synthetic_make(&spec, &expected, &err));
    assert_memory_equal(s.delta, expected.delta, (size_t)(s.n * s.exits) * sizeof(float));
    for (int64_t i = 0; i < s.n * s.exits; i++) {
        sum += (double)s.loss[i];
        expected_sum += (double)expected.loss[i];
    }
    assert_true(fabs(sum / expected_sum - 1) < 0.02);
    ok(solve(&s, &how, &x, &err));
    told = oracle_solve(&expected, 5, 0.5).loss;
    assert_true(told < 0.98 * x.at.loss && oracle_solve(&s, 5, 0.5).loss < 0.98 * told);
    steps_free(&s);
    steps_free(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_evaluator_equals_the_rule),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_not_finite_never_exits),
        cmocka_unit_test(test_gaps_in_every_method),
        cmocka_unit_test(test_gaps_elsewhere),
        cmocka_unit_test(test_bad_columns_are_refused),
        cmocka_unit_test(test_select_keeps_whole_episodes),
        cmocka_unit_test(test_one_huge_loss_leaves_the_others),
        cmocka_unit_test(test_grid_equals_thresholds),
        cmocka_unit_test(test_grid_of_many_values),
        cmocka_unit_test(test_finds_the_optimum_of_small_problems),
        cmocka_unit_test(test_the_oracle_of_many_budgets),
        cmocka_unit_test(test_methods),
        cmocka_unit_test(test_deterministic),
        cmocka_unit_test(test_loss_falls_as_budget_grows),
        cmocka_unit_test(test_held_out),
        cmocka_unit_test(test_single_exit),
        cmocka_unit_test(test_single_step),
        cmocka_unit_test(test_equal_losses_and_deltas),
        cmocka_unit_test(test_budgets_out_of_range),
        cmocka_unit_test(test_deepest_exit_by_peak_and_memory),
        cmocka_unit_test(test_fitted_criterion_that_sees_the_loss),
        cmocka_unit_test(test_fitted_criterion_of_deltas),
        cmocka_unit_test(test_fitted_criterion_of_odd_problems),
        cmocka_unit_test(test_expected_losses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
