/* SPDX-License-Identifier: MIT */
/* asked.h - what callers of the library ask for, checked, in the words of calib/pipeline.
 *
 *   calibrate_spec spec;
 *   if (asked_solve(options, &spec, err)) ...            // deer_solve_options
 *   if (asked_table(table, &rows, err)) ...              // deer_table
 */
#ifndef CALIB_LIBRARY_ASKED_H
#define CALIB_LIBRARY_ASKED_H

#include "calib/deer_calib.h"
#include "calib/pipeline/calibrate.h"
#include "calib/problem/step_table.h"

/* Fails (DEER_USAGE) for numbers that make no sense, and when nothing is asked for. */
deer_status asked_solve(const deer_solve_options *options, calibrate_spec *spec, deer_error *err);

/* The rows of a table, borrowed. Sizes and pointers are checked, numbers by those who read them. */
deer_status asked_table(const deer_table *table, step_rows *rows, deer_error *err);

/* 0: one per core. */
deer_status asked_threads(int32_t asked, int *threads, deer_error *err);

#endif
