/* SPDX-License-Identifier: MIT */
/* sweep.h - the frontier: what thresholds do over a range of average budgets.
 *
 *   sweep w;
 *   if (sweep_make(&p, &spec, &w, &err)) ...
 *   use(w.frontier[5].ours[12].at.loss, w.frontier[5].ours[12].at.fraction);
 *   sweep_free(&w);
 *
 * Solved once, in GFLOPs, for every deepest exit; machines are looked up against it afterwards.
 * Losses are those of the calibration problem: with LOSS_DEEPEST against the deepest exit there
 * is, also where a shallower one is the deepest allowed, so that frontiers can be compared.
 */
#ifndef REPORTS_SWEEP_H
#define REPORTS_SWEEP_H

#include "budgets/machines/latency.h"
#include "calib/problem/calibration.h"

#define SWEEP_MOST_BUDGETS 200

typedef struct {
    double low, high;
} interval;

/* A point of a sweep, on average over all steps. */
typedef struct {
    operating_point at;        /* its cost is in the scope of the budgets */
    interval cost_95, loss_95; /* 95% of bootstrap samples with these thresholds */
    deer_step_mix mix;         /* of steps by cameras encoded and exit, where cameras are reused */
} sweep_point;

/* Thresholds that look no deeper than one exit; [budgets] each. A budget beyond what that exit
 * costs gives what it gives there; a larger budget never loses more. */
typedef struct {
    sweep_point *ours;
    double *oracle; /* loss that no exit rule within the budget can beat */
} sweep_frontier;

typedef struct {
    int exits, budgets;
    double *budget; /* [budgets] GFLOPs, ascending */
    sweep_frontier frontier[DEER_MAX_EXITS];
    sweep_point *official; /* [budgets] the best official heuristic, every exit allowed */
    bool *has_official;    /* [budgets] whether one keeps the budget */
    sweep_point fixed[DEER_MAX_EXITS]; /* always the same exit */
    int draws;                         /* of the bootstrap */
    bool reuses;                       /* some steps use older encodings of cameras */
    int encodings; /* then: the most cameras that a step behind an episode's first encodes */
} sweep;

typedef struct {
    int budgets;
    double from, to; /* GFLOPs; NaN: from the first exit's cost to the deepest's */
    uint64_t seed;
    int threads;
    const uint8_t *views; /* [steps] cameras encoded, DEER_*_VIEW; NULL: both, always */
    /* Called from any thread, one at a time; may be NULL. */
    void (*progress)(void *context, int pieces, int of);
    void *context;
} sweep_spec;

/* p: every exit there is. DEER_INFEASIBLE when the dearest budget is below the first exit's cost.
 */
deer_status sweep_make(const calibration *p, const sweep_spec *spec, sweep *w, deer_error *err);
void sweep_free(sweep *w);

/* Shares of the steps by cameras encoded and exit; views [steps]: the cameras of each step. */
deer_step_mix sweep_mix(const steps *s, const uint8_t *views, const float *tau, int max_exit);

/* The budgets [n] of a sweep of s, ascending; from and to as in sweep_spec. DEER_INFEASIBLE as
 * sweep_make. */
deer_status sweep_budgets(const steps *s, double from, double to, int n, double *budget,
                          deer_error *err);

/* The cheapest budget on the frontier of a deepest exit whose loss is at most `limit`: an index, -1
 * when none is. */
int sweep_cheapest(const sweep *w, int deepest, double limit);

#endif
