/* SPDX-License-Identifier: MIT */
/* hardware_assume.c - what we assume of a machine that nobody measured, by its kind.
 *
 * Set from principle before any comparison with published measurements; docs/hardware.md has the
 * reasons, and how far off they are. */
#include <math.h>
#include <string.h>

#include "budgets/machines/hardware_internal.h"

typedef struct {
    double low, value, high;
} span;

/* Fractions of peak arithmetic and of bandwidth by stage; seconds a product and a step. */
typedef struct {
    span f32[STAGE_KINDS];  /* compute: plain arithmetic units */
    span half[STAGE_KINDS]; /* compute of bf16 and q8: tensor cores where there are any */
    span bandwidth;         /* in every stage and type */
    span overhead;          /* of a product, in every stage and type */
    span step_overhead;
    span load; /* fraction of a mode's watts during a step */
    span idle; /* fraction of the first mode's watts between steps */
} assumption;

/* In the order vision, resampler, layer, head. */
static const assumption assumptions[HARDWARE_KINDS] = {
    [HARDWARE_CPU] =
        {
            .f32 = {{0.5, 0.7, 0.85}, {0.4, 0.6, 0.8}, {0.3, 0.5, 0.7}, {0.1, 0.25, 0.5}},
            .half = {{0.4, 0.6, 0.8}, {0.3, 0.5, 0.7}, {0.2, 0.4, 0.6}, {0.1, 0.2, 0.4}},
            .bandwidth = {0.5, 0.7, 0.85},
            .overhead = {2e-6, 5e-6, 15e-6},
            .step_overhead = {300e-6, 1e-3, 3e-3},
            .load = {0.6, 0.8, 1},
            .idle = {0.15, 0.3, 0.5},
        },
    [HARDWARE_EMBEDDED] =
        {
            .f32 = {{0.5, 0.7, 0.85}, {0.4, 0.6, 0.8}, {0.25, 0.4, 0.6}, {0.1, 0.2, 0.4}},
            .half = {{0.3, 0.5, 0.7}, {0.2, 0.35, 0.55}, {0.15, 0.3, 0.6}, {0.02, 0.05, 0.1}},
            .bandwidth = {0.5, 0.7, 0.85},
            .overhead = {4e-6, 10e-6, 25e-6},
            .step_overhead = {500e-6, 1.5e-3, 5e-3},
            .load = {0.5, 0.75, 1},
            .idle = {0.1, 0.2, 0.35},
        },
    [HARDWARE_GPU] =
        {
            .f32 = {{0.45, 0.65, 0.85}, {0.25, 0.4, 0.6}, {0.15, 0.3, 0.5}, {0.05, 0.1, 0.2}},
            .half = {{0.2, 0.4, 0.6}, {0.1, 0.2, 0.4}, {0.1, 0.2, 0.4}, {0.005, 0.02, 0.05}},
            .bandwidth = {0.45, 0.65, 0.85},
            .overhead = {2e-6, 5e-6, 12e-6},
            .step_overhead = {200e-6, 500e-6, 2e-3},
            .load = {0.35, 0.6, 1},
            .idle = {0.04, 0.08, 0.15},
        },
};

/* Of deer's own kernels on GPUs, which nobody has measured: plain tiles of 64 by 64, no matrix
 * units, a dispatch for each norm and product. */
typedef struct {
    span dispatch, submission; /* seconds */
} start;

static const start starts[HARDWARE_KINDS] = {
    [HARDWARE_EMBEDDED] = {{2e-6, 5e-6, 15e-6}, {20e-6, 60e-6, 200e-6}},
    [HARDWARE_GPU] = {{0.8e-6, 2e-6, 6e-6}, {10e-6, 30e-6, 100e-6}},
};
static const span own_compute[STAGE_KINDS] = {
    {0.05, 0.2, 0.5}, {0.04, 0.15, 0.4}, {0.03, 0.1, 0.35}, {0.01, 0.05, 0.15}};
static const span own_bandwidth = {0.2, 0.45, 0.75};

static const span whole = {1, 1, 1};

/* Fills a figure that the profile leaves out: unit times the span. */
static void fill(deer_figure *f, const span *s, double unit, const char *source)
{
    if (deer_figure_known(f) || !isfinite(unit))
        return;
    f->low = s->low * unit;
    f->value = s->value * unit;
    f->high = s->high * unit;
    f->assumed = true;
    strcpy(f->source, source);
}

static void assume_own_kernels(deer_hardware *h)
{
    static const char source[] = "assumption for deer's kernels on GPUs";
    const deer_figure unknown = {.low = NAN, .value = NAN, .high = NAN};

    h->own_bandwidth = unknown;
    for (int s = 0; s < STAGE_KINDS; s++)
        h->own_compute[s] = unknown;
    if (h->kind == HARDWARE_CPU)
        return;
    for (int s = 0; s < STAGE_KINDS; s++)
        fill(&h->own_compute[s], &own_compute[s], 1, source);
    fill(&h->own_bandwidth, &own_bandwidth, 1, source);
    fill(&h->dispatch, &starts[h->kind].dispatch, 1, source);
    fill(&h->submission, &starts[h->kind].submission, 1, source);
}

void hardware_assume(deer_hardware *h)
{
    static const char *const sources[HARDWARE_KINDS] = {
        "assumption for processors", "assumption for embedded GPUs", "assumption for GPU cards"};
    const assumption *a = &assumptions[h->kind];
    const char *source = sources[h->kind];

    for (int s = 0; s < STAGE_KINDS; s++)
        for (int d = 0; d < WEIGHT_DTYPES; d++) {
            stage_efficiency *e = &h->efficiency[s][d];
            fill(&e->compute, d ? &a->half[s] : &a->f32[s], 1, source);
            fill(&e->bandwidth, &a->bandwidth, 1, source);
            fill(&e->overhead, &a->overhead, 1, source);
        }
    fill(&h->step_overhead, &a->step_overhead, 1, source);
    fill(&h->load, &a->load, 1, source);
    fill(&h->idle_watts, &a->idle, h->mode[0].watts.value, source);
    assume_own_kernels(h);
    for (int i = 0; i < h->modes; i++) {
        fill(&h->mode[i].compute, &whole, 1, i ? "as in the first mode" : "the profile's figures");
        fill(&h->mode[i].bandwidth, &whole, 1,
             i ? "as in the first mode" : "the profile's figures");
    }
}
