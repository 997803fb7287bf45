/* SPDX-License-Identifier: MIT */
/* comparison.c - two reports of whatif side by side, from their JSON. */
#include "reports/formats/comparison.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"

enum { MAX_FILE = 64 << 20, SHARES = 10 };

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

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

deer_status comparison_load(const char *path, json_t **report, deer_error *err)
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

/* The dearest point within a share of the way from the first exit's cost to that of full depth;
 * NULL where none is. */
static const json_t *point_at_share(const json_t *report, double share)
{
    const json_t *points = points_of(report), *point, *found = NULL;
    double first = first_cost(report);
    double limit = (first + share * (full_cost(report) - first)) * (1 + 1e-5);
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)points, i, point)
    {
        if (number_of(point, "cost_gflops") <= limit)
            found = point;
    }
    return found;
}

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* One end of the band of a point's loss. */
static double band_of(const json_t *point, size_t end)
{
    const json_t *value = json_array_get(get(point, "loss_95"), end);

    return json_is_number(value) ? json_number_value(value) : NAN;
}

static json_t *band_json(const json_t *point)
{
    return json_pack("[o, o]", real_or_null(band_of(point, 0)), real_or_null(band_of(point, 1)));
}

/* Whose loss is less, which it is where the bands lie apart; NULL: one of them is not known. */
static const char *less_of(const json_t *a, const json_t *b)
{
    double x = number_of(a, "loss"), y = number_of(b, "loss"), rounding = 1e-3 * fmax(x, y);

    if (!isfinite(x) || !isfinite(y) || !isfinite(band_of(a, 0) + band_of(a, 1)) ||
        !isfinite(band_of(b, 0) + band_of(b, 1)))
        return NULL;
    if (band_of(a, 1) < band_of(b, 0) && x < y - rounding)
        return "A";
    return band_of(b, 1) < band_of(a, 0) && y < x - rounding ? "B" : "alike";
}

static json_t *frontiers(const json_t *a, const json_t *b)
{
    json_t *list = json_array();

    for (int i = 0; i <= SHARES; i++) {
        double share = (double)i / SHARES;
        const json_t *x = point_at_share(a, share), *y = point_at_share(b, share);
        const char *less = less_of(x, y);
        json_t *row = json_object();

        json_put(row, "share_of_range", json_real(share));
        json_put(row, "loss_a", real_or_null(number_of(x, "loss")));
        json_put(row, "loss_95_a", band_json(x));
        json_put(row, "loss_b", real_or_null(number_of(y, "loss")));
        json_put(row, "loss_95_b", band_json(y));
        json_put(row, "less", less ? json_string(less) : json_null());
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
    json_put(row, "title", json_string(text_of(machine_of(a, x), "title")));
    json_put(row, "mode", json_string(text_of(option_of(a, x), "mode")));
    json_put(row, "dtype", json_string(text_of(x, "dtype")));
    json_put(row, "rate_hz", real_or_null(number_of(x, "rate_hz")));
    json_put(row, "verdict_a", json_string(text_of(x, "verdict")));
    json_put(row, "verdict_b", json_string(text_of(y, "verdict")));
    json_put(row, "reason_a", json_string(text_of(x, "reason")));
    json_put(row, "reason_b", json_string(text_of(y, "reason")));
    return row;
}

/* both: how many were asked of both. */
static json_t *machines(const json_t *a, const json_t *b, int *both)
{
    json_t *list = json_array(), *x;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)get(a, "answers"), i, x)
    {
        const json_t *y = counterpart(a, x, b);

        *both += y != NULL;
        if (y && strcmp(text_of(x, "verdict"), text_of(y, "verdict")))
            json_push(list, difference(a, x, y));
    }
    return list;
}

/* The frontier with every exit allowed. */
static json_t *summary_points(const json_t *report)
{
    double first = first_cost(report), range = full_cost(report) - first;
    json_t *list = json_array();
    const json_t *point;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)points_of(report), i, point)
    {
        double share = range > 0 ? (number_of(point, "cost_gflops") - first) / range : 0;
        json_t *row = json_object(), *within = json_object_get(point, "loss_95");

        json_put(row, "share_of_range", real_or_null(share));
        json_put(row, "cost_gflops", real_or_null(number_of(point, "cost_gflops")));
        json_put(row, "loss", real_or_null(number_of(point, "loss")));
        json_put(row, "loss_95", json_is_array(within) ? json_incref(within) : json_array());
        json_push(list, row);
    }
    return list;
}

static json_t *summary(const char *path, const json_t *report)
{
    const json_t *cache = get(report, "cache");
    json_t *json = json_object();

    json_put(json, "name", json_string(file_name(path)));
    json_put(json, "cache", json_string(text_of(cache, "folder")));
    json_put(json, "policy", json_string(text_of(cache, "policy")));
    json_put(json, "shape", json_string(text_of(get(report, "model"), "name")));
    json_put(json, "scope", json_string(text_of(report, "scope")));
    json_put(json, "episodes", json_integer(json_integer_value(get(cache, "episodes"))));
    json_put(json, "full_depth_gflops", real_or_null(full_cost(report)));
    json_put(json, "points", summary_points(report));
    return json;
}

/* ---------------------------------------------------------------- rates -------------------- */

/* The choices of both at the rates that both were asked for. */
static json_t *rates(const json_t *a, const json_t *b)
{
    json_t *list = json_array();
    const json_t *x, *y;
    size_t i, j;

    json_array_foreach((json_t *)(uintptr_t)get(a, "choices"), i, x)
    {
        json_array_foreach((json_t *)(uintptr_t)get(b, "choices"), j, y)
        {
            json_t *row;

            if (number_of(x, "rate_hz") != number_of(y, "rate_hz"))
                continue;
            row = json_object();
            json_put(row, "rate_hz", real_or_null(number_of(x, "rate_hz")));
            json_put(row, "a", json_string(text_of(x, "verdict")));
            json_put(row, "b", json_string(text_of(y, "verdict")));
            json_push(list, row);
        }
    }
    return list;
}

/* ---------------------------------------------------------------- in words ----------------- */

static void say(json_t *words, const char *key, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(json_t *words, const char *key, const char *format, ...)
{
    char text[600];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    json_put(words, key, json_string(text));
}

static void say_losses(json_t *words, const json_t *frontier)
{
    int a = 0, b = 0, known = 0;
    const json_t *row;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)frontier, i, row)
    {
        a += !strcmp(text_of(row, "less"), "A");
        b += !strcmp(text_of(row, "less"), "B");
        known += json_is_string(get(row, "less"));
    }
    if (!known)
        say(words, "loss", "No share of the range of costs has losses of both A and B.");
    else if (!a && !b)
        say(words, "loss",
            "A and B lose alike: at none of %d equal shares of the range of costs is the "
            "difference beyond the bands.",
            known);
    else if (a && b)
        say(words, "loss",
            "Of %d equal shares of the range of costs, A loses less at %d and B at %d, beyond the "
            "bands; at the others they lose alike.",
            known, a, b);
    else
        say(words, "loss",
            "%s loses less at %d of %d equal shares of the range of costs, beyond the bands; at "
            "the others they lose alike.",
            a ? "A" : "B", a + b, known);
}

static void say_machines(json_t *words, const json_t *machines, int both)
{
    int a = 0, b = 0;
    const json_t *row;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)machines, i, row)
    {
        a += !strcmp(text_of(row, "verdict_a"), "meets");
        b += !strcmp(text_of(row, "verdict_b"), "meets");
    }
    if (!both)
        say(words, "machines", "Both were asked for no machine, mode, type and rate together.");
    else if (!json_array_size(machines))
        say(words, "machines",
            "All %d machines, modes, types and rates that both were asked for have the same "
            "verdict.",
            both);
    else
        say(words, "machines",
            "Of %d machines, modes, types and rates that both were asked for, %d meet the demands "
            "with A alone and %d with B alone; %d fail with both, for different reasons.",
            both, a, b, (int)json_array_size(machines) - a - b);
}

static void say_paired(json_t *words, const json_t *p)
{
    bool rows = json_is_true(get(p, "rows"));
    double scale = rows ? 1 : 100;

    say(words, "paired",
        "In %.0f %s from the same starts B did more %.0f times and A %.0f times: %+.*f %s "
        "[%+.*f, %+.*f], p %.2g.",
        number_of(p, "pairs"), rows ? "rows" : "rollouts", number_of(p, "second_better"),
        number_of(p, "first_better"), rows ? 3 : 1, scale * number_of(p, "difference"),
        rows ? "tasks a row" : "points", rows ? 3 : 1, scale * number_of(p, "low"), rows ? 3 : 1,
        scale * number_of(p, "high"), number_of(p, "p_value"));
}

/* ---------------------------------------------------------------- delivery ----------------- */

/* pairs: null where no rollouts share their starts; taken over. watched: a folder, or NULL. */
json_t *comparison_json(const comparison_sides *s, json_t *pairs, const char *watched)
{
    json_t *json = json_object(), *words = json_object();
    int both = 0;

    json_put(json, "deer_report_comparison", json_integer(2));
    json_put(json, "a", summary(s->path[0], s->report[0]));
    json_put(json, "b", summary(s->path[1], s->report[1]));
    json_put(json, "frontier", frontiers(s->report[0], s->report[1]));
    json_put(json, "rates", rates(s->report[0], s->report[1]));
    json_put(json, "machines", machines(s->report[0], s->report[1], &both));
    say_losses(words, get(json, "frontier"));
    say_machines(words, get(json, "machines"), both);
    if (!json_is_null(pairs))
        say_paired(words, pairs);
    json_put(json, "paired", pairs);
    json_put(json, "watched", watched ? json_string(watched) : json_null());
    json_put(json, "words", words);
    return json;
}

json_t *comparison_pairs(const paired *p)
{
    return json_pack("{s:i, s:b, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "pairs", p->pairs,
                     "rows", (int)p->rows, "first_better", p->first, "second_better", p->second,
                     "equal", p->equal, "first", p->side[0].worth / p->pairs, "second",
                     p->side[1].worth / p->pairs, "difference", p->difference, "low", p->low,
                     "high", p->high, "p_value", p->p_value);
}
