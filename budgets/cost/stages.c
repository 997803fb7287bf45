/* SPDX-License-Identifier: MIT */
/* stages.c - the work of each stage of a step: arithmetic, bytes moved, products. */
#include "budgets/cost/stages.h"

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
                       a.activation_bytes + b.activation_bytes, a.products + b.products};
}

void deer_stages_of(const deer_config *c, int tokens, weight_dtype dtype, deer_stages *s)
{
    int cut = tokens < c->max_text ? tokens : c->max_text;
    arch_load one = {.images = ARCH_VIEWS, .tokens = cut, .exits = 1};
    arch_load first = {.images = ARCH_VIEWS, .tokens = cut, .exits = 2};
    arch_load single = {.images = 1, .tokens = cut, .exits = 1};
    module_sum media = module_media(c, &single);
    uint64_t recurrent = weights_bytes(weights_recurrent(c), dtype);
    uint64_t head = weights_bytes(weights_of(c, ARCH_HEAD), dtype);

    s->vision = part_of(c, ARCH_VISION, &one, dtype);
    s->resampler = part_of(c, ARCH_RESAMPLER, &one, dtype);
    s->vision_one = part_of(c, ARCH_VISION, &single, dtype);
    s->resampler_one = part_of(c, ARCH_RESAMPLER, &single, dtype);
    s->media_one =
        work((module_sum){media.macs / ARCH_VIEWS, media.activations / ARCH_VIEWS, 0}, 0, dtype);
    s->layer_without_cross = part_of(c, ARCH_DECODER, &one, dtype);
    s->layer_with_cross = together(s->layer_without_cross, part_of(c, ARCH_CROSS, &one, dtype));
    s->head_recurrent = work(module_recurrent(c), recurrent, dtype);
    s->head_first = work(module_work(c, ARCH_HEAD, &first), head - recurrent, dtype);
    s->head_evaluation = work(module_work(c, ARCH_HEAD, &one), head - recurrent, dtype);
}

const deer_work *deer_stages_layer(const deer_config *c, const deer_stages *s, int i)
{
    return arch_has_cross(c, i) ? &s->layer_with_cross : &s->layer_without_cross;
}
