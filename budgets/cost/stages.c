/* SPDX-License-Identifier: MIT */
/* stages.c - the work of each stage of a step: arithmetic, bytes moved, products. */
#include "budgets/cost/stages.h"

#include "budgets/cost/dispatches.h"
#include "budgets/cost/weights.h"
#include "runtime/model/modules.h"

static deer_work work(module_sum sum, uint64_t weight_bytes, weight_dtype dtype)
{
    return (deer_work){.macs = sum.macs,
                       .weight_bytes = weight_bytes,
                       .activation_bytes =
                           (uint64_t)weight_forms[dtype].activation * sum.activations,
                       .products = sum.products};
}

/* One part with all its weights. */
static deer_work part_of(const deer_config *c, arch_part part, const arch_load *at,
                         weight_dtype dtype)
{
    return work(module_work(c, part, at), weights_bytes(weights_of(c, part), dtype), dtype);
}

static deer_work together(deer_work a, deer_work b)
{
    return (deer_work){a.macs + b.macs, a.weight_bytes + b.weight_bytes,
                       a.activation_bytes + b.activation_bytes, a.products + b.products,
                       a.dispatches + b.dispatches};
}

deer_load deer_load_of(int tokens, weight_dtype dtype)
{
    return (deer_load){.cameras = ARCH_VIEWS,
                       .tokens = tokens,
                       .vision = dtype,
                       .resampler = dtype,
                       .decoder = dtype,
                       .head = dtype};
}

static void head_stages(const deer_config *c, weight_dtype dtype, deer_stages *s)
{
    arch_load one = {.images = 1, .exits = 1}, first = {.images = 1, .exits = 2};
    uint64_t recurrent = weights_bytes(weights_recurrent(c), dtype);
    uint64_t head = weights_bytes(weights_of(c, ARCH_HEAD), dtype);

    s->head_recurrent = work(module_recurrent(c), recurrent, dtype);
    s->head_first = work(module_work(c, ARCH_HEAD, &first), head - recurrent, dtype);
    s->head_evaluation = work(module_work(c, ARCH_HEAD, &one), head - recurrent, dtype);
}

static void count_dispatches(const deer_config *c, const deer_load *l, deer_stages *s)
{
    s->vision.dispatches = s->vision_one.dispatches = dispatches_vision(c, l->vision);
    s->resampler.dispatches = s->resampler_one.dispatches = dispatches_resampler(c, l->resampler);
    s->layer_with_cross.dispatches = dispatches_layer(c, l->decoder, true);
    s->layer_without_cross.dispatches = dispatches_layer(c, l->decoder, false);
    s->head_recurrent.dispatches = dispatches_step(c, l->head);
    s->head_first.dispatches = dispatches_head(c, l->head, true);
    s->head_evaluation.dispatches = dispatches_head(c, l->head, false);
}

void deer_stages_of_load(const deer_config *c, const deer_load *l, deer_stages *s)
{
    int cut = l->tokens < c->max_text ? l->tokens : c->max_text;
    arch_load all = {.images = l->cameras, .tokens = cut, .exits = 1, .cameras = l->cameras};
    arch_load single = {.images = 1, .tokens = cut, .exits = 1};
    module_sum media = module_media(c, &single);

    s->vision = part_of(c, ARCH_VISION, &all, l->vision);
    s->resampler = part_of(c, ARCH_RESAMPLER, &all, l->resampler);
    s->vision_one = part_of(c, ARCH_VISION, &single, l->vision);
    s->resampler_one = part_of(c, ARCH_RESAMPLER, &single, l->resampler);
    s->media_one = work((module_sum){media.macs / ARCH_VIEWS, media.activations / ARCH_VIEWS, 0}, 0,
                        l->decoder);
    s->layer_without_cross = part_of(c, ARCH_DECODER, &all, l->decoder);
    s->layer_with_cross =
        together(s->layer_without_cross, part_of(c, ARCH_CROSS, &all, l->decoder));
    head_stages(c, l->head, s);
    count_dispatches(c, l, s);
}

void deer_stages_of(const deer_config *c, int tokens, weight_dtype dtype, deer_stages *s)
{
    deer_load load = deer_load_of(tokens, dtype);

    deer_stages_of_load(c, &load, s);
}

const deer_work *deer_stages_layer(const deer_config *c, const deer_stages *s, int i)
{
    return arch_has_cross(c, i) ? &s->layer_with_cross : &s->layer_without_cross;
}
