/* SPDX-License-Identifier: MIT */
/* evaluate.c - what candidate thresholds do, in one pass over the columns (declared in steps.h).
 *
 * Steps are taken in blocks that stay in the first-level cache. Exits are visited from the deepest
 * allowed to the first, each overwriting the choice where its delta passes: no branches, so the
 * compiler makes vector code of it. */
#include <string.h>

#include "calib/problem/blocks.h"
#include "calib/problem/steps.h"

/* chosen[i] = first exit of step i that passes, i < m; columns begin at `from`. The rule of tau.h,
 * of which the comparison is left where steps_check has made every value that is not finite a NaN.
 */
static void block_exits(const steps *s, const float *tau, int max_exit, int64_t from, int m,
                        uint16_t *restrict chosen)
{
    int32_t wide[BLOCK];

    for (int i = 0; i < m; i++)
        wide[i] = max_exit;
    for (int k = max_exit - 1; k >= 0; k--) {
        const float *restrict delta = s->delta + k * s->n + from;
        float threshold = tau[k];

        for (int i = 0; i < m; i++)
            wide[i] = delta[i] <= threshold ? k : wide[i];
    }
    for (int i = 0; i < m; i++)
        chosen[i] = (uint16_t)wide[i];
}

void block_add_counts(const uint16_t *restrict chosen, int m, int exits, int64_t *count)
{
    for (int k = 0; k < exits; k++) {
        uint16_t exit = (uint16_t)k, sum = 0;

        for (int i = 0; i < m; i++)
            sum += chosen[i] == exit;
        count[k] += sum;
    }
}

double block_sum_loss(const float *loss, int64_t n, int64_t from, const uint16_t *restrict chosen,
                      int m, int exits)
{
    const float *row[DEER_MAX_EXITS];
    double sum[4] = {0, 0, 0, 0};
    int i = 0;

    for (int k = 0; k < exits; k++)
        row[k] = loss + k * n + from;
    for (; i + 4 <= m; i += 4)
        for (int j = 0; j < 4; j++)
            sum[j] += (double)row[chosen[i + j]][i + j];
    for (; i < m; i++)
        sum[0] += (double)row[chosen[i]][i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

double block_sum_cost(const double *cost, const uint16_t *group, int exits,
                      const uint16_t *restrict chosen, int m)
{
    double sum[2] = {0, 0};

    for (int i = 0; i < m; i++)
        sum[i & 1] += cost[group[i] * exits + chosen[i]];
    return sum[0] + sum[1];
}

static int block_size(const steps *s, int64_t from)
{
    return (int)(s->n - from < BLOCK ? s->n - from : BLOCK);
}

void steps_evaluate(const steps *s, const float *tau, int max_exit, evaluation *e)
{
    uint16_t chosen[BLOCK];
    double loss = 0, cost = 0;

    memset(e, 0, sizeof *e);
    for (int64_t from = 0; from < s->n; from += BLOCK) {
        int m = block_size(s, from);

        block_exits(s, tau, max_exit, from, m, chosen);
        block_add_counts(chosen, m, max_exit + 1, e->count);
        loss += block_sum_loss(s->loss, s->n, from, chosen, m, max_exit + 1);
        if (s->groups > 1)
            cost += block_sum_cost(s->cost, s->group + from, s->exits, chosen, m);
    }
    for (int k = 0; k <= max_exit; k++) {
        e->fraction[k] = (double)e->count[k] / (double)s->n;
        if (s->groups == 1)
            cost += (double)e->count[k] * s->cost[k];
    }
    e->cost = cost / (double)s->n;
    e->loss = loss / (double)s->n;
}

double steps_mean_cost(const steps *s, const double *cost, const float *tau, int max_exit)
{
    uint16_t chosen[BLOCK];
    double sum = 0;

    for (int64_t from = 0; from < s->n; from += BLOCK) {
        int m = block_size(s, from);

        block_exits(s, tau, max_exit, from, m, chosen);
        sum += block_sum_cost(cost, s->group + from, s->exits, chosen, m);
    }
    return sum / (double)s->n;
}
