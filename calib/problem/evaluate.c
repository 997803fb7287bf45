/* SPDX-License-Identifier: MIT */
/* evaluate.c - what candidate thresholds do, in one pass over the columns (declared in steps.h).
 *
 * Steps are taken in blocks that stay in the first-level cache. Exits are visited from the deepest
 * allowed to the first, each overwriting the choice where its delta passes: no branches, so the
 * compiler makes vector code of it. */
#include <string.h>

#include "calib/cluster/cluster.h"
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

enum { APART = 4, FEW_BINS = 256 };

/* Neighbours often fall into the same bin of few, and would wait for one another: each of four in
 * turn has its own. */
static void add_apart(const uint16_t *restrict bin, int m, int bins, int64_t *restrict count)
{
    int32_t part[APART][FEW_BINS];

    memset(part, 0, sizeof part);
    for (int i = 0; i + APART <= m; i += APART)
        for (int j = 0; j < APART; j++)
            part[j][bin[i + j]]++;
    for (int i = m / APART * APART; i < m; i++)
        part[0][bin[i]]++;
    for (int j = 0; j < APART; j++)
        for (int b = 0; b < bins; b++)
            count[b] += part[j][b];
}

void block_add_group_counts(const uint16_t *restrict group, const uint16_t *restrict chosen, int m,
                            int groups, int exits, int64_t *restrict count)
{
    uint16_t bin[BLOCK];

    for (int i = 0; i < m; i++)
        bin[i] = (uint16_t)(group[i] * exits + chosen[i]);
    if (groups * exits <= FEW_BINS)
        add_apart(bin, m, groups * exits, count);
    else
        for (int i = 0; i < m; i++)
            count[bin[i]]++;
}

double block_cost(const double *cost, const int64_t *count, int groups, int exits)
{
    double sum = 0;

    for (int i = 0; i < groups * exits; i++)
        sum += (double)count[i] * cost[i];
    return sum;
}

static int block_size(const steps *s, int64_t from)
{
    return (int)(s->n - from < BLOCK ? s->n - from : BLOCK);
}

/* How many steps of each group take each exit, count [groups, exits], of all ranks; adds their
 * losses to *loss, unless that is NULL. */
static void count_steps(const steps *s, const float *tau, int max_exit, int64_t *count,
                        double *loss)
{
    uint16_t chosen[BLOCK];
    int bins = s->groups * s->exits;

    memset(count, 0, (size_t)bins * sizeof *count);
    for (int64_t from = 0; from < s->n; from += BLOCK) {
        int m = block_size(s, from);

        block_exits(s, tau, max_exit, from, m, chosen);
        if (s->groups == 1)
            block_add_counts(chosen, m, max_exit + 1, count);
        else
            block_add_group_counts(s->group + from, chosen, m, s->groups, s->exits, count);
        if (loss)
            *loss += block_sum_loss(s->loss, s->n, from, chosen, m, max_exit + 1);
    }
    if (!s->spread)
        return;
    cluster_count(count, bins);
    if (loss)
        cluster_sum(loss, 1);
}

void steps_evaluate(const steps *s, const float *tau, int max_exit, evaluation *e)
{
    int64_t count[s->groups * s->exits];
    double loss = 0;

    memset(e, 0, sizeof *e);
    count_steps(s, tau, max_exit, count, &loss);
    for (int g = 0; g < s->groups; g++)
        for (int k = 0; k <= max_exit; k++)
            e->count[k] += count[g * s->exits + k];
    for (int k = 0; k <= max_exit; k++)
        e->fraction[k] = (double)e->count[k] / (double)s->all;
    e->cost = block_cost(s->cost, count, s->groups, s->exits) / (double)s->all;
    e->loss = loss / (double)s->all;
}

double steps_mean_cost(const steps *s, const double *cost, const float *tau, int max_exit)
{
    int64_t count[s->groups * s->exits];

    count_steps(s, tau, max_exit, count, NULL);
    return block_cost(cost, count, s->groups, s->exits) / (double)s->all;
}

double steps_cost_at(const steps *s, const double *cost, int k)
{
    int64_t count[s->groups];
    double sum = 0;

    if (s->groups == 1)
        return cost[k];
    memset(count, 0, sizeof count);
    for (int64_t i = 0; i < s->n; i++)
        count[s->group[i]]++;
    if (s->spread)
        cluster_count(count, s->groups);
    for (int g = 0; g < s->groups; g++)
        sum += (double)count[g] * cost[g * s->exits + k];
    return sum / (double)s->all;
}
