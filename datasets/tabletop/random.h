/* SPDX-License-Identifier: MIT */
/* random.h - the simulator's random numbers: splitmix64, so that one seed is one episode. */
#ifndef TABLETOP_RANDOM_H
#define TABLETOP_RANDOM_H

#include <math.h>
#include <stdint.h>

/* Sebastiano Vigna's splitmix64 (public domain algorithm). */
static inline uint64_t random_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9E3779B97F4A7C15u);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
}

/* Uniform in [low, high). */
static inline double random_uniform(uint64_t *state, double low, double high)
{
    return low + (high - low) * (double)(random_next(state) >> 11) * 0x1p-53;
}

/* Uniform integer in 0..n-1. */
static inline int random_below(uint64_t *state, int n)
{
    return (int)random_uniform(state, 0, n);
}

/* Standard normal (Box-Muller). */
static inline double random_normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(random_uniform(state, 0, 1) + 1e-300));
    return radius * cos(2 * M_PI * random_uniform(state, 0, 1));
}

#endif
