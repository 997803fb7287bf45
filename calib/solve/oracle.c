/* SPDX-License-Identifier: MIT */
/* oracle.c - the per-step oracle under an average budget, by bisection on the price of cost. */
#include "calib/solve/oracle.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "calib/problem/blocks.h"

/* Mean of the least loss + price * cost over the exits; *cost is the mean cost of that choice, of
 * the cheaper exit when two are equal. all: no exit is out of bounds. Counted, then added up: the
 * same in whatever order. */
static double priced(const steps *s, int max_exit, bool all, double price, double *cost)
{
    int64_t count[s->groups * s->exits];
    double lost = 0;

    memset(count, 0, sizeof count);
    for (int64_t i = 0; i < s->n; i++) {
        const double *step_cost = s->cost + s->group[i] * s->exits;
        double least = INFINITY;
        int best = 0;

        for (int k = 0; k <= max_exit; k++) {
            double value = (double)s->loss[k * s->n + i] + price * step_cost[k];
            if (value < least && (all || k == max_exit || !isnan(s->delta[k * s->n + i]))) {
                least = value;
                best = k;
            }
        }
        lost += (double)s->loss[best * s->n + i];
        count[s->group[i] * s->exits + best]++;
    }
    if (s->spread) {
        cluster_sum(&lost, 1);
        cluster_count(count, s->groups * s->exits);
    }
    *cost = block_cost(s->cost, count, s->groups, s->exits) / (double)s->all;
    return lost / (double)s->all + price * *cost;
}

oracle oracle_solve(const steps *s, int max_exit, double budget)
{
    bool all = !steps_have_gaps(s, max_exit);
    double cost, low = 0, high = 1, value = priced(s, max_exit, all, 0, &cost);
    oracle best = {value, 0};
    float tau[DEER_MAX_EXITS];

    if ((all ? steps_fixed_cost(s, 0) : steps_cheapest(s, max_exit, tau)) > budget * (1 + 1e-12))
        return (oracle){INFINITY, INFINITY};
    if (cost <= budget)
        return best;
    while (priced(s, max_exit, all, high, &cost), cost > budget && high < 1e30)
        high *= 8;
    for (int i = 0; i < 40; i++) {
        double price = i < 20 && low > 0 ? sqrt(low * high) : (low + high) / 2;
        double dual = priced(s, max_exit, all, price, &cost) - price * budget;

        if (dual > best.loss)
            best = (oracle){dual, price};
        if (cost > budget)
            low = price;
        else
            high = price;
    }
    return best;
}

/* ---------------------------------------------------------------- many budgets ------------- */

/* Going from one exit to another that is worth it. */
typedef struct {
    double gain;       /* of loss a unit of cost */
    double loss, cost; /* less, more */
} offer;

static int best_first(const void *a, const void *b)
{
    double x = ((const offer *)a)->gain, y = ((const offer *)b)->gain;

    return (x < y) - (x > y);
}

/* The exit behind k that gains most a unit of cost; -1: none gains. */
static int next_exit(const steps *s, int max_exit, int64_t i, const double *cost, int k,
                     offer *found)
{
    int best = -1;

    for (int e = k + 1; e <= max_exit; e++) {
        double less = (double)s->loss[k * s->n + i] - (double)s->loss[e * s->n + i];
        double more = cost[e] - cost[k], gain = more > 0 ? less / more : INFINITY;

        if (!(less > 0) || (e < max_exit && isnan(s->delta[e * s->n + i])) ||
            (best >= 0 && gain <= found->gain))
            continue;
        best = e;
        *found = (offer){gain, less, more};
    }
    return best;
}

/* A step's offers from its first exit on, which is added to the sums; returns how many. */
static int offers_of(const steps *s, int max_exit, int64_t i, offer *list, double *loss,
                     double *cost)
{
    const double *step_cost = s->cost + s->group[i] * s->exits;
    int k = 0, n = 0;

    while (k < max_exit && isnan(s->delta[k * s->n + i]))
        k++;
    *loss += (double)s->loss[k * s->n + i];
    *cost += step_cost[k];
    while ((k = next_exit(s, max_exit, i, step_cost, k, &list[n])) >= 0)
        n++;
    return n;
}

deer_status oracle_frontier(const steps *s, int max_exit, const double *budgets, int n,
                            double *losses, deer_error *err)
{
    offer *list = malloc((size_t)s->n * (size_t)(max_exit + 1) * sizeof *list);
    double loss = 0, cost = 0, all = (double)s->n;
    int64_t offers = 0, taken = 0;

    if (!list)
        return deer_fail(err, "out of memory for the choices of %lld steps", (long long)s->n);
    for (int64_t i = 0; i < s->n; i++)
        offers += offers_of(s, max_exit, i, list + offers, &loss, &cost);
    qsort(list, (size_t)offers, sizeof *list, best_first);
    for (int b = 0; b < n; b++) {
        double limit = budgets[b] * all * (1 + 1e-12);

        while (taken < offers && cost + list[taken].cost <= limit) {
            loss -= list[taken].loss;
            cost += list[taken++].cost;
        }
        losses[b] = cost > limit
                        ? INFINITY
                        : (loss - (taken < offers ? list[taken].gain * (limit - cost) : 0)) / all;
    }
    free(list);
    return DEER_OK;
}

double oracle_gap_closed(double baseline, double loss, double oracle_loss)
{
    double gap = baseline - oracle_loss;

    return gap > 1e-12 * fabs(baseline) ? (baseline - loss) / gap : NAN;
}
