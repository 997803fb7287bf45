/* SPDX-License-Identifier: MIT */
/* split.c - two parts of the episodes, and what thresholds come to in each episode. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "calib/guarantee/guarantee.h"
#include "runtime/base/random.h"
#include "runtime/base/tau.h"

bool guarantee_asked(const guarantee_spec *spec)
{
    return spec->confidence > 0 || spec->bound == BOUND_CRC;
}

bool guarantee_asked_together(const guarantee_spec *spec)
{
    return spec->confidence > 0 && spec->bound != BOUND_CRC;
}

/* ---------------------------------------------------------------- splitting ---------------- */

typedef struct {
    uint64_t kind, key; /* drawn for its kind, and for itself */
    int episode;
} ticket;

static int by_kind_and_key(const void *a, const void *b)
{
    const ticket *x = a, *y = b;

    if (x->kind != y->kind)
        return x->kind < y->kind ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

static ticket draw_ticket(const guarantee_spec *spec, int episode, uint64_t *state)
{
    uint64_t of_kind = spec->seed ^ (spec->stratum ? (uint64_t)spec->stratum[episode] << 32 : 0);

    return (ticket){random_next(&of_kind), random_next(state), episode};
}

/* Episodes stand in line, those of a kind together, in an order drawn for kinds and within them.
 * From a place drawn at random every so-many-th one is for solving: each is as likely as any other,
 * and each kind, and all together, are shared as evenly as whole episodes allow. The order in which
 * they are stored decides nothing. */
deer_status guarantee_split(const guarantee_spec *spec, int episodes, bool *for_solving,
                            deer_error *err)
{
    ticket *line = malloc((size_t)episodes * sizeof *line + 1);
    uint64_t state = spec->seed;
    double due = random_unit(&state);

    if (!line)
        return deer_fail(err, "out of memory for %d episodes", episodes);
    for (int e = 0; e < episodes; e++)
        line[e] = draw_ticket(spec, e, &state);
    qsort(line, (size_t)episodes, sizeof *line, by_kind_and_key);
    for (int i = 0; i < episodes; i++) {
        due += spec->share;
        for_solving[line[i].episode] = due >= 1;
        due -= due >= 1;
    }
    free(line);
    if (episodes < 4)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "%d episodes are too few to promise anything about others", episodes);
    return DEER_OK;
}

/* ---------------------------------------------------------------- sums --------------------- */

/* Every rank's episodes in their places: they lie together. */
static void share_sums(const steps *s, episode_sums *sums)
{
    int first = s->n ? s->episode[0] : 0, behind = s->n ? s->episode[s->n - 1] + 1 : 0;

    cluster_place(sums, sizeof *sums, first, behind - first);
}

void guarantee_sum(const steps *s, const float *tau, int max_exit, episode_sums *sums)
{
    memset(sums, 0, (size_t)s->episodes * sizeof *sums);
    for (int64_t i = 0; i < s->n; i++) {
        episode_sums *e = &sums[s->episode[i]];
        int k = tau_exit(s->delta + i, s->n, tau, max_exit);
        float loss = s->loss[k * s->n + i];

        e->cost += s->cost[s->group[i] * s->exits + k];
        e->loss += (double)loss;
        e->largest_loss = fmaxf(e->largest_loss, loss);
        e->steps++;
    }
    if (s->spread)
        share_sums(s, sums);
}
