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

#endif
