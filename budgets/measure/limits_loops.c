/* SPDX-License-Identifier: MIT */
/* limits_loops.c - the fastest loops of each kind of instruction.
 *
 * Twelve independent chains hide the latency of any of them and fit in sixteen registers. The
 * empty asm statements pretend to look at the results. */
#include "budgets/measure/limits_loops.h"

#include <stdint.h>

enum { CHAINS = 12, ROUNDS = 100000 };

#if defined(__x86_64__)
#include <immintrin.h>
#define REGISTER "v"
#elif defined(__aarch64__)
#include <arm_neon.h>
#include <sys/auxv.h>
#define REGISTER "w"
#endif

/* A loop named `name`: CHAINS accumulators of `type`, each round a = `step`; `lanes` multiply-adds
 * an instruction. */
#define LOOP(name, isa, type, zero, step, lanes)                                                   \
    __attribute__((target(isa))) static double name(void)                                          \
    {                                                                                              \
        type a[CHAINS];                                                                            \
        for (int j = 0; j < CHAINS; j++)                                                           \
            a[j] = zero;                                                                           \
        for (int i = 0; i < ROUNDS; i++)                                                           \
            _Pragma("GCC unroll 12") for (int j = 0; j < CHAINS; j++) a[j] = step;                 \
        _Pragma("GCC unroll 12") for (int j = 0; j < CHAINS;                                       \
                                      j++) __asm__ volatile("" : : REGISTER(a[j]));                \
        return 2.0 * (lanes)*CHAINS * ROUNDS;                                                      \
    }

#if defined(__x86_64__)

LOOP(f32_avx512, "avx512f", __m512, _mm512_setzero_ps(),
     _mm512_fmadd_ps(_mm512_set1_ps(0.5f), _mm512_set1_ps(0.5f), a[j]), 16)
LOOP(f32_avx2, "avx2,fma", __m256, _mm256_setzero_ps(),
     _mm256_fmadd_ps(_mm256_set1_ps(0.5f), _mm256_set1_ps(0.5f), a[j]), 8)
LOOP(bf16_avx512, "avx512f,avx512bf16", __m512, _mm512_setzero_ps(),
     _mm512_dpbf16_ps(a[j], (__m512bh)_mm512_set1_ps(0.5f), (__m512bh)_mm512_set1_ps(0.5f)), 32)
LOOP(int8_avx512, "avx512f,avx512vnni", __m512i, _mm512_setzero_si512(),
     _mm512_dpbusd_epi32(a[j], _mm512_set1_epi8(1), _mm512_set1_epi8(1)), 64)

limits_loop limits_loop_f32(void)
{
    if (__builtin_cpu_supports("avx512f"))
        return f32_avx512;
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? f32_avx2 : NULL;
}

limits_loop limits_loop_bf16(void)
{
    return __builtin_cpu_supports("avx512bf16") ? bf16_avx512 : NULL;
}

limits_loop limits_loop_int8(void)
{
    return __builtin_cpu_supports("avx512vnni") ? int8_avx512 : NULL;
}

#elif defined(__aarch64__)

LOOP(f32_neon, "arch=armv8-a", float32x4_t, vdupq_n_f32(0),
     vfmaq_f32(a[j], vdupq_n_f32(0.5f), vdupq_n_f32(0.5f)), 4)
LOOP(bf16_neon, "arch=armv8.2-a+bf16", float32x4_t, vdupq_n_f32(0),
     vbfmmlaq_f32(a[j], (bfloat16x8_t)vdupq_n_u32(0x3f013f01),
                  (bfloat16x8_t)vdupq_n_u32(0x3f013f01)),
     16)
LOOP(int8_dot, "arch=armv8.2-a+dotprod", int32x4_t, vdupq_n_s32(0),
     vdotq_s32(a[j], vdupq_n_s8(1), vdupq_n_s8(1)), 16)
LOOP(int8_mmla, "arch=armv8.2-a+i8mm", int32x4_t, vdupq_n_s32(0),
     vmmlaq_s32(a[j], vdupq_n_s8(1), vdupq_n_s8(1)), 32)

enum { DOT_PRODUCTS = 1 << 20, BF16 = 1 << 14, I8MM = 1 << 13 }; /* of AT_HWCAP, AT_HWCAP2 twice */

limits_loop limits_loop_f32(void)
{
    return f32_neon;
}

limits_loop limits_loop_bf16(void)
{
    return getauxval(AT_HWCAP2) & BF16 ? bf16_neon : NULL;
}

limits_loop limits_loop_int8(void)
{
    if (getauxval(AT_HWCAP2) & I8MM)
        return int8_mmla;
    return getauxval(AT_HWCAP) & DOT_PRODUCTS ? int8_dot : NULL;
}

#else

limits_loop limits_loop_f32(void)
{
    return NULL;
}

limits_loop limits_loop_bf16(void)
{
    return NULL;
}

limits_loop limits_loop_int8(void)
{
    return NULL;
}

#endif

double limits_read(const unsigned char *from, size_t bytes)
{
    typedef uint64_t block __attribute__((vector_size(64), aligned(1), may_alias));
    enum { AHEAD = 4096 }; /* bytes: prefetching past the page the hardware's prefetchers stop at */
    const unsigned char *end = from + bytes / 256 * 256;
    block a = {0}, b = {0}, c = {0}, d = {0};

    for (const unsigned char *p = from; p < end; p += 256) {
        for (int line = 0; line < 256; line += 64)
            __builtin_prefetch(p + AHEAD + line); /* beyond the end: harmless */
        a |= *(const block *)p;
        b |= *(const block *)(p + 64);
        c |= *(const block *)(p + 128);
        d |= *(const block *)(p + 192);
    }
    a |= b | c | d;
    __asm__ volatile("" : : "m"(a));
    return (double)(end - from);
}
