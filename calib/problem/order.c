/* SPDX-License-Identifier: MIT */
/* order.c - radix sort of float32 columns by index. */
#include "calib/problem/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"

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

static float from_sortable(uint32_t key)
{
    uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float value;

    memcpy(&value, &bits, sizeof value);
    return key == UINT32_MAX ? NAN : value;
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

/* ---------------------------------------------------------------- places ------------------- */

enum { FEW_BITS = 8, MANY_BITS = 16, MANY = 1 << 20 };

/* Counts the next `bits` of those that begin as found so far. */
static void count_digits(const float *values, const uint8_t *gone, int64_t n, uint32_t found,
                         int shift, int bits, int64_t *count)
{
    int known = shift + bits;
    uint32_t digits = (1u << bits) - 1;

    memset(count, 0, ((size_t)digits + 1) * sizeof *count);
    for (int64_t i = 0; i < n; i++) {
        uint32_t key = sortable(values[i]);

        if (!gone[i] && (known == 32 || key >> known == found >> known))
            count[key >> shift & digits]++;
    }
}

/* Digit by digit from the highest on: which of them the count-th smallest has. */
float order_smallest(const float *values, const uint8_t *gone, int64_t n, int64_t count,
                     bool spread)
{
    int64_t with[1 << MANY_BITS], all = n;
    uint32_t found = 0;
    int bits;

    if (spread)
        cluster_count(&all, 1);
    bits = all < MANY ? FEW_BITS : MANY_BITS;
    for (int shift = 32 - bits; shift >= 0; shift -= bits) {
        uint32_t digit = 0;

        count_digits(values, gone, n, found, shift, bits, with);
        if (spread)
            cluster_count(with, (int64_t)1 << bits);
        while (digit < 1u << bits && count > with[digit])
            count -= with[digit++];
        if (digit == 1u << bits)
            return NAN;
        found |= digit << shift;
    }
    return from_sortable(found);
}

/* How many of this rank's values, in order, have keys below `key`. */
static int64_t count_below(const float *values, const uint32_t *order, int64_t n, uint32_t key)
{
    int64_t low = 0, high = n;

    while (low < high) {
        int64_t middle = (low + high) / 2;

        if (sortable(values[order[middle]]) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Bit by bit, for all places at once: the largest key with no more values below it than the place.
 */
static void find_places(const float *values, const uint32_t *order, int64_t n, const int64_t *place,
                        int64_t places, uint32_t *key, int64_t *below)
{
    memset(key, 0, (size_t)places * sizeof *key);
    for (uint32_t bit = 0x80000000u; bit; bit >>= 1) {
        for (int64_t i = 0; i < places; i++)
            below[i] = count_below(values, order, n, key[i] | bit);
        cluster_count(below, places);
        for (int64_t i = 0; i < places; i++)
            key[i] |= below[i] <= place[i] ? bit : 0;
    }
}

deer_status order_places(const float *values, const uint32_t *order, int64_t n, bool spread,
                         const int64_t *place, int64_t places, float *at, deer_error *err)
{
    uint32_t *key;
    int64_t *below;

    for (int64_t i = 0; i < places && !spread; i++)
        at[i] = values[order[place[i]]];
    if (!spread)
        return DEER_OK;
    key = malloc((size_t)places * sizeof *key + 1);
    below = malloc((size_t)places * sizeof *below + 1);
    if (key && below) {
        find_places(values, order, n, place, places, key, below);
        for (int64_t i = 0; i < places; i++)
            at[i] = from_sortable(key[i]);
    }
    free(below);
    free(key);
    return key && below ? DEER_OK
                        : deer_fail(err, "out of memory for %lld places", (long long)places);
}
