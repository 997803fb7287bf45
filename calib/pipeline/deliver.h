/* SPDX-License-Identifier: MIT */
/* deliver.h - what was found, as the thresholds that a robot loads.
 *
 *   deer_thresholds t;
 *   deliver_thresholds(found, &t);
 *   deer_thresholds_save("thresholds.json", &found->c->about.config, &t, &err);
 */
#ifndef CALIB_DELIVER_H
#define CALIB_DELIVER_H

#include "calib/pipeline/calibrate.h"

/* Fills every field: thresholds and what is expected of them, the guarantee, the dial (as many
 * points as a file holds), and every episode's mean exit and mean first delta as the reference that
 * drift is measured against (evenly chosen ones where there are more than fit). x has an outcome.
 */
void deliver_thresholds(const calibrated *x, deer_thresholds *t);

/* The same, written atomically. */
deer_status deliver_file(const char *path, const calibrated *x, deer_error *err);

/* A guarantee as others see it; confidence 0 where none is given. */
void deliver_guarantee(const guarantee *from, deer_guarantee *g);

#endif
