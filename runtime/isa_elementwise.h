/* isa_elementwise.h - LayerNorm, activations, softmax and the LSTM's cell, written so that the
 * compiler vectorises them; a part of isa_body.h.
 *
 * libm's functions take one number at a time and sums in one register neither vectorise nor round
 * well, so both have their own form here; the tests hold them against double precision. */
static const float epsilon = 1e-5f; /* of every LayerNorm */

enum { STRIPES = 16 };

/* Sums of every 16th value, then those: vectorises, and errors grow with n / 16 instead of n. */
static float add_stripes(const float lane[STRIPES])
{
    float sum[STRIPES];

    memcpy(sum, lane, sizeof sum);
    for (int width = STRIPES / 2; width; width /= 2)
        for (int l = 0; l < width; l++)
            sum[l] += sum[l + width];
    return sum[0];
}

static float sum_of(const float *x, int n)
{
    float lane[STRIPES] = {0};
    int whole = n / STRIPES * STRIPES;

    for (int j = 0; j < whole; j += STRIPES)
        for (int l = 0; l < STRIPES; l++)
            lane[l] += x[j + l];
    for (int j = whole; j < n; j++)
        lane[j - whole] += x[j];
    return add_stripes(lane);
}

static float squares_around(float mean, const float *x, int n)
{
    float lane[STRIPES] = {0};
    int whole = n / STRIPES * STRIPES;

    for (int j = 0; j < whole; j += STRIPES)
        for (int l = 0; l < STRIPES; l++)
            lane[l] += (x[j + l] - mean) * (x[j + l] - mean);
    for (int j = whole; j < n; j++)
        lane[j - whole] += (x[j] - mean) * (x[j] - mean);
    return add_stripes(lane);
}

/* Two passes: the variance of centred values does not cancel. */
static void rows_layer_norm(float *y, const float *x, const float *w, const float *b, int m, int n)
{
    for (int i = 0; i < m; i++, x += n, y += n) {
        float mean = sum_of(x, n) / (float)n;
        float scale = 1 / sqrtf(squares_around(mean, x, n) / (float)n + epsilon);
        if (b)
            for (int j = 0; j < n; j++)
                y[j] = (x[j] - mean) * scale * w[j] + b[j];
        else
            for (int j = 0; j < n; j++)
                y[j] = (x[j] - mean) * scale * w[j];
    }
}

/* e^x for x <= 88 to 2 units in the last place; 0 below -87. x = n ln 2 + r with |r| <= ln 2 / 2,
 * e^r by its Taylor series (next term 5e-9). Adding and subtracting 1.5 * 2^23 rounds to the
 * nearest integer and leaves that integer in the low bits. */
INLINE float exponential(float x)
{
    const float rounder = 0x1.8p23f, ln2_high = 0x1.62e4p-1f, ln2_low = 0x1.7f7d1cp-20f;
    float shifted = x * (float)M_LOG2E + rounder, n = shifted - rounder;
    float r = (x - n * ln2_high) - n * ln2_low, power, series;
    uint32_t bits;

    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits - 0x4b400000u + 127u) << 23; /* 2^n */
    memcpy(&power, &bits, sizeof power);
    series = 1.0f / 720 + r * (1.0f / 5040);
    series = 1.0f / 120 + r * series;
    series = 1.0f / 24 + r * series;
    series = 1.0f / 6 + r * series;
    series = 0.5f + r * series;
    series = 1 + r * (1 + r * series);
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

static void row_softmax(float *row, int used, int n)
{
    float top = row[0], scale;

    for (int j = 1; j < used; j++)
        top = row[j] > top ? row[j] : top;
    for (int j = 0; j < used; j++)
        row[j] = exponential(row[j] - top);
    scale = 1 / sum_of(row, used);
    for (int j = 0; j < used; j++)
        row[j] *= scale;
    memset(row + used, 0, (size_t)(n - used) * sizeof *row);
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

static void each_lstm_cell(const float *gates, const float *c, float *c_next, float *h_next, int n)
{
    for (int j = 0; j < n; j++) {
        float in = sigmoid_of(gates[j]), forget = sigmoid_of(gates[n + j]);
        float candidate = tanh_of(gates[2 * n + j]), out = sigmoid_of(gates[3 * n + j]);
        float cell = forget * c[j] + in * candidate;
        c_next[j] = cell;
        h_next[j] = out * tanh_of(cell);
    }
}
