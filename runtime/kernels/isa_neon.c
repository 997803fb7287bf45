/* SPDX-License-Identifier: MIT */
/* isa_neon.c - Arm's NEON with dot products (Armv8.2 and later): 32 registers of 4. */
#include "runtime/kernels/isa.h"

#if defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>

#define ISA neon
#define LANES 4
#define PANELS 1
#define F32_ROWS 6
#define FEW_ROWS 0
#define BF16_ROWS 4
#define Q8_ROWS 6
#define BF16_SUBWORDS 2
#define Q8_SUBWORDS 1
#define Q8_SIGNED /* flipping the highest bit makes a stored weight signed */
#define Q8_DOT(sum, w, x)                                                                          \
    ((integers)vdotq_s32((int32x4_t)(sum), (int8x16_t)((w) ^ 0x80808080u),                         \
                         (int8x16_t)vdupq_n_u32(x)))

#include "runtime/kernels/isa_body.h"
#endif
