/* SPDX-License-Identifier: MIT */
/* onpolicy.h - thresholds that keep their budget under the history they make themselves.
 *
 *   onpolicy_spec spec = {.problem = what, .solve = how, .history = HISTORY_ON_POLICY};
 *   onpolicy_result r;
 *
 *   if (onpolicy_solve(cache, model, &spec, &r, &err))
 *       return DEER_FAILED;
 *   use(r.x.at.tau, r.x.at.cost);
 *   onpolicy_free(&r);
 *
 * Deltas depend on the exits taken before. So: solve on the deltas at hand, replay the head under
 * the answer, and solve again on what that gives, until the exits taken are those expected. Every
 * round's thresholds are judged by what they really do; the best that keeps the budget is returned.
 */
#ifndef CALIB_ONPOLICY_H
#define CALIB_ONPOLICY_H

#include "calib/problem/calibration.h"
#include "calib/replay/history.h"
#include "calib/solve/solve.h"

#define ONPOLICY_ROUNDS 10
#define ONPOLICY_CONVERGED 0.005 /* largest change of an exit's fraction */

typedef struct {
    calibration_spec problem; /* with its score, for the combined criterion */
    solve_spec solve;         /* budget in GFLOPs of problem's scope */
    bool official_best;       /* solve by the best of the official heuristics instead */
    history_kind history;     /* full and random: one solve, judged as it is */
    const bool *episodes;     /* [about.episodes] those to solve on; NULL: all */
    int threads;
} onpolicy_spec;

typedef struct {
    solution x;          /* what it costs and loses: under its own history, as are the steps */
    double expected;     /* mean cost of the first answer, on the history it was solved on */
    double first;        /* the same thresholds under their own history */
    calibration problem; /* the steps */
    int rounds;
    bool converged; /* the last round changed the fractions by less than ONPOLICY_CONVERGED */
} onpolicy_result;

/* model may be NULL with full history. DEER_INFEASIBLE as in solve, and when nothing keeps the
 * budget under its own history. */
deer_status onpolicy_solve(cache *c, const deer_model *model, const onpolicy_spec *spec,
                           onpolicy_result *r, deer_error *err);
void onpolicy_free(onpolicy_result *r);

/* What given thresholds do under their own history (or as cached, with model NULL): the problem,
 * for evaluation with steps_evaluate. */
deer_status onpolicy_judge(cache *c, const deer_model *model, const calibration_spec *spec,
                           const float *tau, int threads, calibration *p, deer_error *err);

/* The same of some episodes [c's], which are all that is replayed: p's steps of the others say
 * nothing. NULL: of all. */
deer_status onpolicy_judge_some(cache *c, const deer_model *model, const calibration_spec *spec,
                                const float *tau, const bool *some, int threads, calibration *p,
                                deer_error *err);

#endif
