/* SPDX-License-Identifier: MIT */
/* cost.c - what a step costs, from the model's configuration alone. */
#include "budgets/cost/cost.h"

#include <string.h>

#include "budgets/cost/weights.h"
#include "runtime/deer_replay.h"
#include "runtime/model/modules.h"

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
        macs += arch_has_cross(c, i) ? cost->layer_with_cross : cost->layer_without_cross;
    return macs;
}

/* Of which the weights up to an exit are made. The token embedding stays in the file: an
 * instruction reads the rows it needs. */
typedef struct {
    uint64_t around, layer_with_cross, layer_without_cross; /* bytes */
} weight_sums;

static weight_sums sum_weights(const deer_config *c, weight_dtype dtype)
{
    static const arch_part around[] = {ARCH_VISION, ARCH_RESAMPLER, ARCH_HEAD};
    weight_sums w = {.layer_without_cross = weights_bytes(weights_of(c, ARCH_DECODER), dtype)};

    for (int i = 0; i < 3; i++)
        w.around += weights_bytes(weights_of(c, around[i]), dtype);
    w.layer_with_cross = w.layer_without_cross + weights_bytes(weights_of(c, ARCH_CROSS), dtype);
    return w;
}

static uint64_t weights_up_to(const deer_config *c, const weight_sums *w, int last)
{
    uint64_t bytes = w->around;

    for (int i = 0; i <= last; i++)
        bytes += arch_has_cross(c, i) ? w->layer_with_cross : w->layer_without_cross;
    return bytes;
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

deer_cost_saved deer_cost_reuse(const deer_cost *cost, unsigned views, int exit,
                                deer_cost_kept *kept)
{
    deer_cost_saved s = {0};

    for (int i = 0; i < ARCH_VIEWS; i++) {
        int *deepest = &kept->deepest[i];
        if (views >> i & 1) {
            *deepest = exit;
            continue;
        }
        s.vision += cost->vision_per_image;
        s.resampler += cost->resampler_per_image;
        s.llm += cost->exit[exit < *deepest ? exit : *deepest].media_per_image;
        *deepest = exit > *deepest ? exit : *deepest;
    }
    s.total = s.vision + s.resampler + s.llm;
    return s;
}

static void exit_cost(const deer_config *c, const deer_cost *cost, const weight_sums *w, int k,
                      uint64_t session, deer_exit_cost *e)
{
    e->vision = ARCH_VIEWS * cost->vision_per_image;
    e->resampler = ARCH_VIEWS * cost->resampler_per_image;
    e->llm = llm_macs(c, cost, c->exit_layers[k]);
    e->media_per_image =
        (uint64_t)((c->exit_layers[k] + 1) / c->cross_every) * cost->media_per_image;
    e->head_evaluations = k + 2;
    e->head = deer_cost_head(cost, e->head_evaluations);
    e->total = e->vision + e->resampler + e->llm + e->head;
    e->weight_bytes = weights_up_to(c, w, c->exit_layers[k]);
    e->activation_bytes = session;
    e->memory_bytes = e->weight_bytes + e->activation_bytes;
}

void deer_cost_of(const deer_config *c, int tokens, weight_dtype dtype, deer_cost *cost)
{
    arch_load at = {.images = 1, .exits = 1};
    weight_sums w = sum_weights(c, dtype);
    uint64_t session = deer_session_need(c, 1);

    memset(cost, 0, sizeof *cost);
    cost->tokens = tokens < c->max_text ? tokens : c->max_text;
    cost->dtype = dtype;
    at.tokens = cost->tokens;
    cost->vision_per_image = module_work(c, ARCH_VISION, &at).macs;
    cost->resampler_per_image = module_work(c, ARCH_RESAMPLER, &at).macs;
    cost->layer_without_cross = module_work(c, ARCH_DECODER, &at).macs;
    cost->layer_with_cross = cost->layer_without_cross + module_work(c, ARCH_CROSS, &at).macs;
    cost->media_per_image = module_media(c, &at).macs / ARCH_VIEWS;
    cost->head_recurrent = module_recurrent(c).macs;
    cost->head_evaluation = cost->head_recurrent + module_work(c, ARCH_HEAD, &at).macs;
    cost->exits = c->exits;
    for (int k = 0; k < c->exits; k++)
        exit_cost(c, cost, &w, k, session, &cost->exit[k]);
}

double deer_gflops(uint64_t macs)
{
    return (double)macs / 1e9;
}

double deer_hardware_flops(uint64_t macs)
{
    return 2 * (double)macs;
}
