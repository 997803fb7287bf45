/* SPDX-License-Identifier: MIT */
/* sim_evaluation.h - closed-loop rollouts of a policy: settings, sums, and how they are printed. */
#ifndef SIM_EVALUATION_H
#define SIM_EVALUATION_H

#include "budgets/cost/cost.h"
#include "budgets/measure/usage.h"
#include "datasets/tabletop/chain.h"
#include "datasets/tabletop/rollout.h"
#include "runtime/cli/tool_policy.h"

enum { EVAL_MAX_TASKS = 64, EVAL_MAX_TOKENS = 256 };

/* A governor keeps an average over many rollouts, so these cannot be independent. So many robots
 * take them in turns, each with its own account: what happens does not depend on how many of them a
 * process serves. */
enum { EVAL_ROBOTS = 4 };

/* Sums over rollouts, of one task or of all. */
typedef struct {
    int rollouts, successes;
    long steps, successful_steps;
    long exits[TABLETOP_PHASES][DEER_MAX_EXITS];  /* steps by phase and exit taken */
    long first[DEER_MAX_EXITS];                   /* rollouts by the exit of their first step */
    long follows[DEER_MAX_EXITS][DEER_MAX_EXITS]; /* steps by exit before and exit taken */
    double llm, total;                            /* GFLOPs summed over steps */
    double peak_llm, peak_total; /* of steps behind an episode's first where cameras have rules */
    double first_total;          /* the most of a first one */
    long encoded[2];             /* steps that encoded the static, the wrist camera */
    double seconds;              /* inside the policy */
} tally;

/* What is kept of each rollout. */
typedef struct {
    int task, number; /* of the episode, or of the row */
    int steps, expert_steps;
    bool succeeded;
    tabletop_harm harm;
    double llm, total; /* GFLOPs of all its steps */
} eval_outcome;

typedef struct {
    int tasks[EVAL_MAX_TASKS], n_tasks; /* chosen; with chains, all there are */
    int chains;                         /* rows of TABLETOP_CHAIN instructions, 0: single tasks */
    uint64_t seed;
    tabletop_split split;
    double strict;     /* judged within so many times the expert's steps; 0: not in time */
    deer_model *model; /* NULL: the expert acts */
    deer_thresholds *thresholds;
    const char *thresholds_file, *exits, *cameras_file; /* as given, NULL: none */
    const char *remote, *key;     /* address of a policy server, and its key; NULL: none */
    exits_control control;        /* of exits */
    double encode[2];             /* cameras encoded at these shares of the steps instead, */
    bool evenly;                  /* at random or evenly spaced */
    deer_thresholds *by_views[4]; /* for that; NULL: as the thresholds say */
    const policy_choice *policy;
    double noise, light; /* of the world: see rollout_stage */
    rollout_stage stage;
    deer_session *robot[EVAL_ROBOTS]; /* of a governed policy; the first is the stage's */
    deer_cost cost[EVAL_MAX_TOKENS];  /* by number of tokens; tokens == 0: not computed yet */
    tally all, each[EVAL_MAX_TASKS];  /* each: by the simulator's task number */
    int reached[TABLETOP_CHAIN + 1];  /* chains in which exactly so many instructions succeeded */
    eval_outcome *outcome;            /* [n_outcomes] in the order of their numbers */
    double *room;                     /* as many, to sort in */
    int n_outcomes;
    tool_progress progress;
} evaluation;

/* Whether cameras may go without being encoded. */
bool evaluation_has_rules(const evaluation *e);

/* Success in time, against the time allowed: factors of the expert's steps. */
extern const double eval_factors[];
enum { EVAL_FACTORS = 9 };

/* How many of the factors the evaluation can say it for; 0 for rows, whose instructions follow each
 * other's outcome. */
int evaluation_factors(const evaluation *e);
double evaluation_in_time(const evaluation *e, double factor);

/* Steps of the successes over the expert's: their median and 90th percentile; NAN without any. */
void evaluation_times(const evaluation *e, double *median, double *p90);

/* What was asked for, expected and used; without thresholds nothing was asked for. */
deer_status evaluation_usage(const evaluation *e, usage *use, deer_error *err);

/* Tables for people, JSON for programs, on standard output. */
void evaluation_print(const evaluation *e, const usage *use);
deer_status evaluation_print_json(const evaluation *e, const usage *use, deer_error *err);

#endif
