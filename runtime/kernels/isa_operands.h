/* SPDX-License-Identifier: MIT */
/* isa_operands.h - activations as operands of bfloat16 and of 8 bits.
 *
 * Behind isa_vectors.h, where BF16_SUBWORDS and Q8_SUBWORDS say what one instruction takes. */

enum {
    BF16_STRIDE = ISA_WORDS * BF16_SUBWORDS + ISA_SPARE, /* isa_row_stride, as constants */
    Q8_STRIDE = ISA_WORDS * Q8_SUBWORDS + ISA_SPARE,
};

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
