/* SPDX-License-Identifier: MIT */
/* amx_for_avx2.c - isa_amx.c as it is, but with vectors of AVX2: tile_emulator.h runs its tiles on
 * any x86-64 of today. The Makefile says what it is compiled for. */
#define isa_amx_over amx_for_avx2
#include "runtime/kernels/isa_amx.c"
