/* exit_policy.h - may the policy stop here? */
#ifndef RUNTIME_EXIT_POLICY_H
#define RUNTIME_EXIT_POLICY_H

#include "runtime/deer.h"

/* True when exit `exit` is taken: delta <= tau in float32, or it is the deepest one allowed. A NaN
 * delta never stops. Source: DeeR-VLA section 3.2; official ExitController.forward. */
bool exit_policy_stop(const deer_thresholds *thresholds, int exit, float delta);

#endif
