/* SPDX-License-Identifier: MIT */
/* kernels.c - the elementwise functions, by way of the instruction set's table. */
#include "runtime/kernels/kernels.h"

#include <math.h>
#include <string.h>

#include "runtime/base/threads/threads.h"
#include "runtime/kernels/isa.h"

enum { WORTH_SHARING = 1 << 16 }; /* values: some microseconds' worth */

typedef struct {
    float *y;
    const float *x, *w, *b;
    long stride;
    int m, n;
} norm_job;

static void norm_rows(void *context, int part, int parts)
{
    const norm_job *job = context;
    long first = (long)job->m * part / parts, end = (long)job->m * (part + 1) / parts;

    isa_now()->layer_norm(job->y + first * job->stride, job->x + first * job->stride, job->stride,
                          job->w, job->b, (int)(end - first), job->n);
}

static void norm(norm_job job)
{
    bool worth = (long)job.m * job.n >= WORTH_SHARING;

    threads_run(norm_rows, &job, worth ? threads_count() : 1);
}

void layer_norm(float *y, const float *x, const float *w, const float *b, int m, int n)
{
    norm((norm_job){y, x, w, b, n, m, n});
}

void layer_norm_within(float *x, long stride, const float *w, const float *b, int m, int n)
{
    norm((norm_job){x, x, w, b, stride, m, n});
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

void softmax(float *x, long stride, int rows, const softmax_form *form)
{
    isa_now()->softmax(x, stride, rows, form);
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
