/* SPDX-License-Identifier: MIT */
/* compare.c - deer-report compare: two reports of whatif side by side. */
#include "reports/cli/compare.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"
#include "runtime/cli/tool.h"

enum { MAX_FILE = 64 << 20, SHARES = 10 };

/* ---------------------------------------------------------------- reading ------------------ */

static const json_t *get(const json_t *object, const char *key)
{
    return json_object_get(object, key);
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(get(object, key));

    return text ? text : "?";
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = get(object, key);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static const json_t *last_of(const json_t *list)
{
    return json_array_get(list, json_array_size(list) - 1);
}

/* The points of the frontier with every exit allowed; NULL where there are none. */
static const json_t *points_of(const json_t *report)
{
    const json_t *points = get(last_of(get(report, "frontiers")), "points");

    return json_array_size(points) ? points : NULL;
}

static double first_cost(const json_t *report)
{
    return number_of(json_array_get(get(report, "exits"), 0), "cost_gflops");
}

static double full_cost(const json_t *report)
{
    return number_of(last_of(get(report, "exits")), "cost_gflops");
}

static deer_status load(const char *path, json_t **report, deer_error *err)
{
    static const char *const lists[] = {"answers", "options", "machines", "exits", NULL};

    *report = json_file_read(path, MAX_FILE, err);
    if (!*report)
        return DEER_FAILED;
    if (json_integer_value(get(*report, "deer_report")) != 2 || !points_of(*report) ||
        !(full_cost(*report) > 0) || !(first_cost(*report) > 0))
        return deer_fail(err, "%s is no report; make one with deer-report whatif --json FILE",
                         path);
    for (int i = 0; lists[i]; i++)
        if (!json_is_array(get(*report, lists[i])))
            return deer_fail(err, "%s has no list \"%s\"; is it whole?", path, lists[i]);
    return DEER_OK;
}

/* ---------------------------------------------------------------- frontiers ---------------- */

/* Loss of the dearest point within a share of the way from the first exit's cost to that of full
 * depth; NaN where none is. */
static double loss_at_share(const json_t *report, double share)
{
    const json_t *points = points_of(report), *point;
    double first = first_cost(report), loss = NAN;
    double limit = (first + share * (full_cost(report) - first)) * (1 + 1e-5);
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)points, i, point)
    {
        if (number_of(point, "cost_gflops") <= limit)
            loss = number_of(point, "loss");
    }
    return loss;
}

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *frontiers(const json_t *a, const json_t *b)
{
    json_t *list = json_array();

    for (int i = 0; i <= SHARES; i++) {
        double share = (double)i / SHARES;
        json_t *row = json_object();

        json_put(row, "share_of_range", json_real(share));
        json_put(row, "loss_a", real_or_null(loss_at_share(a, share)));
        json_put(row, "loss_b", real_or_null(loss_at_share(b, share)));
        json_push(list, row);
    }
    return list;
}

/* ---------------------------------------------------------------- machines ----------------- */

/* What identifies an answer: machine, mode, type, rate. */
static const json_t *option_of(const json_t *report, const json_t *answer)
{
    return json_array_get(get(report, "options"),
                          (size_t)json_integer_value(get(answer, "option")));
}

static const json_t *machine_of(const json_t *report, const json_t *answer)
{
    return json_array_get(get(report, "machines"),
                          (size_t)json_integer_value(get(option_of(report, answer), "machine")));
}

static bool same_setting(const json_t *a, const json_t *x, const json_t *b, const json_t *y)
{
    return number_of(x, "rate_hz") == number_of(y, "rate_hz") &&
           !strcmp(text_of(x, "dtype"), text_of(y, "dtype")) &&
           !strcmp(text_of(machine_of(a, x), "name"), text_of(machine_of(b, y), "name")) &&
           !strcmp(text_of(option_of(a, x), "mode"), text_of(option_of(b, y), "mode"));
}

static const json_t *counterpart(const json_t *a, const json_t *x, const json_t *b)
{
    const json_t *y;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)get(b, "answers"), i, y)
    {
        if (same_setting(a, x, b, y))
            return y;
    }
    return NULL;
}

static json_t *difference(const json_t *a, const json_t *x, const json_t *y)
{
    json_t *row = json_object();

    json_put(row, "machine", json_string(text_of(machine_of(a, x), "name")));
    json_put(row, "mode", json_string(text_of(option_of(a, x), "mode")));
    json_put(row, "dtype", json_string(text_of(x, "dtype")));
    json_put(row, "rate_hz", real_or_null(number_of(x, "rate_hz")));
    json_put(row, "verdict_a", json_string(text_of(x, "verdict")));
    json_put(row, "verdict_b", json_string(text_of(y, "verdict")));
    json_put(row, "reason_a", json_string(text_of(x, "reason")));
    json_put(row, "reason_b", json_string(text_of(y, "reason")));
    return row;
}

static json_t *machines(const json_t *a, const json_t *b)
{
    json_t *list = json_array(), *x;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)get(a, "answers"), i, x)
    {
        const json_t *y = counterpart(a, x, b);

        if (y && strcmp(text_of(x, "verdict"), text_of(y, "verdict")))
            json_push(list, difference(a, x, y));
    }
    return list;
}

static json_t *summary(const json_t *report)
{
    const json_t *cache = get(report, "cache");
    json_t *json = json_object();

    json_put(json, "cache", json_string(text_of(cache, "folder")));
    json_put(json, "policy", json_string(text_of(cache, "policy")));
    json_put(json, "shape", json_string(text_of(get(report, "model"), "name")));
    json_put(json, "scope", json_string(text_of(report, "scope")));
    json_put(json, "episodes", real_or_null(number_of(cache, "episodes")));
    json_put(json, "full_depth_gflops", real_or_null(full_cost(report)));
    return json;
}

/* ---------------------------------------------------------------- delivery ----------------- */

static void print_summary(const char *name, const json_t *s)
{
    printf("%s: %s, policy %s, costs of %s, %.0f episodes, full depth %.5g GFLOPs (%s)\n", name,
           text_of(s, "cache"), text_of(s, "policy"), text_of(s, "shape"), number_of(s, "episodes"),
           number_of(s, "full_depth_gflops"), text_of(s, "scope"));
}

static void print_loss(double loss)
{
    if (isnan(loss))
        printf(" %10s", "-");
    else
        printf(" %10.4g", loss);
}

static void print_comparison(const json_t *json)
{
    const json_t *row;
    size_t i;

    print_summary("A", get(json, "a"));
    print_summary("B", get(json, "b"));
    printf("\n%-22s %10s %10s\n", "budget", "loss A", "loss B");
    json_array_foreach((json_t *)(uintptr_t)get(json, "frontier"), i, row)
    {
        printf("%21.0f%%", 100 * number_of(row, "share_of_range"));
        print_loss(number_of(row, "loss_a"));
        print_loss(number_of(row, "loss_b"));
        printf("\n");
    }
    printf("budget: how far from the first exit's cost (0%%) to full depth's (100%%)\n");
    printf("\n%zu machines, modes and types with another verdict\n",
           json_array_size(get(json, "machines")));
    json_array_foreach((json_t *)(uintptr_t)get(json, "machines"), i, row)
    {
        printf("%-20s %-10s %-5s %5g Hz  %-8s %-8s %s\n", text_of(row, "machine"),
               text_of(row, "mode"), text_of(row, "dtype"), number_of(row, "rate_hz"),
               text_of(row, "verdict_a"), text_of(row, "verdict_b"),
               text_of(row, strcmp(text_of(row, "verdict_a"), "meets") ? "reason_a" : "reason_b"));
    }
}

static json_t *compare(const json_t *a, const json_t *b)
{
    json_t *json = json_object();

    json_put(json, "deer_report_comparison", json_integer(1));
    json_put(json, "a", summary(a));
    json_put(json, "b", summary(b));
    json_put(json, "frontier", frontiers(a, b));
    json_put(json, "machines", machines(a, b));
    return json;
}

int report_compare_main(int argc, char **argv)
{
    bool as_json = false;
    const tool_option options[] = {
        {"json", TOOL_FLAG, &as_json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-report compare", "two reports of whatif side by side",
                               "A.json B.json [--json]", options,
                               "deer-report whatif --cache before --json a.json\n"
                               "deer-report whatif --cache after --json b.json\n"
                               "deer-report compare a.json b.json"};
    const char **rest = calloc((size_t)argc, sizeof *rest);
    json_t *a = NULL, *b = NULL, *json;
    deer_error err;
    int n = 0, ended = TOOL_FAILED;

    if (!rest || tool_parse(&self, argc, argv, rest, &n, &ended)) {
        free(rest);
        return ended;
    }
    if (n != 2)
        ended = tool_usage(&self, "which two reports? A.json B.json");
    else if (load(rest[0], &a, &err) || load(rest[1], &b, &err))
        ended = tool_fail(&self, DEER_FAILED, &err);
    else {
        json = compare(a, b);
        ended = DEER_OK;
        if (as_json ? json_print(json_incref(json), JSON_INDENT(2) | JSON_REAL_PRECISION(6), &err)
                    : json_complete(&err))
            ended = tool_fail(&self, DEER_FAILED, &err);
        else if (!as_json)
            print_comparison(json);
        json_decref(json);
    }
    json_decref(a);
    json_decref(b);
    free(rest);
    return ended;
}
