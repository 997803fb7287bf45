/* SPDX-License-Identifier: MIT */
/* limits_loops.h - loops that do nothing but multiply-adds, or nothing but reads, as fast as they
 * go. */
#ifndef RUN_LIMITS_LOOPS_H
#define RUN_LIMITS_LOOPS_H

#include <stddef.h>

/* Runs for about a millisecond and returns the operations done, two for a multiply-add. */
typedef double (*limits_loop)(void);

/* The fastest of its kind that this CPU can run; NULL where it has no such instruction. */
limits_loop limits_loop_f32(void);  /* float32 fused multiply-adds */
limits_loop limits_loop_bf16(void); /* pairs of bfloat16 into float32 */
limits_loop limits_loop_int8(void); /* fours of int8 into int32 */

/* Reads bytes at from once, in order; returns how many (a multiple of 256). */
double limits_read(const unsigned char *from, size_t bytes);

#endif
