/* SPDX-License-Identifier: MIT */
/* betting.c - a gambler who hedges an option. */
#include "calib/guarantee/betting.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/random.h"

/* The option pays a little more than is needed: then the average over shuffles needs not all of
 * them to end well. */
static const double aim = 1.3;

/* The largest share of the wealth that one draw may take. */
static const double boldest = 0.995;

enum { SHUFFLES = 64, FEWEST_SHUFFLES = 8, DRAWS_LOOKED_AT = 1 << 17 };

/* Phi^-1(w), within 0.004 between 0.001 and 0.999. Any stake is valid, so this is precise enough.
 * Source: Tukey's lambda distribution, Joiner and Rosenblatt 1971. */
static double normal_quantile(double w)
{
    return 4.91 * (pow(w, 0.14) - pow(1 - w, 0.14));
}

static double normal_density(double x)
{
    return exp(-x * x / 2) / 2.5066282746310002;
}

double betting_reach(double delta)
{
    return -normal_quantile(fmin(delta / aim, 0.5));
}

/* Share of the wealth staked per unit of gain, with w of the target reached and `left` draws to
 * come. */
static double stake(double w, double spread, int left, double most)
{
    double share = normal_density(normal_quantile(w)) / (w * spread * sqrt((double)left));

    return share < most ? share : most; /* also when spread is 0 */
}

/* One life: the guess of the spread counts like half of the draws, and is corrected by the earlier
 * ones. */
static double live(const double *gain, int n, double most_lost, double spread, double delta)
{
    double target = aim / delta, wealth = 1, most = boldest / most_lost;
    double weight = n / 2.0 + 1, square = weight * spread * spread;

    for (int i = 0; i < n && wealth < target; i++) {
        wealth *= 1 + stake(wealth / target, sqrt(square / weight), n - i, most) * gain[i];
        square += gain[i] * gain[i];
        weight++;
    }
    return wealth;
}

/* Every order equally likely. Source: Fisher and Yates. */
static void shuffle(double *x, int n, uint64_t *random)
{
    for (int i = n - 1; i > 0; i--) {
        int j = random_below(random, i + 1);
        double swapped = x[i];

        x[i] = x[j];
        x[j] = swapped;
    }
}

static int ascending(const void *a, const void *b)
{
    const double *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

deer_status betting_wealth(const double *gain, int n, double most_lost, double spread, double delta,
                           uint64_t seed, double *wealth, deer_error *err)
{
    double *drawn = malloc((size_t)n * sizeof *drawn + 1);
    int lives = DRAWS_LOOKED_AT / (n + 1);

    *wealth = 0;
    if (!drawn)
        return deer_fail(err, "out of memory for %d episodes", n);
    lives = lives < FEWEST_SHUFFLES ? FEWEST_SHUFFLES : lives > SHUFFLES ? SHUFFLES : lives;
    memcpy(drawn, gain, (size_t)n * sizeof *drawn);
    qsort(drawn, (size_t)n, sizeof *drawn, ascending);
    for (int i = 0; i < lives; i++) {
        shuffle(drawn, n, &seed);
        *wealth += live(drawn, n, most_lost, spread, delta) / lives;
    }
    free(drawn);
    return DEER_OK;
}
