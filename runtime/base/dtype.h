/* SPDX-License-Identifier: MIT */
/* dtype.h - the types a model file keeps its weights in: their names, sizes and arithmetic.
 *
 *   weight_dtype_from_name("q8", &dtype);
 *   bytes = weight_forms[dtype].weight * n + weight_forms[dtype].row * rows;
 *   bad = weight_first_bad(values, n, as);                    // n: all of them can be kept
 *   weight_to_bf16(values, n, half);
 *   weight_to_q8(values, rows, columns, bytes, scales);
 *
 * bfloat16: the upper half of a float32, rounded to nearest, ties to even. 8 bits: one scale a row,
 * value = (byte - 128) * scale, symmetric: scale = largest magnitude / 127, byte = 128 + value /
 * scale to nearest, ties to even; so bytes lie in 1 .. 255 and the error is at most scale / 2 (but
 * for rounding in the last place of float32). A row of zeros has scale 0 and bytes 128. */
#ifndef RUNTIME_DTYPE_H
#define RUNTIME_DTYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "runtime/base/number.h"

typedef enum { WEIGHT_F32, WEIGHT_BF16, WEIGHT_Q8, WEIGHT_DTYPES } weight_dtype;

/* What files and options call them, in that order; ends with NULL. */
extern const char *const weight_dtype_names[WEIGHT_DTYPES + 1];

/* Bytes that a file of each type takes. Biases, norms and whatever else is added rather than
 * multiplied by takes 4 a number in all of them. */
typedef struct {
    number_type number; /* of its matrices */
    int weight;         /* a number of a matrix */
    int row;            /* a row of a matrix takes this besides: its scale */
    int table;          /* a number of the token embedding and of the patch embedding */
    int activation;     /* a number that a product of such weights reads, where it is rounded */
} weight_form;

extern const weight_form weight_forms[WEIGHT_DTYPES];

/* "f32", "bf16" or "q8". */
const char *weight_dtype_name(weight_dtype dtype);

/* The type of that name; false when there is none. */
bool weight_dtype_from_name(const char *name, weight_dtype *dtype);

/* The type whose matrices are of such numbers; false when there is none. */
bool weight_dtype_from_number(number_type number, weight_dtype *dtype);

/* Index of the first of n values that is not finite, or not any more once it is kept as `dtype`; n
 * when there is none. */
size_t weight_first_bad(const float *values, size_t n, weight_dtype dtype);

/* n values without bad ones. */
void weight_to_bf16(const float *values, size_t n, uint16_t *out);

/* values [rows, columns] without bad ones; out [rows, columns], scales [rows]. */
void weight_to_q8(const float *values, size_t rows, size_t columns, uint8_t *out, float *scales);

#endif
