/* SPDX-License-Identifier: MIT */
/* bound.c - betting against a mean, and Student's t. */
#include "calib/guarantee/bound.h"

#include <math.h>
#include <stddef.h>

const char *bound_name(bound_kind kind)
{
    return kind == BOUND_BETTING ? "betting" : kind == BOUND_T ? "t" : NULL;
}

/* ---------------------------------------------------------------- betting ------------------ */

/* Wealth of a gambler who stakes the same share of his wealth on every draw falling below the
 * limit: under the null hypothesis it grows in expectation by nothing, so (Ville) it ever exceeds
 * 1/p with probability at most p. The share that reaches log(1/delta) with the smallest gap after n
 * draws is sqrt(2 log(1/delta) / n) / spread; it may not risk more than nine tenths. */
static double betting(const double *z, int n, double limit, double high, double spread,
                      double delta)
{
    double stake = sqrt(2 * log(1 / delta) / (double)n) / spread;
    double most = high > limit ? 0.9 / (high - limit) : INFINITY;
    double log_wealth = 0, best = 0;

    stake = stake < most ? stake : most;
    for (int i = 0; i < n; i++) {
        log_wealth += log1p(stake * (limit - z[i]));
        best = fmax(best, log_wealth);
    }
    return exp(-best);
}

/* ---------------------------------------------------------------- Student ------------------ */

/* Continued fraction of the incomplete beta function, by Lentz. Source: DLMF 8.17.22. */
static double beta_fraction(double a, double b, double x)
{
    const double tiny = 1e-300;
    double c = 1, d = 1 - (a + b) * x / (a + 1), f;

    d = 1 / (fabs(d) < tiny ? tiny : d);
    f = d;
    for (int m = 1; m < 500; m++) {
        double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));

        for (int half = 0; half < 2; half++) {
            double term = half ? odd : even, change;

            d = 1 + term * d;
            d = 1 / (fabs(d) < tiny ? tiny : d);
            c = 1 + term / c;
            c = fabs(c) < tiny ? tiny : c;
            change = c * d;
            f *= change;
            if (half && fabs(change - 1) < 1e-15)
                return f;
        }
    }
    return f;
}

static double incomplete_beta(double a, double b, double x)
{
    double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x));

    if (x <= 0 || x >= 1)
        return x <= 0 ? 0 : 1;
    return x < (a + 1) / (a + b + 2) ? front * beta_fraction(a, b, x) / a
                                     : 1 - front * beta_fraction(b, a, 1 - x) / b;
}

/* P(T <= t) of Student's t. */
static double student(double t, double freedom)
{
    double tail = incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t)) / 2;

    return t < 0 ? tail : 1 - tail;
}

static double t_test(const double *z, int n, double limit)
{
    double mean = 0, square = 0;

    if (n < 2)
        return 1;
    for (int i = 0; i < n; i++)
        mean += z[i] / n;
    for (int i = 0; i < n; i++)
        square += (z[i] - mean) * (z[i] - mean);
    if (square <= 0)
        return mean < limit ? 0 : 1;
    return student((mean - limit) / sqrt(square / (n - 1) / n), n - 1);
}

/* ---------------------------------------------------------------- entry -------------------- */

/* A sum may be this much above the highest value, as a share of the range. */
static const double rounding = 1e-9;

static double largest(const double *z, int n)
{
    double most = -INFINITY;

    for (int i = 0; i < n; i++)
        most = fmax(most, z[i]);
    return most;
}

double bound_p_value(bound_kind kind, const double *z, int n, double limit, double low, double high,
                     double spread, double delta)
{
    if (n < 1 || limit <= low)
        return 1;
    if (kind == BOUND_T)
        return t_test(z, n, limit);
    if (largest(z, n) > high + rounding * (high - low))
        return 1;
    return betting(z, n, limit, high, fmax(spread, 1e-12 * (high - low)), delta);
}

double bound_draws_needed(double gap, double spread, double above, double delta)
{
    double by_spread, by_range;

    if (!(gap > 0))
        return INFINITY;
    by_spread = 2 * log(1 / delta) * spread * spread / (gap * gap);
    by_range = log(1 / delta) / log1p(0.9 * gap / fmax(above, gap));
    return ceil(fmax(by_spread, by_range));
}
