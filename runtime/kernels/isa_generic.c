/* SPDX-License-Identifier: MIT */
/* isa_generic.c - plain vectors of four: for processors that nothing better fits. */
#include "runtime/kernels/isa.h"

#define ISA generic
#define LANES 4
#define PANELS 1
#define F32_ROWS 4
#define FEW_ROWS 0
#define BF16_ROWS 4
#define Q8_ROWS 4
#define BF16_SUBWORDS 2
#define Q8_SUBWORDS 4

#include "runtime/kernels/isa_body.h"
