/* SPDX-License-Identifier: MIT */
/* coverage.c - deer-calib bench --what coverage. */
#include "calib/cli/bench/bench.h"

#include <math.h>
#include <stdio.h>

#include "calib/guarantee/coverage.h"

enum { JUDGED_ON = 20000, THREADS = 2 };

static void print_result(const coverage_spec *spec, const char *what, const coverage_result *r)
{
    printf("%-16s %8d  %-9s  %-14s %6.1f%% %8.1f%% %8d %8d\n", spec->world->name, spec->episodes,
           world_order_name(spec->order), what, 100.0 * r->broken / spec->draws, 100 * r->used,
           r->refused, r->certain);
    fflush(stdout);
}

static deer_status print_row(coverage_spec *spec, const char *what, deer_error *err)
{
    coverage_result r;
    deer_status status;

    spec->threads = THREADS;
    status = coverage_run(spec, &r, err);

    if (!status)
        print_result(spec, what, &r);
    return status;
}

/* An average cost of a half, in every order. */
static deer_status print_orders(const world *w, int episodes, int draws, deer_error *err)
{
    deer_status status = DEER_OK;

    for (int order = 0; order < WORLD_ORDERS && !status; order++) {
        coverage_spec spec = {.world = w,
                              .order = (world_order)order,
                              .episodes = episodes,
                              .draws = draws,
                              .judged_on = JUDGED_ON,
                              .confidence = 0.9,
                              .budget = 0.5,
                              .deviation = INFINITY};

        status = print_row(&spec, "cost", err);
    }
    return status;
}

/* What else can be promised, of the world of ten tasks, stored in the worst order. */
static deer_status print_others(int episodes, int draws, deer_error *err)
{
    static const double mix[] = {0.02, 0.02, 0.02, 0.02, 0.02, 0.1, 0.2, 0.2, 0.2, 0.2};
    const coverage_spec cost = {.world = &worlds[0],
                                .order = WORLD_ADVERSE,
                                .episodes = episodes,
                                .draws = draws,
                                .judged_on = JUDGED_ON,
                                .confidence = 0.9,
                                .budget = 0.5,
                                .deviation = INFINITY};
    coverage_spec loss = cost, each = cost, mixed = cost, t = cost, crc = cost;

    loss.budget = INFINITY;
    loss.deviation = 0.03;
    each.per_task = true;
    mixed.mix = mix;
    t.bound = BOUND_T;
    crc.bound = BOUND_CRC;
    crc.confidence = 0;
    return print_row(&loss, "loss", err) || print_row(&each, "cost, per task", err) ||
                   print_row(&mixed, "cost, a mix", err) || print_row(&t, "cost, t", err) ||
                   print_row(&crc, "cost, crc", err)
               ? DEER_FAILED
               : DEER_OK;
}

deer_status bench_coverage(int draws, deer_error *err)
{
    static const int sizes[] = {30, 100, 400};
    deer_status status = DEER_OK;

    printf("guarantees with confidence 0.9, each from %d draws of so many episodes; broken: on %d "
           "other episodes\n%-16s %8s  %-9s  %-14s %7s %9s %8s %8s\n",
           draws, JUDGED_ON, "world", "episodes", "stored", "guaranteed", "broken", "used",
           "refused", "certain");
    for (int w = 0; w < n_worlds && !status; w++)
        for (int i = 0; i < 3 && !status; i++)
            status = print_orders(&worlds[w], sizes[i], draws, err);
    for (int i = 0; i < 3 && !status; i++)
        status = print_others(sizes[i], draws, err);
    return status;
}
