/* frontier.c - answers for many budgets. */
#include "calib/frontier.h"

#include <math.h>
#include <string.h>

#include "calib/coordinate.h"

deer_status frontier_solve(const steps *s, const solve_spec *spec, const double *budgets, int n,
                           solution *answers, deer_error *err)
{
    solve_spec how = *spec;

    for (int i = 0; i < n; i++) {
        deer_status status;

        how.budget = budgets[i];
        status = solve(s, &how, &answers[i], err);
        if (status)
            return status;
        if (i && answers[i - 1].found.loss < answers[i].found.loss)
            answers[i] = answers[i - 1];
    }
    return DEER_OK;
}

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

/* The dearest shift of `from` within the budget; the cheapest thresholds when no shift is. */
static candidate shift_into(const grid *g, const candidate *from, double budget)
{
    candidate best = cheapest(g), x = *from;
    double low = 0, high = 12;

    if (from->cost <= budget)
        return *from;
    for (int i = 0; i < 24; i++) {
        double middle = (low + high) / 2;

        shift_cuts(g, from, middle, &x);
        if (x.cost <= budget) {
            best = x;
            high = middle;
        } else {
            low = middle;
        }
    }
    return best;
}

static void walk(const grid *g, coordinate *c, const candidate *start, const double *budgets, int n,
                 candidate *points)
{
    candidate x = *start;
    int above = 0;

    while (above < n && budgets[above] < start->cost)
        above++;
    for (int i = above - 1; i >= 0; i--) { /* downwards from the start */
        x = shift_into(g, &x, budgets[i]);
        if (x.cost <= budgets[i])
            coordinate_fill(c, budgets[i], 3, &x);
        points[i] = x;
    }
    x = *start;
    for (int i = above; i < n; i++) { /* and upwards */
        coordinate_fill(c, budgets[i], 3, &x);
        points[i] = x;
    }
}

deer_status frontier_path(const steps *s, int max_exit, const float *tau, const double *budgets,
                          int n, frontier_point *path, deer_error *err)
{
    grid g;
    coordinate *c = NULL;
    candidate start = {.loss = 0}, points[256];

    if (n > 256)
        return deer_fail_with(DEER_USAGE, err, "a path of %d budgets; at most 256 are possible", n);
    if (grid_make(s, max_exit, 1, &g, err))
        return DEER_FAILED;
    if (coordinate_new(&g, &c, err)) {
        grid_free(&g);
        return DEER_FAILED;
    }
    grid_cuts(&g, tau, start.cut);
    grid_evaluate(&g, start.cut, &start.loss, &start.cost);
    walk(&g, c, &start, budgets, n, points);
    for (int i = 0; i < n; i++) {
        grid_thresholds(&g, points[i].cut, path[i].tau);
        path[i].cost = points[i].cost;
        path[i].loss = points[i].loss;
    }
    coordinate_free(c);
    grid_free(&g);
    return DEER_OK;
}
