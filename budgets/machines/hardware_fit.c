/* SPDX-License-Identifier: MIT */
/* hardware_fit.c - from measured times of stages to a profile's efficiency. */
#include "budgets/machines/hardware_fit.h"

#include <math.h>
#include <string.h>

bool hardware_add(deer_hardware *h, const stage_sample *sample)
{
    if (h->samples == HARDWARE_MAX_SAMPLES)
        return false;
    h->sample[h->samples++] = *sample;
    return true;
}

void hardware_forget(deer_hardware *h, const char *model, weight_dtype dtype)
{
    int kept = 0;

    for (int i = 0; i < h->samples; i++)
        if (h->sample[i].dtype != dtype || strcmp(h->sample[i].model, model))
            h->sample[kept++] = h->sample[i];
    h->samples = kept;
}

double hardware_least_seconds(const deer_hardware *h, weight_dtype dtype, const deer_work *w,
                              bool cached)
{
    bool chip = cached && deer_figure_known(&h->cache_bandwidth);
    double bandwidth = chip ? h->cache_bandwidth.value : h->bandwidth.value;
    double arithmetic = deer_hardware_flops(w->macs) / hardware_peak(h, dtype)->value;
    double traffic = (double)(w->weight_bytes + w->activation_bytes) / bandwidth;

    return arithmetic > traffic || isnan(arithmetic) ? arithmetic : traffic;
}

/* Sums over samples for time = slowness * x + overhead * n, errors relative to the times. */
typedef struct {
    double xx, xn, nn, x, n;        /* sums of (x/t)^2, (x/t)(n/t), (n/t)^2, x/t, n/t */
    double spread_low, spread_high; /* smallest low / median, largest high / median */
    int count;
} sums;

/* How many samples a model has of the same kind and dtype as m. */
static int alike(const deer_hardware *h, const stage_sample *m)
{
    int count = 0;

    for (int i = 0; i < h->samples; i++)
        count += h->sample[i].kind == m->kind && h->sample[i].dtype == m->dtype &&
                 !strcmp(h->sample[i].model, m->model);
    return count;
}

static void add_sample(sums *s, const deer_hardware *h, const stage_sample *m)
{
    double x = hardware_least_seconds(h, m->dtype, &m->work, m->cached) / m->median;
    double n = m->work.products / m->median, weight = 1.0 / alike(h, m);

    if (!(m->median > 0) || !isfinite(x))
        return;
    s->xx += weight * x * x;
    s->xn += weight * x * n;
    s->nn += weight * n * n;
    s->x += weight * x;
    s->n += weight * n;
    s->spread_low = fmin(s->count ? s->spread_low : 1, m->low / m->median);
    s->spread_high = fmax(s->count ? s->spread_high : 1, m->high / m->median);
    s->count++;
}

/* Least squares with slowness >= 1 and overhead >= 0. */
static void solve(const sums *s, double *slowness, double *overhead)
{
    double determinant = s->xx * s->nn - s->xn * s->xn;

    *slowness = (s->x * s->nn - s->n * s->xn) / determinant;
    *overhead = (s->n * s->xx - s->x * s->xn) / determinant;
    if (!(determinant > 1e-9 * s->xx * s->nn) || *overhead < 0) { /* one size, or no overhead */
        *overhead = 0;
        *slowness = fmax(s->x / s->xx, 1);
    } else if (*slowness < 1) { /* faster than the limits that were measured */
        *slowness = 1;
        *overhead = fmax((s->n - s->xn) / s->nn, 0);
    }
}

static void fit_stage(deer_hardware *h, weight_dtype dtype, stage_kind kind, const sums *s,
                      const char *source, const char *date)
{
    stage_efficiency *e = &h->efficiency[kind][dtype];
    double slowness, overhead, fraction;

    solve(s, &slowness, &overhead);
    fraction = 1 / slowness;
    e->compute = deer_figure_measured(fraction / s->spread_high, fraction,
                                      fmin(fraction / s->spread_low, 1), source, date);
    e->bandwidth = e->compute;
    e->overhead = deer_figure_measured(overhead * s->spread_low, overhead,
                                       overhead * s->spread_high, source, date);
}

void hardware_fit(deer_hardware *h, const char *source, const char *date)
{
    for (int i = 0; i < STAGE_KINDS * WEIGHT_DTYPES; i++) {
        stage_kind kind = (stage_kind)(i / WEIGHT_DTYPES);
        weight_dtype dtype = (weight_dtype)(i % WEIGHT_DTYPES);
        sums s = {0};

        for (int j = 0; j < h->samples; j++)
            if (h->sample[j].kind == kind && h->sample[j].dtype == dtype)
                add_sample(&s, h, &h->sample[j]);
        if (s.count)
            fit_stage(h, dtype, kind, &s, source, date);
    }
}
