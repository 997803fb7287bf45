/* SPDX-License-Identifier: MIT */
/* isa_neon_dot.c - NEON with dot products of bfloat16 pairs (Armv8.6, optional from 8.2 on). */
#include "runtime/kernels/isa.h"

#if defined(__ARM_FEATURE_BF16_VECTOR_ARITHMETIC) && defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>

#define ISA neon_dot
#define LANES 4
#define PANELS 1
#define F32_ROWS 6
#define FEW_ROWS 0
#define BF16_ROWS 6
#define Q8_ROWS 6
#define BF16_SUBWORDS 1
#define Q8_SUBWORDS 1
#define Q8_SIGNED /* flipping the highest bit makes a stored weight signed */
#define BF16_DOT(sum, w, x)                                                                        \
    ((floats)vbfdotq_f32((float32x4_t)(sum), (bfloat16x8_t)(w), (bfloat16x8_t)vdupq_n_u32(x)))
#define Q8_DOT(sum, w, x)                                                                          \
    ((integers)vdotq_s32((int32x4_t)(sum), (int8x16_t)((w) ^ 0x80808080u),                         \
                         (int8x16_t)vdupq_n_u32(x)))

#include "runtime/kernels/isa_body.h"
#endif
