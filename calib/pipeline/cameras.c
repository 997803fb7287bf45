/* SPDX-License-Identifier: MIT */
/* cameras.c - a grid of ages and rho, and what of it is worth solving for. */
#include "calib/pipeline/cameras.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RHOS = 6, ONE = CACHE_AGES + RHOS, PAIRS = ONE * ONE };

/* Rules of change are tried where so large a share of a camera's steps differs by less from the
 * step before: mostly small ones, for a picture that hardly changed is nearly as good as new. */
static const double quantile[RHOS] = {0.05, 0.1, 0.15, 0.25, 0.5, 0.75};

/* A rule of one camera, the other one being fresh. */
typedef struct {
    deer_camera_rule rule;
    double encoded, loss;
} single;

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;

    return (x > y) - (x < y);
}

/* Quantiles of a camera's change over one step. */
static deer_status find_rhos(const cache *c, const bool *some, int view, float rho[RHOS],
                             deer_error *err)
{
    int oldest = cache_oldest(&c->about);
    float *sorted = malloc((size_t)c->steps * sizeof *sorted);
    size_t n = 0;

    if (!sorted)
        return deer_fail(err, "out of memory for changes");
    for (int e = 0; e < c->about.episodes; e++)
        for (int t = 1; t < c->episode[e].steps && (!some || some[e]); t++)
            sorted[n++] = c->change[(2 * (c->episode[e].first + t) + view) * oldest];
    qsort(sorted, n, sizeof *sorted, ascending);
    for (int i = 0; i < RHOS; i++)
        rho[i] = n ? sorted[(size_t)(quantile[i] * (double)(n - 1))] : INFINITY;
    free(sorted);
    return DEER_OK;
}

/* The largest change over up to `age` steps: rules by age alone encode sooner only when a picture
 * changes by more than it ever did here, as when a camera is covered or moved. */
static float largest_change(const cache *c, const bool *some, int view, int age)
{
    int oldest = cache_oldest(&c->about);
    float most = 0;

    for (int e = 0; e < c->about.episodes; e++)
        for (int t = 1; t < c->episode[e].steps && (!some || some[e]); t++)
            for (int a = 1; a <= age && a <= t; a++)
                most =
                    fmaxf(most, c->change[(2 * (c->episode[e].first + t) + view) * oldest + a - 1]);
    return most;
}

/* What encodings and losses a camera's rule makes with every step at the deepest exit. */
static deer_status judge_single(cache *c, const deer_model *model, const onpolicy_spec *how,
                                int view, cache_eyes *eyes, single *x, deer_error *err)
{
    const history_rule rule = {.kind = HISTORY_FULL,
                               .max_exit = how->problem.max_exit,
                               .criterion = how->problem.criterion,
                               .episodes = how->episodes};
    deer_camera_rules rules = {.stagger = 0};
    calibration_actions a;
    calibration p;
    eyes_view seen;
    deer_status status;

    *(view ? &rules.gripper_view : &rules.static_view) = x->rule;
    eyes_follow(c, &rules, eyes, &seen);
    x->encoded = seen.encoded[view];
    c->eyes = eyes;
    status = history_replay(c, model, &rule, how->threads, &a, err);
    if (!status)
        status = calibration_make(c, &how->problem, &a, &p, err);
    calibration_actions_free(&a);
    c->eyes = NULL;
    if (status)
        return status;
    x->loss = 0;
    for (int64_t i = 0; i < p.s.n; i++)
        x->loss += (double)p.s.loss[how->problem.max_exit * p.s.n + i] / (double)p.s.n;
    calibration_free(&p);
    return DEER_OK;
}

/* Every age alone, and the oldest with each rho. */
static deer_status judge_camera(cache *c, const deer_model *model, const onpolicy_spec *how,
                                int view, cache_eyes *eyes, single list[ONE], int *n,
                                deer_error *err)
{
    const cache_manifest *m = &c->about;
    float rho[RHOS] = {0};
    deer_status status = find_rhos(c, how->episodes, view, rho, err);

    *n = 0;
    for (int i = 0; i < m->ages[view]; i++)
        list[(*n)++] = (single){
            .rule = {m->age[view][i], largest_change(c, how->episodes, view, m->age[view][i])}};
    for (int i = 0; i < RHOS && m->ages[view] > 1; i++)
        list[(*n)++] = (single){.rule = {m->age[view][m->ages[view] - 1], rho[i]}};
    for (int i = 0; i < *n && !status; i++)
        status = judge_single(c, model, how, view, eyes, &list[i], err);
    return status;
}

/* Both at each place; fresh cameras that are staggered are encoded whenever anything changes. */
static deer_camera_rule staggered(deer_camera_rule rule)
{
    return rule.age ? rule : (deer_camera_rule){1, 0};
}

static camera_choice pair_of(const single *a, const single *b, bool stagger)
{
    camera_choice x = {.rules = {a->rule, b->rule, stagger},
                       .encoded = a->encoded + b->encoded,
                       .loss = a->loss + b->loss};

    if (stagger) {
        x.rules.static_view = staggered(a->rule);
        x.rules.gripper_view = staggered(b->rule);
    }
    return x;
}

static int by_encodings(const void *a, const void *b)
{
    const camera_choice *x = a, *y = b;

    return x->encoded != y->encoded ? (x->encoded > y->encoded) - (x->encoded < y->encoded)
                                    : (x->loss > y->loss) - (x->loss < y->loss);
}

/* Drops what another one beats in both; ascending in encodings, falling in loss. */
static int keep_unbeaten(camera_choice *list, int n)
{
    int kept = 0;

    qsort(list, (size_t)n, sizeof *list, by_encodings);
    for (int i = 0; i < n; i++)
        if (!kept || list[i].loss < list[kept - 1].loss)
            list[kept++] = list[i];
    return kept;
}

deer_status cameras_propose(cache *c, const deer_model *model, const onpolicy_spec *how,
                            bool stagger, cache_eyes *eyes, camera_choice choice[CAMERA_CHOICES],
                            int *n, deer_error *err)
{
    single list[2][ONE];
    camera_choice pairs[PAIRS];
    int count[2], all = 0;

    for (int view = 0; view < 2; view++)
        if (judge_camera(c, model, how, view, eyes, list[view], &count[view], err))
            return DEER_FAILED;
    for (int i = 0; i < count[0]; i++)
        for (int j = 0; j < count[1]; j++)
            pairs[all++] = pair_of(&list[0][i], &list[1][j], stagger);
    all = keep_unbeaten(pairs, all);
    *n = all < CAMERA_CHOICES ? all : CAMERA_CHOICES;
    for (int i = 0; i < *n; i++) /* evenly among them, the first and the last included */
        choice[i] = pairs[*n > 1 ? i * (all - 1) / (*n - 1) : 0];
    return DEER_OK;
}
