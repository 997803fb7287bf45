/* SPDX-License-Identifier: MIT */
/* half.h - IEEE binary16 <-> binary32, round to nearest even: what numpy's float16 does. */
#ifndef RUNTIME_HALF_H
#define RUNTIME_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint16_t half_from_float(float value)
{
    uint32_t bits, sign, rounded;

    memcpy(&bits, &value, sizeof bits);
    sign = bits >> 16 & 0x8000;
    bits &= 0x7fffffff;
    if (bits > 0x7f800000) /* NaN */
        return (uint16_t)(sign | 0x7e00);
    if (bits >= 0x477ff000) /* rounds to 65520 or more: infinity */
        return (uint16_t)(sign | 0x7c00);
    if (bits < 0x38800000) { /* subnormal: the hardware rounds when 0.5 aligns the last bit */
        float aligned;
        memcpy(&aligned, &bits, sizeof aligned);
        aligned += 0.5f;
        memcpy(&rounded, &aligned, sizeof rounded);
        return (uint16_t)(sign | (rounded - 0x3f000000));
    }
    rounded = bits + 0xfff + (bits >> 13 & 1);
    return (uint16_t)(sign | ((rounded - 0x38000000) >> 13));
}

static inline float half_to_float(uint16_t half)
{
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, bits;
    uint32_t fraction = half & 0x3ff;
    float value;

    if (exponent == 0) { /* zero or subnormal: fraction * 2^-24 */
        value = (float)fraction * 0x1p-24f;
        memcpy(&bits, &value, sizeof bits);
        bits |= sign;
    } else if (exponent == 31) {
        bits = sign | 0x7f800000 | fraction << 13;
    } else {
        bits = sign | (exponent + 112) << 23 | fraction << 13;
    }
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
