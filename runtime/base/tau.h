/* SPDX-License-Identifier: MIT */
/* tau.h - the exit rule, and thresholds in words.
 *
 *   tau_never(max_exit, tau);                       // tau [max_exit + 1]: always the deepest exit
 *   k = tau_exit(value, 1, tau, max_exit);          // value [max_exit]: the exit that is taken
 *
 * An exit is taken when the criterion's value there is at most its threshold, compared in float32;
 * the deepest exit allowed is taken whatever its value. A value that is no finite number stops
 * nowhere else, not even where the threshold is infinite.
 * Source: DeeR-VLA section 3.2; official ExitController.forward. */
#ifndef RUNTIME_TAU_H
#define RUNTIME_TAU_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>

#define TAU_NEVER (-INFINITY)
#define TAU_ALWAYS INFINITY

/* Whether an exit that is not the deepest is taken. */
static inline bool tau_stops(float value, float tau)
{
    return isfinite(value) && value <= tau;
}

/* The exit taken: values lie `stride` apart, one of each exit before max_exit. */
static inline int tau_exit(const float *value, ptrdiff_t stride, const float *tau, int max_exit)
{
    int k = 0;

    while (k < max_exit && !tau_stops(value[k * stride], tau[k]))
        k++;
    return k;
}

/* tau [max_exit + 1] that leaves at max_exit alone. */
static inline void tau_never(int max_exit, float *tau)
{
    for (int k = 0; k < max_exit; k++)
        tau[k] = TAU_NEVER;
    tau[max_exit] = TAU_ALWAYS;
}

/* "never", "always", or NULL where the number says it. Official files have -1e8 for never. */
static inline const char *tau_word(float tau)
{
    return tau < -1e7f ? "never" : tau == TAU_ALWAYS ? "always" : NULL;
}

/* What the official code's --thresholds is given. */
static inline double tau_official(float tau)
{
    return fmax(-1e5, fmin(1e5, (double)tau));
}

#endif
