/* SPDX-License-Identifier: MIT */
/* bench.c - deer-calib bench: the solver's speed, its methods compared, and the coverage of
 * guarantees, and which signals would help. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cli/bench/bench.h"
#include "calib/cli/commands.h"
#include "calib/criterion/score.h"
#include "calib/problem/synthetic.h"
#include "calib/problem/table_file.h"
#include "calib/solve/grid.h"
#include "calib/solve/oracle.h"
#include "calib/solve/solve.h"
#include "runtime/base/clock.h"
#include "runtime/cli/tool.h"

static deer_status make(int exits, int episodes, double useless, uint64_t seed, steps *s,
                        deer_error *err)
{
    synthetic_spec spec = synthetic_default(exits, episodes, seed);

    spec.useless = useless;
    return synthetic_make(&spec, s, err);
}

/* ---------------------------------------------------------------- speed -------------------- */

/* Milliseconds of one evaluation of cuts, the best of ten. */
static double evaluation_ms(const grid *g)
{
    double best = INFINITY, loss, cost;
    int cut[DEER_MAX_EXITS];

    for (int k = 0; k < g->exits - 1; k++)
        cut[k] = grid_quantile_cut(g, k, 0.3);
    for (int i = 0; i < 10; i++) {
        double started = clock_seconds();

        grid_evaluate(g, cut, &loss, &cost);
        best = fmin(best, 1e3 * (clock_seconds() - started));
    }
    return best;
}

static deer_status time_heuristic(const steps *s, deer_error *err)
{
    official_steps taken;
    float fractions[DEER_MAX_EXITS], tau[DEER_MAX_EXITS];
    double started = clock_seconds(), sorting;

    if (official_take(s->delta, s->n, s->exits, &taken, err))
        return DEER_FAILED;
    sorting = clock_seconds() - started;
    started = clock_seconds();
    official_fractions(OFFICIAL_EXP, 0.8, false, s->exits, fractions);
    official_thresholds(&taken, s->exits, fractions, tau);
    printf("  official thresholds %.1f ms (of which sorting, once, %.1f)\n",
           1e3 * (sorting + clock_seconds() - started), 1e3 * sorting);
    official_free(&taken);
    return DEER_OK;
}

static deer_status time_problem(int exits, int episodes, const char *save, deer_error *err)
{
    solve_spec spec = {.budget = 0.5, .max_exit = exits - 1, .seed = 1};
    solution x;
    steps s;
    grid g;
    deer_status status;

    if (make(exits, episodes, 0.4, 1, &s, err))
        return DEER_FAILED;
    status = grid_make(&s, exits - 1, &g, err);
    if (!status) {
        printf("%lld steps, %d exits\n  one candidate %.2f ms\n", (long long)s.n, exits,
               evaluation_ms(&g));
        grid_free(&g);
        status = time_heuristic(&s, err);
    }
    if (!status)
        status = solve(&s, &spec, &x, err);
    if (!status)
        printf("  complete solve %.2f s (%ld passes)\n", x.seconds, x.evaluations);
    if (!status && save)
        status = table_file_write(save, &s, NULL, err);
    steps_free(&s);
    return status;
}

static deer_status bench_speed(const char *save, deer_error *err)
{
    if (time_problem(6, 20000, NULL, err) || time_problem(24, 2000, NULL, err))
        return DEER_FAILED;
    return save ? time_problem(6, 200, save, err) : DEER_OK;
}

/* ---------------------------------------------------------------- methods ------------------ */

/* Gap closed on unseen episodes, at the cost really had there. */
static double unseen_gap(const steps *unseen, const solution *x)
{
    solve_spec same = {.max_exit = unseen->exits - 1};
    solution official;
    evaluation e;
    deer_error ignored;

    steps_evaluate(unseen, x->at.tau, x->at.max_exit, &e);
    same.budget = e.cost;
    if (solve_official_best(unseen, &same, &official, &ignored))
        return NAN;
    return oracle_gap_closed(official.at.loss, e.loss,
                             oracle_solve(unseen, x->at.max_exit, e.cost).loss);
}

/* One row of the table: seen gap / unseen gap of every method, in per cent. */
static deer_status compare_at(const steps *seen, const steps *unseen, double budget,
                              deer_error *err)
{
    solve_spec spec = {.budget = budget, .max_exit = seen->exits - 1, .seed = 1};
    double bound = oracle_solve(seen, spec.max_exit, budget).loss;
    solution official, x;
    score_verdict fitted;

    if (solve_official_best(seen, &spec, &official, err) ||
        score_judge(seen, NULL, 0, spec.max_exit, budget, &fitted, err))
        return DEER_FAILED;
    printf("%6d %7.1f", seen->exits, budget);
    for (int m = SOLVE_BEST; m <= SOLVE_NLOPT; m++) {
        spec.method = (solve_method)m;
        if (solve(seen, &spec, &x, err))
            return DEER_FAILED;
        printf("   %5.1f / %5.1f", 100 * oracle_gap_closed(official.at.loss, x.at.loss, bound),
               100 * unseen_gap(unseen, &x));
    }
    printf("   %5.1f\n", 100 * fitted.score);
    return DEER_OK;
}

static deer_status compare_world(int exits, double useless, deer_error *err)
{
    steps seen, unseen;
    deer_status status = DEER_OK;

    if (make(exits, 200, useless, 1, &seen, err))
        return DEER_FAILED;
    if (make(exits, 200, useless, 2, &unseen, err)) {
        steps_free(&seen);
        return DEER_FAILED;
    }
    for (int tenth = 3; tenth <= 7 && !status; tenth++)
        status = compare_at(&seen, &unseen, tenth / 10.0, err);
    steps_free(&seen);
    steps_free(&unseen);
    return status;
}

static deer_status bench_methods(deer_error *err)
{
    static const int exits[] = {6, 12, 24};

    for (int useless = 0; useless <= 1; useless++) {
        printf(
            "%s: gap to the oracle closed from the best official heuristic, %% (solved / unseen;\n"
            "fitted: thresholds on the loss fitted to all deltas so far, unseen)\n",
            useless ? "40% of the exits are useless" : "every exit is useful");
        printf("%6s %7s %15s %15s %15s %7s\n", "exits", "budget", "best", "coordinate", "nlopt",
               "fitted");
        for (size_t i = 0; i < 3; i++)
            if (compare_world(exits[i], useless ? 0.4 : 0, err))
                return DEER_FAILED;
        printf("\n");
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- entry -------------------- */

int calib_bench_main(int argc, char **argv)
{
    const char *what = "speed", *save = NULL, *cache = NULL;
    long draws = 300;
    double fraction = 0.4;
    const tool_option options[] = {
        {"what", TOOL_STRING, &what, "W",
         "speed (default), methods, limits, coverage, budgets, halves, signals"},
        {"draws", TOOL_INT, &draws, "N", "draws for coverage, budgets and halves (default 300)"},
        {"cache", TOOL_STRING, &cache, "DIR", "halves, signals: the feature cache to look at"},
        {"avg-fraction", TOOL_DOUBLE, &fraction, "F",
         "halves: of full depth's LLM GFLOPs (default 0.4)"},
        {"out", TOOL_FILE, &save, "FILE", "speed: keep the smallest problem as a table"},
        {"save", TOOL_RENAMED, "out", NULL, NULL},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-calib bench", "measures the solvers on made-up problems",
                               "[options]", options,
                               "deer-calib bench\n"
                               "deer-calib bench --what methods\n"
                               "deer-calib bench --what limits\n"
                               "deer-calib bench --what coverage --draws 60\n"
                               "deer-calib bench --what halves --cache own --draws 100\n"
                               "deer-calib bench --what signals --cache cache"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (draws < 1 || draws > 100000)
        return tool_usage(&self, "--draws is 1 to 100000");
    if (!(fraction > 0 && fraction <= 1))
        return tool_usage(&self, "--avg-fraction is a share of full depth, above 0 and up to 1");
    if (!cache && (!strcmp(what, "signals") || !strcmp(what, "halves")))
        return tool_usage(&self, "--what %s needs --cache", what);
    if (!strcmp(what, "speed"))
        status = bench_speed(save, &err);
    else if (!strcmp(what, "methods"))
        status = bench_methods(&err);
    else if (!strcmp(what, "limits"))
        status = bench_limits(&err);
    else if (!strcmp(what, "coverage"))
        status = bench_coverage((int)draws, &err);
    else if (!strcmp(what, "budgets"))
        status = bench_budgets((int)draws, &err);
    else if (!strcmp(what, "halves"))
        status = bench_halves(cache, (int)draws, fraction, &err);
    else if (!strcmp(what, "signals"))
        status = bench_signals(cache, tool_cores(), &err);
    else
        return tool_usage(&self,
                          "'%s' is no value for --what; there are: speed, methods, limits, "
                          "coverage, budgets, halves, signals",
                          what);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
