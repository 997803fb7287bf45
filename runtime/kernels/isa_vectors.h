/* SPDX-License-Identifier: MIT */
/* isa_vectors.h - vectors of LANES values, GCC's, and what tiles of every kind are made with. */

#include <math.h>
#include <stddef.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

typedef float floats __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef uint32_t words __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t integers __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

INLINE float as_float(uint32_t bits)
{
    float x;

    memcpy(&x, &bits, sizeof x);
    return x;
}

INLINE uint32_t as_bits(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* ---------------------------------------------------------------- tiles -------------------- */

#define TILE_ARGUMENTS                                                                             \
    float *y, long y_stride, const uint32_t *x, const uint32_t *w, long panel, int count,          \
        const isa_row *row, const float *scale, const float *start, bool add, bool first

/* What is there, or nothing, and the start, and the sum. */
INLINE void put_sum(float *to, floats sum, const float *start, int i, bool add)
{
    floats before = {0};

    if (start)
        before = *(const floats *)(start + i * LANES);
    if (add)
        before += *(const floats *)to;
    *(floats *)to = before + sum;
}

/* A product that is rounded before it is added: compilers would fuse it in some kinds of tiles, and
 * results are the same in all. */
INLINE floats rounded(floats product)
{
    int32_t zero = 0;

    __asm__("" : "+r"(zero));
    return (floats)((integers)product | zero);
}

/* The same for a sum of integers. */
INLINE void put_scaled(float *to, integers sum, const isa_row *row, const float *scale,
                       const float *start, int i, bool add)
{
    floats exact = __builtin_convertvector(sum - row->offset, floats);
    floats scaled = exact * (*(const floats *)(scale + i * LANES) * row->scale);

    put_sum(to, rounded(scaled), start, i, add);
}

/* One for each number of rows. */
#define UP_TO_1(M, t, p) M(t, p, 1)
#define UP_TO_3(M, t, p) UP_TO_1(M, t, p) M(t, p, 2) M(t, p, 3)
#define UP_TO_4(M, t, p) UP_TO_3(M, t, p) M(t, p, 4)
#define UP_TO_6(M, t, p) UP_TO_4(M, t, p) M(t, p, 5) M(t, p, 6)
#define UP_TO_12(M, t, p)                                                                          \
    UP_TO_6(M, t, p) M(t, p, 7) M(t, p, 8) M(t, p, 9) M(t, p, 10) M(t, p, 11) M(t, p, 12)
#define UP_TO_14(M, t, p) UP_TO_12(M, t, p) M(t, p, 13) M(t, p, 14)
#define UP_TO_16(M, t, p) UP_TO_14(M, t, p) M(t, p, 15) M(t, p, 16)
#define PASTE_OF(a, b) a##b
#define PASTE(a, b) PASTE_OF(a, b)
#define UP_TO(n) PASTE(UP_TO_, n)
