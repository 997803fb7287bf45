/* SPDX-License-Identifier: MIT */
/* rules.h - thresholds with a rule of more than a step (deer_exit_rule): what they do on recorded
 * episodes, and which rule to take.
 *
 *   rule_verdict v;
 *   rule_judge(cache, model, &problem, &thresholds, NULL, threads, &v, &err);
 *   printf("%g GFLOPs a step, %g lost\n", v.total, v.loss[EPISODE_LOSS_CHOSEN]);
 *
 *   rule_choice choice;
 *   rules_choose(cache, model, &how, "auto", &choice, &err);     // choice.verdict[choice.chosen]
 */
#ifndef CALIB_RULES_H
#define CALIB_RULES_H

#include "calib/pipeline/onpolicy.h"
#include "calib/problem/episode_loss.h"

enum { RULE_KINDS = DEER_RULE_SCHEDULE + 1 };

/* Thresholds and the rule that goes with them. */
typedef struct {
    float tau[DEER_MAX_EXITS];
    deer_exit_rule rule;
} rule_candidate;

typedef struct {
    int episodes;
    int64_t steps;
    double llm, total; /* GFLOPs of a step, as it really runs */
    double fraction[DEER_MAX_EXITS];
    double share[3][DEER_MAX_EXITS]; /* the same by how many cameras are encoded */
    double loss[EPISODE_LOSSES];     /* means over the episodes */
} rule_verdict;

/* Replays the head with the exits that the candidate takes itself, in some [episodes] (NULL: all).
 */
deer_status rule_judge(cache *c, const deer_model *model, const calibration_spec *problem,
                       const rule_candidate *x, const bool *some, int threads, rule_verdict *v,
                       deer_error *err);

typedef struct {
    int chosen;                        /* kind of rule; DEER_RULE_NONE: plain thresholds */
    bool found[RULE_KINDS];            /* whether one keeps the budget */
    rule_candidate best[RULE_KINDS];   /* found on every other episode, */
    rule_verdict held_out[RULE_KINDS]; /* and judged on those between */
    rule_verdict all;                  /* the chosen one, on all */
    int tried;                         /* candidates */
} rule_choice;

/* Finds the best of each kind at how's budget, by the episode loss, on every other episode, and
 * takes the one that loses least on the rest. rule: "auto", or the name of a kind ("delta": plain
 * thresholds), which alone is then tried beside plain thresholds, and taken. DEER_INFEASIBLE where
 * none keeps the budget. */
deer_status rules_choose(cache *c, const deer_model *model, const onpolicy_spec *how,
                         const char *rule, rule_choice *choice, deer_error *err);

/* Whether that is a rule's name. */
bool rules_named(const char *rule);

/* "delta", "refresh", .. */
const char *rules_name(int kind);

/* A rule in a few words: "refresh, deep 2, steps 3". */
void rules_describe(const deer_exit_rule *rule, char *text, size_t size);

#endif
