/* SPDX-License-Identifier: MIT */
/* isa_pairs.h - tiles of Arm's matrix instructions, which multiply two rows by two outputs.
 *
 * Part of isa_body.h, where the set has said BF16_MMLA(sum, x, w) and Q8_MMLA(sum, x, w). x holds
 * two words of one row and two of the next, w two words of one output and two of the next: those of
 * panels, zipped. A sum is [2 rows][2 outputs]. An odd row or word has zeros beside it, so that a
 * result does not depend on the rows that share its tile. */

enum {
    PAIRS = ISA_PANEL / 2,          /* of outputs, in a panel */
    ROW_PAIRS = (F32_ROWS + 1) / 2, /* BF16_ROWS and Q8_ROWS are not more */
};
_Static_assert(BF16_ROWS <= F32_ROWS && Q8_ROWS <= F32_ROWS, "sums are kept for as many row pairs");

/* Two words of a row, or one and a zero. */
INLINE uint32x2_t row_words(const uint32_t *x, bool both)
{
    return both ? vld1_u32(x) : vset_lane_u32(*x, vdup_n_u32(0), 0);
}

INLINE words row_pair(const uint32_t *x, long stride, bool second, bool both)
{
    return (words)vcombine_u32(row_words(x, both),
                               second ? row_words(x + stride, both) : vdup_n_u32(0));
}

/* sum [row pairs][PAIRS] += two words at a time, four outputs after the other, whose words are
 * zipped to lie beside each other: so that registers hold everything. */
#define ADD_PAIRS(MMLA, stride, both)                                                              \
    do {                                                                                           \
        words a[ROW_PAIRS];                                                                        \
        UNROLL for (int r = 0; r < rows; r += 2) a[r / 2] =                                        \
            row_pair(x + r * (stride), stride, r + 1 < rows, both);                                \
        __builtin_prefetch(w + AHEAD, 0, 2); /* into L2: L1 holds the operand */                   \
        __builtin_prefetch(w + AHEAD + ISA_PANEL, 0, 2);                                           \
        UNROLL for (int i = 0; i < PAIRS; i += 2)                                                  \
        {                                                                                          \
            uint32x4_t one = vld1q_u32(w + 2 * i);                                                 \
            uint32x4_t two = both ? vld1q_u32(w + ISA_PANEL + 2 * i) : vdupq_n_u32(0);             \
            words low = (words)vzip1q_u32(one, two), high = (words)vzip2q_u32(one, two);           \
            UNROLL for (int r = 0; r < rows; r += 2)                                               \
            {                                                                                      \
                sum[r / 2][i] = MMLA(sum[r / 2][i], a[r / 2], low);                                \
                sum[r / 2][i + 1] = MMLA(sum[r / 2][i + 1], a[r / 2], high);                       \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* Four outputs of row r, from the sums of two pairs. */
#define OF_ROW(r, i)                                                                               \
    ((r) % 2                                                                                       \
         ? __builtin_shufflevector(sum[(r) / 2][2 * (i)], sum[(r) / 2][2 * (i) + 1], 2, 3, 6, 7)   \
         : __builtin_shufflevector(sum[(r) / 2][2 * (i)], sum[(r) / 2][2 * (i) + 1], 0, 1, 4, 5))

INLINE void tile_bf16(TILE_ARGUMENTS, const int panels, const int rows)
{
    floats sum[ROW_PAIRS][PAIRS] = {{{0}}};

    (void)panel, (void)panels, (void)row, (void)scale, (void)first;
    for (; count > 1; count -= 2, x += 2, w += 2 * ISA_PANEL)
        ADD_PAIRS(BF16_MMLA, BF16_STRIDE, true);
    if (count)
        ADD_PAIRS(BF16_MMLA, BF16_STRIDE, false);
    EACH_SUM(r, i) put_sum(y + r * y_stride + i * LANES, OF_ROW(r, i), start, i, add);
}

INLINE void tile_q8(TILE_ARGUMENTS, const int panels, const int rows)
{
    integers sum[ROW_PAIRS][PAIRS] = {{{0}}};

    (void)panel, (void)panels, (void)first;
    for (; count > 1; count -= 2, x += 2, w += 2 * ISA_PANEL)
        ADD_PAIRS(Q8_MMLA, Q8_STRIDE, true);
    if (count)
        ADD_PAIRS(Q8_MMLA, Q8_STRIDE, false);
    EACH_SUM(r, i)
    put_scaled(y + r * y_stride + i * LANES, OF_ROW(r, i), &row[r], scale, start, i, add);
}
