/* SPDX-License-Identifier: MIT */
/* clock.h - how long something takes. */
#ifndef RUNTIME_CLOCK_H
#define RUNTIME_CLOCK_H

#include <time.h>

/* Seconds since some moment: the differences count. Never set back, whatever happens to the date.
 */
static inline double clock_seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
