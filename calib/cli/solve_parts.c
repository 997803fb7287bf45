/* SPDX-License-Identifier: MIT */
/* solve_parts.c - limits, delivery, frontiers. */
#include "calib/cli/solve_parts.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/cli/tool.h"

/* ---------------------------------------------------------------- limits ------------------- */

deer_status limits_deepest(const limits *asked, const double *peak, const double *memory, int exits,
                           int *deepest, deer_error *err)
{
    *deepest = solve_deepest(peak, memory, exits, asked->peak, asked->memory);
    if (*deepest >= 0)
        return DEER_OK;
    if (peak[0] > asked->peak)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "no exit keeps a peak of %.6g%s: the first one costs %.6g",
                              asked->peak, asked->unit, peak[0]);
    return deer_fail_with(DEER_INFEASIBLE, err,
                          "no exit fits into %.0f bytes: the first one needs %.0f", asked->memory,
                          memory[0]);
}

deer_status limits_average(const limits *asked, const steps *whole, double *budget, deer_error *err)
{
    double full = steps_fixed_cost(whole, whole->exits - 1), least = steps_fixed_cost(whole, 0);

    *budget = !isnan(asked->average)    ? asked->average
              : !isnan(asked->fraction) ? asked->fraction * full
                                        : INFINITY;
    if (*budget >= least)
        return DEER_OK;
    return deer_fail_with(DEER_INFEASIBLE, err,
                          "an average of %.6g%s cannot be met: always taking the first exit costs "
                          "%.6g, %.1f%% of full depth",
                          *budget, asked->unit, least, 100 * least / full);
}

void limits_never(int max_exit, float *tau)
{
    for (int k = 0; k < max_exit; k++)
        tau[k] = -INFINITY;
    tau[max_exit] = INFINITY;
}

/* ---------------------------------------------------------------- delivery ----------------- */

void outcome_deliver(const solve_arguments *a, const outcome *o)
{
    if (a->json) {
        json_t *json = outcome_json(o);

        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(12));
        printf("\n");
        json_decref(json);
    } else if (!a->print_official) {
        outcome_print(stdout, o);
    }
    if (a->print_official)
        outcome_print_official(a->json ? stderr : stdout, o);
}

/* ---------------------------------------------------------------- frontier ----------------- */

static deer_status write_json(const char *path, json_t *json, deer_error *err)
{
    char *text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(12));
    deer_status status;

    if (!text)
        return deer_fail(err, "out of memory writing %s", path);
    status = file_write(path, text, strlen(text), err);
    free(text);
    return status;
}

deer_status frontier_make(int points, const steps *whole, frontier_solver solver, void *context,
                          frontier_row *rows, deer_error *err)
{
    double low = steps_fixed_cost(whole, 0), high = steps_fixed_cost(whole, whole->exits - 1);
    tool_progress bar;
    deer_status status = DEER_OK;

    tool_progress_start(&bar, "frontier", "budgets", points);
    for (int i = 0; i < points && !status; i++) {
        rows[i].budget = i == points - 1 ? high : low + (high - low) * i / (points - 1);
        status = solver(context, rows[i].budget, &rows[i].row, err);
        if (!status && i && rows[i - 1].row.loss < rows[i].row.loss)
            rows[i].row = rows[i - 1].row;
        tool_progress_update(&bar, i + 1);
    }
    tool_progress_end(&bar);
    return status;
}

deer_status frontier_write(const char *path, const frontier_row *rows, int points,
                           const char *scope, deer_error *err)
{
    json_t *json = json_object(), *list = json_array();
    deer_status status;

    for (int i = 0; i < points; i++) {
        json_t *point = table_row_json(&rows[i].row);
        json_object_set_new(point, "budget", json_real(rows[i].budget));
        json_array_append_new(list, point);
    }
    json_object_set_new(json, "deer_frontier", json_integer(1));
    json_object_set_new(json, "scope", json_string(scope));
    json_object_set_new(json, "points", list);
    status = write_json(path, json, err);
    json_decref(json);
    return status;
}
