/* SPDX-License-Identifier: MIT */
/* governor.h - an average budget that holds while the robot acts: turns the dial between steps.
 *
 *   governor_start(&g, &thresholds, budget, 500, &err);
 *   for (;;) {
 *       deepest = governor_turn(&g, cost, &thresholds);   // before a step: thresholds, and a limit
 *       ... the step, up to exit `deepest` ...
 *       governor_pay(&g, used);                           // behind it
 *   }
 *
 * The account, `ahead`, is what was used beyond the budget so far, the integral of the error. The
 * dial's setting goes towards
 *
 *     budget - (budget - least) * (ahead / A)^3     ahead > 0: the dial's least at ahead = A
 *     budget + (most - budget) * (-ahead / L)^3     ahead < 0: the dial's most at ahead = -L
 *
 * with A = 1% of a horizon's budget and L = A - budget, by at most 1/16 of the dial a step; the
 * point nearest to it is taken. Thresholds spend where it helps, so the account sways by a few
 * steps' budgets within every episode: the cube leaves that alone, and is firm near the ends. What
 * is saved beyond A is forgotten (anti-windup): an easy hour does not pay for a careless minute.
 *
 * What holds of it. Let B be the budget, c_0 what the first exit costs, F the deepest allowed, and
 * U_n = min(A, F sqrt(n)).
 *
 *   Never more, in any world, where c_0 <= B. Before step n exits are allowed that keep the account
 *   at or below U_n if they are taken, and the first one. Whichever is taken, ahead_n <= U_n or, at
 *   the first exit, ahead_n <= ahead_(n-1). U_n does not fall (under instructions of other lengths,
 *   U_n of the longest so far), so ahead_n <= U_n by induction. Forgetting only raises the account.
 *   So n steps have used at most n B + min(A, F sqrt(n)), from the first one on.
 *
 *   Never less, where the dial's last point costs B or more at every step (one that always takes
 *   the deepest exit does). At ahead <= -L that point is taken, whatever the bound on movement, and
 *   the account does not fall; above -L it falls by less than B. So ahead > -A, nothing is ever
 *   forgotten, and the account lies between -A and A.
 *
 *   So any m >= horizon steps in a row have used m B, give or take 2 A = 2% of horizon B <= 2% of
 *   m B.
 */
#ifndef RUNTIME_GOVERNOR_H
#define RUNTIME_GOVERNOR_H

#include "runtime/deer_replay.h"

enum { GOVERNOR_HORIZON = 500, GOVERNOR_SHORTEST = 200 };

typedef struct {
    deer_governor now; /* horizon 0: off */
    double room;       /* A: of the account, either way */
    int point;         /* of the dial, that the thresholds have; -1: none yet */
} governor;

/* Horizon 0: GOVERNOR_HORIZON. On failure nothing changes. */
deer_status governor_start(governor *governor, const deer_thresholds *thresholds, double budget,
                           int64_t horizon, deer_error *err);
void governor_end(governor *governor);
bool governor_is_on(const governor *governor);

/* Before a step: turns the dial of the thresholds; returns the deepest exit that the step may take.
 *   cost  [max_exit + 1] GFLOPs of a step that takes an exit, not falling with depth */
int governor_turn(governor *governor, const double *cost, deer_thresholds *thresholds);

/* Behind it: what it used, GFLOPs. */
void governor_pay(governor *governor, double used);

#endif
