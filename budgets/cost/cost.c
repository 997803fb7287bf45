/* SPDX-License-Identifier: MIT */
/* cost.c - what a step costs, from the model's configuration alone. */
#include "budgets/cost/cost.h"

#include <string.h>

#include "budgets/cost/modules.h"
#include "budgets/cost/weights.h"
#include "runtime/deer_replay.h"

enum { VIEWS = 2 }; /* static and wrist camera, each through the tower and the resampler */

weight_dtype deer_dtype_of(const deer_model *model)
{
    weight_dtype dtype = WEIGHT_F32;

    weight_dtype_from_name(deer_model_type(model), &dtype);
    return dtype;
}

/* Decoder layers 0..last. */
static uint64_t llm_macs(const deer_config *c, const deer_cost *cost, int last)
{
    uint64_t macs = 0;

    for (int i = 0; i <= last; i++)
        macs += module_has_cross(c, i) ? cost->layer_with_cross : cost->layer_without_cross;
    return macs;
}

/* What runs before the decoder, the head, and decoder layers 0..last. The token embedding stays in
 * the file: an instruction reads the rows it needs. */
static deer_weights weights_up_to(const deer_config *c, int last)
{
    deer_weights w =
        weights_add(weights_add(weights_vision(c), weights_resampler(c)), weights_head(c));

    for (int i = 0; i <= last; i++)
        w = weights_add(w, weights_layer(c, i));
    return w;
}

uint64_t deer_cost_head(const deer_cost *cost, int n)
{
    if (n <= 0)
        return 0;
    return cost->head_recurrent + (uint64_t)n * (cost->head_evaluation - cost->head_recurrent);
}

uint64_t deer_cost_step(const deer_cost *cost, int exit, int head_evaluations)
{
    const deer_exit_cost *e = &cost->exit[exit];

    return e->vision + e->resampler + e->llm + deer_cost_head(cost, head_evaluations);
}

static void exit_cost(const deer_config *c, const deer_cost *cost, int k, deer_exit_cost *e)
{
    e->vision = VIEWS * cost->vision_per_image;
    e->resampler = VIEWS * cost->resampler_per_image;
    e->llm = llm_macs(c, cost, c->exit_layers[k]);
    e->head_evaluations = k + 2;
    e->head = deer_cost_head(cost, e->head_evaluations);
    e->total = e->vision + e->resampler + e->llm + e->head;
    e->weight_bytes = weights_bytes(weights_up_to(c, c->exit_layers[k]), cost->dtype);
    e->activation_bytes = deer_session_need(c, 1);
    e->memory_bytes = e->weight_bytes + e->activation_bytes;
}

void deer_cost_of(const deer_config *c, int tokens, weight_dtype dtype, deer_cost *cost)
{
    memset(cost, 0, sizeof *cost);
    cost->tokens = tokens < c->max_text ? tokens : c->max_text;
    cost->dtype = dtype;
    cost->vision_per_image = module_vision_macs(c);
    cost->resampler_per_image = module_resampler_macs(c);
    cost->layer_without_cross = module_decoder_macs(c, cost->tokens);
    cost->layer_with_cross = cost->layer_without_cross + module_cross_macs(c, cost->tokens);
    cost->head_evaluation = module_head_macs(c);
    cost->head_recurrent = module_head_recurrent_macs(c);
    cost->exits = c->exits;
    for (int k = 0; k < c->exits; k++)
        exit_cost(c, cost, k, &cost->exit[k]);
}

double deer_gflops(uint64_t macs)
{
    return (double)macs / 1e9;
}

double deer_hardware_flops(uint64_t macs)
{
    return 2 * (double)macs;
}
