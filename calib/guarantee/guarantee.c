/* SPDX-License-Identifier: MIT */
/* guarantee.c - testing in sequence, choosing. */
#include "calib/guarantee/guarantee.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/guarantee/statement.h"
#include "calib/guarantee/trials.h"

/* ---------------------------------------------------------------- testing ------------------ */

/* All promises of one trial: do their tests reject? p: the largest of costs and of losses. */
static deer_status reject(job *j, const trial *t, double p[2], bool *rejected, deer_error *err)
{
    *rejected = true;
    p[0] = p[1] = 0;
    for (int i = 0; i < j->n_promises && *rejected; i++) {
        const promise *of = &j->promises[i];
        double value = 0;

        if (!trial_certain(j, t, of) && trial_test(j, t, of, &value, err))
            return DEER_FAILED;
        p[of->on_loss] = fmax(p[of->on_loss], value);
        *rejected = value <= 1 - j->spec->confidence;
    }
    return DEER_OK;
}

/* Conformal risk control along the row of trials: no Z falls from one to the next when it stands
 * for the largest so far, most [n_promises * episodes]. */
static bool controlled(job *j, const trial *t, double *most)
{
    bool held = true;

    for (int i = 0; i < j->n_promises; i++) {
        double ignored, *here = most + (size_t)i * (size_t)j->episodes;
        double high = trial_case(j, t, &j->promises[i], &ignored).high;
        int n = trial_collect(j, t, &j->promises[i], false);

        for (int e = 0; e < n; e++)
            here[e] = fmax(here[e], j->z[e]);
        held &= trial_certain(j, t, &j->promises[i]) || bound_crc_holds(here, n, 0, high);
    }
    return held;
}

/* ---------------------------------------------------------------- choosing ----------------- */

/* The best so far, by what it does on the tested part: the cheapest when a deviation is promised,
 * else the one that loses least. */
typedef struct {
    const trial *t;
    double cost, loss, p[2];
} choice;

static void consider(const job *j, const trial *t, const double p[2], choice *best)
{
    double cost, loss;
    bool better;

    trial_means(j, t, &cost, &loss);
    better = !best->t || (isfinite(j->spec->deviation)
                              ? cost < best->cost || (cost == best->cost && loss < best->loss)
                              : loss < best->loss || (loss == best->loss && cost < best->cost));
    if (better)
        *best = (choice){t, cost, loss, {p[0], p[1]}};
}

/* The certain one unless the tested one is better by more than a standard error of their
 * difference: the best of many accepted ones looks better than it is. */
static const choice *settle(const job *j, const choice *certain, const choice *tested)
{
    double sum = 0, square = 0;

    if (!certain->t || !tested->t)
        return certain->t ? certain : tested;
    for (int e = 0; e < j->episodes; e++) {
        const trial *t = tested->t, *c = certain->t;
        double d = isfinite(j->spec->deviation) ? t->cost[e] - c->cost[e] : t->loss[e] - c->loss[e];

        if (j->for_solving[e])
            continue;
        sum += j->weight[e] * d;
        square += j->weight[e] * d * j->weight[e] * d;
    }
    return sum + sqrt(fmax(square - sum * sum / j->tested, 0)) < 0 ? tested : certain;
}

/* ---------------------------------------------------------------- in order ----------------- */

/* One budget, its candidates, and the best of those accepted: of the certain ones, of the tested
 * ones. */
typedef struct {
    job j;
    guarantee_spec spec;
    choice best[2];
    double *most; /* of BOUND_CRC, as `controlled` has it */
    int accepted;
} contest;

typedef struct {
    contest *of;
    trial *t;
} entry;

/* Of equally sure ones the dearer first, which lose less. */
static int surest_first(const void *a, const void *b)
{
    const trial *x = ((const entry *)a)->t, *y = ((const entry *)b)->t;

    if (x->sureness == y->sureness)
        return (x->price < y->price) - (x->price > y->price);
    return (x->sureness < y->sureness) - (x->sureness > y->sureness);
}

static deer_status test(const entry *e, bool *rejected, deer_error *err)
{
    job *j = &e->of->j;
    double p[2] = {0, 0};
    deer_status status = trial_complete(j, e->t, err);

    *rejected = e->t->sureness == INFINITY;
    if (!status && !*rejected && e->of->most)
        *rejected = controlled(j, e->t, e->of->most);
    else if (!status && !*rejected)
        status = reject(j, e->t, p, rejected, err);
    if (status || !*rejected)
        return status;
    consider(j, e->t, p, &e->of->best[e->t->sureness < INFINITY]);
    e->of->accepted++;
    return DEER_OK;
}

/* Takes the trials of all contests, surest first, until one is not rejected; those that are certain
 * come first. */
static deer_status test_in_order(contest *c, int contests, deer_error *err)
{
    entry *line;
    int n = 0;
    bool rejected = true;
    deer_status status = DEER_OK;

    for (int i = 0; i < contests; i++)
        n += c[i].j.n;
    line = malloc((size_t)n * sizeof *line + 1);
    if (!line)
        return deer_fail(err, "out of memory for %d candidates", n);
    n = 0;
    for (int i = 0; i < contests; i++)
        for (int t = 0; t < c[i].j.n; t++)
            line[n++] = (entry){&c[i], &c[i].j.trials[t]};
    qsort(line, (size_t)n, sizeof *line, surest_first);
    for (int i = 0; i < n && rejected && !status; i++)
        status = test(&line[i], &rejected, err);
    free(line);
    return status;
}

/* ---------------------------------------------------------------- entry -------------------- */

/* What is common to all contests. */
typedef struct {
    const guarantee_spec *spec;
    int episodes;
    const bool *for_solving;
    guarantee_judge judge;
    void *context;
} setting;

static deer_status note_largest(contest *c, deer_error *err)
{
    size_t n = (size_t)c->j.episodes * (size_t)c->j.n_promises;

    if (c->spec.bound != BOUND_CRC)
        return DEER_OK;
    c->most = malloc(n * sizeof *c->most + 1);
    if (!c->most)
        return deer_fail(err, "out of memory for %d episodes", c->j.episodes);
    for (size_t i = 0; i < n; i++)
        c->most[i] = -INFINITY;
    return DEER_OK;
}

/* Makes the candidates around a point. together: points of which all shall hold. */
static deer_status enter(contest *c, const setting *s, const guarantee_point *point, int together,
                         deer_error *err)
{
    deer_status status;

    c->spec = *s->spec;
    c->spec.budget = point->budget;
    c->j = (job){.spec = &c->spec,
                 .together = together,
                 .solving = point->solving,
                 .max_exit = point->found->max_exit,
                 .episodes = s->episodes,
                 .for_solving = s->for_solving,
                 .judge = s->judge,
                 .context = s->context};
    status = job_make(&c->j, point->found->tau, err);
    if (!status)
        status = job_promise(&c->j, err);
    if (!status)
        status = note_largest(c, err);
    return status ? status : trials_make(&c->j, point->found->tau, err);
}

static void deliver(const contest *c, guarantee *g)
{
    const job *j = &c->j;
    const choice *best = settle(j, &c->best[0], &c->best[1]);

    *g = (guarantee){.given = best->t != NULL,
                     .confidence = c->spec.confidence,
                     .budget = c->spec.budget,
                     .deviation = c->spec.deviation,
                     .bound = c->spec.bound,
                     .candidates = j->n,
                     .accepted = c->accepted,
                     .longest = j->longest,
                     .tested_on = j->tested,
                     .solved_on = j->episodes - j->tested,
                     .largest_cost = steps_peak(j->solving, j->max_exit),
                     .largest_loss = c->spec.largest_loss,
                     .at = operating_point_new(j->max_exit)};
    if (!g->given)
        return;
    operating_point_set(&g->at, best->t->tau);
    g->at.budget = isfinite(g->budget) ? g->budget : NAN;
    g->at.cost = best->cost;
    g->at.loss = best->loss;
    g->certain = best->t->sureness == INFINITY;
    g->p_budget = best->p[0];
    g->p_deviation = best->p[1];
    statement_write(j, g, g->statement);
}

static void leave(contest *c)
{
    job_free(&c->j);
    free(c->most);
}

deer_status guarantee_choose(const guarantee_spec *spec, const steps *solving,
                             const operating_point *found, int episodes, const bool *for_solving,
                             guarantee_judge judge, void *context, guarantee *g, deer_error *err)
{
    const setting s = {spec, episodes, for_solving, judge, context};
    const guarantee_point point = {spec->budget, solving, found};
    contest c = {.accepted = 0};
    deer_status status = enter(&c, &s, &point, 1, err);

    if (!status)
        status = test_in_order(&c, 1, err);
    if (!status)
        deliver(&c, g);
    if (!status && !g->given)
        status = statement_refuse(&c.j, err);
    leave(&c);
    return status;
}

deer_status guarantee_choose_together(const guarantee_spec *spec, const guarantee_point *point,
                                      int points, int episodes, const bool *for_solving,
                                      guarantee_judge judge, void *context, guarantee *g,
                                      deer_error *err)
{
    const setting s = {spec, episodes, for_solving, judge, context};
    contest *c = calloc((size_t)points, sizeof *c);
    deer_status status = c ? DEER_OK : deer_fail(err, "out of memory for %d budgets", points);

    for (int i = 0; i < points && !status; i++)
        status = enter(&c[i], &s, &point[i], points, err);
    if (!status)
        status = test_in_order(c, points, err);
    for (int i = 0; i < points && !status; i++)
        deliver(&c[i], &g[i]);
    for (int i = 0; i < points && c; i++)
        leave(&c[i]);
    free(c);
    return status;
}
