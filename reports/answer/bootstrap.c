/* SPDX-License-Identifier: MIT */
/* bootstrap.c - percentile intervals over episodes drawn again. */
#include "reports/answer/bootstrap.h"

#include <math.h>
#include <stdlib.h>

#include "calib/guarantee/guarantee.h"
#include "runtime/base/random.h"

enum { MOST_DRAWS = 1000, LEAST_DRAWS = 200 };

static void draw(uint8_t *weight, int episodes, uint64_t *state)
{
    for (int i = 0; i < episodes; i++) {
        uint64_t at = ((random_next(state) >> 32) * (uint64_t)episodes) >> 32;

        if (weight[at] < UINT8_MAX)
            weight[at]++;
    }
}

deer_status bootstrap_make(int episodes, uint64_t seed, bootstrap *b, deer_error *err)
{
    int draws = (1 << 26) / episodes;

    draws = draws > MOST_DRAWS ? MOST_DRAWS : draws < LEAST_DRAWS ? LEAST_DRAWS : draws;
    *b = (bootstrap){.draws = draws, .episodes = episodes};
    b->weight = calloc((size_t)draws * (size_t)episodes, 1);
    if (!b->weight)
        return deer_fail(err, "out of memory for %d draws of %d episodes", draws, episodes);
    for (int d = 0; d < draws; d++)
        draw(b->weight + (size_t)d * (size_t)episodes, episodes, &seed);
    return DEER_OK;
}

void bootstrap_free(bootstrap *b)
{
    free(b->weight);
    *b = (bootstrap){0};
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static interval middle(double *mean, int n)
{
    qsort(mean, (size_t)n, sizeof *mean, ascending);
    return (interval){mean[(n - 1) * 25 / 1000], mean[n - 1 - (n - 1) * 25 / 1000]};
}

deer_status bootstrap_point(const bootstrap *b, const steps *s, sweep_point *point)
{
    episode_sums *sums = malloc((size_t)b->episodes * sizeof *sums);
    double *cost = malloc(2 * (size_t)b->draws * sizeof *cost), *loss = cost + b->draws;

    if (!sums || !cost) {
        free(sums);
        free(cost);
        return DEER_FAILED;
    }
    guarantee_sum(s, point->at.tau, point->at.max_exit, sums);
    for (int d = 0; d < b->draws; d++) {
        const uint8_t *weight = b->weight + (size_t)d * (size_t)b->episodes;
        double costs = 0, losses = 0, n = 0;

        for (int e = 0; e < b->episodes; e++) {
            costs += weight[e] * sums[e].cost;
            losses += weight[e] * sums[e].loss;
            n += weight[e] * (double)sums[e].steps;
        }
        cost[d] = costs / n;
        loss[d] = losses / n;
    }
    point->cost_95 = middle(cost, b->draws);
    point->loss_95 = middle(loss, b->draws);
    free(sums);
    free(cost);
    return DEER_OK;
}
