/* SPDX-License-Identifier: MIT */
/* test_published.c - promises of a mean loss beside those of the published methods, written here
 * from the papers, on the same split of the same draws: how much of the allowed loss each uses.
 *
 * Samples of one step and two exits: the first loses 1 with a probability that grows with a hidden
 * difficulty (or a share of it), the last loses nothing; delta shows the difficulty through noise.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "calib/guarantee/guarantee.h"
#include "calib/solve/frontier.h"
#include "runtime/base/random.h"
#include "tests/base/unless_long.h"

enum { GRID = 100, MOST = 2400, WORLD = 40000 };

static const double confidence = 0.9;
static deer_error err;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

/* ---------------------------------------------------------------- the papers --------------- */

/* P(Bin(n, p) <= k). */
static double binomial(int n, double p, int k)
{
    double sum = 0;

    for (int i = 0; i <= k && i <= n; i++)
        sum += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) + i * log(p) +
                   (n - i) * log1p(-p));
    return fmin(sum, 1);
}

static double divergence(double a, double b)
{
    return (a > 0 ? a * log(a / b) : 0) + (a < 1 ? (1 - a) * log((1 - a) / (1 - b)) : 0);
}

/* Hoeffding-Bentkus: Angelopoulos et al., "Learn then Test", proposition 3. */
static double hoeffding_bentkus(const double *loss, int n, double limit)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += loss[i];
    return fmin(exp(-n * divergence(fmin(sum / n, limit), limit)),
                exp(1) * binomial(n, limit, (int)ceil(sum - 1e-9)));
}

/* Waudby-Smith and Ramdas's bets as "Learn then Test" has them (appendix): the largest wealth on
 * the way, so the losses must come in an order that has nothing to do with them. */
static double waudby_smith_ramdas(const double *loss, int n, double limit)
{
    double sum = 0.5, square = 0.25, spread = 0.25, wealth = 0, most = 0;

    for (int i = 0; i < n; i++) {
        double bet = fmin(1, sqrt(2 * log(1 / (1 - confidence)) / (n * spread))), mean;

        wealth += log1p(-bet * (loss[i] - limit));
        most = fmax(most, wealth);
        sum += loss[i];
        mean = sum / (i + 2);
        square += (loss[i] - mean) * (loss[i] - mean);
        spread = square / (i + 2);
    }
    return exp(-most);
}

/* ---------------------------------------------------------------- the draws ---------------- */

/* graded: losses are anything in 0..1, else 0 or 1. */
static steps draw(int n, bool graded, uint64_t seed)
{
    steps s;
    uint64_t random = seed;

    ok(steps_alloc(n, 2, 1, &s, &err));
    s.cost[0] = 1;
    s.cost[1] = 2;
    s.episodes = n;
    for (int i = 0; i < n; i++) {
        double hard = random_unit(&random), risk = hard * hard;

        s.episode[i] = i;
        s.delta[i] = (float)(hard + 0.3 * (random_unit(&random) - 0.5));
        s.loss[i] =
            (float)(graded ? 0.6 * risk * random_unit(&random) : random_unit(&random) < risk);
    }
    return s;
}

static double true_loss(const steps *all, float tau)
{
    const float both[2] = {tau, INFINITY};
    evaluation e;

    steps_evaluate(all, both, 1, &e);
    return e.loss;
}

static int ascending(const void *a, const void *b)
{
    const float *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Thresholds at a hundred quantiles of the part for solving, the most careful first. */
static void make_grid(const steps *s, const bool *solving, float *grid)
{
    float seen[MOST];
    int n = 0;

    for (int i = 0; i < s->n; i++)
        if (solving[i])
            seen[n++] = s->delta[i];
    qsort(seen, (size_t)n, sizeof *seen, ascending);
    for (int i = 0; i < GRID; i++)
        grid[i] = seen[(int)((double)(n - 1) * i / (GRID - 1))];
}

enum { HB, WSR, CRC, DEER, METHODS };
static const char *const names[] = {"LTT with Hoeffding-Bentkus", "LTT with WSR", "CRC", "deer"};

/* Goes along the grid while the method allows it; the last allowed. -infinity: none. */
static float walk(const steps *s, const bool *solving, const float *grid, double limit, int method)
{
    float best = -INFINITY;

    for (int g = 0; g < GRID; g++) {
        double loss[MOST], sum = 0;
        bool allowed;
        int n = 0;

        for (int i = 0; i < s->n; i++)
            if (!solving[i])
                sum += loss[n++] = s->delta[i] <= grid[g] ? (double)s->loss[i] : 0;
        allowed = method == CRC  ? (sum + 1) / (n + 1) <= limit
                  : method == HB ? hoeffding_bentkus(loss, n, limit) <= 1 - confidence
                                 : waudby_smith_ramdas(loss, n, limit) <= 1 - confidence;
        if (!allowed)
            return best;
        best = grid[g];
    }
    return best;
}

static deer_status judge(void *context, const float *tau, const bool *some, episode_sums *sums,
                         deer_error *e)
{
    (void)some;
    (void)e;
    guarantee_sum(context, tau, 1, sums);
    return DEER_OK;
}

static float promise(steps *s, const bool *solving, guarantee_spec *spec)
{
    solve_spec how = {.max_exit = 1, .method = SOLVE_COORDINATE, .budget = INFINITY};
    steps part;
    solution x;
    guarantee g;

    ok(steps_select(s, solving, &part, &err));
    ok(frontier_budget_for_loss(&part, &how, spec->deviation, &how.budget, &err));
    ok(solve(&part, &how, &x, &err));
    ok(guarantee_choose(spec, &part, &x.at, (int)s->n, solving, judge, s, &g, &err));
    steps_free(&part);
    return g.at.tau[0];
}

/* ---------------------------------------------------------------- the table ---------------- */

static void compare(int n, double limit, bool graded)
{
    const int draws = unless_long(20, 60);
    steps all = draw(WORLD, graded, 77);
    double used[METHODS] = {0}, tightest;
    int broken[METHODS] = {0};

    for (int d = 0; d < draws; d++) {
        steps s = draw(n, graded, 100 + (uint64_t)d);
        guarantee_spec spec = {.confidence = confidence,
                               .budget = INFINITY,
                               .deviation = limit,
                               .largest_loss = 1,
                               .deepest_is_reference = true,
                               .share = GUARANTEE_SHARE,
                               .seed = (uint64_t)d};
        bool solving[MOST];
        float grid[GRID];

        ok(guarantee_split(&spec, n, solving, &err));
        make_grid(&s, solving, grid);
        for (int m = 0; m < METHODS; m++) {
            float tau = m == DEER ? promise(&s, solving, &spec) : walk(&s, solving, grid, limit, m);
            double loss = true_loss(&all, tau);

            used[m] += loss / limit / draws;
            broken[m] += loss > limit;
        }
        steps_free(&s);
    }
    print_message("%4d samples, %s, at most %.2f:", n, graded ? "graded" : "0 or 1", limit);
    for (int m = 0; m < METHODS; m++)
        print_message("  %s %.1f%% (%d broken)", names[m], 100 * used[m], broken[m]);
    print_message("\n");
    tightest = fmax(used[HB], used[WSR]);
    assert_true(used[DEER] >= tightest - 0.02);
    assert_true(broken[DEER] <= 0.1 * draws + 2 * sqrt(0.09 * draws));
    assert_true(used[CRC] > used[DEER]); /* which promises less */
    steps_free(&all);
}

static void test_losses_of_0_or_1(void **state)
{
    (void)state;
    compare(200, 0.1, false);
    compare(600, 0.05, false);
    compare(2000, 0.05, false);
}

static void test_graded_losses(void **state)
{
    (void)state;
    compare(200, 0.1, true);
    compare(600, 0.05, true);
    compare(2000, 0.02, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_losses_of_0_or_1),
        cmocka_unit_test(test_graded_losses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
