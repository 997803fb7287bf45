/* SPDX-License-Identifier: MIT */
/* calibration.c - losses, deltas and costs of cached steps. */
#include "calib/problem/calibration.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/cost/cost.h"
#include "budgets/machines/hardware.h"
#include "calib/cluster/cluster.h"
#include "runtime/deer_replay.h"

void calibration_actions_free(calibration_actions *a)
{
    free(a->row);
    free(a->action);
    free(a->exit);
    free(a->heads);
    free(a->fresh);
    *a = (calibration_actions){0};
}

void calibration_free(calibration *p)
{
    steps_free(&p->s);
    free(p->llm);
    free(p->total);
    *p = (calibration){0};
}

/* ---------------------------------------------------------------- losses ------------------- */

/* reference [7]: pose and gripper, open when above `half` (0.5 of a probability, 0 of a command).
 */
static float action_loss(const float *action, const float *reference, float half, double weight)
{
    double square = 0;

    for (int i = 0; i < DEER_POSE; i++) {
        double d = (double)action[i] - (double)reference[i];
        square += d * d;
    }
    if ((action[DEER_POSE] > 0.5f) == (reference[DEER_POSE] > half))
        weight = 0;
    return (float)(sqrt(square / DEER_POSE) + weight);
}

/* action [1 + exits, 7] of the step; last [7]: the deepest exit's with fresh cameras; done [6]: the
 * pose of the step before. */
static void look_at(const cache *c, const calibration_spec *spec, const float *action,
                    const float *last, const float *done, calibration_step *step)
{
    const float *demo = c->demonstration + step->row * CACHE_ACTION;
    deer_exit_trial trial;

    deer_exit_trial_begin(&trial, spec->criterion, spec->score, done, action);
    for (int k = 0; k <= spec->max_exit; k++) {
        const float *here = action + (k + 1) * CACHE_ACTION;

        step->value[k] = deer_exit_trial_next(&trial, here, here[DEER_POSE]);
        step->loss[k] = spec->loss == LOSS_DEMO
                            ? action_loss(here, demo, 0.0f, spec->gripper_weight)
                            : action_loss(here, last, 0.5f, spec->gripper_weight);
        memcpy(step->signal[k], trial.signal, sizeof trial.signal);
    }
}

void calibration_walk(const cache *c, const calibration_spec *spec, const calibration_actions *a,
                      calibration_visit visit, void *context)
{
    static const float rest[DEER_POSE];
    const float *action = a ? a->action : c->action, *done = rest;
    size_t stride = (size_t)(1 + c->exits) * CACHE_ACTION;
    int64_t n = a ? a->n : c->steps;
    calibration_step step = {.episode = c->from};

    for (step.i = 0; step.i < n; step.i++, action += stride) {
        int taken = a ? a->exit[step.i] : c->exits - 1;

        step.row = a && a->row ? a->row[step.i] : step.i;
        while (step.row >= c->episode[step.episode].first + c->episode[step.episode].steps)
            step.episode++;
        if (step.row == c->episode[step.episode].first)
            done = rest;
        look_at(c, spec, action,
                a && a->fresh ? a->fresh + step.i * CACHE_ACTION
                              : action + (spec->max_exit + 1) * CACHE_ACTION,
                done, &step);
        visit(context, &step);
        done = action + (taken + 1) * CACHE_ACTION;
    }
}

/* ---------------------------------------------------------------- costs -------------------- */

enum { NO_GROUP = -1, VIEWS = 4 };

/* Which lengths any rank has, of those that group_of marks: a stretch at a time. */
static void share_lengths(int *group_of, int longest)
{
    enum { STRETCH = 1024 };
    float there[STRETCH];

    for (int from = 0; from <= longest; from += STRETCH) {
        int n = longest + 1 - from < STRETCH ? longest + 1 - from : STRETCH;

        for (int i = 0; i < n; i++)
            there[i] = group_of[from + i] == NO_GROUP ? 0 : 1;
        cluster_most(there, n);
        for (int i = 0; i < n; i++)
            group_of[from + i] = there[i] > 0 ? 0 : NO_GROUP;
    }
}

/* Numbers the instruction lengths that occur: group_of [longest + 1]. Returns how many. Where
 * cameras have rules, each is VIEWS groups, by the cameras that a step encodes. */
static int number_groups(const cache *c, int *group_of, int longest)
{
    int groups = 0;

    for (int t = 0; t <= longest; t++)
        group_of[t] = NO_GROUP;
    for (int e = c->from; e < c->to; e++)
        group_of[c->episode[e].tokens] = 0;
    if (c->spread)
        share_lengths(group_of, longest);
    for (int t = 0; t <= longest; t++)
        if (group_of[t] != NO_GROUP)
            group_of[t] = groups++;
    return groups;
}

/* Costs of one group: a step of `cost` that encodes these cameras. Keys and values of the others'
 * media are kept as far as every step goes: up to the first exit. Those of deeper layers are
 * counted as computed again, which they are not where a step before went as deep. */
static void fill_group(const deer_cost *cost, unsigned views, bool peak, int group, calibration *p)
{
    for (int k = 0; k < p->s.exits; k++) {
        deer_cost_kept kept = {{0}};
        deer_cost_saved saved = deer_cost_reuse(cost, views, k, &kept);
        double llm = deer_gflops(cost->exit[k].llm - saved.llm);
        double total = deer_gflops(cost->exit[k].total - saved.total);

        p->llm[group * p->s.exits + k] = llm;
        p->total[group * p->s.exits + k] = total;
        if (!peak)
            continue;
        p->peak_llm[k] = fmax(p->peak_llm[k], llm);
        p->peak_total[k] = fmax(p->peak_total[k], total);
    }
}

/* Which cameras are encoded together at steps behind an episode's first: peaks are of those. */
static void find_later(const cache *c, bool later[VIEWS])
{
    memset(later, 0, VIEWS * sizeof *later);
    later[VIEWS - 1] = !c->eyes;
    for (int e = 0; c->eyes && e < c->about.episodes; e++)
        for (int t = 1; t < c->episode[e].steps; t++)
            later[c->eyes->views[c->episode[e].first + t]] = true;
}

static void fill_costs(const cache *c, const int *group_of, int longest,
                       const calibration_spec *spec, calibration *p)
{
    const deer_config *config = spec->costs_of ? spec->costs_of : &c->about.config;
    double reuse = c->eyes ? (double)deer_session_need_reuse(config) : 0;
    int exits = spec->max_exit + 1;
    bool later[VIEWS];
    weight_dtype dtype;

    find_later(c, later);
    if (!weight_dtype_from_name(c->about.weights, &dtype))
        dtype = WEIGHT_F32; /* a cache from before it said so */
    for (int t = 0; t <= longest; t++) {
        deer_cost cost;

        if (group_of[t] == NO_GROUP)
            continue;
        deer_cost_of(config, t, dtype, &cost);
        for (unsigned views = c->eyes ? 0 : VIEWS - 1; views < VIEWS; views++)
            fill_group(&cost, views, later[views],
                       c->eyes ? group_of[t] * VIEWS + (int)views : group_of[t], p);
        for (int k = 0; k < exits; k++)
            p->memory[k] = fmax(p->memory[k], (double)cost.exit[k].memory_bytes + reuse);
    }
    memcpy(p->s.cost, spec->scope_llm ? p->llm : p->total,
           (size_t)(p->s.groups * exits) * sizeof *p->s.cost);
}

static int longest_instruction(const cache *c)
{
    float longest = 0;

    for (int e = c->from; e < c->to; e++)
        longest = fmaxf(longest, (float)c->episode[e].tokens);
    if (c->spread)
        cluster_most(&longest, 1);
    return (int)longest;
}

static deer_status allocate(const cache *c, const calibration_spec *spec, int64_t n, int groups,
                            calibration *p, deer_error *err)
{
    size_t table = (size_t)groups * (size_t)(spec->max_exit + 1);

    if (c->spread ? steps_alloc_spread(n, spec->max_exit + 1, groups, &p->s, err)
                  : steps_alloc(n, spec->max_exit + 1, groups, &p->s, err))
        return DEER_FAILED;
    p->s.episodes = c->about.episodes;
    p->llm = malloc(table * sizeof *p->llm);
    p->total = malloc(table * sizeof *p->total);
    return p->llm && p->total ? DEER_OK
                              : deer_fail(err, "out of memory for %lld steps", (long long)n);
}

/* ---------------------------------------------------------------- whole -------------------- */

typedef struct {
    const cache *c;
    const int *group_of;
    steps *s;
} filling;

static void fill_step(void *context, const calibration_step *step)
{
    const filling *f = context;
    steps *s = f->s;

    s->episode[step->i] = step->episode;
    s->group[step->i] = (uint16_t)f->group_of[f->c->episode[step->episode].tokens];
    if (f->c->eyes)
        s->group[step->i] = (uint16_t)(s->group[step->i] * VIEWS + f->c->eyes->views[step->row]);
    for (int k = 0; k < s->exits; k++) {
        s->delta[k * s->n + step->i] = step->value[k];
        s->loss[k * s->n + step->i] = step->loss[k];
    }
    if (cache_shallow(f->c, step->row))
        s->delta[step->i] = 0; /* any threshold but "never" stops there */
}

deer_status calibration_make(const cache *c, const calibration_spec *spec,
                             const calibration_actions *actions, calibration *p, deer_error *err)
{
    int longest = longest_instruction(c), groups;
    int *group_of = malloc(((size_t)longest + 1) * sizeof *group_of);
    deer_status status;

    *p = (calibration){0};
    if (!group_of)
        return deer_fail(err, "out of memory for instructions of %d tokens", longest);
    groups = number_groups(c, group_of, longest) * (c->eyes ? VIEWS : 1);
    status = allocate(c, spec, actions ? actions->n : c->steps, groups, p, err);
    if (!status) {
        fill_costs(c, group_of, longest, spec, p);
        calibration_walk(c, spec, actions, fill_step, &(filling){c, group_of, &p->s});
        status = steps_check(&p->s, err);
    }
    free(group_of);
    if (status)
        calibration_free(p);
    return status;
}

void calibration_describe(const calibration *p, const char *name, const float *tau, int max_exit,
                          operating_point *x)
{
    *x = operating_point_new(max_exit);
    snprintf(x->name, sizeof x->name, "%s", name);
    operating_point_set(x, tau);
    operating_point_evaluate(&p->s, x);
    x->total = p->total ? steps_mean_cost(&p->s, p->total, tau, max_exit) : x->cost;
    x->peak_total = p->total ? p->peak_total[max_exit] : steps_peak(&p->s, max_exit);
    if (p->total)
        x->memory = p->memory[max_exit];
    if (!p->llm)
        return;
    x->llm = steps_mean_cost(&p->s, p->llm, tau, max_exit);
    x->peak_llm = p->peak_llm[max_exit];
}

double calibration_fixed_cost(const calibration *p, const double *cost, int k)
{
    return steps_cost_at(&p->s, cost, k);
}
