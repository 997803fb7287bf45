/* SPDX-License-Identifier: MIT */
/* history.h - what the exits would say under another history.
 *
 *   history_rule rule = {.kind = HISTORY_ON_POLICY, .tau = tau, .max_exit = 5,
 *                        .criterion = DEER_CRITERION_L2, .score = NULL};
 *   calibration_actions a;
 *   if (history_replay(cache, model, &rule, threads, &a, &err)) ...
 *   calibration_make(cache, &spec, &a, &problem, &err);
 *   calibration_actions_free(&a);
 *
 * An exit's pose depends on the recurrent state, and the state on the exits taken before. Pooled
 * features do not, so replaying the head alone from the cache gives what the robot would do under
 * any thresholds, up to the cache's float16 rounding. Episodes run side by side in batches.
 */
#ifndef CALIB_HISTORY_H
#define CALIB_HISTORY_H

#include "calib/problem/calibration.h"
#include "runtime/deer_replay.h"

typedef enum {
    HISTORY_FULL,      /* the deepest exit at every step: what replay caches */
    HISTORY_ON_POLICY, /* the exit the thresholds choose */
    HISTORY_RANDOM,    /* the official calibration: windows of 12 steps from a zero state, a random
                          exit at each step, steps 5..10 sampled; windows begin every 6 steps so that
                          no step is sampled twice. Source: official generate_action_values */
    HISTORY_MIXED,     /* a random exit at every step: all histories a robot may have */
} history_kind;

typedef struct {
    history_kind kind;
    const float *tau; /* [max_exit + 1], for on-policy */
    int max_exit;
    deer_criterion criterion;    /* for on-policy */
    const deer_score *score;     /* [max_exit] of the combined criterion */
    const deer_exit_rule *exits; /* of thresholds that have one; else NULL */
    uint64_t seed;               /* for random and mixed */
    const bool *episodes;        /* [about.episodes] those to replay; NULL: all */
} history_rule;

/* Replays the head of `model`, which must be the cache's. Loads features as needed and keeps them
 * when all of them are small. The same whatever the number of threads. Its threads' products
 * use one thread each. */
deer_status history_replay(cache *c, const deer_model *model, const history_rule *rule, int threads,
                           calibration_actions *a, deer_error *err);

#endif
