/* SPDX-License-Identifier: MIT */
/* limits.h - what this machine can do at most: memory reads and multiply-adds, measured.
 *
 *   machine_limits limits;
 *   if (limits_measure(2, &limits, &err)) ...
 *   printf("%.0f GB/s, %.0f GFLOP/s\n", limits.read_gbs, limits.f32_gflops);
 *
 * Every figure is the best of a few runs of all threads together: a limit, not an average.
 * Operations count as hardware data sheets count them, two for a multiply-add. */
#ifndef RUN_LIMITS_H
#define RUN_LIMITS_H

#include "runtime/deer.h"

typedef struct {
    int threads;
    double read_gbs;    /* GB/s (1e9 bytes) streamed from memory, far behind every cache */
    double cache_gbs;   /* GB/s from the last-level cache */
    size_t cache_bytes; /* its size; 0 where the system does not tell */
    double f32_gflops;  /* fused multiply-adds on registers */
    double bf16_gflops; /* bf16 dot products into f32, NaN where the CPU has none */
    double int8_gops;   /* int8 dot products into int32, NaN where the CPU has none */

    /* Of a GPU: reads and writes of copies for read_gbs, large products for arithmetic. */
    char device[96];                             /* its name; empty: the processor */
    bool card;                                   /* it has memory of its own, */
    uint64_t device_bytes;                       /* so many bytes */
    double dispatch_seconds, submission_seconds; /* that starting one takes */
} machine_limits;

/* Measures all of it with `threads` threads, in two or three seconds and 400 MB of memory. */
deer_status limits_measure(int threads, machine_limits *limits, deer_error *err);

#endif
