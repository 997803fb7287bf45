/* SPDX-License-Identifier: MIT */
/* solve.h - thresholds under an average budget.
 *
 *   solve_spec spec = {.budget = 0.4, .max_exit = 5, .method = SOLVE_BEST, .seed = 1};
 *   solution   x;
 *   if (solve(&s, &spec, &x, &err)) ...       // DEER_INFEASIBLE: err says what would be feasible
 *   use(x.at.tau, x.at.max_exit, x.at.loss);
 *
 * Minimise the mean loss over the thresholds of the exits before max_exit, subject to mean cost <=
 * budget on the steps given. Peak and memory budgets come before: they decide max_exit
 * (solve_deepest). Every answer keeps the budget on these steps exactly, loses no more there than
 * the best official heuristic (but for the official methods themselves), and is deterministic.
 */
#ifndef CALIB_SOLVE_H
#define CALIB_SOLVE_H

#include "calib/problem/operating_point.h"
#include "calib/solve/official.h"

typedef enum {
    SOLVE_BEST,         /* coordinate search, random kicks, NLopt, pairs of thresholds */
    SOLVE_COORDINATE,   /* exact coordinate search alone */
    SOLVE_NLOPT,        /* NLopt from the official heuristics */
    SOLVE_OFFICIAL_EXP, /* the official thresholds, their parameter chosen to meet the budget */
    SOLVE_OFFICIAL_GAUSS,
    SOLVE_OFFICIAL_GAMMA,
} solve_method;

/* "best", "coordinate", "nlopt", "official-exp", ..; NULL for no such value. */
const char *solve_method_name(solve_method method);

/* Whether it is one of the official heuristics. */
bool solve_method_official(solve_method method);

typedef struct {
    double budget; /* of the mean cost, in the unit of s->cost; infinity: none */
    int max_exit;
    solve_method method;
    uint64_t seed;
    long evaluations; /* of NLopt's global phase; 0: chosen by the size of the problem */
} solve_spec;

typedef struct {
    operating_point at; /* on the steps given; named "best seed 1", "official-exp 0.713" */
    double parameter;   /* of the official methods, else NaN */
    long evaluations;   /* passes over the steps or a sample of them */
    double seconds;
} solution;

/* DEER_INFEASIBLE when nothing keeps the budget, DEER_USAGE when s has no exit max_exit. */
deer_status solve(const steps *s, const solve_spec *spec, solution *x, deer_error *err);

/* The best of the three official methods at the same budget; status as solve. */
deer_status solve_official_best(const steps *s, const solve_spec *spec, solution *x,
                                deer_error *err);

/* The deepest exit whose peak cost and memory keep their limits (infinity: none); -1 if none does.
 *   peak, memory  [exits] */
int solve_deepest(const double *peak, const double *memory, int exits, double peak_limit,
                  double memory_limit);

#endif
