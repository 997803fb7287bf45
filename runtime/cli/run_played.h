/* SPDX-License-Identifier: MIT */
/* run_played.h - what happened when recorded observations were played through a policy. */
#ifndef RUN_PLAYED_H
#define RUN_PLAYED_H

#include <stdio.h>

#include "budgets/measure/stage_log.h"
#include "budgets/measure/usage.h"
#include "datasets/demos/demo_sizes.h"
#include "runtime/deer_drift.h"

/* One step. Costs in GFLOPs, a multiply-add counted as one. */
typedef struct {
    int exit, layer, head_evaluations;
    double llm, total;
    int age[2];        /* of the static camera's and the wrist camera's encoding, steps */
    double ms;         /* latency of deer_step */
    double delta;      /* criterion at the exit taken, NaN where it was not compared */
    double pose_error; /* root mean square over the 6 pose dimensions to the demonstrated action */
    bool gripper_agrees, late;
} played_step;

typedef struct {
    char name[64], instruction[DEMO_INSTRUCTION];
    int tokens, steps;
    played_step *step;
} played_episode;

typedef struct {
    const deer_config *config;
    const char *weights; /* type of the model */
    const deer_thresholds *thresholds;
    double deadline_ms;  /* of each step; NaN: none */
    bool fixed;          /* no thresholds file: nothing is expected */
    double governed;     /* the average that a governor keeps; NaN: none */
    size_t memory_bytes; /* weights and the session */
    int threads;         /* that it has room for; what is expected is of one */
    int count;
    played_episode *episode; /* [count] */
    bool watched;            /* drift says whether the episodes look like the calibration's */
    deer_drift_report drift;
    const stage_table *stages; /* of all steps; NULL where they were not asked for */
} played;

/* Frees the episodes. */
void played_free(played *p);

/* Summary of some steps. */
typedef struct {
    long steps;
    double llm, total;           /* averages */
    double total_p50, total_p99; /* quantiles over the steps */
    double peak_llm, peak_total; /* of the steps played */
    double ms_p50, ms_p99, ms_most;
    double pose_error;               /* root mean square over all steps */
    double gripper;                  /* fraction of steps that agree */
    double late;                     /* fraction of steps longer than the deadline */
    double fraction[DEER_MAX_EXITS]; /* of steps leaving at each exit */
    double encoded[2];               /* of steps that encode the static, the wrist camera */
} played_summary;

/* Summarises episodes first..first+count-1. */
deer_status played_summarise(const played *p, int first, int count, played_summary *s,
                             deer_error *err);

/* Prints every step of an episode as a table. */
void played_print_steps(const played_episode *e);

/* Prints one line for each episode. */
deer_status played_print_episodes(const played *p, deer_error *err);

/* What was asked for, expected and used, of all episodes. */
deer_status played_usage(const played *p, usage *use, deer_error *err);

/* Prints the totals beside what is expected of the thresholds. */
void played_print_totals(const played *p, const played_summary *s, const usage *use);

/* Prints the stages of the steps, and which exits these took; nothing without stages. */
void played_print_stages(const played *p, const played_summary *s);

/* Prints everything as JSON; the steps only when asked. */
deer_status played_print_json(const played *p, const played_summary *all, const usage *use,
                              bool steps, deer_error *err);

#endif
