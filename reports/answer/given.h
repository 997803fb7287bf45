/* SPDX-License-Identifier: MIT */
/* given.h - a thresholds file that a report is asked about.
 *
 *   given g;
 *   if (given_open(c, &q, &g, &err)) ...                 // checked; c sees as its cameras do
 *   given_problem(c, &q, &spec, &g, &p, &err);           // spec: with the file's criterion
 *   given_judge(c, &q, &spec, &p, &g, &err);             // g.point
 *   given_close(c, &g);
 *
 * Its rules for cameras hold for everything the report says: steps that use older encodings see,
 * lose and cost what they would on the robot. They are followed along the recorded episodes with
 * every step at the deepest exit, as a cache has them with fresh cameras.
 */
#ifndef REPORTS_GIVEN_H
#define REPORTS_GIVEN_H

#include "calib/replay/eyes.h"
#include "reports/answer/question.h"

typedef struct {
    deer_thresholds *file; /* NULL: none was given */
    deer_model *policy;    /* NULL without --model */
    bool reuses;           /* older encodings of cameras are used */
    cache_eyes eyes;
    eyes_view seen;
    bool own_history;  /* point: with the exits that the file takes itself; else as cached */
    sweep_point point; /* at.max_exit: the file's */
} given;

/* A file for another policy, or one that takes --model, or ages that the cache lacks, is an error.
 */
deer_status given_open(cache *c, const question *q, given *g, deer_error *err);
void given_close(cache *c, given *g);

/* The file's criterion in spec; without a file nothing changes. */
void given_specify(const given *g, calibration_spec *spec);

/* The steps as the cache's cameras, or those of the file, see them. */
deer_status given_problem(cache *c, const question *q, const calibration_spec *spec, const given *g,
                          calibration *p, deer_error *err);

/* What the file's thresholds do; p: of given_problem. */
deer_status given_judge(cache *c, const question *q, const calibration_spec *spec,
                        const calibration *p, given *g, deer_error *err);

#endif
