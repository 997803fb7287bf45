/* eval.c - deer-sim eval: closed-loop rollouts of a policy, judged on seeds common to every
 * setting. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/sim/commands.h"
#include "datasets/sim/evaluation.h"
#include "datasets/tabletop/parallel.h"
#include "runtime/json_file.h"

enum { MAX_RESULT = 16 << 20 };

/* ---------------------------------------------------------------- rollouts ----------------- */

static deer_status start(void *context, deer_error *err)
{
    evaluation *e = context;

    if (rollout_stage_open(&e->stage, e->model, &e->thresholds, err))
        return DEER_FAILED;
    e->stage.random_exits = e->random ? e->random_exits : NULL;
    return DEER_OK;
}

static deer_status judge(evaluation *e, bool *succeeded, parallel_result *out, deer_error *err)
{
    rollout_outcome outcome;

    if (rollout_judge(&e->stage, &outcome, err))
        return DEER_FAILED;
    *succeeded = outcome.succeeded;
    return parallel_append(out, &outcome, sizeof outcome, err);
}

/* The i-th row of instructions, until one fails. */
static deer_status chain_job(void *context, int i, parallel_result *out, deer_error *err)
{
    evaluation *e = context;
    bool succeeded = true;
    chain row;

    chain_draw(e->stage.world, rollout_seed(e->seed, i), -1, TABLETOP_CHAIN, e->split, &row);
    for (int n = 0; n < row.length && succeeded; n++) {
        chain_begin(e->stage.world, &row, n);
        if (judge(e, &succeeded, out, err))
            return DEER_FAILED;
    }
    return DEER_OK;
}

static deer_status task_job(void *context, int i, parallel_result *out, deer_error *err)
{
    evaluation *e = context;
    bool succeeded;

    tabletop_reset(e->stage.world, rollout_seed(e->seed, i / e->n_tasks), e->tasks[i % e->n_tasks],
                   e->split);
    return judge(e, &succeeded, out, err);
}

/* ---------------------------------------------------------------- sums --------------------- */

static const deer_cost *cost_of(evaluation *e, int tokens)
{
    static const deer_cost nothing; /* the expert's */
    deer_cost *c = &e->cost[tokens < EVAL_MAX_TOKENS ? tokens : EVAL_MAX_TOKENS - 1];

    if (!e->model)
        return &nothing;
    if (!c->tokens)
        deer_cost_of(deer_model_config(e->model), tokens, deer_dtype_of(e->model), c);
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
        for (int p = 0; p < TABLETOP_PHASES; p++) {
            t->exits[p][k] += o->exits[p][k];
            t->llm += o->exits[p][k] * llm;
            t->total += o->exits[p][k] * total;
            if (o->exits[p][k]) {
                t->peak_llm = fmax(t->peak_llm, llm);
                t->peak_total = fmax(t->peak_total, total);
            }
        }
    }
}

static deer_status collect(void *context, int i, const void *data, size_t size, deer_error *err)
{
    evaluation *e = context;
    rollout_outcome o;
    int length = 0;

    if (!size || size % sizeof o || size / sizeof o > TABLETOP_CHAIN)
        return deer_fail(err, "the result of rollout %d is damaged", i);
    for (size_t at = 0; at < size; at += sizeof o) {
        memcpy(&o, (const char *)data + at, sizeof o);
        add(&e->all, &o, cost_of(e, o.tokens));
        add(&e->each[o.task], &o, cost_of(e, o.tokens));
        length += o.succeeded;
    }
    e->reached[length]++;
    tool_progress_update(&e->progress, i + 1);
    return DEER_OK;
}

/* ---------------------------------------------------------------- command ------------------ */

deer_status sim_open_policy(const char *model_path, const char *thresholds_path, long exit_index,
                            deer_model **model, deer_thresholds *thresholds, deer_error *err)
{
    if (deer_model_open(model_path, thresholds_path ? DEER_ALL_EXITS : (int)exit_index, model, err))
        return DEER_FAILED;
    if (thresholds_path)
        return deer_thresholds_load(thresholds_path, *model, thresholds, err);
    deer_thresholds_fixed(*model, deer_model_max_exit(*model), thresholds);
    return DEER_OK;
}

/* The exit fractions of an evaluation that was written with --json. */
static deer_status load_fractions(evaluation *e, const char *path, deer_error *err)
{
    json_t *root = json_file_read(path, MAX_RESULT, err);
    json_t *list = json_object_get(root, "exit_fractions");
    int exits = deer_model_config(e->model)->exits;
    double sum = 0;

    if (!root)
        return DEER_FAILED;
    for (int k = 0; k < exits; k++) {
        e->random_exits[k] = json_number_value(json_array_get(list, (size_t)k));
        sum += e->random_exits[k] >= 0 ? e->random_exits[k] : NAN;
    }
    if ((int)json_array_size(list) != exits || !(fabs(sum - 1) < 1e-3)) {
        json_decref(root);
        return deer_fail(err, "%s: no exit_fractions of %d exits; give what eval --json printed",
                         path, exits);
    }
    json_decref(root);
    e->random = true;
    return DEER_OK;
}

static deer_status evaluate(evaluation *e, int episodes, int workers, deer_error *err)
{
    int jobs = e->chains ? e->chains : episodes * e->n_tasks;
    deer_status status;

    tool_progress_start(&e->progress, "eval", e->chains ? "chains" : "rollouts", jobs);
    status = parallel_run(jobs, workers, start, e->chains ? chain_job : task_job, collect, e, err);
    tool_progress_end(&e->progress);
    return status;
}

int sim_eval_main(int argc, char **argv)
{
    const char *model = NULL, *thresholds = NULL, *tasks = "all", *unknown = NULL, *split = "seen";
    const char *random = NULL;
    long exit_index = DEER_ALL_EXITS, episodes = 10, seed = 1000, workers = tool_cores(),
         chains = 0;
    bool json = false, expert = false;
    const tool_option options[] = {
        {"model", TOOL_STRING, &model, "FILE", "policy (required, unless --expert)"},
        {"expert", TOOL_FLAG, &expert, NULL, "judge the scripted expert instead"},
        {"thresholds", TOOL_STRING, &thresholds, "FILE", "stop early under these thresholds"},
        {"exit", TOOL_INT, &exit_index, "K",
         "always exit at the K-th exit, from 0 (default deepest)"},
        {"random-exits", TOOL_STRING, &random, "FILE",
         "control: draw exits at random, as often as in this --json result"},
        {"tasks", TOOL_STRING, &tasks, "NAMES", "tasks or families, comma-separated (default all)"},
        {"episodes", TOOL_INT, &episodes, "N", "rollouts per task (default 10)"},
        {"chains", TOOL_INT, &chains, "N", "instead, N rows of five instructions without a reset"},
        {"split", TOOL_STRING, &split, "NAME", "seen (default) or unseen wordings and layouts"},
        {"seed", TOOL_INT, &seed, "S", "common random numbers for every setting (default 1000)"},
        {"workers", TOOL_INT, &workers, "N", "processes (default one per core)"},
        {"json", TOOL_FLAG, &json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-sim eval", "judges a policy by closed-loop rollouts on the tabletop",
        "--model FILE [--thresholds FILE | --exit K] [options]", options,
        "deer-sim eval --model datasets/tabletop/policy.safetensors --episodes 20\n"
        "deer-sim eval --model policy.safetensors --chains 200 --split unseen\n"
        "deer-sim eval --model policy.safetensors --thresholds t.json --seed 7 --json"};
    evaluation *e;
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!model == !expert)
        return tool_usage(&self, "either --model FILE or --expert is required");
    if (!!thresholds + (exit_index != DEER_ALL_EXITS) + !!random > 1 || (expert && random))
        return tool_usage(&self, "--thresholds, --exit and --random-exits exclude each other");
    if (episodes < 1 || episodes > 1000000 || chains < 0 || chains > 1000000 || workers < 1)
        return tool_usage(&self, "--episodes, --chains and --workers must be positive");
    e = calloc(1, sizeof *e);
    if (!e)
        return tool_fail(&self, deer_fail(&err, "out of memory"), &err);
    e->seed = (uint64_t)seed;
    e->chains = (int)chains;
    e->thresholds_file = thresholds;
    e->random_file = random;
    e->n_tasks = sim_select_tasks(tasks, e->tasks, &unknown);
    if (e->n_tasks < 0 || sim_split(split, &e->split) || (chains && strcmp(tasks, "all"))) {
        free(e);
        return unknown ? tool_usage(&self, "there is no task '%s'", unknown)
                       : tool_usage(&self,
                                    "--split is seen or unseen; --chains draws its tasks itself");
    }
    status = expert
                 ? DEER_OK
                 : sim_open_policy(model, thresholds, exit_index, &e->model, &e->thresholds, &err);
    if (!status && random)
        status = load_fractions(e, random, &err);
    if (!status)
        status = evaluate(e, (int)episodes, (int)workers, &err);
    if (status)
        tool_fail(&self, status, &err);
    else if (json)
        evaluation_print_json(e);
    else
        evaluation_print(e);
    deer_model_close(e->model);
    free(e);
    return (int)status;
}
