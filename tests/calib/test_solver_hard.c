/* SPDX-License-Identifier: MIT */
/* test_solver_hard.c - problems that make searching hard: a few losses that outweigh all others,
 * equal deltas, deltas that are no numbers, more steps than ranks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "calib/solve/grid.h"
#include "calib/solve/solve.h"

static deer_error err;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

/* ---------------------------------------------------------------- worlds ------------------- */

static uint64_t next_bits(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static double uniform(uint64_t *state)
{
    return ((double)(next_bits(state) >> 11) + 0.5) / 9007199254740992.0;
}

static double normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(uniform(state)));

    return radius * cos(6.283185307179586 * uniform(state));
}

/* A mean, but no variance: of a thousand a few make up a third of the sum. */
static double pareto(uint64_t *state)
{
    return pow(uniform(state), -1 / 1.2);
}

typedef enum { HEAVY, TIES, GAPS, UNRELATED, KINDS } kind;

static const char *const kind_name[] = {"heavy tails", "ties", "gaps", "unrelated deltas"};

/* Losses fall with depth on average, deltas tell of them; costs are 1/exits .. 1. */
static steps world(kind what, int64_t n, int exits, uint64_t seed)
{
    uint64_t random = seed;
    steps s;

    ok(steps_alloc(n, exits, 1, &s, &err));
    for (int64_t i = 0; i < n; i++) {
        double hard = pareto(&random);

        for (int k = 0; k < exits; k++) {
            double loss = 0.025 * (hard + pareto(&random)) * exp(-0.3 * k);
            double delta = 0.1 * sqrt(loss) * exp(normal(&random));

            if (what == TIES)
                delta = floor(20 * delta) / 20;
            if (what == UNRELATED)
                delta = uniform(&random);
            if (what == GAPS && uniform(&random) < 0.3)
                delta = NAN;
            s.loss[k * n + i] = (float)loss;
            s.delta[k * n + i] = (float)delta;
        }
    }
    for (int k = 0; k < exits; k++)
        s.cost[k] = (k + 1.0) / exits;
    ok(steps_check(&s, &err));
    return s;
}

/* ---------------------------------------------------------------- optimum ------------------ */

static int by_value(const void *a, const void *b)
{
    const float *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Every threshold of exit k that matters: never, and each delta. Returns how many. */
static int thresholds_of(const steps *s, int k, float *tau)
{
    int n = 0, distinct = 1;

    tau[n++] = -INFINITY;
    for (int64_t i = 0; i < s->n; i++)
        if (!isnan(s->delta[k * s->n + i]))
            tau[n++] = s->delta[k * s->n + i];
    qsort(tau, (size_t)n, sizeof *tau, by_value);
    for (int i = 1; i < n; i++)
        if (tau[i] != tau[distinct - 1])
            tau[distinct++] = tau[i];
    return distinct;
}

/* Mean loss by the rule; infinite above the budget. */
static double loss_within(const steps *s, const float *tau, double budget)
{
    double loss = 0, cost = 0;

    for (int64_t i = 0; i < s->n; i++) {
        int k = 0;

        while (k < s->exits - 1 && !(s->delta[k * s->n + i] <= tau[k]))
            k++;
        loss += (double)s->loss[k * s->n + i];
        cost += s->cost[k];
    }
    return cost <= budget * (double)s->n * (1 + 1e-12) ? loss / (double)s->n : INFINITY;
}

/* The least loss of all thresholds there are, for three or four exits. */
static double exhaustive(const steps *s, double budget)
{
    float list[3][128], tau[4] = {0};
    int n[3] = {1, 1, 1};
    double best = INFINITY;

    assert_true(s->n < 128 && s->exits <= 4);
    for (int k = 0; k < s->exits - 1; k++)
        n[k] = thresholds_of(s, k, list[k]);
    for (int a = 0; a < n[0]; a++)
        for (int b = 0; b < n[1]; b++)
            for (int c = 0; c < n[2]; c++) {
                tau[0] = list[0][a];
                tau[1] = list[1][b];
                tau[2] = s->exits == 4 ? list[2][c] : 0;
                best = fmin(best, loss_within(s, tau, budget));
            }
    return best;
}

/* Solves a random problem of a kind; whether the optimum was found. */
static bool finds_optimum(kind what, int64_t n, int exits, uint64_t seed, double share)
{
    steps s = world(what, n, exits, seed);
    float tau[DEER_MAX_EXITS];
    double least = steps_cheapest(&s, exits - 1, tau), best;
    solve_spec spec = {.budget = least + share * (1 - least), .max_exit = exits - 1, .seed = 1};
    solution x;

    ok(solve(&s, &spec, &x, &err));
    best = exhaustive(&s, spec.budget);
    assert_true(x.at.cost <= spec.budget);
    assert_true(x.at.loss >= best * (1 - 1e-6));
    if (x.at.loss > 1.05 * best)
        fail_msg("%s, %d exits, seed %d: loss %.9g, optimum %.9g", kind_name[what], exits,
                 (int)seed, x.at.loss, best);
    steps_free(&s);
    return x.at.loss <= best * (1 + 1e-6);
}

/* Against every threshold there is: always found with three exits, nearly always with four. */
static void test_optimum(void **state)
{
    (void)state;
    for (int what = 0; what < KINDS; what++) {
        int three = 0, four = 0;

        for (uint64_t seed = 1; seed <= 12; seed++) {
            three += finds_optimum((kind)what, 40, 3, seed, 0.1 * (double)(seed % 10));
            four += finds_optimum((kind)what, 20, 4, seed, 0.1 * (double)(seed % 10));
        }
        print_message("%s: optimum found in %d of 12 problems of 3 exits, %d of 12 of 4\n",
                      kind_name[what], three, four);
        assert_int_equal(three, 12);
        assert_true(four >= 9);
    }
}

/* ---------------------------------------------------------------- many steps --------------- */

/* A step's loss for not leaving at exit 0, or for leaving there, that outweighs all others. */
static void punish(steps *s, int64_t step, bool leaving)
{
    for (int k = 0; k < s->exits; k++)
        s->loss[k * s->n + step] = (k == 0) == leaving ? 1e6f : 0;
}

/* Makes tau the only good threshold of exit 0: the steps next to it on either side must be told
 * apart. */
static void insist_on(steps *s, float tau)
{
    int64_t below = -1, above = -1;

    for (int64_t i = 0; i < s->n; i++) {
        float d = s->delta[i];

        if (d <= tau && (below < 0 || d > s->delta[below]))
            below = i;
        if (d > tau && (above < 0 || d < s->delta[above]))
            above = i;
    }
    assert_true(below >= 0 && above >= 0);
    punish(s, below, false);
    punish(s, above, true);
}

/* With more distinct deltas than ranks nothing is worse than the heuristics all the same. */
static void test_never_worse_than_a_start(void **state)
{
    static const solve_method method[] = {SOLVE_COORDINATE, SOLVE_BEST};

    (void)state;
    for (int trial = 0; trial < 6; trial++) {
        steps s = world(UNRELATED, 70000, 3, 100 + (uint64_t)trial);
        solve_spec spec = {.budget = 0.5 + 0.06 * trial, .max_exit = 2, .seed = 1};
        solution official, x;

        spec.method = (solve_method)(SOLVE_OFFICIAL_EXP + trial % 3);
        ok(solve(&s, &spec, &official, &err));
        insist_on(&s, official.at.tau[0]);
        ok(solve(&s, &spec, &official, &err));
        spec.method = method[trial % 2];
        spec.evaluations = 50;
        ok(solve(&s, &spec, &x, &err));
        assert_true(x.at.cost <= spec.budget);
        if (x.at.loss > official.at.loss)
            fail_msg("%s: loss %.9g, but %s has %.9g", x.at.name, x.at.loss, official.at.name,
                     official.at.loss);
        steps_free(&s);
    }
}

/* Ranks near thresholds: these are cuts exactly, and those beside them one delta away. */
static void test_ranks_near_thresholds(void **state)
{
    steps s = world(UNRELATED, 200000, 3, 7);
    float tau[3] = {0.2f, 0.9f, INFINITY}, back[3];
    evaluation e;
    grid g;

    (void)state;
    for (int at = 0; at < 3; at++) { /* in the middle, at the edges */
        int cut[2];
        double loss, cost;

        tau[0] = at == 0 ? 0.2f : at == 1 ? -INFINITY : 2;
        ok(grid_make_near(&s, 2, tau, &g, &err));
        assert_false(g.exact);
        assert_true(g.levels[0] <= GRID_LEVELS && g.levels[1] <= GRID_LEVELS);
        grid_cuts(&g, tau, cut);
        grid_evaluate(&g, cut, &loss, &cost);
        steps_evaluate(&s, tau, 2, &e);
        assert_true(loss == e.loss && cost == e.cost);
        for (int l = cut[1] - 1000; l < cut[1] + 1000; l++)
            assert_true(g.smallest[1][l] == g.largest[1][l]);
        grid_thresholds(&g, cut, back);
        steps_evaluate(&s, back, 2, &e);
        assert_true(loss == e.loss && cost == e.cost);
        grid_free(&g);
    }
    steps_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_optimum),
        cmocka_unit_test(test_never_worse_than_a_start),
        cmocka_unit_test(test_ranks_near_thresholds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
