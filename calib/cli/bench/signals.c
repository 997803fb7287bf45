/* SPDX-License-Identifier: MIT */
/* signals.c - deer-calib bench --what signals: what is a criterion worth that sees more?
 *
 * Thresholds on delta against thresholds on a score (calib/criterion/combined.h) of some or all
 * signals, each fitted and solved on one half of the episodes and judged on the other under its own
 * history. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cli/bench/bench.h"
#include "calib/criterion/combined.h"
#include "calib/pipeline/calibrate.h"
#include "calib/solve/oracle.h"
#include "runtime/deer_replay.h"

enum { BUDGETS = 7 };
static const double shares[BUDGETS] = {0.2, 0.24, 0.28, 0.33, 0.4, 0.5, 0.6};

/* What is to be beaten: logarithms of losses. */
typedef struct {
    double cost, loss, oracle;
} baseline;

typedef struct {
    cache *c;
    deer_model *model;
    int threads;
    bool *half[2]; /* [episodes] every other one, and the rest */
    double full;   /* GFLOPs (llm) of full depth */
    baseline base[2][BUDGETS];
} bench;

static onpolicy_spec spec_of(const bench *b, deer_criterion criterion, int half, double budget)
{
    int last = b->c->exits - 1;

    return (onpolicy_spec){
        .problem = {.criterion = criterion,
                    .loss = LOSS_DEEPEST,
                    .gripper_weight = LOSS_GRIPPER_WEIGHT,
                    .scope_llm = true,
                    .max_exit = last},
        .solve = {.budget = budget, .max_exit = last, .method = SOLVE_COORDINATE, .seed = 1},
        .history = HISTORY_ON_POLICY,
        .episodes = b->half[half],
        .threads = b->threads};
}

/* What thresholds do under their own history in one half. */
static deer_status judge(const bench *b, const onpolicy_spec *spec, const float *tau, int half,
                         evaluation *e, deer_error *err)
{
    calibration own;
    steps part = {0};
    deer_status status = onpolicy_judge(b->c, b->model, &spec->problem, tau, b->threads, &own, err);

    if (status)
        return status;
    status = steps_select(&own.s, b->half[half], &part, err);
    if (!status)
        steps_evaluate(&part, tau, spec->problem.max_exit, e);
    steps_free(&part);
    calibration_free(&own);
    return status;
}

/* The best official heuristic and the oracle at every budget, each under the heuristic's history.
 */
static deer_status make_baseline(bench *b, int half, deer_error *err)
{
    for (int i = 0; i < BUDGETS; i++) {
        onpolicy_spec spec = spec_of(b, DEER_CRITERION_L2, half, shares[i] * b->full);
        baseline *at = &b->base[half][i];
        onpolicy_result r;
        deer_status status;

        spec.official_best = true;
        status = onpolicy_solve(b->c, b->model, &spec, &r, err);
        if (status)
            return status;
        at->cost = r.x.at.cost;
        at->loss = log(r.x.at.loss);
        at->oracle = log(oracle_solve(&r.problem.s, spec.problem.max_exit, at->cost).loss);
        onpolicy_free(&r);
    }
    return DEER_OK;
}

/* Share of the gap that is closed in a half; between budgets the logarithms of losses run straight.
 */
static double closed(const bench *b, const evaluation *e, int half)
{
    const baseline *p = b->base[half];
    double along;

    while (p < &b->base[half][BUDGETS - 2] && p[1].cost < e->cost)
        p++;
    along = (e->cost - p[0].cost) / (p[1].cost - p[0].cost);
    return oracle_gap_closed(exp(p[0].loss + along * (p[1].loss - p[0].loss)), e->loss,
                             exp(p[0].oracle + along * (p[1].oracle - p[0].oracle)));
}

/* signals: those of the score, bit by bit; 0: thresholds on delta. */
static deer_status unseen_share(const bench *b, unsigned signals, double budget, int seen,
                                double *share, deer_error *err)
{
    onpolicy_spec spec =
        spec_of(b, signals ? DEER_CRITERION_COMBINED : DEER_CRITERION_L2, seen, budget);
    combined_spec fit = {spec.problem, spec.episodes, signals, spec.solve.seed, spec.threads};
    deer_score score[DEER_MAX_EXITS];
    onpolicy_result r;
    evaluation e;
    deer_status status;

    if (signals && combined_fit(b->c, b->model, &fit, score, err))
        return DEER_FAILED;
    spec.problem.score = score;
    status = onpolicy_solve(b->c, b->model, &spec, &r, err);
    if (status)
        return status;
    status = judge(b, &spec, r.x.at.tau, !seen, &e, err);
    onpolicy_free(&r);
    *share = closed(b, &e, !seen);
    return status;
}

static deer_status print_rule(const bench *b, const char *name, unsigned signals, deer_error *err)
{
    double mean = 0;

    printf("%-22s", name);
    for (int i = 0; i < BUDGETS; i++) {
        double share[2];

        for (int seen = 0; seen < 2; seen++)
            if (unseen_share(b, signals, shares[i] * b->full, seen, &share[seen], err))
                return DEER_FAILED;
        printf(" %6.1f%%", 50 * (share[0] + share[1]));
        fflush(stdout);
        mean += 50 * (share[0] + share[1]) / BUDGETS;
    }
    printf(" %6.1f%%\n", mean);
    return DEER_OK;
}

static deer_status compare(const bench *b, deer_error *err)
{
    const unsigned all = (1u << DEER_SIGNALS) - 1, delta = 1u << DEER_SIGNAL_DELTA;
    char name[64];

    printf("%lld steps of %d episodes: gap from the best official heuristic to the oracle that\n"
           "thresholds close on episodes not solved on, by budget (share of the LLM's cost)\n\n"
           "%-22s",
           (long long)b->c->steps, b->c->about.episodes, "thresholds on");
    for (int i = 0; i < BUDGETS; i++)
        printf(" %7.2f", shares[i]);
    printf("    mean\n");
    if (print_rule(b, "delta", 0, err) || print_rule(b, "combined", all, err))
        return DEER_FAILED;
    for (int j = 1; j < DEER_SIGNALS; j++) {
        snprintf(name, sizeof name, "  of delta and %s", deer_signal_name((deer_signal)j));
        if (print_rule(b, name, delta | 1u << j, err))
            return DEER_FAILED;
    }
    return DEER_OK;
}

static deer_status prepare(bench *b, deer_error *err)
{
    onpolicy_spec spec = spec_of(b, DEER_CRITERION_L2, 0, INFINITY);
    calibration p;

    for (int h = 0; h < 2; h++) {
        b->half[h] = calloc((size_t)b->c->about.episodes, sizeof(bool));
        if (!b->half[h])
            return deer_fail(err, "out of memory for %d episodes", b->c->about.episodes);
        for (int e = 0; e < b->c->about.episodes; e++)
            b->half[h][e] = e % 2 == h;
    }
    if (b->c->about.episodes < 2)
        return deer_fail(err, "%s has one episode; two are needed to judge one", b->c->dir);
    if (calibration_make(b->c, &spec.problem, NULL, &p, err))
        return DEER_FAILED;
    b->full = calibration_fixed_cost(&p, p.llm, p.s.exits - 1);
    calibration_free(&p);
    return make_baseline(b, 0, err) || make_baseline(b, 1, err) ? DEER_FAILED : DEER_OK;
}

deer_status bench_signals(const char *dir, int threads, deer_error *err)
{
    bench b = {.threads = threads};
    deer_status status = cache_open(dir, &b.c, err);

    if (!status)
        status = cache_open_model(b.c, NULL, &b.model, err);
    if (!status)
        status = prepare(&b, err);
    if (!status)
        status = compare(&b, err);
    free(b.half[0]);
    free(b.half[1]);
    deer_model_close(b.model);
    cache_close(b.c);
    return status;
}
