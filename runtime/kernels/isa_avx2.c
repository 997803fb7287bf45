/* SPDX-License-Identifier: MIT */
/* isa_avx2.c - AVX2 and FMA: 16 registers of 8. */
#include "runtime/kernels/isa.h"

#if defined(__AVX2__)
#include <immintrin.h>

#define ISA avx2
#define LANES 8
#define PANELS 1
#define F32_ROWS 6
#define FEW_ROWS 1
#define BF16_ROWS 4
#define Q8_ROWS 4
#define BF16_SUBWORDS 2
#define Q8_SUBWORDS 2
#define Q8_STEP(sum, w, x)                                                                         \
    ((sum) + (integers)_mm256_madd_epi16((__m256i)(w), _mm256_set1_epi32((int32_t)(x))))
#define WIDEN(from) ((integers)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)(from))))
#define LARGER(a, b) _mm256_max_ps(a, b)

#include "runtime/kernels/isa_body.h"
#endif
