/* SPDX-License-Identifier: MIT */
/* isa_body.h - tiles, operands and elementwise functions, for one instruction set.
 *
 * The file that includes it has said
 *   ISA               its name
 *   LANES             float32 values of a vector: 4, 8 or 16
 *   PANELS            panels of a tile: 1 or 2
 *   F32_ROWS, BF16_ROWS, Q8_ROWS      most rows of a tile, so that its sums fit in registers
 *   FEW_ROWS          most rows of a float32 tile of ISA_PANELS panels, likewise: 0, 1 or 3
 *   BF16_SUBWORDS, Q8_SUBWORDS        subwords of a word (isa.h)
 *   BF16_DOT(sum, w, x), Q8_DOT(sum, w, x)   where an instruction multiplies whole words
 *   BF16_MMLA(sum, x, w), Q8_MMLA(sum, x, w)   where it multiplies two rows by two outputs
 *   LARGER(a, b)      where there is one for a > b ? a : b of vectors
 *   WIDEN(from)       where the compiler does not find the instruction for LANES bytes -> integers
 * and has included isa.h. Vectors are GCC's: the arithmetic below is the same for all. */

#include "runtime/kernels/isa_vectors.h"

#include "runtime/kernels/isa_operands.h"

enum {
    PER_PANEL = ISA_PANEL / LANES,
    VECTORS = (FEW_ROWS ? ISA_PANELS : PANELS) * PER_PANEL, /* most of a tile */
    F32_STRIDE = ISA_WORDS + ISA_SPARE,                     /* isa_row_stride, as a constant */
    LONG = 256,            /* words of an output; a panel of more is a long one */
    AHEAD = 768,           /* words that are hinted at: of the same long panel, */
    AHEAD_OF_SHORT = 4096, /* of what lies behind: four panels on with 64 inputs, one with 256 */
};

#ifdef __FP_FAST_FMAF
enum { FUSED = 1 };
#else
enum { FUSED = 0 };
#endif

/* ---------------------------------------------------------------- tiles -------------------- */

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

/* One k step: the vectors of a word of every panel, and a hint about those so many words on. */
#define LOAD_WORD(v, ahead)                                                                        \
    words v[VECTORS];                                                                              \
    UNROLL for (int p = 0; p < panels; p++)                                                        \
    {                                                                                              \
        if (ahead)                                                                                 \
            __builtin_prefetch(w + p * panel + (ahead), 0, 2); /* into L2: L1 holds the operand */ \
        UNROLL for (int i = 0; i < PER_PANEL; i++) v[p * PER_PANEL + i] =                          \
            *(const words *)(w + p * panel + i * LANES);                                           \
    }

#define EACH_SUM(r, i)                                                                             \
    UNROLL for (int r = 0; r < rows; r++) UNROLL for (int i = 0; i < panels * PER_PANEL; i++)

/* Zeros; where the sum will go comes closer meanwhile. */
INLINE floats start_sum(const float *to, int i, const int ahead)
{
    if (ahead)
        __builtin_prefetch(to + i * LANES, 1, 2);
    return (floats){0};
}

INLINE void tile_f32(TILE_ARGUMENTS, const int panels, const int rows, const int ahead)
{
    floats sum[F32_ROWS][VECTORS];

    (void)row, (void)scale, (void)first;
    EACH_SUM(r, i) sum[r][i] = start_sum(y + r * y_stride, i, ahead);
    for (; count > 0; count--, x++, w += ISA_PANEL) {
        LOAD_WORD(v, ahead)
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

    (void)row, (void)scale, (void)first;
    EACH_SUM(r, i) sum[r][i] = start_sum(y + r * y_stride, i, AHEAD);
    for (; count > 0; count--, w += ISA_PANEL) {
        LOAD_WORD(v, AHEAD)
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

    (void)first;
    EACH_SUM(r, i) sum[r][i] = (integers)start_sum(y + r * y_stride, i, AHEAD);
    for (; count > 0; count--, w += ISA_PANEL) {
        LOAD_WORD(v, AHEAD)
#ifdef Q8_DOT
        EACH_SUM(r, i) sum[r][i] = Q8_DOT(sum[r][i], v[i], x[r * Q8_STRIDE]);
        x++;
#else
        UNROLL for (int s = 0; s < Q8_SUBWORDS; s++, x++) EACH_SUM(r, i) sum[r][i] =
            Q8_STEP(sum[r][i], q8_subword(v[i], s), x[r * Q8_STRIDE]);
#endif
    }
    EACH_SUM(r, i)
    put_scaled(y + r * y_stride + i * LANES, sum[r][i], &row[r], scale, start, i, add);
}
#endif

/* One function for each number of panels and rows, and their table. */
#define TILE(type, panels, rows)                                                                   \
    static void type##_##panels##x##rows(TILE_ARGUMENTS)                                           \
    {                                                                                              \
        tile_##type(y, y_stride, x, w, panel, count, row, scale, start, add, first, panels, rows); \
    }
/* Short panels are over before a hint about themselves is of use, so theirs are about what lies
 * behind, and none where other rows have met the panels before, since hints take the places of
 * loads. In one function compilers would share what all have, which costs more than that. */
#define TILE_F32(type, panels, rows)                                                               \
    static __attribute__((noinline)) void first_##panels##x##rows(TILE_ARGUMENTS)                  \
    {                                                                                              \
        tile_f32(y, y_stride, x, w, panel, count, row, scale, start, add, first, panels, rows,     \
                 AHEAD_OF_SHORT);                                                                  \
    }                                                                                              \
    static __attribute__((noinline)) void again_##panels##x##rows(TILE_ARGUMENTS)                  \
    {                                                                                              \
        tile_f32(y, y_stride, x, w, panel, count, row, scale, start, add, first, panels, rows, 0); \
    }                                                                                              \
    static void f32_##panels##x##rows(TILE_ARGUMENTS)                                              \
    {                                                                                              \
        if (panel > LONG * ISA_PANEL)                                                              \
            tile_f32(y, y_stride, x, w, panel, count, row, scale, start, add, first, panels, rows, \
                     AHEAD);                                                                       \
        else                                                                                       \
            (first ? first_##panels##x##rows : again_##panels##x##rows)(                           \
                y, y_stride, x, w, panel, count, row, scale, start, add, first);                   \
    }
#define ENTRY(type, panels, rows) type##_##panels##x##rows,
UP_TO(F32_ROWS)
(TILE_F32, f32, 1) UP_TO(BF16_ROWS)(TILE, bf16, 1) UP_TO(Q8_ROWS)(TILE, q8, 1)
#if PANELS == 2
    UP_TO(F32_ROWS)(TILE_F32, f32, 2) UP_TO(BF16_ROWS)(TILE, bf16, 2) UP_TO(Q8_ROWS)(TILE, q8, 2)
#elif FEW_ROWS
    UP_TO(FEW_ROWS)(TILE_F32, f32, 2)
#endif
#if FEW_ROWS
        UP_TO(FEW_ROWS)(TILE_F32, f32, 3) UP_TO(FEW_ROWS)(TILE_F32, f32, 4)
#endif

            static isa_tile *const
    tiles[WEIGHT_DTYPES][FEW_ROWS ? ISA_PANELS : PANELS]
         [ISA_ROWS + 1] =
             {
                 [WEIGHT_F32] =
                     {
                         {NULL, UP_TO(F32_ROWS)(ENTRY, f32, 1)},
#if PANELS == 2
                         {NULL, UP_TO(F32_ROWS)(ENTRY, f32, 2)},
#elif FEW_ROWS
                         {NULL, UP_TO(FEW_ROWS)(ENTRY, f32, 2)},
#endif
#if FEW_ROWS
                         {NULL, UP_TO(FEW_ROWS)(ENTRY, f32, 3)},
                         {NULL, UP_TO(FEW_ROWS)(ENTRY, f32, 4)},
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
    enum { STRETCH = 4 * LANES };
    int whole = k / LANES * LANES, stretches = k / STRETCH * STRETCH;

    (void)row;
    for (int r = 0; r < rows; r++, to += F32_STRIDE, x += x_stride) {
        int i = 0; /* a call of memcpy takes longer than short rows */
        for (; i < stretches; i += STRETCH)
            UNROLL for (int j = 0; j < STRETCH; j += LANES) * (words *)(to + i + j) =
                *(const words *)(x + i + j);
        for (; i < whole; i += LANES)
            *(words *)(to + i) = *(const words *)(x + i);
        for (; i < k; i++)
            to[i] = as_bits(x[i]);
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
    .panels = {PANELS, PANELS, PANELS},
    .rows = {F32_ROWS, BF16_ROWS, Q8_ROWS},
    .few_rows = {FEW_ROWS, 0, 0},
    .subwords = {1, BF16_SUBWORDS, Q8_SUBWORDS},
    .tile = {tiles[WEIGHT_F32], tiles[WEIGHT_BF16], tiles[WEIGHT_Q8]},
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
