/* SPDX-License-Identifier: MIT */
/* path.c - thresholds as points of the unit cube. */
#include "calib/online/path.h"

#include <math.h>

#include "runtime/base/tau.h"

/* The setting of the dial, and the point at or below it. */
static double setting(const online_path *p, double x, int *below)
{
    int last = deer_thresholds_points(p->t) - 1, i = 0;
    double u = p->budget * (0.7 + 0.6 * x);

    u = fmax(deer_thresholds_point(p->t, 0)->budget_gflops,
             fmin(deer_thresholds_point(p->t, last)->budget_gflops, u));
    while (i + 1 < last && deer_thresholds_point(p->t, i + 1)->budget_gflops <= u)
        i++;
    *below = i;
    return u;
}

double online_path_cost(const void *context, const double *x)
{
    int below;

    return setting(context, x[0], &below);
}

static bool is_finite_tau(float tau)
{
    return tau > 0 && !tau_word(tau);
}

/* Between two points' thresholds, on a logarithmic scale; the nearer one where one has none. */
static float between(float a, float b, double share)
{
    if (!is_finite_tau(a) || !is_finite_tau(b))
        return share < 0.5 ? a : b;
    return (float)exp((1 - share) * log((double)a) + share * log((double)b));
}

/* By how much, of -1..1, coordinates behind the first move threshold k of n. */
static double tilt(int d, const double *x, int k, int n)
{
    double middle = (n - 1) / 2.0, sum = 0;

    if (d > 1 && n > 1)
        sum += (2 * x[1] - 1) * (k - middle) / middle;
    if (d > 2 && k == 0)
        sum += 2 * x[2] - 1;
    if (d > 3 && k == 1)
        sum += 2 * x[3] - 1;
    return sum;
}

void online_path_tau(const online_path *p, int d, const double *x, float *tau)
{
    int below, n = deer_thresholds_max_exit(p->t);
    double u = setting(p, x[0], &below);
    const deer_point *a = deer_thresholds_point(p->t, below);
    const deer_point *b = deer_thresholds_point(p->t, below + 1);
    double share = b ? (u - a->budget_gflops) / (b->budget_gflops - a->budget_gflops) : 0;

    for (int k = 0; k < n; k++) {
        tau[k] = between(a->tau[k], b ? b->tau[k] : a->tau[k], share);
        if (is_finite_tau(tau[k]))
            tau[k] *= (float)pow(3, tilt(d, x, k, n));
    }
    tau[n] = TAU_ALWAYS;
}
