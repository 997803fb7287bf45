/* SPDX-License-Identifier: MIT */
/* shape.h - a cache's exits at another model's costs. */
#ifndef REPORTS_SHAPE_H
#define REPORTS_SHAPE_H

#include "calib/problem/calibration.h"

/* The configuration of a published model ("3b", "9b") for a cache of as many exits, which are
 * mapped one to one. DEER_USAGE for another name or another number of exits. */
deer_status shape_published(const char *name, const cache *c, deer_config *config, deer_error *err);

/* calibration_make with deltas and losses of the cache, costs and memory of config. */
deer_status shape_calibration(cache *c, const deer_config *config, const calibration_spec *spec,
                              const calibration_actions *actions, calibration *p, deer_error *err);

#endif
