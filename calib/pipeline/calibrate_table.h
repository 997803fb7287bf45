/* SPDX-License-Identifier: MIT */
/* calibrate_table.h - thresholds for anybody's early-exit model, from a table of its steps.
 *
 *   if (calibrate_table("table.h5", &spec, &found, &err)) ...
 *   use(found.o.found.tau);
 *   calibrated_table_free(&found);
 *
 * As calibrate.h, without a policy: costs are in any unit, deltas are as given whatever the
 * thresholds are, and what is found is for no model that the runtime knows.
 */
#ifndef CALIB_CALIBRATE_TABLE_H
#define CALIB_CALIBRATE_TABLE_H

#include "calib/pipeline/calibrate.h"
#include "calib/problem/step_table.h"

typedef struct {
    bool has_outcome; /* false with only_dial and no average budget */
    outcome o;
    operating_point *point;     /* [points] of the dial, NULL without */
    guarantee *point_guarantee; /* [points], where a confidence is asked for; else NULL */
    int points;
} calibrated_table;

/* Of spec, problem, history and threads say nothing here. x is zero after a failure. */
deer_status calibrate_table(const char *path, const calibrate_spec *spec, calibrated_table *x,
                            deer_error *err);
/* The same of a table in memory; its name is for messages. */
deer_status calibrate_steps(const char *name, const step_table *table, const calibrate_spec *spec,
                            calibrated_table *x, deer_error *err);
void calibrated_table_free(calibrated_table *x);

#endif
