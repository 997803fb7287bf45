/* SPDX-License-Identifier: MIT */
/* isa_avx512.c - AVX-512 without instructions for bfloat16 and 8 bits: 32 registers of 16. */
#include "runtime/kernels/isa.h"

#if defined(__AVX512BW__)
#include <immintrin.h>

#define ISA avx512
#define LANES 16
#define PANELS 2
#define F32_ROWS 14
#define FEW_ROWS 3
#define BF16_ROWS 12
#define Q8_ROWS 12
#define BF16_SUBWORDS 2
#define Q8_SUBWORDS 2
#define Q8_STEP(sum, w, x)                                                                         \
    ((sum) + (integers)_mm512_madd_epi16((__m512i)(w), _mm512_set1_epi32((int32_t)(x))))
#define WIDEN(from) ((integers)_mm512_cvtepu8_epi32(_mm_loadu_si128((const void *)(from))))
#define LARGER(a, b) _mm512_max_ps(a, b)

#include "runtime/kernels/isa_body.h"
#endif
