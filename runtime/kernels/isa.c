/* SPDX-License-Identifier: MIT */
/* isa.c - which instruction sets this processor has, and which are in use. */
#include "runtime/kernels/isa.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include "runtime/kernels/isa_amx.h"
#elif defined(__aarch64__)
#include <sys/auxv.h>
#ifndef HWCAP_ASIMDDP
#define HWCAP_ASIMDDP (1 << 20)
#endif
#ifndef HWCAP2_I8MM
#define HWCAP2_I8MM (1 << 13)
#endif
#ifndef HWCAP2_BF16
#define HWCAP2_BF16 (1 << 14)
#endif
#endif

extern const isa isa_generic;
#if defined(__x86_64__)
extern const isa isa_avx2, isa_avx512, isa_avx512_dot;
#elif defined(__aarch64__)
extern const isa isa_neon, isa_neon_dot, isa_neon_mmla;
#endif

static _Atomic(const isa *) in_use[WEIGHT_DTYPES];

#if defined(__x86_64__)
static isa amx;
static bool has_amx;

/* Proves itself first: it was written without such a processor at hand. Who names another set does
 * not have the process ask for tiles. */
static void look_for_amx(void)
{
    const char *named = getenv("DEER_ISA");

    if ((named && *named && strcmp(named, "amx")) || !isa_amx_granted())
        return;
    isa_amx_over(&amx, &isa_avx512_dot);
    has_amx = isa_is_right(&amx, WEIGHT_BF16) && isa_is_right(&amx, WEIGHT_Q8);
}
#endif

int isa_list(const isa *list[ISA_MOST])
{
    int n = 0;

#if defined(__x86_64__)
    bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                  __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");

    bool dot =
        avx512 && __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512vnni");
    static pthread_once_t looking = PTHREAD_ONCE_INIT;

    if (dot)
        pthread_once(&looking, look_for_amx);
    if (has_amx)
        list[n++] = &amx;
    if (dot)
        list[n++] = &isa_avx512_dot;
    if (avx512)
        list[n++] = &isa_avx512;
    if (avx2)
        list[n++] = &isa_avx2;
#elif defined(__aarch64__)
    bool dot = getauxval(AT_HWCAP) & HWCAP_ASIMDDP;
    bool bf16 = dot && getauxval(AT_HWCAP2) & HWCAP2_BF16;

    if (bf16 && getauxval(AT_HWCAP2) & HWCAP2_I8MM)
        list[n++] = &isa_neon_mmla;
    if (bf16)
        list[n++] = &isa_neon_dot;
    if (dot)
        list[n++] = &isa_neon;
#endif
    list[n++] = &isa_generic;
    return n;
}

bool isa_is_generic(const isa *set)
{
    return set == &isa_generic;
}

void isa_use_for(weight_dtype type, const isa *chosen)
{
    atomic_store(&in_use[type], chosen);
}

void isa_use(const isa *chosen)
{
    for (int type = 0; type < WEIGHT_DTYPES; type++)
        isa_use_for((weight_dtype)type, chosen);
}

bool isa_is_chosen(void)
{
    return atomic_load(&in_use[WEIGHT_DTYPES - 1]) != NULL; /* the last that a choice writes */
}

const isa *isa_of(weight_dtype type)
{
    const isa *now = atomic_load_explicit(&in_use[type], memory_order_relaxed);
    const isa *list[ISA_MOST];

    if (!now) { /* kernels without a model */
        isa_list(list);
        now = list[0];
    }
    return now;
}

const isa *isa_now(void)
{
    return isa_of(WEIGHT_F32);
}
