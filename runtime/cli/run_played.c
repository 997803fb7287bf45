/* SPDX-License-Identifier: MIT */
/* run_played.c - summaries of played episodes. */
#include "runtime/cli/run_played.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/measure/statistics.h"

void played_free(played *p)
{
    for (int i = 0; i < p->count; i++)
        free(p->episode[i].step);
    free(p->episode);
    p->episode = NULL;
    p->count = 0;
}

deer_status played_usage(const played *p, usage *use, deer_error *err)
{
    size_t n = (size_t)p->count;
    double *sum = calloc(2 * n, sizeof *sum), *steps = sum + n;
    bool llm = deer_thresholds_budget_is_llm(p->thresholds);

    if (!sum)
        return deer_fail(err, "out of memory for %d episodes", p->count);
    for (size_t i = 0; i < n; i++) {
        const played_episode *e = &p->episode[i];
        for (int t = 0; t < e->steps; t++)
            sum[i] += llm ? e->step[t].llm : e->step[t].total;
        steps[i] = e->steps;
    }
    *use = usage_of(p->thresholds, p->governed, sum, steps, n);
    free(sum);
    return DEER_OK;
}

static void add_step(played_summary *s, const played_step *step)
{
    s->llm += step->llm;
    s->total += step->total;
    s->peak_llm = fmax(s->peak_llm, step->llm);
    s->peak_total = fmax(s->peak_total, step->total);
    s->pose_error += step->pose_error * step->pose_error;
    s->gripper += step->gripper_agrees;
    s->late += step->late;
    s->fraction[step->exit]++;
    for (int view = 0; view < 2; view++)
        s->encoded[view] += step->age[view] == 0;
}

static void divide_by_steps(played_summary *s)
{
    double n = (double)s->steps;

    s->llm /= n;
    s->total /= n;
    s->pose_error = sqrt(s->pose_error / n);
    s->gripper /= n;
    s->late /= n;
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        s->fraction[k] /= n;
    for (int view = 0; view < 2; view++)
        s->encoded[view] /= n;
}

deer_status played_summarise(const played *p, int first, int count, played_summary *s,
                             deer_error *err)
{
    double *total, *ms;
    size_t n = 0;

    memset(s, 0, sizeof *s);
    for (int i = first; i < first + count; i++)
        s->steps += p->episode[i].steps;
    total = malloc(2 * (size_t)s->steps * sizeof *total);
    if (!total)
        return deer_fail(err, "out of memory for %ld steps", s->steps);
    ms = total + s->steps;
    for (int i = first; i < first + count; i++)
        for (int t = 0; t < p->episode[i].steps; t++, n++) {
            const played_step *step = &p->episode[i].step[t];
            add_step(s, step);
            total[n] = step->total;
            ms[n] = step->ms;
        }
    divide_by_steps(s);
    sort_numbers(total, n);
    sort_numbers(ms, n);
    s->total_p50 = quantile(total, n, 0.5);
    s->total_p99 = quantile(total, n, 0.99);
    s->ms_p50 = quantile(ms, n, 0.5);
    s->ms_p99 = quantile(ms, n, 0.99);
    s->ms_most = ms[n - 1];
    free(total);
    return DEER_OK;
}
