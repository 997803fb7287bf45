/* SPDX-License-Identifier: MIT */
/* steps.c - the calibration problem: allocation, checks, selection of episodes. */
#include "calib/problem/steps.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

deer_status steps_alloc(int64_t n, int exits, int groups, steps *s, deer_error *err)
{
    *s = (steps){.n = n, .exits = exits, .groups = groups, .episodes = 1};
    if (n < 1 || n >= STEPS_MAX)
        return deer_fail(err, "%lld steps: at least 1 and fewer than 2^31 are needed",
                         (long long)n);
    if (exits < 1 || exits > DEER_MAX_EXITS)
        return deer_fail(err, "%d exits: 1 to %d are possible", exits, DEER_MAX_EXITS);
    if (groups < 1 || groups > STEPS_MAX_GROUPS)
        return deer_fail(err, "%d different costs of a step: 1 to %d are possible", groups,
                         STEPS_MAX_GROUPS);
    s->delta = calloc((size_t)n * (size_t)exits, sizeof *s->delta);
    s->loss = calloc((size_t)n * (size_t)exits, sizeof *s->loss);
    s->cost = calloc((size_t)groups * (size_t)exits, sizeof *s->cost);
    s->group = calloc((size_t)n, sizeof *s->group);
    s->episode = calloc((size_t)n, sizeof *s->episode);
    if (s->delta && s->loss && s->cost && s->group && s->episode)
        return DEER_OK;
    steps_free(s);
    return deer_fail(err, "out of memory for %lld steps of %d exits", (long long)n, exits);
}

void steps_free(steps *s)
{
    free(s->delta);
    free(s->loss);
    free(s->cost);
    free(s->group);
    free(s->episode);
    *s = (steps){0};
}

/* ---------------------------------------------------------------- checks ------------------- */

static deer_status check_values(steps *s, deer_error *err)
{
    for (int64_t i = 0; i < s->n * s->exits; i++) {
        if (!isfinite(s->loss[i]))
            return deer_fail(err, "the loss of step %lld at exit %lld is not finite",
                             (long long)(i % s->n), (long long)(i / s->n));
        if (!isfinite(s->delta[i]))
            s->delta[i] = NAN;
    }
    return DEER_OK;
}

static deer_status check_costs(const steps *s, deer_error *err)
{
    for (int g = 0; g < s->groups; g++) {
        const double *cost = s->cost + g * s->exits;

        for (int k = 0; k < s->exits; k++) {
            if (!isfinite(cost[k]) || cost[k] < 0)
                return deer_fail(err, "the cost of exit %d is %g; it must be 0 or more", k,
                                 cost[k]);
            if (k && cost[k] < cost[k - 1])
                return deer_fail(err, "exit %d costs %g, less than the exit before it (%g)", k,
                                 cost[k], cost[k - 1]);
        }
    }
    return DEER_OK;
}

static deer_status check_rows(const steps *s, deer_error *err)
{
    for (int64_t i = 0; i < s->n; i++) {
        if (s->group[i] >= s->groups)
            return deer_fail(err, "step %lld is of cost group %d of %d", (long long)i, s->group[i],
                             s->groups);
        if (s->episode[i] < 0 || s->episode[i] >= s->episodes)
            return deer_fail(err, "step %lld is of episode %d of %d", (long long)i, s->episode[i],
                             s->episodes);
        if (i && s->episode[i] < s->episode[i - 1])
            return deer_fail(err, "the steps of episode %d do not lie together", s->episode[i]);
    }
    return DEER_OK;
}

deer_status steps_check(steps *s, deer_error *err)
{
    if (check_values(s, err) || check_costs(s, err) || check_rows(s, err))
        return DEER_FAILED;
    return DEER_OK;
}

/* ---------------------------------------------------------------- costs -------------------- */

double steps_peak(const steps *s, int k)
{
    double peak = 0;

    for (int g = 0; g < s->groups; g++)
        peak = fmax(peak, s->cost[g * s->exits + k]);
    return peak;
}

double steps_fixed_cost(const steps *s, int k)
{
    double sum = 0;

    if (s->groups == 1)
        return s->cost[k];
    for (int64_t i = 0; i < s->n; i++)
        sum += s->cost[s->group[i] * s->exits + k];
    return sum / (double)s->n;
}

double steps_cheapest(const steps *s, int max_exit, float *tau)
{
    evaluation e;

    for (int k = 0; k <= max_exit; k++)
        tau[k] = k < max_exit ? FLT_MAX : INFINITY;
    steps_evaluate(s, tau, max_exit, &e);
    return e.cost;
}

/* ---------------------------------------------------------------- selection ---------------- */

static void copy_rows(const steps *s, const bool *chosen, steps *part)
{
    int64_t row = 0;
    int32_t renumbered = -1, last = -1;

    for (int64_t i = 0; i < s->n; i++) {
        if (!chosen[s->episode[i]])
            continue;
        renumbered += s->episode[i] != last;
        last = s->episode[i];
        part->episode[row] = renumbered;
        part->group[row] = s->group[i];
        for (int k = 0; k < s->exits; k++) {
            part->delta[k * part->n + row] = s->delta[k * s->n + i];
            part->loss[k * part->n + row] = s->loss[k * s->n + i];
        }
        row++;
    }
    part->episodes = renumbered + 1;
}

deer_status steps_select(const steps *s, const bool *chosen, steps *part, deer_error *err)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n; i++)
        n += chosen[s->episode[i]];
    if (steps_alloc(n, s->exits, s->groups, part, err))
        return DEER_FAILED;
    memcpy(part->cost, s->cost, (size_t)(s->groups * s->exits) * sizeof *s->cost);
    copy_rows(s, chosen, part);
    return DEER_OK;
}
