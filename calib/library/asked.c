/* SPDX-License-Identifier: MIT */
/* asked.c - what callers of the library ask for. */
#include "calib/library/asked.h"

#include <math.h>
#include <unistd.h>

#include "runtime/base/options.h"

enum { MOST_THREADS = 1024, MOST_POINTS = 200 };

/* ---------------------------------------------------------------- numbers ------------------ */

static deer_status check_numbers(const deer_solve_options *o, deer_error *err)
{
    const struct {
        const char *name;
        double value, most;
    } number[] = {{"average", o->average, INFINITY},    {"fraction", o->fraction, 1},
                  {"peak", o->peak, INFINITY},          {"memory", o->memory, INFINITY},
                  {"loss", o->loss, INFINITY},          {"largest_loss", o->largest_loss, INFINITY},
                  {"confidence", o->confidence, 0.9999}};

    for (size_t i = 0; i < sizeof number / sizeof *number; i++) {
        if (!(number[i].value >= 0) || isinf(number[i].value))
            return deer_fail_with(DEER_USAGE, err, "%s is %g; it must be more than 0, or 0: none",
                                  number[i].name, number[i].value);
        if (number[i].value > number[i].most)
            return deer_fail_with(DEER_USAGE, err, "%s is %g; it must be at most %g",
                                  number[i].name, number[i].value, number[i].most);
    }
    if (o->method < 0 || !solve_method_name((solve_method)o->method))
        return deer_fail_with(DEER_USAGE, err, "there is no method %d", o->method);
    if (o->longest < 0)
        return deer_fail_with(DEER_USAGE, err, "an episode cannot have %d steps", o->longest);
    if (o->points && (o->points < 2 || o->points > MOST_POINTS))
        return deer_fail_with(DEER_USAGE, err, "points are 2 to %d, or 0: none; not %d",
                              MOST_POINTS, o->points);
    return DEER_OK;
}

/* What only makes sense with something else. */
static deer_status check_together(const deer_solve_options *o, deer_error *err)
{
    bool average = o->average > 0 || o->fraction > 0;

    if (o->average > 0 && o->fraction > 0)
        return deer_fail_with(DEER_USAGE, err, "give average or fraction, not both");
    if (!average && !(o->peak > 0) && !(o->memory > 0) && !(o->loss > 0) && !o->points)
        return deer_fail_with(DEER_USAGE, err,
                              "give a budget: average, fraction, peak, memory, loss or points");
    if (o->confidence > 0 && !average && !(o->loss > 0) && !o->points)
        return deer_fail_with(
            DEER_USAGE, err, "confidence is of an average budget, a loss or points; none is given");
    if (o->per_task && !(o->confidence > 0))
        return deer_fail_with(DEER_USAGE, err,
                              "per_task says what a confidence is of; none is "
                              "given");
    return DEER_OK;
}

/* 0 is how callers say that there is none. */
static double or_none(double value, double none)
{
    return value > 0 ? value : none;
}

deer_status asked_solve(const deer_solve_options *options, calibrate_spec *spec, deer_error *err)
{
    deer_solve_options o;

    if (options_read("deer_solve_options", &o, sizeof o, options, err) || check_numbers(&o, err) ||
        check_together(&o, err))
        return DEER_USAGE;
    *spec = calibrate_default();
    spec->solve.method = (solve_method)o.method;
    spec->solve.seed = spec->guarantee.seed = o.seed ? o.seed : 1;
    spec->asked = (limits){.average = or_none(o.average, NAN),
                           .fraction = or_none(o.fraction, NAN),
                           .peak = or_none(o.peak, INFINITY),
                           .memory = or_none(o.memory, INFINITY)};
    spec->guarantee.deviation = or_none(o.loss, INFINITY);
    spec->guarantee.largest_loss = or_none(o.largest_loss, NAN);
    spec->guarantee.confidence = o.confidence;
    spec->guarantee.longest = o.longest;
    spec->guarantee.per_kind = o.per_task != 0;
    spec->points = o.points;
    spec->only_dial = o.points && !(o.peak > 0) && !(o.memory > 0);
    spec->problem.loss = o.deepest_may_lose ? LOSS_DEMO : LOSS_DEEPEST;
    return DEER_OK;
}

/* ---------------------------------------------------------------- tables ------------------- */

deer_status asked_table(const deer_table *table, step_rows *rows, deer_error *err)
{
    deer_table t;

    if (!table)
        return deer_fail_with(DEER_USAGE, err, "no table is given");
    if (options_read("deer_table", &t, sizeof t, table, err))
        return DEER_USAGE;
    if (t.exits < 1 || t.exits > DEER_MAX_EXITS)
        return deer_fail_with(DEER_USAGE, err, "the table has %d exits; 1 to %d are possible",
                              t.exits, DEER_MAX_EXITS);
    if (t.steps < 1 || t.steps >= STEPS_MAX)
        return deer_fail_with(DEER_USAGE, err,
                              "the table has %lld steps; 1 to 2^31 - 1 are possible",
                              (long long)t.steps);
    if (!t.delta || !t.cost)
        return deer_fail_with(DEER_USAGE, err, "the table has no %s", t.delta ? "cost" : "delta");
    *rows = (step_rows){.name = "the table",
                        .steps = t.steps,
                        .exits = t.exits,
                        .delta = t.delta,
                        .loss = t.loss,
                        .cost = t.cost,
                        .episode = t.episode,
                        .task = t.task,
                        .memory = t.memory};
    return DEER_OK;
}

deer_status asked_threads(int32_t asked, int *threads, deer_error *err)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (asked < 0 || asked > MOST_THREADS)
        return deer_fail_with(DEER_USAGE, err, "threads are 1 to %d, or 0: one per core; not %d",
                              MOST_THREADS, asked);
    *threads = asked ? asked : cores > 0 && cores < MOST_THREADS ? (int)cores : 1;
    return DEER_OK;
}
