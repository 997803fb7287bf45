/* SPDX-License-Identifier: MIT */
/* rollouts_paired.c - evaluations against the first, start by start. */
#include "reports/cli/rollouts_paired.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/answer/paired.h"
#include "runtime/base/json/json_build.h"

enum { MOST = 64 }; /* evaluations */

/* An argument, taken apart. */
typedef struct {
    char *name, *files; /* of one block, which name begins; files: between commas */
} side;

static deer_status split(const char *argument, side *s, deer_error *err)
{
    char *equals;

    s->name = strdup(argument);
    if (!s->name)
        return deer_fail(err, "out of memory for %s", argument);
    equals = strchr(s->name, '=');
    s->files = equals ? equals + 1 : s->name;
    if (equals)
        *equals = 0;
    return DEER_OK;
}

/* The next of the files between commas: copied to path, and *list moves on; false at the end. */
static bool next_file(const char **list, char *path, size_t size)
{
    size_t n = strcspn(*list, ",");

    if (!**list)
        return false;
    snprintf(path, size, "%.*s", (int)n, *list);
    *list += n + ((*list)[n] == ',');
    return true;
}

static deer_status pair_up(const side *first, const side *second, double within, paired *pair,
                           deer_error *err)
{
    const char *a = first->files, *b = second->files;
    char from[4096], to[4096];

    *pair = (paired){.within = within};
    for (;;) {
        bool more = next_file(&a, from, sizeof from);

        if (more != next_file(&b, to, sizeof to))
            return deer_fail_with(DEER_USAGE, err, "%s and %s are not as many files", first->files,
                                  second->files);
        if (!more)
            break;
        if (paired_add(from, to, pair, err))
            return DEER_FAILED;
    }
    paired_finish(pair);
    return DEER_OK;
}

/* ---------------------------------------------------------------- output ------------------- */

static double per_pair(const paired *p, int which)
{
    return p->side[which].worth / p->pairs;
}

static double llm_a_step(const paired *p, int which)
{
    return p->side[which].llm / p->side[which].steps;
}

static double total_a_step(const paired *p, int which)
{
    return p->side[which].total / p->side[which].steps;
}

static bool counted(const paired *p) /* of both, what they cost */
{
    return p->side[0].llm > 0 && p->side[1].llm > 0;
}

static void print_row(const char *name, const paired *p)
{
    double scale = p->rows ? 1 : 100;
    int digits = p->rows ? 3 : 1;

    printf("%-16.16s %8.*f  %8d %8d  %+9.*f  [%+7.*f, %+7.*f]  %9.2g", name, digits,
           scale * per_pair(p, 1), p->first, p->second, digits, scale * p->difference, digits,
           scale * p->low, digits, scale * p->high, p->p_value);
    if (counted(p))
        printf("  %10.5f %6.2fx", llm_a_step(p, 1), llm_a_step(p, 0) / llm_a_step(p, 1));
    putchar('\n');
}

static void print_table(const side *sides, const paired *pairs, int n)
{
    const paired *p = &pairs[1];

    printf("against %s: %.*f%s of %d %s\n\n", sides[0].name, p->rows ? 3 : 1,
           (p->rows ? 1 : 100) * per_pair(p, 0), p->rows ? " done in a row" : "% success", p->pairs,
           p->rows ? "rows" : "rollouts");
    printf("%-16s %8s  %17s  %9s  %-18s  %9s  %10s\n", "", p->rows ? "length" : "success",
           "better: it, this", "difference", "95% interval", "McNemar p", "LLM GFLOPs");
    for (int i = 1; i < n; i++)
        print_row(sides[i].name, &pairs[i]);
}

static json_t *pair_json(const side *s, const paired *p)
{
    json_t *json = json_pack("{s:s, s:i, s:b, s:i, s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f}", "name",
                             s->name, "pairs", p->pairs, "rows", (int)p->rows, "first_better",
                             p->first, "second_better", p->second, "equal", p->equal, "first",
                             per_pair(p, 0), "second", per_pair(p, 1), "difference", p->difference,
                             "low", p->low, "high", p->high, "p_value", p->p_value);

    if (counted(p)) /* GFLOPs a step */
        json_join(json, json_pack("{s:f, s:f, s:f, s:f}", "first_llm_gflops", llm_a_step(p, 0),
                                  "second_llm_gflops", llm_a_step(p, 1), "first_total_gflops",
                                  total_a_step(p, 0), "second_total_gflops", total_a_step(p, 1)));
    return json;
}

static json_t *all_json(const side *sides, const paired *pairs, int n)
{
    json_t *list = json_array(), *root = json_object();

    for (int i = 1; i < n; i++)
        json_push(list, pair_json(&sides[i], &pairs[i]));
    json_put(root, "against", json_string(sides[0].name));
    json_put(root, "pairs", list);
    return root;
}

static deer_status tell(const side *sides, const paired *pairs, int n, const char *out, bool json,
                        deer_error *err)
{
    const size_t flags = JSON_INDENT(1) | JSON_REAL_PRECISION(8);

    if (out && json_write(out, all_json(sides, pairs, n), flags, err))
        return DEER_FAILED;
    if (json)
        return json_print(all_json(sides, pairs, n), flags, err);
    print_table(sides, pairs, n);
    return DEER_OK;
}

int rollouts_paired(const tool_command *self, const char *const *argument, int n, double within,
                    const char *out, bool json)
{
    side sides[MOST] = {{NULL}};
    paired pairs[MOST];
    deer_status status = DEER_OK;
    deer_error err;

    if (n < 2 || n > MOST)
        return tool_usage(self, "--paired compares 2 to %d evaluations, not %d", MOST, n);
    for (int i = 0; i < n && !status; i++)
        status = split(argument[i], &sides[i], &err);
    for (int i = 1; i < n && !status; i++)
        status = pair_up(&sides[0], &sides[i], within, &pairs[i], &err);
    if (!status)
        status = tell(sides, pairs, n, out, json, &err);
    for (int i = 0; i < n; i++)
        free(sides[i].name);
    return status ? tool_fail(self, status, &err) : DEER_OK;
}
