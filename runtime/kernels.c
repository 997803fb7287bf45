/* kernels.c - the fast versions: OpenBLAS for products, plain loops the compiler vectorises. */
#include "runtime/kernels.h"
#include "runtime/deer.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

void deer_set_threads(int threads)
{
    openblas_set_num_threads(threads);
}

static const float epsilon = 1e-5f; /* of every LayerNorm */

static void fill_bias(float *y, const float *b, int m, int n)
{
    for (int i = 0; i < m; i++)
        memcpy(y + (long)i * n, b, (size_t)n * sizeof *y);
}

static void product(float *y, const float *x, int x_stride, const float *w, int m, int n, int k,
                    float beta)
{
    if (m == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, n, k, 1, w, k, x, 1, beta, y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, n, k, 1, x, x_stride, w, k, beta, y,
                    n);
}

void linear_strided(float *y, const float *x, int x_stride, const float *w, const float *b, int m,
                    int n, int k)
{
    if (b)
        fill_bias(y, b, m, n);
    product(y, x, x_stride, w, m, n, k, b ? 1 : 0);
}

void linear(float *y, const float *x, const float *w, const float *b, int m, int n, int k)
{
    linear_strided(y, x, k, w, b, m, n, k);
}

void linear_add(float *y, const float *x, const float *w, const float *b, int m, int n, int k)
{
    if (b)
        for (int i = 0; i < m; i++)
            for (int j = 0; j < n; j++)
                y[(long)i * n + j] += b[j];
    product(y, x, k, w, m, n, k, 1);
}

/* Two passes: the variance of centred values does not cancel. */
void layer_norm(float *y, const float *x, const float *w, const float *b, int m, int n)
{
    for (int i = 0; i < m; i++, x += n, y += n) {
        float mean = 0, variance = 0, scale;
        for (int j = 0; j < n; j++)
            mean += x[j];
        mean /= (float)n;
        for (int j = 0; j < n; j++)
            variance += (x[j] - mean) * (x[j] - mean);
        scale = 1 / sqrtf(variance / (float)n + epsilon);
        for (int j = 0; j < n; j++)
            y[j] = (x[j] - mean) * scale * w[j] + (b ? b[j] : 0);
    }
}

void quick_gelu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] /= 1 + expf(-1.702f * x[i]);
}

void gelu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] *= 0.5f * (1 + erff(x[i] * (float)M_SQRT1_2));
}

void relu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = x[i] > 0 ? x[i] : 0;
}

/* Softmax of the first `used` of `row` scores; the others become 0. */
static void softmax(float *row, int used, int n)
{
    float top = row[0], sum = 0;

    for (int j = 1; j < used; j++)
        top = row[j] > top ? row[j] : top;
    for (int j = 0; j < used; j++) {
        row[j] = expf(row[j] - top);
        sum += row[j];
    }
    for (int j = 0; j < used; j++)
        row[j] /= sum;
    for (int j = used; j < n; j++)
        row[j] = 0;
}

static void add_alibi(float *row, float slope, int n)
{
    for (int j = 0; j < n; j++)
        row[j] += slope * (float)(j - (n - 1));
}

void attention(float *out, const float *q, int q_stride, const float *k, const float *v,
               int kv_stride, int tq, int tk, int heads, int dim, float scale, const float *slopes,
               float *scores)
{
    for (int h = 0; h < heads; h++) {
        long at = (long)h * dim;
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, tq, tk, dim, scale, q + at, q_stride,
                    k + at, kv_stride, 0, scores, tk);
        for (int i = 0; i < tq; i++) {
            float *row = scores + (long)i * tk;
            if (slopes)
                add_alibi(row, slopes[h], tk);
            softmax(row, slopes ? i + 1 : tk, tk);
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, tq, dim, tk, 1, scores, tk, v + at,
                    kv_stride, 0, out + at, heads * dim);
    }
}

void max_pool(float *y, const float *x, int m, int n)
{
    memcpy(y, x, (size_t)n * sizeof *y);
    for (int i = 1; i < m; i++)
        for (int j = 0; j < n; j++)
            if (x[(long)i * n + j] > y[j])
                y[j] = x[(long)i * n + j];
}
