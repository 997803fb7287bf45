/* SPDX-License-Identifier: MIT */
/* isa_elementwise.h - LayerNorm, activations, softmax, the LSTM's cell and the filter of images,
 * written so that the compiler vectorises them; a part of isa_body.h.
 *
 * libm's functions take one number at a time and sums in one register neither vectorise nor round
 * well, so both have their own form here; the tests hold them against double precision. */
static const float epsilon = 1e-5f; /* of every LayerNorm */

enum { STRIPES = 16 };

typedef float stripes __attribute__((vector_size(4 * STRIPES), aligned(4), may_alias));
typedef uint32_t stripe_bits __attribute__((vector_size(4 * STRIPES), aligned(4), may_alias));

/* Halves of a vector, its quarters, .. change places. */
#define HALVES(v)                                                                                  \
    __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
#define QUARTERS(v)                                                                                \
    __builtin_shufflevector(v, v, 4, 5, 6, 7, 0, 1, 2, 3, 12, 13, 14, 15, 8, 9, 10, 11)
#define PAIRS(v) __builtin_shufflevector(v, v, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13)
#define SINGLES(v)                                                                                 \
    __builtin_shufflevector(v, v, 1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14)

/* Sums of every 16th value, then those: vectorises, and errors grow with n / 16 instead of n. */
INLINE float add_stripes(stripes sum)
{
    sum += HALVES(sum);
    sum += QUARTERS(sum);
    sum += PAIRS(sum);
    sum += SINGLES(sum);
    return sum[0];
}

/* a where the mask has ones, b where it has zeros. */
INLINE stripes choose(stripe_bits mask, stripes a, stripes b)
{
    return (stripes)(((stripe_bits)a & mask) | ((stripe_bits)b & ~mask));
}

INLINE stripes larger_of(stripes a, stripes b)
{
    return choose((stripe_bits)(a > b), a, b);
}

INLINE float largest_stripe(stripes top)
{
    top = larger_of(top, HALVES(top));
    top = larger_of(top, QUARTERS(top));
    top = larger_of(top, PAIRS(top));
    top = larger_of(top, SINGLES(top));
    return top[0];
}

INLINE float sum_of(const float *x, int n)
{
    stripes sum = {0}, last = {0};
    int whole = n / STRIPES * STRIPES;

    for (int j = 0; j < whole; j += STRIPES)
        sum += *(const stripes *)(x + j);
    memcpy(&last, x + whole, (size_t)(n - whole) * sizeof *x);
    return add_stripes(sum + last);
}

INLINE float squares_around(float mean, const float *x, int n)
{
    stripes sum = {0};
    int whole = n / STRIPES * STRIPES;
    float rest = 0;

    for (int j = 0; j < whole; j += STRIPES) {
        stripes off = *(const stripes *)(x + j) - mean;
        sum += off * off;
    }
    for (int j = whole; j < n; j++)
        rest += (x[j] - mean) * (x[j] - mean);
    return add_stripes(sum) + rest;
}

INLINE void norm_row(float *y, const float *x, const float *w, const float *b, int n, float mean,
                     float scale)
{
    if (b)
        for (int j = 0; j < n; j++)
            y[j] = (x[j] - mean) * scale * w[j] + b[j];
    else
        for (int j = 0; j < n; j++)
            y[j] = (x[j] - mean) * scale * w[j];
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

/* exponential, sixteen at a time. */
INLINE stripes exponentials(stripes x)
{
    const float rounder = 0x1.8p23f, ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    stripes shifted = x * (float)M_LOG2E + rounder, n = shifted - rounder;
    stripes r = (x - n * ln2_high) - n * ln2_low, series;
    stripe_bits power = ((stripe_bits)shifted - (0x4b400000u - 127u)) << 23; /* 2^n */

    EXPONENTIAL_NEAR_0(series, r);
    return choose((stripe_bits)(x < -87), (stripes){0}, series * (stripes)power);
}

/* The numbers a row's softmax is of, what is behind `used` as minus infinity; returns the largest.
 */
INLINE float row_form(stripes *x, const softmax_form *form, int used)
{
    const stripe_bits lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const stripes at = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    const stripes nothing = (stripes){0} - INFINITY;
    stripes top = nothing;

    for (int i = 0; i < (used + STRIPES - 1) / STRIPES; i++) {
        stripes v = x[i] * form->scale + form->slope * (at + (float)(STRIPES * i - (form->n - 1)));
        if (i == used / STRIPES)
            v = choose((stripe_bits)(lane < (uint32_t)(used % STRIPES)), v, nothing);
        top = larger_of(v, top);
        x[i] = v;
    }
    return largest_stripe(top);
}

INLINE float row_exponentials(stripes *x, int whole, float highest)
{
    stripes sum = {0};

    for (int i = 0; i < whole; i++) {
        x[i] = exponentials(x[i] - highest);
        sum += x[i];
    }
    return add_stripes(sum);
}

static void rows_softmax(float *x, long stride, int rows, const softmax_form *form)
{
    int all = (form->n + STRIPES - 1) / STRIPES, whole[SOME_ROWS];
    float size[SOME_ROWS];

    for (int first = 0; first < rows; first += SOME_ROWS, x += SOME_ROWS * stride) {
        int some = rows - first < SOME_ROWS ? rows - first : SOME_ROWS;

        for (int r = 0; r < some; r++) {
            int used = form->used + (first + r) * form->more;
            whole[r] = (used + STRIPES - 1) / STRIPES;
            size[r] = row_form((stripes *)(x + r * stride), form, used);
        }
        for (int r = 0; r < some; r++)
            size[r] = row_exponentials((stripes *)(x + r * stride), whole[r], size[r]);
        for (int r = 0; r < some; r++) {
            stripes *row = (stripes *)(x + r * stride), scale = (stripes){0} + 1 / size[r];
            for (int i = 0; i < whole[r]; i++)
                row[i] *= scale;
            for (int i = whole[r]; i < all; i++)
                row[i] = (stripes){0};
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
