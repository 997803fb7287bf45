/* SPDX-License-Identifier: MIT */
/* gaussian.h - a Gaussian process through noisy numbers.
 *
 *   gaussian_fit(&g, 2, n, x, y, noise, &err);
 *   gaussian_predict(&g, at, &mean, &variance);
 *   gaussian_free(&g);
 *
 * Covariance: Matern 5/2, one length for all coordinates, which lie in 0..1. Length and variance
 * are those of a grid under which the numbers are likeliest. Source: Rasmussen and Williams,
 * Gaussian Processes for Machine Learning, algorithm 2.1 and section 5.4.
 */
#ifndef CALIB_GAUSSIAN_H
#define CALIB_GAUSSIAN_H

#include "runtime/deer.h"

enum { ONLINE_MOST = 4 /* coordinates */, GAUSSIAN_MOST = 512 /* numbers */ };

typedef struct {
    int d, n;
    double mean;              /* far from all numbers */
    double variance, length;  /* of the covariance */
    double *x;                /* [n, d] */
    double *factor, *weights; /* of the covariance matrix: Cholesky [n, n]; K^-1 (y - mean) [n] */
} gaussian;

/* Through y [n] at x [n, d], each with a variance of its noise, above 0. The caller frees it, also
 * after a failure. */
deer_status gaussian_fit(gaussian *g, int d, int n, const double *x, const double *y,
                         const double *noise, deer_error *err);

/* The same with covariance and mean given. */
deer_status gaussian_condition(gaussian *g, int d, int n, const double *x, const double *y,
                               const double *noise, deer_error *err);
void gaussian_free(gaussian *g);

/* What is known at x [d], without noise. */
void gaussian_predict(const gaussian *g, const double *x, double *mean, double *variance);

/* E max(0, y - best) for a normal y. */
double expected_improvement(double mean, double variance, double best);

/* P(y <= limit) for a normal y. */
double probability_below(double mean, double variance, double limit);

#endif
