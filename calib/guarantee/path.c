/* SPDX-License-Identifier: MIT */
/* path.c - candidates: fixed exits, and a path that is dense where tests begin to fail. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/guarantee/trials.h"
#include "calib/solve/frontier.h"
#include "runtime/base/tau.h"

enum { COARSE = 12, FINE = 28, CAPPED_COARSE = 6, CAPPED_FINE = 12, SHIFTS = 48 };

/* ---------------------------------------------------------------- fixed exits -------------- */

/* Leaves at exit k at the latest, but for a delta that is no number. */
static void cap(float *tau, int k, int max_exit)
{
    for (int i = k; i < max_exit; i++)
        tau[i] = TAU_ALWAYS;
    tau[max_exit] = TAU_ALWAYS;
}

static deer_status add_fixed(job *j, deer_error *err)
{
    deer_status status = DEER_OK;

    for (int k = 0; k <= j->max_exit && !status; k++) {
        float tau[DEER_MAX_EXITS];

        for (int i = 0; i < k; i++)
            tau[i] = TAU_NEVER;
        cap(tau, k, j->max_exit);
        status = trials_add(j, tau, k, k, err);
    }
    return status;
}

/* ---------------------------------------------------------------- path --------------------- */

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

static deer_status add_points(job *j, operating_point *path, int n, int deepest, deer_error *err)
{
    deer_status status = DEER_OK;

    for (int i = 0; i < n && !status; i++) {
        cap(path[i].tau, deepest, j->max_exit);
        status = trials_add(j, path[i].tau, -1, deepest, err);
    }
    return status;
}

/* Thresholds for the budgets that leave at exit `deepest` at the latest. */
static deer_status add_path(job *j, const float *tau, int deepest, double *budgets, int n,
                            deer_error *err)
{
    operating_point path[COARSE + FINE];
    float from[DEER_MAX_EXITS];

    memcpy(from, tau, sizeof from);
    cap(from, deepest, j->max_exit);
    qsort(budgets, (size_t)n, sizeof *budgets, ascending);
    if (frontier_path(j->solving, deepest, from, budgets, n, path, err))
        return DEER_FAILED;
    return add_points(j, path, n, deepest, err);
}

/* Losses may be rare on the part solved on, and thresholds fitted to them then jump from one to the
 * next. Where a loss is promised, there are some that are not fitted, from tau's cost up. */
static deer_status add_shifts(job *j, const float *tau, deer_error *err)
{
    operating_point path[SHIFTS];
    double budgets[SHIFTS], high = steps_fixed_cost(j->solving, j->max_exit);
    evaluation here;

    steps_evaluate(j->solving, tau, j->max_exit, &here);
    for (int i = 0; i < SHIFTS; i++)
        budgets[i] = here.cost + (high - here.cost) * (i - SHIFTS / 8.0) / (SHIFTS - SHIFTS / 8.0);
    if (frontier_shifts(j->solving, j->max_exit, tau, budgets, SHIFTS, path, err))
        return DEER_FAILED;
    return add_points(j, path, SHIFTS, j->max_exit, err);
}

/* Evenly over the costs that may be of use: those above the budget are, where they say nothing of
 * what is promised. */
static void coarse_budgets(const job *j, int deepest, double *budgets, int n)
{
    const guarantee_spec *spec = j->spec;
    double low = steps_fixed_cost(j->solving, 0), high = steps_fixed_cost(j->solving, deepest);

    if (!isfinite(spec->deviation) && !spec->mix && !spec->per_kind)
        high = fmax(fmin(high, 1.1 * spec->budget), low);
    for (int i = 0; i < n; i++)
        budgets[i] = low + (high - low) * (i + 0.5) / n;
}

/* Distances below the limit, as multiples of what a test reaches in half of all cases. Beyond the
 * first tests fail, beyond the second they do not, though the part solved on be a lucky one. */
static const double doubtful[2] = {-1.5, 2.5};

/* Sureness grows with the square of the distance. */
static double distance(double sureness)
{
    return fmin(copysign(sqrt(fabs(sureness)), sureness), 20);
}

typedef struct {
    double cost, sureness;
} place;

static int by_cost(const void *a, const void *b)
{
    const place *x = a, *y = b;

    return (x->cost > y->cost) - (x->cost < y->cost);
}

/* Budgets [most] for distances spread evenly over those in doubt, wherever the path at [n] passes
 * them; returns how many. */
static int fine_budgets(const place *at, int n, int most, double *budgets)
{
    int made = 0;

    for (int t = 0; t < most; t++) {
        double aim = doubtful[0] + (doubtful[1] - doubtful[0]) * t / (most - 1);

        for (int i = 1; i < n && made < most; i++) {
            double from = distance(at[i - 1].sureness), to = distance(at[i].sureness);

            if ((from < aim) != (to < aim))
                budgets[made++] =
                    at[i - 1].cost + (at[i].cost - at[i - 1].cost) * (aim - from) / (to - from);
        }
    }
    return made;
}

/* A path of thresholds that leave at exit `deepest` at the latest, coarse, then fine. */
static deer_status add_family(job *j, const float *tau, int deepest, int coarse, int fine,
                              deer_error *err)
{
    double budgets[COARSE + FINE];
    place at[COARSE];
    int first = j->n, n;

    coarse_budgets(j, deepest, budgets, coarse);
    if (add_path(j, tau, deepest, budgets, coarse, err))
        return DEER_FAILED;
    for (int i = 0; i < coarse; i++)
        at[i] = (place){j->trials[first + i].price, j->trials[first + i].sureness};
    qsort(at, (size_t)coarse, sizeof *at, by_cost);
    n = fine_budgets(at, coarse, fine, budgets);
    return n ? add_path(j, tau, deepest, budgets, n, err) : DEER_OK;
}

/* The first exit that may cost a step so much; the deepest allowed when none does. */
static int exit_costing(const job *j, double cost)
{
    int k = 0;

    while (k < j->max_exit && steps_peak(j->solving, k) < cost)
        k++;
    return k;
}

/* Thresholds that stop at an exit within the budget, however hard the step, keep it for certain. */
static deer_status add_within(job *j, const float *tau, deer_error *err)
{
    int deepest = exit_costing(j, j->spec->budget);
    double budget;

    if (steps_peak(j->solving, deepest) > j->spec->budget)
        deepest--;
    if (deepest < 1)
        return DEER_OK;
    budget = steps_fixed_cost(j->solving, deepest);
    return add_path(j, tau, deepest, &budget, 1, err);
}

/* The least loss of the steps solved on among the trials that a test will likely allow. */
static double promising(const job *j, int first, int last)
{
    double least = INFINITY;

    for (int i = first; i < last; i++)
        if (j->trials[i].sureness >= 1)
            least = fmin(least, job_mean(j, j->trials[i].loss));
    return least;
}

/* What an episode can cost at most decides how many episodes a test needs. So there are paths, too,
 * that stop earlier: less is possible there, and less has to be feared. The most promising path is
 * tested, the others put behind it: mixed, the first failure of one would end all. */
deer_status trials_make(job *j, const float *tau, deer_error *err)
{
    static const double times_budget[] = {1.5, 2, 3, INFINITY};
    int last = 0, from[5] = {0}, families = 0, best = 0;
    deer_status status = add_fixed(j, err);

    if (!status && isfinite(j->spec->budget))
        status = add_within(j, tau, err);
    for (int i = isfinite(j->spec->budget) ? 0 : 3; i < 4 && !status; i++) {
        int deepest = exit_costing(j, times_budget[i] * j->spec->budget);
        bool whole = deepest == j->max_exit;

        if (deepest == last && !whole)
            continue;
        last = deepest;
        from[families++] = j->n;
        status = add_family(j, tau, deepest, whole ? COARSE : CAPPED_COARSE,
                            whole ? FINE : CAPPED_FINE, err);
        if (whole && !status && isfinite(j->spec->deviation))
            status = add_shifts(j, tau, err);
        if (whole)
            break;
    }
    from[families] = j->n;
    for (int f = 1; f < families; f++)
        if (promising(j, from[f], from[f + 1]) <= promising(j, from[best], from[best + 1]))
            best = f;
    for (int i = from[0]; i < j->n && !status; i++)
        if (i < from[best] || i >= from[best + 1])
            j->trials[i].sureness = -INFINITY;
    if (!status)
        trials_expect_shocks(j);
    return status;
}
