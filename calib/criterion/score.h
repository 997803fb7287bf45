/* SPDX-License-Identifier: MIT */
/* score.h - would another criterion than delta do better? Thresholds on a fitted score.
 *
 *   score_verdict v;
 *   if (score_judge(&s, NULL, 0, max_exit, budget, &v, &err)) ...
 *   v.delta     // of the gap from the official heuristic to the oracle, thresholds on delta close
 *   v.score     // this share, thresholds on the score that one
 *
 * The per-step oracle (oracle.h) sees the losses; a robot sees signals. What thresholds leave of
 * the oracle's gap is either for better thresholds to close or only for a better criterion: this
 * tells which. At each exit the loss of stopping there is regressed on what the signals are at that
 * moment (log link, gamma errors, each signal's logarithm and its square), and thresholds are
 * solved for the fitted loss as they are for delta. Everything is fitted on one half of the
 * episodes and judged on the other, and the other way round.
 */
#ifndef CALIB_SCORE_H
#define CALIB_SCORE_H

#include "calib/problem/steps.h"

#define SCORE_MAX_SIGNALS 16

/* Shares of the gap closed on episodes that were not fitted, averaged over the two halves; the
 * heuristic is refitted to those episodes, at the cost really had. NaN where there is no gap. */
typedef struct {
    double delta, score;
} score_verdict;

/* signal [count, exits, N], not negative, of all exits of s; NULL: the deltas of the exit and of
 * those before it (SCORE_MAX_SIGNALS at most). An exit whose delta is infinite is not taken. Looks
 * at no more than about 20,000 steps, of whole episodes. */
deer_status score_judge(const steps *s, const float *signal, int count, int max_exit, double budget,
                        score_verdict *verdict, deer_error *err);

#endif
