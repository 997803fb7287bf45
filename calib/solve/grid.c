/* SPDX-License-Identifier: MIT */
/* grid.c - ranking the deltas, and evaluating cuts of the ranks. */
#include "calib/solve/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/problem/blocks.h"
#include "calib/problem/order.h"
#include "runtime/base/tau.h"

/* ---------------------------------------------------------------- levels ------------------- */

enum { NEAR = 16000, FAR_LEVELS = GRID_LEVELS - 2 * NEAR - 4, NOWHERE = -1 };

static int64_t count_distinct(const float *value, const uint32_t *order, int64_t n)
{
    int64_t distinct = 0;

    for (int64_t i = 0; i < n && isfinite(value[order[i]]); i++)
        distinct += !i || value[order[i]] != value[order[i - 1]];
    return distinct;
}

/* How many values are at or below tau. */
static int64_t count_below(const float *value, const uint32_t *order, int64_t n, float tau)
{
    int64_t low = 0, high = n;

    while (low < high) {
        int64_t middle = (low + high) / 2;

        if (value[order[middle]] <= tau)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Numbers the levels of exit k from its sorted values: a new level starts with a new value once the
 * current one has its share of the steps; around the place `near` in the order, if it is any, with
 * every new value. Returns how many there are. */
static int number_levels(grid *g, int k, const float *value, const uint32_t *order, int64_t near)
{
    uint16_t *level = g->level + k * g->n;
    int64_t share = 1, members = 0;
    int levels = 0;

    if (count_distinct(value, order, g->n) > GRID_LEVELS) {
        share = g->n / (near == NOWHERE ? GRID_LEVELS - 1 : FAR_LEVELS) + 1;
        g->exact = false;
    }
    for (int64_t i = 0; i < g->n; i++) {
        float v = value[order[i]];

        if (!isfinite(v)) {
            level[order[i]] = GRID_LEVELS;
            continue;
        }
        if (!i || (v != value[order[i - 1]] &&
                   (members >= share || (near != NOWHERE && llabs(i - near) <= NEAR)))) {
            levels++;
            members = 0;
        }
        members++;
        level[order[i]] = (uint16_t)(levels - 1);
    }
    return levels;
}

static void describe_levels(grid *g, int k, const float *value)
{
    const uint16_t *level = g->level + k * g->n;

    for (int l = 0; l < g->levels[k]; l++) {
        g->smallest[k][l] = INFINITY;
        g->largest[k][l] = -INFINITY;
    }
    for (int64_t i = 0; i < g->n; i++) {
        if (level[i] == GRID_LEVELS)
            continue;
        g->below[k][level[i] + 1]++;
        g->smallest[k][level[i]] = fminf(g->smallest[k][level[i]], value[i]);
        g->largest[k][level[i]] = fmaxf(g->largest[k][level[i]], value[i]);
    }
    for (int l = 0; l < g->levels[k]; l++)
        g->below[k][l + 1] += g->below[k][l];
}

/* tau: of this exit, NULL for no place that counts more than others. */
static deer_status rank_exit(const steps *s, int k, int64_t stride, const float *tau, grid *g,
                             float *value, uint32_t *order, deer_error *err)
{
    int64_t near = NOWHERE;

    for (int64_t i = 0; i < g->n; i++)
        value[i] = s->delta[k * s->n + i * stride];
    if (order_ascending(value, g->n, order, err))
        return DEER_FAILED;
    if (tau)
        near = count_below(value, order, g->n, *tau);
    g->levels[k] = number_levels(g, k, value, order, near);
    g->smallest[k] = malloc((size_t)g->levels[k] * sizeof(float) + 1);
    g->largest[k] = malloc((size_t)g->levels[k] * sizeof(float) + 1);
    g->below[k] = calloc((size_t)g->levels[k] + 1, sizeof(int64_t));
    if (!g->smallest[k] || !g->largest[k] || !g->below[k])
        return deer_fail(err, "out of memory ranking %lld steps", (long long)g->n);
    describe_levels(g, k, value);
    return DEER_OK;
}

/* ---------------------------------------------------------------- life --------------------- */

static void copy_columns(const steps *s, int64_t stride, grid *g)
{
    for (int k = 0; k < g->exits; k++)
        for (int64_t i = 0; i < g->n; i++)
            g->loss[k * g->n + i] = s->loss[k * s->n + i * stride];
    for (int64_t i = 0; i < g->n; i++)
        g->group[i] = s->group[i * stride];
    for (int j = 0; j < g->groups; j++)
        for (int k = 0; k < g->exits; k++)
            g->cost[j * g->exits + k] = s->cost[j * s->exits + k];
}

static deer_status make(const steps *s, int max_exit, int64_t stride, const float *tau, grid *g,
                        deer_error *err)
{
    float *value;
    uint32_t *order;
    size_t n = (size_t)((s->n + stride - 1) / stride), exits = (size_t)max_exit + 1;
    deer_status status = DEER_OK;

    *g = (grid){.n = (int64_t)n, .exits = max_exit + 1, .groups = s->groups, .exact = true};
    g->level = malloc((exits - 1) * n * sizeof *g->level + 1);
    g->loss = malloc(exits * n * sizeof *g->loss);
    g->group = malloc(n * sizeof *g->group);
    g->cost = malloc((size_t)s->groups * exits * sizeof *g->cost);
    value = malloc(n * sizeof *value);
    order = malloc(n * sizeof *order);
    if (!g->level || !g->loss || !g->group || !g->cost || !value || !order)
        status = deer_fail(err, "out of memory ranking %zu steps", n);
    else
        copy_columns(s, stride, g);
    for (int k = 0; k < max_exit && !status; k++)
        status = rank_exit(s, k, stride, tau ? &tau[k] : NULL, g, value, order, err);
    free(order);
    free(value);
    if (status)
        grid_free(g);
    return status;
}

deer_status grid_make(const steps *s, int max_exit, int64_t stride, grid *g, deer_error *err)
{
    return make(s, max_exit, stride, NULL, g, err);
}

deer_status grid_make_near(const steps *s, int max_exit, const float *tau, grid *g, deer_error *err)
{
    return make(s, max_exit, 1, tau, g, err);
}

void grid_free(grid *g)
{
    for (int k = 0; k < DEER_MAX_EXITS; k++) {
        free(g->smallest[k]);
        free(g->largest[k]);
        free(g->below[k]);
    }
    free(g->level);
    free(g->loss);
    free(g->group);
    free(g->cost);
    *g = (grid){0};
}

/* ---------------------------------------------------------------- evaluation --------------- */

static void block_exits(const grid *g, const int *cut, int64_t from, int m,
                        uint16_t *restrict chosen)
{
    int last = g->exits - 1;

    for (int i = 0; i < m; i++)
        chosen[i] = (uint16_t)last;
    for (int k = last - 1; k >= 0; k--) {
        const uint16_t *restrict level = g->level + k * g->n + from;
        uint16_t below = (uint16_t)cut[k], exit = (uint16_t)k;

        for (int i = 0; i < m; i++)
            chosen[i] = level[i] < below ? exit : chosen[i];
    }
}

void grid_evaluate(const grid *g, const int *cut, double *loss, double *cost)
{
    uint16_t chosen[BLOCK];
    int64_t count[DEER_MAX_EXITS] = {0};
    double losses = 0, costs = 0;

    for (int64_t from = 0; from < g->n; from += BLOCK) {
        int m = (int)(g->n - from < BLOCK ? g->n - from : BLOCK);

        block_exits(g, cut, from, m, chosen);
        losses += block_sum_loss(g->loss, g->n, from, chosen, m, g->exits);
        if (g->groups > 1)
            costs += block_sum_cost(g->cost, g->group + from, g->exits, chosen, m);
        else
            block_add_counts(chosen, m, g->exits, count);
    }
    for (int k = 0; g->groups == 1 && k < g->exits; k++)
        costs += (double)count[k] * g->cost[k];
    *loss = losses / (double)g->n;
    *cost = costs / (double)g->n;
}

/* ---------------------------------------------------------------- cuts and thresholds ------ */

/* A float at or above `low` and below `high`, in the middle where there is one. */
static float between(float low, float high)
{
    float middle = low / 2 + high / 2;

    return middle >= low && middle < high ? middle : low;
}

void grid_thresholds(const grid *g, const int *cut, float *tau)
{
    for (int k = 0; k < g->exits - 1; k++) {
        int c = cut[k];

        if (c == 0)
            tau[k] = TAU_NEVER;
        else if (c == g->levels[k])
            tau[k] = g->largest[k][c - 1];
        else
            tau[k] = between(g->largest[k][c - 1], g->smallest[k][c]);
    }
    tau[g->exits - 1] = TAU_ALWAYS;
}

void grid_cuts(const grid *g, const float *tau, int *cut)
{
    for (int k = 0; k < g->exits - 1; k++) {
        int low = 0, high = g->levels[k];

        while (low < high) {
            int middle = (low + high) / 2;
            if (g->largest[k][middle] <= tau[k])
                low = middle + 1;
            else
                high = middle;
        }
        cut[k] = low;
    }
}

int grid_quantile_cut(const grid *g, int k, double quantile)
{
    int64_t want = (int64_t)floor(quantile * (double)g->n + 0.5);
    int low = 0, high = g->levels[k];

    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (g->below[k][middle] <= want)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

double grid_cut_quantile(const grid *g, int k, int cut)
{
    return (double)g->below[k][cut] / (double)g->n;
}
