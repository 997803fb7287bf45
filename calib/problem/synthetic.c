/* SPDX-License-Identifier: MIT */
/* synthetic.c - made-up calibration problems: a drifting difficulty seen through its symptoms. */
#include "calib/problem/synthetic.h"

#include <math.h>

#include "runtime/base/random.h"

#define TAU_CIRCLE 6.283185307179586

/* ---------------------------------------------------------------- random numbers ----------- */

/* Within (0, 1). */
static double uniform(uint64_t *state)
{
    return ((double)(random_next(state) >> 11) + 0.5) * 0x1p-53;
}

static double normal(uint64_t *state)
{
    double radius = sqrt(-2 * log(uniform(state)));

    return radius * cos(TAU_CIRCLE * uniform(state));
}

/* Student's t with `freedom` degrees. Source: Bailey 1994, the polar form. */
static double student(uint64_t *state, double freedom)
{
    double u = uniform(state), v = uniform(state);

    return sqrt(freedom * (pow(u, -2 / freedom) - 1)) * cos(TAU_CIRCLE * v);
}

/* ---------------------------------------------------------------- the world ---------------- */

synthetic_spec synthetic_default(int exits, int episodes, uint64_t seed)
{
    return (synthetic_spec){.exits = exits,
                            .episodes = episodes,
                            .shortest = 30,
                            .longest = 70,
                            .seed = seed,
                            .persistence = 0.9,
                            .tail = 4,
                            .noise = 0.5,
                            .useless = 0};
}

/* Depth that counts: exits so far that were not useless, spread evenly over the network. */
static void useful_depth(const synthetic_spec *spec, double *depth)
{
    double skipped = 0;

    depth[0] = 1;
    for (int k = 1; k < spec->exits; k++) {
        skipped += spec->useless;
        depth[k] = depth[k - 1] + (skipped < 1);
        skipped -= skipped >= 1;
    }
}

static const double loss_noise = 0.3; /* of a loss's logarithm, nobody's to see */

/* Error that is left after `depth` useful exits: hard moments need more of them. */
static double left_over(double depth, double difficulty)
{
    return exp(difficulty) * exp(-0.8 * depth / (1 + 0.5 * exp(0.7 * difficulty)));
}

static void make_step(const synthetic_spec *spec, const double *depth, double difficulty,
                      uint64_t *random, steps *s, int64_t row)
{
    double before = left_over(0, difficulty),
           deepest = left_over(depth[spec->exits - 1], difficulty);

    for (int k = 0; k < spec->exits; k++) {
        double now = left_over(depth[k], difficulty);
        double moved = fabs(before - now) + 0.01 * exp(0.3 * difficulty);
        double rest = now - deepest;

        s->delta[k * s->n + row] = (float)(0.1 * moved * exp(spec->noise * normal(random)));
        double luck = exp(loss_noise * normal(random));

        if (spec->expected)
            luck = exp(loss_noise * loss_noise / 2);
        s->loss[k * s->n + row] = (float)(0.1 * rest * luck);
        before = now;
    }
}

static int episode_length(const synthetic_spec *spec, uint64_t *random)
{
    return spec->shortest + (int)(uniform(random) * (spec->longest - spec->shortest + 1));
}

static int64_t total_steps(const synthetic_spec *spec)
{
    uint64_t random = spec->seed;
    int64_t n = 0;

    for (int e = 0; e < spec->episodes; e++)
        n += episode_length(spec, &random);
    return n;
}

deer_status synthetic_make(const synthetic_spec *spec, steps *s, deer_error *err)
{
    double depth[DEER_MAX_EXITS], spread = sqrt(1 - spec->persistence * spec->persistence);
    uint64_t lengths = spec->seed, random = spec->seed ^ 0x5851f42d4c957f2du;
    int64_t row = 0;

    if (steps_alloc(total_steps(spec), spec->exits, 1, s, err))
        return DEER_FAILED;
    useful_depth(spec, depth);
    for (int k = 0; k < spec->exits; k++)
        s->cost[k] = (k + 1.0) / spec->exits;
    s->episodes = spec->episodes;
    for (int e = 0; e < spec->episodes; e++) {
        double difficulty = normal(&random);

        for (int left = episode_length(spec, &lengths); left > 0; left--, row++) {
            make_step(spec, depth, difficulty, &random, s, row);
            s->episode[row] = e;
            difficulty =
                spec->persistence * difficulty + 0.6 * spread * student(&random, spec->tail);
        }
    }
    return steps_check(s, err);
}
