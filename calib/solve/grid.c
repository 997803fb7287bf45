/* SPDX-License-Identifier: MIT */
/* grid.c - ranking the deltas, and evaluating cuts of the ranks. */
#include "calib/solve/grid.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "calib/problem/blocks.h"
#include "calib/problem/order.h"
#include "runtime/base/tau.h"

/* ---------------------------------------------------------------- levels ------------------- */

enum { NEAR = 16000, FAR_LEVELS = GRID_LEVELS - 2 * NEAR - 4, NOWHERE = -1 };

/* The deltas of one exit, and what its levels begin with. */
typedef struct {
    grid *g;
    int k;
    float *sorted;   /* [n] ascending, */
    uint32_t *order; /* [n] and the steps that they are of */
    int64_t finite;  /* of this rank's; they come first */
    float *begin;    /* [levels] ascending */
    int64_t levels;
} ranking;

static int64_t total(const grid *g, int64_t mine)
{
    if (g->spread)
        cluster_count(&mine, 1);
    return mine;
}

static int64_t count_finite(const ranking *r)
{
    int64_t low = 0, high = r->g->n;

    while (low < high) {
        int64_t middle = (low + high) / 2;

        if (isfinite(r->sorted[middle]))
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* How many of everybody's values are at or below tau. */
static int64_t count_below(const ranking *r, float tau)
{
    int64_t low = 0, high = r->finite;

    while (low < high) {
        int64_t middle = (low + high) / 2;

        if (r->sorted[middle] <= tau)
            low = middle + 1;
        else
            high = middle;
    }
    return total(r->g, low);
}

/* Of ascending values, each that is there once; at most `most` and one more. Returns how many. */
static int64_t distinct(const float *sorted, int64_t n, float *to, int64_t most)
{
    int64_t found = 0;

    for (int64_t i = 0; i < n && found <= most; i++)
        if (!found || sorted[i] != to[found - 1])
            to[found++] = sorted[i];
    return found;
}

/* Every rank's distinct values as one ascending list of distinct ones. */
static deer_status unite(ranking *r, int64_t mine, deer_error *err)
{
    int64_t all = total(r->g, mine);
    float *every = malloc((size_t)all * sizeof *every + 1);
    uint32_t *order = malloc((size_t)all * sizeof *order + 1);
    deer_status status = DEER_OK;

    if (!every || !order)
        status = deer_fail(err, "out of memory for %lld values", (long long)all);
    if (!status) {
        cluster_gather(r->begin, (size_t)mine * sizeof *every, every);
        status = order_sorted(every, all, order, every, err);
    }
    if (!status)
        r->levels = distinct(every, all, r->begin, GRID_LEVELS);
    free(order);
    free(every);
    return status;
}

/* A level for every distinct value, if they are not too many: then r->levels are more than can be.
 */
static deer_status begin_with_all(ranking *r, deer_error *err)
{
    int64_t mine = distinct(r->sorted, r->finite, r->begin, GRID_LEVELS);

    r->levels = mine;
    if (!r->g->spread)
        return DEER_OK;
    if (total(r->g, mine > GRID_LEVELS)) {
        r->levels = GRID_LEVELS + 1;
        return DEER_OK;
    }
    return unite(r, mine, err);
}

/* The values at places of the order that are so far apart that the levels suffice, and at all those
 * around the place `near`, if it is any. */
static deer_status begin_with_some(ranking *r, int64_t near, deer_error *err)
{
    int64_t share = r->g->all / (near == NOWHERE ? GRID_LEVELS - 1 : FAR_LEVELS) + 1;
    int64_t all = total(r->g, r->finite), places = 0, fine = near == NOWHERE ? all : near - NEAR;
    int64_t *place = malloc((size_t)GRID_LEVELS * sizeof *place);
    deer_status status;

    if (!place)
        return deer_fail(err, "out of memory for levels");
    for (int64_t at = 0; at < all; at += share) {
        for (; fine < at && fine <= near + NEAR; fine++)
            if (fine >= 0)
                place[places++] = fine;
        place[places++] = at;
    }
    for (; near != NOWHERE && fine < all && fine <= near + NEAR; fine++)
        if (fine >= 0)
            place[places++] = fine;
    status = order_places(r->sorted, r->finite, r->g->spread, place, places, r->begin, err);
    r->levels = distinct(r->begin, places, r->begin, GRID_LEVELS);
    free(place);
    return status;
}

static void number_levels(const ranking *r)
{
    uint16_t *level = r->g->level + r->k * r->g->n;
    int64_t at = 0;

    for (int64_t i = 0; i < r->finite; i++) {
        while (at + 1 < r->levels && r->begin[at + 1] <= r->sorted[i])
            at++;
        level[r->order[i]] = (uint16_t)at;
    }
    for (int64_t i = r->finite; i < r->g->n; i++)
        level[r->order[i]] = GRID_LEVELS;
}

static void describe_levels(const ranking *r)
{
    grid *g = r->g;
    int k = r->k, levels = g->levels[k];
    const uint16_t *level = g->level + k * g->n;

    for (int l = 0; l < levels; l++) {
        g->smallest[k][l] = INFINITY;
        g->largest[k][l] = -INFINITY;
    }
    for (int64_t i = 0; i < r->finite; i++) {
        int l = level[r->order[i]];

        g->below[k][l + 1]++;
        g->smallest[k][l] = fminf(g->smallest[k][l], r->sorted[i]);
        g->largest[k][l] = r->sorted[i];
    }
    if (g->spread) {
        cluster_count(g->below[k] + 1, levels);
        cluster_least(g->smallest[k], levels);
        cluster_most(g->largest[k], levels);
    }
    for (int l = 0; l < levels; l++)
        g->below[k][l + 1] += g->below[k][l];
}

/* tau: of this exit, NULL for no place that counts more than others. */
static deer_status rank_exit(const steps *s, const float *tau, ranking *r, deer_error *err)
{
    grid *g = r->g;
    int k = r->k;

    if (order_sorted(s->delta + k * s->n, g->n, r->order, r->sorted, err))
        return DEER_FAILED;
    r->finite = count_finite(r);
    if (begin_with_all(r, err))
        return DEER_FAILED;
    if (r->levels > GRID_LEVELS) {
        g->exact = false;
        if (begin_with_some(r, tau ? count_below(r, *tau) : NOWHERE, err))
            return DEER_FAILED;
    }
    g->levels[k] = (int)r->levels;
    g->smallest[k] = malloc((size_t)r->levels * sizeof(float) + 1);
    g->largest[k] = malloc((size_t)r->levels * sizeof(float) + 1);
    g->below[k] = calloc((size_t)r->levels + 1, sizeof(int64_t));
    if (!g->smallest[k] || !g->largest[k] || !g->below[k])
        return deer_fail(err, "out of memory ranking %lld steps", (long long)g->n);
    number_levels(r);
    describe_levels(r);
    return DEER_OK;
}

/* ---------------------------------------------------------------- life --------------------- */

/* To a multiple of unit, a power of two; values are below 2^51 of it. */
static double rounded(double value, double unit)
{
    double shift = 3 * ldexp(unit, 51);

    return value + shift - shift;
}

/* The first part has as many bits as sums of all steps leave, the second the next as many. */
static void part_costs(grid *g)
{
    double largest = 0, unit, next;
    int size, bits, cells = g->groups * g->exits;

    for (int i = 0; i < cells; i++)
        largest = fmax(largest, g->cost[i]);
    frexp(largest, &size);
    frexp((double)g->all, &bits);
    unit = ldexp(1, size + bits + 2 - 52);
    next = ldexp(unit, bits + 2 - 52);
    for (int i = 0; i < cells; i++) {
        g->part[2 * i] = rounded(g->cost[i], unit);
        g->part[2 * i + 1] = rounded(g->cost[i] - g->part[2 * i], next);
    }
}

static void copy_costs(const steps *s, grid *g)
{
    for (int j = 0; j < g->groups; j++)
        for (int k = 0; k < g->exits; k++)
            g->cost[j * g->exits + k] = s->cost[j * s->exits + k];
    part_costs(g);
}

static deer_status rank_exits(const steps *s, const float *tau, grid *g, deer_error *err)
{
    size_t n = (size_t)g->n;
    ranking r = {.g = g,
                 .sorted = malloc(n * sizeof *r.sorted + 1),
                 .order = malloc(n * sizeof *r.order + 1),
                 .begin = malloc(((size_t)GRID_LEVELS + 1) * sizeof *r.begin)};
    deer_status status = DEER_OK;

    if (!r.sorted || !r.order || !r.begin)
        status = deer_fail(err, "out of memory ranking %zu steps", n);
    for (r.k = 0; r.k < g->exits - 1 && !status; r.k++)
        status = rank_exit(s, tau ? &tau[r.k] : NULL, &r, err);
    free(r.begin);
    free(r.order);
    free(r.sorted);
    return status;
}

static deer_status make(const steps *s, int max_exit, const float *tau, grid *g, deer_error *err)
{
    size_t n = (size_t)s->n, exits = (size_t)max_exit + 1, cells = (size_t)s->groups * exits;
    deer_status status = DEER_OK;

    *g = (grid){.n = s->n,
                .all = s->all,
                .spread = s->spread,
                .exits = max_exit + 1,
                .groups = s->groups,
                .loss = s->loss,
                .group = s->group,
                .exact = true};
    g->level = malloc((exits - 1) * n * sizeof *g->level + 1);
    g->cost = malloc(cells * sizeof *g->cost);
    g->part = malloc(2 * cells * sizeof *g->part);
    if (!g->level || !g->cost || !g->part)
        status = deer_fail(err, "out of memory ranking %zu steps", n);
    else
        copy_costs(s, g);
    if (!status)
        status = rank_exits(s, tau, g, err);
    if (status)
        grid_free(g);
    return status;
}

deer_status grid_make(const steps *s, int max_exit, grid *g, deer_error *err)
{
    return make(s, max_exit, NULL, g, err);
}

deer_status grid_make_near(const steps *s, int max_exit, const float *tau, grid *g, deer_error *err)
{
    return make(s, max_exit, tau, g, err);
}

void grid_free(grid *g)
{
    for (int k = 0; k < DEER_MAX_EXITS; k++) {
        free(g->smallest[k]);
        free(g->largest[k]);
        free(g->below[k]);
    }
    free(g->level);
    free(g->cost);
    free(g->part);
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

static int block_size(const grid *g, int64_t from)
{
    return (int)(g->n - from < BLOCK ? g->n - from : BLOCK);
}

static double block_add(const grid *g, int64_t from, int m, const uint16_t *chosen, int64_t *count)
{
    if (g->groups > 1)
        block_add_group_counts(g->group + from, chosen, m, g->groups, g->exits, count);
    else
        block_add_counts(chosen, m, g->exits, count);
    return block_sum_loss(g->loss, g->n, from, chosen, m, g->exits);
}

/* Sums of this rank's steps, counted by group and exit, to means of all. */
static void finish(const grid *g, double losses, int64_t *count, double *loss, double *cost)
{
    if (g->spread) {
        cluster_sum(&losses, 1);
        cluster_count(count, g->groups * g->exits);
    }
    *loss = losses / (double)g->all;
    *cost = block_cost(g->cost, count, g->groups, g->exits) / (double)g->all;
}

void grid_evaluate(const grid *g, const int *cut, double *loss, double *cost)
{
    uint16_t chosen[BLOCK];
    int64_t count[g->groups * g->exits];
    double losses = 0;

    memset(count, 0, sizeof count);
    for (int64_t from = 0; from < g->n; from += BLOCK) {
        block_exits(g, cut, from, block_size(g, from), chosen);
        losses += block_add(g, from, block_size(g, from), chosen, count);
    }
    finish(g, losses, count, loss, cost);
}

void grid_exits(const grid *g, const int *cut, uint16_t *exit)
{
    for (int64_t from = 0; from < g->n; from += BLOCK)
        block_exits(g, cut, from, block_size(g, from), exit + from);
}

void grid_sum(const grid *g, const uint16_t *exit, double *loss, double *cost)
{
    int64_t count[g->groups * g->exits];
    double losses = 0;

    memset(count, 0, sizeof count);
    for (int64_t from = 0; from < g->n; from += BLOCK)
        losses += block_add(g, from, block_size(g, from), exit + from, count);
    finish(g, losses, count, loss, cost);
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
    int64_t want = (int64_t)floor(quantile * (double)g->all + 0.5);
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
    return (double)g->below[k][cut] / (double)g->all;
}
