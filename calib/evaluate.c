/* evaluate.c - what candidate thresholds do, in one pass over the columns (declared in steps.h).
 *
 * Steps are taken in blocks that stay in the first-level cache. Exits are visited from the deepest
 * allowed to the first, each overwriting the choice where its delta passes: no branches, so the
 * compiler makes vector code of it. */
#include <string.h>

#include "calib/steps.h"

enum { BLOCK = 4096 };

/* chosen[i] = first exit of step i that passes, i < m; columns begin at `from`. */
static void block_exits(const steps *s, const float *tau, int max_exit, int64_t from, int m,
                        int32_t *restrict chosen)
{
    for (int i = 0; i < m; i++)
        chosen[i] = max_exit;
    for (int k = max_exit - 1; k >= 0; k--) {
        const float *restrict delta = s->delta + k * s->n + from;
        float threshold = tau[k];

        for (int i = 0; i < m; i++)
            chosen[i] = delta[i] <= threshold ? k : chosen[i];
    }
}

static void block_counts(const int32_t *restrict chosen, int m, int max_exit, int64_t *count)
{
    for (int k = 0; k <= max_exit; k++) {
        int32_t sum = 0;

        for (int i = 0; i < m; i++)
            sum += chosen[i] == k;
        count[k] += sum;
    }
}

static double block_loss(const steps *s, const int32_t *chosen, int64_t from, int m)
{
    double sum[4] = {0, 0, 0, 0};

    for (int i = 0; i < m; i++)
        sum[i & 3] += (double)s->loss[chosen[i] * s->n + from + i];
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static double block_cost(const steps *s, const double *cost, const int32_t *chosen, int64_t from,
                         int m)
{
    double sum = 0;

    for (int i = 0; i < m; i++)
        sum += cost[s->group[from + i] * s->exits + chosen[i]];
    return sum;
}

static int block_size(const steps *s, int64_t from)
{
    return (int)(s->n - from < BLOCK ? s->n - from : BLOCK);
}

void steps_evaluate(const steps *s, const float *tau, int max_exit, evaluation *e)
{
    int32_t chosen[BLOCK];
    double loss = 0, cost = 0;

    memset(e, 0, sizeof *e);
    for (int64_t from = 0; from < s->n; from += BLOCK) {
        int m = block_size(s, from);

        block_exits(s, tau, max_exit, from, m, chosen);
        block_counts(chosen, m, max_exit, e->count);
        loss += block_loss(s, chosen, from, m);
        if (s->groups > 1)
            cost += block_cost(s, s->cost, chosen, from, m);
    }
    for (int k = 0; k <= max_exit; k++) {
        e->fraction[k] = (double)e->count[k] / (double)s->n;
        if (s->groups == 1)
            cost += (double)e->count[k] * s->cost[k];
    }
    e->cost = cost / (double)s->n;
    e->loss = loss / (double)s->n;
}

void steps_exits(const steps *s, const float *tau, int max_exit, uint8_t *exit)
{
    int32_t chosen[BLOCK];

    for (int64_t from = 0; from < s->n; from += BLOCK) {
        int m = block_size(s, from);

        block_exits(s, tau, max_exit, from, m, chosen);
        for (int i = 0; i < m; i++)
            exit[from + i] = (uint8_t)chosen[i];
    }
}

double steps_mean_cost(const steps *s, const double *cost, const float *tau, int max_exit)
{
    int32_t chosen[BLOCK];
    double sum = 0;

    for (int64_t from = 0; from < s->n; from += BLOCK) {
        int m = block_size(s, from);

        block_exits(s, tau, max_exit, from, m, chosen);
        sum += block_cost(s, cost, chosen, from, m);
    }
    return sum / (double)s->n;
}
