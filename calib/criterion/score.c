/* SPDX-License-Identifier: MIT */
/* score.c - the loss of stopping, fitted to signals, as a criterion. */
#include "calib/criterion/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "calib/criterion/regression.h"
#include "calib/solve/oracle.h"
#include "calib/solve/solve.h"

#define LOOK_AT 20000
#define MOST (1 + 2 * SCORE_MAX_SIGNALS)

/* One half of the episodes. */
typedef struct {
    steps s;
    int64_t *row; /* [s.n] of the signals' steps; NULL without signals */
} half;

/* Coefficients of one exit. */
typedef struct {
    double mean[SCORE_MAX_SIGNALS], spread[SCORE_MAX_SIGNALS], weight[MOST];
} formula;

typedef struct {
    const steps *whole;
    const float *signal; /* NULL: deltas */
    int count, max_exit;
} view;

static int signals_of(const view *v)
{
    if (v->signal)
        return v->count;
    return v->max_exit < SCORE_MAX_SIGNALS ? v->max_exit : SCORE_MAX_SIGNALS;
}

/* Logarithm of signal j at exit k, of step i. */
static double look(const view *v, const half *h, int j, int k, int64_t i)
{
    const steps *s = v->whole;
    float x = v->signal ? v->signal[((int64_t)j * s->exits + k) * s->n + h->row[i]]
                        : h->s.delta[(k > j ? k - j : 0) * h->s.n + i];

    return isfinite(x) ? log(fmax((double)x, 1e-9)) : 0;
}

/* ---------------------------------------------------------------- regression --------------- */

/* 1, and each signal's standardised logarithm and its square; limited to 4 spreads. Returns m. */
static int terms(const view *v, const half *h, const formula *f, int k, int64_t i, double *term)
{
    int m = 0;

    term[m++] = 1;
    for (int j = 0; j < signals_of(v); j++) {
        double z = (look(v, h, j, k, i) - f->mean[j]) / f->spread[j];

        z = fmax(-4, fmin(4, z));
        term[m++] = z;
        term[m++] = z * z;
    }
    return m;
}

static double predicted(const formula *f, const double *term, int m)
{
    double sum = 0;

    for (int a = 0; a < m; a++)
        sum += f->weight[a] * term[a];
    return sum;
}

static void standardise(const view *v, const half *h, int k, double *column, formula *f)
{
    for (int j = 0; j < signals_of(v); j++) {
        for (int64_t i = 0; i < h->s.n; i++)
            column[i] = look(v, h, j, k, i);
        regression_spread(column, h->s.n, &f->mean[j], &f->spread[j]);
    }
}

/* The formula of exit k: a regression of the loss on the terms; of what is above the least loss
 * where that is below zero. */
static deer_status regress(const view *v, const half *h, int k, formula *f, deer_error *err)
{
    const float *loss = h->s.loss + k * h->s.n;
    size_t n = (size_t)h->s.n, m = 1 + 2 * (size_t)signals_of(v);
    double *term = malloc(n * m * sizeof *term);
    float *above = malloc(n * sizeof *above), least = 0;

    *f = (formula){0};
    if (!term || !above) {
        free(term);
        free(above);
        return deer_fail(err, "out of memory for %zu steps", n);
    }
    for (size_t i = 0; i < n; i++)
        least = fminf(least, loss[i]);
    standardise(v, h, k, term, f);
    for (size_t i = 0; i < n; i++) {
        terms(v, h, f, k, (int64_t)i, term + i * m);
        above[i] = loss[i] - least;
    }
    regression_fit(term, above, (int64_t)n, (int)m, f->weight);
    free(term);
    free(above);
    return DEER_OK;
}

/* ---------------------------------------------------------------- judging ------------------ */

/* Copies h with its deltas replaced by the fitted losses. */
static deer_status rescore(const view *v, const half *h, const formula *f, steps *scored,
                           deer_error *err)
{
    bool *every = malloc((size_t)h->s.episodes * sizeof *every);
    double term[MOST];
    deer_status status;

    if (!every)
        return deer_fail(err, "out of memory for %d episodes", h->s.episodes);
    memset(every, 1, (size_t)h->s.episodes * sizeof *every);
    status = steps_select(&h->s, every, scored, err);
    free(every);
    for (int k = 0; k < v->max_exit && !status; k++)
        for (int64_t i = 0; i < h->s.n; i++) {
            int m = terms(v, h, &f[k], k, i, term);
            float *delta = &scored->delta[k * h->s.n + i];

            if (isfinite(*delta))
                *delta = (float)exp(fmin(60, predicted(&f[k], term, m)));
        }
    return status;
}

/* Thresholds solved on `seen`, judged on `unseen`: share of the gap closed. Its heuristic uses the
 * deltas of `plain`, the same steps. */
static deer_status closed(const steps *seen, const steps *unseen, const steps *plain, int max_exit,
                          double budget, double *share, deer_error *err)
{
    solve_spec spec = {.budget = budget, .max_exit = max_exit, .method = SOLVE_COORDINATE};
    solution x, official;
    evaluation e;
    deer_status status = solve(seen, &spec, &x, err);

    *share = NAN;
    if (status)
        return status;
    steps_evaluate(unseen, x.at.tau, max_exit, &e);
    spec.budget = e.cost;
    if (!solve_official_best(plain, &spec, &official, err))
        *share =
            oracle_gap_closed(official.at.loss, e.loss, oracle_solve(plain, max_exit, e.cost).loss);
    return DEER_OK;
}

/* The same with deltas replaced by losses fitted on `seen`. */
static deer_status closed_fitted(const view *v, const half *seen, const half *unseen, double budget,
                                 double *share, deer_error *err)
{
    formula f[DEER_MAX_EXITS];
    steps a = {0}, b = {0};
    deer_status status = DEER_OK;

    for (int k = 0; k < v->max_exit && !status; k++)
        status = regress(v, seen, k, &f[k], err);
    if (!status)
        status = rescore(v, seen, f, &a, err);
    if (!status)
        status = rescore(v, unseen, f, &b, err);
    if (!status)
        status = closed(&a, &b, &unseen->s, v->max_exit, budget, share, err);
    steps_free(&a);
    steps_free(&b);
    return status;
}

/* ---------------------------------------------------------------- four judgements ---------- */

enum { JUDGEMENTS = 4 }; /* each half unseen; by deltas, and by fitted losses */

typedef struct {
    double share;
    deer_status status;
    deer_error err;
} judgement;

static void judge(const view *v, const half *h, int i, double budget, judgement *x)
{
    const half *seen = &h[i / 2], *unseen = &h[1 - i / 2];

    x->share = NAN;
    x->status =
        i % 2 ? closed_fitted(v, seen, unseen, budget, &x->share, &x->err)
              : closed(&seen->s, &unseen->s, &unseen->s, v->max_exit, budget, &x->share, &x->err);
}

/* Ranks that have both halves each make some. */
static deer_status judge_all(const view *v, const half *h, double budget, score_verdict *verdict,
                             deer_error *err)
{
    int ranks = v->whole->spread ? cluster_size() : 1, rank = v->whole->spread ? cluster_rank() : 0;
    int from = JUDGEMENTS * rank / ranks, to = JUDGEMENTS * (rank + 1) / ranks;
    judgement x[JUDGEMENTS] = {{0}};

    for (int i = from; i < to; i++)
        judge(v, h, i, budget, &x[i]);
    if (ranks > 1)
        cluster_place(x, sizeof *x, from, to - from);
    for (int i = 0; i < JUDGEMENTS; i++)
        if (x[i].status)
            return deer_fail_with(x[i].status, err, "%s", x[i].err.message);
    *verdict = (score_verdict){(x[0].share + x[2].share) / 2, (x[1].share + x[3].share) / 2};
    return DEER_OK;
}

/* ---------------------------------------------------------------- halves ------------------- */

static void half_free(half *h)
{
    steps_free(&h->s);
    free(h->row);
}

/* The rows chosen, for their signals. */
static deer_status list_rows(const steps *s, const bool *chosen, half *h, deer_error *err)
{
    int64_t n = 0;

    h->row = malloc((size_t)h->s.n * sizeof *h->row);
    if (!h->row)
        return deer_fail(err, "out of memory for %lld steps", (long long)h->s.n);
    for (int64_t i = 0; i < s->n; i++)
        if (chosen[s->episode[i]])
            h->row[n++] = i;
    return DEER_OK;
}

/* Steps that are spread over the ranks are few here: every rank takes all of them. */
static deer_status select_here(const steps *s, const bool *chosen, steps *part, deer_error *err)
{
    steps spread;
    deer_status status;

    if (!s->spread)
        return steps_select(s, chosen, part, err);
    if (steps_select(s, chosen, &spread, err))
        return DEER_FAILED;
    status = steps_sample(&spread, 1, part, err);
    steps_free(&spread);
    return status;
}

/* Every other of the episodes looked at: those with number 2 i + which. */
static deer_status half_of(const view *v, int which, half *h, deer_error *err)
{
    const steps *s = v->whole;
    int64_t stride = 1 + s->all / LOOK_AT;
    bool *chosen = calloc((size_t)s->episodes, sizeof *chosen);
    deer_status status;

    *h = (half){0};
    if (!chosen)
        return deer_fail(err, "out of memory for %d episodes", s->episodes);
    for (int e = 0; e < s->episodes; e++)
        chosen[e] = e % 2 == which && e / 2 % stride == 0;
    status = select_here(s, chosen, &h->s, err);
    if (!status && v->signal)
        status = list_rows(s, chosen, h, err);
    free(chosen);
    return status;
}

deer_status score_judge(const steps *s, const float *signal, int count, int max_exit, double budget,
                        score_verdict *verdict, deer_error *err)
{
    const view v = {s, signal, count, max_exit};
    half h[2] = {{{0}, NULL}, {{0}, NULL}};
    deer_status status = DEER_OK;

    *verdict = (score_verdict){NAN, NAN};
    if (s->episodes < 2 || max_exit < 1 || !isfinite(budget))
        return DEER_OK;
    for (int i = 0; i < 2 && !status; i++)
        status = half_of(&v, i, &h[i], err);
    if (!status)
        status = judge_all(&v, h, budget, verdict, err);
    half_free(&h[0]);
    half_free(&h[1]);
    return status == DEER_INFEASIBLE ? DEER_OK : status; /* of one half alone */
}
