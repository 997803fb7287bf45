/* SPDX-License-Identifier: MIT */
/* compare.c - deer-report compare: two reports of whatif side by side, as text, JSON and a page. */
#include "reports/cli/compare.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "reports/formats/comparison.h"
#include "reports/page/compare_page.h"
#include "reports/page/parts.h"
#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/machine_failure.h"
#include "runtime/cli/tool.h"

/* ---------------------------------------------------------------- text --------------------- */

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
    printf("\n%s\n\n%-22s %10s %10s  less, beyond the bands\n", text_of(get(json, "words"), "loss"),
           "budget", "loss A", "loss B");
    json_array_foreach((json_t *)(uintptr_t)get(json, "frontier"), i, row)
    {
        printf("%21.0f%%", 100 * number_of(row, "share_of_range"));
        print_loss(number_of(row, "loss_a"));
        print_loss(number_of(row, "loss_b"));
        printf("  %s\n", json_is_null(get(row, "less")) ? "-" : text_of(row, "less"));
    }
    if (!json_is_null(get(json, "paired")))
        printf("\n%s\n", text_of(get(json, "words"), "paired"));
    printf(
        "budget: how far from the first exit's cost (0%%) to full depth's (100%%); bands: 95%% of "
        "bootstrap samples\n\n%s\n",
        text_of(get(json, "words"), "machines"));
    json_array_foreach((json_t *)(uintptr_t)get(json, "machines"), i, row)
    {
        printf("%-20s %-10s %-5s %5g Hz  %-8s %-8s %s\n", text_of(row, "machine"),
               text_of(row, "mode"), text_of(row, "dtype"), number_of(row, "rate_hz"),
               text_of(row, "verdict_a"), text_of(row, "verdict_b"),
               text_of(row, strcmp(text_of(row, "verdict_a"), "meets") ? "reason_a" : "reason_b"));
    }
}

/* ---------------------------------------------------------------- rollouts ----------------- */

/* "A.json,B.json" and more of such pairs, one a seed. */
static deer_status read_pairs(const char *list, json_t **json, deer_error *err)
{
    paired p = {.within = 0};
    char copy[8192], *next = copy, *first, *second;

    if (strlen(list) >= sizeof copy)
        return deer_fail_with(DEER_USAGE, err, "--rollouts is too long");
    strcpy(copy, list);
    while ((first = strsep(&next, ","))) {
        second = strsep(&next, ",");
        if (!second || !*first || !*second)
            return deer_fail_with(DEER_USAGE, err,
                                  "--rollouts %s: say pairs of files, A.json,B.json", list);
        if (paired_add(first, second, &p, err))
            return DEER_FAILED;
    }
    paired_finish(&p);
    *json = comparison_pairs(&p);
    return *json ? DEER_OK : deer_fail(err, "out of memory for the rollouts of %s", list);
}

/* Of every file that folder/a and folder/b both have by now; one that is not whole yet waits. */
static deer_status look_into(const char *folder, json_t **json, deer_error *err)
{
    char a[4096], b[4096];
    paired p = {.within = 0};
    struct dirent **entry = NULL;
    unsigned before = machine_failures();
    deer_error unfinished;
    bool failed = false;
    int n;

    snprintf(a, sizeof a, "%s/a", folder);
    n = scandir(a, &entry, NULL, alphasort);
    if (n < 0)
        return deer_fail(err,
                         "cannot look into %s: %s; --watch DIR has evaluations in DIR/a and "
                         "DIR/b, those of the same starts by the same name",
                         a, strerror(errno));
    for (int i = 0; i < n; i++) {
        const char *name = entry[i]->d_name;
        size_t length = strlen(name);
        paired known = p;

        snprintf(a, sizeof a, "%s/a/%s", folder, name);
        snprintf(b, sizeof b, "%s/b/%s", folder, name);
        if (!failed && length > 5 && !strcmp(name + length - 5, ".json") && !access(b, R_OK) &&
            paired_add(a, b, &p, &unfinished)) {
            p = known;
            failed = machine_failures() != before;
        }
        free(entry[i]);
    }
    free(entry);
    if (failed)
        return deer_fail(err, "%s", unfinished.message);
    if (p.pairs)
        paired_finish(&p);
    *json = p.pairs ? comparison_pairs(&p) : json_null();
    return *json ? DEER_OK : deer_fail(err, "out of memory for the evaluations in %s", folder);
}

/* ---------------------------------------------------------------- page --------------------- */

static deer_status write_page(const json_t *json, const char *out, deer_error *err)
{
    char *text = NULL;
    size_t size = 0;
    deer_status status = compare_page_text(json, &text, &size, err);

    if (!status)
        status = file_write(out, text, size, err);
    free(text);
    return status;
}

static volatile sig_atomic_t stopped;

static void stop(int signal)
{
    (void)signal;
    stopped = 1;
}

/* Writes the page anew whenever other rollouts are there, until interrupted; the last one does not
 * load itself anew. */
static deer_status watch(const comparison_sides *s, const char *folder, const char *out,
                         deer_error *err)
{
    json_t *shown = NULL, *now = NULL, *json;
    deer_status status = DEER_OK;
    bool last = false;

    signal(SIGINT, stop);
    signal(SIGTERM, stop);
    while (!status && !last) {
        last = stopped;
        status = look_into(folder, &now, err);
        if (status)
            break;
        if (last || !shown || !json_equal(shown, now)) {
            json_decref(shown);
            shown = json_incref(now);
            json = comparison_json(s, json_incref(now), last ? NULL : folder);
            status = json_complete(err);
            if (!status)
                status = write_page(json, out, err);
            json_decref(json);
        }
        json_decref(now);
        for (int i = 0; i < 10 && !stopped; i++)
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    json_decref(shown);
    return status;
}

/* ---------------------------------------------------------------- command ------------------ */

typedef struct {
    const char *out, *rollouts, *watch;
    bool as_json;
} asked;

static deer_status deliver(const comparison_sides *s, const asked *q, deer_error *err)
{
    json_t *pairs = NULL, *json;
    deer_status status = DEER_OK;

    if (q->watch)
        return watch(s, q->watch, q->out, err);
    if (q->rollouts)
        status = read_pairs(q->rollouts, &pairs, err);
    if (status)
        return status;
    json = comparison_json(s, pairs ? pairs : json_null(), NULL);
    status = json_complete(err);
    if (!status && q->out)
        status = write_page(json, q->out, err);
    if (!status && q->as_json)
        status = json_print(json_incref(json), JSON_INDENT(2) | JSON_REAL_PRECISION(6), err);
    else if (!status)
        print_comparison(json);
    json_decref(json);
    return status;
}

static int check(const tool_command *self, const asked *q, int n)
{
    if (n != 2)
        return tool_usage(self, "which two reports? A.json B.json");
    if (q->watch && !q->out)
        return tool_usage(self, "--watch %s needs a page to keep up to date: --out FILE", q->watch);
    if (q->watch && q->rollouts)
        return tool_usage(self, "--watch and --rollouts exclude each other");
    return 0;
}

int report_compare_main(int argc, char **argv)
{
    asked q = {.as_json = false};
    const tool_option options[] = {
        {"out", TOOL_FILE, &q.out, "FILE", "page to write (HTML)"},
        {"rollouts", TOOL_STRING, &q.rollouts, "A,B",
         "evaluations of the two from the same starts (deer-sim eval --json), paired: A1,B1,A2,B2"},
        {"watch", TOOL_STRING, &q.watch, "DIR",
         "write the page anew while evaluations come into DIR/a and DIR/b, until interrupted"},
        {"json", TOOL_FLAG, &q.as_json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-report compare", "two reports of whatif side by side",
                               "A.json B.json [options]", options,
                               "deer-report whatif --cache before --json a.json\n"
                               "deer-report whatif --cache after --json b.json\n"
                               "deer-report compare a.json b.json\n"
                               "deer-report compare a.json b.json --rollouts full.json,early.json "
                               "--out compare.html"};
    const char *rest[64];
    comparison_sides s = {.path = {NULL}};
    deer_error err;
    int n = 0, ended;

    if (argc > 64)
        return tool_usage(&self, "too many arguments");
    if (tool_parse(&self, argc, argv, rest, &n, &ended) || (ended = check(&self, &q, n)))
        return ended;
    s.path[0] = rest[0];
    s.path[1] = rest[1];
    ended = comparison_load(rest[0], &s.report[0], &err);
    if (!ended)
        ended = comparison_load(rest[1], &s.report[1], &err);
    if (!ended && q.out && !page_has_libraries())
        ended = deer_fail(&err,
                          "%s cannot be drawn: npm, which brings the page's libraries, was "
                          "missing when this program was built",
                          q.out);
    if (!ended)
        ended = deliver(&s, &q, &err);
    if (ended)
        ended = tool_fail(&self, (deer_status)ended, &err);
    json_decref(s.report[0]);
    json_decref(s.report[1]);
    return ended;
}
