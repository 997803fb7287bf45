/* SPDX-License-Identifier: MIT */
/* question_options.c - the options of deer-report whatif. */
#include "reports/cli/question_options.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/machines/hardware.h"
#include "runtime/cli/tool.h"

#define NOT_GIVEN LONG_MIN

/* As written on the command line. */
typedef struct {
    const char *sweep, *rate, *dtype, *hardware, *rollouts, *classes, *runtime, *weight, *parts;
    long seed, threads, robots, cameras, image_size, tokens;
    double deadline;
} words;

/* ---------------------------------------------------------------- lists -------------------- */

/* Cuts text at its commas into at most `most` items, in place; -1 when there are more or an empty
 * one. */
static int cut_list(char *text, char **item, int most)
{
    int n = 0;

    for (char *next = text; next; n++) {
        char *comma = strchr(next, ',');

        if (n == most || !*next || comma == next)
            return -1;
        item[n] = next;
        next = comma ? comma + 1 : NULL;
        if (comma)
            *comma = 0;
    }
    return n;
}

static bool read_number(const char *text, double *value)
{
    char *end;

    *value = strtod(text, &end);
    return end != text && !*end && isfinite(*value);
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static bool read_rates(const char *text, question *q)
{
    char copy[256], *item[QUESTION_RATES];

    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text);
    q->rates = cut_list(copy, item, QUESTION_RATES);
    for (int i = 0; i < q->rates; i++)
        if (!read_number(item[i], &q->rate[i]) || !(q->rate[i] > 0) || q->rate[i] > 1e6)
            return false;
    if (q->rates < 1)
        return false;
    qsort(q->rate, (size_t)q->rates, sizeof *q->rate, ascending);
    for (int i = 1; i < q->rates; i++)
        if (q->rate[i] == q->rate[i - 1])
            return false;
    return true;
}

static bool read_dtypes(const char *text, question *q)
{
    char copy[64], *item[QUESTION_DTYPES];

    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text);
    q->dtypes = cut_list(copy, item, QUESTION_DTYPES);
    for (int i = 0; i < q->dtypes; i++) {
        if (!weight_dtype_from_name(item[i], &q->dtype[i]))
            return false;
        for (int j = 0; j < i; j++)
            if (q->dtype[j] == q->dtype[i])
                return false;
    }
    return q->dtypes > 0;
}

/* "robot,edge", or "all". */
static bool read_classes(const char *text, question *q)
{
    char copy[64], *item[HARDWARE_CLASSES];
    int n;

    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, strcmp(text, "all") ? text : "robot,edge,desktop,server");
    n = cut_list(copy, item, HARDWARE_CLASSES);
    for (int i = 0; i < n; i++) {
        hardware_class class;

        if (!hardware_class_from_name(item[i], &class) || q->classes[class])
            return false;
        q->classes[class] = true;
    }
    return n > 0;
}

/* "vision=q8,head=f32"; vision: its tower and the resampler. */
static bool read_parts(const char *text, question_load *l)
{
    static const struct {
        const char *name;
        stage_kind first, last;
    } part[] = {{"vision", STAGE_VISION, STAGE_RESAMPLER},
                {"decoder", STAGE_LAYER, STAGE_LAYER},
                {"head", STAGE_HEAD, STAGE_HEAD}};
    char copy[64], *item[3];
    int n;

    if (strlen(text) >= sizeof copy)
        return false;
    strcpy(copy, text);
    n = cut_list(copy, item, 3);
    for (int i = 0; i < n; i++) {
        char *equals = strchr(item[i], '=');
        int p = 0;

        if (!equals)
            return false;
        *equals = 0;
        while (p < 3 && strcmp(part[p].name, item[i]))
            p++;
        if (p == 3 || l->has_part[part[p].first])
            return false;
        for (int s = part[p].first; s <= (int)part[p].last; s++)
            if (!weight_dtype_from_name(equals + 1, &l->part[s]))
                return false;
            else
                l->has_part[s] = true;
    }
    return n > 0;
}

static bool read_weight(const char *text, question *q)
{
    static const char *const names[WEIGHTS_OF_BUYERS] = {"price", "watts", "time"};

    for (int i = 0; i < WEIGHTS_OF_BUYERS; i++)
        if (!strcmp(text, names[i])) {
            q->weight = (buyer_weight)i;
            return true;
        }
    return false;
}

/* "40", or "0.016:0.026:40". */
static bool read_sweep(const char *text, question *q)
{
    double n;
    char tail;

    if (strchr(text, ':')) {
        if (sscanf(text, "%lf:%lf:%lf%c", &q->from, &q->to, &n, &tail) != 3)
            return false;
        if (!(q->from > 0) || !(q->to > q->from) || !isfinite(q->to))
            return false;
    } else if (!read_number(text, &n)) {
        return false;
    }
    q->budgets = (int)fmin(fmax(n, 0), SWEEP_MOST_BUDGETS + 1);
    return q->budgets == n && n >= 2 && n <= SWEEP_MOST_BUDGETS;
}

/* ---------------------------------------------------------------- checks ------------------- */

static int refuse(const tool_command *self, const char *value, const char *option, const char *say)
{
    return tool_usage(self, "'%s' is no value for --%s; say %s", value, option, say);
}

/* Both lists of names, cut in one copy that q owns. */
static int read_names(const tool_command *self, const words *w, question *q)
{
    size_t machines = strlen(w->hardware) + 1, rollouts = w->rollouts ? strlen(w->rollouts) + 1 : 0;

    q->lists = malloc(machines + rollouts);
    if (!q->lists)
        return tool_usage(self, "out of memory");
    memcpy(q->lists, w->hardware, machines);
    q->machines = cut_list(q->lists, q->machine, QUESTION_NAMES);
    if (q->machines < 0)
        return refuse(self, w->hardware, "hardware", "all, or up to 64 names and files");
    if (!w->rollouts)
        return 0;
    memcpy(q->lists + machines, w->rollouts, rollouts);
    q->rollouts = cut_list(q->lists + machines, q->rollout, QUESTION_NAMES);
    return q->rollouts < 0 ? refuse(self, w->rollouts, "rollouts", "up to 64 files") : 0;
}

static int check_limits(const tool_command *self, const question *q)
{
    if (q->max_loss < 0)
        return tool_usage(self, "--max-loss %g is negative", q->max_loss);
    if (q->min_success < 0 || q->min_success > 1)
        return tool_usage(self, "--min-success %g is not within 0..1", q->min_success);
    if (!isnan(q->min_success) && !q->rollouts)
        return tool_usage(self, "--min-success needs --rollouts, evaluations of deer-sim eval");
    if (q->host_price < 0 || q->host_watts < 0)
        return tool_usage(self, "--host-price and --host-watts are 0 or more");
    if (q->watts <= 0)
        return tool_usage(self, "--watts %g is not positive", q->watts);
    if (!(q->confidence > 0 && q->confidence < 1))
        return tool_usage(self, "--confidence %g is not between 0 and 1", q->confidence);
    return 0;
}

static int given(long value)
{
    return value == NOT_GIVEN ? 0 : (int)value;
}

static int read_load(const tool_command *self, const words *w, question *q)
{
    if ((w->cameras != NOT_GIVEN &&
         tool_outside(self, "cameras", w->cameras, 1, DEER_MOST_CAMERAS)) ||
        (w->tokens != NOT_GIVEN && tool_outside(self, "tokens", w->tokens, 1, 100000)) ||
        (w->image_size != NOT_GIVEN && tool_outside(self, "image-size", w->image_size, 1, 4096)))
        return TOOL_USAGE;
    if (w->parts && !read_parts(w->parts, &q->load))
        return refuse(self, w->parts, "part-dtype",
                      "some of vision=, decoder= and head= with f32, bf16 or q8");
    if (!(w->deadline >= 0 && isfinite(w->deadline)))
        return tool_usage(self, "--deadline %g is no time in ms", w->deadline);
    if (q->thresholds && w->cameras != NOT_GIVEN)
        return tool_usage(self, "--cameras and --thresholds exclude each other: rules for cameras "
                                "are for the two there are");
    if (tool_outside(self, "robots", w->robots, 1, 1000))
        return TOOL_USAGE;
    q->robots = (int)w->robots;
    q->load.cameras = given(w->cameras);
    q->load.tokens = given(w->tokens);
    q->load.image_size = given(w->image_size);
    q->deadline = w->deadline / 1e3;
    return 0;
}

static int read_words(const tool_command *self, const words *w, question *q)
{
    if (q->table && (q->cache || q->model || q->model_shape || q->thresholds || q->rollouts))
        return tool_usage(self,
                          "--table stands for --cache, and knows no --model, --model-shape or "
                          "--thresholds");
    if (q->table && q->csv)
        return tool_usage(self, "--csv is a table of machines, of which --table knows none");
    if (!q->cache && !q->table)
        return tool_usage(self, "which cache? --cache DIR (deer-calib replay makes one)");
    q->scope_llm = !strcmp(q->scope, "llm");
    if (!q->scope_llm && strcmp(q->scope, "total"))
        return refuse(self, q->scope, "scope", "total or llm");
    if (!read_sweep(w->sweep, q))
        return refuse(self, w->sweep, "budget-sweep",
                      "40, or FROM:TO:40 in GFLOPs (2..200 points)");
    if (!read_rates(w->rate, q))
        return refuse(self, w->rate, "rate", "up to 8 different rates in Hz, as in 5,10,30");
    if (!read_dtypes(w->dtype, q))
        return refuse(self, w->dtype, "dtype", "some of f32,bf16,q8");
    if (!read_classes(w->classes, q))
        return refuse(self, w->classes, "class", "some of robot,edge,desktop,server, or all");
    if (!runtime_from_name(w->runtime, &q->runtime))
        return refuse(self, w->runtime, "runtime", "deer, tuned, ggml or pytorch");
    if (!read_weight(w->weight, q))
        return refuse(self, w->weight, "weight", "price, watts or time");
    if (w->seed < 0)
        return tool_usage(self, "--seed %ld is negative", w->seed);
    if (tool_outside(self, "threads", w->threads, 1, TOOL_MOST_THREADS))
        return TOOL_USAGE;
    q->seed = (uint64_t)w->seed;
    q->threads = (int)w->threads;
    if (read_load(self, w, q))
        return TOOL_USAGE;
    return read_names(self, w, q) ? TOOL_USAGE : check_limits(self, q);
}

static void set_defaults(question *q)
{
    *q = (question){.scope = "total",
                    .cost_unit = "cost",
                    .from = NAN,
                    .to = NAN,
                    .max_loss = NAN,
                    .min_success = NAN,
                    .watts = NAN,
                    .memory = NAN,
                    .host_price = NAN,
                    .host_watts = NAN,
                    .confidence = 0.9};
}

static const words usual = {.sweep = "40",
                            .rate = "5,10,30",
                            .dtype = "f32,bf16,q8",
                            .hardware = "all",
                            .classes = "robot,edge,desktop",
                            .runtime = "deer",
                            .weight = "price",
                            .cameras = NOT_GIVEN,
                            .image_size = NOT_GIVEN,
                            .tokens = NOT_GIVEN,
                            .robots = 1,
                            .seed = 1};

bool question_parse(int argc, char **argv, question *q, int *status)
{
    words w = usual;
    const tool_option options[] = {
        {"cache", TOOL_STRING, &q->cache, "DIR",
         "feature cache of deer-calib replay (this, or --table)"},
        {"table", TOOL_STRING, &q->table, "FILE.h5",
         "another policy's steps in place of a cache, as in deer-calib solve: no machines"},
        {"cost-unit", TOOL_STRING, &q->cost_unit, "NAME", "of a table's costs (default cost)"},
        {"model-shape", TOOL_STRING, &q->model_shape, "3b|9b|FILE",
         "take exits from the cache, costs from a published model's shape, or from one like it"},
        {"hardware", TOOL_STRING, &w.hardware, "LIST", "all, NAME, NAME:MODE, FILE.json"},
        {"class", TOOL_STRING, &w.classes, "LIST",
         "of the machines that all names: robot, edge, desktop, server (default "
         "robot,edge,desktop)"},
        {"runtime", TOOL_STRING, &w.runtime, "NAME",
         "whose times count: deer, tuned, ggml, pytorch (default deer)"},
        {"weight", TOOL_STRING, &w.weight, "NAME",
         "what ranks machines that meet: price, watts, time (default price)"},
        {"host-price", TOOL_DOUBLE, &q->host_price, "USD",
         "of the computer around a bare card (default 800; 8000 in a data centre)"},
        {"host-watts", TOOL_DOUBLE, &q->host_watts, "W", "that it draws besides (default 45; 250)"},
        {"rate", TOOL_STRING, &w.rate, "LIST", "control rates, Hz (default 5,10,30)"},
        {"dtype", TOOL_STRING, &w.dtype, "LIST", "types of the weights (default f32,bf16,q8)"},
        {"thresholds", TOOL_STRING, &q->thresholds, "FILE",
         "thresholds to judge, too; their rules for cameras hold for everything"},
        {"robots", TOOL_INT, &w.robots, "N",
         "that share the computer, one step after the other (default 1)"},
        {"deadline", TOOL_DOUBLE, &w.deadline, "MS", "of a step, where it is before its period"},
        {"cameras", TOOL_INT, &w.cameras, "N",
         "what if there were so many, 1 to 4 (times, energy; as recorded: 2)"},
        {"image-size", TOOL_INT, &w.image_size, "PX", "what if images were so large, likewise"},
        {"tokens", TOOL_INT, &w.tokens, "N", "what if instructions were so long, likewise"},
        {"part-dtype", TOOL_STRING, &w.parts, "LIST",
         "types of single parts: vision=q8,decoder=bf16,head=f32"},
        {"budget-sweep", TOOL_STRING, &w.sweep, "N",
         "how many budgets (default 40), or FROM:TO:N in GFLOPs"},
        {"scope", TOOL_STRING, &q->scope, "total|llm", "what budgets count (default total)"},
        {"max-loss", TOOL_DOUBLE, &q->max_loss, "X",
         "largest mean action loss (default: keep 90% of what depth gains)"},
        {"min-success", TOOL_DOUBLE, &q->min_success, "X", "least success, 0..1, with --rollouts"},
        {"rollouts", TOOL_STRING, &w.rollouts, "LIST", "files of deer-sim eval --json"},
        {"watts", TOOL_DOUBLE, &q->watts, "W",
         "largest average power of the computer, at the wall"},
        {"memory", TOOL_BYTES, &q->memory, "SIZE", "most the policy may take: bytes, 800M, 4G"},
        {"confidence", TOOL_DOUBLE, &q->confidence, "C", "of the guarantee (default 0.9)"},
        {"demos", TOOL_FILES, &q->demos, "FILE..",
         "demonstrations as they were replayed, for pictures of hard moments"},
        {"instruction", TOOL_STRING, &q->reading.instruction, "TEXT", "as they were replayed"},
        {"mask", TOOL_STRING, &q->reading.mask, "KEY", "as they were replayed"},
        {"static-camera", TOOL_STRING, &q->reading.static_camera, "NAME", "as they were replayed"},
        {"gripper-camera", TOOL_STRING, &q->reading.gripper_camera, "NAME",
         "as they were replayed"},
        {"follow-links", TOOL_FLAG, &q->reading.follow_links, NULL,
         "read links and virtual datasets into files of the same folder"},
        {"model", TOOL_STRING, &q->model, "FILE",
         "policy, to replay the thresholds found with the exits they take themselves"},
        {"out", TOOL_TEXT, &q->out, "FILE", "page to write (HTML)"},
        {"json", TOOL_OUTPUT, &q->json, "[FILE]",
         "the same numbers as JSON, printed unless FILE is named"},
        {"csv", TOOL_OUTPUT, &q->csv, "[FILE]",
         "every machine, rate and budget as a table, likewise"},
        {"seed", TOOL_INT, &w.seed, "S", "of bootstrap and guarantee (default 1)"},
        {"threads", TOOL_INT, &w.threads, "N", "threads (default one per core)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-report whatif", "which computer does this robot need?", "--cache DIR [options]",
        options,
        "deer-report whatif --cache cache --demos demos.h5 --out report.html\n"
        "deer-report whatif --cache cache --model-shape 3b --rate 10 --out report.html\n"
        "deer-report whatif --cache cache --hardware orin-nano-8,here.json --rate 10 --json\n"
        "deer-report whatif --cache cache --rate 10 --watts 15 --max-loss 0.02 --csv table.csv"};
    int n;

    w.threads = tool_cores();
    set_defaults(q);
    if (tool_parse(&self, argc, argv, NULL, &n, status))
        return true;
    *status = read_words(&self, &w, q);
    if (*status)
        question_free(q);
    return *status != 0;
}

void question_free(question *q)
{
    free(q->lists);
    q->lists = NULL;
}
