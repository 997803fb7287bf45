/* SPDX-License-Identifier: MIT */
/* random.h - random numbers that a seed fixes, on every machine: splitmix64.
 *
 *   uint64_t state = seed;
 *   double x = random_uniform(&state, -1, 1);
 *
 * What is drawn for one seed is part of what the programs promise (episodes, splits, intervals):
 * changing anything here changes results. Source: Steele, Lea, Flood 2014; Vigna's splitmix64. */
#ifndef RUNTIME_RANDOM_H
#define RUNTIME_RANDOM_H

#include <math.h>
#include <stdint.h>

/* What the state grows by at each draw. */
#define RANDOM_STEP 0x9e3779b97f4a7c15u

/* A well mixed number of z. */
static inline uint64_t random_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 64 random bits. */
static inline uint64_t random_next(uint64_t *state)
{
    return random_mix(*state += RANDOM_STEP);
}

/* Uniform in [0, 1), a multiple of 2^-53. */
static inline double random_unit(uint64_t *state)
{
    return (double)(random_next(state) >> 11) * 0x1p-53;
}

/* Uniform in [low, high). */
static inline double random_uniform(uint64_t *state, double low, double high)
{
    return low + (high - low) * random_unit(state);
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
