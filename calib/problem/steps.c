/* SPDX-License-Identifier: MIT */
/* steps.c - the calibration problem: allocation, checks, selection of episodes. */
#include "calib/problem/steps.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"

/* n of all steps. */
static deer_status allocate(int64_t n, int64_t all, int exits, int groups, steps *s,
                            deer_error *err)
{
    size_t rows = (size_t)n;

    *s = (steps){.n = n, .exits = exits, .groups = groups, .episodes = 1, .all = all};
    if (all < 1 || all >= STEPS_MAX)
        return deer_fail(err, "%lld steps: at least 1 and fewer than 2^31 are needed",
                         (long long)all);
    if (exits < 1 || exits > DEER_MAX_EXITS)
        return deer_fail(err, "%d exits: 1 to %d are possible", exits, DEER_MAX_EXITS);
    if (groups < 1 || groups > STEPS_MAX_GROUPS)
        return deer_fail(err, "%d different costs of a step: 1 to %d are possible", groups,
                         STEPS_MAX_GROUPS);
    s->delta = calloc(rows * (size_t)exits + 1, sizeof *s->delta);
    s->loss = calloc(rows * (size_t)exits + 1, sizeof *s->loss);
    s->cost = calloc((size_t)groups * (size_t)exits, sizeof *s->cost);
    s->group = calloc(rows + 1, sizeof *s->group);
    s->episode = calloc(rows + 1, sizeof *s->episode);
    if (s->delta && s->loss && s->cost && s->group && s->episode)
        return DEER_OK;
    steps_free(s);
    return deer_fail(err, "out of memory for %lld steps of %d exits", (long long)n, exits);
}

deer_status steps_alloc(int64_t n, int exits, int groups, steps *s, deer_error *err)
{
    return allocate(n, n, exits, groups, s, err);
}

deer_status steps_alloc_spread(int64_t n, int exits, int groups, steps *s, deer_error *err)
{
    int64_t all = n;
    deer_status status;

    cluster_count(&all, 1);
    status = allocate(n, all, exits, groups, s, err);
    s->spread = cluster_size() > 1;
    s->first = cluster_before(n);
    return status;
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

/* A sum of n losses, and what searches make of it, stays below 2^2 n times the largest; a double
 * has 53 bits. */
static double exact_unit(float largest, int64_t n)
{
    int size, bits;

    frexpf(largest, &size);
    frexp((double)n, &bits);
    return ldexp(1, size + bits + 2 - 52);
}

static float largest_loss(const steps *s)
{
    float largest = 0;

    for (int64_t i = 0; i < s->n * s->exits; i++)
        largest = fmaxf(largest, fabsf(s->loss[i]));
    if (s->spread)
        cluster_most(&largest, 1);
    return largest;
}

/* Whether most losses are a few units or less, as beside one that stands for "never". */
static bool most_are_lost(const steps *s, double unit)
{
    enum { FEW = 16 };
    int64_t few = 0, all = 0;

    for (int64_t i = 0; i < s->n * s->exits; i++) {
        all += s->loss[i] != 0;
        few += s->loss[i] != 0 && fabs((double)s->loss[i]) < FEW * unit;
    }
    if (s->spread) {
        cluster_count(&few, 1);
        cluster_count(&all, 1);
    }
    return 2 * few > all;
}

/* To the nearest multiple, but nothing that loses becomes nothing. */
static void round_losses(steps *s, double unit)
{
    double shift = 3 * ldexp(unit, 51);

    for (int64_t i = 0; i < s->n * s->exits; i++) {
        double loss = (double)s->loss[i], rounded = loss + shift - shift;

        s->loss[i] = (float)(rounded != 0 || loss == 0 ? rounded : copysign(unit, loss));
    }
}

deer_status steps_check(steps *s, deer_error *err)
{
    float largest;
    double unit;

    if (check_values(s, err) || check_costs(s, err) || check_rows(s, err))
        return DEER_FAILED;
    largest = largest_loss(s);
    unit = exact_unit(largest, s->all);
    if (!most_are_lost(s, unit))
        round_losses(s, unit);
    else if (s->spread)
        return deer_fail(err,
                         "most losses are too small beside the largest one, %g, for sums that do "
                         "not depend on the ranks: run without mpirun, or give exits that must not "
                         "be taken a delta that is no number",
                         (double)largest);
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
    return steps_cost_at(s, s->cost, k);
}

bool steps_have_gaps(const steps *s, int max_exit)
{
    int64_t gaps = 0;

    for (int64_t i = 0; i < max_exit * s->n; i++)
        gaps += isnan(s->delta[i]);
    if (s->spread)
        cluster_count(&gaps, 1);
    return gaps > 0;
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

static int count_episodes(const steps *s, const bool *chosen)
{
    int32_t last = -1;
    int episodes = 0;

    for (int64_t i = 0; i < s->n; i++)
        if (chosen[s->episode[i]]) {
            episodes += s->episode[i] != last;
            last = s->episode[i];
        }
    return episodes;
}

static void copy_rows(const steps *s, const bool *chosen, steps *part)
{
    int64_t row = 0, episodes = count_episodes(s, chosen);
    int32_t renumbered = -1, last = -1;

    if (s->spread) {
        renumbered += (int32_t)cluster_before(episodes);
        cluster_count(&episodes, 1);
    }
    part->episodes = (int)episodes;
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
}

deer_status steps_select(const steps *s, const bool *chosen, steps *part, deer_error *err)
{
    int64_t n = 0;

    for (int64_t i = 0; i < s->n; i++)
        n += chosen[s->episode[i]];
    if (s->spread ? steps_alloc_spread(n, s->exits, s->groups, part, err)
                  : steps_alloc(n, s->exits, s->groups, part, err))
        return DEER_FAILED;
    memcpy(part->cost, s->cost, (size_t)(s->groups * s->exits) * sizeof *s->cost);
    copy_rows(s, chosen, part);
    return DEER_OK;
}

/* ---------------------------------------------------------------- samples ------------------ */

/* What of a column of this rank's steps is in a sample. */
typedef struct {
    const steps *s;
    int64_t stride, from, n; /* this rank's places from .. in steps of stride, n of them */
    char *taken;             /* [n], of any column */
} sampling;

/* Elements of `size` bytes, at most 4; to has room for everybody's. */
static void take_column(const sampling *a, const void *column, size_t size, void *to)
{
    for (int64_t i = 0; i < a->n; i++)
        memcpy(a->taken + (size_t)i * size,
               (const char *)column + (size_t)(a->from + i * a->stride) * size, size);
    if (a->s->spread)
        cluster_gather(a->taken, (size_t)a->n * size, to);
    else
        memcpy(to, a->taken, (size_t)a->n * size);
}

deer_status steps_sample(const steps *s, int64_t stride, steps *sample, deer_error *err)
{
    int64_t from = (stride - s->first % stride) % stride;
    sampling a = {s, stride, from, s->n > from ? (s->n - from + stride - 1) / stride : 0, NULL};

    if (steps_alloc((s->all + stride - 1) / stride, s->exits, s->groups, sample, err))
        return DEER_FAILED;
    a.taken = malloc((size_t)a.n * 4 + 1);
    if (!a.taken) {
        steps_free(sample);
        return deer_fail(err, "out of memory for %lld steps", (long long)a.n);
    }
    for (int k = 0; k < s->exits; k++) {
        take_column(&a, s->delta + k * s->n, sizeof *s->delta, sample->delta + k * sample->n);
        take_column(&a, s->loss + k * s->n, sizeof *s->loss, sample->loss + k * sample->n);
    }
    take_column(&a, s->group, sizeof *s->group, sample->group);
    take_column(&a, s->episode, sizeof *s->episode, sample->episode);
    memcpy(sample->cost, s->cost, (size_t)(s->groups * s->exits) * sizeof *s->cost);
    sample->episodes = s->episodes;
    free(a.taken);
    return DEER_OK;
}
