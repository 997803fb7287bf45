/* SPDX-License-Identifier: MIT */
/* coverage.c - promises made many times, and judged on other episodes. */
#include "calib/guarantee/coverage.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/solve/frontier.h"

/* ---------------------------------------------------------------- one promise -------------- */

static deer_status judge(void *context, const float *tau, episode_sums *sums, deer_error *err)
{
    (void)err;
    guarantee_sum(context, tau, WORLD_EXITS - 1, sums);
    return DEER_OK;
}

/* Thresholds on the part for solving, for the limit as it is. */
static deer_status solve_part(const steps *part, const coverage_spec *spec, solution *x,
                              deer_error *err)
{
    solve_spec how = {
        .budget = spec->budget, .max_exit = WORLD_EXITS - 1, .method = SOLVE_COORDINATE};

    if (!isfinite(spec->budget) &&
        frontier_budget_for_loss(part, &how, spec->deviation, &how.budget, err))
        how.budget = INFINITY;
    return solve(part, &how, x, err);
}

static double *spread_mix(const coverage_spec *spec, const world_sample *d)
{
    double *mix = malloc((size_t)d->s.episodes * sizeof *mix);

    for (int e = 0; e < d->s.episodes && mix; e++)
        mix[e] = spec->mix[d->task[e]];
    return mix;
}

deer_status coverage_promise(const coverage_spec *spec, world_sample *d, uint64_t seed,
                             guarantee *g, deer_error *err)
{
    double *mix = spec->mix ? spread_mix(spec, d) : NULL;
    guarantee_spec how = {.confidence = spec->confidence,
                          .bound = spec->bound,
                          .budget = spec->budget,
                          .deviation = spec->deviation,
                          .largest_loss = WORLD_LARGEST_LOSS,
                          .longest = spec->world->longest[spec->world->tasks > 1],
                          .share = GUARANTEE_SHARE,
                          .seed = seed,
                          .stratum = d->task,
                          .per_kind = spec->per_task,
                          .mix = mix};
    bool *solving = calloc((size_t)d->s.episodes, sizeof *solving);
    steps part = {0};
    solution x;
    deer_status status = solving ? guarantee_split(&how, d->s.episodes, solving, err)
                                 : deer_fail(err, "out of memory for %d episodes", d->s.episodes);

    if (!status)
        status = steps_select(&d->s, solving, &part, err);
    if (!status)
        status = solve_part(&part, spec, &x, err);
    if (!status)
        status = guarantee_choose(&how, &part, x.tau, WORLD_EXITS - 1, d->s.episodes, solving,
                                  judge, &d->s, g, err);
    steps_free(&part);
    free(solving);
    free(mix);
    return status;
}

/* ---------------------------------------------------------------- judging ------------------ */

/* What is promised of a step, on average over the other episodes: of the mix, or of the worst task.
 */
static double truth(const coverage_spec *spec, const world_sample *other, const float *tau,
                    bool loss, episode_sums *sums)
{
    double sum[64] = {0}, n[64] = {0}, all = 0, steps_all = 0, worst = 0;
    int episodes_of[64] = {0}, tasks = spec->world->tasks;

    guarantee_sum(&other->s, tau, WORLD_EXITS - 1, sums);
    for (int e = 0; e < other->s.episodes; e++) {
        int k = other->task[e];

        sum[k] += loss ? sums[e].loss : sums[e].cost;
        n[k] += sums[e].steps;
        episodes_of[k]++;
    }
    for (int k = 0; k < tasks; k++) {
        double share = spec->mix ? spec->mix[k] / fmax(episodes_of[k], 1) : 1;

        all += share * sum[k];
        steps_all += share * n[k];
        worst = n[k] > 0 ? fmax(worst, sum[k] / n[k]) : worst;
    }
    return spec->per_task ? worst : all / steps_all;
}

/* Is a fixed exit that keeps the limit for certain better on the other episodes? */
static bool beaten(const coverage_spec *spec, const world_sample *other, double loss)
{
    float tau[WORLD_EXITS];
    evaluation e;
    int k = WORLD_EXITS;

    if (!isfinite(spec->budget))
        return false;
    while (k > 0 && other->s.cost[k - 1] > spec->budget)
        k--;
    for (int i = 0; i < WORLD_EXITS && k; i++)
        tau[i] = i < k - 1 ? -INFINITY : INFINITY;
    if (!k)
        return false;
    steps_evaluate(&other->s, tau, WORLD_EXITS - 1, &e);
    return e.loss < loss * (1 - 1e-9);
}

static deer_status one_draw(const coverage_spec *spec, const world_sample *other, int number,
                            episode_sums *sums, coverage_result *r, deer_error *err)
{
    double limit = isfinite(spec->budget) ? spec->budget : spec->deviation, had;
    uint64_t seed = 7919 * (uint64_t)spec->episodes + (uint64_t)number + 1;
    world_sample d;
    guarantee g;
    deer_status status = world_draw(spec->world, spec->episodes, seed, &d, err);
    solution x;

    if (status)
        return status;
    memset(&x, 0, sizeof x);
    if (spec->order == WORLD_BY_COST || spec->order == WORLD_ADVERSE)
        status = solve_part(&d.s, spec, &x, err);
    if (!status && spec->order != WORLD_AS_DRAWN)
        status = world_sort(&d, spec->order, x.tau, limit, err);
    if (!status)
        status = coverage_promise(spec, &d, seed, &g, err);
    world_free(&d);
    if (status) {
        r->refused += status == DEER_INFEASIBLE;
        return status == DEER_INFEASIBLE ? DEER_OK : status;
    }
    had = truth(spec, other, g.tau, !isfinite(spec->budget), sums);
    r->broken += had > limit * (1 + 1e-9);
    r->certain += g.certain;
    r->used += had / limit;
    r->worse += beaten(spec, other, truth(spec, other, g.tau, true, sums));
    return DEER_OK;
}

deer_status coverage_run(const coverage_spec *spec, coverage_result *r, deer_error *err)
{
    world_sample other;
    episode_sums *sums = malloc((size_t)spec->judged_on * sizeof *sums);
    deer_status status;

    *r = (coverage_result){.broken = 0};
    if (!sums)
        return deer_fail(err, "out of memory for %d episodes", spec->judged_on);
    status = world_draw(spec->world, spec->judged_on, 99, &other, err);
    for (int i = 0; i < spec->draws && !status; i++)
        status = one_draw(spec, &other, i, sums, r, err);
    world_free(&other);
    free(sums);
    r->mean_used = r->used / spec->draws;
    r->used /= spec->draws - r->refused > 0 ? spec->draws - r->refused : 1;
    return status;
}
