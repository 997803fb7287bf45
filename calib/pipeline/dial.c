/* SPDX-License-Identifier: MIT */
/* dial.c - answers for a range of budgets. */
#include "calib/pipeline/dial.h"

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
