/* SPDX-License-Identifier: MIT */
/* isa_elementwise.h - LayerNorm, activations, softmax, the LSTM's cell and the filter of images,
 * written so that the compiler vectorises them; a part of isa_body.h.
 *
 * libm's functions take one number at a time and sums in one register neither vectorise nor round
 * well, so both have their own form here; the tests hold them against double precision. */
static const float epsilon = 1e-5f; /* of every LayerNorm */

enum { STRIPES = 16 }; /* PER_PANEL vectors */

/* Halves of a vector, its quarters, .. change places. */
#if LANES == 16
#define HALVES(v)                                                                                  \
    __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define QUARTERS(v)                                                                                \
    __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define PAIRS_OF(v)                                                                                \
    __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define SINGLES(v)                                                                                 \
    __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)
#define LANE_NUMBERS                                                                               \
    {                                                                                              \
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15                                       \
    }
#elif LANES == 8
#define QUARTERS(v) __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3)
#define PAIRS_OF(v) __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5)
#define SINGLES(v) __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6)
#define LANE_NUMBERS                                                                               \
    {                                                                                              \
        0, 1, 2, 3, 4, 5, 6, 7                                                                     \
    }
#else
#define PAIRS_OF(v) __builtin_shufflevector(v, v, 2, 3, 0, 1)
#define SINGLES(v) __builtin_shufflevector(v, v, 1, 0, 3, 2)
#define LANE_NUMBERS                                                                               \
    {                                                                                              \
        0, 1, 2, 3                                                                                 \
    }
#endif

INLINE floats add(floats a, floats b)
{
    return a + b;
}

/* a where the mask has ones, b where it has zeros. */
INLINE floats choose(words mask, floats a, floats b)
{
    return (floats)(((words)a & mask) | ((words)b & ~mask));
}

/* a > b ? a : b, which is b where either is a NaN. */
INLINE floats larger_of(floats a, floats b)
{
#ifdef LARGER
    return (floats)LARGER(a, b);
#else
    return choose((words)(a > b), a, b);
#endif
}

/* Sixteen numbers to one: those eight apart, then those four, two and one apart; the same order for
 * every width of vectors. */
INLINE float fold(floats part[PER_PANEL], floats (*two)(floats, floats))
{
    floats v;

    UNROLL for (int apart = PER_PANEL / 2; apart > 0; apart /= 2)
    {
        UNROLL for (int p = 0; p < apart; p++) part[p] = two(part[p], part[p + apart]);
    }
    v = part[0];
#if LANES == 16
    v = two(v, HALVES(v));
#endif
#if LANES >= 8
    v = two(v, QUARTERS(v));
#endif
    v = two(v, PAIRS_OF(v));
    v = two(v, SINGLES(v));
    return v[0];
}

#define EACH_PART(p) UNROLL for (int p = 0; p < PER_PANEL; p++)

/* Sums of every 16th value, then those: vectorises, and errors grow with n / 16 instead of n. */
INLINE float sum_of(const float *x, int n)
{
    floats sum[PER_PANEL] = {{0}};
    float last[STRIPES] = {0};
    int whole = n / STRIPES * STRIPES;

    for (int j = 0; j < whole; j += STRIPES)
        EACH_PART(p) sum[p] += *(const floats *)(x + j + p * LANES);
    if (whole < n) {
        memcpy(last, x + whole, (size_t)(n - whole) * sizeof *x);
        EACH_PART(p) sum[p] += *(const floats *)(last + p * LANES);
    }
    return fold(sum, add);
}

INLINE float squares_around(float mean, const float *x, int n)
{
    floats sum[PER_PANEL] = {{0}};
    int whole = n / STRIPES * STRIPES;
    float rest = 0;

    for (int j = 0; j < whole; j += STRIPES)
        EACH_PART(p)
        {
            floats off = *(const floats *)(x + j + p * LANES) - mean;
            sum[p] += off * off;
        }
    for (int j = whole; j < n; j++)
        rest += (x[j] - mean) * (x[j] - mean);
    return fold(sum, add) + rest;
}

INLINE void norm_row(float *y, const float *x, const float *w, const float *b, int n, float mean,
                     float scale)
{
    int whole = n / LANES * LANES;

    for (int j = 0; j < whole; j += LANES) {
        floats v = (*(const floats *)(x + j) - mean) * scale * *(const floats *)(w + j);
        if (b)
            v += *(const floats *)(b + j);
        *(floats *)(y + j) = v;
    }
    for (int j = whole; j < n; j++)
        y[j] = (x[j] - mean) * scale * w[j] + (b ? b[j] : 0);
}

/* Rows that go through each pass together: what a processor has to wait for in one, it does in the
 * others meanwhile. */
enum { SOME_ROWS = 16 };

/* The variance of centred values does not cancel. */
static void rows_layer_norm(float *y, const float *x, long stride, const float *w, const float *b,
                            int m, int n)
{
    float mean[SOME_ROWS], scale[SOME_ROWS];

    for (int first = 0; first < m; first += SOME_ROWS) {
        int some = m - first < SOME_ROWS ? m - first : SOME_ROWS;
        for (int r = 0; r < some; r++)
            mean[r] = sum_of(x + r * stride, n) / (float)n;
        for (int r = 0; r < some; r++)
            scale[r] = 1 / sqrtf(squares_around(mean[r], x + r * stride, n) / (float)n + epsilon);
        for (int r = 0; r < some; r++, x += stride, y += stride)
            norm_row(y, x, w, b, n, mean[r], scale[r]);
    }
}

/* series = e^r for |r| <= ln 2 / 2, by Taylor (next term 5e-9), of a number or a vector. */
#define EXPONENTIAL_NEAR_0(series, r)                                                              \
    do {                                                                                           \
        series = 1.0f / 720 + r * (1.0f / 5040);                                                   \
        series = 1.0f / 120 + r * series;                                                          \
        series = 1.0f / 24 + r * series;                                                           \
        series = 1.0f / 6 + r * series;                                                            \
        series = 0.5f + r * series;                                                                \
        series = 1 + r * (1 + r * series);                                                         \
    } while (0)

/* e^x for x <= 88 to 2 units in the last place; 0 below -87. x = n ln 2 + r with |r| <= ln 2 / 2.
 * Adding and subtracting 1.5 * 2^23 rounds to the nearest integer and leaves that integer in the
 * low bits. */
INLINE float exponential(float x)
{
    const float rounder = 0x1.8p23f, ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    float shifted = x * (float)M_LOG2E + rounder, n = shifted - rounder;
    float r = (x - n * ln2_high) - n * ln2_low, power, series;
    uint32_t bits;

    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4b400000u + 127u) << 23; /* 2^n */
    memcpy(&power, &bits, sizeof power);
    EXPONENTIAL_NEAR_0(series, r);
    return x < -87 ? 0 : series * power;
}

static void each_quick_gelu(float *x, int n)
{
    for (int i = 0; i < n; i++) {
        float size = fabsf(1.702f * x[i]), small = exponential(-size);
        float sigmoid = (x[i] > 0 ? 1 : small) / (1 + small); /* no overflow on either side */
        x[i] *= sigmoid;
    }
}

/* erfc(t) e^(t^2) / 2 as a polynomial in 1 / (1 + 0.4 t), for t from 0 to 6.5 to 2.4e-8 (least
 * squares of the relative error at Chebyshev points). */
INLINE float scaled_half_erfc(float u)
{
    float p = -2.224187735e-01f + u * 4.194263694e-02f;

    p = 3.987846201e-01f + u * p;
    p = -2.582802749e-01f + u * p;
    p = 2.592806669e-01f + u * p;
    p = 4.344775681e-02f + u * p;
    p = 1.259351080e-01f + u * p;
    p = 1.112216089e-01f + u * p;
    return 8.664842637e-05f + u * p;
}

/* x Phi(x), Phi(-|x|) = erfc(|x| / sqrt 2) / 2. */
static void each_gelu(float *x, int n)
{
    for (int i = 0; i < n; i++) {
        float u = 1 / (1 + 0.4f * (float)M_SQRT1_2 * fabsf(x[i]));
        float tail = exponential(-0.5f * x[i] * x[i]) * scaled_half_erfc(u);
        x[i] *= x[i] > 0 ? 1 - tail : tail;
    }
}

/* exponential, a vector at a time; 0 below -87.7. At -88 the power of two is already all zeros. */
INLINE floats exponentials(floats x)
{
    const float rounder = 0x1.8p23f, ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    floats least = (floats){0} - 88, shifted, n, r, series;
    words power;

    x = larger_of(least, x); /* in this order a NaN stays */
    shifted = x * (float)M_LOG2E + rounder;
    n = shifted - rounder;
    r = (x - n * ln2_high) - n * ln2_low;
    power = ((words)shifted - (0x4b400000u - 127u)) << 23; /* 2^n */
    EXPONENTIAL_NEAR_0(series, r);
    return series * (floats)power;
}

/* What a score at a position counts. */
INLINE floats score_of(const float *x, floats position, const softmax_form *form)
{
    return *(const floats *)x * form->scale + form->slope * position;
}

/* The numbers a row's softmax is of, what is behind `used` as minus infinity, up to whole stripes;
 * returns the largest. */
INLINE float row_form(float *x, const softmax_form *form, int used)
{
    const words lane = LANE_NUMBERS;
    const floats nothing = (floats){0} - INFINITY;
    floats position = LANE_NUMBERS, top[PER_PANEL];
    int whole = used / STRIPES * STRIPES;

    position -= (float)(form->n - 1);
    EACH_PART(p) top[p] = nothing;
    for (int i = 0; i < whole; i += STRIPES)
        EACH_PART(p)
        {
            floats v = score_of(x + i + p * LANES, position, form);
            top[p] = larger_of(v, top[p]);
            *(floats *)(x + i + p * LANES) = v;
            position += LANES;
        }
    if (whole < used)
        EACH_PART(p)
        {
            int left = used - whole - p * LANES;
            words part = (words)(lane < (uint32_t)(left > 0 ? left : 0));
            floats *to = (floats *)(x + whole + p * LANES);
            *to = choose(part, score_of(x + whole + p * LANES, position, form), nothing);
            top[p] = larger_of(*to, top[p]);
            position += LANES;
        }
    return fold(top, larger_of);
}

INLINE float row_exponentials(float *x, int used, float highest)
{
    floats sum[PER_PANEL] = {{0}};

    for (int i = 0; i < used; i += STRIPES)
        EACH_PART(p)
        {
            floats *to = (floats *)(x + i + p * LANES);
            *to = exponentials(*to - highest);
            sum[p] += *to;
        }
    return fold(sum, add);
}

static void rows_softmax(float *x, long stride, int rows, const softmax_form *form)
{
    int all = (form->n + STRIPES - 1) / STRIPES * STRIPES, whole[SOME_ROWS];
    float size[SOME_ROWS];

    for (int first = 0; first < rows; first += SOME_ROWS, x += SOME_ROWS * stride) {
        int some = rows - first < SOME_ROWS ? rows - first : SOME_ROWS;

        for (int r = 0; r < some; r++) {
            int used = form->used + (first + r) * form->more;
            whole[r] = (used + STRIPES - 1) / STRIPES * STRIPES;
            size[r] = row_form(x + r * stride, form, used);
        }
        for (int r = 0; r < some; r++)
            size[r] = row_exponentials(x + r * stride, whole[r], size[r]);
        for (int r = 0; r < some; r++) {
            float *row = x + r * stride, scale = 1 / size[r];
            for (int i = 0; i < whole[r]; i += LANES)
                *(floats *)(row + i) *= scale;
            for (int i = whole[r]; i < all; i += LANES)
                *(floats *)(row + i) = (floats){0};
        }
    }
}

/* No overflow on either side; exact to 1e-7, which is what gates and states of size 1 need. */
INLINE float sigmoid_of(float x)
{
    float small = exponential(-fabsf(x));

    return (x > 0 ? 1 : small) / (1 + small);
}

INLINE float tanh_of(float x)
{
    float small = exponential(-2 * fabsf(x));

    return copysignf((1 - small) / (1 + small), x);
}

static void each_lstm_cell(const float *restrict gates, const float *restrict c,
                           float *restrict c_next, float *restrict h_next, int n)
{
    for (int j = 0; j < n; j++) {
        float in = sigmoid_of(gates[j]), forget = sigmoid_of(gates[n + j]);
        float candidate = tanh_of(gates[2 * n + j]), out = sigmoid_of(gates[3 * n + j]);
        float cell = forget * c[j] + in * candidate;
        c_next[j] = cell;
        h_next[j] = out * tanh_of(cell);
    }
}

#ifndef WIDEN
typedef uint8_t bytes __attribute__((vector_size(LANES), aligned(1), may_alias));
#define WIDEN(from) __builtin_convertvector(*(const bytes *)(from), integers)
#endif

enum { FILTERED = 192 }; /* bytes at a time */

static void filter_rows(uint8_t *restrict to, const uint8_t *restrict from, long stride,
                        const int *restrict weight, int taps, int n)
{
    for (int first = 0; first < n; first += FILTERED) {
        int32_t sums[FILTERED];
        int some = n - first < FILTERED ? n - first : FILTERED;

        for (int i = 0; i < some; i += LANES) {
            const uint8_t *byte = from + first + i;
            integers sum = (integers){0} + (1 << (ISA_FILTER_BITS - 1));
            for (int t = 0; t < taps; t++, byte += stride)
                sum += WIDEN(byte) * weight[t];
            *(integers *)(sums + i) = sum >> ISA_FILTER_BITS;
        }
        for (int i = 0; i < some; i++)
            to[first + i] = (uint8_t)(sums[i] < 0 ? 0 : sums[i] > 255 ? 255 : sums[i]);
    }
}
