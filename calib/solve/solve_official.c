/* SPDX-License-Identifier: MIT */
/* solve_official.c - bisection of the official heuristics' parameter. */
#include "calib/solve/solve_official.h"

#include <math.h>
#include <stdio.h>

/* Ranges in which the assumed fractions go from all at the first exit to all at the last. */
static void parameter_range(official_distribution distribution, int exits, double *low,
                            double *high)
{
    *low = distribution == OFFICIAL_GAUSS ? -12 : 1e-3;
    *high = distribution == OFFICIAL_EXP     ? 1e3
            : distribution == OFFICIAL_GAUSS ? exits + 12
                                             : 4 * exits + 8;
}

static double middle(official_distribution distribution, double low, double high)
{
    return distribution == OFFICIAL_GAUSS ? (low + high) / 2 : sqrt(low * high);
}

/* Only what it costs is looked at while a parameter is searched for. */
static void try_parameter(const steps *s, official_steps *taken, official_distribution distribution,
                          double parameter, solution *x)
{
    float fractions[DEER_MAX_EXITS];

    official_fractions(distribution, parameter, false, x->at.max_exit + 1, fractions);
    official_thresholds(taken, x->at.max_exit + 1, fractions, x->at.tau);
    x->at.cost = steps_mean_cost(s, s->cost, x->at.tau, x->at.max_exit);
    x->parameter = parameter;
    x->evaluations++;
}

/* What a search for a parameter works with: y is tried last, x is the dearest within the budget. */
typedef struct {
    const steps *s;
    official_steps *taken;
    official_distribution distribution;
    double budget;
    solution *x, y;
    bool found;
    double least; /* by which the mean cost of two thresholds can differ */
} search;

/* One step that goes on by one exit. */
static double least_change(const steps *s, int max_exit)
{
    double least = INFINITY;

    for (int i = 0; i < s->groups; i++)
        for (int k = 0; k < max_exit; k++) {
            double change = s->cost[i * s->exits + k + 1] - s->cost[i * s->exits + k];

            least = change > 0 && change < least ? change : least;
        }
    return least / (double)s->all;
}

static bool try_within_budget(search *f, double parameter)
{
    try_parameter(f->s, f->taken, f->distribution, parameter, &f->y);
    if (f->y.at.cost > f->budget)
        return false;
    if (!f->found || f->y.at.cost > f->x->at.cost)
        *f->x = f->y;
    f->found = true;
    return true;
}

/* low is within the budget, or nothing is known to be; high is above it. Where both sides are known
 * and not a step apart, there is nothing between them. */
static void bisect(search *f, double low, double high)
{
    double within = -INFINITY, beyond = INFINITY;

    for (int i = 0; i < 34 && high - low > 1e-9 * fabs(high) && beyond - within > 1.001 * f->least;
         i++) {
        double parameter = middle(f->distribution, low, high);

        if (try_within_budget(f, parameter)) {
            low = parameter;
            within = f->y.at.cost;
        } else {
            high = parameter;
            beyond = f->y.at.cost;
        }
    }
}

enum { SCAN = 32 };

/* Parameter i of SCAN + 1, evenly over the range. */
static double scanned(official_distribution distribution, double low, double high, int i)
{
    double share = (double)i / SCAN;

    return distribution == OFFICIAL_GAUSS ? low + share * (high - low)
                                          : low * pow(high / low, share);
}

/* Where an exit has fewer numbers than its share of the steps nobody leaves there, so that a lower
 * parameter may cost more: then all of the range is looked at. */
static void scan(search *f, double low, double high)
{
    double parameter;
    int at = -1;

    for (int i = 0; i < SCAN; i++) {
        double before = f->found ? f->x->at.cost : -1;

        if (try_within_budget(f, scanned(f->distribution, low, high, i)) && f->x->at.cost > before)
            at = i;
    }
    if (at < 0)
        return;
    parameter = scanned(f->distribution, low, high, at);
    bisect(f, parameter, scanned(f->distribution, low, high, at + 1));
}

bool solve_official(const steps *s, official_steps *taken, official_distribution distribution,
                    double budget, int max_exit, solution *x)
{
    search f = {s,
                taken,
                distribution,
                budget,
                x,
                {.at = operating_point_new(max_exit)},
                false,
                least_change(s, max_exit)};
    double low, high;

    parameter_range(distribution, max_exit + 1, &low, &high);
    if (steps_have_gaps(s, max_exit))
        scan(&f, low, high);
    else if (!try_within_budget(&f, high))
        bisect(&f, low, high);
    if (f.found)
        operating_point_evaluate(s, &x->at);
    x->evaluations = f.y.evaluations;
    snprintf(x->at.name, sizeof x->at.name, "official-%s %.6g", official_name(distribution),
             x->parameter);
    return f.found;
}
