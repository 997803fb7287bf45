/* SPDX-License-Identifier: MIT */
/* outcome.h - what a calibration found, of a cache or of a table: ready to be shown. */
#ifndef CALIB_OUTCOME_H
#define CALIB_OUTCOME_H

#include "calib/criterion/score.h"
#include "calib/guarantee/guarantee.h"
#include "calib/pipeline/onpolicy.h"
#include "calib/replay/eyes.h"

/* How the exits taken before were dealt with. */
typedef struct {
    history_kind kind;
    int rounds;
    bool converged;
    double expected, used; /* cost of the first answer: as solved, and with the exits it takes */
} outcome_history;

typedef struct {
    int episodes, exits;
    int64_t steps;
    bool has_scopes; /* costs are GFLOPs of two scopes; else of a table, in any unit, as total */
    bool scope_llm;
    double budget;               /* average, infinity: none */
    double full_llm, full_total; /* means at the deepest exit there is: what 100% is */
    operating_point full;        /* the deepest exit allowed, always */
    operating_point found;
    operating_point official; /* the best heuristic of the official code, at the same budget */
    bool has_official;
    double oracle_loss, gap_closed; /* gap NaN when there is none */
    score_verdict held_out; /* the same on episodes not solved on, and for another criterion */
    char solver[64];
    long evaluations; /* passes over the steps */
    double seconds;
    calibration_spec problem; /* criterion and loss; with has_scopes */
    outcome_history history;  /* with has_scopes */
    guarantee guaranteed;
    eyes_view eyes;      /* with rules for cameras (found.cameras), and */
    double fresh_gflops; /* what the deepest exit allowed takes with fresh cameras, and */
    int choices;         /* how many rules the thresholds were solved for */
} outcome;

/* Average cost of a step of found, in the unit of the budget. */
double outcome_cost(const outcome *o);

/* Describes, on the steps of p: always the deepest exit allowed, the thresholds found, and the
 * official ones on their own steps (NULL: there are none). */
void outcome_describe(outcome *o, const calibration *p, const solution *found, const float *tau,
                      const calibration *official_p, const solution *official, solve_method method);

/* Fills in the oracle and the gaps, of the steps that o was described on. The score that other
 * criteria are judged by looks at deltas, so a fitted criterion gets none. */
deer_status outcome_judge(outcome *o, const steps *s, deer_error *err);

#endif
