/* hardware_fit.c - from measured times of stages to a profile's efficiency. */
#include "budgets/hardware_fit.h"

#include <math.h>

double hardware_least_seconds(const deer_hardware *h, deer_dtype dtype, const deer_work *w,
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

static void add_sample(sums *s, const deer_hardware *h, deer_dtype dtype, const stage_sample *m)
{
    double x = hardware_least_seconds(h, dtype, &m->work, m->cached) / m->median;
    double n = m->work.products / m->median;

    if (!(m->median > 0) || !isfinite(x))
        return;
    s->xx += x * x;
    s->xn += x * n;
    s->nn += n * n;
    s->x += x;
    s->n += n;
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

static void fit_stage(deer_hardware *h, deer_dtype dtype, stage_kind kind, const sums *s,
                      const char *source, const char *date)
{
    stage_efficiency *e = &h->efficiency[kind][hardware_dtype_index(dtype)];
    double slowness, overhead, fraction;

    solve(s, &slowness, &overhead);
    fraction = 1 / slowness;
    e->compute = deer_figure_measured(fraction / s->spread_high, fraction,
                                      fmin(fraction / s->spread_low, 1), source, date);
    e->bandwidth = e->compute;
    e->overhead = deer_figure_measured(overhead * s->spread_low, overhead,
                                       overhead * s->spread_high, source, date);
}

void hardware_fit(deer_hardware *h, deer_dtype dtype, const stage_sample *samples, int count,
                  const char *source, const char *date)
{
    for (int kind = 0; kind < STAGE_KINDS; kind++) {
        sums s = {0};

        for (int i = 0; i < count; i++)
            if (samples[i].kind == (stage_kind)kind)
                add_sample(&s, h, dtype, &samples[i]);
        if (s.count)
            fit_stage(h, dtype, (stage_kind)kind, &s, source, date);
    }
}
