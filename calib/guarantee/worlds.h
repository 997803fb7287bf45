/* SPDX-License-Identifier: MIT */
/* worlds.h - made-up worlds in which promises are put to the test.
 *
 *   world_draw(&worlds[i], 100, seed, &d, &err);          // 100 episodes
 *   world_sort(&d, WORLD_BY_TASK, &err);                  // the same episodes, stored otherwise
 *   world_free(&d);
 *
 * Each episode has a task, a length and a difficulty; how it goes is seen through deltas, and what
 * leaving loses falls with depth and rises with difficulty. Six exits cost 1/6 .. 1. */
#ifndef CALIB_WORLDS_H
#define CALIB_WORLDS_H

#include "calib/problem/steps.h"

typedef struct {
    const char *name;
    int tasks;
    double easiest, hardest; /* difficulty of the first and of the last task */
    double among, within;    /* spread of difficulty between episodes of a task, between steps */
    double tail;             /* of the spread between steps: degrees of freedom; 0: normal */
    int shortest[2], longest[2]; /* steps of an episode of the first task, of any other */
    double rare;                 /* share of the last task, where there are two; 0: all alike */
    bool balanced;               /* as many episodes of each task as of any other, not drawn */
} world;

extern const world worlds[];
extern const int n_worlds;

/* Known of all worlds before any draw. */
#define WORLD_EXITS 6
#define WORLD_LARGEST_LOSS 0.5

typedef struct {
    steps s;
    int *task; /* [s.episodes] */
} world_sample;

deer_status world_draw(const world *w, int episodes, uint64_t seed, world_sample *d,
                       deer_error *err);
void world_free(world_sample *d);

/* Orders in which episodes may lie in a file. */
typedef enum {
    WORLD_AS_DRAWN,
    WORLD_BY_TASK,
    WORLD_BY_COST,   /* at thresholds half-way, cheapest first */
    WORLD_BY_LENGTH, /* shortest first */
    WORLD_ADVERSE,   /* those first that are furthest below the budget, in sum */
    WORLD_ORDERS
} world_order;

const char *world_order_name(world_order order);

/* Stores the episodes in another order. tau and budget are for WORLD_BY_COST and WORLD_ADVERSE. */
deer_status world_sort(world_sample *d, world_order order, const float *tau, double budget,
                       deer_error *err);

#endif
