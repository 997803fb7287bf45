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

/* Flip all bits of negatives, the sign of others. */
uint32_t order_key(float value)
{
    uint32_t bits;

    if (isnan(value))
        return UINT32_MAX;
    value += 0.0f; /* -0 becomes +0 */
    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

float order_value(uint32_t key)
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

deer_status order_sorted(const float *values, int64_t n, uint32_t *order, float *sorted,
                         deer_error *err)
{
    item *items = malloc(2 * (size_t)n * sizeof *items + 1), *from = items, *to = items + n;

    if (!items)
        return deer_fail(err, "out of memory sorting %lld values", (long long)n);
    for (int64_t i = 0; i < n; i++)
        from[i] = (item){order_key(values[i]), (uint32_t)i};
    for (int p = 0; p < PASSES; p++) {
        item *swap = from;
        pass(from, to, n, p * DIGIT);
        from = to;
        to = swap;
    }
    for (int64_t i = 0; i < n; i++)
        order[i] = from[i].index;
    for (int64_t i = 0; i < n && sorted; i++)
        sorted[i] = order_value(from[i].key);
    free(items);
    return DEER_OK;
}

deer_status order_ascending(const float *values, int64_t n, uint32_t *order, deer_error *err)
{
    return order_sorted(values, n, order, NULL, err);
}

/* ---------------------------------------------------------------- places ------------------- */

enum { HIGH = 1 << 16 };

/* What is known of a place in the order of everybody's values. */
typedef struct {
    uint32_t key;     /* its first bits; zeros behind */
    uint32_t from, n; /* where this rank's values that begin like that lie, and how many */
    int64_t behind;   /* how many of everybody's that begin like that come before the place */
} spot;

/* The upper half of every place's key: from how many values have each. */
static void find_high(const float *sorted, int64_t n, const int64_t *place, int64_t places,
                      int64_t *with, spot *at)
{
    int64_t mine = 0, before = 0;
    int64_t *own = with + HIGH;
    int64_t i = 0;

    memset(own, 0, HIGH * sizeof *own);
    for (int64_t j = 0; j < n; j++)
        own[order_key(sorted[j]) >> 16]++;
    memcpy(with, own, HIGH * sizeof *with);
    cluster_count(with, HIGH);
    for (uint32_t high = 0; high < HIGH; high++) {
        for (; i < places && place[i] < before + with[high]; i++)
            at[i] = (spot){high << 16, (uint32_t)mine, (uint32_t)own[high], place[i] - before};
        before += with[high];
        mine += own[high];
    }
}

/* How many of a spot's values have keys below `key`. */
static uint32_t count_below(const float *sorted, const spot *at, uint32_t key)
{
    uint32_t low = 0, high = at->n;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;

        if (order_key(sorted[at->from + middle]) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* One bit more. Places come in order: those that begin alike lie together, and are counted once.
 * below [2, places] */
static void find_bit(const float *sorted, uint32_t bit, int64_t places, spot *at, int64_t *below)
{
    int64_t *own = below + places, different = 0, d = -1;
    uint32_t before = 0;

    for (int64_t i = 0; i < places; i++)
        if (!i || at[i].key != at[i - 1].key)
            own[different++] = count_below(sorted, &at[i], at[i].key | bit);
    memcpy(below, own, (size_t)different * sizeof *below);
    cluster_count(below, different);
    for (int64_t i = 0; i < places; i++) {
        uint32_t key = at[i].key, less;

        d += !i || key != before;
        before = key;
        less = (uint32_t)own[d];
        if (at[i].behind < below[d])
            at[i].n = less;
        else
            at[i] = (spot){key | bit, at[i].from + less, at[i].n - less, at[i].behind - below[d]};
    }
}

deer_status order_places(const float *sorted, int64_t n, bool spread, const int64_t *place,
                         int64_t places, float *at, deer_error *err)
{
    size_t room = (size_t)(places > HIGH ? places : HIGH);
    spot *found;
    int64_t *count;

    for (int64_t i = 0; i < places && !spread; i++)
        at[i] = sorted[place[i]];
    if (!spread)
        return DEER_OK;
    found = malloc((size_t)places * sizeof *found + 1);
    count = malloc(2 * room * sizeof *count);
    if (found && count) {
        find_high(sorted, n, place, places, count, found);
        for (uint32_t bit = HIGH >> 1; bit; bit >>= 1)
            find_bit(sorted, bit, places, found, count);
        for (int64_t i = 0; i < places; i++)
            at[i] = order_value(found[i].key);
    }
    free(count);
    free(found);
    return found && count ? DEER_OK
                          : deer_fail(err, "out of memory for %lld places", (long long)places);
}
