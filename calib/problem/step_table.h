/* SPDX-License-Identifier: MIT */
/* step_table.h - a calibration problem of anybody's early-exit model, from rows in memory.
 *
 *   step_rows  rows = {.name = "the table", .steps = n, .exits = k, .delta = delta, ...};
 *   step_table t;
 *   if (step_table_make(&rows, &t, &err)) ...
 *   solve(&t.s, ...);
 *   step_table_free(&t);
 */
#ifndef CALIB_STEP_TABLE_H
#define CALIB_STEP_TABLE_H

#include "calib/problem/steps.h"

/* Borrowed; N steps, K exits. */
typedef struct {
    const char *name; /* of the table, in messages */
    int64_t steps;
    bool spread; /* these are this rank's of all, whole episodes (calib/problem/steps.h) */
    int exits;
    const float *delta; /* [N, K] exit k may be taken when its delta is at or below the threshold;
                           NaN: never */
    const float *loss;  /* [N, K] what leaving there loses; NULL: nothing is known, all 0 */
    const double *cost; /* [K] what leaving there costs, in any unit */
    const int64_t *episode; /* [N] any numbers; the steps of an episode lie together */
    const int64_t *task;    /* [N] the same within an episode; NULL: not known */
    const double
        *memory; /* [K] what the model needs when this is its deepest exit; NULL: not known */
} step_rows;

typedef struct {
    steps s;
    double memory[DEER_MAX_EXITS]; /* 0 when not known */
    bool has_memory;
    char (*task_name)[24]; /* [s.episodes], and pointers to them; NULL when not known */
    const char **task;
} step_table;

/* Copies and checks: DEER_USAGE for rows that make no sense. t is zero after a failure. */
deer_status step_table_make(const step_rows *rows, step_table *t, deer_error *err);
void step_table_free(step_table *t);

#endif
