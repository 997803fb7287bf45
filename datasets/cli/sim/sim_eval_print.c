/* SPDX-License-Identifier: MIT */
/* sim_eval_print.c - what an evaluation found: tables for people, JSON for programs. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "datasets/cli/sim/sim_evaluation.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/random.h"
#include "runtime/deer_replay.h"

/* ---------------------------------------------------------------- sums --------------------- */

static long steps_at(const tally *t, int exit)
{
    long n = 0;

    for (int p = 0; p < TABLETOP_PHASES; p++)
        n += t->exits[p][exit];
    return n;
}

static long steps_in(const tally *t, int phase)
{
    long n = 0;

    for (int k = 0; k < DEER_MAX_EXITS; k++)
        n += t->exits[phase][k];
    return n;
}

/* Mean exit, numbered from 0; NAN without steps. */
static double mean_exit(const long *exits)
{
    double sum = 0, n = 0;

    for (int k = 0; k < DEER_MAX_EXITS; k++) {
        sum += (double)exits[k] * k;
        n += (double)exits[k];
    }
    return n > 0 ? sum / n : NAN;
}

static double mean_exit_of(const tally *t)
{
    long exits[DEER_MAX_EXITS];

    for (int k = 0; k < DEER_MAX_EXITS; k++)
        exits[k] = steps_at(t, k);
    return mean_exit(exits);
}

/* Share of chains in which at least n instructions succeeded. */
static double in_a_row(const evaluation *e, int n)
{
    int count = 0;

    for (int i = n; i <= TABLETOP_CHAIN; i++)
        count += e->reached[i];
    return (double)count / e->chains;
}

static double average_length(const int *reached, int chains)
{
    double sum = 0;

    for (int i = 1; i <= TABLETOP_CHAIN; i++)
        sum += (double)i * reached[i];
    return sum / chains;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

/* 95% percentile bootstrap over chains, from a fixed seed. */
static void length_interval(const evaluation *e, double *low, double *high)
{
    enum { DRAWS = 2000 };
    static double mean[DRAWS];
    uint64_t random = 1;

    for (int d = 0; d < DRAWS; d++) {
        int drawn[TABLETOP_CHAIN + 1] = {0};
        for (int i = 0; i < e->chains; i++) {
            int at = random_below(&random, e->chains), length = 0;
            while (at >= e->reached[length])
                at -= e->reached[length++];
            drawn[length]++;
        }
        mean[d] = average_length(drawn, e->chains);
    }
    qsort(mean, DRAWS, sizeof *mean, ascending);
    *low = mean[DRAWS * 25 / 1000];
    *high = mean[DRAWS * 975 / 1000 - 1];
}

const double eval_factors[EVAL_FACTORS] = {1, 1.1, 1.25, 1.4, 1.6, 1.8, 2, 2.5, 3};

int evaluation_factors(const evaluation *e)
{
    int n = 0;

    while (!e->chains && n < EVAL_FACTORS && !(e->strict > 0 && eval_factors[n] > e->strict))
        n++;
    return n;
}

double evaluation_in_time(const evaluation *e, double factor)
{
    int n = 0;

    for (int i = 0; i < e->n_outcomes; i++) {
        const eval_outcome *o = &e->outcome[i];
        n += o->succeeded && !o->harm && o->steps <= rollout_allowed(factor, o->expert_steps);
    }
    return (double)n / e->n_outcomes;
}

void evaluation_times(const evaluation *e, double *median, double *p90)
{
    double *times = e->room;
    int n = 0;

    *median = *p90 = NAN;
    for (int i = 0; i < e->n_outcomes; i++)
        if (e->outcome[i].succeeded && e->outcome[i].expert_steps > 0)
            times[n++] = (double)e->outcome[i].steps / e->outcome[i].expert_steps;
    if (n) {
        qsort(times, (size_t)n, sizeof *times, ascending);
        *median = (times[(n - 1) / 2] + times[n / 2]) / 2;
        *p90 = times[(9 * n + 9) / 10 - 1];
    }
}

/* Share of steps that encoded a camera. */
static double encoded(const tally *t, int view)
{
    return (double)t->encoded[view] / (double)t->steps;
}

bool evaluation_has_rules(const evaluation *e)
{
    const deer_camera_rules *r = deer_thresholds_cameras(e->thresholds);

    return e->by_views[0] || (r && (r->static_view.age || r->gripper_view.age));
}

deer_status evaluation_usage(const evaluation *e, usage *use, deer_error *err)
{
    size_t n = (size_t)e->n_outcomes;
    double *sum = calloc(2 * n, sizeof *sum), *steps = sum + n;
    bool llm = deer_thresholds_budget_is_llm(e->thresholds);

    if (!sum)
        return deer_fail(err, "out of memory for %zu rollouts", n);
    for (size_t i = 0; i < n; i++) {
        sum[i] = llm ? e->outcome[i].llm : e->outcome[i].total;
        steps[i] = e->outcome[i].steps;
    }
    *use = usage_of(e->thresholds, e->policy->govern, sum, steps, n);
    free(sum);
    return DEER_OK;
}

/* ---------------------------------------------------------------- JSON --------------------- */

static json_t *exit_fractions(const tally *t, int exits)
{
    json_t *list = json_array();

    for (int k = 0; k < exits; k++)
        json_push(list, json_real((double)steps_at(t, k) / (double)t->steps));
    return list;
}

/* What it cost only where that was counted: of another program's policy nothing is known. */
static json_t *tally_json(const tally *t, bool counted)
{
    double low, high;
    json_t *json;

    wilson_interval(t->successes, t->rollouts, &low, &high);
    json = json_pack("{s:f, s:f, s:f, s:i}", "success", (double)t->successes / t->rollouts, "low",
                     low, "high", high, "rollouts", t->rollouts);
    if (counted) {
        json_put(json, "llm_gflops", json_real(t->llm / (double)t->steps));
        json_put(json, "total_gflops", json_real(t->total / (double)t->steps));
    }
    return json;
}

static void add_chains_json(const evaluation *e, json_t *root)
{
    json_t *list = json_array();
    double low, high;

    for (int n = 1; n <= TABLETOP_CHAIN; n++)
        json_push(list, json_real(in_a_row(e, n)));
    length_interval(e, &low, &high);
    json_put(root, "chains", json_integer(e->chains));
    json_put(root, "in_a_row", list);
    json_put(root, "avg_length", json_real(average_length(e->reached, e->chains)));
    json_put(root, "avg_length_low", json_real(low));
    json_put(root, "avg_length_high", json_real(high));
}

static json_t *counts_json(const long *counts, int exits)
{
    json_t *list = json_array();

    for (int k = 0; k < exits; k++)
        json_push(list, json_integer(counts[k]));
    return list;
}

static json_t *phases_json(const tally *t, int exits)
{
    json_t *phases = json_object();

    for (int p = 0; p < TABLETOP_PHASES; p++)
        json_put(phases, tabletop_phase_name((tabletop_phase)p), counts_json(t->exits[p], exits));
    return phases;
}

/* A row for each exit: what followed it. */
static json_t *follows_json(const tally *t, int exits)
{
    json_t *rows = json_array();

    for (int k = 0; k < exits; k++)
        json_push(rows, counts_json(t->follows[k], exits));
    return rows;
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

/* How fast it was, against the expert, and what success is when time counts. */
static void add_time_json(const evaluation *e, json_t *root)
{
    json_t *curve = json_array();
    double median, p90;

    evaluation_times(e, &median, &p90);
    json_put(root, "strict", number_or_null(e->strict > 0 ? e->strict : NAN));
    json_put(root, "time_median", number_or_null(median));
    json_put(root, "time_p90", number_or_null(p90));
    for (int i = 0; i < evaluation_factors(e); i++)
        json_push(curve, json_pack("{s:f, s:f}", "factor", eval_factors[i], "success",
                                   evaluation_in_time(e, eval_factors[i])));
    if (!e->chains)
        json_put(root, "in_time", curve);
    else
        json_decref(curve);
}

static json_t *outcome_json(const evaluation *e, const eval_outcome *o)
{
    json_t *json = json_pack("{s:s, s:i, s:b, s:i}", "task", tabletop_task_name(o->task),
                             e->chains ? "row" : "number", o->number, "success", (int)o->succeeded,
                             "steps", o->steps);

    json_put(json, "expert_steps", o->expert_steps ? json_integer(o->expert_steps) : json_null());
    json_put(json, "harm", o->harm ? json_string(tabletop_harm_name(o->harm)) : json_null());
    if (e->model) {
        json_put(json, "llm_gflops", json_real(o->llm));
        json_put(json, "total_gflops", json_real(o->total));
    }
    return json;
}

static json_t *outcomes_json(const evaluation *e)
{
    json_t *list = json_array();

    for (int i = 0; i < e->n_outcomes; i++)
        json_push(list, outcome_json(e, &e->outcome[i]));
    return list;
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

/* What was judged, and from which starts. A policy without thresholds always takes one exit. */
static void add_conditions_json(const evaluation *e, json_t *root)
{
    bool fixed = e->model && !e->thresholds_file && !e->exits;

    json_put(root, "seed", json_integer((json_int_t)e->seed));
    json_put(root, "noise", json_real(e->noise));
    json_put(root, "light", json_real(e->light > 0 ? e->light : 1));
    json_put(root, "split", json_string(e->split == TABLETOP_UNSEEN ? "unseen" : "seen"));
    json_put(root, "model_fingerprint",
             text_or_null(e->model ? deer_model_fingerprint(e->model) : NULL));
    json_put(root, "weights", text_or_null(e->model ? deer_model_type(e->model) : NULL));
    json_put(root, "exit",
             fixed ? json_integer(deer_thresholds_max_exit(e->thresholds)) : json_null());
    json_put(root, "policy", text_or_null(e->remote));
    json_put(root, "thresholds", text_or_null(e->thresholds_file));
    json_put(root, "exits", text_or_null(e->exits));
    json_put(root, "random_cameras", text_or_null(e->evenly ? NULL : e->cameras_file));
    json_put(root, "even_cameras", text_or_null(e->evenly ? e->cameras_file : NULL));
}

/* What only a policy has. */
static void add_policy_json(const evaluation *e, json_t *root)
{
    const deer_config *config = deer_model_config(e->model);
    const tally *t = &e->all;
    deer_cost deepest;
    uint64_t bytes;

    deer_cost_of(config, config->max_text, deer_dtype_of(e->model), &deepest);
    bytes = deepest.exit[deer_thresholds_max_exit(e->thresholds)].memory_bytes;
    if (evaluation_has_rules(e))
        bytes += deer_session_need_reuse(config);
    json_put(root, "peak_llm_gflops", json_real(t->peak_llm));
    json_put(root, "peak_total_gflops", json_real(t->peak_total));
    if (evaluation_has_rules(e))
        json_put(root, "first_total_gflops", json_real(t->first_total));
    json_put(root, "encoded", json_pack("[f, f]", encoded(t, 0), encoded(t, 1)));
    json_put(root, "memory_bytes", json_integer((json_int_t)bytes));
    json_put(root, "ms_per_step", json_real(1e3 * t->seconds / (double)t->steps));
    json_put(root, "exit_fractions", exit_fractions(t, config->exits));
    json_put(root, "first_exits", counts_json(t->first, config->exits));
    json_put(root, "exit_follows", follows_json(t, config->exits));
    json_put(root, "phase_exits", phases_json(t, config->exits));
}

deer_status evaluation_print_json(const evaluation *e, const usage *use, deer_error *err)
{
    const tally *t = &e->all;
    json_t *root = tally_json(t, e->model != NULL), *tasks = json_object();

    for (int i = 0; i < tabletop_every_task(); i++)
        if (e->each[i].rollouts) {
            json_t *task = tally_json(&e->each[i], e->model != NULL);
            if (e->model)
                json_put(task, "mean_exit", json_real(mean_exit_of(&e->each[i])));
            json_put(tasks, tabletop_task_name(i), task);
        }
    json_put(root, "mean_steps",
             t->successes ? json_real((double)t->successful_steps / t->successes) : json_null());
    add_conditions_json(e, root);
    if (e->chains)
        add_chains_json(e, root);
    json_put(root, "budget", usage_json(use));
    if (e->model)
        add_policy_json(e, root);
    add_time_json(e, root);
    json_put(root, "tasks", tasks);
    json_put(root, "outcomes", outcomes_json(e));
    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6), err);
}

/* ---------------------------------------------------------------- tables ------------------- */

/* Costs are those of a policy in this process: a server's are on its own page, an expert has none.
 */
static void print_row(const char *name, const tally *t, bool counted)
{
    double low, high;

    wilson_interval(t->successes, t->rollouts, &low, &high);
    printf("%-28s %6d   %5.1f%%  [%5.1f, %5.1f]  ", name, t->rollouts,
           100.0 * t->successes / t->rollouts, 100 * low, 100 * high);
    tool_print_number(t->successes ? (double)t->successful_steps / t->successes : NAN, 5, 1);
    tool_print_number(mean_exit_of(t), 7, 2);
    tool_print_number(counted ? t->llm / (double)t->steps : NAN, 10, 5);
    tool_print_number(counted ? t->total / (double)t->steps : NAN, 10, 5);
    putchar('\n');
}

static void print_times(const evaluation *e)
{
    double median, p90;

    evaluation_times(e, &median, &p90);
    if (e->strict > 0)
        printf("\njudged within %g times the expert's steps (at least %d), without harm\n",
               e->strict, ROLLOUT_LEAST_ALLOWED);
    if (isfinite(median))
        printf("\ntime of what succeeded: median %.2f, 90th percentile %.2f times the expert's\n",
               median, p90);
    if (!evaluation_factors(e))
        return;
    printf("time allowed, times the expert's");
    for (int i = 0; i < evaluation_factors(e); i++)
        printf(" %6g", eval_factors[i]);
    printf("\nsuccess in time and without harm");
    for (int i = 0; i < evaluation_factors(e); i++)
        printf(" %5.1f%%", 100 * evaluation_in_time(e, eval_factors[i]));
    putchar('\n');
}

static void print_chains(const evaluation *e)
{
    double low, high;

    length_interval(e, &low, &high);
    printf("\n%d chains of %d instructions: succeeded in a row\n", e->chains, TABLETOP_CHAIN);
    for (int n = 1; n <= TABLETOP_CHAIN; n++)
        printf("%8d", n);
    printf("   average length  95%% interval\n");
    for (int n = 1; n <= TABLETOP_CHAIN; n++)
        printf("%7.1f%%", 100 * in_a_row(e, n));
    printf("   %14.2f  [%.2f, %.2f]\n", average_length(e->reached, e->chains), low, high);
}

static void print_exits(const evaluation *e)
{
    const deer_config *config = deer_model_config(e->model);
    const tally *t = &e->all;

    printf("\nexits taken, %% of steps\n%-10s %8s", "phase", "steps");
    for (int k = 0; k < config->exits; k++)
        printf("  layer %2d", config->exit_layers[k]);
    printf("  mean exit\n");
    for (int p = 0; p < TABLETOP_PHASES; p++) {
        long n = steps_in(t, p);
        printf("%-10s %8ld", tabletop_phase_name((tabletop_phase)p), n);
        for (int k = 0; k < config->exits; k++)
            printf("  %8.1f", n ? 100.0 * (double)t->exits[p][k] / (double)n : 0.0);
        tool_print_number(mean_exit(t->exits[p]), 10, 2);
        putchar('\n');
    }
    printf("%-10s %8ld", "all", t->steps);
    for (int k = 0; k < config->exits; k++)
        printf("  %8.1f", 100.0 * (double)steps_at(t, k) / (double)t->steps);
    printf("  %9.2f\n", mean_exit_of(t));
}

void evaluation_print(const evaluation *e, const usage *use)
{
    const tally *t = &e->all;

    printf("%-28s %6s   %6s  %-14s   %5s   %5s   %8s   %8s\n", "", "", "", "", "steps", "mean",
           "LLM", "total");
    printf("%-28s %6s   %6s  %-14s   %5s   %5s   %8s   %8s\n", "task", "trials", "success",
           "95% interval", "to do", "exit", "GFLOPs", "GFLOPs");
    for (int i = 0; i < tabletop_every_task(); i++)
        if (e->each[i].rollouts)
            print_row(tabletop_task_name(i), &e->each[i], e->model != NULL);
    print_row("all", t, e->model != NULL);
    print_times(e);
    if (e->chains)
        print_chains(e);
    if (!e->model)
        return;
    print_exits(e);
    printf("\npeak: %.5f LLM GFLOPs, %.5f total; policy %.2f ms a step (%ld steps)\n", t->peak_llm,
           t->peak_total, 1e3 * t->seconds / (double)t->steps, t->steps);
    if (evaluation_has_rules(e))
        printf("encoded: the static camera at %.1f%% of steps, the wrist camera at %.1f%%; an "
               "episode's first step takes up to %.5f\n",
               100 * encoded(t, 0), 100 * encoded(t, 1), t->first_total);
    usage_print(stdout, use);
}
