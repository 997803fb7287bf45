/* SPDX-License-Identifier: MIT */
/* coverage.c - promises made many times, and judged on other episodes. */
#include "calib/guarantee/coverage.h"

#include <math.h>
#include <stdlib.h>

#include "calib/solve/frontier.h"
#include "runtime/base/threads/jobs.h"

/* ---------------------------------------------------------------- one promise -------------- */

static deer_status judge(void *context, const float *tau, const bool *some, episode_sums *sums,
                         deer_error *err)
{
    (void)some;
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

/* Thresholds to sort by: any near the limit show which episodes are dear. */
static deer_status solve_roughly(const steps *s, const coverage_spec *spec, solution *x,
                                 deer_error *err)
{
    double half = (steps_fixed_cost(s, 0) + steps_fixed_cost(s, WORLD_EXITS - 1)) / 2;
    solve_spec how = {.budget = isfinite(spec->budget) ? spec->budget : half,
                      .max_exit = WORLD_EXITS - 1,
                      .method = SOLVE_OFFICIAL_EXP};

    return solve(s, &how, x, err);
}

static double *spread_mix(const coverage_spec *spec, const world_sample *d)
{
    double *mix = malloc((size_t)d->s.episodes * sizeof *mix);

    for (int e = 0; e < d->s.episodes && mix; e++)
        mix[e] = spec->mix[d->task[e]];
    return mix;
}

static double budget_of(const coverage_spec *spec, int point)
{
    return spec->points > 1 ? spec->budget + (spec->to - spec->budget) * point / (spec->points - 1)
                            : spec->budget;
}

static deer_status promise_together(const coverage_spec *spec, const guarantee_spec *how,
                                    const steps *part, const bool *solving, world_sample *d,
                                    guarantee *g, deer_error *err)
{
    solution x[COVERAGE_MOST_POINTS];
    guarantee_point point[COVERAGE_MOST_POINTS];

    for (int i = 0; i < spec->points; i++) {
        coverage_spec one = *spec;

        one.budget = budget_of(spec, i);
        if (solve_part(part, &one, &x[i], err))
            return DEER_FAILED;
        point[i] = (guarantee_point){one.budget, part, &x[i].at};
    }
    return guarantee_choose_together(how, point, spec->points, d->s.episodes, solving, judge, &d->s,
                                     g, err);
}

static deer_status promise(const coverage_spec *spec, const guarantee_spec *how, const steps *part,
                           const bool *solving, world_sample *d, guarantee *g, deer_error *err)
{
    solution x;
    deer_status status;

    if (spec->points > 1)
        return promise_together(spec, how, part, solving, d, g, err);
    status = solve_part(part, spec, &x, err);
    return status
               ? status
               : guarantee_choose(how, part, &x.at, d->s.episodes, solving, judge, &d->s, g, err);
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
    deer_status status = solving && (mix || !spec->mix)
                             ? guarantee_split(&how, d->s.episodes, solving, err)
                             : deer_fail(err, "out of memory for %d episodes", d->s.episodes);

    if (!status)
        status = steps_select(&d->s, solving, &part, err);
    if (!status)
        status = promise(spec, &how, &part, solving, d, g, err);
    steps_free(&part);
    free(solving);
    free(mix);
    return status;
}

/* ---------------------------------------------------------------- judging ------------------ */

/* What is promised of a step, on average over the other episodes, whose sums are given: of the mix,
 * or of the worst task. */
static double truth(const coverage_spec *spec, const world_sample *other, bool loss,
                    const episode_sums *sums)
{
    double sum[64] = {0}, n[64] = {0}, all = 0, steps_all = 0, worst = 0;
    int episodes_of[64] = {0}, tasks = spec->world->tasks;

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
static bool beaten(const coverage_spec *spec, double limit, const world_sample *other, double loss)
{
    float tau[WORLD_EXITS];
    evaluation e;
    int k = WORLD_EXITS;

    if (!isfinite(spec->budget) || spec->per_task)
        return false;
    while (k > 0 && other->s.cost[k - 1] > limit)
        k--;
    for (int i = 0; i < WORLD_EXITS && k; i++)
        tau[i] = i < k - 1 ? -INFINITY : INFINITY;
    if (!k)
        return false;
    steps_evaluate(&other->s, tau, WORLD_EXITS - 1, &e);
    return e.loss < loss * (1 - 1e-9);
}

/* What came of one draw. */
typedef struct {
    int given;                            /* promises */
    bool refused, certain, broken, worse; /* any of them */
    double used;                          /* of the limit, their mean */
} draw_result;

typedef struct {
    const coverage_spec *spec;
    world_sample other; /* episodes that promises are judged on */
    draw_result *draw;  /* [spec->draws] */
} job;

/* The sample of a draw, in the order that is tried. */
static deer_status draw_sample(const coverage_spec *spec, uint64_t seed, world_sample *d,
                               deer_error *err)
{
    double limit = isfinite(spec->budget) ? spec->budget : spec->deviation;
    deer_status status = world_draw(spec->world, spec->episodes, seed, d, err);
    solution x = {.at = operating_point_new(WORLD_EXITS - 1)};

    if (!status && (spec->order == WORLD_BY_COST || spec->order == WORLD_ADVERSE))
        status = solve_roughly(&d->s, spec, &x, err);
    if (!status && spec->order != WORLD_AS_DRAWN)
        status = world_sort(d, spec->order, x.at.tau, limit, err);
    return status;
}

/* Adds what one promise came to; used and the rest are summed over a draw's promises. */
static void judge_promise(const job *j, const guarantee *g, double limit, episode_sums *sums,
                          draw_result *r)
{
    const coverage_spec *spec = j->spec;
    bool on_loss = !isfinite(spec->budget);
    double loss, used;

    guarantee_sum(&j->other.s, g->at.tau, WORLD_EXITS - 1, sums);
    loss = truth(spec, &j->other, true, sums);
    used = (on_loss ? loss : truth(spec, &j->other, false, sums)) / limit;
    r->given++;
    r->used += used;
    r->broken |= used > 1 + 1e-9;
    r->certain |= g->certain;
    r->worse |= beaten(spec, limit, &j->other, loss);
}

static void judge_draw(const job *j, const guarantee *g, episode_sums *sums, draw_result *r)
{
    const coverage_spec *spec = j->spec;
    int points = spec->points > 1 ? spec->points : 1;

    for (int i = 0; i < points; i++) {
        double limit = isfinite(spec->budget) ? budget_of(spec, i) : spec->deviation;

        if (g[i].given)
            judge_promise(j, &g[i], limit, sums, r);
    }
    r->refused = r->given < points;
    r->used /= r->given ? r->given : 1;
}

static deer_status one_draw(const job *j, int number, episode_sums *sums, deer_error *err)
{
    const coverage_spec *spec = j->spec;
    uint64_t seed = 7919 * (uint64_t)spec->episodes + (uint64_t)number + 1;
    world_sample d;
    guarantee g[COVERAGE_MOST_POINTS];
    deer_status status = draw_sample(spec, seed, &d, err);

    if (status)
        return status;
    status = coverage_promise(spec, &d, seed, g, err);
    world_free(&d);
    j->draw[number].refused = status == DEER_INFEASIBLE;
    if (!status)
        judge_draw(j, g, sums, &j->draw[number]);
    return status == DEER_INFEASIBLE ? DEER_OK : status;
}

static deer_status draw_all(jobs *all, void *context, deer_error *err)
{
    job *j = context;
    episode_sums *sums = malloc((size_t)j->spec->judged_on * sizeof *sums);
    deer_status status = DEER_OK;

    if (!sums)
        status = deer_fail(err, "out of memory for %d episodes", j->spec->judged_on);
    for (int i; !status && (i = jobs_next(all)) >= 0;)
        status = one_draw(j, i, sums, err);
    free(sums);
    return status;
}

static void add_up(const job *j, coverage_result *r)
{
    int n = j->spec->draws;

    for (int i = 0; i < n; i++) {
        r->refused += j->draw[i].refused;
        r->certain += j->draw[i].certain;
        r->broken += j->draw[i].broken;
        r->worse += j->draw[i].worse;
        r->used += j->draw[i].used;
    }
    r->mean_used = r->used / n;
    r->used /= n > r->refused ? n - r->refused : 1;
}

deer_status coverage_run(const coverage_spec *spec, coverage_result *r, deer_error *err)
{
    job j = {.spec = spec, .draw = calloc((size_t)spec->draws, sizeof *j.draw)};
    deer_status status = j.draw ? world_draw(spec->world, spec->judged_on, 99, &j.other, err)
                                : deer_fail(err, "out of memory for %d draws", spec->draws);

    *r = (coverage_result){.broken = 0};
    if (!status)
        status = jobs_run(spec->draws, spec->threads, draw_all, &j, err);
    if (!status)
        add_up(&j, r);
    world_free(&j.other);
    free(j.draw);
    return status;
}
