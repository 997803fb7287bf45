/* SPDX-License-Identifier: MIT */
/* exit_policy.h - may the policy stop here? Beside what deer_replay.h has of it. */
#ifndef RUNTIME_EXIT_POLICY_H
#define RUNTIME_EXIT_POLICY_H

#include "runtime/deer_replay.h"

/* True when exit `exit` is taken: its value passes (tau.h), or it is the deepest one allowed.
 * Source: DeeR-VLA section 3.2; official ExitController.forward. */
bool exit_policy_stop(const deer_thresholds *thresholds, int exit, float value);

/* What a score expects; NaN when a signal is not finite. */
float exit_score(const deer_score *score, const double signal[DEER_SIGNALS]);

#endif
