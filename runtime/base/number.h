/* SPDX-License-Identifier: MIT */
/* number.h - the number types that weight files hold, and what they are as float32. */
#ifndef RUNTIME_NUMBER_H
#define RUNTIME_NUMBER_H

#include <stddef.h>

typedef enum {
    NUMBER_F32,
    NUMBER_F64,
    NUMBER_F16,
    NUMBER_BF16,
    NUMBER_I64,
    NUMBER_I32,
    NUMBER_I16,
    NUMBER_I8,
    NUMBER_U8,
    NUMBER_BOOL,
    NUMBER_U16,
    NUMBER_U32,
    NUMBER_U64,
} number_type;

size_t number_size(number_type type);

/* n numbers at `from`, little-endian and not necessarily aligned, `stride` numbers apart, rounded
 * to the nearest float32. */
void number_to_float(number_type type, const void *from, ptrdiff_t stride, size_t n, float *to);

#endif
