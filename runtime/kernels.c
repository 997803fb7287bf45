/* kernels.c - products and attention on OpenBLAS. */
#include "runtime/kernels.h"
#include "runtime/deer.h"

#include <cblas.h>
#include <math.h>
#include <string.h>

void deer_set_threads(int threads)
{
    openblas_set_num_threads(threads);
}

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
            if (x[(long)i * n + j] > y[j] || isnan(x[(long)i * n + j])) /* keeps a NaN */
                y[j] = x[(long)i * n + j];
}
