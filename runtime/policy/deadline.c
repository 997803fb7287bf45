/* SPDX-License-Identifier: MIT */
/* deadline.c - how long the rest of a step will take, by the steps before it. */
#include "runtime/policy/deadline.h"

#include <math.h>
#include <stdlib.h>

#include "runtime/base/clock.h"

/* ---------------------------------------------------------------- runs --------------------- */

static void remember(deadline_runs *r, double seconds)
{
    if (r->count == DEADLINE_RUNS)
        r->oldest = (r->oldest + 1) % DEADLINE_RUNS;
    else
        r->count++;
    r->seen[(r->oldest + r->count - 1) % DEADLINE_RUNS] = (float)seconds;
}

static void forget(deadline_runs *r)
{
    if (r->count > 0) {
        r->oldest = (r->oldest + 1) % DEADLINE_RUNS;
        r->count--;
    }
}

/* The number of rank ceil(0.99 (n + 1)): the largest, or from 199 runs on the second largest. */
static double percentile(const deadline_runs *r)
{
    float most = 0, second = 0;

    for (int i = 0; i < r->count; i++) {
        float seconds = r->seen[(r->oldest + i) % DEADLINE_RUNS];
        if (seconds > most) {
            second = most;
            most = seconds;
        } else if (seconds > second) {
            second = seconds;
        }
    }
    return (double)(ceil(0.99 * (r->count + 1)) < r->count ? second : most);
}

/* ---------------------------------------------------------------- life --------------------- */

deer_status deadline_set(deadline *d, const deer_config *config, double seconds, deer_error *err)
{
    if (seconds > 0 && !d->runs) {
        d->runs = calloc((size_t)config->exits, sizeof *d->runs);
        if (!d->runs)
            return deer_fail(err, "out of memory for a deadline");
        d->exits = config->exits;
        d->exit_layer = config->exit_layers;
        d->now = d->now ? d->now : clock_seconds;
    }
    d->limit = seconds;
    return DEER_OK;
}

void deadline_free(deadline *d)
{
    free(d->runs);
    d->runs = NULL;
}

size_t deadline_bytes(const deadline *d)
{
    return d->runs ? (size_t)d->exits * sizeof *d->runs : 0;
}

/* ---------------------------------------------------------------- a step ------------------- */

void deadline_start(deadline *d)
{
    d->tested = false;
    if (d->limit > 0)
        d->started = d->now();
}

void deadline_layers(deadline *d)
{
    if (d->limit > 0)
        d->layers = d->at = d->now();
}

void deadline_passed(deadline *d)
{
    if (d->limit > 0)
        d->at = d->now();
}

void deadline_tested(deadline *d, int exit)
{
    double now;

    if (!(d->limit > 0))
        return;
    now = d->now();
    if (exit)
        remember(&d->runs[exit], now - d->at);
    d->at = now;
    d->tested = true;
}

/* A segment that has never run: twice what its layers would take at the pace of those before it,
 * evaluations of the head included. */
static double expect(const deadline *d, int exit, double now)
{
    double layers = d->exit_layer[exit] - d->exit_layer[exit - 1];
    double a_layer = (now - d->layers) / (d->exit_layer[exit - 1] + 1);

    return d->runs[exit].count ? percentile(&d->runs[exit]) : 2 * a_layer * layers;
}

bool deadline_fits(deadline *d, int exit)
{
    double now;

    if (!(d->limit > 0))
        return true;
    now = d->now();
    if (now - d->started + expect(d, exit, now) + percentile(&d->runs[0]) <= d->limit)
        return true;
    forget(&d->runs[exit]);
    return false;
}

bool deadline_end(deadline *d)
{
    double now;

    if (!(d->limit > 0))
        return false;
    now = d->now();
    if (d->tested)
        remember(&d->runs[0], now - d->at);
    return now - d->started > d->limit;
}
