/* SPDX-License-Identifier: MIT */
/* budgets.c - deer-calib bench --what budgets: how much of a guaranteed budget is used. */
#include "calib/cli/bench/bench.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "calib/guarantee/guarantee.h"
#include "calib/problem/synthetic.h"
#include "calib/solve/solve.h"
#include "runtime/base/threads/jobs.h"

enum { EXITS = 6, JUDGED_ON = 4000, THREADS = 2 };

typedef struct {
    int episodes;
    double budget;
    steps other;  /* that promises are judged on */
    double *used; /* [draws] of the budget, there */
} row;

static deer_status judge(void *context, const float *tau, const bool *some, episode_sums *sums,
                         deer_error *err)
{
    (void)some;
    (void)err;
    guarantee_sum(context, tau, EXITS - 1, sums);
    return DEER_OK;
}

static deer_status promise(row *r, steps *s, const bool *for_solving, const guarantee_spec *how,
                           guarantee *g, deer_error *err)
{
    solve_spec solving = {
        .budget = r->budget, .max_exit = EXITS - 1, .method = SOLVE_COORDINATE, .seed = 1};
    steps part;
    solution x;
    deer_status status = steps_select(s, for_solving, &part, err);

    if (status)
        return status;
    status = solve(&part, &solving, &x, err);
    if (!status)
        status = guarantee_choose(how, &part, &x.at, s->episodes, for_solving, judge, s, g, err);
    steps_free(&part);
    return status;
}

static deer_status one_draw(row *r, int number, deer_error *err)
{
    synthetic_spec spec = synthetic_default(EXITS, r->episodes, 1000 + (uint64_t)number);
    guarantee_spec how = {.confidence = 0.9,
                          .budget = r->budget,
                          .deviation = INFINITY,
                          .longest = spec.longest,
                          .share = GUARANTEE_SHARE,
                          .seed = 1 + (uint64_t)number};
    bool *for_solving = calloc((size_t)r->episodes, sizeof *for_solving);
    evaluation there;
    guarantee g;
    steps s = {0};
    deer_status status = for_solving ? synthetic_make(&spec, &s, err)
                                     : deer_fail(err, "out of memory for %d episodes", r->episodes);

    if (!status)
        status = guarantee_split(&how, r->episodes, for_solving, err);
    if (!status)
        status = promise(r, &s, for_solving, &how, &g, err);
    if (!status) {
        steps_evaluate(&r->other, g.at.tau, EXITS - 1, &there);
        r->used[number] = there.cost / r->budget;
    }
    steps_free(&s);
    free(for_solving);
    return status;
}

static deer_status draw_all(jobs *all, void *context, deer_error *err)
{
    deer_status status = DEER_OK;

    for (int i; !status && (i = jobs_next(all)) >= 0;)
        status = one_draw(context, i, err);
    return status;
}

static void print_row(const row *r, int draws)
{
    double sum = 0, least = INFINITY;
    int broken = 0;

    for (int i = 0; i < draws; i++) {
        sum += r->used[i];
        least = fmin(least, r->used[i]);
        broken += r->used[i] > 1 + 1e-9;
    }
    printf("%8d %7.2f %6.1f%% %6.1f%% %7d\n", r->episodes, r->budget, 100 * sum / draws,
           100 * least, broken);
    fflush(stdout);
}

deer_status bench_budgets(int draws, deer_error *err)
{
    static const int episodes[] = {200, 1000};
    static const double budgets[] = {0.25, 0.4, 0.6};
    synthetic_spec others = synthetic_default(EXITS, JUDGED_ON, 99);
    row r = {.used = calloc((size_t)draws, sizeof *r.used)};
    deer_status status = r.used ? synthetic_make(&others, &r.other, err)
                                : deer_fail(err, "out of memory for %d draws", draws);

    printf("an average cost guaranteed with confidence 0.9, %d draws; used: on %d other episodes\n"
           "%8s %7s %7s %7s %7s\n",
           draws, JUDGED_ON, "episodes", "budget", "used", "least", "broken");
    for (int i = 0; i < 6 && !status; i++) {
        r.episodes = episodes[i / 3];
        r.budget = budgets[i % 3];
        status = jobs_run(draws, THREADS, draw_all, &r, err);
        if (!status)
            print_row(&r, draws);
    }
    steps_free(&r.other);
    free(r.used);
    return status;
}
