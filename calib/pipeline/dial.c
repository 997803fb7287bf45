/* SPDX-License-Identifier: MIT */
/* dial.c - answers for a range of budgets. */
#include "calib/pipeline/dial.h"

#include <math.h>
#include <stdlib.h>

static void report(const dial_progress *progress, int done, int total)
{
    if (progress->report)
        progress->report(progress->context, done, total);
}

deer_status dial_make(int points, const steps *whole, int max_exit, dial_solver solver,
                      void *context, const dial_progress *progress, operating_point *point,
                      deer_error *err)
{
    float tau[DEER_MAX_EXITS];
    double low = steps_cheapest(whole, max_exit, tau);
    double high = steps_fixed_cost(whole, whole->exits - 1);
    deer_status status = DEER_OK;

    report(progress, 0, points);
    for (int i = 0; i < points && !status; i++) {
        double budget = i == points - 1 ? high : low + (high - low) * i / (points - 1);

        status = solver(context, budget, &point[i], err);
        if (!status && i && point[i - 1].loss < point[i].loss)
            point[i] = point[i - 1];
        point[i].budget = budget;
        report(progress, i + 1, points);
    }
    return status;
}

/* ---------------------------------------------------------------- guaranteed --------------- */

static deer_status solve_points(const dial_promises *d, const dial_progress *progress,
                                guarantee_point *x, deer_error *err)
{
    float tau[DEER_MAX_EXITS];
    double low = steps_cheapest(d->part, d->max_exit, tau);
    double high = steps_fixed_cost(d->part, d->part->exits - 1);
    deer_status status = DEER_OK;

    report(progress, 0, d->points);
    for (int i = 0; i < d->points && !status; i++) {
        x[i].budget = i == d->points - 1 ? high : low + (high - low) * i / (d->points - 1);
        status = d->solve(d->context, i, &x[i], err);
        report(progress, i + 1, d->points);
    }
    return status;
}

/* What a smaller budget guarantees holds for a larger one, too. */
static void keep_rising(operating_point *point, guarantee *g, int i)
{
    bool better = point[i - 1].loss < point[i].loss;

    if (g[i - 1].given ? better || !g[i].given : better && !g[i].given) {
        double budget = point[i].budget;

        point[i] = point[i - 1];
        point[i].budget = budget;
        g[i] = g[i - 1];
    }
}

static deer_status describe_points(const dial_promises *d, const guarantee_point *x,
                                   operating_point *point, guarantee *g, deer_error *err)
{
    deer_status status = DEER_OK;

    for (int i = 0; i < d->points && !status; i++) {
        status =
            d->describe(d->context, g[i].given ? g[i].at.tau : x[i].found->tau, &point[i], err);
        point[i].budget = x[i].budget;
        if (!status && i)
            keep_rising(point, g, i);
    }
    return status;
}

deer_status dial_guarantee(const dial_promises *d, const dial_progress *progress,
                           operating_point *point, guarantee *g, deer_error *err)
{
    guarantee_point *x = calloc((size_t)d->points, sizeof *x);
    guarantee_spec spec = *d->guarantee;
    deer_status status = x ? solve_points(d, progress, x, err)
                           : deer_fail(err, "out of memory for %d budgets", d->points);

    spec.deviation = INFINITY;
    if (!status)
        status = guarantee_choose_together(&spec, x, d->points, d->episodes, d->for_solving,
                                           d->judge, d->context, g, err);
    if (!status)
        status = describe_points(d, x, point, g, err);
    free(x);
    return status;
}
