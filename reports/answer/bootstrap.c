/* SPDX-License-Identifier: MIT */
/* bootstrap.c - percentile intervals over episodes drawn again. */
#include "reports/answer/bootstrap.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/guarantee/guarantee.h"
#include "runtime/base/random.h"

enum { MOST_DRAWS = 1000, LEAST_DRAWS = 200, SIDE = BOOTSTRAP_SIDE };

/* Row d of [draws, episodes], as it lies in memory. */
static uint8_t *row(uint8_t *weight, int episodes, int d)
{
    return weight + (size_t)(d / SIDE) * SIDE * (size_t)episodes + d % SIDE;
}

static void draw(uint8_t *weight, int episodes, uint64_t *state)
{
    for (int i = 0; i < episodes; i++) {
        uint64_t at = ((random_next(state) >> 32) * (uint64_t)episodes) >> 32;

        if (weight[at * SIDE] < UINT8_MAX)
            weight[at * SIDE]++;
    }
}

static double drawn_steps(const uint8_t *weight, const int64_t *length, int episodes)
{
    double n = 0;

    for (int e = 0; e < episodes; e++)
        n += weight[(size_t)e * SIDE] * (double)length[e];
    return n;
}

deer_status bootstrap_make(const steps *s, uint64_t seed, bootstrap *b, deer_error *err)
{
    int episodes = s->episodes, draws = (1 << 26) / episodes;
    int64_t *length = calloc((size_t)episodes, sizeof *length);

    draws = draws > MOST_DRAWS ? MOST_DRAWS : draws < LEAST_DRAWS ? LEAST_DRAWS : draws;
    *b = (bootstrap){.draws = draws, .episodes = episodes};
    b->weight = calloc((size_t)(draws + SIDE - 1) / SIDE * SIDE, (size_t)episodes);
    b->steps = calloc((size_t)draws, sizeof *b->steps);
    if (!length || !b->weight || !b->steps) {
        free(length);
        bootstrap_free(b);
        return deer_fail(err, "out of memory for %d draws of %d episodes", draws, episodes);
    }
    for (int64_t i = 0; i < s->n; i++)
        length[s->episode[i]]++;
    for (int d = 0; d < draws; d++) {
        draw(row(b->weight, episodes, d), episodes, &seed);
        b->steps[d] = drawn_steps(row(b->weight, episodes, d), length, episodes);
    }
    free(length);
    return DEER_OK;
}

void bootstrap_free(bootstrap *b)
{
    free(b->weight);
    free(b->steps);
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

/* Sums of SIDE draws at once, each in the order of the episodes. */
static void add_up(const uint8_t *restrict weight, const episode_sums *restrict sums, int episodes,
                   double *restrict cost, double *restrict loss)
{
    double costs[SIDE] = {0}, losses[SIDE] = {0};

    for (int e = 0; e < episodes; e++, weight += SIDE) {
        double one_cost = sums[e].cost, one_loss = sums[e].loss;
        int32_t times[SIDE];

        for (int d = 0; d < SIDE; d++)
            times[d] = weight[d];
        for (int d = 0; d < SIDE; d++) {
            costs[d] += times[d] * one_cost;
            losses[d] += times[d] * one_loss;
        }
    }
    memcpy(cost, costs, sizeof costs);
    memcpy(loss, losses, sizeof losses);
}

deer_status bootstrap_point(const bootstrap *b, const steps *s, sweep_point *point)
{
    size_t places = (size_t)(b->draws + SIDE - 1) / SIDE * SIDE;
    episode_sums *sums = malloc((size_t)b->episodes * sizeof *sums);
    double *cost = malloc(2 * places * sizeof *cost), *loss = cost + places;

    if (!sums || !cost) {
        free(sums);
        free(cost);
        return DEER_FAILED;
    }
    guarantee_sum(s, point->at.tau, point->at.max_exit, sums);
    for (int d = 0; d < b->draws; d += SIDE)
        add_up(b->weight + (size_t)d * (size_t)b->episodes, sums, b->episodes, cost + d, loss + d);
    for (int d = 0; d < b->draws; d++) {
        cost[d] /= b->steps[d];
        loss[d] /= b->steps[d];
    }
    point->cost_95 = middle(cost, b->draws);
    point->loss_95 = middle(loss, b->draws);
    free(sums);
    free(cost);
    return DEER_OK;
}
