/* SPDX-License-Identifier: MIT */
/* deliver.c - what was found, as the thresholds that a robot loads. */
#include "calib/pipeline/deliver.h"
#include "calib/cluster/cluster.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/tau.h"
#include "runtime/deer_drift.h"

/* ---------------------------------------------------------------- expected, guaranteed ----- */

static deer_expected expected_of(const operating_point *x)
{
    deer_expected p = {.average_llm_gflops = x->llm,
                       .average_total_gflops = x->total,
                       .peak_llm_gflops = x->peak_llm,
                       .peak_total_gflops = x->peak_total,
                       .memory_bytes = x->memory,
                       .loss = x->loss};

    memcpy(p.exit_fraction, x->fraction, sizeof x->fraction);
    return p;
}

void deliver_guarantee(const guarantee *from, deer_guarantee *g)
{
    *g = (deer_guarantee){.budget_gflops = NAN, .loss = NAN};
    if (!from->given || !(from->confidence > 0)) /* a mean over repetitions is no guarantee */
        return;
    g->confidence = from->confidence;
    g->budget_gflops = isfinite(from->budget) ? from->budget : NAN;
    g->loss = isfinite(from->deviation) ? from->deviation : NAN;
    g->solved_on = from->solved_on;
    g->tested_on = from->tested_on;
    snprintf(g->bound, sizeof g->bound, "%s", bound_name(from->bound));
    snprintf(g->statement, sizeof g->statement, "%s", from->statement);
}

static void fill_points(const calibrated *x, deer_thresholds *t)
{
    for (int i = 0; i < x->points && t->points < DEER_MAX_POINTS; i++) {
        deer_point *p = &t->point[t->points++];

        p->budget_gflops = x->point[i].budget;
        memcpy(p->tau, x->point[i].tau, sizeof p->tau);
        p->expected = expected_of(&x->point[i]);
        p->cameras = x->point[i].cameras;
        if (x->point_guarantee)
            deliver_guarantee(&x->point_guarantee[i], &t->point_guarantee[i]);
    }
}

/* ---------------------------------------------------------------- reference ---------------- */

/* Sums over the steps of one episode. */
typedef struct {
    double exits, delta;
    int64_t steps, finite; /* finite: those whose first delta is a number */
} episode_sum;

/* Adds up the steps of the episode that begins at row `from`; returns the row behind it. */
static int64_t sum_episode(const steps *s, const operating_point *x, int64_t from, episode_sum *sum)
{
    int64_t i = from;

    *sum = (episode_sum){0};
    for (; i < s->n && s->episode[i] == s->episode[from]; i++) {
        int k = tau_exit(s->delta + i, s->n, x->tau, x->max_exit);

        sum->exits += k;
        sum->steps++;
        if (isfinite(s->delta[i])) {
            sum->delta += (double)s->delta[i];
            sum->finite++;
        }
    }
    return i;
}

/* Every rank's episodes, in order. */
static void share_reference(deer_reference *r)
{
    size_t mine = (size_t)r->episodes;
    int64_t all = r->episodes, first = cluster_before(all);

    memmove(r->kind + first, r->kind, mine * sizeof *r->kind);
    memmove(r->mean_exit + first, r->mean_exit, mine * sizeof *r->mean_exit);
    memmove(r->mean_delta + first, r->mean_delta, mine * sizeof *r->mean_delta);
    cluster_place(r->kind, sizeof *r->kind, first, all);
    cluster_place(r->mean_exit, sizeof *r->mean_exit, first, all);
    cluster_place(r->mean_delta, sizeof *r->mean_delta, first, all);
    cluster_count(&all, 1);
    r->episodes = (int)all;
}

static void fill_reference(const calibrated *x, deer_reference *r)
{
    const steps *s = &x->p.s;
    int every = (s->episodes + DEER_MAX_REFERENCE - 1) / DEER_MAX_REFERENCE;

    for (int64_t i = 0; i < s->n;) {
        int episode = s->episode[i];
        episode_sum sum;

        i = sum_episode(s, &x->o.found, i, &sum);
        if (episode % every || !sum.finite)
            continue;
        r->kind[r->episodes] = deer_drift_kind(x->c->episode[episode].task);
        r->mean_exit[r->episodes] = (float)(sum.exits / (double)sum.steps);
        r->mean_delta[r->episodes++] = (float)(sum.delta / (double)sum.finite);
    }
    if (s->spread)
        share_reference(r);
}

/* ---------------------------------------------------------------- all of it ---------------- */

/* The rule that was chosen, with its own thresholds; the drift watch has no episodes of those. */
static void fill_rule(const calibrated *x, deer_thresholds *t)
{
    const rule_choice *r = x->rules;

    if (!r || !r->chosen)
        return;
    memcpy(t->tau, r->best[r->chosen].tau, sizeof t->tau);
    t->rule = r->best[r->chosen].rule;
    t->expected.average_llm_gflops = r->all.llm;
    t->expected.average_total_gflops = r->all.total;
    t->expected.loss = r->all.loss[0];
    memcpy(t->expected.exit_fraction, r->all.fraction, sizeof t->expected.exit_fraction);
    t->reference.episodes = 0;
}

void deliver_thresholds(const calibrated *x, deer_thresholds *t)
{
    const outcome *o = &x->o;

    memset(t, 0, sizeof *t);
    strcpy(t->model_fingerprint, x->c->about.model);
    strcpy(t->weights, x->model ? deer_model_type(x->model) : x->c->about.weights);
    strcpy(t->sums, x->c->about.sums);
    t->criterion = o->problem.criterion;
    t->max_exit = o->found.max_exit;
    t->exits = t->max_exit + 1;
    t->steps_per_stage = 1;
    memcpy(t->tau, o->found.tau, sizeof t->tau);
    memcpy(t->score, x->score, sizeof t->score);
    t->cameras = o->found.cameras;
    t->expected = expected_of(&o->found);
    deliver_guarantee(&o->guaranteed, &t->guarantee);
    fill_points(x, t);
    fill_reference(x, &t->reference);
    snprintf(t->solver, sizeof t->solver, "%s", o->solver);
    t->budget_gflops = isfinite(o->budget) ? o->budget : NAN;
    t->budget_is_llm = o->scope_llm;
    t->calibration_episodes = o->episodes;
    t->calibration_steps = (long)x->c->all;
    t->seed = (unsigned long)x->how.solve.seed;
    fill_rule(x, t);
}

deer_status deliver_file(const char *path, const calibrated *x, deer_error *err)
{
    deer_thresholds t;

    deliver_thresholds(x, &t);
    return cluster_rank() ? DEER_OK : deer_thresholds_save(path, &x->c->about.config, &t, err);
}
