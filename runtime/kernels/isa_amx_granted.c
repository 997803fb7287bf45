/* SPDX-License-Identifier: MIT */
/* isa_amx_granted.c - whether this process may use Intel's tiles.
 *
 * The processor says that it has them (CPUID), the system that it keeps them where threads take
 * turns (XCR0), and lets a process use them that asks (Linux 5.16). Whatever is missing, the answer
 * is no. Source: Intel's manual, volume 1, chapter 18; Linux' Documentation/arch/x86/xstate.rst. */
#include "runtime/kernels/isa_amx.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    BF16 = 1 << 22,
    TILE = 1 << 24,
    INT8 = 1 << 25,         /* CPUID leaf 7, edx */
    STATE_SAVED = 1 << 27,  /* CPUID leaf 1, ecx: xgetbv works */
    TILE_STATES = 3 << 17,  /* XCR0: configuration and data */
    TILE_DATA = 18,         /* the second, by its number */
    ASK_FOR_STATE = 0x1023, /* ARCH_REQ_XCOMP_PERM */
};

static bool processor_has_them(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & STATE_SAVED))
        return false;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && d & TILE && d & BF16 && d & INT8;
}

/* Eight tiles of 16 rows of 64 bytes: what the first palette is on all processors so far. */
static bool tiles_are_as_expected(void)
{
    unsigned a, b, c, d;

    if (!__get_cpuid_count(0x1d, 1, &a, &b, &c, &d))
        return false;
    return a >> 16 == 1024 && (b & 0xffff) == 64 && b >> 16 == 8 && (c & 0xffff) == 16;
}

static bool system_keeps_them(void)
{
    unsigned low, high;

    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & TILE_STATES) == TILE_STATES;
}

bool isa_amx_granted(void)
{
    return processor_has_them() && tiles_are_as_expected() && system_keeps_them() &&
           syscall(SYS_arch_prctl, ASK_FOR_STATE, TILE_DATA) == 0;
}
#else
bool isa_amx_granted(void)
{
    return false;
}
#endif
