/* SPDX-License-Identifier: MIT */
/* number.c - number types of weight files. */
#include "runtime/base/number.h"

#include <stdint.h>
#include <string.h>

#include "runtime/base/half.h"

size_t number_size(number_type type)
{
    static const unsigned char size[] = {4, 8, 2, 2, 8, 4, 2, 1, 1, 1, 2, 4, 8};

    return size[type];
}

static float one(number_type type, const unsigned char *p)
{
    union {
        float f32;
        double f64;
        uint16_t u16;
        int64_t i64;
        int32_t i32;
        int16_t i16;
        int8_t i8;
        uint32_t u32;
        uint64_t u64;
    } u;

    u.i64 = 0;
    memcpy(&u, p, number_size(type));
    switch (type) {
    case NUMBER_F32:
        return u.f32;
    case NUMBER_F64:
        return (float)u.f64;
    case NUMBER_F16:
        return half_to_float(u.u16);
    case NUMBER_BF16:
        u.u32 = (uint32_t)u.u16 << 16;
        return u.f32;
    case NUMBER_I64:
        return (float)u.i64;
    case NUMBER_I32:
        return (float)u.i32;
    case NUMBER_I16:
        return (float)u.i16;
    case NUMBER_I8:
        return (float)u.i8;
    case NUMBER_U16:
        return (float)u.u16;
    case NUMBER_U32:
        return (float)u.u32;
    case NUMBER_U64:
        return (float)u.u64;
    default:
        return (float)*p;
    }
}

void number_to_float(number_type type, const void *from, ptrdiff_t stride, size_t n, float *to)
{
    const unsigned char *p = from;

    if (type == NUMBER_F32 && stride == 1) {
        memcpy(to, from, n * sizeof *to);
        return;
    }
    if (stride == 1 &&
        (type == NUMBER_F16 || type == NUMBER_BF16)) { /* large weights: no switch inside */
        for (size_t i = 0; i < n; i++) {
            uint16_t half;

            memcpy(&half, p + 2 * i, sizeof half);
            if (type == NUMBER_F16) {
                to[i] = half_to_float(half);
            } else {
                uint32_t bits = (uint32_t)half << 16;

                memcpy(&to[i], &bits, sizeof bits);
            }
        }
        return;
    }
    for (size_t i = 0; i < n; i++)
        to[i] = one(type, p + (ptrdiff_t)i * stride * (ptrdiff_t)number_size(type));
}
