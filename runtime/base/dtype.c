/* SPDX-License-Identifier: MIT */
/* dtype.c - the types of weights, and float32 weights to them. */
#include "runtime/base/dtype.h"

#include <string.h>

const char *const weight_dtype_names[WEIGHT_DTYPES + 1] = {"f32", "bf16", "q8", NULL};

const weight_form weight_forms[WEIGHT_DTYPES] = {
    [WEIGHT_F32] = {NUMBER_F32, .weight = 4, .row = 0, .table = 4, .activation = 4},
    [WEIGHT_BF16] = {NUMBER_BF16, .weight = 2, .row = 0, .table = 2, .activation = 2},
    [WEIGHT_Q8] = {NUMBER_U8, .weight = 1, .row = 4, .table = 2, .activation = 2},
};

const char *weight_dtype_name(weight_dtype dtype)
{
    return weight_dtype_names[dtype];
}

bool weight_dtype_from_name(const char *name, weight_dtype *dtype)
{
    for (int i = 0; i < WEIGHT_DTYPES; i++)
        if (!strcmp(name, weight_dtype_names[i])) {
            *dtype = (weight_dtype)i;
            return true;
        }
    return false;
}

bool weight_dtype_from_number(number_type number, weight_dtype *dtype)
{
    for (int i = 0; i < WEIGHT_DTYPES; i++)
        if (weight_forms[i].number == number) {
            *dtype = (weight_dtype)i;
            return true;
        }
    return false;
}

/* ---------------------------------------------------------------- checks ------------------- */

static uint32_t bits_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits;
}

size_t weight_first_bad(const float *values, size_t n, weight_dtype dtype)
{
    enum { BLOCK = 4096 }; /* looked through without a branch */
    uint32_t infinity = dtype == WEIGHT_BF16 ? 0x7f7f8000 : 0x7f800000;

    for (size_t begin = 0; begin < n; begin += BLOCK) {
        size_t end = n - begin < BLOCK ? n : begin + BLOCK;
        uint32_t bad = 0;

        for (size_t i = begin; i < end; i++)
            bad |= infinity - 1 - (bits_of(values[i]) & 0x7fffffff); /* below zero: top bit */
        if (bad >> 31)
            for (size_t i = begin; i < end; i++)
                if ((bits_of(values[i]) & 0x7fffffff) >= infinity)
                    return i;
    }
    return n;
}

/* ---------------------------------------------------------------- conversion --------------- */

void weight_to_bf16(const float *values, size_t n, uint16_t *out)
{
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = bits_of(values[i]);

        out[i] = (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
    }
}

static float largest_magnitude(const float *row, size_t n)
{
    uint32_t largest = 0; /* magnitudes order like their bits */
    float value;

    for (size_t i = 0; i < n; i++) {
        uint32_t bits = bits_of(row[i]) & 0x7fffffff;

        largest = bits > largest ? bits : largest;
    }
    memcpy(&value, &largest, sizeof value);
    return value;
}

static void row_to_q8(const float *row, size_t n, uint8_t *out, float scale)
{
    const float integer = 0x1.8p23f; /* adding it leaves no bits behind the point */

    for (size_t i = 0; i < n; i++) {
        float ratio = row[i] / scale;

        /* beyond 127 only where the scale is too small a number to be precise */
        ratio = ratio < -127.0f ? -127.0f : ratio > 127.0f ? 127.0f : ratio;
        out[i] = (uint8_t)(bits_of(ratio + integer) - bits_of(integer) + 128);
    }
}

void weight_to_q8(const float *values, size_t rows, size_t columns, uint8_t *out, float *scales)
{
    for (size_t r = 0; r < rows; r++) {
        const float *row = values + r * columns;

        scales[r] = largest_magnitude(row, columns) / 127.0f;
        if (scales[r] > 0)
            row_to_q8(row, columns, out + r * columns, scales[r]);
        else
            memset(out + r * columns, 128, columns);
    }
}
