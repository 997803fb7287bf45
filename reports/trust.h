/* trust.h - how far the numbers of a report can be trusted.
 *
 * A guarantee for the recommended budget (calib/guarantee.h, on the history that was cached) and,
 * when the policy is at hand, what the recommended thresholds do under the history they make
 * themselves.
 */
#ifndef REPORTS_TRUST_H
#define REPORTS_TRUST_H

#include "calib/guarantee.h"
#include "reports/sweep.h"

typedef struct {
    bool promised;   /* else `statement` says what it would take */
    guarantee given; /* when promised */
    char statement[512];
    bool on_policy;            /* the following are known */
    double own_cost, own_loss; /* GFLOPs in the scope of the budgets; per step */
} trust;

/* Splits the episodes, stratified by stratum [episodes], solves on one part for the budget and
 * tests on the other. Without a promise that is not an error: statement says why. */
deer_status trust_promise(const calibration *p, double budget, double confidence,
                          const int *stratum, uint64_t seed, trust *t, deer_error *err);

/* Judges the point under its own history, at the costs of config. model: file of c's policy. */
deer_status trust_on_policy(cache *c, const char *model, const deer_config *config,
                            const calibration_spec *spec, const sweep_point *x, int threads,
                            trust *t, deer_error *err);

#endif
