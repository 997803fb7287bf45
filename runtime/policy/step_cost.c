/* SPDX-License-Identifier: MIT */
/* step_cost.c - what a step costs. */
#include "runtime/policy/step_cost.h"

#include "runtime/model/modules.h"

void step_cost_of(const deer_config *c, int tokens, step_cost *cost)
{
    const arch_load at = {.images = 1, .tokens = tokens, .exits = 1};
    uint64_t layer = module_work(c, ARCH_DECODER, &at).macs;
    uint64_t cross = module_work(c, ARCH_CROSS, &at).macs, llm = 0, crossed = 0;

    cost->image = module_work(c, ARCH_VISION, &at).macs + module_work(c, ARCH_RESAMPLER, &at).macs;
    for (int k = 0, i = 0; k < c->exits; k++) {
        for (; i < arch_layers(c, k); i++) {
            llm += layer + (arch_has_cross(c, i) ? cross : 0);
            crossed += arch_has_cross(c, i);
        }
        cost->llm[k] = llm;
        cost->media[k] = crossed * module_media(c, &at).macs / ARCH_VIEWS;
    }
    cost->head_recurrent = module_recurrent(c).macs;
    cost->head_evaluation = module_work(c, ARCH_HEAD, &at).macs;
}

double step_cost_gflops(const step_cost *c, const step_kept *kept, const step_work *w, bool llm)
{
    uint64_t decoder = c->llm[w->exit], images = 0;
    uint64_t head = c->head_recurrent + (uint64_t)w->head_evaluations * c->head_evaluation;

    for (int i = 0; i < ARCH_VIEWS; i++)
        if (w->fresh[i])
            images += c->image;
        else
            decoder -= c->media[w->exit < kept->deepest[i] ? w->exit : kept->deepest[i]];
    return (double)(decoder + (llm ? 0 : images + head)) / 1e9;
}

void step_keep(step_kept *kept, const step_work *w)
{
    for (int i = 0; i < ARCH_VIEWS; i++)
        if (w->fresh[i] || w->exit > kept->deepest[i])
            kept->deepest[i] = w->exit;
}
