/* SPDX-License-Identifier: MIT */
/* calibration.h - a feature cache turned into a calibration problem.
 *
 *   calibration_spec spec = {.criterion = DEER_CRITERION_L2, .loss = LOSS_DEEPEST,
 *                            .gripper_weight = LOSS_GRIPPER_WEIGHT, .max_exit = 5};
 *   calibration      p;
 *   if (calibration_make(cache, &spec, NULL, &p, &err)) ...    // as cached: full history
 *   solve(&p.s, ...);
 *   calibration_free(&p);
 *
 * Costs are GFLOPs of a step as budgets/cost/cost.h counts them; they depend on the instruction's
 * length, so each length is a cost group.
 */
#ifndef CALIB_CALIBRATION_H
#define CALIB_CALIBRATION_H

#include "calib/cache/cache.h"
#include "calib/problem/operating_point.h"
#include "runtime/deer_replay.h"

typedef enum {
    LOSS_DEEPEST, /* deviation from what the deepest exit allowed, with fresh cameras, would do
                     from the same state */
    LOSS_DEMO,    /* deviation from the demonstrated action */
} loss_reference;

/* Loss of a step at an exit: root mean square over the 6 pose components of the difference to the
 * reference, plus this weight when the gripper is commanded the other way. docs/calibration.md has
 * the measurement behind the number. */
#define LOSS_GRIPPER_WEIGHT 0.2

typedef struct {
    deer_criterion criterion;
    const deer_score *score; /* [max_exit] of the combined criterion; NULL: not fitted yet, l2 */
    loss_reference loss;
    double gripper_weight;
    int max_exit;                /* deepest exit allowed: the problem has max_exit + 1 exits */
    bool scope_llm;              /* s.cost counts the decoder alone, else everything */
    const deer_config *costs_of; /* whose steps cost that, with as many exits; NULL: the cache's */
} calibration_spec;

/* Actions of all exits for some steps: rows of a cache under some history. */
typedef struct {
    int64_t n;
    int64_t *row;   /* [n] row of the cache, ascending; NULL: row i is i */
    float *action;  /* [n, 1 + exits, 7], like cache.action; rows of exits behind max_exit unused */
    uint8_t *exit;  /* [n] taken */
    uint8_t *heads; /* [n] evaluations of the head that this took; NULL: not known */
    float *fresh;   /* [n, 7] of the deepest exit, from the same state, with fresh cameras; NULL
                       where the others are so */
} calibration_actions;

void calibration_actions_free(calibration_actions *a);

typedef struct {
    steps s;
    double *llm, *total; /* [groups, exits] GFLOPs; s.cost is a copy of one of them */
    double peak_llm[DEER_MAX_EXITS], peak_total[DEER_MAX_EXITS]; /* of the longest instruction */
    double memory[DEER_MAX_EXITS];                               /* bytes with this deepest exit */
} calibration;

/* actions NULL: those of the cache. */
deer_status calibration_make(const cache *c, const calibration_spec *spec,
                             const calibration_actions *actions, calibration *p, deer_error *err);
void calibration_free(calibration *p);

/* What the exits of one step say. */
typedef struct {
    int64_t i, row; /* of the actions, of the cache */
    int episode;
    float value[DEER_MAX_EXITS]; /* of the criterion */
    float loss[DEER_MAX_EXITS];
    double signal[DEER_MAX_EXITS][DEER_SIGNALS]; /* of the combined criterion */
} calibration_step;

/* Shows every step, in time order; actions as in calibration_make. */
typedef void (*calibration_visit)(void *context, const calibration_step *step);
void calibration_walk(const cache *c, const calibration_spec *spec,
                      const calibration_actions *actions, calibration_visit visit, void *context);

/* What tau [max_exit + 1] does on the steps of p. With p->llm and p->total NULL, s.cost is all
 * there is: it counts as total, and the rest is not known. */
void calibration_describe(const calibration *p, const char *name, const float *tau, int max_exit,
                          operating_point *x);

/* Mean cost of all steps at exit k in a scope, GFLOPs. */
double calibration_fixed_cost(const calibration *p, const double *cost, int k);

#endif
