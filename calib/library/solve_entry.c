/* SPDX-License-Identifier: MIT */
/* solve_entry.c - the public functions on tables: solving, judging, official thresholds. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "calib/library/asked.h"
#include "calib/library/solution.h"
#include "calib/pipeline/calibrate_table.h"
#include "calib/solve/official.h"

/* ---------------------------------------------------------------- tables ------------------- */

/* Makes a table of the caller's rows. */
static deer_status make_table(step_rows *rows, step_table *t, deer_error *err)
{
    int64_t *each = NULL;
    deer_status status;

    if (!rows->episode) {
        each = malloc((size_t)rows->steps * sizeof *each);
        if (!each)
            return deer_fail(err, "out of memory for %lld steps", (long long)rows->steps);
        for (int64_t i = 0; i < rows->steps; i++)
            each[i] = i;
        rows->episode = each;
    }
    status = step_table_make(rows, t, err);
    free(each);
    return status;
}

static deer_status hand_out(const solution_parts *parts, deer_solution **out, deer_error *err)
{
    *out = solution_new(parts);
    return *out ? DEER_OK : deer_fail(err, "out of memory for %d points", parts->points);
}

/* ---------------------------------------------------------------- solving ------------------ */

/* What a budget needs of the table. */
static deer_status check_needs(const step_rows *rows, const calibrate_spec *spec, deer_error *err)
{
    bool confident = spec->guarantee.confidence > 0, loss = isfinite(spec->guarantee.deviation);

    if (!rows->loss && (!solve_method_official(spec->solve.method) || loss || confident))
        return deer_fail_with(DEER_USAGE, err,
                              "the table has no loss; without, there are the official methods "
                              "and no guarantee");
    if (isfinite(spec->asked.memory) && !rows->memory)
        return deer_fail_with(DEER_USAGE, err, "the table has no memory for a memory budget");
    if (spec->guarantee.per_kind && !rows->task)
        return deer_fail_with(DEER_USAGE, err, "the table has no task for per_task");
    if (confident && loss && isnan(spec->guarantee.largest_loss))
        return deer_fail_with(DEER_USAGE, err,
                              "to guarantee a loss give largest_loss, what a step can lose at "
                              "most: no table can tell what other episodes may do");
    return DEER_OK;
}

static deer_status solve_rows(step_rows *rows, const calibrate_spec *spec, deer_solution **out,
                              deer_error *err)
{
    calibrated_table found;
    step_table t;
    deer_status status = make_table(rows, &t, err);

    if (status)
        return status;
    status = calibrate_steps(rows->name, &t, spec, &found, err);
    if (!status)
        status = hand_out(&(solution_parts){.found = found.has_outcome ? &found.o : NULL,
                                            .point = found.point,
                                            .guarantee = found.point_guarantee,
                                            .points = found.points},
                          out, err);
    calibrated_table_free(&found);
    step_table_free(&t);
    return status;
}

deer_status deer_solve(const deer_table *table, const deer_solve_options *options,
                       deer_solution **out, deer_error *err)
{
    calibrate_spec spec;
    step_rows rows;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_solve has nowhere to put the solution");
    *out = NULL;
    if (asked_table(table, &rows, err) || asked_solve(options, &spec, err) ||
        check_needs(&rows, &spec, err))
        return DEER_USAGE;
    if (!rows.episode && !spec.guarantee.longest)
        spec.guarantee.longest = 1;
    return solve_rows(&rows, &spec, out, err);
}

/* ---------------------------------------------------------------- judging ------------------ */

static deer_status judge_steps(const step_table *t, const float *tau, int max_exit,
                               deer_solution **out, deer_error *err)
{
    const calibration view = {.s = t->s};
    solution given = {.at = operating_point_new(max_exit), .parameter = NAN};
    outcome o = {.exits = t->s.exits, .budget = NAN, .solver = "given"};
    deer_status status;

    operating_point_set(&given.at, tau);
    outcome_describe(&o, &view, &given, given.at.tau, NULL, NULL, SOLVE_BEST);
    snprintf(o.found.name, sizeof o.found.name, "given");
    o.found.memory = t->has_memory ? t->memory[max_exit] : NAN;
    status = outcome_judge(&o, &t->s, err);
    return status ? status : hand_out(&(solution_parts){.found = &o}, out, err);
}

deer_status deer_evaluate(const deer_table *table, const float *tau, int32_t max_exit,
                          deer_solution **out, deer_error *err)
{
    step_rows rows;
    step_table t;
    deer_status status;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_evaluate has nowhere to put the solution");
    *out = NULL;
    if (asked_table(table, &rows, err))
        return DEER_USAGE;
    if (!tau || max_exit < 0 || max_exit >= rows.exits)
        return deer_fail_with(DEER_USAGE, err, "there are no thresholds up to exit %d of %d",
                              max_exit, rows.exits);
    for (int k = 0; k < max_exit; k++)
        if (isnan(tau[k]))
            return deer_fail_with(DEER_USAGE, err, "the threshold of exit %d is no number", k);
    status = make_table(&rows, &t, err);
    if (status)
        return status;
    status = judge_steps(&t, tau, max_exit, out, err);
    step_table_free(&t);
    return status;
}

/* ---------------------------------------------------------------- official ----------------- */

static deer_status check_values(const float *values, int32_t exits, int64_t samples,
                                deer_distribution distribution, double parameter, const float *tau,
                                deer_error *err)
{
    if (!values || !tau)
        return deer_fail_with(DEER_USAGE, err, "no %s are given", values ? "thresholds" : "values");
    if (exits < 1 || exits > DEER_MAX_EXITS || samples < 1 || samples >= STEPS_MAX)
        return deer_fail_with(DEER_USAGE, err,
                              "values of %d exits and %lld samples; 1 to %d exits and 1 to "
                              "2^31 - 1 samples are possible",
                              exits, (long long)samples, DEER_MAX_EXITS);
    if ((int)distribution < 0 || !official_name((official_distribution)distribution))
        return deer_fail_with(DEER_USAGE, err, "there is no distribution %d", (int)distribution);
    if (!isfinite(parameter) || (distribution != DEER_OFFICIAL_GAUSS && parameter <= 0))
        return deer_fail_with(DEER_USAGE, err, "%s has no parameter %g",
                              official_name((official_distribution)distribution), parameter);
    return DEER_OK;
}

deer_status deer_official_thresholds(const float *values, int32_t exits, int64_t samples,
                                     deer_distribution distribution, double parameter,
                                     bool skip_first, float *tau, deer_error *err)
{
    float fractions[DEER_MAX_EXITS];
    official_steps taken;

    if (check_values(values, exits, samples, distribution, parameter, tau, err))
        return DEER_USAGE;
    if (official_take(values, samples, exits, &taken, err))
        return DEER_FAILED;
    official_fractions((official_distribution)distribution, parameter, skip_first, exits,
                       fractions);
    official_thresholds(&taken, exits, fractions, tau);
    official_free(&taken);
    return DEER_OK;
}
