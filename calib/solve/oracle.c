/* SPDX-License-Identifier: MIT */
/* oracle.c - the per-step oracle under an average budget, by bisection on the price of cost. */
#include "calib/solve/oracle.h"

#include <math.h>

static bool all_may_be_taken(const steps *s, int max_exit)
{
    for (int64_t i = 0; i < max_exit * s->n; i++)
        if (isnan(s->delta[i]))
            return false;
    return true;
}

/* Mean of the least loss + price * cost over the exits; *cost is the mean cost of that choice, of
 * the cheaper exit when two are equal. all: no exit is out of bounds. */
static double priced(const steps *s, int max_exit, bool all, double price, double *cost)
{
    double sum = 0, spent = 0;

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
        sum += least;
        spent += step_cost[best];
    }
    *cost = spent / (double)s->n;
    return sum / (double)s->n;
}

oracle oracle_solve(const steps *s, int max_exit, double budget)
{
    bool all = all_may_be_taken(s, max_exit);
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

double oracle_gap_closed(double baseline, double loss, double oracle_loss)
{
    double gap = baseline - oracle_loss;

    return gap > 1e-12 * fabs(baseline) ? (baseline - loss) / gap : NAN;
}
