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

/* The count-th smallest, from 1, of the values with gone[i] 0; NaN where there are fewer. spread:
 * of those of all ranks of a cluster. */
float order_smallest(const float *values, const uint8_t *gone, int64_t n, int64_t count,
                     bool spread);

/* The values [n] at given places, from 0 and below the number of values, of the order of all
 * ranks'. sorted  this rank's values in order: values[order[0]], .. */
deer_status order_places(const float *values, const uint32_t *order, int64_t n, bool spread,
                         const int64_t *place, int64_t places, float *at, deer_error *err);

#endif
