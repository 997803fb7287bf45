/* SPDX-License-Identifier: MIT */
/* trust.h - how far the numbers of a report can be trusted.
 *
 * A guarantee (calib/guarantee/guarantee.h, on the history that was cached) and, when the policy is
 * at hand, what the recommended thresholds do under the history they make themselves.
 */
#ifndef REPORTS_TRUST_H
#define REPORTS_TRUST_H

#include "calib/guarantee/guarantee.h"
#include "reports/answer/question.h"
#include "reports/answer/success.h"

typedef struct {
    bool guaranteed; /* else `statement` says what it would take */
    guarantee given; /* when guaranteed */
    char statement[512];
    bool on_policy;            /* the following are known */
    double own_cost, own_loss; /* GFLOPs in the scope of the budgets; per step */
} trust;

/* Splits the episodes, stratified by stratum [episodes], chooses the least budget of a sweep that
 * keeps the loss and success asked for on one part, solves for it there, and tests on the other.
 * longest: steps an episode can have, 0: not known. Without a guarantee that is not an error:
 * statement says why. */
deer_status trust_guarantee(const calibration *p, const question *q, const success_curve *success,
                            const int *stratum, int longest, trust *t, deer_error *err);

/* Judges the point under its own history, at the costs of spec. model: file of c's policy. */
deer_status trust_on_policy(cache *c, const char *model, const calibration_spec *spec,
                            const sweep_point *x, int threads, trust *t, deer_error *err);

#endif
