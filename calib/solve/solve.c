/* SPDX-License-Identifier: MIT */
/* solve.c - choosing a method, and the path from a sample of the steps to all of them. */
#include "calib/solve/solve.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/solve/coordinate.h"
#include "calib/solve/nlopt_search.h"
#include "calib/solve/oracle.h"
#include "calib/solve/solve_official.h"
#include "runtime/base/clock.h"
#include "runtime/base/tau.h"

/* Searches run on a sample of evenly taken steps with about this many step-exit pairs; the answer
 * is then refined on all steps. */
enum { SAMPLE = 196608, REFINE_SWEEPS = 6 };

/* Step-exit pairs that moving two thresholds at once may look at. */
static const double pair_work = 8e8;

int solve_deepest(const double *peak, const double *memory, int exits, double peak_limit,
                  double memory_limit)
{
    int deepest = -1;

    for (int k = 0; k < exits; k++)
        if (peak[k] <= peak_limit && memory[k] <= memory_limit)
            deepest = k;
    return deepest;
}

/* ---------------------------------------------------------------- feasibility -------------- */

static deer_status check_feasible(const steps *s, const solve_spec *spec, deer_error *err)
{
    float tau[DEER_MAX_EXITS];
    double least;

    if (spec->max_exit < 0 || spec->max_exit >= s->exits)
        return deer_fail_with(DEER_USAGE, err, "there is no exit %d among %d", spec->max_exit,
                              s->exits);
    least = steps_cheapest(s, spec->max_exit, tau);
    if (least <= spec->budget * (1 + 1e-12)) /* sums of the same costs may round apart */
        return DEER_OK;
    return deer_fail_with(
        DEER_INFEASIBLE, err, "no thresholds keep an average of %.9g: %s already costs %.9g",
        spec->budget,
        least > steps_fixed_cost(s, 0) * (1 + 1e-12)
            ? "taking the first exit wherever its delta is a number, else the next,"
            : "always taking the first exit",
        least);
}

/* ---------------------------------------------------------------- searches ----------------- */

typedef struct job job;

/* A way to solve. */
typedef struct {
    const char *name;
    deer_status (*run)(job *j, solution *x, deer_error *err);
    void (*search)(job *j, const grid *g, coordinate *c, candidate *best); /* of run_search */
    official_distribution heuristic;                                       /* of run_heuristic */
} solver;

/* What one solve works with. */
struct job {
    const steps *s;
    const solve_spec *spec;
    const solver *how;
    solution official[3];
    bool has_official[3];
    long evaluations;
};

static deer_status run_official(job *j, deer_error *err)
{
    const steps *s = j->s;
    official_steps taken;

    if (s->spread ? official_take_spread(s->delta, s->n, j->spec->max_exit + 1, &taken, err)
                  : official_take(s->delta, s->n, j->spec->max_exit + 1, &taken, err))
        return DEER_FAILED;
    for (int d = 0; d < 3; d++) {
        j->has_official[d] = solve_official(j->s, &taken, (official_distribution)d, j->spec->budget,
                                            j->spec->max_exit, &j->official[d]);
        j->evaluations += j->official[d].evaluations;
    }
    official_free(&taken);
    return DEER_OK;
}

static void evaluate_on(const grid *g, candidate *x)
{
    grid_evaluate(g, x->cut, &x->loss, &x->cost);
}

static void keep_better(const candidate *x, double budget, candidate *best)
{
    if (x->cost <= budget && x->loss < best->loss)
        *best = *x;
}

enum { STARTS = 8 };

/* Where descents begin: nothing exits early, shallow and deep quantiles, the heuristics' answers.
 */
static int make_starts(const job *j, const grid *g, candidate *starts)
{
    static const double quantile[] = {0, 0.1, 0.3, 0.6, 0.9};
    int n = 0;

    for (size_t q = 0; q < sizeof quantile / sizeof *quantile; q++, n++)
        for (int k = 0; k < g->exits - 1; k++)
            starts[n].cut[k] = grid_quantile_cut(g, k, quantile[q]);
    for (int d = 0; d < 3; d++)
        if (j->has_official[d])
            grid_cuts(g, j->official[d].at.tau, starts[n++].cut);
    return n;
}

/* The best of the cheapest thresholds and the heuristics' on this grid: where every search begins.
 */
static candidate best_start(const job *j, const grid *g)
{
    candidate best = {.loss = INFINITY}, x;

    for (int k = 0; k < g->exits - 1; k++)
        best.cut[k] = g->levels[k];
    evaluate_on(g, &best);
    for (int d = 0; d < 3; d++)
        if (j->has_official[d]) {
            grid_cuts(g, j->official[d].at.tau, x.cut);
            evaluate_on(g, &x);
            keep_better(&x, j->spec->budget, &best);
        }
    return best;
}

/* Of NLopt. */
static long default_evaluations(const grid *g)
{
    double work = (double)g->all * g->exits;

    return (long)fmin(fmax(2e9 / (work + 1000), 2000), 1500.0 * g->exits);
}

/* As many as take a like time as NLopt. */
static int default_kicks(const grid *g)
{
    double work = (double)g->all * g->exits;

    return (int)fmin(fmax(4e7 / (work + 1000), 40), 20.0 * g->exits);
}

/* Descends from every start; what a unit of cost is worth in loss. */
static double descend(job *j, const grid *g, coordinate *c, candidate *best)
{
    candidate starts[STARTS] = {0};
    int n = make_starts(j, g, starts);

    return coordinate_search(c, j->spec->budget, starts, n, best);
}

/* Global search, where there is a budget to search under. price 0: not known. */
static void explore(job *j, const grid *g, double price, long evaluations, candidate *best)
{
    const solve_spec *spec = j->spec;
    nlopt_search_spec how = {spec->budget, price, spec->seed,
                             spec->evaluations ? spec->evaluations : evaluations};

    if (!(spec->budget < INFINITY))
        return;
    if (price <= 0)
        how.price = oracle_solve(j->s, spec->max_exit, spec->budget).price;
    j->evaluations += nlopt_search(g, &how, best);
}

static void search_coordinate(job *j, const grid *g, coordinate *c, candidate *best)
{
    descend(j, g, c, best);
    coordinate_pairs(c, j->spec->budget, pair_work, best);
}

static void search_nlopt(job *j, const grid *g, coordinate *c, candidate *best)
{
    (void)c;
    explore(j, g, 0, default_evaluations(g), best);
}

/* NLopt needs fewer evaluations where the exact moves have been made before it. */
static void search_best(job *j, const grid *g, coordinate *c, candidate *best)
{
    double budget = j->spec->budget, price = descend(j, g, c, best);

    coordinate_kicks(c, budget, j->spec->seed, default_kicks(g), best);
    explore(j, g, price, default_evaluations(g) / 3, best);
    coordinate_fill(c, budget, REFINE_SWEEPS, best);
    coordinate_pairs(c, budget, pair_work, best);
}

/* Searches a grid from best on. */
static deer_status search_grid(job *j, const grid *g, candidate *best, deer_error *err)
{
    coordinate *c = NULL;

    if (coordinate_new(g, &c, err))
        return DEER_FAILED;
    j->how->search(j, g, c, best);
    j->evaluations += coordinate_passes(c);
    coordinate_free(c);
    return DEER_OK;
}

/* Brings a candidate that may have left the budget on other steps back by lowering costs evenly:
 * all its quantiles move towards 1, as little as needed. */
static void repair(const grid *g, double budget, candidate *x)
{
    double low = 0, high = 1;
    candidate y = *x;

    for (int i = 0; i < 30 && x->cost > budget; i++) {
        double shift = (low + high) / 2;

        for (int k = 0; k < g->exits - 1; k++) {
            double q = grid_cut_quantile(g, k, x->cut[k]);
            y.cut[k] = grid_quantile_cut(g, k, q + shift * (1 - q));
        }
        evaluate_on(g, &y);
        if (y.cost <= budget)
            high = shift;
        else
            low = shift;
    }
    if (x->cost <= budget)
        return;
    for (int k = 0; k < g->exits - 1; k++) {
        double q = grid_cut_quantile(g, k, x->cut[k]);
        x->cut[k] = grid_quantile_cut(g, k, q + high * (1 - q));
    }
    evaluate_on(g, x);
}

/* Carries thresholds found on a sample over to all steps and refines them there. */
static deer_status refine(job *j, const float *tau, const grid *g, candidate *best, deer_error *err)
{
    candidate x = {.loss = 0};
    coordinate *c = NULL;

    if (coordinate_new(g, &c, err))
        return DEER_FAILED;
    grid_cuts(g, tau, x.cut);
    evaluate_on(g, &x);
    repair(g, j->spec->budget, &x);
    if (x.cost <= j->spec->budget)
        coordinate_fill(c, j->spec->budget, REFINE_SWEEPS, &x);
    keep_better(&x, j->spec->budget, best);
    j->evaluations += coordinate_passes(c);
    coordinate_free(c);
    return DEER_OK;
}

/* Between the steps of a sample. */
static int64_t stride_of(const steps *s, int max_exit)
{
    return s->all * (max_exit + 1) / SAMPLE;
}

static deer_status search_sampled(job *j, int64_t stride, const grid *whole, candidate *best,
                                  deer_error *err)
{
    steps some;
    grid sample;
    candidate x;
    float tau[DEER_MAX_EXITS];
    bool kept;
    deer_status status;

    if (steps_sample(j->s, stride, &some, err))
        return DEER_FAILED;
    status = grid_make(&some, j->spec->max_exit, &sample, err);
    if (status) {
        steps_free(&some);
        return status;
    }
    sample.alike = j->s->spread;
    x = best_start(j, &sample);
    kept = x.cost <= j->spec->budget;
    if (kept)
        status = search_grid(j, &sample, &x, err);
    grid_thresholds(&sample, x.cut, tau);
    grid_free(&sample);
    steps_free(&some);
    if (!kept) /* the sample alone cannot keep it: search the whole */
        return search_grid(j, whole, best, err);
    return status ? status : refine(j, tau, whole, best, err);
}

/* ---------------------------------------------------------------- all steps, exactly ------- */

/* Takes tau for x when it is better on all steps and keeps the budget. */
static void offer(job *j, const float *tau, solution *x)
{
    operating_point other = x->at;

    operating_point_set(&other, tau);
    operating_point_evaluate(j->s, &other);
    j->evaluations++;
    if (other.cost <= j->spec->budget && (x->at.cost > j->spec->budget || other.loss < x->at.loss))
        x->at = other;
}

/* Ranks that share levels know thresholds only nearly: those that the search began with are
 * compared as they are. */
static void compare_with_starts(job *j, solution *x)
{
    for (int d = 0; d < 3; d++)
        if (j->has_official[d])
            offer(j, j->official[d].at.tau, x);
}

/* The best value of each threshold among all deltas near it. */
static deer_status refine_exactly(job *j, solution *x, deer_error *err)
{
    coordinate *c = NULL;
    candidate y;
    float tau[DEER_MAX_EXITS];
    grid g;
    deer_status status;

    if (grid_make_near(j->s, x->at.max_exit, x->at.tau, &g, err))
        return DEER_FAILED;
    status = coordinate_new(&g, &c, err);
    if (!status) {
        grid_cuts(&g, x->at.tau, y.cut);
        coordinate_fill(c, j->spec->budget, REFINE_SWEEPS, &y);
        grid_thresholds(&g, y.cut, tau);
        offer(j, tau, x);
        j->evaluations += coordinate_passes(c);
    }
    coordinate_free(c);
    grid_free(&g);
    return status;
}

static deer_status run_search(job *j, solution *x, deer_error *err)
{
    int64_t stride = stride_of(j->s, j->spec->max_exit);
    grid whole;
    candidate best;
    bool exact;
    deer_status status;

    if (grid_make(j->s, j->spec->max_exit, &whole, err))
        return DEER_FAILED;
    best = best_start(j, &whole);
    status = stride <= 1 ? search_grid(j, &whole, &best, err)
                         : search_sampled(j, stride, &whole, &best, err);
    grid_thresholds(&whole, best.cut, x->at.tau);
    exact = whole.exact;
    grid_free(&whole);
    operating_point_evaluate(j->s, &x->at);
    compare_with_starts(j, x);
    if (!status && !exact && x->at.cost <= j->spec->budget)
        status = refine_exactly(j, x, err);
    for (int k = 0; k < x->at.max_exit; k++)
        if (x->at.tau[k] == OFFICIAL_NEVER)
            x->at.tau[k] = TAU_NEVER;
    x->at.tau[x->at.max_exit] = TAU_ALWAYS;
    x->parameter = NAN;
    snprintf(x->at.name, sizeof x->at.name, "%s seed %llu", j->how->name,
             (unsigned long long)j->spec->seed);
    return status;
}

/* ---------------------------------------------------------------- entry -------------------- */

static int least_loss(const job *j)
{
    int best = -1;

    for (int d = 0; d < 3; d++)
        if (j->has_official[d] && (best < 0 || j->official[d].at.loss < j->official[best].at.loss))
            best = d;
    return best;
}

static deer_status take_official(job *j, int d, solution *x, deer_error *err)
{
    if (d < 0 || !j->has_official[d])
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "no parameter of the official heuristic keeps an average of %.9g",
                              j->spec->budget);
    *x = j->official[d];
    for (int k = 0; k < x->at.max_exit; k++)
        if (x->at.tau[k] == OFFICIAL_NEVER)
            x->at.tau[k] = TAU_NEVER;
    x->at.tau[x->at.max_exit] = TAU_ALWAYS;
    return DEER_OK;
}

static deer_status run_heuristic(job *j, solution *x, deer_error *err)
{
    return take_official(j, (int)j->how->heuristic, x, err);
}

static const solver solvers[] = {
    [SOLVE_BEST] = {"best", run_search, search_best, 0},
    [SOLVE_COORDINATE] = {"coordinate", run_search, search_coordinate, 0},
    [SOLVE_NLOPT] = {"nlopt", run_search, search_nlopt, 0},
    [SOLVE_OFFICIAL_EXP] = {"official-exp", run_heuristic, NULL, OFFICIAL_EXP},
    [SOLVE_OFFICIAL_GAUSS] = {"official-gauss", run_heuristic, NULL, OFFICIAL_GAUSS},
    [SOLVE_OFFICIAL_GAMMA] = {"official-gamma", run_heuristic, NULL, OFFICIAL_GAMMA},
};

const char *solve_method_name(solve_method method)
{
    return (size_t)method < sizeof solvers / sizeof *solvers ? solvers[method].name : NULL;
}

bool solve_method_official(solve_method method)
{
    return solvers[method].run == run_heuristic;
}

static deer_status solve_here(const steps *s, const solve_spec *spec, solution *x, deer_error *err)
{
    job j = {.s = s, .spec = spec, .how = &solvers[spec->method]};
    double started = clock_seconds();
    deer_status status = check_feasible(s, spec, err);

    *x = (solution){.at = operating_point_new(spec->max_exit), .parameter = NAN};
    if (status || run_official(&j, err))
        return status ? status : DEER_FAILED;
    status = j.how->run(&j, x, err);
    if (status)
        return status;
    operating_point_evaluate(s, &x->at);
    x->evaluations = j.evaluations;
    x->seconds = clock_seconds() - started;
    return DEER_OK;
}

static deer_status best_here(const steps *s, const solve_spec *spec, solution *x, deer_error *err)
{
    job j = {.s = s, .spec = spec};
    deer_status status = check_feasible(s, spec, err);

    if (status)
        return status;
    return run_official(&j, err) ? DEER_FAILED : take_official(&j, least_loss(&j), x, err);
}

typedef deer_status solve_way(const steps *s, const solve_spec *spec, solution *x, deer_error *err);

/* What would not be sampled is not worth talking about from rank to rank: each has all of it. */
static deer_status solve_where(const steps *s, solve_way *way, const solve_spec *spec, solution *x,
                               deer_error *err)
{
    steps every;
    deer_status status;

    if (!s->spread || stride_of(s, spec->max_exit) > 1)
        return way(s, spec, x, err);
    if (steps_sample(s, 1, &every, err))
        return DEER_FAILED;
    status = way(&every, spec, x, err);
    steps_free(&every);
    return status;
}

deer_status solve_official_best(const steps *s, const solve_spec *spec, solution *x,
                                deer_error *err)
{
    return solve_where(s, best_here, spec, x, err);
}

deer_status solve(const steps *s, const solve_spec *spec, solution *x, deer_error *err)
{
    return solve_where(s, solve_here, spec, x, err);
}
