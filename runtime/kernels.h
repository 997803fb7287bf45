/* kernels.h - the arithmetic of a step. Row-major float32 everywhere; weights are [out, in].
 *
 * kernels.c (products, attention) and elementwise.c hold the fast versions, kernels_reference.c a
 * plain version of each under the name reference_*, against which the tests hold the fast ones. */
#ifndef RUNTIME_KERNELS_H
#define RUNTIME_KERNELS_H

/* y[M, N] = x[M, K] w[N, K]^T + b[N]; b may be NULL. */
void linear(float *y, const float *x, const float *w, const float *b, int m, int n, int k);
/* The same for rows of x that lie x_stride floats apart. */
void linear_strided(float *y, const float *x, int x_stride, const float *w, const float *b, int m,
                    int n, int k);
/* y[M, N] += x[M, K] w[N, K]^T + b[N]; b may be NULL. */
void linear_add(float *y, const float *x, const float *w, const float *b, int m, int n, int k);

/* Rows of y[M, N] = (x - mean) / sqrt(variance + 1e-5) * w + b; biased variance; b may be NULL.
 * y may be x. Source: torch.nn.LayerNorm, eps 1e-5 everywhere in the official code. */
void layer_norm(float *y, const float *x, const float *w, const float *b, int m, int n);

/* In place: x * sigmoid(1.702 x) (OpenAI CLIP), the exact x * Phi(x) (MPT, Flamingo), max(0, x). */
void quick_gelu(float *x, int n);
void gelu(float *x, int n);
void relu(float *x, int n);

/* Softmax of the first `used` of n scores, in place; the others become 0. */
void softmax(float *row, int used, int n);

/* Multi-head attention: out[Tq, heads * dim] of q[Tq, ...], k[Tk, ...], v[Tk, ...], whose rows lie
 * q_stride, kv_stride floats apart, head h at h * dim.
 *   scale    multiplies q k^T
 *   slopes   [heads], or NULL: causal attention with ALiBi, key j of T gets slope * (j - (T - 1)),
 *            keys behind the query get none (Tq == Tk)
 *   scores   scratch [Tq, Tk] */
void attention(float *out, const float *q, int q_stride, const float *k, const float *v,
               int kv_stride, int tq, int tk, int heads, int dim, float scale, const float *slopes,
               float *scores);

/* Elementwise maximum over the rows of x[M, N]. Like every kernel here it hands a NaN on. */
void max_pool(float *y, const float *x, int m, int n);

void reference_linear(float *y, const float *x, const float *w, const float *b, int m, int n,
                      int k);
void reference_layer_norm(float *y, const float *x, const float *w, const float *b, int m, int n);
void reference_quick_gelu(float *x, int n);
void reference_gelu(float *x, int n);
void reference_attention(float *out, const float *q, int q_stride, const float *k, const float *v,
                         int kv_stride, int tq, int tk, int heads, int dim, float scale,
                         const float *slopes, float *scores);

#endif
