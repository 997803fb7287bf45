/* SPDX-License-Identifier: MIT */
/* nlopt_search.c - CRS2-LM and SBPLX over quantiles. */
#include "calib/solve/nlopt_search.h"

#include <math.h>
#include <nlopt.h>

typedef struct {
    const grid *g;
    double budget, price;
    candidate *best;
    long evaluations;
} search;

/* Loss with the penalty. Every candidate that keeps the budget is considered for the answer. */
static double objective(unsigned n, const double *quantile, double *gradient, void *context)
{
    search *s = context;
    candidate x = {.loss = 0};

    (void)gradient; /* piecewise constant: there is none */
    for (unsigned k = 0; k < n; k++)
        x.cut[k] = grid_quantile_cut(s->g, (int)k, quantile[k]);
    grid_evaluate(s->g, x.cut, &x.loss, &x.cost);
    s->evaluations++;
    if (x.cost <= s->budget) {
        if (x.loss < s->best->loss || (x.loss == s->best->loss && x.cost < s->best->cost))
            *s->best = x;
        return x.loss;
    }
    return x.loss + 3 * s->price * (x.cost - s->budget);
}

static void to_quantiles(const grid *g, const candidate *x, double *quantile)
{
    for (int k = 0; k < g->exits - 1; k++)
        quantile[k] = grid_cut_quantile(g, k, x->cut[k]);
}

static void optimize(search *s, nlopt_algorithm algorithm, long evaluations, double first_step)
{
    unsigned n = (unsigned)(s->g->exits - 1);
    nlopt_opt opt = nlopt_create(algorithm, n);
    double quantile[DEER_MAX_EXITS], least;

    if (!opt)
        return; /* out of memory: the start stands */
    to_quantiles(s->g, s->best, quantile);
    nlopt_set_min_objective(opt, objective, s);
    nlopt_set_lower_bounds1(opt, 0);
    nlopt_set_upper_bounds1(opt, 1);
    nlopt_set_maxeval(opt, (int)evaluations);
    nlopt_set_xtol_abs1(opt, 0.25 / (double)s->g->all);
    if (first_step > 0)
        nlopt_set_initial_step1(opt, first_step);
    nlopt_optimize(opt, quantile, &least); /* answers come through s->best, however it ends */
    nlopt_destroy(opt);
}

long nlopt_search(const grid *g, const nlopt_search_spec *spec, candidate *best)
{
    search s = {g, spec->budget, spec->price > 0 ? spec->price : 1, best, 0};

    if (g->exits < 2)
        return 0;
    nlopt_srand((unsigned long)spec->seed);
    optimize(&s, NLOPT_GN_CRS2_LM, spec->evaluations, 0);
    optimize(&s, NLOPT_LN_SBPLX, spec->evaluations / 4 + 1, 0.02);
    return s.evaluations;
}
