/* SPDX-License-Identifier: MIT */
/* smallest.h - the count-th smallest value among some of many steps, found without sorting them.
 *
 *   smallest_column c;
 *   if (smallest_take(values, n, &c, &err)) ...
 *   v = smallest_of(&c, gone, 17, spread);       // again and again, for whatever is gone
 *   smallest_free(&c);
 *
 * How many of the steps have each first half of a float says which first half the value has; those
 * few that begin like it are looked through for the second half. Of many ranks each counts its own,
 * and what they tell each other are four times 256 numbers, however many steps there are.
 */
#ifndef CALIB_SMALLEST_H
#define CALIB_SMALLEST_H

#include <stdint.h>

#include "runtime/deer.h"

typedef struct {
    const float *value; /* [n], borrowed */
    uint16_t *high;     /* [n] first halves of their keys (order.h) */
    int64_t n;
} smallest_column;

deer_status smallest_take(const float *values, int64_t n, smallest_column *c, deer_error *err);
void smallest_free(smallest_column *c);

/* The count-th smallest, from 1, of the values with gone[i] 0; NaN where there are fewer numbers.
 * spread: of those of all ranks of a cluster. -0 is 0. */
float smallest_of(const smallest_column *c, const uint8_t *gone, int64_t count, bool spread);

#endif
