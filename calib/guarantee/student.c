/* SPDX-License-Identifier: MIT */
/* student.c - the t-test, approximate. */
#include "calib/guarantee/student.h"

#include <math.h>

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

double student_p_value(const double *z, int n, double limit)
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
