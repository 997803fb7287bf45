/* SPDX-License-Identifier: MIT */
/* exit_policy.h - may the policy stop here?
 *
 *   exit_trial t;
 *   exit_trial_begin(&t, criterion, score, done, pseudo);    // the step's pseudo exit
 *   for (int k = 0;; k++) {
 *       ... run the layers up to exit k: pose, gripper ...
 *       value = exit_trial_next(&t, pose, gripper);
 *       if (exit_policy_stop(thresholds, k, value))
 *           break;
 *   }
 */
#ifndef RUNTIME_EXIT_POLICY_H
#define RUNTIME_EXIT_POLICY_H

#include "runtime/deer_replay.h"

/* True when exit `exit` is taken: its value passes (tau.h), or it is the deepest one allowed.
 * Source: DeeR-VLA section 3.2; official ExitController.forward. */
bool exit_policy_stop(const deer_thresholds *thresholds, int exit, float value);

/* A signal as the combined criterion sees it: log(max(signal, 1e-6)). */
double exit_signal_level(double signal);

/* What a score expects; NaN when a signal is not finite. */
float exit_score(const deer_score *score, const double signal[DEER_SIGNALS]);

/* One step while its exits are tried, the first one first. */
typedef struct {
    deer_criterion criterion;
    const deer_score *score;     /* [exits] of the combined criterion; NULL: not fitted yet, l2 */
    float done[DEER_POSE];       /* pose at the step before */
    float previous[DEER_POSE];   /* pose of the exit before */
    int exit;                    /* tried next */
    double signal[DEER_SIGNALS]; /* at the last one tried, of the combined criterion */
} exit_trial;

/* done [6]: the pose done at the step before, 0 where there was none; pseudo [6]: this step's at
 * the layer before the first exit. */
void exit_trial_begin(exit_trial *trial, deer_criterion criterion, const deer_score *score,
                      const float done[DEER_POSE], const float pseudo[DEER_POSE]);

/* The criterion's value at the next exit, whose pose and gripper (probability of open) these are.
 * NaN when anything it depends on is not finite. */
float exit_trial_next(exit_trial *trial, const float pose[DEER_POSE], float gripper);

#endif
