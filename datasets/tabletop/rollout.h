/* SPDX-License-Identifier: MIT */
/* rollout.h - episodes on the tabletop: recorded demonstrations and judged rollouts of a policy.
 *
 * The caller begins a task in stage->world (tabletop_reset, tabletop_ask or chain_begin); these
 * functions act until it is done. What happens depends on the seeds given there alone, not on the
 * number of workers nor on other episodes.
 */
#ifndef TABLETOP_ROLLOUT_H
#define TABLETOP_ROLLOUT_H

#include "datasets/demos/demos.h"
#include "datasets/tabletop/exits.h"
#include "datasets/tabletop/tabletop.h"

/* A policy that is no session of this process. */
typedef struct {
    void *context;
    deer_status (*begin)(void *context, const char *instruction, const char *task, deer_error *err);
    deer_status (*act)(void *context, const deer_observation *seen, deer_action *action,
                       deer_error *err);
} rollout_policy;

/* A world and a renderer for one process, and the policy that acts there, if one does. */
typedef struct {
    tabletop *world;
    tabletop *scratch; /* where the expert shows how long it takes; made by rollout_judge */
    tabletop_renderer *eye;
    deer_session *session; /* NULL: the expert acts */
    const deer_model *model;
    const rollout_policy *remote; /* NULL, or the policy that acts in the session's place */
    exits_chooser *chooser; /* NULL, or what chooses the session's exits; freed with the stage */

    /* NULL, or thresholds [4] that encode no camera, the static one, the wrist's, both; each camera
     * is encoded at a share of the steps [2], both at the first: drawn at random, or evenly. */
    deer_thresholds *const *by_views;
    const double *encode;
    bool evenly;
    double owed[2];  /* encodings, for that */
    uint64_t random; /* for the other */
    double noise;    /* disturbance of the session's actions, as of recorded ones; 0: none */
    double light;    /* brightness of both cameras' pictures, 0..1; 0: as they are */
    uint8_t static_rgb[TABLETOP_IMAGE * TABLETOP_IMAGE * 3];
    uint8_t gripper_rgb[TABLETOP_IMAGE * TABLETOP_IMAGE * 3];
} rollout_stage;

/* Makes world and renderer, and a session of the model when one is given. Call it in the process
 * (and thread) that will use it. */
deer_status rollout_stage_open(rollout_stage *stage, const deer_model *model,
                               const deer_thresholds *thresholds, deer_error *err);
void rollout_stage_close(rollout_stage *stage);

/* Another session like the stage's own: of another robot that acts there in turns with it. */
deer_status rollout_session(const deer_model *model, const deer_thresholds *thresholds,
                            deer_session **session, deer_error *err);

/* What the stage's session does in the present state: draws both cameras and steps it. */
deer_status rollout_act(rollout_stage *stage, deer_action *action, deer_error *err);

/* The seed of the world for episode `number` of a task under a base seed. */
uint64_t rollout_seed(uint64_t seed, int number);

typedef struct {
    double noise;   /* largest standard deviation of the noise on executed actions; each episode
                       draws its own from {0, half, all} of it */
    int keep_steps; /* record only the first so many steps, 0: until success */
} rollout_recording;

/* Records the task that stage->world was given into `episode` (freed by demo_episode_free). Labels
 * are always the expert's clean action; what is executed is the session's action where the stage
 * has one, else the expert's with noise. *succeeded says whether the task was done within
 * TABLETOP_MAX_STEPS. */
deer_status rollout_record(rollout_stage *stage, uint64_t seed, const rollout_recording *how,
                           demo_episode *episode, bool *succeeded, deer_error *err);

/* What a step computed. */
typedef struct {
    uint8_t exit, heads; /* heads: evaluations of it */
    uint8_t views;       /* cameras encoded: 1 the static one, 2 the wrist's */
} rollout_step;

/* How one rollout of a policy went. Plain data, sent between processes. */
typedef struct {
    int task;
    int number; /* of the episode or row; the caller's to fill */
    bool succeeded;
    int steps;
    int expert_steps;                           /* from the same start; 0: the expert fails there */
    tabletop_harm harm;                         /* the first that was done */
    int tokens;                                 /* of the instruction */
    int exits[TABLETOP_PHASES][DEER_MAX_EXITS]; /* steps by phase and exit taken */
    int first;                                  /* exit of the first step */
    int follows[DEER_MAX_EXITS][DEER_MAX_EXITS]; /* steps by exit before and exit taken */
    rollout_step step[TABLETOP_MAX_STEPS];
    double policy_seconds; /* inside deer_step */
} rollout_outcome;

enum { ROLLOUT_LEAST_ALLOWED = 12 }; /* steps, however fast the expert is */

/* Steps that a rollout may take which is to be done within `factor` times the expert's; 0, or an
 * expert that fails: TABLETOP_MAX_STEPS. */
int rollout_allowed(double factor, int expert_steps);

/* Lets the stage's session, or the expert where it has none, do the task that stage->world was
 * given. strict: judged in time, within so many times the expert's steps, and harm fails it; 0: any
 * success within TABLETOP_MAX_STEPS counts. */
deer_status rollout_judge(rollout_stage *stage, double strict, rollout_outcome *outcome,
                          deer_error *err);

/* Wilson score interval of a proportion at 95%. */
void wilson_interval(int successes, int trials, double *low, double *high);

#endif
