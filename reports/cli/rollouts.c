/* SPDX-License-Identifier: MIT */
/* rollouts.c - deer-report rollouts: evaluations side by side. */
#include "reports/cli/rollouts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/answer/evaluation.h"
#include "reports/cli/rollouts_paired.h"
#include "reports/formats/text.h"
#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/cli/tool.h"

/* What a row takes from an evaluation: name here, name there. */
static const char *const fields[][2] = {
    {"success", "success"},
    {"success_low", "low"},
    {"success_high", "high"},
    {"rollouts", "rollouts"},
    {"llm_gflops", "llm_gflops"},
    {"total_gflops", "total_gflops"},
    {"peak_gflops", "peak_llm_gflops"},
    {"peak_total_gflops", "peak_total_gflops"},
    {"memory_bytes", "memory_bytes"},
    {"ms_per_step", "ms_per_step"},
    {"exit_fractions", "exit_fractions"},
};

/* Only where rows of instructions were judged (eval --chains). */
static const char *const chain_fields[] = {"chains", "in_a_row", "avg_length", "avg_length_low",
                                           "avg_length_high"};

static const char *const csv_fields[] = {"rollouts",     "success",      "success_low",
                                         "success_high", "llm_gflops",   "total_gflops",
                                         "peak_gflops",  "memory_bytes", "ms_per_step"};

/* Only where a budget was asked for. */
static void copy_budget(const json_t *evaluation, json_t *row)
{
    json_t *budget = json_object_get(evaluation, "budget");

    if (json_is_number(json_object_get(budget, "asked")) &&
        json_is_number(json_object_get(budget, "used")) &&
        json_is_string(json_object_get(budget, "scope")))
        json_put(row, "budget", json_incref(budget));
}

/* A row of what an evaluation has; NULL with an error. */
static json_t *make_row(const json_t *evaluation, const char *path, deer_error *err)
{
    json_t *row = json_object();

    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        json_t *value = json_object_get(evaluation, fields[i][1]);
        bool list = !strcmp(fields[i][0], "exit_fractions");

        if (list ? !json_is_array(value) : !json_is_number(value)) {
            json_decref(row);
            deer_fail(err,
                      "%s has no \"%s\": it is not from deer-sim eval --model --json (--paired "
                      "takes those of --policy and --expert, too)",
                      path, fields[i][1]);
            return NULL;
        }
        json_put(row, fields[i][0], json_incref(value));
    }
    for (size_t i = 0; i < sizeof chain_fields / sizeof *chain_fields; i++)
        if (json_object_get(evaluation, chain_fields[i]))
            json_put(row, chain_fields[i],
                     json_incref(json_object_get(evaluation, chain_fields[i])));
    copy_budget(evaluation, row);
    return row;
}

/* The row of NAME=FILE; first [1] is the first evaluation, once there is one. */
static deer_status add_row(json_t *rows, const char *argument, json_t **first, deer_error *err)
{
    const char *path = strchr(argument, '=') + 1;
    json_t *name = json_stringn(argument, (size_t)(path - 1 - argument)), *evaluation = NULL,
           *row = NULL;
    char how[128];

    if (!name)
        return deer_fail(err, "the name given to %s is not UTF-8", path);
    evaluation = evaluation_load(path, err);
    if (evaluation)
        row = make_row(evaluation, path, err);
    if (row && !*first)
        *first = json_incref(evaluation);
    if (row && evaluation_differs(*first, evaluation, how, sizeof how))
        fprintf(stderr,
                "deer-report rollouts: warning: %s does not compare with the first file: it judged "
                "%s\n",
                path, how);
    if (row) {
        json_put(row, "name", json_incref(name));
        json_push(rows, row);
    }
    json_decref(name);
    json_decref(evaluation);
    return row ? DEER_OK : DEER_FAILED;
}

static double number(const json_t *row, const char *field)
{
    return json_number_value(json_object_get(row, field));
}

static double factor(const json_t *first, const json_t *row, const char *field)
{
    return number(first, field) / number(row, field);
}

static void print_table(const json_t *rows)
{
    const json_t *first = json_array_get(rows, 0), *row;
    size_t i;

    printf("%-12s %8s %8s  %-14s %15s %15s %15s %13s\n", "", "rollouts", "success", "95% interval",
           "LLM GFLOPs", "total GFLOPs", "peak LLM", "memory MB");
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        printf("%-12s %8.0f %7.1f%%  [%5.1f, %5.1f] %8.5f %5.2fx %8.5f %5.2fx %8.5f %5.2fx %6.2f "
               "%5.2fx\n",
               json_string_value(json_object_get(row, "name")), number(row, "rollouts"),
               100 * number(row, "success"), 100 * number(row, "success_low"),
               100 * number(row, "success_high"), number(row, "llm_gflops"),
               factor(first, row, "llm_gflops"), number(row, "total_gflops"),
               factor(first, row, "total_gflops"), number(row, "peak_gflops"),
               factor(first, row, "peak_gflops"), number(row, "memory_bytes") / 1e6,
               factor(first, row, "memory_bytes"));
    }
    printf("GFLOPs per action, one multiply-add counted as one FLOP; factors against '%s'\n",
           json_string_value(json_object_get(first, "name")));
}

/* As papers on CALVIN print it: instructions done in a row, and how many on average. */
static void print_chains(const json_t *rows)
{
    const json_t *row;
    bool titled = false;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        if (!json_object_get(row, "avg_length"))
            continue;
        if (!titled)
            printf("\n%-12s %8s %7s %7s %7s %7s %7s %15s\n", "", "chains", "1", "2", "3", "4", "5",
                   "average length");
        titled = true;
        printf("%-12s %8.0f", json_string_value(json_object_get(row, "name")),
               number(row, "chains"));
        for (size_t n = 0; n < 5; n++)
            printf(" %6.1f%%",
                   100 * json_number_value(json_array_get(json_object_get(row, "in_a_row"), n)));
        printf("  %.2f [%.2f, %.2f]\n", number(row, "avg_length"), number(row, "avg_length_low"),
               number(row, "avg_length_high"));
    }
}

/* As wide as a cost; "-" where there is none. */
static void print_cost(const json_t *budget, const char *field)
{
    const json_t *value = json_object_get(budget, field);

    if (json_is_number(value))
        printf(" %9.6f", json_number_value(value));
    else
        printf(" %9s", "-");
}

static void print_budget(const char *name, const json_t *budget)
{
    printf("%-12s %6.6s", name, json_string_value(json_object_get(budget, "scope")));
    print_cost(budget, "asked");
    print_cost(budget, "expected");
    print_cost(budget, "used");
    print_cost(budget, "used_low");
    print_cost(budget, "used_high");
    printf(" %+7.1f%%%s%s\n", 100 * (number(budget, "used") / number(budget, "asked") - 1),
           json_is_true(json_object_get(budget, "governed")) ? "  governed" : "",
           json_is_true(json_object_get(budget, "exceeded")) ? "  EXCEEDED" : "");
}

/* Budgets: what was asked for, what calibration expected, what was used. */
static void print_budgets(const json_t *rows)
{
    const json_t *row;
    bool titled = false;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        const json_t *budget = json_object_get(row, "budget");

        if (!budget)
            continue;
        if (!titled)
            printf("\n%-12s %6s %9s %9s %9s %19s %8s\n", "GFLOPs", "scope", "asked", "expected",
                   "used", "95% interval", "off");
        titled = true;
        print_budget(json_string_value(json_object_get(row, "name")), budget);
    }
}

static deer_status save(json_t *rows, const char *out, deer_error *err)
{
    return json_write(out, json_pack("{s:O}", "rows", rows),
                      JSON_INDENT(1) | JSON_REAL_PRECISION(8), err);
}

static deer_status print_json(json_t *rows, deer_error *err)
{
    return json_print(json_pack("{s:O}", "rows", rows), JSON_INDENT(1) | JSON_REAL_PRECISION(8),
                      err);
}

static deer_status save_csv(const json_t *rows, const char *path, deer_error *err)
{
    static const char header[] = "name,rollouts,success,success_low,success_high,llm_gflops,"
                                 "total_gflops,peak_gflops,memory_bytes,ms_per_step,avg_length,"
                                 "avg_length_low,avg_length_high\n";
    size_t size = 0, i;
    char *text = NULL;
    FILE *f = open_memstream(&text, &size);
    const json_t *row;
    deer_status status;

    if (!f)
        return deer_fail(err, "out of memory writing %s", path);
    fputs(header, f);
    json_array_foreach((json_t *)(uintptr_t)rows, i, row)
    {
        text_csv(f, json_string_value(json_object_get(row, "name")));
        for (size_t k = 0; k < sizeof csv_fields / sizeof *csv_fields; k++)
            fprintf(f, ",%.8g", number(row, csv_fields[k]));
        for (size_t k = 2; k < sizeof chain_fields / sizeof *chain_fields; k++)
            if (json_object_get(row, chain_fields[k]))
                fprintf(f, ",%.8g", number(row, chain_fields[k]));
            else
                fputc(',', f);
        fputc('\n', f);
    }
    status = ferror(f) | fclose(f) ? deer_fail(err, "out of memory writing %s", path)
                                   : file_write(path, text, size, err);
    free(text);
    return status;
}

/* Every argument is NAME=FILE, with a name of its own. */
static int check_names(const tool_command *self, const char *const *argument, int n)
{
    for (int i = 0; i < n; i++) {
        const char *end = strchr(argument[i], '=');

        if (!end)
            return tool_usage(self, "'%s' is not NAME=FILE", argument[i]);
        for (int j = 0; j < i; j++)
            if (!strncmp(argument[i], argument[j], (size_t)(end + 1 - argument[i])))
                return tool_usage(self, "two evaluations have the name '%.*s'",
                                  (int)(end - argument[i]), argument[i]);
    }
    return n ? 0 : tool_usage(self, "which evaluations? NAME=FILE ...");
}

int report_rollouts_main(int argc, char **argv)
{
    const char *out = NULL, *csv = NULL;
    bool json = false, paired = false;
    double within = 0;
    const tool_option options[] = {
        {"out", TOOL_TEXT, &out, "FILE", "JSON summary to write"},
        {"json", TOOL_FLAG, &json, NULL, "print JSON on standard output"},
        {"csv", TOOL_TEXT, &csv, "FILE", "the same as a table"},
        {"paired", TOOL_FLAG, &paired, NULL,
         "against the first, start by start; several seeds: NAME=FILE,FILE"},
        {"within", TOOL_DOUBLE, &within, "FACTOR",
         "with --paired: judged within so many times the expert's steps, and without harm"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-report rollouts", "compares closed-loop evaluations in one table",
        "NAME=FILE ... [options]", options,
        "deer-sim eval --model policy.safetensors --json > full.json\n"
        "deer-sim eval --model policy.safetensors --thresholds t.json --json > early.json\n"
        "deer-report rollouts full=full.json early=early.json --out summary.json\n"
        "deer-report rollouts --paired full=full.json early=early.json"};
    const char *rest[64];
    json_t *rows, *first = NULL;
    deer_error err;
    deer_status status = DEER_OK;
    int n = 0, ended;

    if (argc > 64)
        return tool_usage(&self, "too many arguments");
    if (tool_parse(&self, argc, argv, rest, &n, &ended))
        return ended;
    if (paired && csv)
        return tool_usage(&self, "--paired has no --csv; use --json");
    if (within < 0 || (within > 0 && !paired))
        return tool_usage(&self, "--within goes with --paired, and is 0 or more");
    if (paired)
        return rollouts_paired(&self, rest, n, within, out, json);
    if (check_names(&self, rest, n))
        return TOOL_USAGE;
    rows = json_array();
    for (int i = 0; i < n && !status; i++)
        status = add_row(rows, rest[i], &first, &err);
    if (!status)
        status = json_complete(&err);
    if (!status && out)
        status = save(rows, out, &err);
    if (!status && csv)
        status = save_csv(rows, csv, &err);
    if (!status && json) {
        status = print_json(rows, &err);
    } else if (!status) {
        print_table(rows);
        print_budgets(rows);
        print_chains(rows);
    }
    json_decref(first);
    json_decref(rows);
    return status ? tool_fail(&self, status, &err) : DEER_OK;
}
