/* SPDX-License-Identifier: MIT */
/* bound.h - is a mean below a limit? Tests that hold at finite samples, from independent draws.
 *
 *   p = bound_p_value(BOUND_BETTING, z, n, 0, low, high, spread, 0.1);
 *   if (p <= 0.1) ...                                          // 90% sure that the mean is below 0
 *
 * The null hypothesis is mean >= limit. A p-value of a true null is at or below any delta with
 * probability at most delta. */
#ifndef CALIB_BOUND_H
#define CALIB_BOUND_H

#include <stdbool.h>

typedef enum {
    BOUND_BETTING, /* a wealth process: valid for any distribution in [low, high], any n.
                      Source: Waudby-Smith and Ramdas, "Estimating means of bounded random variables
                      by betting", JRSS B 2024 */
    BOUND_T,       /* Student's t: approximate, for comparison */
} bound_kind;

const char *bound_name(bound_kind kind);

/* p-value of "mean of z >= limit" from independent z [n], known before they are drawn to lie in
 * low..high (betting; a z above high contradicts that: 1).
 *   spread, delta  a guess of z's standard deviation made without looking at z, and the level at
 *                  which the p-value will be used: they set the size of the bets (betting only; any
 *                  values are valid, good ones give more power) */
double bound_p_value(bound_kind kind, const double *z, int n, double limit, double low, double high,
                     double spread, double delta);

/* How many draws it takes, about, to reject at level delta when the mean is `gap` below the limit
 * and draws reach up to `above` over it. Infinite without a gap. */
double bound_draws_needed(double gap, double spread, double above, double delta);

#endif
