/* SPDX-License-Identifier: MIT */
/* governor.c - integral control of the dial, and a limit that needs no model of the world. */
#include "runtime/thresholds/governor.h"

#include <math.h>

#include "runtime/thresholds/thresholds_format.h"

/* Part of a horizon's budget that the account may be off, either way. */
static const double share = 0.01;

/* Steps in which the setting can go from one end of the dial to the other. */
static const double sweep = 16;

deer_status governor_start(governor *g, const deer_thresholds *t, double budget, int64_t horizon,
                           deer_error *err)
{
    if (!(budget > 0 && isfinite(budget)))
        return deer_fail_with(DEER_USAGE, err, "a governor's budget must be above 0 GFLOPs");
    if (horizon && horizon < GOVERNOR_SHORTEST)
        return deer_fail_with(DEER_USAGE, err, "a governor's horizon must be %d steps or more",
                              GOVERNOR_SHORTEST);
    if (t->points < 1)
        return deer_fail_with(DEER_USAGE, err,
                              "these thresholds have no dial to govern; solve with --frontier");
    if (budget < t->point[0].budget_gflops)
        return deer_fail_with(
            DEER_INFEASIBLE, err, "an average of %.6g GFLOPs (%s) is below the dial's least, %.6g",
            budget, t->budget_is_llm ? "llm" : "total", t->point[0].budget_gflops);
    horizon = horizon ? horizon : GOVERNOR_HORIZON;
    *g = (governor){.now = {.budget_gflops = budget, .horizon = horizon, .setting_gflops = budget},
                    .room = share * (double)horizon * budget,
                    .point = -1};
    return DEER_OK;
}

void governor_end(governor *g)
{
    g->now.horizon = 0;
}

bool governor_is_on(const governor *g)
{
    return g->now.horizon > 0;
}

static double cube(double x)
{
    return x * x * x;
}

/* Where the setting should be. */
static double wanted(const governor *g, double least, double most)
{
    double budget = g->now.budget_gflops, ahead = g->now.ahead_gflops;

    if (ahead > 0)
        return budget - (budget - least) * cube(fmin(1, ahead / g->room));
    return budget + (most - budget) * cube(fmin(1, -ahead / (g->room - budget)));
}

/* A budget beyond the dial leaves it at its end. */
static void move(governor *g, const deer_thresholds *t)
{
    double least = t->point[0].budget_gflops, most = t->point[t->points - 1].budget_gflops;
    double farthest = (most - least) / sweep, *setting = &g->now.setting_gflops;
    double to = wanted(g, least, fmax(most, g->now.budget_gflops));

    if (g->now.ahead_gflops <= g->now.budget_gflops - g->room)
        *setting = to; /* nothing more can be saved */
    else
        *setting += fmax(-farthest, fmin(farthest, to - *setting));
}

/* The point nearest to the setting. */
static int point_at(const deer_thresholds *t, double setting)
{
    int i = 0;

    while (i < t->points - 1 &&
           t->point[i + 1].budget_gflops - setting <= setting - t->point[i].budget_gflops)
        i++;
    return i;
}

/* The deepest exit after which the account is where it may be. */
static int deepest(const governor *g, const double *cost, int max_exit)
{
    double may = fmin(g->room, cost[max_exit] * sqrt((double)(g->now.steps + 1)));
    int k = max_exit;

    while (k > 0 && g->now.ahead_gflops + cost[k] - g->now.budget_gflops > may)
        k--;
    return k;
}

int governor_turn(governor *g, const double *cost, deer_thresholds *t)
{
    int point;

    move(g, t);
    point = point_at(t, g->now.setting_gflops);
    if (point != g->point)
        thresholds_take_point(t, point);
    g->point = point;
    return deepest(g, cost, t->max_exit);
}

void governor_pay(governor *g, double used)
{
    g->now.steps++;
    g->now.used_gflops += used;
    g->now.ahead_gflops = fmax(-g->room, g->now.ahead_gflops + used - g->now.budget_gflops);
}
