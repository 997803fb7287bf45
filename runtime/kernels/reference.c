/* SPDX-License-Identifier: MIT */
/* reference.c - a plain version of each kernel, to be read and to be tested against. */
#include <math.h>

#include "runtime/kernels/kernels.h"

void reference_linear(float *y, const float *x, const float *w, const float *b, int m, int n, int k)
{
    for (int i = 0; i < m; i++)
        for (int j = 0; j < n; j++) {
            double sum = b ? b[j] : 0;
            for (int l = 0; l < k; l++)
                sum += (double)x[i * k + l] * w[j * k + l];
            y[i * n + j] = (float)sum;
        }
}

void reference_layer_norm(float *y, const float *x, const float *w, const float *b, int m, int n)
{
    for (int i = 0; i < m; i++) {
        double mean = 0, variance = 0;
        for (int j = 0; j < n; j++)
            mean += x[i * n + j] / (double)n;
        for (int j = 0; j < n; j++)
            variance += (x[i * n + j] - mean) * (x[i * n + j] - mean) / n;
        for (int j = 0; j < n; j++)
            y[i * n + j] =
                (float)((x[i * n + j] - mean) / sqrt(variance + 1e-5) * w[j] + (b ? b[j] : 0));
    }
}

void reference_quick_gelu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)(x[i] / (1 + exp(-1.702 * x[i])));
}

void reference_gelu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = (float)(x[i] * 0.5 * (1 + erf(x[i] * M_SQRT1_2)));
}

void reference_attention(const attention_job *a, float *scores)
{
    long width = (long)a->heads * a->dim;

    for (int h = 0; h < a->heads; h++)
        for (int i = 0; i < a->tq; i++) {
            const float *q = a->q + i * a->q_stride + h * a->dim;
            int seen = a->slopes ? i + 1 : a->tk;
            double sum = 0;
            for (int j = 0; j < seen; j++) {
                const float *k = a->k + j * a->kv_stride + h * a->dim;
                double dot = 0;
                for (int c = 0; c < a->dim; c++)
                    dot += (double)q[c] * k[c];
                scores[j] =
                    (float)(dot * a->scale + (a->slopes ? a->slopes[h] * (j - (a->tk - 1)) : 0));
            }
            for (int j = 0; j < seen; j++)
                sum += exp(scores[j]);
            for (int c = 0; c < a->dim; c++) {
                double mixed = 0;
                for (int j = 0; j < seen; j++)
                    mixed += exp(scores[j]) / sum * a->v[j * a->kv_stride + h * a->dim + c];
                a->out[i * width + h * a->dim + c] = (float)mixed;
            }
        }
}
