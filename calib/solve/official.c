/* SPDX-License-Identifier: MIT */
/* official.c - assumed exit fractions and sequential quantiles, as the official code has them. */
#include "calib/solve/official.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "calib/problem/order.h"

const char *official_name(official_distribution distribution)
{
    static const char *const names[] = {"exp", "gauss", "gamma"};

    return (unsigned)distribution < 3 ? names[distribution] : NULL;
}

/* ---------------------------------------------------------------- fractions ---------------- */

/* Density of the gamma distribution of scale 2, as scipy computes it, in double. */
static double gamma_density(double x, double shape)
{
    double half = x / 2, power = shape == 1 ? 0 : (shape - 1) * log(half);

    return exp(power - half - lgamma(shape)) / 2;
}

static float density(official_distribution distribution, double parameter, int k)
{
    switch (distribution) {
    case OFFICIAL_EXP: /* float32 base, as torch makes it of a Python float */
        return powf((float)parameter, (float)(k + 1));
    case OFFICIAL_GAUSS:
        return (float)exp(-((k - parameter) * (k - parameter)) / 2);
    case OFFICIAL_GAMMA:
        return (float)gamma_density(k + 1, parameter);
    }
    return 0;
}

/* The order in which torch adds the columns x[0], x[stride], .. of up to 32 numbers: four running
 * sums, what is left over into the first, then the four together. */
static float sum_four(const float *x, int stride, int n)
{
    float part[4] = {0, 0, 0, 0};
    int whole = n / 4 * 4;

    for (int i = 0; i < whole; i++)
        part[i % 4] += x[i * stride];
    for (int i = whole; i < n; i++)
        part[0] += x[i * stride];
    return part[0] + part[1] + part[2] + part[3];
}

/* torch.sum of a short float32 vector: below a vector register of 8 it adds by sum_four, else lane
 * by lane, then the tail and the lanes in order. The last bit decides floor(n * fraction). */
static float sum_torch(const float *x, int n)
{
    enum { LANES = 8 };
    float sum = 0;

    if (n < LANES)
        return sum_four(x, 1, n);
    for (int i = n / LANES * LANES; i < n; i++)
        sum += x[i];
    for (int lane = 0; lane < LANES; lane++)
        sum += sum_four(x + lane, LANES, n / LANES);
    return sum;
}

void official_fractions(official_distribution distribution, double parameter, bool skip_first,
                        int exits, float *fractions)
{
    float sum;

    for (int k = 0; k < exits; k++)
        fractions[k] = density(distribution, parameter, k);
    if (skip_first)
        fractions[0] = 0;
    sum = sum_torch(fractions, exits);
    for (int k = 0; k < exits; k++)
        fractions[k] /= sum;
}

/* ---------------------------------------------------------------- quantiles ---------------- */

/* Few are sorted once, and walked through for every quantile; many would miss every cache then. */
enum { FEW = 1 << 18 };

static deer_status sort(official_steps *s, deer_error *err)
{
    s->order = malloc((size_t)s->exits * (size_t)s->n * sizeof *s->order + 1);
    if (!s->order)
        return deer_fail(err, "out of memory sorting %lld steps", (long long)s->n);
    for (int k = 0; k < s->exits; k++)
        if (order_ascending(s->values + k * s->n, s->n, s->order + k * s->n, err))
            return DEER_FAILED;
    return DEER_OK;
}

static deer_status take(official_steps *s, deer_error *err)
{
    s->gone = malloc((size_t)s->n + 1);
    if (!s->gone)
        return deer_fail(err, "out of memory for %lld steps", (long long)s->n);
    if (!s->spread && s->n <= FEW)
        return sort(s, err);
    for (int k = 0; k < s->exits; k++)
        if (smallest_take(s->values + k * s->n, s->n, &s->column[k], err))
            return DEER_FAILED;
    return DEER_OK;
}

static deer_status take_or_free(official_steps *s, deer_error *err)
{
    deer_status status = take(s, err);

    if (status)
        official_free(s);
    return status;
}

deer_status official_take_spread(const float *values, int64_t n, int exits, official_steps *steps,
                                 deer_error *err)
{
    *steps = (official_steps){.values = values, .n = n, .all = n, .exits = exits};
    steps->spread = cluster_size() > 1;
    cluster_count(&steps->all, 1);
    return take_or_free(steps, err);
}

deer_status official_take(const float *values, int64_t n, int exits, official_steps *steps,
                          deer_error *err)
{
    *steps = (official_steps){.values = values, .n = n, .all = n, .exits = exits};
    return take_or_free(steps, err);
}

void official_free(official_steps *steps)
{
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        smallest_free(&steps->column[k]);
    free(steps->order);
    free(steps->gone);
    *steps = (official_steps){0};
}

enum { STRIDE = 64 };

/* Whole strides without a branch, which would often be guessed wrong; then step by step. Before the
 * first exit nobody is gone. */
static float walk_to(const official_steps *s, int k, int64_t count)
{
    const uint32_t *order = s->order + k * s->n;
    const float *value = s->values + k * s->n;
    int64_t i = 0;

    if (!k && count <= s->n)
        return value[order[count - 1]] + 0.0f;
    for (; i + STRIDE <= s->n; i += STRIDE) {
        int there = STRIDE;

        for (int j = 0; j < STRIDE; j++)
            there -= s->gone[order[i + j]];
        if (there >= count)
            break;
        count -= there;
    }
    for (; i < s->n; i++)
        if (!s->gone[order[i]] && !--count)
            return value[order[i]] + 0.0f; /* -0 is 0 */
    return NAN;
}

/* The count-th smallest value of exit k among the steps still there. */
static float remaining_quantile(const official_steps *s, int k, int64_t count)
{
    float value = NAN;

    if (count > 0)
        value =
            s->order ? walk_to(s, k, count) : smallest_of(&s->column[k], s->gone, count, s->spread);
    return isnan(value) ? OFFICIAL_NEVER : value;
}

static void mark_gone(official_steps *s, int k, float tau)
{
    const float *restrict value = s->values + k * s->n;
    uint8_t *restrict gone = s->gone;
    int64_t n = s->n;

    for (int64_t i = 0; i < n; i++)
        gone[i] |= value[i] <= tau;
}

void official_thresholds(official_steps *s, int exits, const float *fractions, float *tau)
{
    memset(s->gone, 0, (size_t)s->n);
    for (int k = 0; k < exits - 1; k++) {
        float count = floorf((float)s->all * fractions[k]);

        tau[k] = remaining_quantile(s, k, count >= 1 ? (int64_t)count : 0);
        if (k + 2 < exits)
            mark_gone(s, k, tau[k]);
    }
    tau[exits - 1] = OFFICIAL_ALWAYS;
}
