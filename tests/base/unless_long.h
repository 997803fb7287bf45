/* SPDX-License-Identifier: MIT */
/* unless_long.h - how often a test repeats itself: `quick` times on every change, `all` with LONG=1
 * in the environment. */
#ifndef TESTS_UNLESS_LONG_H
#define TESTS_UNLESS_LONG_H

#include <stdlib.h>
#include <string.h>

static inline int unless_long(int quick, int all)
{
    const char *wanted = getenv("LONG");

    return wanted && !strcmp(wanted, "1") ? all : quick;
}

#endif
