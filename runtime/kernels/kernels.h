/* SPDX-License-Identifier: MIT */
/* kernels.h - the arithmetic of a step. Activations are row-major float32; weights are packed.
 *
 *   linear(&ws, y, x, &layer, 14);          // y[14, N] = x[14, K] w[N, K]^T + b
 *
 * linear.c and attention.c hold the products, isa_body.h what they are made of on each instruction
 * set, kernels_reference.c a plain version of each under the name reference_*, against which the
 * tests hold the fast ones. Large products are shared between the threads of the pool. */
#ifndef RUNTIME_KERNELS_H
#define RUNTIME_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/dtype.h"

/* ---------------------------------------------------------------- weights ------------------ */

/* A matrix [n outputs, k inputs] as the products read it, in panels of 16 outputs. A word is 32
 * bits: consecutive inputs of one output, as many as fit (1 float32, 2 bfloat16, 4 of 8 bits), the
 * first in its lowest bits. Panels are [n / 16 rounded up][words of k][16 outputs]; what is too
 * much is zero. An 8-bit weight u stands for (u - 128) * scale[output]. */
typedef struct {
    weight_dtype type;
    int n, k;
    const uint32_t *panels;
    const float *scale; /* [n rounded up to 16], 8-bit only */
} matrix;

typedef struct {
    matrix w;
    const float *b; /* [n], NULL where the layer has none */
} linear_layer;

/* Inputs of a word: 1, 2 or 4. */
static inline int matrix_inputs(weight_dtype type)
{
    return type == WEIGHT_F32 ? 1 : type == WEIGHT_BF16 ? 2 : 4;
}

/* Words of k inputs, and of the panels of a whole matrix. */
static inline int matrix_words(weight_dtype type, int k)
{
    return (k + matrix_inputs(type) - 1) / matrix_inputs(type);
}
static inline size_t matrix_panel_words(weight_dtype type, int n, int k)
{
    return (size_t)((n + 15) / 16) * 16 * (size_t)matrix_words(type, k);
}

/* Rows [n, k] as a file has them (float, uint16_t or uint8_t) -> panels, for panel `first` up to
 * but not including `end`. Returns false when a weight is not finite. */
bool matrix_pack(uint32_t *panels, const void *rows, weight_dtype type, int n, int k, int first,
                 int end);

/* ---------------------------------------------------------------- workspace ---------------- */

/* Memory that products need besides their arguments, for as many threads as it has parts. */
typedef struct {
    int parts;
    size_t bytes; /* of a part, a multiple of 64 */
    char *base;   /* [parts][bytes] */
} workspace;

/* Bytes of a part for products of up to `rows` rows, and for attention to tk keys of `dim` values a
 * head. */
size_t workspace_linear(int rows);
size_t workspace_attention(int tk, int dim);

/* ---------------------------------------------------------------- products ----------------- */

typedef enum { ACTIVATION_NONE, ACTIVATION_GELU, ACTIVATION_QUICK_GELU } activation;

/* y[m, n] (+)= activation(x[m, k] w^T + b). */
typedef struct {
    float *y;
    const float *x;
    long x_stride; /* floats from row to row of x */
    const linear_layer *layer;
    int m;
    bool add; /* to what y holds; without an activation */
    activation then;
} linear_job;

/* Types other than float32 round the activations, too: bfloat16 to bfloat16; with 8-bit weights,
 * the inputs of a row to integers of -127..127, 2,048 inputs at a time on a scale of their own. */
void linear_run(const workspace *ws, const linear_job *job);

static inline void linear(const workspace *ws, float *y, const float *x, const linear_layer *l,
                          int m)
{
    linear_run(ws, &(linear_job){.y = y, .x = x, .x_stride = l->w.k, .layer = l, .m = m});
}

static inline void linear_add(const workspace *ws, float *y, const float *x, const linear_layer *l,
                              int m)
{
    linear_run(ws,
               &(linear_job){.y = y, .x = x, .x_stride = l->w.k, .layer = l, .m = m, .add = true});
}

static inline void linear_then(const workspace *ws, float *y, const float *x, const linear_layer *l,
                               int m, activation then)
{
    linear_run(ws,
               &(linear_job){.y = y, .x = x, .x_stride = l->w.k, .layer = l, .m = m, .then = then});
}

/* Multi-head attention, `sequences` times: out[tq, heads * dim] of q[tq, ..], k[tk, ..], v[tk, ..],
 * whose rows lie q_stride, kv_stride floats apart, head h at h * dim. The rows of one sequence
 * follow those of another. */
typedef struct {
    float *out;
    const float *q, *k, *v;
    long q_stride, kv_stride;
    int sequences, tq, tk, heads, dim;
    weight_dtype type;   /* of both products: float32, or bfloat16, to which q, k, v and the
                            softmax's result are rounded first; sums are float32 */
    float scale;         /* multiplies q k^T */
    const float *slopes; /* [heads], or NULL: causal attention with ALiBi, key j of T gets
                            slope * (j - (T - 1)), keys behind the query get none (tq == tk) */
} attention_job;

void attention_run(const workspace *ws, const attention_job *job);

/* ---------------------------------------------------------------- elementwise -------------- */

/* Rows of y[M, N] = (x - mean) / sqrt(variance + 1e-5) * w + b; biased variance; b may be NULL.
 * y may be x. Source: torch.nn.LayerNorm, eps 1e-5 everywhere in the official code. */
void layer_norm(float *y, const float *x, const float *w, const float *b, int m, int n);

/* The same in place, of n values of longer rows, stride floats apart. */
void layer_norm_within(float *x, long stride, const float *w, const float *b, int m, int n);

/* In place: x * sigmoid(1.702 x) (OpenAI CLIP), the exact x * Phi(x) (MPT, Flamingo), max(0, x). */
void quick_gelu(float *x, int n);
void gelu(float *x, int n);
void relu(float *x, int n);

/* Which of a row's n scores take part, the first `used` of the first row and `more` in each row
 * than in the one before, and what they count: scale * score j + slope * (j - (n - 1)). */
typedef struct {
    int n, used, more;
    float scale, slope;
} softmax_form;

/* Of each row, in place; rows lie `stride` floats apart. What takes no part becomes 0, up to a
 * multiple of 16, which a row must have room for. */
void softmax(float *x, long stride, int rows, const softmax_form *form);

/* An LSTM's new cell and hidden state [n] from its gates [4 n] (i, f, g, o) and the old cell. */
void lstm_cell(const float *gates, const float *c, float *c_next, float *h_next, int n);

/* Elementwise maximum over the rows of x[M, N]. Like every kernel here it hands a NaN on. */
void max_pool(float *y, const float *x, int m, int n);

/* ---------------------------------------------------------------- reference ---------------- */

/* w [n, k] float32 as a file has it. */
void reference_linear(float *y, const float *x, const float *w, const float *b, int m, int n,
                      int k);
void reference_layer_norm(float *y, const float *x, const float *w, const float *b, int m, int n);
void reference_quick_gelu(float *x, int n);
void reference_gelu(float *x, int n);
/* One sequence; scores is scratch [tk]. */
void reference_attention(const attention_job *job, float *scores);

#endif
