/* SPDX-License-Identifier: MIT */
/* smallest.c - order statistics by counting the halves of floats. */
#include "calib/problem/smallest.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "calib/problem/order.h"

enum { DIGITS = 256, HALVES = DIGITS * DIGITS };

deer_status smallest_take(const float *values, int64_t n, smallest_column *c, deer_error *err)
{
    *c =
        (smallest_column){.value = values, .n = n, .high = malloc((size_t)n * sizeof *c->high + 1)};
    if (!c->high)
        return deer_fail(err, "out of memory for %lld values", (long long)n);
    for (int64_t i = 0; i < n; i++)
        c->high[i] = (uint16_t)(order_key(values[i]) >> 16);
    return DEER_OK;
}

void smallest_free(smallest_column *c)
{
    free(c->high);
    *c = (smallest_column){0};
}

/* Which digit the count-th has, from how many of this rank's have each; takes those before it off
 * the count. DIGITS: there are not so many. */
static uint32_t find_digit(int64_t *with, bool spread, int64_t *count)
{
    uint32_t digit = 0;

    if (spread)
        cluster_count(with, DIGITS);
    while (digit<DIGITS && * count> with[digit])
        *count -= with[digit++];
    return digit;
}

/* Two digits, from how many have each pair of them. HALVES: there are not so many. */
static uint32_t find_half(const uint32_t *with, bool spread, int64_t *count)
{
    int64_t sum[DIGITS] = {0};
    uint32_t first;

    for (int half = 0; half < HALVES; half++)
        sum[half / DIGITS] += with[half];
    first = find_digit(sum, spread, count);
    if (first == DIGITS)
        return HALVES;
    for (uint32_t i = 0; i < DIGITS; i++)
        sum[i] = with[first * DIGITS + i];
    return first * DIGITS + find_digit(sum, spread, count);
}

enum { STRETCH = 64 };

/* Whether any of so many steps begins like that; most stretches have none. */
static bool any_begins(const uint16_t *restrict half, uint32_t high)
{
    uint16_t same = 0, wanted = (uint16_t)high;

    for (int i = 0; i < STRETCH; i++)
        same |= half[i] == wanted;
    return same;
}

/* Counts the second halves of those that begin like that. */
static void count_low(const smallest_column *c, const uint8_t *gone, uint32_t high, uint32_t *with)
{
    for (int64_t from = 0; from < c->n; from += STRETCH) {
        int64_t to = from + STRETCH < c->n ? from + STRETCH : c->n;

        if (to - from == STRETCH && !any_begins(c->high + from, high))
            continue;
        for (int64_t i = from; i < to; i++)
            if (c->high[i] == high && !gone[i])
                with[order_key(c->value[i]) & (HALVES - 1)]++;
    }
}

float smallest_of(const smallest_column *c, const uint8_t *gone, int64_t count, bool spread)
{
    const uint16_t *restrict half = c->high;
    uint32_t with[HALVES] = {0}, high, low;
    int64_t n = c->n;

    for (int64_t i = 0; i < n; i++)
        with[half[i]] += !gone[i];
    high = find_half(with, spread, &count);
    if (high == HALVES)
        return NAN;
    memset(with, 0, sizeof with);
    count_low(c, gone, high, with);
    low = find_half(with, spread, &count);
    return order_value(high << 16 | low);
}
