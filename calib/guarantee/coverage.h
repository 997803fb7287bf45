/* SPDX-License-Identifier: MIT */
/* coverage.h - how often promises break: the same made from many draws of one world.
 *
 *   coverage_spec spec = {.world = &worlds[0], .episodes = 100, .draws = 300, .budget = 0.5, ..};
 *   coverage_run(&spec, &result, &err);
 *   result.broken <= 0.1 * spec.draws ..
 */
#ifndef CALIB_COVERAGE_H
#define CALIB_COVERAGE_H

#include "calib/guarantee/guarantee.h"
#include "calib/guarantee/worlds.h"

enum { COVERAGE_MOST_POINTS = 16 };

typedef struct {
    const world *world;
    world_order order;
    int episodes, draws;
    int threads;   /* draws are shared among; the result is the same for any number */
    int judged_on; /* other episodes, on which a promise breaks or not */
    bound_kind bound;
    double confidence;
    double budget, deviation; /* one of them infinity */
    int points;               /* above 1: so many budgets, promised together; the others lie */
    double to;                /* evenly up to this; a draw is broken when any of them is */
    bool per_task;
    const double *mix; /* [world->tasks] share of each task among the other episodes */
} coverage_spec;

typedef struct {
    int broken, refused, certain;
    int worse;        /* than a fixed exit that keeps the same for certain; not per task */
    double used;      /* mean share of the limit used, of those given */
    double mean_used; /* mean over all draws of what was used of the limit, refusals as 0 */
} coverage_result;

deer_status coverage_run(const coverage_spec *spec, coverage_result *r, deer_error *err);

/* One promise from a sample, its episodes split and solved on as deer-calib does; with points, one
 * of each: g [points]. Status as guarantee_choose. */
deer_status coverage_promise(const coverage_spec *spec, world_sample *d, uint64_t seed,
                             guarantee *g, deer_error *err);

#endif
