/* SPDX-License-Identifier: MIT */
/* limits.c - deer-calib bench --what limits: the per-step oracle sees losses before it
 * chooses; how near can a rule come that does not?
 *
 * In the made-up worlds (calib/problem/synthetic.h) a loss is what the step's hidden difficulty
 * leads to expect, times luck that nothing tells of. Two relaxations, whose rules do at least as
 * well as any real one: anything    a rule that is told the difficulty before it chooses deltas a
 * rule of the step's deltas: it sees those of the first exits, one after the other, and whether to
 * stop depends on them (on their cell in a grid of quantiles); having gone on past those, it is
 * told the difficulty Their least mean loss under a budget is bounded by the Lagrangian dual, as
 * the oracle's is. Source: information relaxation, Brown, Smith and Sun, Operations Research 58
 * (2010). */
#include "calib/cli/bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "calib/problem/order.h"
#include "calib/problem/synthetic.h"
#include "calib/solve/oracle.h"
#include "calib/solve/solve.h"

enum { EPISODES = 10000, SEEN = 3, STEPS_A_CELL = 40 };
static const double useless = 0.4;

/* Steps by what a rule knows of them after each of the first exits. */
typedef struct {
    const steps *expected; /* losses without luck */
    uint32_t *cell[SEEN];  /* [n] */
    int cells[SEEN];
    double *ahead;       /* [n] what going on is expected to come to */
    double *stop, *past; /* [cells] sums */
    uint32_t *steps_in;  /* [cells] */
} relaxation;

static void relaxation_free(relaxation *r)
{
    for (int k = 0; k < SEEN; k++)
        free(r->cell[k]);
    free(r->ahead);
    free(r->stop);
    free(r->past);
    free(r->steps_in);
}

/* Cells of exit k: `side` quantiles of each delta so far. order [n] and value [n] are scratch. */
static deer_status make_cells(relaxation *r, int k, uint32_t *order, deer_error *err)
{
    const steps *s = r->expected;
    int side = (int)pow((double)s->n / STEPS_A_CELL, 1.0 / (k + 1));

    r->cells[k] = 1;
    for (int j = 0; j <= k; j++) {
        if (order_ascending(s->delta + j * s->n, s->n, order, err))
            return DEER_FAILED;
        for (int64_t i = 0; i < s->n; i++)
            r->cell[k][order[i]] =
                r->cell[k][order[i]] * (uint32_t)side + (uint32_t)(i * side / s->n);
        r->cells[k] *= side;
    }
    return DEER_OK;
}

static deer_status relaxation_make(const steps *expected, relaxation *r, deer_error *err)
{
    size_t n = (size_t)expected->n;
    uint32_t *order = malloc(n * sizeof *order);
    bool room = order != NULL;
    deer_status status = DEER_OK;

    *r = (relaxation){.expected = expected};
    for (int k = 0; k < SEEN; k++)
        room &= (r->cell[k] = calloc(n, sizeof *r->cell[k])) != NULL;
    r->ahead = malloc(n * sizeof *r->ahead);
    r->stop = malloc(n * sizeof *r->stop);
    r->past = malloc(n * sizeof *r->past);
    r->steps_in = malloc(n * sizeof *r->steps_in);
    if (!room || !r->ahead || !r->stop || !r->past || !r->steps_in)
        status = deer_fail(err, "out of memory for %zu steps", n);
    for (int k = 0; k < SEEN && !status; k++)
        status = make_cells(r, k, order, err);
    free(order);
    return status;
}

static double priced(const steps *s, int k, int64_t i, double price)
{
    return (double)s->loss[k * s->n + i] + price * s->cost[k];
}

/* At exit k, in every cell: stop, or go on, whichever is expected to be less. */
static void choose(relaxation *r, int k, double price)
{
    const steps *s = r->expected;

    for (int c = 0; c < r->cells[k]; c++)
        r->stop[c] = r->past[c] = r->steps_in[c] = 0;
    for (int64_t i = 0; i < s->n; i++) {
        uint32_t c = r->cell[k][i];

        r->stop[c] += priced(s, k, i, price);
        r->past[c] += r->ahead[i];
        r->steps_in[c]++;
    }
    for (int64_t i = 0; i < s->n; i++) {
        uint32_t c = r->cell[k][i];

        r->ahead[i] = fmin(r->stop[c], r->past[c]) / r->steps_in[c];
    }
}

/* Mean of loss + price * cost of a rule that sees `seen` deltas, then the difficulty. */
static double value_of(relaxation *r, int seen, double price)
{
    const steps *s = r->expected;
    double sum = 0;

    for (int64_t i = 0; i < s->n; i++) {
        r->ahead[i] = INFINITY;
        for (int k = seen; k < s->exits; k++)
            r->ahead[i] = fmin(r->ahead[i], priced(s, k, i, price));
    }
    for (int k = seen - 1; k >= 0; k--)
        choose(r, k, price);
    for (int64_t i = 0; i < s->n; i++)
        sum += r->ahead[i];
    return sum / (double)s->n;
}

/* No rule within the budget has less mean loss: the dual, concave in the price. */
static double least_loss(relaxation *r, int seen, double budget)
{
    double low = log(1e-6), high = log(10), golden = (sqrt(5) - 1) / 2, best = -INFINITY;

    for (int i = 0; i < 24; i++) {
        double a = high - golden * (high - low), b = low + golden * (high - low);
        double at_a = value_of(r, seen, exp(a)) - exp(a) * budget;
        double at_b = value_of(r, seen, exp(b)) - exp(b) * budget;

        best = fmax(best, fmax(at_a, at_b));
        if (at_a > at_b)
            high = b;
        else
            low = a;
    }
    return best;
}

static deer_status print_row(const steps *s, relaxation *r, double budget, deer_error *err)
{
    solve_spec spec = {.budget = budget, .max_exit = s->exits - 1, .method = SOLVE_COORDINATE};
    double bound = oracle_solve(s, spec.max_exit, budget).loss, loss[3];
    solution official, x;

    if (solve_official_best(s, &spec, &official, err) || solve(s, &spec, &x, err))
        return DEER_FAILED;
    loss[0] = x.at.loss;
    loss[1] = least_loss(r, SEEN, budget);
    loss[2] = least_loss(r, 0, budget);
    printf("%6d %7.1f", s->exits, budget);
    for (int i = 0; i < 3; i++)
        printf(" %9.1f%%", 100 * oracle_gap_closed(official.at.loss, loss[i], bound));
    printf("\n");
    fflush(stdout);
    return DEER_OK;
}

static deer_status print_world(int exits, deer_error *err)
{
    synthetic_spec spec = synthetic_default(exits, EPISODES, 1);
    steps s, expected;
    relaxation r;
    deer_status status;

    spec.useless = useless;
    if (synthetic_make(&spec, &s, err))
        return DEER_FAILED;
    spec.expected = true;
    if (synthetic_make(&spec, &expected, err)) {
        steps_free(&s);
        return DEER_FAILED;
    }
    status = relaxation_make(&expected, &r, err);
    for (int tenth = 3; tenth <= 7 && !status; tenth++)
        status = print_row(&s, &r, tenth / 10.0, err);
    relaxation_free(&r);
    steps_free(&expected);
    steps_free(&s);
    return status;
}

deer_status bench_limits(deer_error *err)
{
    printf(
        "40%% of the exits are useless: gap to the per-step oracle closed from the best official\n"
        "heuristic by our thresholds, and the most that rules can close which see the step's\n"
        "deltas alone, or everything but the losses\n"
        "%6s %7s %10s %10s %10s\n",
        "exits", "budget", "thresholds", "deltas", "anything");
    return print_world(6, err) || print_world(12, err) || print_world(24, err) ? DEER_FAILED
                                                                               : DEER_OK;
}
