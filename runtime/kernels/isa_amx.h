/* SPDX-License-Identifier: MIT */
/* isa_amx.h - Intel's tiles (AMX), for products of bfloat16 and 8 bits; the rest is another set's.
 *
 *   if (isa_amx_granted()) {
 *       isa_amx_over(&amx, &isa_avx512_dot);
 *       ... where isa_is_right says so, offer it ...
 *   }
 */
#ifndef RUNTIME_ISA_AMX_H
#define RUNTIME_ISA_AMX_H

#include "runtime/kernels/isa.h"

/* Whether the processor and the system know tiles, and this process may use them. It asks the
 * system for that: from then on a thread's alternate signal stack must have room for tiles too. */
bool isa_amx_granted(void);

/* The set that is `base` but for those products. */
void isa_amx_over(isa *set, const isa *base);

#endif
