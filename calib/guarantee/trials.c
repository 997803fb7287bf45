/* SPDX-License-Identifier: MIT */
/* trials.c - what the episodes say of one candidate. */
#include "calib/guarantee/trials.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- evidence ----------------- */

static double z_of(const job *j, const trial *t, const promise *p, int e)
{
    return j->weight[e] * ((p->on_loss ? t->loss[e] : t->cost[e]) - j->steps_of[e] * p->limit);
}

int trial_collect(job *j, const trial *t, const promise *p, bool solving_part)
{
    int n = 0;

    for (int e = 0; e < j->episodes; e++)
        if (j->for_solving[e] == solving_part && j->steps_of[e] && j->weight[e] > 0 &&
            (p->kind < 0 || p->kind == j->kind[e]))
            j->z[n++] = z_of(j, t, p, e);
    return n;
}

/* Mean and spread of j->z [n]. */
static void describe(const job *j, int n, double *mean, double *spread)
{
    *mean = *spread = 0;
    for (int i = 0; i < n; i++)
        *mean += j->z[i] / n;
    for (int i = 0; i < n; i++)
        *spread += (j->z[i] - *mean) * (j->z[i] - *mean);
    *spread = n > 1 ? sqrt(*spread / (n - 1)) : 0;
}

/* What a step can cost or lose at most; losses of steps are float32. */
static double largest(const job *j, const trial *t, const promise *p)
{
    return p->on_loss ? (double)(float)j->spec->largest_loss : steps_peak(j->solving, t->deepest);
}

/* Z is at most that of the longest episode at the highest cost. */
bound_case trial_case(job *j, const trial *t, const promise *p, double *gap)
{
    bound_case c = {.high = j->heaviest * j->longest * (largest(j, t, p) - p->limit),
                    .delta = j->spec->confidence > 0 ? 1 - j->spec->confidence : 0.5,
                    .seed = j->spec->seed};
    double mean;

    describe(j, trial_collect(j, t, p, true), &mean, &c.spread);
    *gap = -mean;
    return c;
}

double trial_sureness(job *j, const trial *t, const promise *p)
{
    double gap;
    bound_case c;
    int tested;

    if (trial_certain(j, t, p))
        return INFINITY;
    c = trial_case(j, t, p, &gap);
    tested = trial_collect(j, t, p, false);
    return copysign(tested, gap) / bound_draws_needed(j->spec->bound, fabs(gap), &c);
}

/* The gambler's guess of the spread is of the case that he bets against, a mean at the limit: as if
 * what is missing came from rare episodes as bad as the worst. Else he stakes all he has on what
 * merely was not seen yet. */
deer_status trial_test(job *j, const trial *t, const promise *p, double *p_value, deer_error *err)
{
    double gap;
    bound_case c = trial_case(j, t, p, &gap);
    int n = trial_collect(j, t, p, false);

    c.spread = sqrt(c.spread * c.spread + fmax(gap, 0) * p->shock);
    return bound_p_value(j->spec->bound, j->z, n, &c, p_value, err);
}

void trial_means(const job *j, const trial *t, double *cost, double *loss)
{
    double steps_tested = 0;

    *cost = *loss = 0;
    for (int e = 0; e < j->episodes; e++)
        if (!j->for_solving[e]) {
            *cost += j->weight[e] * t->cost[e];
            *loss += j->weight[e] * t->loss[e];
            steps_tested += j->weight[e] * j->steps_of[e];
        }
    *cost /= steps_tested;
    *loss /= steps_tested;
}

/* ---------------------------------------------------------------- certainty ---------------- */

/* Did no episode go beyond the limit? A step whose delta is not a number does not leave where it
 * should, and then what a fixed exit costs is not certain either. */
static bool was_kept(const job *j, const trial *t, const promise *p)
{
    for (int e = 0; e < j->episodes; e++)
        if ((p->on_loss ? t->loss[e] : t->cost[e]) > j->steps_of[e] * p->limit * (1 + 1e-9))
            return false;
    return true;
}

static bool kept_by_nature(const job *j, const trial *t, const promise *p)
{
    bool reference = p->on_loss && t->fixed == j->max_exit && j->spec->deepest_is_reference;

    return reference || largest(j, t, p) <= p->limit;
}

bool trial_certain(const job *j, const trial *t, const promise *p)
{
    return kept_by_nature(j, t, p) && was_kept(j, t, p);
}

/* ---------------------------------------------------------------- adding ------------------- */

/* The bounds hold for what is possible, so what is seen must be. */
static deer_status check_losses(const job *j, const bool *some, deer_error *err)
{
    for (int e = 0; e < j->episodes && isfinite(j->spec->deviation); e++)
        if (some[e] && j->sums[e].largest_loss > (float)j->spec->largest_loss)
            return deer_fail_with(DEER_USAGE, err,
                                  "a step loses %g, more than the largest loss possible (%g); "
                                  "raise --largest-loss to what any step can lose",
                                  (double)j->sums[e].largest_loss, j->spec->largest_loss);
    return DEER_OK;
}

static deer_status append(job *j, trial **t, deer_error *err)
{
    size_t n = (size_t)j->episodes;

    if (j->n == j->room) {
        int room = 2 * j->room + 64;
        trial *more = realloc(j->trials, (size_t)room * sizeof *more);

        if (!more)
            return deer_fail(err, "out of memory for %d candidates", room);
        j->trials = more;
        j->room = room;
    }
    *t = &j->trials[j->n++];
    **t = (trial){.cost = calloc(n, sizeof *(*t)->cost), .loss = calloc(n, sizeof *(*t)->loss)};
    return (*t)->cost && (*t)->loss ? DEER_OK
                                    : deer_fail(err, "out of memory for %d episodes", j->episodes);
}

static deer_status judge_part(job *j, trial *t, const bool *some, deer_error *err)
{
    deer_status status = j->judge(j->context, t->tau, some, j->sums, err);

    if (!status)
        status = check_losses(j, some, err);
    for (int e = 0; e < j->episodes && !status; e++)
        if (some[e]) {
            t->cost[e] = j->sums[e].cost;
            t->loss[e] = j->sums[e].loss;
        }
    return status;
}

deer_status trial_complete(job *j, trial *t, deer_error *err)
{
    if (t->whole)
        return DEER_OK;
    t->whole = true;
    return judge_part(j, t, j->for_testing, err);
}

deer_status trials_add(job *j, const float *tau, int fixed, int deepest, deer_error *err)
{
    trial *t = NULL;
    bool certain = false;
    deer_status status = append(j, &t, err);

    if (status)
        return status;
    memcpy(t->tau, tau, (size_t)(j->max_exit + 1) * sizeof *tau);
    t->fixed = fixed;
    t->deepest = deepest;
    t->sureness = INFINITY;
    for (int p = 0; p < j->n_promises; p++)
        certain |= kept_by_nature(j, t, &j->promises[p]);
    status = judge_part(j, t, j->for_solving, err);
    if (!status && certain)
        status = trial_complete(j, t, err);
    if (status)
        return status;
    t->price = job_mean(j, t->cost);
    for (int p = 0; p < j->n_promises; p++)
        t->sureness = fmin(t->sureness, trial_sureness(j, t, &j->promises[p]));
    return DEER_OK;
}

/* ---------------------------------------------------------------- shocks ------------------- */

static double worst_seen(job *j, const promise *p)
{
    double worst = 0;

    for (int i = 0; i < j->n; i++) {
        const trial *t = &j->trials[i];
        double mean, spread;
        int n = trial_collect(j, t, p, true);

        describe(j, n, &mean, &spread);
        for (int e = 0; e < n && t->fixed < 0 && mean <= 0; e++)
            worst = fmax(worst, j->z[e]);
    }
    return worst;
}

void trials_expect_shocks(job *j)
{
    for (int p = 0; p < j->n_promises; p++)
        j->promises[p].shock = worst_seen(j, &j->promises[p]);
    for (int i = 0; i < j->n; i++) {
        trial *t = &j->trials[i];

        if (isinf(t->sureness))
            continue;
        t->sureness = INFINITY;
        for (int p = 0; p < j->n_promises; p++)
            t->sureness = fmin(t->sureness, trial_sureness(j, t, &j->promises[p]));
    }
}
