/* SPDX-License-Identifier: MIT */
/* calibrate.h - from recorded demonstrations, or the cache of them, to thresholds: the whole way.
 *
 *   calibrate_spec spec = calibrate_default();
 *   calibrate_source from = {.cache = "cache"};
 *   calibrated *found = NULL;
 *
 *   spec.asked.fraction = 0.4;
 *   if (calibrate(&from, &spec, &found, &err)) ...        // DEER_INFEASIBLE: err says what could
 * be deliver_file("thresholds.json", found, &err);         // calib/pipeline/deliver.h
 *   calibrated_free(found);
 *
 * Replays the demonstrations where asked to, decides the deepest exit (peak and memory budgets),
 * solves for the average budget with the exits that the thresholds take themselves, guarantees it
 * on unseen episodes where a confidence is asked for, and sets the official heuristic and the
 * oracle beside it.
 */
#ifndef CALIB_CALIBRATE_H
#define CALIB_CALIBRATE_H

#include "calib/pipeline/dial.h"
#include "calib/pipeline/limits.h"
#include "calib/pipeline/outcome.h"
#include "calib/pipeline/rules.h"
#include "calib/replay/replay.h"

typedef struct {
    const char *cache;         /* folder; NULL: a temporary one, to replay into */
    const replay_spec *replay; /* replays into the cache first; its own `cache` is not looked at */
    /* Told of that replay, may be NULL. spec: as it was run. */
    void (*replayed)(void *context, const replay_spec *spec, const replay_report *report);
    void *context;
    const char *model; /* the cache's policy; NULL: where replay found it */
} calibrate_source;

typedef struct {
    calibration_spec problem; /* criterion, loss and scope; the rest is decided */
    solve_spec solve;         /* method, seed and evaluations; the rest is decided */
    history_kind history;
    int threads;
    limits asked;
    guarantee_spec guarantee; /* guarantee_asked: is any? bound, deviation, largest_loss (NaN:
                                 what poses and gripper allow), longest, share, seed */
    const char *mix;          /* file of tasks and shares that is guaranteed for; NULL: none */
    const char *rule;         /* of exits, a name as rules_choose takes it; NULL: none */
    bool fresh_cameras;       /* no rules for cameras, whatever ages the cache has */
    const deer_camera_rules *cameras; /* these, and no search for others; NULL: the best found */
    int points;                       /* of a dial, 0: none */
    bool only_dial;                   /* no budget of its own: points are all that is wanted */
    dial_progress progress;           /* of the dial */
} calibrate_spec;

/* No budgets, no guarantee; the total scope, everything else as the command's defaults. */
calibrate_spec calibrate_default(void);

/* What came of it. */
typedef struct {
    cache *c;
    deer_model *model;                /* NULL where none was needed */
    calibration p;                    /* all episodes under the history of the thresholds found */
    onpolicy_spec how;                /* as it was solved: budget, deepest exit and score decided */
    deer_score score[DEER_MAX_EXITS]; /* [max_exit] of the combined criterion */
    rule_choice *rules;               /* where a rule of exits was asked for; else NULL */
    bool has_outcome;                 /* false with only_dial and no average budget */
    outcome o;
    cache_eyes eyes;            /* of the rules for cameras that c is seen through, where it is */
    operating_point *point;     /* [points] of the dial, NULL without */
    guarantee *point_guarantee; /* [points], where a confidence is asked for; else NULL */
    int points;
    char temporary[64]; /* folder of a cache that goes away with this, or empty */
} calibrated;

/* *found is NULL after a failure. Freed by calibrated_free. */
deer_status calibrate(const calibrate_source *from, const calibrate_spec *spec, calibrated **found,
                      deer_error *err);
void calibrated_free(calibrated *x);

#endif
