/* SPDX-License-Identifier: MIT */
/* isa_neon_mmla.c - NEON with products of small matrices of bfloat16 and 8-bit integers (Armv8.6,
 * optional from 8.2 on): twice the multiply-adds of a dot product in an instruction. */
#include "runtime/kernels/isa.h"

#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC) && defined(__ARM_FEATURE_MATMUL_INT8)
#include <arm_neon.h>

#define ISA neon_mmla
#define LANES 4
#define PANELS 1
#define F32_ROWS 6
#define FEW_ROWS 0
#define BF16_ROWS 6
#define Q8_ROWS 6
#define BF16_SUBWORDS 1
#define Q8_SUBWORDS 1
#define Q8_SIGNED /* flipping the highest bit makes a stored weight signed */
#define BF16_MMLA(sum, x, w)                                                                       \
    ((floats)vbfmmlaq_f32((float32x4_t)(sum), (bfloat16x8_t)(x), (bfloat16x8_t)(w)))
#define Q8_MMLA(sum, x, w)                                                                         \
    ((integers)vmmlaq_s32((int32x4_t)(sum), (int8x16_t)(x), (int8x16_t)((w) ^ 0x80808080u)))

#include "runtime/kernels/isa_body.h"
#endif
