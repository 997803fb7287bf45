/* SPDX-License-Identifier: MIT */
/* search.c - constrained expected improvement, and racing. */
#include "calib/online/search.h"

#include <math.h>
#include <string.h>

#include "calib/online/lapack.h"
#include "runtime/base/random.h"

enum { SPREAD = 384, NEAR = 128 }; /* points to choose among: in all of the cube, near the best */

/* Of the mean cost of a first unit, relative: as 29 rollouts of the tabletop have. */
static const double cost_noise = 0.04;

/* Likely enough to keep the limit. */
static const double likely = 0.5;

typedef struct {
    const online_spec *spec;
    online_answer *a;
    gaussian success, cost;
    double best; /* believed of the best so far; -infinity: none is likely to keep the limit */
    uint64_t random;
} search;

int online_unit_size(int unit)
{
    return unit ? 1 << (unit - 1) : 1;
}

/* ---------------------------------------------------------------- what is known ------------ */

static double expected(const search *s, const double *x)
{
    return s->spec->expected(s->spec->context, x);
}

/* Of what was tried, in the order of candidates; those being tried count as what is believed. */
static deer_status learn(search *s, deer_error *err)
{
    static _Thread_local double x[GAUSSIAN_MOST * ONLINE_MOST], y[GAUSSIAN_MOST];
    static _Thread_local double z[GAUSSIAN_MOST], noise[GAUSSIAN_MOST], off[GAUSSIAN_MOST];
    int d = s->spec->d, n = s->a->candidates;

    for (int i = 0; i < n; i++) {
        const online_candidate *c = &s->a->candidate[i];
        double p = (c->success * c->rollouts + 1) / (c->rollouts + 2);
        memcpy(x + i * d, c->x, (size_t)d * sizeof *x);
        y[i] = c->success;
        noise[i] = p * (1 - p) / c->rollouts;
        z[i] = c->cost / expected(s, c->x) - 1;
        off[i] = cost_noise * cost_noise / (1 << (c->units - 1));
    }
    gaussian_free(&s->success);
    gaussian_free(&s->cost);
    if (gaussian_fit(&s->success, d, n, x, y, noise, err) ||
        gaussian_fit(&s->cost, d, n, x, z, off, err))
        return DEER_FAILED;
    return DEER_OK;
}

static double keeps(const search *s, const double *x)
{
    double mean, variance;

    gaussian_predict(&s->cost, x, &mean, &variance);
    return probability_below(mean, variance, s->spec->limit / expected(s, x) - 1);
}

/* Brings every candidate's prospects up to date, and the best. */
static deer_status judge(search *s, deer_error *err)
{
    double surest = -INFINITY;

    if (learn(s, err))
        return DEER_FAILED;
    s->best = -INFINITY;
    s->a->best = 0;
    for (int i = 0; i < s->a->candidates; i++) {
        online_candidate *c = &s->a->candidate[i];
        double variance;
        gaussian_predict(&s->success, c->x, &c->believed, &variance);
        c->doubt = sqrt(variance);
        c->keeps = keeps(s, c->x);
        if (c->keeps < likely)
            continue;
        s->best = fmax(s->best, c->believed);
        if (c->believed - c->doubt > surest) {
            surest = c->believed - c->doubt;
            s->a->best = i;
        }
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- what to try -------------- */

/* Van der Corput's sequence in a prime base: evenly spread, however many are taken. */
static double halton(int i, int base)
{
    double x = 0, digit = 1;

    for (; i > 0; i /= base)
        x += (digit /= base) * (i % base);
    return x;
}

static void spread_point(const search *s, int i, double *x)
{
    static const int primes[ONLINE_MOST] = {2, 3, 5, 7};

    for (int j = 0; j < s->spec->d; j++)
        x[j] = halton(i, primes[j]);
}

static void near_point(search *s, double *x)
{
    const double *best = s->a->candidate[s->a->best].x;

    for (int j = 0; j < s->spec->d; j++)
        x[j] = fmin(1, fmax(0, best[j] + 0.1 * random_normal(&s->random)));
}

/* Without a candidate that keeps the limit, the point likeliest to. */
static double worth(const search *s, const double *x)
{
    double mean, variance;

    if (isinf(s->best))
        return keeps(s, x);
    gaussian_predict(&s->success, x, &mean, &variance);
    return expected_improvement(mean, variance, s->best) * keeps(s, x);
}

static void most_promising(search *s, double *best)
{
    double most = -INFINITY, x[ONLINE_MOST] = {0}, value;
    int from = 1 + random_below(&s->random, 100000);

    for (int i = 0; i < SPREAD + NEAR; i++) {
        if (i < SPREAD)
            spread_point(s, from + i, x);
        else
            near_point(s, x);
        value = worth(s, x);
        if (value > most) {
            most = value;
            memcpy(best, x, sizeof x);
        }
    }
}

/* The candidate that may be the best and has not been judged fully; -1: none. */
static int to_race(const search *s, const bool *busy)
{
    double most = -INFINITY;
    int found = -1;

    for (int i = 0; i < s->a->candidates; i++) {
        const online_candidate *c = &s->a->candidate[i];
        if (busy[i] || c->units == ONLINE_UNITS || c->keeps < likely ||
            c->believed + c->doubt <= most)
            continue;
        most = c->believed + c->doubt;
        found = i;
    }
    return found;
}

static int first_points(const search *s)
{
    return 2 * s->spec->d + 2;
}

/* A new candidate, which until it is tried is what is believed of it: the next one of the same
 * batch will lie elsewhere. */
static deer_status add_candidate(search *s, online_trial *t, deer_error *err)
{
    online_candidate *c = &s->a->candidate[s->a->candidates];
    double variance;

    *c = (online_candidate){.units = 1, .rollouts = 1};
    if (s->a->candidates == 0)
        for (int j = 0; j < s->spec->d; j++)
            c->x[j] = 0.5;
    else if (s->a->candidates < first_points(s))
        spread_point(s, s->a->candidates, c->x);
    else
        most_promising(s, c->x);
    t->candidate = s->a->candidates++;
    t->unit = 0;
    memcpy(t->x, c->x, sizeof t->x);
    if (t->candidate < first_points(s))
        return DEER_OK;
    gaussian_predict(&s->success, c->x, &c->success, &variance);
    gaussian_predict(&s->cost, c->x, &c->cost, &variance);
    c->cost = (1 + c->cost) * expected(s, c->x);
    return judge(s, err);
}

/* Fills the trials of a batch; how many. */
static deer_status choose_batch(search *s, online_trial *trial, int count, deer_error *err)
{
    bool busy[GAUSSIAN_MOST] = {false};

    for (int i = 0; i < count; i++) {
        bool designed = s->a->candidates >= first_points(s);
        int number = s->a->trials + i, again = -1;

        if (designed && i == 0 && judge(s, err))
            return DEER_FAILED;
        if (designed && number % 2)
            again = to_race(s, busy);
        trial[i].number = number;
        if (again < 0) {
            if (add_candidate(s, &trial[i], err))
                return DEER_FAILED;
            again = trial[i].candidate;
        } else {
            trial[i].candidate = again;
            trial[i].unit = s->a->candidate[again].units;
            memcpy(trial[i].x, s->a->candidate[again].x, sizeof trial[i].x);
        }
        busy[again] = true;
    }
    return DEER_OK;
}

static void book(online_answer *a, const online_trial *t, const online_result *r)
{
    online_candidate *c = &a->candidate[t->candidate];
    double before = t->unit ? c->rollouts : 0, all = before + r->rollouts;

    c->success = (before * (before ? c->success : 0) + r->rollouts * r->success) / all;
    c->cost = (before * (before ? c->cost : 0) + r->rollouts * r->cost) / all;
    c->rollouts = all;
    c->units = t->unit + 1;
    a->kept += online_unit_size(t->unit);
    a->trials++;
}

/* ---------------------------------------------------------------- search ------------------- */

static deer_status run(search *s, online_evaluate evaluate, void *context, deer_error *err)
{
    online_trial trial[ONLINE_BATCH];
    online_result result[ONLINE_BATCH];

    while (s->a->trials < s->spec->evaluations && !s->a->out_of_time) {
        int left = s->spec->evaluations - s->a->trials;
        int count = left < s->spec->batch ? left : s->spec->batch;

        if (choose_batch(s, trial, count, err) || evaluate(context, trial, count, result, err))
            return DEER_FAILED;
        for (int i = 0; i < count; i++)
            book(s->a, &trial[i], &result[i]);
        s->a->out_of_time = s->spec->enough && s->spec->enough(s->spec->clock);
    }
    return judge(s, err);
}

deer_status online_search(const online_spec *spec, online_evaluate evaluate, void *context,
                          online_answer *answer, deer_error *err)
{
    search s = {.spec = spec, .a = answer, .random = spec->seed};
    deer_status status;

    memset(answer, 0, sizeof *answer);
    if (spec->d < 1 || spec->d > ONLINE_MOST || spec->batch < 1 || spec->batch > ONLINE_BATCH ||
        spec->evaluations < 1 || spec->evaluations > GAUSSIAN_MOST)
        return deer_fail_with(DEER_USAGE, err,
                              "a search takes 1 to %d coordinates and 1 to %d evaluations, at most "
                              "%d at once",
                              ONLINE_MOST, GAUSSIAN_MOST, ONLINE_BATCH);
    if (lapack_open(err)) /* before anything is tried */
        return DEER_FAILED;
    status = run(&s, evaluate, context, err);
    gaussian_free(&s.success);
    gaussian_free(&s.cost);
    return status;
}
