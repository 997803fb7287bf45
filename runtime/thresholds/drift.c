/* SPDX-License-Identifier: MIT */
/* drift.c - a conformal test martingale over episodes. */
#include "runtime/deer_drift.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/thresholds/thresholds_format.h"

enum { SCORES = 2, BETS = 5 };

static const double jump = 0.01; /* share of the wealth that changes its mind after each episode */

/* One gambler: five bets, from "numbers fall" over "nothing changes" to "numbers rise". */
typedef struct {
    float *seen; /* [n] numbers of all episodes so far */
    double wealth[BETS];
    double sum; /* of the running episode */
    long steps;
} gambler;

struct deer_drift {
    int exits;
    double expected[DEER_MAX_EXITS];
    long taken[DEER_MAX_EXITS];
    long episodes, steps;
    size_t n, room; /* episodes in each `seen`, the calibration's first */
    uint32_t *kind; /* of those episodes */
    gambler by[SCORES];
    double most;
    uint64_t random;
    int unchanged[2]; /* steps in a row, of each camera */
    uint8_t stuck;
};

/* Room for so many episodes. */
static deer_status make_room(deer_drift *d, size_t room, deer_error *err)
{
    uint32_t *kind = realloc(d->kind, room * sizeof *kind);
    bool whole = kind;

    d->kind = kind ? kind : d->kind;
    for (int s = 0; s < SCORES; s++) {
        float *seen = realloc(d->by[s].seen, room * sizeof *seen);
        d->by[s].seen = seen ? seen : d->by[s].seen;
        whole = whole && seen;
    }
    if (!whole)
        return deer_fail(err, "out of memory for a drift watch of %zu episodes", room);
    d->room = room;
    return DEER_OK;
}

deer_status deer_drift_new(const deer_thresholds *t, deer_drift **out, deer_error *err)
{
    deer_drift *d;
    const float *numbers[SCORES];

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_drift_new has nowhere to put the watch");
    *out = NULL;
    if (!t)
        return deer_fail_with(DEER_USAGE, err, "a drift watch needs thresholds");
    if (thresholds_check("these thresholds", t, err))
        return DEER_USAGE;
    if (t->reference.episodes < 1)
        return deer_fail_with(DEER_USAGE, err,
                              "these thresholds carry no episodes to compare with");
    d = calloc(1, sizeof *d);
    if (!d)
        return deer_fail(err, "out of memory for a drift watch");
    d->exits = t->exits;
    memcpy(d->expected, t->expected.exit_fraction, sizeof d->expected);
    d->n = (size_t)t->reference.episodes;
    if (make_room(d, d->n, err)) {
        deer_drift_free(d);
        return DEER_FAILED;
    }
    numbers[0] = t->reference.mean_exit;
    numbers[1] = t->reference.mean_delta;
    memcpy(d->kind, t->reference.kind, d->n * sizeof *d->kind);
    for (int s = 0; s < SCORES; s++) {
        memcpy(d->by[s].seen, numbers[s], d->n * sizeof(float));
        for (int b = 0; b < BETS; b++)
            d->by[s].wealth[b] = 1.0 / BETS;
    }
    d->most = 1;
    d->random = 0x9E3779B97F4A7C15u;
    *out = d;
    return DEER_OK;
}

void deer_drift_free(deer_drift *d)
{
    if (!d)
        return;
    for (int s = 0; s < SCORES; s++)
        free(d->by[s].seen);
    free(d->kind);
    free(d);
}

/* Once stuck, said until the end. */
static void note_cameras(deer_drift *d, const deer_action *action)
{
    const float change[2] = {action->static_change, action->gripper_change};

    for (int i = 0; i < 2; i++) {
        d->unchanged[i] = change[i] == 0 ? d->unchanged[i] + 1 : 0; /* a NaN is no number */
        d->stuck |= (uint8_t)((d->unchanged[i] >= DEER_DRIFT_STUCK) << i);
    }
}

deer_status deer_drift_step(deer_drift *d, const deer_action *action, deer_error *err)
{
    if (!d || !action)
        return deer_fail_with(DEER_USAGE, err, "noting a step needs a drift watch and an action");
    if (action->exit < 0 || action->exit >= d->exits)
        return deer_fail_with(DEER_USAGE, err, "exit %d is none of the watch's %d", action->exit,
                              d->exits);
    note_cameras(d, action);
    d->taken[action->exit]++;
    d->steps++;
    d->by[0].sum += action->exit;
    d->by[0].steps++;
    if (isfinite(action->delta[0])) {
        d->by[1].sum += (double)action->delta[0];
        d->by[1].steps++;
    }
    return DEER_OK;
}

/* Uniform in [0, 1): breaks ties, so that the p-values are exactly uniform. */
static double uniform(deer_drift *d)
{
    d->random = d->random * 6364136223846793005u + 1442695040888963407u;
    return (double)(d->random >> 11) * 0x1p-53;
}

/* Where x ranks among the episodes of its kind. */
static double p_value(deer_drift *d, const gambler *g, uint32_t kind, float x)
{
    size_t above = 0, equal = 1, all = 1; /* itself */

    for (size_t i = 0; i < d->n; i++) {
        if (d->kind[i] != kind || isnan(g->seen[i]))
            continue;
        all++;
        above += g->seen[i] > x;
        equal += g->seen[i] == x;
    }
    return ((double)above + uniform(d) * (double)equal) / (double)all;
}

static double wealth_of(const gambler *g)
{
    double sum = 0;

    for (int b = 0; b < BETS; b++)
        sum += g->wealth[b];
    return sum;
}

/* No bet needs to grow beyond this; in thousands of episodes it would become infinite. */
static const double MOST_WEALTH = 1e100;

/* Each bet pays 1 + e (p - 1/2) with e from -2 to 2: fair for a uniform p. */
static void bet(gambler *g, double p)
{
    double all = wealth_of(g);

    for (int b = 0; b < BETS; b++)
        g->wealth[b] =
            fmin(((1 - jump) * g->wealth[b] + jump * all / BETS) * (1 + (b - 2) * (p - 0.5)),
                 MOST_WEALTH);
}

/* NaN when no step measured it (a criterion that was never evaluated): nothing to bet on. */
static float number_of(const gambler *g)
{
    return g->steps ? (float)(g->sum / (double)g->steps) : NAN;
}

static double stability(const deer_drift *d)
{
    const double least = 1e-4; /* a share of nothing would make the index infinite */
    double sum = 0;

    for (int k = 0; k < d->exits; k++) {
        double now = fmax(least, (double)d->taken[k] / (double)d->steps);
        double then = d->expected[k];
        if (then < least) /* but not NaN: then nothing is known */
            then = least;
        sum += (now - then) * log(now / then);
    }
    return d->steps ? sum : NAN;
}

static void take_in(deer_drift *d, uint32_t kind)
{
    for (int s = 0; s < SCORES; s++) {
        gambler *g = &d->by[s];
        float x = number_of(g);
        if (!isnan(x))
            bet(g, p_value(d, g, kind, x));
        g->seen[d->n] = x;
        g->sum = 0;
        g->steps = 0;
    }
    d->kind[d->n++] = kind;
    d->episodes++;
}

/* FNV-1a. */
uint32_t deer_drift_kind(const char *task)
{
    uint32_t hash = 2166136261u;

    for (; task && *task; task++)
        hash = (hash ^ (uint8_t)*task) * 16777619u;
    return hash;
}

deer_status deer_drift_end_episode(deer_drift *d, uint32_t kind, deer_drift_report *report,
                                   deer_error *err)
{
    double evidence;

    if (!d)
        return deer_fail_with(DEER_USAGE, err, "no drift watch is given");
    if (d->by[0].steps) {
        if (d->n == d->room && make_room(d, 2 * d->room, err))
            return DEER_FAILED;
        take_in(d, kind);
    }
    evidence = (wealth_of(&d->by[0]) + wealth_of(&d->by[1])) / SCORES;
    d->most = fmax(d->most, evidence);
    if (report)
        *report = (deer_drift_report){.episodes = d->episodes,
                                      .steps = d->steps,
                                      .stability = stability(d),
                                      .evidence = evidence,
                                      .most = d->most,
                                      .drifted = d->most >= 1 / DEER_DRIFT_LEVEL,
                                      .stuck = d->stuck};
    return DEER_OK;
}
