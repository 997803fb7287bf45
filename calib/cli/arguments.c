/* SPDX-License-Identifier: MIT */
/* arguments.c - the options of deer-calib solve, and what they mean. */
#include "calib/cli/arguments.h"

#include <math.h>
#include <string.h>

#include "calib/cli/settings.h"
#include "calib/criterion/criteria.h"
#include "datasets/hdf5/hdf5_io.h"
#include "runtime/cli/tool.h"

static const char examples[] =
    "deer-calib solve --cache cache --avg-fraction 0.7 --out thresholds.json\n"
    "deer-calib solve --cache cache --scope llm --avg-gflops 0.005 --peak-gflops 0.011 --json\n"
    "deer-calib solve --cache cache --scope llm --avg-fraction 0.4 --confidence 0.9 --out t.json\n"
    "deer-calib solve --table anyones-model.h5 --avg-cost 3.5 --json\n"
    "deer-calib solve --official deer.pth --avg-gflops 6 --print-official";
static const char short_examples[] =
    "deer-calib --model policy.safetensors --demos demos.h5 --avg-fraction 0.7 --out t.json";

/* ---------------------------------------------------------------- meaning ------------------ */

static deer_status parse_words(const solve_arguments *a, calibrate_spec *s, deer_error *err)
{
    int bound = BOUND_BETTING;

    while (bound_name((bound_kind)bound) && strcmp(a->bound, bound_name((bound_kind)bound)))
        bound++;
    if (!bound_name((bound_kind)bound))
        return deer_fail_with(DEER_USAGE, err,
                              "'%s' is no value for --bound; there are: betting, t, crc", a->bound);
    s->guarantee.bound = (bound_kind)bound;
    if (settings_scope(a->scope, &s->problem.scope_llm, err) ||
        settings_method(a->method, &s->solve.method, err) ||
        settings_criterion(a->criterion, &s->problem.criterion, err) ||
        settings_history(a->history, &s->history, err) ||
        settings_loss(a->loss, &s->problem.loss, err))
        return DEER_USAGE;
    return DEER_OK;
}

static deer_status check_numbers(const solve_arguments *a, deer_error *err)
{
    if (a->average <= 0 || a->fraction <= 0 || a->peak <= 0 || a->average_cost <= 0 ||
        a->peak_cost <= 0 || a->deviation <= 0 || a->largest_loss <= 0)
        return deer_fail_with(DEER_USAGE, err, "a budget must be more than zero");
    if (a->gripper_weight < 0 || a->seed < 0 || a->evaluations < 0 || a->longest < 0)
        return deer_fail_with(DEER_USAGE, err, "numbers must not be negative");
    if (a->fraction > 1)
        return deer_fail_with(DEER_USAGE, err,
                              "--avg-fraction must be at most 1, full depth's cost");
    if (a->threads < 1 || a->threads > TOOL_MOST_THREADS)
        return deer_fail_with(DEER_USAGE, err, "--threads must be 1 to %d, not %ld",
                              TOOL_MOST_THREADS, a->threads);
    if (a->points < 2 || a->points > 200)
        return deer_fail_with(DEER_USAGE, err, "--frontier-points must be 2 to 200, not %ld",
                              a->points);
    if (a->frontier && a->out && !a->table && a->points > DEER_MAX_POINTS)
        return deer_fail_with(DEER_USAGE, err, "a thresholds file holds at most %d frontier points",
                              DEER_MAX_POINTS);
    if (a->confidence <= 0 || a->confidence >= 1)
        return deer_fail_with(DEER_USAGE, err, "--confidence lies between 0 and 1, 0.9 say");
    return DEER_OK;
}

static deer_status check_budgets(const solve_arguments *a, deer_error *err)
{
    int averages = !isnan(a->average) + !isnan(a->fraction) + !isnan(a->average_cost);

    if (averages > 1)
        return deer_fail_with(DEER_USAGE, err, "give one average budget only");
    if (a->table && (!isnan(a->average) || !isnan(a->peak)))
        return deer_fail_with(DEER_USAGE, err,
                              "a table has no GFLOPs; use --avg-cost, --avg-fraction, --peak-cost");
    if (!a->table && (!isnan(a->average_cost) || !isnan(a->peak_cost)))
        return deer_fail_with(DEER_USAGE, err, "--avg-cost and --peak-cost are for a --table");
    if (!averages && isnan(a->peak) && isnan(a->peak_cost) && isnan(a->memory) &&
        isnan(a->deviation) && !a->frontier)
        return deer_fail_with(
            DEER_USAGE, err,
            "give a budget: --avg-gflops, --avg-fraction, --peak-gflops, --memory "
            "or --max-loss");
    return DEER_OK;
}

/* What a guarantee needs, and what it cannot be. */
static deer_status check_guarantee(const solve_arguments *a, deer_error *err)
{
    bool crc = !strcmp(a->bound, bound_name(BOUND_CRC)), asked = crc || !isnan(a->confidence);
    bool average = !isnan(a->average) || !isnan(a->fraction) || !isnan(a->average_cost);

    if (crc && !average && isnan(a->deviation))
        return deer_fail_with(DEER_USAGE, err, "--bound crc needs an average budget or --max-loss");
    if (asked && !average && isnan(a->deviation) && !a->frontier)
        return deer_fail_with(DEER_USAGE, err,
                              "--confidence needs an average budget, --max-loss or --frontier");
    if (crc && !isnan(a->confidence))
        return deer_fail_with(DEER_USAGE, err,
                              "--bound crc keeps the mean over repetitions, not each of them: "
                              "it has no --confidence");
    if ((a->per_task || a->mix) && (crc || isnan(a->confidence)))
        return deer_fail_with(DEER_USAGE, err,
                              "--per-task and --mix say what a guarantee with --confidence is of");
    if (a->per_task && a->mix)
        return deer_fail_with(DEER_USAGE, err, "give --per-task or --mix, not both");
    if (a->table && asked && !isnan(a->deviation) && isnan(a->largest_loss))
        return deer_fail_with(DEER_USAGE, err,
                              "to guarantee --max-loss needs --largest-loss, what a step can "
                              "lose at most: no table can tell what other episodes may do");
    return DEER_OK;
}

/* A criterion may look at more than deltas. */
static deer_status check_criterion(const solve_arguments *a, const calibrate_spec *s,
                                   deer_error *err)
{
    const criterion *how = criterion_of(s->problem.criterion);

    if (how->needs & CRITERION_NEEDS_CACHE && (a->table || a->official))
        return deer_fail_with(DEER_USAGE, err,
                              "--criterion %s needs a --cache: tables and checkpoints hold "
                              "nothing but deltas",
                              deer_criterion_name(how->id));
    if (how->needs & CRITERION_NEEDS_DEER && a->print_official)
        return deer_fail_with(DEER_USAGE, err,
                              "the official code knows no %s criterion: no --print-official",
                              deer_criterion_name(how->id));
    if (how->needs & CRITERION_NEEDS_BEFORE && s->history == HISTORY_RANDOM)
        return deer_fail_with(DEER_USAGE, err,
                              "--criterion %s remembers the step before, which --history "
                              "random does not have",
                              deer_criterion_name(how->id));
    return DEER_OK;
}

/* A rule is chosen on a cache, for one budget, and nothing is guaranteed of it. */
static deer_status check_rule(const solve_arguments *a, deer_error *err)
{
    bool average = !isnan(a->average) || !isnan(a->fraction);

    if (!a->rule)
        return DEER_OK;
    if (!rules_named(a->rule))
        return deer_fail_with(DEER_USAGE, err,
                              "--rule is auto, delta, refresh, debt, speed or schedule, not '%s'",
                              a->rule);
    if (strcmp(a->rule, "delta") &&
        (a->table || a->official || a->frontier || !average || !isnan(a->confidence) ||
         !isnan(a->deviation) || strcmp(a->history, "on-policy") || a->print_official))
        return deer_fail_with(DEER_USAGE, err,
                              "--rule needs a cache, an average budget and on-policy history, and "
                              "goes without --frontier, --confidence, --max-loss and "
                              "--print-official");
    return DEER_OK;
}

static deer_status check_source(const solve_arguments *a, bool with_replay, deer_error *err)
{
    if (with_replay && (!a->model || !a->demos.count))
        return deer_fail_with(DEER_USAGE, err, "--model and --demos are required");
    if (a->demos.count && !a->model)
        return deer_fail_with(DEER_USAGE, err, "--demos needs --model");
    if (!!a->table + !!a->official + (a->cache || a->demos.count) > 1)
        return deer_fail_with(DEER_USAGE, err, "--table and --official stand for --cache");
    if (a->official && (a->out || a->frontier || !isnan(a->confidence) || !isnan(a->peak) ||
                        !isnan(a->memory) || !isnan(a->deviation)))
        return deer_fail_with(DEER_USAGE, err,
                              "a checkpoint's values have no losses and no episodes: --official "
                              "takes an average budget only");
    if (!a->table && !a->cache && !a->demos.count && !a->official)
        return deer_fail_with(DEER_USAGE, err, "--cache is required");
    return DEER_OK;
}

static void set_limits(const solve_arguments *a, limits *asked)
{
    double peak = a->table ? a->peak_cost : a->peak;

    asked->average = a->table ? a->average_cost : a->average;
    asked->fraction = a->fraction;
    asked->peak = isnan(peak) ? INFINITY : peak;
    asked->memory = isnan(a->memory) ? INFINITY : a->memory;
}

static deer_status check_cameras(solve_arguments *a, deer_error *err)
{
    if (!a->cameras)
        return DEER_OK;
    if (a->fresh || a->table || a->official || strcmp(a->scope, "total"))
        return deer_fail_with(DEER_USAGE, err,
                              "--cameras are for a --cache in the total scope, without "
                              "--fresh-cameras");
    return settings_cameras(a->cameras, &a->rules, err);
}

static deer_status understand(const solve_arguments *a, bool with_replay, calibrate_spec *s,
                              deer_error *err)
{
    if (check_source(a, with_replay, err) || parse_words(a, s, err) || check_numbers(a, err) ||
        check_budgets(a, err) || check_guarantee(a, err) || check_rule(a, err) ||
        check_criterion(a, s, err))
        return DEER_USAGE;
    set_limits(a, &s->asked);
    s->fresh_cameras = a->fresh;
    s->rule = a->rule && strcmp(a->rule, "delta") ? a->rule : NULL;
    s->cameras = a->cameras ? &a->rules : NULL;
    s->points = a->frontier ? (int)a->points : 0;
    s->only_dial = a->frontier && !a->out;
    s->problem.gripper_weight = a->gripper_weight;
    s->solve.seed = (uint64_t)a->seed;
    s->solve.evaluations = a->evaluations;
    s->threads = (int)a->threads;
    s->guarantee.confidence = isnan(a->confidence) ? 0 : a->confidence;
    s->guarantee.deviation = isnan(a->deviation) ? INFINITY : a->deviation;
    s->guarantee.largest_loss = a->largest_loss;
    s->mix = a->mix;
    s->guarantee.mix_name = a->mix;
    s->guarantee.per_kind = a->per_task;
    s->guarantee.longest = (int)a->longest;
    s->guarantee.seed = (uint64_t)a->seed;
    return DEER_OK;
}

/* ---------------------------------------------------------------- options ------------------ */

static void set_defaults(solve_arguments *a)
{
    *a = (solve_arguments){.scope = "total",
                           .method = "best",
                           .criterion = "l2",
                           .history = "on-policy",
                           .loss = "deepest",
                           .bound = "betting",
                           .average = NAN,
                           .fraction = NAN,
                           .peak = NAN,
                           .average_cost = NAN,
                           .peak_cost = NAN,
                           .memory = NAN,
                           .gripper_weight = LOSS_GRIPPER_WEIGHT,
                           .confidence = NAN,
                           .deviation = NAN,
                           .largest_loss = NAN,
                           .seed = 1,
                           .threads = tool_cores(),
                           .points = 16};
}

enum { MOST_OPTIONS = 64 };

/* Options, one kind after the other, in the order of the help. */
typedef struct {
    tool_option option[MOST_OPTIONS];
    size_t n;
} option_list;

static void append(option_list *list, const tool_option *options, size_t n)
{
    memcpy(list->option + list->n, options, n * sizeof *options);
    list->n += n;
}

/* What is solved on. */
static void list_sources(solve_arguments *a, bool with_replay, option_list *list)
{
    const tool_option options[] = {
        {"cache", TOOL_STRING, &a->cache, "DIR",
         with_replay ? "keep the feature cache there (default: a temporary one)"
                     : "feature cache to solve on"},
        {"model", TOOL_STRING, &a->model, "FILE",
         with_replay ? "policy (required)"
                     : "the cache's policy, when it is no longer where it was"},
        {"demos", TOOL_FILES, &a->demos, "FILE..",
         with_replay ? "recorded demonstrations (required)" : "replay these first"},
        {"static-camera", TOOL_STRING, &a->reading.static_camera, "NAME",
         "of the demonstrations, below obs/ (default: the usual names)"},
        {"gripper-camera", TOOL_STRING, &a->reading.gripper_camera, "NAME",
         "the same on the wrist"},
        {"instruction", TOOL_STRING, &a->reading.instruction, "TEXT",
         "instead of the recorded ones"},
        {"mask", TOOL_STRING, &a->reading.mask, "KEY",
         "only the demonstrations that mask/KEY of the file lists"},
        {"follow-links", TOOL_FLAG, &a->reading.follow_links, NULL,
         "read links and virtual datasets into files of the same folder"},
        {"table", TOOL_STRING, &a->table, "FILE",
         "solve for any model: HDF5 delta, loss, cost, episode"},
        {"official", TOOL_STRING, &a->official, "FILE",
         "the official heuristic on the values in a DeeR checkpoint"}};

    append(list, options, sizeof options / sizeof *options);
}

/* Where the answer goes, and what it may use. */
static void list_budgets(solve_arguments *a, option_list *list)
{
    const tool_option options[] = {
        {"out", TOOL_TEXT, &a->out, "FILE", "thresholds file to write"},
        {"avg-gflops", TOOL_DOUBLE, &a->average, "X", "average budget, GFLOPs a step"},
        {"avg-fraction", TOOL_DOUBLE, &a->fraction, "F", "the same as a share of full depth, 0..1"},
        {"avg-cost", TOOL_DOUBLE, &a->average_cost, "X", "the same in the unit of a table's cost"},
        {"peak-gflops", TOOL_DOUBLE, &a->peak, "X", "what no step may exceed"},
        {"peak-cost", TOOL_DOUBLE, &a->peak_cost, "X", "the same in the unit of a table's cost"},
        {"memory", TOOL_BYTES, &a->memory, "SIZE",
         "most for weights and scratch: bytes, 800M, 4G"}};

    append(list, options, sizeof options / sizeof *options);
}

/* How it is solved, and what counts as a loss. */
static void list_methods(solve_arguments *a, option_list *list)
{
    const tool_option options[] = {
        {"scope", TOOL_STRING, &a->scope, "SCOPE", "GFLOPs are: total (default) or llm"},
        {"cameras", TOOL_STRING, &a->cameras, "S,G",
         "rules for cameras, instead of the best found: age/rho of each, as 9/0.6,0"},
        {"fresh-cameras", TOOL_FLAG, &a->fresh, NULL,
         "encode both at every step, though the cache has ages"},
        {"method", TOOL_STRING, &a->method, "M",
         "best (default), coordinate, nlopt, official-exp, -gauss, -gamma"},
        {"rule", TOOL_STRING, &a->rule, "R",
         "of more than a step: auto, delta (default: none), refresh, debt, speed, schedule"},
        {"criterion", TOOL_STRING, &a->criterion, "C", "l2 (default), mean, max, cosine, combined"},
        {"history", TOOL_STRING, &a->history, "H", "on-policy (default), full, random (official)"},
        {"loss", TOOL_STRING, &a->loss, "L", "deviation from: deepest (default) exit, or demo"},
        {"gripper-weight", TOOL_DOUBLE, &a->gripper_weight, "W",
         "loss of a wrong gripper (default 0.2)"}};

    append(list, options, sizeof options / sizeof *options);
}

/* What shall hold on unseen episodes. */
static void list_promises(solve_arguments *a, option_list *list)
{
    const tool_option options[] = {
        {"confidence", TOOL_DOUBLE, &a->confidence, "C",
         "guarantee the budget on unseen episodes: 0.9"},
        {"per-task", TOOL_FLAG, &a->per_task, NULL, "guarantee it for each task by itself"},
        {"mix", TOOL_STRING, &a->mix, "FILE",
         "guarantee it for another mix of tasks: JSON {\"task\": share}"},
        {"max-loss", TOOL_DOUBLE, &a->deviation, "L", "average loss that may not be exceeded"},
        {"max-deviation", TOOL_RENAMED, "max-loss", NULL, NULL},
        {"largest-loss", TOOL_DOUBLE, &a->largest_loss, "L",
         "no step can lose more (for --max-loss)"},
        {"longest-episode", TOOL_INT, &a->longest, "N",
         "steps an episode can have (default: the recording's limit, else seen + 25%)"},
        {"bound", TOOL_STRING, &a->bound, "B",
         "betting (default), t (approximate), crc (the mean over repetitions)"}};

    append(list, options, sizeof options / sizeof *options);
}

static void list_rest(solve_arguments *a, option_list *list)
{
    const tool_option options[] = {
        {"frontier", TOOL_TEXT, &a->frontier, "FILE",
         "a range of budgets too (with --confidence guaranteed all at once)"},
        {"frontier-points", TOOL_INT, &a->points, "N", "how many (default 16)"},
        {"seed", TOOL_INT, &a->seed, "S", "of everything random (default 1)"},
        {"evaluations", TOOL_INT, &a->evaluations, "N", "of the global search (default by size)"},
        {"threads", TOOL_INT, &a->threads, "N", "threads (default one per core)"},
        {"json", TOOL_FLAG, &a->json, NULL, "print JSON on standard output"},
        {"print-official", TOOL_FLAG, &a->print_official, NULL,
         "print the official code's --thresholds"}};

    append(list, options, sizeof options / sizeof *options);
}

/* All of them; the last has no name. */
static void list_options(solve_arguments *a, bool with_replay, option_list *list)
{
    list_sources(a, with_replay, list);
    list_budgets(a, list);
    list_methods(a, list);
    list_promises(a, list);
    list_rest(a, list);
}

bool solve_arguments_parse(int argc, char **argv, bool with_replay, solve_arguments *a,
                           calibrate_spec *spec, int *status)
{
    option_list list = {.n = 0};
    const tool_command self = {
        with_replay ? "deer-calib" : "deer-calib solve", "chooses exit thresholds under budgets",
        with_replay ? "--model FILE --demos FILE --avg-gflops X --out FILE [options]"
                    : "--cache DIR --avg-gflops X --out FILE [options]",
        list.option, with_replay ? short_examples : examples};
    deer_error err;

    set_defaults(a);
    list_options(a, with_replay, &list);
    *spec = calibrate_default();
    if (tool_parse(&self, argc, argv, NULL, NULL, status))
        return true;
    if (check_cameras(a, &err) || understand(a, with_replay, spec, &err)) {
        *status = tool_usage(&self, "%s", err.message);
        return true;
    }
    return false;
}
