/* SPDX-License-Identifier: MIT */
/* bound.h - is a mean below a limit? Tests that hold at finite samples, whatever the order of the
 * draws.
 *
 *   bound_case c = {.limit = 0, .high = 5, .spread = 1, .delta = 0.1, .seed = 1};
 *   if (bound_p_value(BOUND_BETTING, z, n, &c, &p, &err)) ...
 *   if (p <= 0.1) ...                                          // 90% sure that the mean is below 0
 *
 * The null hypothesis is mean >= limit, of independent draws from one distribution. A p-value of a
 * true null is at or below delta with probability at most delta. */
#ifndef CALIB_BOUND_H
#define CALIB_BOUND_H

#include <stdint.h>

#include "runtime/deer.h"

typedef enum {
    BOUND_BETTING, /* betting.h: valid for any distribution below `high`, any n */
    BOUND_T,       /* Student's t: approximate, for comparison */
    BOUND_CRC,     /* conformal risk control: the mean over repetitions, no p-value */
} bound_kind;

/* NULL for no kind. */
const char *bound_name(bound_kind kind);

typedef struct {
    double limit;  /* of the mean */
    double high;   /* that no draw exceeds, known before they are drawn */
    double spread; /* a guess of the draws' standard deviation made without looking at them, and */
    double delta;  /* the level at which the p-value will be used: they set the size of the bets */
    uint64_t seed; /* of the shuffles */
} bound_case;

/* p-value of "mean of z >= limit" from z [n]; betting or t. It is 1 when the mean of z is itself
 * above the limit, and (betting) when a z is above `high`, which contradicts what was known. Fails
 * when out of memory. */
deer_status bound_p_value(bound_kind kind, const double *z, int n, const bound_case *c, double *p,
                          deer_error *err);

/* Is the mean of a further draw at most the limit, on average over repetitions of all n + 1? z [n]:
 * of the chosen one of a row of choices, z not falling from each to the next for every draw.
 * Source: Angelopoulos et al., "Conformal Risk Control", ICLR 2024, theorem 1. */
bool bound_crc_holds(const double *z, int n, double limit, double high);

/* How many draws it takes, about, for an even chance when the mean is `gap` below the limit, with
 * c's spread, high and delta. Infinite without a gap. */
double bound_draws_needed(bound_kind kind, double gap, const bound_case *c);

#endif
