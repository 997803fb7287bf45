/* SPDX-License-Identifier: MIT */
/* regression.c - gamma regression by Fisher scoring. */
#include "calib/criterion/regression.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#define ROUNDS 25
#define RIDGE 3.0 /* rows' worth of "no influence" for every weight but the first */
#define MOST REGRESSION_MOST

void regression_spread(const double *x, int64_t n, double *mean, double *spread)
{
    double sum = 0, square = 0;

    for (int64_t i = 0; i < n; i++)
        sum += x[i];
    *mean = sum / (double)n;
    for (int64_t i = 0; i < n; i++)
        square += (x[i] - *mean) * (x[i] - *mean);
    *spread = sqrt(fmax(1e-12, square / (double)n));
}

/* ---------------------------------------------------------------- a few equations ---------- */

/* The lower half of a [m, m], symmetric, becomes its Cholesky factor. False for one that has none.
 * A few dozen terms at most: the sums are the same on every machine, and no library's threads are
 * started for them. */
static bool factor(double *a, int m)
{
    for (int j = 0; j < m; j++)
        for (int i = j; i < m; i++) {
            double sum = a[i * m + j];

            for (int k = 0; k < j; k++)
                sum -= a[i * m + k] * a[j * m + k];
            if (i == j && !(sum > 0))
                return false;
            a[i * m + j] = i == j ? sqrt(sum) : sum / a[j * m + j];
        }
    return true;
}

/* The answer takes the place of the right side. */
static void solve_factored(const double *a, int m, double *x)
{
    for (int i = 0; i < m; i++) {
        for (int k = 0; k < i; k++)
            x[i] -= a[i * m + k] * x[k];
        x[i] /= a[i * m + i];
    }
    for (int i = m - 1; i >= 0; i--) {
        for (int k = i + 1; k < m; k++)
            x[i] -= a[k * m + i] * x[k];
        x[i] /= a[i * m + i];
    }
}

/* ---------------------------------------------------------------- scoring ------------------ */

/* The lower half alone. */
static void information(const double *term, int64_t n, int m, double *a)
{
    memset(a, 0, (size_t)(m * m) * sizeof *a);
    for (int j = 0; j < m; j++)
        a[j * m + j] = j ? RIDGE : 1e-9;
    for (int64_t i = 0; i < n; i++, term += m)
        for (int j = 0; j < m; j++)
            for (int k = 0; k <= j; k++)
                a[j * m + k] += term[j] * term[k];
}

/* What the residuals say about every weight. A loss far above its expectation counts as ten times
 * as much: one step does not turn a weight around. */
static void score_of(const double *term, const float *y, int64_t n, int m, const double *weight,
                     double *right)
{
    for (int j = 0; j < m; j++)
        right[j] = j ? -RIDGE * weight[j] : 0;
    for (int64_t i = 0; i < n; i++, term += m) {
        double sum = 0, rest;

        for (int j = 0; j < m; j++)
            sum += weight[j] * term[j];
        rest = fmin(10, ((double)y[i] + 1e-9) / exp(sum) - 1);
        for (int j = 0; j < m; j++)
            right[j] += term[j] * rest;
    }
}

static bool any_nan(const double *x, int m)
{
    bool any = false;

    for (int i = 0; i < m; i++)
        any |= isnan(x[i]) != 0;
    return any;
}

void regression_fit(const double *term, const float *y, int64_t n, int m, double *weight)
{
    double a[MOST * MOST], right[MOST], mean = 0;

    for (int64_t i = 0; i < n; i++)
        mean += (double)y[i] / (double)n;
    memset(weight, 0, (size_t)m * sizeof *weight);
    weight[0] = log(fmax(mean, 1e-12));
    information(term, n, m, a);
    if (!factor(a, m))
        return; /* terms that are no numbers: the mean is all there is */
    for (int round = 0; round < ROUNDS; round++) {
        double moved = 0;

        score_of(term, y, n, m, weight, right);
        solve_factored(a, m, right);
        if (any_nan(right, m))
            return; /* losses that are no numbers */
        for (int j = 0; j < m; j++) {
            weight[j] += fmax(-1, fmin(1, right[j]));
            moved = fmax(moved, fabs(right[j]));
        }
        if (moved < 1e-4)
            break;
    }
}
