/* SPDX-License-Identifier: MIT */
/* guarantee.c - testing in sequence, choosing. */
#include "calib/guarantee/guarantee.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/guarantee/statement.h"
#include "calib/guarantee/trials.h"

/* ---------------------------------------------------------------- testing ------------------ */

/* Of equally sure ones the dearer first, which lose less. */
static int surest_first(const void *a, const void *b)
{
    const trial *x = a, *y = b;

    if (x->sureness == y->sureness)
        return (x->price < y->price) - (x->price > y->price);
    return (x->sureness < y->sureness) - (x->sureness > y->sureness);
}

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

/* Takes trials, surest first, until one is not rejected; those that are certain come first. best:
 * of the certain ones, of the tested ones. */
static deer_status test_in_order(job *j, choice best[2], int *accepted, deer_error *err)
{
    bool crc = j->spec->bound == BOUND_CRC;
    size_t n = (size_t)j->episodes * (size_t)j->n_promises;
    double *most = crc ? malloc(n * sizeof *most) : NULL;
    deer_status status = DEER_OK;

    if (crc && !most)
        return deer_fail(err, "out of memory for %d episodes", j->episodes);
    for (size_t i = 0; i < n && crc; i++)
        most[i] = -INFINITY;
    for (*accepted = 0; *accepted < j->n; ++*accepted) {
        trial *t = &j->trials[*accepted];
        double p[2] = {0, 0};
        bool rejected = t->sureness == INFINITY;

        status = trial_complete(j, t, err);
        if (status)
            break;
        if (!rejected && crc)
            rejected = controlled(j, t, most);
        else if (!rejected)
            status = reject(j, t, p, &rejected, err);
        if (status || !rejected)
            break;
        consider(j, t, p, &best[t->sureness < INFINITY]);
    }
    free(most);
    return status;
}

/* ---------------------------------------------------------------- entry -------------------- */

static job new_job(const guarantee_spec *spec, const steps *solving, int max_exit, int episodes,
                   const bool *for_solving, guarantee_judge judge, void *context)
{
    return (job){.spec = spec,
                 .solving = solving,
                 .max_exit = max_exit,
                 .episodes = episodes,
                 .for_solving = for_solving,
                 .judge = judge,
                 .context = context};
}

static void deliver(const job *j, const choice *best, guarantee *g)
{
    memcpy(g->tau, best->t->tau, sizeof g->tau);
    g->given = true;
    g->certain = best->t->sureness == INFINITY;
    g->p_budget = best->p[0];
    g->p_deviation = best->p[1];
    g->tested_cost = best->cost;
    g->tested_loss = best->loss;
    statement_write(j, g, g->statement);
}

deer_status guarantee_choose(const guarantee_spec *spec, const steps *solving, const float *tau,
                             int max_exit, int episodes, const bool *for_solving,
                             guarantee_judge judge, void *context, guarantee *g, deer_error *err)
{
    job j = new_job(spec, solving, max_exit, episodes, for_solving, judge, context);
    choice best[2] = {{.t = NULL}, {.t = NULL}};
    deer_status status = job_make(&j, tau, err);

    if (!status)
        status = job_promise(&j, err);
    if (!status)
        status = trials_make(&j, tau, err);
    *g = (guarantee){.confidence = spec->confidence,
                     .budget = spec->budget,
                     .deviation = spec->deviation,
                     .bound = spec->bound,
                     .candidates = j.n,
                     .longest = j.longest,
                     .tested_on = j.tested,
                     .solved_on = episodes - j.tested,
                     .largest_cost = steps_peak(solving, max_exit),
                     .largest_loss = spec->largest_loss};
    if (!status) {
        qsort(j.trials, (size_t)j.n, sizeof *j.trials, surest_first);
        status = test_in_order(&j, best, &g->accepted, err);
    }
    if (!status && !best[0].t && !best[1].t)
        status = statement_refuse(&j, err);
    if (!status)
        deliver(&j, settle(&j, &best[0], &best[1]), g);
    job_free(&j);
    return status;
}
