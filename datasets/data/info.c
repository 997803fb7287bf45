/* info.c - deer-data info: what a demonstrations file holds. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/data/commands.h"
#include "datasets/demos.h"
#include "runtime/tool.h"

static const char *const action_names[DEMO_ACTION] = {"x",     "y",   "z",      "roll",
                                                      "pitch", "yaw", "gripper"};

/* Smallest and largest of something over the demonstrations. */
typedef struct {
    int low, high;
} range;

typedef struct {
    char task[64], instruction[256];
    int steps;
} episode_line;

typedef struct {
    const char *path;
    long long bytes;
    char fingerprint[DEER_FINGERPRINT];
    int count;
    long steps;
    range length, static_height, static_width, gripper_height, gripper_width;
    double low[DEMO_ACTION], high[DEMO_ACTION], sum[DEMO_ACTION];
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
    s->line[i].steps = e->steps;
    memcpy(s->line[i].task, e->task, sizeof e->task);
    memcpy(s->line[i].instruction, e->instruction, sizeof e->instruction);
}

static deer_status add_actions(summary *s, demos *d, int i, deer_error *err)
{
    size_t n = (size_t)demos_steps(d, i) * DEMO_ACTION;
    float *actions = malloc(n * sizeof *actions);
    deer_status status =
        actions ? demos_read_actions(d, i, actions, err) : deer_fail(err, "out of memory");

    for (size_t j = 0; j < n && !status; j++) {
        size_t c = j % DEMO_ACTION;
        s->low[c] = fmin(s->low[c], actions[j]);
        s->high[c] = fmax(s->high[c], actions[j]);
        s->sum[c] += actions[j];
    }
    free(actions);
    return status;
}

static int by_task(const void *a, const void *b)
{
    const episode_line *p = a, *q = b;
    int order = strcmp(p->task, q->task);

    return order ? order : strcmp(p->instruction, q->instruction);
}

static deer_status gather(summary *s, demos *d, deer_error *err)
{
    s->count = demos_count(d);
    s->steps = demos_total_steps(d);
    s->line = calloc((size_t)s->count, sizeof *s->line);
    if (!s->line)
        return deer_fail(err, "out of memory");
    for (int c = 0; c < DEMO_ACTION; c++)
        s->low[c] = INFINITY, s->high[c] = -INFINITY;
    for (int i = 0; i < s->count; i++) {
        demo_episode e;
        demos_describe(d, i, &e);
        add_shape(s, &e, i);
        if (add_actions(s, d, i, err))
            return DEER_FAILED;
    }
    qsort(s->line, (size_t)s->count, sizeof *s->line, by_task);
    return demos_fingerprint(d, s->fingerprint, err);
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
    printf("%-15s %s\n", "fingerprint", s->fingerprint);
    puts("\naction         min     mean      max");
    for (int c = 0; c < DEMO_ACTION; c++)
        printf("%-10s %7.3f  %7.3f  %7.3f\n", action_names[c], s->low[c],
               s->sum[c] / (double)s->steps, s->high[c]);
    print_tasks(s);
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
            json_array_append_new(texts, json_string(s->line[i].instruction));
        json_array_append_new(tasks, json_pack("{s:s, s:i, s:I, s:o}", "task", s->line[from].task,
                                               "demonstrations", end - from, "steps",
                                               (json_int_t)steps, "instructions", texts));
    }
    return tasks;
}

static json_t *actions_json(const summary *s)
{
    json_t *actions = json_array();

    for (int c = 0; c < DEMO_ACTION; c++)
        json_array_append_new(actions, json_pack("{s:s, s:f, s:f, s:f}", "name", action_names[c],
                                                 "min", s->low[c], "mean",
                                                 s->sum[c] / (double)s->steps, "max", s->high[c]));
    return actions;
}

static json_t *range_json(range r)
{
    return json_pack("[i, i]", r.low, r.high);
}

static void print_json(const summary *s)
{
    json_t *root = json_pack(
        "{s:s, s:I, s:s, s:i, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "file", s->path, "bytes",
        (json_int_t)s->bytes, "fingerprint", s->fingerprint, "demonstrations", s->count, "steps",
        (json_int_t)s->steps, "steps_each", range_json(s->length), "static_height",
        range_json(s->static_height), "static_width", range_json(s->static_width), "gripper_height",
        range_json(s->gripper_height), "gripper_width", range_json(s->gripper_width), "actions",
        actions_json(s), "tasks", tasks_json(s));

    json_dumpf(root, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    putchar('\n');
    json_decref(root);
}

/* ---------------------------------------------------------------- command ------------------ */

static deer_status run(const char *path, bool json, deer_error *err)
{
    summary s = {.path = path};
    struct stat info;
    demos *d;
    deer_status status;

    if (demos_open(path, &d, err))
        return DEER_FAILED;
    if (!stat(path, &info))
        s.bytes = info.st_size;
    status = gather(&s, d, err);
    if (!status)
        (json ? print_json : print_text)(&s);
    demos_close(d);
    free(s.line);
    return status;
}

int data_info_main(int argc, char **argv)
{
    const char *rest[argc];
    bool json = false;
    const tool_option options[] = {
        {"json", TOOL_FLAG, &json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-data info", "says what a demonstrations file holds",
                               "DEMOS [options]", options,
                               "deer-data info demos.h5\ndeer-data info demos.h5 --json"};
    deer_error err;
    deer_status status;
    int ended, count;

    if (tool_parse(&self, argc, argv, rest, &count, &ended))
        return ended;
    if (count != 1)
        return tool_usage(&self, "one demonstrations file is needed");
    status = run(rest[0], json, &err);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
