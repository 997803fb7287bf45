/* SPDX-License-Identifier: MIT */
/* sim_eval.c - deer-sim eval: closed-loop rollouts of a policy, judged on seeds common to every
 * setting. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "datasets/cli/sim/sim_commands.h"
#include "datasets/cli/sim/sim_evaluation.h"
#include "datasets/cli/sim/sim_exits.h"
#include "datasets/cli/sim/sim_ranks.h"
#include "datasets/cli/sim/sim_remote.h"
#include "runtime/base/json/json_file.h"
#include "runtime/cli/tool_policy.h"
#include "runtime/deer_replay.h"

enum { MAX_RESULT = 16 << 20, MOST_STRICT = 60 };

/* What --strict without a factor allows. */
static const double STRICT = 1.25;

/* ---------------------------------------------------------------- rollouts ----------------- */

static bool is_governed(const evaluation *e)
{
    return !isnan(e->policy->govern);
}

static deer_status start_robots(evaluation *e, deer_error *err)
{
    deer_status status = DEER_OK;

    for (int i = 0; i < EVAL_ROBOTS && !status; i++) {
        e->robot[i] = e->stage.session;
        if (i)
            status = rollout_session(e->model, e->thresholds, &e->robot[i], err);
        if (!status)
            status = policy_govern(e->policy, e->robot[i], err);
    }
    return status;
}

static deer_status start(void *context, deer_error *err)
{
    evaluation *e = context;

    if (e->model && policy_bring(e->model, err))
        return DEER_FAILED;
    if (rollout_stage_open(&e->stage, e->model, e->thresholds, err))
        return DEER_FAILED;
    if (e->remote && sim_remote_open(e->remote, e->key, &e->stage.remote, err))
        return DEER_FAILED;
    e->stage.by_views = e->by_views[0] ? e->by_views : NULL;
    e->stage.encode = e->encode;
    e->stage.evenly = e->evenly;
    e->stage.noise = e->noise;
    e->stage.light = e->light;
    if (is_governed(e))
        return start_robots(e, err);
    if (!e->exits)
        return DEER_OK;
    return exits_chooser_new(&e->control, e->model,
                             e->thresholds_file ? &e->thresholds->cameras : NULL, &e->stage.chooser,
                             err);
}

/* The robot whose turn it is. The first job's process speaks for all. */
static void take_turn(evaluation *e, int job)
{
    if (job == 0 && e->model)
        policy_say_device(e->model);
    if (is_governed(e))
        e->stage.session = e->robot[job % EVAL_ROBOTS];
}

static deer_status judge(evaluation *e, int number, bool *succeeded, parallel_result *out,
                         deer_error *err)
{
    rollout_outcome outcome;

    if (rollout_judge(&e->stage, e->strict, &outcome, err))
        return DEER_FAILED;
    outcome.number = number;
    *succeeded = outcome.succeeded;
    return parallel_append(out, &outcome, sizeof outcome, err);
}

/* The i-th row of instructions, until one fails. */
static deer_status chain_job(void *context, int i, parallel_result *out, deer_error *err)
{
    evaluation *e = context;
    bool succeeded = true;
    chain row;

    take_turn(e, i);
    chain_draw(e->stage.world, rollout_seed(e->seed, i), -1, TABLETOP_CHAIN, e->split, &row);
    for (int n = 0; n < row.length && succeeded; n++) {
        chain_begin(e->stage.world, &row, n);
        if (judge(e, i, &succeeded, out, err))
            return DEER_FAILED;
    }
    return DEER_OK;
}

static deer_status task_job(void *context, int i, parallel_result *out, deer_error *err)
{
    evaluation *e = context;
    bool succeeded;

    take_turn(e, i);
    tabletop_reset(e->stage.world, rollout_seed(e->seed, i / e->n_tasks), e->tasks[i % e->n_tasks],
                   e->split);
    return judge(e, i / e->n_tasks, &succeeded, out, err);
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

/* What each step computed. Rules of cameras say nothing of a first step. */
static void add_costs(tally *t, const rollout_outcome *o, const deer_cost *cost, bool rules)
{
    deer_cost_kept kept = {{0}};

    for (int i = 0; i < o->steps && cost->exits; i++) {
        const rollout_step *s = &o->step[i];
        deer_cost_saved saved = deer_cost_reuse(cost, s->views, s->exit, &kept);
        double llm = deer_gflops(cost->exit[s->exit].llm - saved.llm);
        double total = deer_gflops(deer_cost_step(cost, s->exit, s->heads) - saved.total);

        t->llm += llm;
        t->total += total;
        for (int view = 0; view < 2; view++)
            t->encoded[view] += s->views >> view & 1;
        if (rules && i == 0) {
            t->first_total = fmax(t->first_total, total);
            continue;
        }
        t->peak_llm = fmax(t->peak_llm, llm);
        t->peak_total = fmax(t->peak_total, total);
    }
}

static void add(tally *t, const rollout_outcome *o, const deer_cost *cost, bool rules)
{
    t->rollouts++;
    t->successes += o->succeeded;
    t->steps += o->steps;
    t->successful_steps += o->succeeded ? o->steps : 0;
    t->seconds += o->policy_seconds;
    add_costs(t, o, cost, rules);
    if (o->steps && cost->exits)
        t->first[o->first]++;
    for (int k = 0; k < cost->exits; k++) {
        for (int p = 0; p < TABLETOP_PHASES; p++)
            t->exits[p][k] += o->exits[p][k];
        for (int next = 0; next < cost->exits; next++)
            t->follows[k][next] += o->follows[k][next];
    }
}

static void keep(evaluation *e, const rollout_outcome *o, const deer_cost *cost)
{
    tally alone = {0};

    add_costs(&alone, o, cost, false);
    e->outcome[e->n_outcomes++] =
        (eval_outcome){o->task,      o->number, o->steps,  o->expert_steps,
                       o->succeeded, o->harm,   alone.llm, alone.total};
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
        add(&e->all, &o, cost_of(e, o.tokens), evaluation_has_rules(e));
        add(&e->each[o.task], &o, cost_of(e, o.tokens), evaluation_has_rules(e));
        keep(e, &o, cost_of(e, o.tokens));
        length += o.succeeded;
    }
    e->reached[length]++;
    tool_progress_update(&e->progress, i + 1);
    return DEER_OK;
}

/* ---------------------------------------------------------------- command ------------------ */

/* How often each camera was encoded in an evaluation that was written with --json. */
static deer_status load_rates(evaluation *e, const char *path, deer_error *err)
{
    json_t *root = json_file_read(path, MAX_RESULT, err);
    json_t *list = json_object_get(root, "encoded");
    bool whole = json_array_size(list) == 2;

    if (!root)
        return DEER_FAILED;
    for (size_t i = 0; i < 2; i++) {
        e->encode[i] = whole ? json_number_value(json_array_get(list, i)) : NAN;
        whole = whole && e->encode[i] >= 0 && e->encode[i] <= 1;
    }
    json_decref(root);
    return whole ? DEER_OK
                 : deer_fail(err, "%s: no shares of two cameras; give what eval --json printed",
                             path);
}

/* Thresholds that encode these cameras and no other. A camera's picture that has not changed at all
 * need not be encoded to be up to date. */
static deer_status force_views(const evaluation *e, unsigned views, deer_thresholds **out,
                               deer_error *err)
{
    static const deer_camera_rule never = {DEER_MOST_AGE, INFINITY}, always = {DEER_MOST_AGE, 0};

    if (deer_thresholds_copy(e->thresholds, out, err))
        return DEER_FAILED;
    (*out)->cameras = (deer_camera_rules){.static_view = views & 1 ? always : never,
                                          .gripper_view = views & 2 ? always : never};
    return DEER_OK;
}

static deer_status drawn_cameras(evaluation *e, const char *path, deer_error *err)
{
    deer_status status = load_rates(e, path, err);

    for (unsigned views = 0; views < 4 && !status; views++)
        status = force_views(e, views, &e->by_views[views], err);
    return status;
}

static deer_status evaluate(evaluation *e, int episodes, int workers, deer_error *err)
{
    int jobs = e->chains ? e->chains : episodes * e->n_tasks;
    int most = e->chains ? jobs * TABLETOP_CHAIN : jobs, ranks = cluster_size();
    deer_status status;

    while (is_governed(e) && EVAL_ROBOTS % ranks) /* a robot stays with its rank, and */
        ranks = ranks > EVAL_ROBOTS ? EVAL_ROBOTS : ranks - 1;
    while (is_governed(e) && EVAL_ROBOTS / ranks % workers) /* with its process */
        workers = workers > EVAL_ROBOTS ? EVAL_ROBOTS : workers - 1;
    e->outcome = calloc((size_t)most, sizeof *e->outcome);
    e->room = malloc((size_t)most * sizeof *e->room);
    if (!e->outcome || !e->room)
        return deer_fail(err, "out of memory for the outcomes of %d rollouts", most);
    tool_progress_start(&e->progress, "eval", e->chains ? "chains" : "rollouts", jobs);
    status = sim_ranks_run(jobs, ranks, workers, start, e->chains ? chain_job : task_job, collect,
                           e, err);
    tool_progress_end(&e->progress);
    return status;
}

typedef struct {
    policy_choice policy;
    const char *tasks, *unknown, *split, *exits, *random, *even, *remote, *key_file, *device;
    long episodes, seed, workers, chains;
    double strict, noise, light;
    bool json, expert;
} request;

/* Options that exclude each other; true after a message. */
static bool contradicts(const tool_command *self, const request *r)
{
    bool exit = r->policy.exit != TOOL_NOT_GIVEN, how = r->policy.thresholds || exit || r->exits;

    if (!!r->policy.model + r->expert + !!r->remote != 1)
        tool_usage(self, "give one of --model FILE, --policy URL and --expert");
    else if (r->key_file && !r->remote)
        tool_usage(self, "--key-file needs --policy");
    else if (r->random && r->even)
        tool_usage(self, "--random-cameras and --even-cameras exclude each other");
    else if ((r->random || r->even) && (!r->policy.model || r->exits || !isnan(r->policy.govern)))
        tool_usage(self, "--%s-cameras needs --model, and excludes --exits and --govern",
                   r->random ? "random" : "even");
    else if (r->device && !r->policy.model)
        tool_usage(self, "--device needs --model");
    else if (how && !r->policy.model)
        tool_usage(self, "--thresholds, --exit and --exits need --model");
    else if (exit && (r->policy.thresholds || r->exits))
        tool_usage(self, "--exit excludes --thresholds and --exits");
    else if (r->exits && (!isnan(r->policy.govern) || !isnan(r->policy.budget)))
        tool_usage(self, "--exits excludes --govern and --budget, which choose exits themselves");
    else if (r->chains != TOOL_NOT_GIVEN && r->episodes != TOOL_NOT_GIVEN)
        tool_usage(self, "--chains and --episodes exclude each other");
    else if (r->chains != TOOL_NOT_GIVEN && r->tasks)
        tool_usage(self, "--chains draws its tasks itself, without --tasks");
    else
        return false;
    return true;
}

/* Fills what the options say; false after a message. */
static bool understand(const tool_command *self, request *r, evaluation *e)
{
    if (contradicts(self, r) || policy_contradicts(self, &r->policy) ||
        tool_outside(self, "episodes", r->episodes, 1, SIM_MOST_EPISODES) ||
        tool_outside(self, "chains", r->chains, 1, SIM_MOST_EPISODES) ||
        tool_outside(self, "workers", r->workers, 1, PARALLEL_MOST) ||
        !sim_split(self, r->split, &e->split))
        return false;
    if (!isnan(r->strict) && (r->strict < 1 || (isfinite(r->strict) && r->strict > MOST_STRICT))) {
        tool_usage(self, "--strict must be 1 to %d, not %g", MOST_STRICT, r->strict);
        return false;
    }
    if (!(r->noise >= 0 && isfinite(r->noise)) || !(r->light > 0 && r->light <= 1)) {
        tool_usage(self, "--noise must be 0 or more, and --light above 0 and at most 1");
        return false;
    }
    e->noise = r->noise;
    e->light = r->light < 1 ? r->light : 0;
    e->policy = &r->policy;
    e->strict = isnan(r->strict) ? 0 : isfinite(r->strict) ? r->strict : STRICT;
    e->n_tasks = sim_select_tasks(r->tasks ? r->tasks : "all", e->tasks, &r->unknown);
    if (e->n_tasks < 0) {
        tool_usage(self, "there is no task '%s'; deer-sim tasks lists them", r->unknown);
        return false;
    }
    e->seed = (uint64_t)r->seed;
    e->thresholds_file = r->policy.thresholds;
    e->exits = r->exits;
    e->remote = r->remote;
    e->cameras_file = r->even ? r->even : r->random;
    e->evenly = r->even != NULL;
    e->chains = r->chains == TOOL_NOT_GIVEN ? 0 : (int)r->chains;
    return true;
}

static deer_status run(const request *r, evaluation *e, deer_error *err)
{
    int episodes = r->episodes == TOOL_NOT_GIVEN ? 10 : (int)r->episodes;
    policy p = {.model = NULL};
    usage use;
    char *key = NULL;
    deer_status status;

    policy_device(r->device);
    status = r->policy.model ? policy_open(&r->policy, &p, err) : DEER_OK;

    if (!status && r->key_file)
        status = sim_remote_key(r->key_file, &key, err);
    e->key = key;
    e->model = p.model;
    e->thresholds = p.thresholds;
    if (!status && e->exits)
        status = sim_exits_read(e->exits, deer_model_max_exit(e->model) + 1, &e->control, err);
    if (!status && e->exits && e->thresholds_file && exits_look(&e->control))
        status = deer_fail_with(DEER_USAGE, err,
                                "--exits %s looks through fresh cameras; leave --thresholds out",
                                e->exits);
    if (!status && e->cameras_file)
        status = drawn_cameras(e, e->cameras_file, err);
    if (!status)
        status = evaluate(e, episodes, (int)r->workers, err);
    if (!status)
        status = evaluation_usage(e, &use, err);
    if (!status && r->json)
        status = evaluation_print_json(e, &use, err);
    else if (!status)
        evaluation_print(e, &use);
    free(e->outcome);
    free(e->room);
    free(key);
    for (int views = 0; views < 4; views++)
        deer_thresholds_free(e->by_views[views]);
    policy_close(&p);
    return status;
}

/* What is asked for by options, which fill r. */
static int eval_with(const tool_option *options, request *r, int argc, char **argv)
{
    static evaluation e;
    const tool_command self = {
        "deer-sim eval", "judges a policy by closed-loop rollouts on the tabletop",
        "--model FILE [--thresholds FILE | --exit K] [options]", options,
        "deer-sim eval --model datasets/tabletop/policy.safetensors --episodes 20\n"
        "deer-sim eval --model policy.safetensors --chains 200 --split unseen\n"
        "deer-sim eval --policy ws://127.0.0.1:8000 --episodes 5\n"
        "deer-sim eval --model policy.safetensors --thresholds t.json --strict\n"
        "deer-sim eval --model policy.safetensors --thresholds t.json --govern 0.012 --light 0.5\n"
        "deer-sim eval --model policy.safetensors --thresholds t.json --seed 7 --json"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!understand(&self, r, &e))
        return TOOL_USAGE;
    status = run(r, &e, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}

int sim_eval_main(int argc, char **argv)
{
    request r = {.policy = POLICY_FOR_CHILDREN,
                 .split = "seen",
                 .episodes = TOOL_NOT_GIVEN,
                 .chains = TOOL_NOT_GIVEN,
                 .strict = NAN,
                 .light = 1,
                 .seed = 1000,
                 .workers = tool_cores()};
    const tool_option options[] = {
        {"model", TOOL_STRING, &r.policy.model, "FILE",
         "policy (required, unless --policy or --expert)"},
        {"policy", TOOL_STRING, &r.remote, "URL", "or: the one that ws://HOST:PORT serves"},
        {"key-file", TOOL_STRING, &r.key_file, "FILE", "with the key that server asks for"},
        {"expert", TOOL_FLAG, &r.expert, NULL, "judge the scripted expert instead"},
        {"thresholds", TOOL_STRING, &r.policy.thresholds, "FILE",
         "stop early under these thresholds"},
        {"exit", TOOL_INT, &r.policy.exit, "K",
         "always exit at the K-th exit, from 0 (default deepest)"},
        {"device", TOOL_STRING, &r.device, "NAME",
         "cpu, gpu, auto, or part of a name that deer-run devices lists (default $DEER_DEVICE, or "
         "cpu); each process brings the model there"},
        {"budget", TOOL_DOUBLE, &r.policy.budget, "X",
         "turn the thresholds' dial to X GFLOPs a step"},
        {"govern", TOOL_DOUBLE, &r.policy.govern, "X",
         "turn the dial before each step, so that they take X on average"},
        {"horizon", TOOL_INT, &r.policy.horizon, "N",
         "with --govern: within 2% over any N steps, 200 or more (default 500)"},
        {"exits", TOOL_STRING, &r.exits, "HOW",
         "control: random:FILE or markov:FILE (as in that --json result), periodic:0,1, fixed:K, "
         "oracle:EPS, expert:PRICE"},
        {"random-cameras", TOOL_STRING, &r.random, "FILE",
         "control: encode cameras at random, as often as in this --json result"},
        {"even-cameras", TOOL_STRING, &r.even, "FILE", "control: the same, evenly spaced"},
        {"tasks", TOOL_STRING, &r.tasks, "NAMES",
         "tasks or families, comma-separated (default all)"},
        {"episodes", TOOL_INT, &r.episodes, "N", "rollouts per task (default 10)"},
        {"chains", TOOL_INT, &r.chains, "N",
         "instead, N rows of five instructions without a reset"},
        {"strict", TOOL_MAYBE, &r.strict, "[FACTOR]",
         "in time: within 1.25 (FACTOR) times the expert's steps, and without harm"},
        {"noise", TOOL_DOUBLE, &r.noise, "X",
         "disturb executed actions, as record does (default 0)"},
        {"light", TOOL_DOUBLE, &r.light, "X",
         "brightness of both cameras, above 0 to 1 (default 1)"},
        {"split", TOOL_STRING, &r.split, "NAME", "seen (default) or unseen wordings and layouts"},
        {"seed", TOOL_INT, &r.seed, "S", "common random numbers for every setting (default 1000)"},
        {"workers", TOOL_INT, &r.workers, "N", "processes, 1 to 1024 (default one per core)"},
        {"json", TOOL_FLAG, &r.json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};

    return eval_with(options, &r, argc, argv);
}
