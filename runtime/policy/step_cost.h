/* SPDX-License-Identifier: MIT */
/* step_cost.h - what a step costs, for a session that has to keep a budget.
 *
 *   step_cost cost;
 *   step_cost_of(&model->config, tokens, &cost);
 *   used = step_cost_gflops(&cost, &kept, &work, false);
 *   step_keep(&kept, &work);
 *
 * The same numbers as budgets/cost/cost.h, which has memory and explanations besides: both count
 * the products of runtime/model/modules.h.
 */
#ifndef RUNTIME_STEP_COST_H
#define RUNTIME_STEP_COST_H

#include <stdint.h>

#include "runtime/deer.h"

/* In multiply-adds. */
typedef struct {
    uint64_t image;                 /* one through vision tower and resampler */
    uint64_t llm[DEER_MAX_EXITS];   /* decoder layers up to each exit, with their cross-attention */
    uint64_t media[DEER_MAX_EXITS]; /* of those, keys and values of one image's media */
    uint64_t head_recurrent;        /* once a step */
    uint64_t head_evaluation;       /* each, without that */
} step_cost;

/* The deepest exit that ran since each camera, static first, was encoded: how far keys and values
 * of its media are kept. */
typedef struct {
    int deepest[2];
} step_kept;

/* What a step computed. */
typedef struct {
    bool fresh[2]; /* cameras that were encoded */
    int exit, head_evaluations;
} step_work;

/* For an instruction of so many text tokens. */
void step_cost_of(const deer_config *config, int tokens, step_cost *cost);

/* GFLOPs of a step: the decoder's alone, or all. */
double step_cost_gflops(const step_cost *cost, const step_kept *kept, const step_work *work,
                        bool llm);

/* Brings up to date what is kept behind a step. */
void step_keep(step_kept *kept, const step_work *work);

#endif
