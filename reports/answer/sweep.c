/* SPDX-License-Identifier: MIT */
/* sweep.c - frontiers for every deepest exit, the heuristic and the oracle beside them. */
#include "reports/answer/sweep.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "calib/solve/frontier.h"
#include "calib/solve/oracle.h"
#include "reports/answer/bootstrap.h"
#include "runtime/base/tau.h"
#include "runtime/base/threads/jobs.h"

/* Frontiers are walked from solved answers at these shares of the range of costs, and the best walk
 * counts at every budget. With many steps, walks are dear and nearly the same: then two for the
 * frontier with every exit allowed and one for the others have to do. */
static const double anchor_share[] = {0.3, 0.7, 0.15, 0.5};
enum { ANCHORS = sizeof anchor_share / sizeof *anchor_share, FEW_STEPS = 30000 };

typedef struct {
    const calibration *p;
    const sweep_spec *spec;
    sweep *w;
    operating_point *path; /* [exits, ANCHORS, budgets] */
    bootstrap draws;
    int pieces; /* of all work together */
    pthread_mutex_t mutex;
    int done;
} job;

/* One piece of the work. */
typedef deer_status piece(job *j, int i, deer_error *err);

/* ---------------------------------------------------------------- points ------------------- */

static void fill_point(const calibration *p, const char *name, int deepest, const float *tau,
                       sweep_point *x)
{
    *x = (sweep_point){.cost_95 = {0, 0}};
    calibration_describe(p, name, tau, deepest, &x->at);
}

static void fill_fixed(job *j)
{
    float never[DEER_MAX_EXITS];

    for (int k = 0; k < j->w->exits; k++) {
        tau_never(k, never);
        fill_point(j->p, "fixed exit", k, never, &j->w->fixed[k]);
    }
}

/* ---------------------------------------------------------------- pieces of work ----------- */

static operating_point *path_of(const job *j, int deepest, int anchor)
{
    return j->path + (deepest * ANCHORS + anchor) * j->w->budgets;
}

static int anchors_of(const job *j, int deepest)
{
    if (j->p->s.n <= FEW_STEPS)
        return ANCHORS;
    return deepest == j->w->exits - 1 ? 2 : 1;
}

/* An answer to walk from; with many steps, of some of the episodes, since walks fill up on all. */
static deer_status solve_anchor(const steps *s, const solve_spec *how, solution *x, deer_error *err)
{
    int every = (int)(2 * s->n / FEW_STEPS);
    bool *chosen;
    steps part;
    deer_status status;

    if (s->n <= FEW_STEPS || s->episodes < 2 * every)
        return solve(s, how, x, err);
    chosen = calloc((size_t)s->episodes, sizeof *chosen);
    if (!chosen)
        return deer_fail(err, "out of memory for %d episodes", s->episodes);
    for (int e = 0; e < s->episodes; e += every)
        chosen[e] = true;
    status = steps_select(s, chosen, &part, err);
    free(chosen);
    if (status)
        return status;
    status = solve(&part, how, x, err);
    steps_free(&part);
    return status;
}

/* One solved answer and the walk around it. Piece i: anchor i % ANCHORS, the deepest exits first.
 */
static deer_status walk(job *j, int i, deer_error *err)
{
    const steps *s = &j->p->s;
    int deepest = j->w->exits - 1 - i / ANCHORS, anchor = i % ANCHORS, n = j->w->budgets;
    double low = steps_fixed_cost(s, 0), high = steps_fixed_cost(s, deepest);
    double budget[SWEEP_MOST_BUDGETS];
    solve_spec how = {.budget = low + anchor_share[anchor] * (high - low),
                      .max_exit = deepest,
                      .method = SOLVE_COORDINATE,
                      .seed = j->spec->seed};
    solution x;
    deer_status status;

    if (anchor >= anchors_of(j, deepest))
        return DEER_OK;
    for (int b = 0; b < n; b++)
        budget[b] = fmin(j->w->budget[b], high * (1 + 1e-9));
    status = solve_anchor(s, &how, &x, err);
    if (status == DEER_INFEASIBLE) { /* some steps must go deeper than the first exit */
        how.budget = INFINITY;
        status = solve_anchor(s, &how, &x, err);
    }
    if (!status)
        status = frontier_path(s, deepest, x.at.tau, budget, n, path_of(j, deepest, anchor), err);
    return status;
}

/* The best official heuristic at budget i. */
static deer_status officially(job *j, int i, deer_error *err)
{
    solve_spec how = {.budget = j->w->budget[i], .max_exit = j->w->exits - 1};
    solution x;
    deer_status status = solve_official_best(&j->p->s, &how, &x, err);

    j->w->has_official[i] = !status;
    if (!status)
        fill_point(j->p, x.at.name, x.at.max_exit, x.at.tau, &j->w->official[i]);
    return status == DEER_INFEASIBLE ? DEER_OK : status;
}

/* Piece i: of deepest exit i. What the first exit alone costs leaves nothing to choose. */
static deer_status ask_oracle(job *j, int i, deer_error *err)
{
    sweep *w = j->w;
    double *loss = w->frontier[i].oracle;

    if (oracle_frontier(&j->p->s, i, w->budget, w->budgets, loss, err))
        return DEER_FAILED;
    for (int b = 0; b < w->budgets; b++)
        if (w->budget[b] <= w->fixed[0].at.cost * (1 + 1e-9))
            loss[b] = w->fixed[0].at.loss;
    return DEER_OK;
}

/* The better walk at budget b with a deepest exit from 1 on. */
static const operating_point *best_walk(const job *j, int deepest, int b)
{
    const operating_point *best = path_of(j, deepest, 0) + b;

    for (int a = 1; a < anchors_of(j, deepest); a++)
        if (path_of(j, deepest, a)[b].loss < best->loss)
            best = path_of(j, deepest, a) + b;
    return best;
}

/* Where the heuristic at budget b is better than the walks: a walk from there, into the place of
 * the first one. */
static deer_status learn_from_official(job *j, int b, deer_error *err)
{
    int deepest = j->w->exits - 1;
    operating_point found;

    if (!deepest || !j->w->has_official[b] ||
        j->w->official[b].at.loss >= best_walk(j, deepest, b)->loss)
        return DEER_OK;
    if (frontier_path(&j->p->s, deepest, j->w->official[b].at.tau, &j->w->budget[b], 1, &found,
                      err))
        return DEER_FAILED;
    path_of(j, deepest, 0)[b] = found;
    return DEER_OK;
}

/* The best that is known at budget b with a deepest exit. Where steps may not leave early, because
 * their deltas are no numbers, even the cheapest walk can cost too much: then a shallower exit for
 * all is what keeps the budget, the first one if no other. */
static void take_best(job *j, int deepest, int b, sweep_point *x)
{
    double limit = j->w->budget[b] * (1 + 1e-9);

    fill_point(j->p, "frontier", deepest, best_walk(j, deepest, b)->tau, x);
    for (int k = x->at.cost > limit ? 0 : deepest; k <= deepest; k++) {
        const sweep_point *fixed = &j->w->fixed[k];

        if (x->at.cost > limit || (fixed->at.cost <= limit && fixed->at.loss < x->at.loss))
            *x = *fixed;
    }
}

/* What is possible with a shallower deepest exit is with a deeper one. */
static void nest_oracles(sweep *w)
{
    for (int k = 1; k < w->exits; k++)
        for (int b = 0; b < w->budgets; b++)
            w->frontier[k].oracle[b] = fmin(w->frontier[k].oracle[b], w->frontier[k - 1].oracle[b]);
}

/* One deepest exit's frontier; a larger budget never loses more. */
static deer_status join_paths(job *j, int deepest, deer_error *err)
{
    sweep_point *ours = j->w->frontier[deepest].ours;

    (void)err;
    for (int b = 0; b < j->w->budgets; b++) {
        if (deepest)
            take_best(j, deepest, b, &ours[b]);
        else
            ours[b] = j->w->fixed[0];
        if (b && ours[b - 1].at.loss <= ours[b].at.loss)
            ours[b] = ours[b - 1];
    }
    return DEER_OK;
}

/* Where a larger budget does not lose less, its point is the one before. */
static bool is_repeated(const sweep_frontier *f, int b)
{
    return b > 0 && f->ours[b].at.max_exit == f->ours[b - 1].at.max_exit &&
           !memcmp(f->ours[b].at.tau, f->ours[b - 1].at.tau, sizeof f->ours[b].at.tau);
}

/* Pieces: the points of every frontier but repeated ones, then the heuristic's, then the fixed
 * exits. */
static deer_status draw_intervals(job *j, int i, deer_error *err)
{
    sweep *w = j->w;
    int points = w->exits * w->budgets;
    sweep_point *x = i < points              ? &w->frontier[i / w->budgets].ours[i % w->budgets]
                     : i < points + w->exits ? &w->fixed[i - points]
                                             : &w->official[i - points - w->exits];

    if (i < points ? is_repeated(&w->frontier[i / w->budgets], i % w->budgets)
                   : i >= points + w->exits && !w->has_official[i - points - w->exits])
        return DEER_OK;
    return bootstrap_point(&j->draws, &j->p->s, x)
               ? deer_fail(err, "out of memory for the bootstrap")
               : DEER_OK;
}

static void repeat_intervals(sweep *w)
{
    for (int k = 0; k < w->exits; k++)
        for (int b = 1; b < w->budgets; b++)
            if (is_repeated(&w->frontier[k], b)) {
                w->frontier[k].ours[b].cost_95 = w->frontier[k].ours[b - 1].cost_95;
                w->frontier[k].ours[b].loss_95 = w->frontier[k].ours[b - 1].loss_95;
            }
}

/* ---------------------------------------------------------------- stages ------------------- */

typedef struct {
    job *j;
    piece *work;
} stage;

static void count_piece(job *j)
{
    pthread_mutex_lock(&j->mutex);
    j->done++;
    if (j->spec->progress)
        j->spec->progress(j->spec->context, j->done, j->pieces);
    pthread_mutex_unlock(&j->mutex);
}

static deer_status run_pieces(jobs *all, void *context, deer_error *err)
{
    const stage *s = context;
    deer_status status = DEER_OK;

    for (int i; !status && (i = jobs_next(all)) >= 0; count_piece(s->j))
        status = s->work(s->j, i, err);
    return status;
}

/* What a stage takes of the stages before it is there: one after the other. */
static deer_status solve_everything(job *j, deer_error *err)
{
    const sweep *w = j->w;
    int walks = (w->exits - 1) * ANCHORS, points = w->exits * w->budgets;
    const struct {
        piece *work;
        int pieces;
    } stages[] = {{walk, walks},          {officially, w->budgets},
                  {ask_oracle, w->exits}, {learn_from_official, w->budgets},
                  {join_paths, w->exits}, {draw_intervals, points + w->exits + w->budgets}};
    enum { STAGES = sizeof stages / sizeof *stages };
    deer_status status = DEER_OK;

    for (int i = 0; i < STAGES; i++)
        j->pieces += stages[i].pieces;
    fill_fixed(j);
    for (int i = 0; i < STAGES && !status; i++)
        status = jobs_run(stages[i].pieces, j->spec->threads, run_pieces,
                          &(stage){j, stages[i].work}, err);
    if (!status) {
        nest_oracles(j->w);
        repeat_intervals(j->w);
    }
    return status;
}

/* ---------------------------------------------------------------- whole -------------------- */

static deer_status allocate(sweep *w, deer_error *err)
{
    size_t n = (size_t)w->budgets;
    bool ok;

    w->budget = calloc(n, sizeof *w->budget);
    w->official = calloc(n, sizeof *w->official);
    w->has_official = calloc(n, sizeof *w->has_official);
    ok = w->budget && w->official && w->has_official;
    for (int k = 0; k < w->exits; k++) {
        w->frontier[k].ours = calloc(n, sizeof *w->frontier[k].ours);
        w->frontier[k].oracle = calloc(n, sizeof *w->frontier[k].oracle);
        ok = ok && w->frontier[k].ours && w->frontier[k].oracle;
    }
    return ok ? DEER_OK : deer_fail(err, "out of memory for %d budgets", w->budgets);
}

/* ---------------------------------------------------------------- cameras ------------------ */

deer_step_mix sweep_mix(const steps *s, const uint8_t *views, const float *tau, int max_exit)
{
    deer_step_mix mix = {{{0}}};

    for (int64_t i = 0; i < s->n; i++) {
        int k = tau_exit(s->delta + i, s->n, tau, max_exit);

        mix.share[(views[i] & 1) + (views[i] >> 1 & 1)][k] += 1.0 / (double)s->n;
    }
    return mix;
}

static int most_encodings(const steps *s, const uint8_t *views)
{
    int most = 0;

    for (int64_t i = 1; i < s->n; i++) {
        int n = (views[i] & 1) + (views[i] >> 1 & 1);

        if (s->episode[i] == s->episode[i - 1] && n > most)
            most = n;
    }
    return most;
}

static void fill_mixes(const calibration *p, const uint8_t *views, sweep *w)
{
    w->reuses = true;
    w->encodings = most_encodings(&p->s, views);
    for (int b = 0; b < w->budgets; b++)
        if (w->has_official[b])
            w->official[b].mix =
                sweep_mix(&p->s, views, w->official[b].at.tau, w->official[b].at.max_exit);
    for (int k = 0; k < w->exits; k++) {
        w->fixed[k].mix = sweep_mix(&p->s, views, w->fixed[k].at.tau, k);
        for (int b = 0; b < w->budgets; b++) {
            sweep_point *x = &w->frontier[k].ours[b];

            x->mix = sweep_mix(&p->s, views, x->at.tau, x->at.max_exit);
        }
    }
}

deer_status sweep_budgets(const steps *s, double from, double to, int n, double *budget,
                          deer_error *err)
{
    double least = steps_fixed_cost(s, 0);
    double low = isnan(from) ? least : from;
    double high = isnan(to) ? steps_fixed_cost(s, s->exits - 1) : to;

    if (high < least)
        return deer_fail_with(
            DEER_INFEASIBLE, err,
            "no budget up to %.6g GFLOPs can be met: always taking the first exit "
            "costs %.6g",
            high, least);
    low = fmax(low, least);
    for (int i = 0; i < n; i++)
        budget[i] = i == n - 1 ? high : low + (high - low) * i / (n - 1);
    return DEER_OK;
}

deer_status sweep_make(const calibration *p, const sweep_spec *spec, sweep *w, deer_error *err)
{
    job j = {.p = p, .spec = spec, .w = w, .mutex = PTHREAD_MUTEX_INITIALIZER};
    deer_status status;

    *w = (sweep){.exits = p->s.exits, .budgets = spec->budgets};
    j.path = calloc((size_t)(w->exits * ANCHORS * w->budgets), sizeof *j.path);
    status = j.path ? allocate(w, err) : deer_fail(err, "out of memory for %d budgets", w->budgets);
    if (!status)
        status = sweep_budgets(&p->s, spec->from, spec->to, w->budgets, w->budget, err);
    if (!status)
        status = bootstrap_make(&p->s, spec->seed, &j.draws, err);
    if (!status) {
        w->draws = j.draws.draws;
        status = solve_everything(&j, err);
    }
    if (!status && spec->views)
        fill_mixes(p, spec->views, w);
    bootstrap_free(&j.draws);
    free(j.path);
    if (status)
        sweep_free(w);
    return status;
}

void sweep_free(sweep *w)
{
    for (int k = 0; k < w->exits; k++) {
        free(w->frontier[k].ours);
        free(w->frontier[k].oracle);
    }
    free(w->budget);
    free(w->official);
    free(w->has_official);
    *w = (sweep){0};
}

int sweep_cheapest(const sweep *w, int deepest, double limit)
{
    for (int b = 0; b < w->budgets; b++)
        if (w->frontier[deepest].ours[b].at.loss <= limit)
            return b;
    return -1;
}
