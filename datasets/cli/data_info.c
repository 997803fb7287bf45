/* SPDX-License-Identifier: MIT */
/* data_info.c - deer-data info: what a demonstrations file holds. */
#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/cli/data_commands.h"
#include "datasets/demos/demos.h"
#include "datasets/hdf5/hdf5_io.h"
#include "runtime/base/json/json_build.h"
#include "runtime/cli/tool.h"

static const char *const action_names[DEMO_ACTION] = {"x",     "y",   "z",      "roll",
                                                      "pitch", "yaw", "gripper"};

/* Smallest and largest of something over the demonstrations. */
typedef struct {
    int low, high;
} range;

typedef struct {
    char task[DEMO_TASK], instruction[DEMO_INSTRUCTION];
    int steps;
} episode_line;

typedef struct {
    const char *path;
    long long bytes;
    char fingerprint[DEER_FINGERPRINT]; /* empty when the actions cannot be replayed */
    int count;
    long steps;
    range length, static_height, static_width, gripper_height, gripper_width;
    double low[DEMO_ACTION], high[DEMO_ACTION], sum[DEMO_ACTION]; /* of finite values */
    long outside[DEMO_ACTION];                                    /* values beyond -1..1 */
    long not_finite[DEMO_ACTION];                                 /* NaN and infinity */
    long finite[DEMO_ACTION];
    bool upside_down;   /* its images, by the file's marks */
    int unspoken;       /* demonstrations without an instruction */
    int chosen;         /* with one of several wordings */
    int guessed;        /* with the file's name for an instruction */
    int too_long;       /* with an instruction that is not read whole */
    episode_line *line; /* [count], sorted by task, then instruction */
} summary;

/* ---------------------------------------------------------------- gathering ---------------- */

static void widen(range *r, int value, bool first)
{
    r->low = first || value < r->low ? value : r->low;
    r->high = first || value > r->high ? value : r->high;
}

static void add_shape(summary *s, const demo_episode *e, int i)
{
    widen(&s->length, e->steps, i == 0);
    widen(&s->static_height, e->static_height, i == 0);
    widen(&s->static_width, e->static_width, i == 0);
    widen(&s->gripper_height, e->gripper_height, i == 0);
    widen(&s->gripper_width, e->gripper_width, i == 0);
    s->unspoken += !*e->instruction;
    s->chosen += e->wordings > 1;
    s->guessed += e->guessed;
    s->too_long += e->instruction_bytes >= sizeof e->instruction;
    s->line[i].steps = e->steps;
    memcpy(s->line[i].task, e->task, sizeof e->task);
    memcpy(s->line[i].instruction, e->instruction, sizeof e->instruction);
}

static void add_action(summary *s, size_t c, double value)
{
    if (!isfinite(value)) {
        s->not_finite[c]++;
        return;
    }
    s->low[c] = fmin(s->low[c], value);
    s->high[c] = fmax(s->high[c], value);
    s->sum[c] += value;
    s->finite[c]++;
    s->outside[c] += fabs(value) > 1.001; /* as demos_read_actions has it */
}

static deer_status add_actions(summary *s, demos *d, int i, deer_error *err)
{
    size_t n = (size_t)demos_steps(d, i) * DEMO_ACTION;
    float *actions = malloc(n * sizeof *actions);
    deer_status status =
        actions ? demos_read_raw_actions(d, i, actions, err) : deer_fail(err, "out of memory");

    for (size_t j = 0; j < n && !status; j++)
        add_action(s, j % DEMO_ACTION, actions[j]);
    free(actions);
    return status;
}

static int by_task(const void *a, const void *b)
{
    const episode_line *p = a, *q = b;
    int order = strcmp(p->task, q->task);

    return order ? order : strcmp(p->instruction, q->instruction);
}

static bool can_be_replayed(const summary *s)
{
    for (int c = 0; c < DEMO_ACTION; c++)
        if (s->not_finite[c] || s->outside[c])
            return false;
    return true;
}

static deer_status gather(summary *s, demos *d, deer_error *err)
{
    s->count = demos_count(d);
    s->upside_down = demos_upside_down(d);
    s->steps = demos_total_steps(d);
    s->line = calloc((size_t)s->count, sizeof *s->line);
    if (!s->line)
        return deer_fail(err, "out of memory");
    for (int c = 0; c < DEMO_ACTION; c++)
        s->low[c] = INFINITY, s->high[c] = -INFINITY;
    for (int i = 0; i < s->count; i++) {
        demo_episode e;
        if (demos_describe(d, i, &e, err))
            return DEER_FAILED;
        add_shape(s, &e, i);
        if (add_actions(s, d, i, err))
            return DEER_FAILED;
    }
    qsort(s->line, (size_t)s->count, sizeof *s->line, by_task);
    return can_be_replayed(s) ? demos_fingerprint(d, s->fingerprint, err) : DEER_OK;
}

/* The end of the run of lines of one task (or of one instruction of it) that starts at `from`. */
static int run_end(const summary *s, int from, bool same_instruction)
{
    int end = from + 1;

    while (end < s->count && !strcmp(s->line[end].task, s->line[from].task) &&
           (!same_instruction || !strcmp(s->line[end].instruction, s->line[from].instruction)))
        end++;
    return end;
}

/* Steps of lines from..end-1, and how many instructions differ in them. */
static void count_run(const summary *s, int from, int end, long *steps, int *instructions)
{
    *steps = 0;
    *instructions = 0;
    for (int i = from; i < end; i++)
        *steps += s->line[i].steps;
    for (int i = from; i < end; i = run_end(s, i, true))
        ++*instructions;
}

/* ---------------------------------------------------------------- warnings ----------------- */

enum { FEW_EPISODES = 100, WARNING = 320 };

/* Adds what would hurt calibration to list, one text each. */
static void warn_of_actions(const summary *s, int c, json_t *list)
{
    char text[WARNING];

    if (s->not_finite[c]) {
        snprintf(text, sizeof text, "%s: %ld values are not finite; the file cannot be replayed",
                 action_names[c], s->not_finite[c]);
        json_push(list, json_string(text));
    }
    if (s->outside[c]) {
        snprintf(text, sizeof text,
                 "%s: %ld values lie outside -1..1; scale the actions as the policy was trained, "
                 "the file cannot be replayed",
                 action_names[c], s->outside[c]);
        json_push(list, json_string(text));
    }
    if (s->finite[c] && s->low[c] == s->high[c]) {
        snprintf(text, sizeof text, "%s: every value is %g; losses say nothing about it",
                 action_names[c], s->low[c]);
        json_push(list, json_string(text));
    }
}

static void warn_of_language(const summary *s, json_t *list)
{
    static const struct {
        size_t at;
        const char *says;
    } all[] = {
        {offsetof(summary, unspoken),
         "have no instruction; deer-calib replay needs --instruction, or one in the attribute "
         "'language' of each"},
        {offsetof(summary, chosen),
         "have several wordings of their instruction; one of them is taken, chosen by name"},
        {offsetof(summary, guessed), "have no instruction; the file's name is taken for it"},
        {offsetof(summary, too_long),
         "have an instruction of more than 1023 bytes, which is not read whole; they cannot be "
         "replayed"}};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        int n = *(const int *)(const void *)((const char *)s + all[i].at);
        char text[WARNING];

        snprintf(text, sizeof text, "%d demonstration%s %s", n, n == 1 ? "" : "s", all[i].says);
        if (n)
            json_push(list, json_string(text));
    }
}

static json_t *warnings_of(const summary *s)
{
    json_t *list = json_array();
    char text[WARNING];

    for (int c = 0; c < DEMO_ACTION; c++)
        warn_of_actions(s, c, list);
    warn_of_language(s, list);
    if (s->upside_down)
        json_push(list, json_string("images are stored upside down, as LIBERO and robosuite do; "
                                    "show the policy what it was trained on: deer-data import "
                                    "--hdf5 with --flip, or with --rotate 180, turns them"));
    if (s->count < FEW_EPISODES) {
        snprintf(
            text, sizeof text,
            "%d demonstrations are few: a guarantee on unseen episodes (--confidence) needs %d "
            "and more",
            s->count, FEW_EPISODES);
        json_push(list, json_string(text));
    }
    return list;
}

/* Mean of the finite values of an action; 0 when there is none. */
static double mean_of(const summary *s, int c)
{
    return s->finite[c] ? s->sum[c] / (double)s->finite[c] : 0;
}

/* An end of the range; 0 when there is no finite value. */
static double end_of(const summary *s, const double *end, int c)
{
    return s->finite[c] ? end[c] : 0;
}

static void print_warnings(const summary *s)
{
    json_t *list = warnings_of(s), *text;
    size_t i;

    json_array_foreach(list, i, text)
        printf("%swarning: %s\n", i ? "" : "\n", json_string_value(text));
    json_decref(list);
}

/* ---------------------------------------------------------------- printing ----------------- */

static void print_size(const char *what, range height, range width)
{
    printf("%-15s %d x %d", what, height.low, width.low);
    if (height.low != height.high || width.low != width.high)
        printf(" to %d x %d", height.high, width.high);
    puts(" (height x width)");
}

static void print_tasks(const summary *s)
{
    puts("\ntask                      episodes    steps  instructions");
    for (int from = 0, end; from < s->count; from = end) {
        long steps;
        int instructions;
        const char *task = s->line[from].task;
        end = run_end(s, from, false);
        count_run(s, from, end, &steps, &instructions);
        printf("%-25s %8d %8ld  \"%s\"", *task ? task : "-", end - from, steps,
               s->line[from].instruction);
        if (instructions > 1)
            printf(" and %d more", instructions - 1);
        putchar('\n');
    }
}

static void print_text(const summary *s)
{
    printf("%s: %.1f MB\n", s->path, (double)s->bytes / 1e6);
    printf("%-15s %d\n", "demonstrations", s->count);
    printf("%-15s %ld (%d to %d each, mean %.1f)\n", "steps", s->steps, s->length.low,
           s->length.high, (double)s->steps / s->count);
    print_size("static camera", s->static_height, s->static_width);
    print_size("wrist camera", s->gripper_height, s->gripper_width);
    printf("%-15s %s\n", "fingerprint",
           *s->fingerprint ? s->fingerprint : "none: these actions cannot be replayed");
    puts("\naction         min     mean      max");
    for (int c = 0; c < DEMO_ACTION; c++)
        printf("%-10s %7.3f  %7.3f  %7.3f\n", action_names[c], end_of(s, s->low, c), mean_of(s, c),
               end_of(s, s->high, c));
    print_tasks(s);
    print_warnings(s);
}

static json_t *tasks_json(const summary *s)
{
    json_t *tasks = json_array();

    for (int from = 0, end; from < s->count; from = end) {
        json_t *texts = json_array();
        long steps;
        int instructions;
        end = run_end(s, from, false);
        count_run(s, from, end, &steps, &instructions);
        for (int i = from; i < end; i = run_end(s, i, true))
            json_push(texts, json_string(s->line[i].instruction));
        json_push(tasks,
                  json_pack("{s:s, s:i, s:I, s:o}", "task", s->line[from].task, "demonstrations",
                            end - from, "steps", (json_int_t)steps, "instructions", texts));
    }
    return tasks;
}

static json_t *actions_json(const summary *s)
{
    json_t *actions = json_array();

    for (int c = 0; c < DEMO_ACTION; c++)
        json_push(actions, json_pack("{s:s, s:f, s:f, s:f}", "name", action_names[c], "min",
                                     end_of(s, s->low, c), "mean", mean_of(s, c), "max",
                                     end_of(s, s->high, c)));
    return actions;
}

static json_t *range_json(range r)
{
    return json_pack("[i, i]", r.low, r.high);
}

static deer_status print_json(const summary *s, deer_error *err)
{
    json_t *root = json_pack(
        "{s:s, s:I, s:s?, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "file", s->path,
        "bytes", (json_int_t)s->bytes, "fingerprint", *s->fingerprint ? s->fingerprint : NULL,
        "demonstrations", s->count, "steps", (json_int_t)s->steps, "steps_each",
        range_json(s->length), "static_height", range_json(s->static_height), "static_width",
        range_json(s->static_width), "gripper_height", range_json(s->gripper_height),
        "gripper_width", range_json(s->gripper_width), "actions", actions_json(s), "tasks",
        tasks_json(s), "warnings", warnings_of(s));

    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6), err);
}

/* ---------------------------------------------------------------- command ------------------ */

static deer_status run(const char *const *paths, int n, const demos_options *reading, bool json,
                       deer_error *err)
{
    summary s = {.path = paths[0]};
    struct stat info;
    demos *d;
    deer_status status;

    if (demos_open_files(paths, n, reading, &d, err))
        return DEER_FAILED;
    status = DEER_OK;
    for (int i = 0; i < n && !status; i++) {
        status = stat(paths[i], &info)
                     ? deer_fail(err, "cannot read %s: %s", paths[i], strerror(errno))
                     : DEER_OK;
        s.bytes += info.st_size;
    }
    if (!status)
        status = gather(&s, d, err);
    if (!status && json)
        status = print_json(&s, err);
    else if (!status)
        print_text(&s);
    demos_close(d);
    free(s.line);
    return status;
}

int data_info_main(int argc, char **argv)
{
    file_list files = {.count = 0};
    const char *rest[argc];
    demos_options reading = {NULL};
    bool json = false;
    const tool_option options[] = {
        {"demos", TOOL_FILES, &files, "FILE..", "the same as naming them without --demos"},
        {"static-camera", TOOL_STRING, &reading.static_camera, "NAME",
         "below obs/ (default: the usual names)"},
        {"gripper-camera", TOOL_STRING, &reading.gripper_camera, "NAME", "the same on the wrist"},
        {"mask", TOOL_STRING, &reading.mask, "KEY", "only what mask/KEY of the file lists"},
        {"follow-links", TOOL_FLAG, &reading.follow_links, NULL,
         "read links and virtual datasets into files of the same folder"},
        {"json", TOOL_FLAG, &json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-data info", "says what a demonstrations file holds",
                               "DEMOS.. [options]", options,
                               "deer-data info demos.h5\n"
                               "deer-data info demos.h5 --static-camera frontview_image --json"};
    deer_error err;
    deer_status status;
    int ended, count;

    if (tool_parse(&self, argc, argv, rest, &count, &ended))
        return ended;
    if (!count == !files.count)
        return tool_usage(&self, "demonstrations files are needed, with or without --demos");
    status = run(count ? rest : files.name, count ? count : files.count, &reading, json, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
