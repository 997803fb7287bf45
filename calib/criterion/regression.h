/* SPDX-License-Identifier: MIT */
/* regression.h - what a loss is expected to be, from numbers known before it.
 *
 *   term [n, m], the first of each row 1;  y [n], not negative
 *   regression_fit(term, y, n, m, weight);
 *   expected = exp(sum over j of weight[j] * term[j])
 *
 * Gamma errors with a log link: losses are positive, and their spread grows with their size.
 * Source: McCullagh and Nelder, Generalized Linear Models, chapter 8; with this link all weights of
 * Fisher scoring are 1, so that its matrix is factored once.
 */
#ifndef CALIB_REGRESSION_H
#define CALIB_REGRESSION_H

#include <stdint.h>

#define REGRESSION_MOST 64 /* terms */

/* Mean and spread of x [n], the spread not below 1e-6: what makes terms of like size, which the
 * fit's pull towards 0 (three rows' worth for every weight but the first) takes them to be. */
void regression_spread(const double *x, int64_t n, double *mean, double *spread);

/* Weights [m] of the terms, m at most REGRESSION_MOST. */
void regression_fit(const double *term, const float *y, int64_t n, int m, double *weight);

#endif
