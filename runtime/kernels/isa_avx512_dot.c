/* SPDX-License-Identifier: MIT */
/* isa_avx512_dot.c - AVX-512 with products of bfloat16 pairs and of four 8-bit integers. */
#include "runtime/kernels/isa.h"

#if defined(__AVX512BF16__) && defined(__AVX512VNNI__)
#include <immintrin.h>

#define ISA avx512_dot
#define LANES 16
#define PANELS 2
#define F32_ROWS 14
#define FEW_ROWS 3
#define BF16_ROWS 14
#define Q8_ROWS 14
#define BF16_SUBWORDS 1
#define Q8_SUBWORDS 1
#define BF16_DOT(sum, w, x)                                                                        \
    ((floats)_mm512_dpbf16_ps((__m512)(sum), (__m512bh)(w),                                        \
                              (__m512bh)_mm512_set1_epi32((int32_t)(x))))
#define Q8_DOT(sum, w, x)                                                                          \
    ((integers)_mm512_dpbusd_epi32((__m512i)(sum), (__m512i)(w), _mm512_set1_epi32((int32_t)(x))))
#define WIDEN(from) ((integers)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(from))))
#define LARGER(a, b) _mm512_max_ps(a, b)

#include "runtime/kernels/isa_body.h"
#endif
