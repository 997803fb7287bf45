/* SPDX-License-Identifier: MIT */
/* worlds.c - draws from made-up worlds, and the orders they may be stored in. */
#include "calib/guarantee/worlds.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/guarantee/guarantee.h"
#include "runtime/base/random.h"

const world worlds[] = {
    {"tasks", 10, -2, 2, 0.3, 0.5, 0, {4, 4}, {10, 10}, 0, false},
    {"balanced tasks", 10, -2, 2, 0.3, 0.5, 0, {4, 4}, {10, 10}, 0, true},
    {"two kinds", 2, -2.5, 3, 0.1, 0.1, 0, {5, 5}, {5, 5}, 0.5, false},
    {"1 or 120 steps", 2, -1, 1, 0.3, 0.5, 0, {1, 120}, {1, 120}, 0.5, false},
    {"rare and long", 2, -1, 1.8, 0.3, 0.5, 0, {5, 150}, {15, 150}, 0.02, false},
    {"heavy tails", 1, 0, 0, 0.5, 0.5, 1.5, {5, 5}, {20, 20}, 0, false},
    {"all alike", 1, 0, 0, 0, 0, 0, {10, 10}, {10, 10}, 0, false},
};
const int n_worlds = sizeof worlds / sizeof *worlds;

/* ---------------------------------------------------------------- drawing ------------------ */

/* Student's t with `freedom` degrees, 0: normal. Source: Bailey 1994, the polar form. */
static double jump(double freedom, uint64_t *random)
{
    double u, v;

    if (!(freedom > 0))
        return random_normal(random);
    u = 1 - random_unit(random);
    v = random_unit(random);
    return sqrt(freedom * (pow(u, -2 / freedom) - 1)) * cos(6.283185307179586 * v);
}

static int draw_task(const world *w, int episode, uint64_t *random)
{
    double u = random_unit(random);

    if (w->rare > 0)
        return u < w->rare;
    return w->balanced ? episode % w->tasks : (int)(u * w->tasks);
}

static void draw_step(double difficulty, bool noisy, uint64_t *random, steps *s, int64_t i)
{
    double hard = fmin(difficulty, 8), spread = noisy ? 1 : 0;

    for (int k = 0; k < s->exits; k++) {
        double left = exp(hard) * exp(-0.7 * (k + 1) / (1 + 0.4 * exp(0.6 * hard)));
        double loss = 0.05 * left * exp(0.3 * spread * random_normal(random));

        s->loss[k * s->n + i] = (float)fmin(loss, WORLD_LARGEST_LOSS);
        s->delta[k * s->n + i] = (float)(0.1 * left * exp(0.5 * spread * random_normal(random)));
    }
}

static void draw_episode(const world *w, int task, int length, uint64_t *random, steps *s,
                         int64_t first)
{
    double share = w->tasks > 1 ? (double)task / (w->tasks - 1) : 0;
    double mean = w->easiest + share * (w->hardest - w->easiest) + w->among * random_normal(random);

    for (int i = 0; i < length; i++)
        draw_step(mean + w->within * jump(w->tail, random), w->within > 0, random, s, first + i);
}

static deer_status allocate(const world *w, int episodes, uint64_t *random, int *length,
                            world_sample *d, deer_error *err)
{
    int64_t n = 0, row = 0;

    d->task = malloc((size_t)episodes * sizeof *d->task);
    if (!d->task)
        return deer_fail(err, "out of memory for %d episodes", episodes);
    for (int e = 0; e < episodes; e++) {
        bool other = (d->task[e] = draw_task(w, e, random)) > 0;
        int shortest = w->shortest[other], longest = w->longest[other];

        n += length[e] = shortest + (int)(random_unit(random) * (longest - shortest + 1));
    }
    if (steps_alloc(n, WORLD_EXITS, 1, &d->s, err))
        return DEER_FAILED;
    d->s.episodes = episodes;
    for (int k = 0; k < WORLD_EXITS; k++)
        d->s.cost[k] = (k + 1.0) / WORLD_EXITS;
    for (int e = 0; e < episodes; e++)
        for (int i = 0; i < length[e]; i++)
            d->s.episode[row++] = e;
    return DEER_OK;
}

deer_status world_draw(const world *w, int episodes, uint64_t seed, world_sample *d,
                       deer_error *err)
{
    int *length = malloc((size_t)episodes * sizeof *length);
    uint64_t random = seed * 0x2545f4914f6cdd1du;
    int64_t row = 0;
    deer_status status;

    *d = (world_sample){.task = NULL};
    status = length ? allocate(w, episodes, &random, length, d, err)
                    : deer_fail(err, "out of memory for %d episodes", episodes);
    for (int e = 0; e < episodes && !status; row += length[e++])
        draw_episode(w, d->task[e], length[e], &random, &d->s, row);
    free(length);
    if (status)
        world_free(d);
    return status;
}

void world_free(world_sample *d)
{
    steps_free(&d->s);
    free(d->task);
    *d = (world_sample){.task = NULL};
}

/* ---------------------------------------------------------------- sorting ------------------ */

const char *world_order_name(world_order order)
{
    static const char *const names[] = {"as drawn", "by task", "by cost", "by length", "adverse"};

    return names[order];
}

typedef struct {
    double key;
    int episode;
} place;

static int by_key(const void *a, const void *b)
{
    const place *x = a, *y = b;

    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return x->episode - y->episode;
}

static double key_of(const world_sample *d, world_order order, double budget, int e,
                     const episode_sums *sums)
{
    switch (order) {
    case WORLD_BY_TASK:
        return d->task[e];
    case WORLD_BY_COST:
        return sums->cost / sums->steps;
    case WORLD_BY_LENGTH:
        return sums->steps;
    case WORLD_ADVERSE:
        return sums->cost - budget * sums->steps;
    default:
        return e;
    }
}

/* Copies the rows of d's episodes in the order of line. */
static void copy_in_order(const world_sample *d, const place *line, const int64_t *first,
                          world_sample *to)
{
    int64_t row = 0;

    for (int e = 0; e < d->s.episodes; e++) {
        int from = line[e].episode;

        to->task[e] = d->task[from];
        for (int64_t i = first[from]; i < first[from + 1]; i++, row++) {
            to->s.episode[row] = e;
            for (int k = 0; k < d->s.exits; k++) {
                to->s.delta[k * d->s.n + row] = d->s.delta[k * d->s.n + i];
                to->s.loss[k * d->s.n + row] = d->s.loss[k * d->s.n + i];
            }
        }
    }
}

static deer_status sort_into(const world_sample *d, world_order order, const float *tau,
                             double budget, place *line, int64_t *first, episode_sums *sums,
                             world_sample *to, deer_error *err)
{
    int episodes = d->s.episodes;

    guarantee_sum(&d->s, tau, d->s.exits - 1, sums);
    first[0] = 0;
    for (int e = 0; e < episodes; e++) {
        first[e + 1] = first[e] + sums[e].steps;
        line[e] = (place){key_of(d, order, budget, e, &sums[e]), e};
    }
    qsort(line, (size_t)episodes, sizeof *line, by_key);
    if (steps_alloc(d->s.n, d->s.exits, 1, &to->s, err))
        return DEER_FAILED;
    memcpy(to->s.cost, d->s.cost, (size_t)d->s.exits * sizeof *d->s.cost);
    to->s.episodes = episodes;
    copy_in_order(d, line, first, to);
    return DEER_OK;
}

deer_status world_sort(world_sample *d, world_order order, const float *tau, double budget,
                       deer_error *err)
{
    size_t n = (size_t)d->s.episodes;
    place *line = malloc(n * sizeof *line);
    int64_t *first = malloc((n + 1) * sizeof *first);
    episode_sums *sums = malloc(n * sizeof *sums);
    world_sample to = {.task = malloc(n * sizeof *to.task)};
    deer_status status = line && first && sums && to.task
                             ? sort_into(d, order, tau, budget, line, first, sums, &to, err)
                             : deer_fail(err, "out of memory for %zu episodes", n);

    free(line);
    free(first);
    free(sums);
    if (status) {
        world_free(&to);
        return status;
    }
    world_free(d);
    *d = to;
    return DEER_OK;
}
