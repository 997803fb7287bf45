/* SPDX-License-Identifier: MIT */
/* order.c - radix sort of float32 columns by index. */
#include "calib/problem/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { DIGIT = 11, PASSES = 3, BUCKETS = 1 << DIGIT };

typedef struct {
    uint32_t key, index;
} item;

/* Unsigned integers in the order of the floats: flip all bits of negatives, the sign of others. */
static uint32_t sortable(float value)
{
    uint32_t bits;

    if (isnan(value))
        return UINT32_MAX;
    value += 0.0f; /* -0 becomes +0 */
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static void pass(item *from, item *to, int64_t n, int shift)
{
    int64_t start[BUCKETS] = {0}, sum = 0;

    for (int64_t i = 0; i < n; i++)
        start[(from[i].key >> shift) & (BUCKETS - 1)]++;
    for (int b = 0; b < BUCKETS; b++) {
        int64_t count = start[b];
        start[b] = sum;
        sum += count;
    }
    for (int64_t i = 0; i < n; i++)
        to[start[(from[i].key >> shift) & (BUCKETS - 1)]++] = from[i];
}

deer_status order_ascending(const float *values, int64_t n, uint32_t *order, deer_error *err)
{
    item *items = malloc(2 * (size_t)n * sizeof *items + 1), *from = items, *to = items + n;

    if (!items)
        return deer_fail(err, "out of memory sorting %lld values", (long long)n);
    for (int64_t i = 0; i < n; i++)
        from[i] = (item){sortable(values[i]), (uint32_t)i};
    for (int p = 0; p < PASSES; p++) {
        item *swap = from;
        pass(from, to, n, p * DIGIT);
        from = to;
        to = swap;
    }
    for (int64_t i = 0; i < n; i++)
        order[i] = from[i].index;
    free(items);
    return DEER_OK;
}
