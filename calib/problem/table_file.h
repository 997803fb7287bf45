/* SPDX-License-Identifier: MIT */
/* table_file.h - a calibration problem of anybody's early-exit model, from plain HDF5 datasets.
 *
 *   delta   [N, K]  exit k may be taken when its delta is at or below the threshold; NaN: never
 *   loss    [N, K]  what leaving there loses
 *   cost    [K]     what leaving there costs, in any unit
 *   episode [N]     integers; the steps of an episode lie together
 *   task    [N]     optional: integers, the same within an episode
 *   memory  [K]     optional: what the model needs when this is its deepest exit
 */
#ifndef CALIB_TABLE_FILE_H
#define CALIB_TABLE_FILE_H

#include "calib/problem/step_table.h"

/* Reads and checks a file; step_table_free frees. */
deer_status table_file_read(const char *path, step_table *t, deer_error *err);

/* Writes s as such a file, atomically (memory may be NULL). */
deer_status table_file_write(const char *path, const steps *s, const double *memory,
                             deer_error *err);

#endif
