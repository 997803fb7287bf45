/* SPDX-License-Identifier: MIT */
/* solve_parts.h - what solving a cache and solving a table share. */
#ifndef CALIB_SOLVE_PARTS_H
#define CALIB_SOLVE_PARTS_H

#include "calib/cli/outcome.h"

/* Limits as asked: NaN (average, fraction) and infinity (peak, memory) where none is. */
typedef struct {
    double average, fraction, peak, memory;
    const char *unit; /* " GFLOPs (llm)": behind a cost in messages */
} limits;

/* The deepest exit within peak and memory; DEER_INFEASIBLE names what the first exit needs. */
deer_status limits_deepest(const limits *asked, const double *peak, const double *memory, int exits,
                           int *deepest, deer_error *err);

/* The average budget (infinity: none); DEER_INFEASIBLE names what the first exit costs. whole has
 * every exit: a fraction is of its deepest. */
deer_status limits_average(const limits *asked, const steps *whole, double *budget,
                           deer_error *err);

/* Thresholds that never exit before max_exit. */
void limits_never(int max_exit, float *tau);

/* Prints an outcome as the arguments ask. */
void outcome_deliver(const solve_arguments *a, const outcome *o);

/* An answer and the budget it was solved for. */
typedef struct {
    double budget;
    table_row row;
} frontier_row;

/* Solves for `points` budgets from the cheapest exit's cost to the deepest's: rows [points],
 * ascending; an answer that loses more than a cheaper one is replaced by that one. */
typedef deer_status (*frontier_solver)(void *context, double budget, table_row *row,
                                       deer_error *err);
deer_status frontier_make(int points, const steps *whole, frontier_solver solver, void *context,
                          frontier_row *rows, deer_error *err);

/* Writes them as JSON, atomically. */
deer_status frontier_write(const char *path, const frontier_row *rows, int points,
                           const char *scope, deer_error *err);

/* deer-calib solve --table. */
deer_status solve_table(const solve_arguments *a, solve_settings *set, deer_error *err);

#endif
