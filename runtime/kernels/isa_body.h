/* SPDX-License-Identifier: MIT */
/* isa_body.h - tiles, operands and elementwise functions, for one instruction set.
 *
 * The file that includes it has said
 *   ISA               its name
 *   LANES             float32 values of a vector: 4, 8 or 16
 *   PANELS            panels of a tile: 1 or 2
 *   F32_ROWS, BF16_ROWS, Q8_ROWS      most rows of a tile, so that its sums fit in registers
 *   BF16_SUBWORDS, Q8_SUBWORDS        subwords of a word (isa.h)
 *   BF16_DOT(sum, w, x), Q8_DOT(sum, w, x)   where an instruction multiplies whole words
 *   BF16_MMLA(sum, x, w), Q8_MMLA(sum, x, w)   where it multiplies two rows by two outputs
 *   WIDEN(from)       where the compiler does not find the instruction for LANES bytes -> integers
 * and has included isa.h. Vectors are GCC's: the arithmetic below is the same for all. */

#include <math.h>
#include <stddef.h>
#include <string.h>

enum {
    PER_PANEL = ISA_PANEL / LANES,
    VECTORS = PANELS * PER_PANEL,
    F32_STRIDE = ISA_WORDS + ISA_SPARE, /* isa_row_stride, as constants */
    BF16_STRIDE = ISA_WORDS * BF16_SUBWORDS + ISA_SPARE,
    Q8_STRIDE = ISA_WORDS * Q8_SUBWORDS + ISA_SPARE,
};

#ifdef __FP_FAST_FMAF
enum { FUSED = 1 };
#else
enum { FUSED = 0 };
#endif

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

/* ---------------------------------------------------------------- bfloat16 and 8 bits ------ */

/* Rounded to the nearest bfloat16, ties to even; a NaN stays one. The bfloat16 is the upper half.
 */
INLINE uint32_t rounded_to_bf16(float x)
{
    uint32_t bits = as_bits(x);

    return x != x ? 0x7fc00000u : (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u;
}

/* What a word is made of, the first one in its lowest bits. */
typedef uint16_t word_halves __attribute__((may_alias));
typedef uint8_t word_bytes __attribute__((may_alias));

/* Words of weights: the bfloat16 of consecutive inputs; of inputs that lie in two rows. */
static void bf16_words(uint32_t *to, const float *x, int n)
{
    word_halves *half = (word_halves *)to;

    for (int i = 0; i < n; i++)
        half[i] = (uint16_t)(rounded_to_bf16(x[i]) >> 16);
    if (n % 2)
        half[n] = 0;
}

static void bf16_words_across(uint32_t *to, const float *first, const float *second, int n)
{
    for (int i = 0; i < n; i++)
        to[i] = rounded_to_bf16(first[i]) >> 16 | rounded_to_bf16(second[i]);
}

/* What is left of a word for its subword s, as the step takes it. */
#if BF16_SUBWORDS > 1
INLINE words bf16_subword(words w, int s)
{
    if (s)
        return w & 0xffff0000u;
    return w << 16;
}
#endif

#if Q8_SUBWORDS == 2 /* pairs of 16 bits: inputs 0 and 2, 1 and 3 */
INLINE words q8_subword(words w, int s)
{
    if (s)
        w >>= 8;
    return w & 0x00ff00ffu;
}
#elif Q8_SUBWORDS == 4
INLINE words q8_subword(words w, int s)
{
    return w >> (8 * s) & 0xffu;
}
#define Q8_STEP(sum, w, x) ((sum) + (integers)(w) * (int32_t)(x))
#endif

/* ---------------------------------------------------------------- tiles -------------------- */

/* One k step: the vectors of a word of every panel, and a hint about those to come. */
#define LOAD_WORD(v)                                                                               \
    words v[VECTORS];                                                                              \
    UNROLL for (int p = 0; p < panels; p++)                                                        \
    {                                                                                              \
        __builtin_prefetch(w + p * panel + 768, 0, 2); /* into L2: L1 holds the operand */         \
        UNROLL for (int i = 0; i < PER_PANEL; i++) v[p * PER_PANEL + i] =                          \
            *(const words *)(w + p * panel + i * LANES);                                           \
    }

#define EACH_SUM(r, i)                                                                             \
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < panels * PER_PANEL; i++)

#define TILE_ARGUMENTS                                                                             \
    float *y, long y_stride, const uint32_t *x, const uint32_t *w, long panel, int count,          \
        const isa_row *row, const float *scale, const float *start, bool add

/* Zeros; where the sum will go comes closer meanwhile. */
INLINE floats start_sum(const float *to, int i)
{
    __builtin_prefetch(to + i * LANES, 1, 2);
    return (floats){0};
}

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

INLINE void tile_f32(TILE_ARGUMENTS, const int panels, const int rows)
{
    floats sum[F32_ROWS][VECTORS];

    (void)row, (void)scale;
    EACH_SUM(r, i) sum[r][i] = start_sum(y + r * y_stride, i);
    for (; count > 0; count--, x++, w += ISA_PANEL) {
        LOAD_WORD(v)
        EACH_SUM(r, i) sum[r][i] += (floats)v[i] * as_float(x[r * F32_STRIDE]);
    }
    EACH_SUM(r, i) put_sum(y + r * y_stride + i * LANES, sum[r][i], start, i, add);
}

#ifdef BF16_MMLA
#include "runtime/kernels/isa_pairs.h"
#else
INLINE void tile_bf16(TILE_ARGUMENTS, const int panels, const int rows)
{
    floats sum[BF16_ROWS][VECTORS];

    (void)row, (void)scale;
    EACH_SUM(r, i) sum[r][i] = start_sum(y + r * y_stride, i);
    for (; count > 0; count--, w += ISA_PANEL) {
        LOAD_WORD(v)
#ifdef BF16_DOT
        EACH_SUM(r, i) sum[r][i] = BF16_DOT(sum[r][i], v[i], x[r * BF16_STRIDE]);
        x++;
#else
        UNROLL for (int s = 0; s < BF16_SUBWORDS; s++, x++) EACH_SUM(r, i) sum[r][i] +=
            (floats)bf16_subword(v[i], s) * as_float(x[r * BF16_STRIDE]);
#endif
    }
    EACH_SUM(r, i) put_sum(y + r * y_stride + i * LANES, sum[r][i], start, i, add);
}

INLINE void tile_q8(TILE_ARGUMENTS, const int panels, const int rows)
{
    integers sum[Q8_ROWS][VECTORS];

    EACH_SUM(r, i) sum[r][i] = (integers)start_sum(y + r * y_stride, i);
    for (; count > 0; count--, w += ISA_PANEL) {
        LOAD_WORD(v)
#ifdef Q8_DOT
        EACH_SUM(r, i) sum[r][i] = Q8_DOT(sum[r][i], v[i], x[r * Q8_STRIDE]);
        x++;
#else
        UNROLL for (int s = 0; s < Q8_SUBWORDS; s++, x++) EACH_SUM(r, i) sum[r][i] =
            Q8_STEP(sum[r][i], q8_subword(v[i], s), x[r * Q8_STRIDE]);
#endif
    }
    EACH_SUM(r, i)
    {
        floats exact = __builtin_convertvector(sum[r][i] - row[r].offset, floats);
        floats scaled = exact * (*(const floats *)(scale + i * LANES) * row[r].scale);
        put_sum(y + r * y_stride + i * LANES, scaled, start, i, add);
    }
}
#endif

/* One function for each number of panels and rows, and their table. */
#define TILE(type, panels, rows)                                                                   \
    static void type##_##panels##x##rows(TILE_ARGUMENTS)                                           \
    {                                                                                              \
        tile_##type(y, y_stride, x, w, panel, count, row, scale, start, add, panels, rows);        \
    }
#define UP_TO_4(M, t, p) M(t, p, 1) M(t, p, 2) M(t, p, 3) M(t, p, 4)
#define UP_TO_6(M, t, p) UP_TO_4(M, t, p) M(t, p, 5) M(t, p, 6)
#define UP_TO_12(M, t, p)                                                                          \
    UP_TO_6(M, t, p) M(t, p, 7) M(t, p, 8) M(t, p, 9) M(t, p, 10) M(t, p, 11) M(t, p, 12)
#define UP_TO_14(M, t, p) UP_TO_12(M, t, p) M(t, p, 13) M(t, p, 14)
#define ENTRY(type, panels, rows) type##_##panels##x##rows,
#define PASTE_OF(a, b) a##b
#define PASTE(a, b) PASTE_OF(a, b)
#define UP_TO(n) PASTE(UP_TO_, n)

UP_TO(F32_ROWS)
(TILE, f32, 1) UP_TO(BF16_ROWS)(TILE, bf16, 1) UP_TO(Q8_ROWS)(TILE, q8, 1)
#if PANELS == 2
    UP_TO(F32_ROWS)(TILE, f32, 2) UP_TO(BF16_ROWS)(TILE, bf16, 2) UP_TO(Q8_ROWS)(TILE, q8, 2)
#endif

        static isa_tile *const
    tiles[WEIGHT_DTYPES][2]
         [ISA_ROWS + 1] =
             {
                 [WEIGHT_F32] =
                     {
                         {NULL, UP_TO(F32_ROWS)(ENTRY, f32, 1)},
#if PANELS == 2
                         {NULL, UP_TO(F32_ROWS)(ENTRY, f32, 2)},
#endif
                     },
                 [WEIGHT_BF16] =
                     {
                         {NULL, UP_TO(BF16_ROWS)(ENTRY, bf16, 1)},
#if PANELS == 2
                         {NULL, UP_TO(BF16_ROWS)(ENTRY, bf16, 2)},
#endif
                     },
                 [WEIGHT_Q8] =
                     {
                         {NULL, UP_TO(Q8_ROWS)(ENTRY, q8, 1)},
#if PANELS == 2
                         {NULL, UP_TO(Q8_ROWS)(ENTRY, q8, 2)},
#endif
                     },
};

/* ---------------------------------------------------------------- operands ----------------- */

static void operand_f32(uint32_t *to, isa_row *row, const float *x, long x_stride, int rows, int k)
{
    (void)row;
    for (int r = 0; r < rows; r++, to += F32_STRIDE, x += x_stride) {
        int whole = k / LANES * LANES; /* a call of memcpy takes longer than short rows */
        for (int i = 0; i < whole; i += LANES)
            *(words *)(to + i) = *(const words *)(x + i);
        for (int i = whole; i < k; i++)
            to[i] = as_bits(x[i]);
    }
}

static void operand_bf16(uint32_t *to, isa_row *row, const float *x, long x_stride, int rows, int k)
{
    (void)row;
    for (int r = 0; r < rows; r++, to += BF16_STRIDE, x += x_stride) {
#if BF16_SUBWORDS == 1
        bf16_words(to, x, k);
#else
        for (int i = 0; i < k; i++)
            to[i] = rounded_to_bf16(x[i]);
        if (k % 2)
            to[k] = 0;
#endif
    }
}

/* The largest magnitude, and whether all values are finite. */
INLINE float largest(const float *x, int k, bool *finite)
{
    uint32_t top = 0; /* without signs, floats are ordered like their bits */

    for (int i = 0; i < k; i++) {
        uint32_t size = as_bits(x[i]) & 0x7fffffffu;
        top = size > top ? size : top;
    }
    *finite = top < 0x7f800000u;
    return as_float(top);
}

/* Integers of a row, as the subwords of whole words. */
INLINE void put_q8(uint32_t *to, const uint32_t *line, int count)
{
#if Q8_SUBWORDS == 1
    for (int i = 0; i < 4 * count; i++)
        ((word_bytes *)to)[i] = (uint8_t)line[i];
#elif Q8_SUBWORDS == 2
    for (int i = 0; i < count; i++, line += 4) {
        to[2 * i] = (line[0] & 0xffff) | line[2] << 16;
        to[2 * i + 1] = (line[1] & 0xffff) | line[3] << 16;
    }
#else
    memcpy(to, line, (size_t)count * 4 * sizeof *to);
#endif
}

/* A row that is not finite gets a scale that is not either, and zeros. */
static void operand_q8(uint32_t *to, isa_row *row, const float *x, long x_stride, int rows, int k)
{
    const float rounder = 0x1.8p23f; /* adding it leaves the nearest integer in the low bits */
    uint32_t line[4 * ISA_WORDS];

    for (int r = 0; r < rows; r++, x += x_stride, to += Q8_STRIDE) {
        bool finite;
        float top = largest(x, k, &finite), inverse = top > 1e-30f ? 127 / top : 0;
        uint32_t sum = 0, kept = finite ? UINT32_MAX : 0;

        row[r].scale = finite ? top / 127 : NAN;
        for (int i = 0; i < k; i++)
            line[i] = (as_bits(x[i] * inverse + rounder) - 0x4b400000u) & kept;
        for (int i = k; i < (k + 3) / 4 * 4; i++)
            line[i] = 0;
#ifndef Q8_SIGNED
        for (int i = 0; i < k; i++)
            sum += line[i];
#endif
        row[r].offset = (int32_t)(128 * sum);
        put_q8(to, line, (k + 3) / 4);
    }
}

/* ---------------------------------------------------------------- the rest ----------------- */

#include "runtime/kernels/isa_elementwise.h"

#define ISA_TABLE_NAME PASTE(isa_, ISA)
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)

const isa ISA_TABLE_NAME;
const isa ISA_TABLE_NAME = {
    .name = TEXT(ISA),
    .panels = PANELS,
    .rows = {F32_ROWS, BF16_ROWS, Q8_ROWS},
    .subwords = {1, BF16_SUBWORDS, Q8_SUBWORDS},
    .tile = tiles,
    .operand = {operand_f32, operand_bf16, operand_q8},
    .own_sums = {!FUSED, !FUSED || BF16_SUBWORDS == 1, !FUSED},
    .bf16_words = bf16_words,
    .bf16_words_across = bf16_words_across,
    .layer_norm = rows_layer_norm,
    .quick_gelu = each_quick_gelu,
    .gelu = each_gelu,
    .softmax = rows_softmax,
    .lstm_cell = each_lstm_cell,
    .filter_rows = filter_rows,
};
