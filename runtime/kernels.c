/* kernels.c - the elementwise functions, by way of the instruction set's table. */
#include "runtime/kernels.h"

#include <math.h>
#include <string.h>

#include "runtime/isa.h"

void layer_norm(float *y, const float *x, const float *w, const float *b, int m, int n)
{
    isa_now()->layer_norm(y, x, w, b, m, n);
}

void quick_gelu(float *x, int n)
{
    isa_now()->quick_gelu(x, n);
}

void gelu(float *x, int n)
{
    isa_now()->gelu(x, n);
}

void relu(float *x, int n)
{
    for (int i = 0; i < n; i++)
        x[i] = x[i] < 0 ? 0 : x[i]; /* keeps a NaN */
}

void softmax(float *row, int used, int n)
{
    isa_now()->softmax(row, used, n);
}

void lstm_cell(const float *gates, const float *c, float *c_next, float *h_next, int n)
{
    isa_now()->lstm_cell(gates, c, c_next, h_next, n);
}

void max_pool(float *y, const float *x, int m, int n)
{
    memcpy(y, x, (size_t)n * sizeof *y);
    for (int i = 1; i < m; i++)
        for (int j = 0; j < n; j++)
            if (x[(long)i * n + j] > y[j] || isnan(x[(long)i * n + j])) /* keeps a NaN */
                y[j] = x[(long)i * n + j];
}
