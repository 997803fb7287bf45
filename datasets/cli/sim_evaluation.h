/* SPDX-License-Identifier: MIT */
/* evaluation.h - closed-loop rollouts of a policy: settings, sums, and how they are printed. */
#ifndef SIM_EVALUATION_H
#define SIM_EVALUATION_H

#include "budgets/cost/cost.h"
#include "datasets/tabletop/chain.h"
#include "datasets/tabletop/rollout.h"
#include "runtime/cli/tool.h"

enum { EVAL_MAX_TASKS = 64, EVAL_MAX_TOKENS = 256 };

/* Sums over rollouts, of one task or of all. */
typedef struct {
    int rollouts, successes;
    long steps, successful_steps;
    long exits[TABLETOP_PHASES][DEER_MAX_EXITS]; /* steps by phase and exit taken */
    double llm, total;                           /* GFLOPs summed over steps */
    double peak_llm, peak_total;
    double seconds; /* inside the policy */
} tally;

typedef struct {
    int tasks[EVAL_MAX_TASKS], n_tasks; /* chosen; with chains, all there are */
    int chains;                         /* rows of TABLETOP_CHAIN instructions, 0: single tasks */
    uint64_t seed;
    tabletop_split split;
    deer_model *model; /* NULL: the expert acts */
    deer_thresholds *thresholds;
    const char *thresholds_file, *random_file; /* as given, NULL: none */
    double random_exits[DEER_MAX_EXITS];       /* exits drawn with these probabilities instead */
    bool random;
    rollout_stage stage;
    deer_cost cost[EVAL_MAX_TOKENS]; /* by number of tokens; tokens == 0: not computed yet */
    tally all, each[EVAL_MAX_TASKS]; /* each: by the simulator's task number */
    int reached[TABLETOP_CHAIN + 1]; /* chains in which exactly so many instructions succeeded */
    tool_progress progress;
} evaluation;

/* Tables for people, JSON for programs, on standard output. */
void evaluation_print(const evaluation *e);
deer_status evaluation_print_json(const evaluation *e, deer_error *err);

#endif
