/* SPDX-License-Identifier: MIT */
/* question.h - what is asked: a cache, machines, rates and limits, checked by who fills it in. */
#ifndef REPORTS_QUESTION_H
#define REPORTS_QUESTION_H

#include "budgets/cost/stages.h"
#include "budgets/machines/runtimes.h"
#include "datasets/demos/demos.h"
#include "reports/answer/sweep.h"
#include "runtime/base/file_list.h"

enum { QUESTION_RATES = 8, QUESTION_DTYPES = 3, QUESTION_NAMES = 64 };

/* What the buyer minds most, among machines that meet the demands. */
typedef enum { WEIGH_PRICE, WEIGH_WATTS, WEIGH_TIME, WEIGHTS_OF_BUYERS } buyer_weight;

/* What a step is given where it is not as recorded; zero: as it is. Times, energy and memory are of
 * this, losses and GFLOPs stay those of the recorded policy. */
typedef struct {
    int cameras, image_size, tokens;
    bool has_part[STAGE_KINDS]; /* a part of the model has a type of its own */
    weight_dtype part[STAGE_KINDS];
} question_load;

/* Numbers that were not given are NaN, texts NULL. */
typedef struct {
    const char *cache, *model, *model_shape;
    const char *table, *cost_unit; /* another policy's steps in place of a cache, and its unit */
    file_list demos;
    demos_options reading;        /* of demos */
    const char *out, *json, *csv; /* files to write, all different; "-": standard output */
    const char *scope;            /* "total" or "llm": what the budget axis counts */
    bool scope_llm;
    int budgets;     /* points of the sweep, 2..SWEEP_MOST_BUDGETS */
    double from, to; /* GFLOPs, ends of the sweep */
    int rates;
    double rate[QUESTION_RATES]; /* Hz, ascending, all different */
    int dtypes;
    weight_dtype dtype[QUESTION_DTYPES];
    int machines;
    char *machine[QUESTION_NAMES];  /* "all" (that ship), NAME, NAME:MODE or FILE.json */
    bool classes[HARDWARE_CLASSES]; /* of the machines that "all" names */
    runtime_kind runtime;           /* whose times count */
    buyer_weight weight;
    double host_price,
        host_watts; /* USD and W of the computer around a bare card; NaN: as assumed */
    int rollouts;
    char *rollout[QUESTION_NAMES]; /* files of deer-sim eval --json */
    double max_loss, min_success;  /* per step; 0..1 */
    double watts, memory;          /* W on average; bytes for the policy */
    int robots;                    /* that share the computer, their steps one after the other */
    double deadline;               /* seconds a step may take; 0: its period */
    question_load load;
    const char *thresholds; /* a file to judge beside the frontier; its cameras count everywhere */
    double confidence;      /* of the guarantee */
    uint64_t seed;
    int threads;
    void (*progress)(void *context, int pieces, int of); /* as in sweep_spec */
    void *context;
    char *lists; /* what machine and rollout point into */
} question;

#endif
