/* eval.c - deer-sim eval: closed-loop rollouts of a policy, judged on seeds common to every setting. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/cost.h"
#include "datasets/sim/commands.h"
#include "datasets/tabletop/parallel.h"
#include "datasets/tabletop/rollout.h"
#include "runtime/tool.h"

enum { MAX_TASKS = 256, MAX_TOKENS = 256 };

/* Sums over rollouts, of one task or of all. */
typedef struct {
    int    rollouts, successes;
    long   steps, successful_steps;
    long   exits[DEER_MAX_EXITS];
    double llm, total; /* GFLOPs summed over steps */
    double peak_llm, peak_total;
    double seconds;
} tally;

typedef struct {
    int             tasks[MAX_TASKS], n_tasks;
    uint64_t        seed;
    deer_model     *model;
    deer_thresholds thresholds;
    rollout_stage   stage;
    deer_cost       cost[MAX_TOKENS]; /* by number of tokens; tokens == 0: not computed yet */
    tally           all, each[MAX_TASKS];
    tool_progress   progress;
} evaluation;

static deer_status start(void *context, deer_error *err)
{
    evaluation *e = context;

    return rollout_stage_open(&e->stage, e->model, &e->thresholds, err);
}

static deer_status job(void *context, int i, parallel_result *out, deer_error *err)
{
    evaluation     *e = context;
    rollout_outcome outcome;
    uint64_t        seed = rollout_seed(e->seed, i / e->n_tasks);

    tabletop_reset(e->stage.world, seed, e->tasks[i % e->n_tasks], TABLETOP_SEEN);
    if (rollout_judge(&e->stage, &outcome, err))
        return DEER_FAILED;
    return parallel_append(out, &outcome, sizeof outcome, err);
}

static const deer_cost *cost_of(evaluation *e, int tokens)
{
    static const deer_cost nothing; /* the expert's */
    deer_cost             *c = &e->cost[tokens < MAX_TOKENS ? tokens : MAX_TOKENS - 1];

    if (!e->model)
        return &nothing;
    if (!c->tokens)
        deer_cost_of(deer_model_config(e->model), tokens, DEER_F32, c);
    return c;
}

static void add(tally *t, const rollout_outcome *o, const deer_cost *cost)
{
    t->rollouts++;
    t->successes += o->succeeded;
    t->steps += o->steps;
    t->successful_steps += o->succeeded ? o->steps : 0;
    t->seconds += o->policy_seconds;
    for (int k = 0; k < cost->exits; k++) {
        double llm = deer_gflops(cost->exit[k].llm), total = deer_gflops(cost->exit[k].total);
        t->exits[k] += o->exits[k];
        t->llm += o->exits[k] * llm;
        t->total += o->exits[k] * total;
        if (o->exits[k]) {
            t->peak_llm = fmax(t->peak_llm, llm);
            t->peak_total = fmax(t->peak_total, total);
        }
    }
}

static deer_status collect(void *context, int i, const void *data, size_t size, deer_error *err)
{
    evaluation     *e = context;
    rollout_outcome o;

    if (size != sizeof o)
        return deer_fail(err, "the result of rollout %d is damaged", i);
    memcpy(&o, data, sizeof o);
    add(&e->all, &o, cost_of(e, o.tokens));
    add(&e->each[i % e->n_tasks], &o, cost_of(e, o.tokens));
    tool_progress_update(&e->progress, i + 1);
    return DEER_OK;
}

/* ---------------------------------------------------------------- output ------------------- */

static json_t *exit_fractions(const tally *t, int exits)
{
    json_t *list = json_array();

    for (int k = 0; k < exits; k++)
        json_array_append_new(list, json_real((double)t->exits[k] / (double)t->steps));
    return list;
}

static json_t *tally_json(const tally *t)
{
    double low, high;

    wilson_interval(t->successes, t->rollouts, &low, &high);
    return json_pack("{s:f, s:f, s:f, s:i, s:f, s:f}", "success",
                     (double)t->successes / t->rollouts, "low", low, "high", high, "rollouts",
                     t->rollouts, "llm_gflops", t->llm / (double)t->steps, "total_gflops",
                     t->total / (double)t->steps);
}

/* What only a policy has. */
static void add_policy_json(const evaluation *e, json_t *root)
{
    const deer_config *config = deer_model_config(e->model);
    const tally       *t = &e->all;
    deer_cost          deepest;

    deer_cost_of(config, config->max_text, DEER_F32, &deepest);
    json_object_set_new(root, "peak_llm_gflops", json_real(t->peak_llm));
    json_object_set_new(root, "peak_total_gflops", json_real(t->peak_total));
    json_object_set_new(
        root, "memory_bytes",
        json_integer((json_int_t)deepest.exit[e->thresholds.max_exit].memory_bytes));
    json_object_set_new(root, "ms_per_step", json_real(1e3 * t->seconds / (double)t->steps));
    json_object_set_new(root, "exit_fractions", exit_fractions(t, config->exits));
}

static void print_json(const evaluation *e)
{
    const tally *t = &e->all;
    json_t      *root = tally_json(t), *tasks = json_object();

    for (int i = 0; i < e->n_tasks; i++)
        json_object_set_new(tasks, tabletop_task_name(e->tasks[i]), tally_json(&e->each[i]));
    json_object_set_new(root, "mean_steps",
                        t->successes ? json_real((double)t->successful_steps / t->successes)
                                     : json_null());
    if (e->model)
        add_policy_json(e, root);
    json_object_set_new(root, "tasks", tasks);
    json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(root);
}

static void print_row(const char *name, const tally *t)
{
    double low, high, exits = 0;

    wilson_interval(t->successes, t->rollouts, &low, &high);
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        exits += (double)t->exits[k] * (k + 1);
    printf("%-22s %6d   %5.1f%%  [%5.1f, %5.1f]   %5.1f   %5.2f   %8.5f   %8.5f\n", name, t->rollouts,
           100.0 * t->successes / t->rollouts, 100 * low, 100 * high,
           t->successes ? (double)t->successful_steps / t->successes : NAN, exits / (double)t->steps,
           t->llm / (double)t->steps, t->total / (double)t->steps);
}

static void print_table(const evaluation *e)
{
    const tally *t = &e->all;

    printf("%-22s %6s   %6s  %-14s   %5s   %5s   %8s   %8s\n", "", "", "", "", "steps", "mean",
           "LLM", "total");
    printf("%-22s %6s   %6s  %-14s   %5s   %5s   %8s   %8s\n", "task", "trials", "success",
           "95% interval", "to do", "exit", "GFLOPs", "GFLOPs");
    for (int i = 0; i < e->n_tasks; i++)
        print_row(tabletop_task_name(e->tasks[i]), &e->each[i]);
    print_row("all", t);
    if (!e->model)
        return;
    printf("\nexits taken:");
    for (int k = 0; k < deer_model_config(e->model)->exits; k++)
        printf("  layer %d %.1f%%", deer_model_config(e->model)->exit_layers[k],
               100.0 * (double)t->exits[k] / (double)t->steps);
    printf("\npeak: %.5f LLM GFLOPs, %.5f total; policy %.2f ms a step (%ld steps)\n", t->peak_llm,
           t->peak_total, 1e3 * t->seconds / (double)t->steps, t->steps);
}

/* ---------------------------------------------------------------- command ------------------ */

static deer_status open_policy(evaluation *e, const char *model, const char *thresholds, long exit_index,
                               deer_error *err)
{
    if (deer_model_open(model, thresholds ? DEER_ALL_EXITS : (int)exit_index, &e->model, err))
        return DEER_FAILED;
    if (thresholds)
        return deer_thresholds_load(thresholds, e->model, &e->thresholds, err);
    deer_thresholds_fixed(e->model, deer_model_max_exit(e->model), &e->thresholds);
    return DEER_OK;
}

static deer_status evaluate(evaluation *e, int rollouts, int workers, deer_error *err)
{
    deer_status status;

    tool_progress_start(&e->progress, "eval", "rollouts", rollouts);
    status = parallel_run(rollouts, workers, start, job, collect, e, err);
    tool_progress_end(&e->progress);
    return status;
}

int sim_eval_main(int argc, char **argv)
{
    const char *model = NULL, *thresholds = NULL, *tasks = "all", *unknown = NULL;
    long        exit_index = DEER_ALL_EXITS, episodes = 10, seed = 1000, workers = parallel_cores();
    bool        json = false, expert = false;
    const tool_option options[] = {
        {"model", TOOL_STRING, &model, "FILE", "policy (required, unless --expert)"},
        {"expert", TOOL_FLAG, &expert, NULL, "judge the scripted expert instead"},
        {"thresholds", TOOL_STRING, &thresholds, "FILE", "stop early under these thresholds"},
        {"exit", TOOL_INT, &exit_index, "K", "always exit at the K-th exit, from 0 (default deepest)"},
        {"tasks", TOOL_STRING, &tasks, "NAMES", "tasks or families, comma-separated (default all)"},
        {"episodes", TOOL_INT, &episodes, "N", "rollouts per task (default 10)"},
        {"seed", TOOL_INT, &seed, "S", "common random numbers for every setting (default 1000)"},
        {"workers", TOOL_INT, &workers, "N", "processes (default one per core)"},
        {"json", TOOL_FLAG, &json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-sim eval", "judges a policy by closed-loop rollouts on the tabletop",
        "--model FILE [--thresholds FILE | --exit K] [options]", options,
        "deer-sim eval --model datasets/tabletop/policy.safetensors --episodes 20\n"
        "deer-sim eval --model policy.safetensors --thresholds t.json --seed 7 --json"};
    evaluation *e;
    deer_error  err;
    deer_status status;
    int         ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!model == !expert)
        return tool_usage(&self, "either --model FILE or --expert is required");
    if (thresholds && exit_index != DEER_ALL_EXITS)
        return tool_usage(&self, "--thresholds and --exit exclude each other");
    if (episodes < 1 || episodes > 1000000 || workers < 1)
        return tool_usage(&self, "--episodes and --workers must be positive");
    e = calloc(1, sizeof *e);
    if (!e)
        return tool_fail(&self, deer_fail(&err, "out of memory"), &err);
    e->seed = (uint64_t)seed;
    e->n_tasks = sim_select_tasks(tasks, e->tasks, &unknown);
    if (e->n_tasks < 0) {
        free(e);
        return tool_usage(&self, "there is no task '%s'", unknown);
    }
    status = expert ? DEER_OK : open_policy(e, model, thresholds, exit_index, &err);
    if (!status)
        status = evaluate(e, (int)episodes * e->n_tasks, (int)workers, &err);
    if (status)
        tool_fail(&self, status, &err);
    else if (json)
        print_json(e);
    else
        print_table(e);
    deer_model_close(e->model);
    free(e);
    return (int)status;
}
