/* stopping.h - how good a rule could be that sees only given signals when it decides.
 *
 *   stopping_curve curve;
 *   if (stopping_fit(&s, NULL, 0, max_exit, &curve, &err)) ...   // sees delta_k alone
 *   double least = stopping_at(&curve, budget);
 *
 * The per-step oracle (oracle.h) sees the losses; a robot sees signals. What thresholds leave of
 * the oracle's gap is either for better thresholds to close or only for a better signal: this tells
 * which. At exit k, what stopping loses against going on, loss_k + price * cost_k minus the same
 * under the rules of the deeper exits, is regressed on the signals (piecewise linear in each, knots
 * at their quantiles), and a step stops where the fitted value is at most 0. Source: Longstaff and
 * Schwartz 2001, least-squares Monte Carlo. Fitted on every other episode, judged on the rest, and
 * the other way round, for a range of prices.
 */
#ifndef CALIB_STOPPING_H
#define CALIB_STOPPING_H

#include "calib/steps.h"

#define STOPPING_MAX_SIGNALS 16
#define STOPPING_POINTS 34

/* Mean cost and loss on episodes that were not fitted; the corners of their lower convex hull, cost
 * ascending. Between two corners lies the rule that draws one of them. */
typedef struct {
    int points;
    double cost[STOPPING_POINTS], loss[STOPPING_POINTS];
} stopping_curve;

/* signal [count, exits, N] of all exits of s; NULL: s->delta. Looks at no more than about 100,000
 * steps, of whole episodes. An exit whose delta is infinite is not taken. */
deer_status stopping_fit(const steps *s, const float *signal, int count, int max_exit,
                         stopping_curve *curve, deer_error *err);

/* Loss at a mean cost; infinity below the cheapest exit's. */
double stopping_at(const stopping_curve *curve, double cost);

#endif
