/* SPDX-License-Identifier: MIT */
/* order.h - sorting float32 columns once, for everything that scans them by rank.
 *
 *   uint32_t *order = malloc(n * sizeof *order);
 *   if (order_ascending(delta, n, order, &err)) ...
 *   for (i = 0; i < n && !isnan(delta[order[i]]); i++) ...
 */
#ifndef CALIB_ORDER_H
#define CALIB_ORDER_H

#include <stdint.h>

#include "runtime/deer.h"

/* Indices of values [n] in ascending order; equal values keep their order, NaN of either sign comes
 * last, -0 and +0 are equal. O(n): a radix sort of three passes. */
deer_status order_ascending(const float *values, int64_t n, uint32_t *order, deer_error *err);

/* The same, and the values in that order, sorted [n]; -0 becomes 0. */
deer_status order_sorted(const float *values, int64_t n, uint32_t *order, float *sorted,
                         deer_error *err);

/* Unsigned integers in the order of the floats; NaN is the largest. And back. */
uint32_t order_key(float value);
float order_value(uint32_t key);

/* The values at given places, from 0, ascending and below the number of numbers, of the order of
 * all ranks' where they are spread. sorted [n]: this rank's, ascending. */
deer_status order_places(const float *sorted, int64_t n, bool spread, const int64_t *place,
                         int64_t places, float *at, deer_error *err);

#endif
