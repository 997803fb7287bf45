/* SPDX-License-Identifier: MIT */
/* gaussian.c - a Gaussian process through noisy numbers. */
#include "calib/online/gaussian.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/online/lapack.h"

/* ---------------------------------------------------------------- covariance --------------- */

static double matern(const gaussian *g, const double *a, const double *b)
{
    double squares = 0, r;

    for (int i = 0; i < g->d; i++)
        squares += (a[i] - b[i]) * (a[i] - b[i]);
    r = sqrt(5 * squares) / g->length;
    return g->variance * (1 + r + r * r / 3) * exp(-r);
}

/* ---------------------------------------------------------------- conditioning ------------- */

void gaussian_free(gaussian *g)
{
    free(g->x);
    free(g->factor);
    free(g->weights);
    g->x = g->factor = g->weights = NULL;
}

static deer_status make_room(gaussian *g, int d, int n, deer_error *err)
{
    size_t rows = (size_t)n;

    gaussian_free(g);
    g->d = d;
    g->n = n;
    g->x = malloc(rows * (size_t)d * sizeof *g->x);
    g->factor = malloc(rows * rows * sizeof *g->factor);
    g->weights = malloc(rows * sizeof *g->weights);
    return g->x && g->factor && g->weights
               ? DEER_OK
               : deer_fail(err, "out of memory for a Gaussian process of %d numbers", n);
}

deer_status gaussian_condition(gaussian *g, int d, int n, const double *x, const double *y,
                               const double *noise, deer_error *err)
{
    if (n < 1 || n > GAUSSIAN_MOST)
        return deer_fail(err, "a Gaussian process takes 1 to %d numbers, not %d", GAUSSIAN_MOST, n);
    if (lapack_open(err) || make_room(g, d, n, err))
        return DEER_FAILED;
    memcpy(g->x, x, (size_t)n * (size_t)d * sizeof *x);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j <= i; j++)
            g->factor[i * n + j] = matern(g, x + i * d, x + j * d) + (i == j ? noise[i] : 0);
        g->weights[i] = y[i] - g->mean;
    }
    if (lapack.potrf(LAPACK_ROW_MAJOR, 'L', n, g->factor, n) ||
        lapack.potrs(LAPACK_ROW_MAJOR, 'L', n, 1, g->factor, n, g->weights, 1))
        return deer_fail(err, "the covariance of %d numbers cannot be factored", n);
    return DEER_OK;
}

/* log P(y), without its constant. */
static double likelihood(const gaussian *g, const double *y)
{
    double sum = 0;

    for (int i = 0; i < g->n; i++)
        sum -= (y[i] - g->mean) * g->weights[i] / 2 + log(g->factor[i * g->n + i]);
    return sum;
}

/* Mean weighted by how exactly each number is known, and the variance around it. */
static double spread(int n, const double *y, const double *noise, double *mean)
{
    double weights = 0, sum = 0, squares = 0;

    for (int i = 0; i < n; i++) {
        weights += 1 / noise[i];
        sum += y[i] / noise[i];
    }
    *mean = sum / weights;
    for (int i = 0; i < n; i++)
        squares += (y[i] - *mean) * (y[i] - *mean);
    return squares / n;
}

deer_status gaussian_fit(gaussian *g, int d, int n, const double *x, const double *y,
                         const double *noise, deer_error *err)
{
    static const double lengths[] = {0.15, 0.3, 0.6, 1.2, 2.4}, shares[] = {0.1, 0.3, 1, 3};
    gaussian best = {.length = 0.6};
    double most = -INFINITY, mean, all = spread(n, y, noise, &mean);

    *g = (gaussian){0};
    all = fmax(all, 1e-12);
    for (int l = 0; l < 5; l++)
        for (int s = 0; s < 4; s++) {
            g->mean = mean;
            g->length = lengths[l];
            g->variance = shares[s] * all;
            if (gaussian_condition(g, d, n, x, y, noise, err))
                return DEER_FAILED;
            if (likelihood(g, y) <= most)
                continue;
            most = likelihood(g, y);
            best = (gaussian){.length = g->length, .variance = g->variance};
        }
    g->length = best.length;
    g->variance = best.variance;
    return gaussian_condition(g, d, n, x, y, noise, err);
}

/* ---------------------------------------------------------------- prediction --------------- */

void gaussian_predict(const gaussian *g, const double *x, double *mean, double *variance)
{
    double covariance[GAUSSIAN_MOST];

    *mean = g->mean;
    *variance = g->variance;
    for (int i = 0; i < g->n; i++) {
        covariance[i] = matern(g, x, g->x + i * g->d);
        *mean += covariance[i] * g->weights[i];
    }
    /* v = L^-1 k; what the numbers tell is |v|^2. */
    lapack.trtrs(LAPACK_ROW_MAJOR, 'L', 'N', 'N', g->n, 1, g->factor, g->n, covariance, 1);
    for (int i = 0; i < g->n; i++)
        *variance -= covariance[i] * covariance[i];
    *variance = fmax(0, *variance);
}

/* ---------------------------------------------------------------- acquisition -------------- */

static double density(double z)
{
    return exp(-z * z / 2) / sqrt(2 * M_PI);
}

static double cumulative(double z)
{
    return erfc(-z / M_SQRT2) / 2;
}

double expected_improvement(double mean, double variance, double best)
{
    double deviation = sqrt(variance), z = (mean - best) / deviation;

    if (!(deviation > 0))
        return fmax(0, mean - best);
    return (mean - best) * cumulative(z) + deviation * density(z);
}

double probability_below(double mean, double variance, double limit)
{
    double deviation = sqrt(variance);

    if (!(deviation > 0))
        return mean <= limit;
    return cumulative((limit - mean) / deviation);
}
