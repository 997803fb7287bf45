/* SPDX-License-Identifier: MIT */
/* frontier.c - answers for many budgets. */
#include "calib/solve/frontier.h"

#include <math.h>
#include <string.h>

#include "calib/solve/coordinate.h"

/* ---------------------------------------------------------------- path --------------------- */

/* The share of steps below each cut, its odds multiplied by exp(shift). */
static void shift_cuts(const grid *g, const candidate *from, double shift, candidate *to)
{
    for (int k = 0; k < g->exits - 1; k++) {
        double share = grid_cut_quantile(g, k, from->cut[k]);

        share = share / (share + (1 - share) * exp(-shift));
        to->cut[k] = grid_quantile_cut(g, k, share);
    }
    grid_evaluate(g, to->cut, &to->loss, &to->cost);
}

static candidate cheapest(const grid *g)
{
    candidate x = {.loss = 0};

    for (int k = 0; k < g->exits - 1; k++)
        x.cut[k] = g->levels[k];
    grid_evaluate(g, x.cut, &x.loss, &x.cost);
    return x;
}

enum { HALVINGS = 14 }; /* to 0.001 of the odds; filling up does the rest */

/* The dearest shift of `from` within the budget, towards cheaper or dearer; the cheapest thresholds
 * when no shift is. */
static candidate shift_into(const grid *g, const candidate *from, double budget)
{
    candidate best = cheapest(g), x = *from;
    double low = from->cost <= budget ? -12 : 0, high = from->cost <= budget ? 0 : 12;

    for (int i = 0; i < HALVINGS; i++) {
        double middle = (low + high) / 2;

        shift_cuts(g, from, middle, &x);
        if (x.cost <= budget) {
            best = x;
            high = middle;
        } else {
            low = middle;
        }
    }
    return best.cost < from->cost && from->cost <= budget ? *from : best;
}

/* From x to a budget: shifted, and as it is when it fits; the better after filling up. */
static candidate step_to(const grid *g, coordinate *c, const candidate *x, double budget)
{
    candidate shifted = shift_into(g, x, budget), filled = *x;

    if (shifted.cost > budget)
        return shifted;
    coordinate_fill(c, budget, 3, &shifted);
    if (filled.cost > budget)
        return shifted;
    coordinate_fill(c, budget, 3, &filled);
    return filled.loss < shifted.loss ? filled : shifted;
}

static void walk(const grid *g, coordinate *c, const candidate *start, const double *budgets, int n,
                 candidate *points)
{
    candidate x = *start;
    int above = 0;

    while (above < n && budgets[above] < start->cost)
        above++;
    for (int i = above - 1; i >= 0; i--)
        points[i] = x = step_to(g, c, &x, budgets[i]);
    x = *start;
    for (int i = above; i < n; i++)
        points[i] = x = step_to(g, c, &x, budgets[i]);
}

static operating_point point_of(const grid *g, const candidate *x, double budget)
{
    operating_point point = operating_point_new(g->exits - 1);

    grid_thresholds(g, x->cut, point.tau);
    point.budget = budget;
    point.cost = x->cost;
    point.loss = x->loss;
    return point;
}

deer_status frontier_shifts(const steps *s, int max_exit, const float *tau, const double *budgets,
                            int n, operating_point *path, deer_error *err)
{
    grid g;
    candidate start = {.loss = 0};

    if (grid_make(s, max_exit, &g, err))
        return DEER_FAILED;
    grid_cuts(&g, tau, start.cut);
    grid_evaluate(&g, start.cut, &start.loss, &start.cost);
    for (int i = 0; i < n; i++) {
        candidate x = shift_into(&g, &start, budgets[i]);

        path[i] = point_of(&g, &x, budgets[i]);
    }
    grid_free(&g);
    return DEER_OK;
}

deer_status frontier_path(const steps *s, int max_exit, const float *tau, const double *budgets,
                          int n, operating_point *path, deer_error *err)
{
    grid g;
    coordinate *c = NULL;
    candidate start = {.loss = 0}, points[256];

    if (n > 256)
        return deer_fail_with(DEER_USAGE, err, "a path of %d budgets; at most 256 are possible", n);
    if (grid_make(s, max_exit, &g, err))
        return DEER_FAILED;
    if (coordinate_new(&g, &c, err)) {
        grid_free(&g);
        return DEER_FAILED;
    }
    grid_cuts(&g, tau, start.cut);
    grid_evaluate(&g, start.cut, &start.loss, &start.cost);
    walk(&g, c, &start, budgets, n, points);
    for (int i = 0; i < n; i++)
        path[i] = point_of(&g, &points[i], budgets[i]);
    coordinate_free(c);
    grid_free(&g);
    return DEER_OK;
}

/* ---------------------------------------------------------------- budget for a loss -------- */

deer_status frontier_budget_for_loss(const steps *s, const solve_spec *spec, double limit,
                                     double *budget, deer_error *err)
{
    double low = steps_fixed_cost(s, 0), high = steps_fixed_cost(s, spec->max_exit);
    double range = high - low;
    solve_spec how = *spec;
    solution x;

    how.budget = INFINITY;
    how.method = SOLVE_COORDINATE;
    if (solve(s, &how, &x, err))
        return DEER_FAILED;
    if (x.at.loss > limit)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "no thresholds keep a mean loss of %.6g: the least there is is %.6g",
                              limit, x.at.loss);
    high = x.at.cost;
    while (high - low > 1e-3 * range) {
        deer_status status;

        how.budget = (low + high) / 2;
        status = solve(s, &how, &x, err);
        if (status && status != DEER_INFEASIBLE)
            return status;
        if (status || x.at.loss > limit)
            low = how.budget;
        else
            high = how.budget;
    }
    *budget = high;
    return DEER_OK;
}
