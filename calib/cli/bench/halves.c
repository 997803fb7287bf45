/* SPDX-License-Identifier: MIT */
/* halves.c - deer-calib bench --what halves: how often promises made on one half of a cache's
 * episodes break on the other. */
#include "calib/cli/bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "calib/guarantee/guarantee.h"
#include "calib/problem/calibration.h"
#include "calib/solve/solve.h"
#include "runtime/base/random.h"
#include "runtime/base/threads/jobs.h"

enum { THREADS = 2 };

typedef struct {
    const steps *s;
    int longest, max_exit;
    double budget;
    double *used;  /* [draws] of the budget, on the other half; NaN where nothing was promised */
    bool *certain; /* [draws] a fixed exit, which needs no test */
} bench;

/* Half of the episodes, any of them. */
static void draw_half(int episodes, uint64_t seed, bool *chosen)
{
    int wanted = episodes / 2;
    uint64_t random = seed;

    for (int e = 0; e < episodes; e++) {
        chosen[e] = random_unit(&random) * (episodes - e) < wanted;
        wanted -= chosen[e];
    }
}

typedef struct {
    const steps *s;
    int max_exit;
} judged;

static deer_status judge(void *context, const float *tau, const bool *some, episode_sums *sums,
                         deer_error *err)
{
    const judged *j = context;

    (void)some;
    (void)err;
    guarantee_sum(j->s, tau, j->max_exit, sums);
    return DEER_OK;
}

/* As solve --confidence does: solved on a part of the half, tested on the rest. */
static deer_status promise(const bench *b, const steps *half, uint64_t seed, bool *for_solving,
                           guarantee *g, deer_error *err)
{
    solve_spec solving = {
        .budget = b->budget, .max_exit = b->max_exit, .method = SOLVE_COORDINATE, .seed = 1};
    guarantee_spec how = {.confidence = 0.9,
                          .budget = b->budget,
                          .deviation = INFINITY,
                          .longest = b->longest,
                          .share = GUARANTEE_SHARE,
                          .seed = seed};
    judged whole = {half, b->max_exit};
    steps part;
    solution x;
    deer_status status = guarantee_split(&how, half->episodes, for_solving, err);

    if (!status)
        status = steps_select(half, for_solving, &part, err);
    if (status)
        return status;
    status = solve(&part, &solving, &x, err);
    if (!status)
        status = guarantee_choose(&how, &part, &x.at, half->episodes, for_solving, judge, &whole, g,
                                  err);
    steps_free(&part);
    return status;
}

static deer_status judge_draw(const bench *b, int number, bool *chosen, bool *scratch,
                              deer_error *err)
{
    int episodes = b->s->episodes;
    evaluation there;
    guarantee g;
    steps half, other;
    deer_status status;

    draw_half(episodes, 1 + (uint64_t)number, chosen);
    if (steps_select(b->s, chosen, &half, err))
        return DEER_FAILED;
    status = promise(b, &half, 1 + (uint64_t)number, scratch, &g, err);
    steps_free(&half);
    b->used[number] = NAN;
    if (status)
        return status == DEER_INFEASIBLE ? DEER_OK : status;
    for (int e = 0; e < episodes; e++)
        chosen[e] = !chosen[e];
    if (steps_select(b->s, chosen, &other, err))
        return DEER_FAILED;
    steps_evaluate(&other, g.at.tau, b->max_exit, &there);
    steps_free(&other);
    b->used[number] = there.cost / b->budget;
    b->certain[number] = g.certain;
    return DEER_OK;
}

static deer_status draw_all(jobs *all, void *context, deer_error *err)
{
    const bench *b = context;
    size_t episodes = (size_t)b->s->episodes;
    bool *flags = malloc(2 * episodes * sizeof *flags + 1);
    deer_status status =
        flags ? DEER_OK : deer_fail(err, "out of memory for %zu episodes", episodes);

    for (int i; !status && (i = jobs_next(all)) >= 0;)
        status = judge_draw(b, i, flags, flags + episodes, err);
    free(flags);
    return status;
}

static void print(const bench *b, int draws)
{
    double sum = 0;
    int broken = 0, refused = 0, certain = 0;

    for (int i = 0; i < draws; i++) {
        if (isnan(b->used[i])) {
            refused++;
            continue;
        }
        sum += b->used[i];
        certain += b->certain[i];
        broken += b->used[i] > 1 + 1e-9;
    }
    printf("%8s %8s %8s %8s %8s %8s\n%8d %8d %8d %8d %8d %7.1f%%\n", "episodes", "draws", "broken",
           "refused", "certain", "used", b->s->episodes, draws, broken, refused, certain,
           draws > refused ? 100 * sum / (draws - refused) : NAN);
}

static deer_status bench_steps(const cache *c, const steps *s, int draws, double fraction,
                               deer_error *err)
{
    bench b = {.s = s, .longest = cache_longest(&c->about), .max_exit = s->exits - 1};
    deer_status status;

    b.budget = fraction * steps_fixed_cost(s, b.max_exit);
    b.used = calloc((size_t)draws, sizeof *b.used);
    b.certain = calloc((size_t)draws, sizeof *b.certain);
    printf("an average of %.3g GFLOPs (llm), %.3g%% of full depth, promised with confidence 0.9 on "
           "random halves of\nthe episodes, and what it is on the others\n",
           b.budget, 100 * fraction);
    status = b.used && b.certain ? jobs_run(draws, THREADS, draw_all, &b, err)
                                 : deer_fail(err, "out of memory for %d draws", draws);
    if (!status)
        print(&b, draws);
    free(b.certain);
    free(b.used);
    return status;
}

deer_status bench_halves(const char *dir, int draws, double fraction, deer_error *err)
{
    calibration_spec spec = {.criterion = DEER_CRITERION_L2,
                             .loss = LOSS_DEEPEST,
                             .gripper_weight = LOSS_GRIPPER_WEIGHT,
                             .scope_llm = true};
    calibration p = {.llm = NULL};
    cache *c = NULL;
    deer_status status = cache_open(dir, &c, err);

    if (!status) {
        spec.max_exit = c->exits - 1;
        status = calibration_make(c, &spec, NULL, &p, err);
    }
    if (!status)
        status = bench_steps(c, &p.s, draws, fraction, err);
    calibration_free(&p);
    cache_close(c);
    return status;
}
