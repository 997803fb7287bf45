/* SPDX-License-Identifier: MIT */
/* evaluation.c - files of deer-sim eval --json. */
#include "reports/answer/evaluation.h"

#include <stdio.h>
#include <string.h>

#include "runtime/base/json/json_file.h"

enum { MAX_FILE = 16 << 20 };

json_t *evaluation_load(const char *path, deer_error *err)
{
    return json_file_read(path, MAX_FILE, err);
}

/* Whether both say a number, and not the same; earlier files do not say all. */
static bool other_number(const json_t *a, const json_t *b, const char *field)
{
    const json_t *x = json_object_get(a, field), *y = json_object_get(b, field);

    return json_is_number(x) && json_is_number(y) && json_number_value(x) != json_number_value(y);
}

static bool same_keys(const json_t *a, const json_t *b)
{
    bool same = json_object_size(a) == json_object_size(b);

    for (void *i = json_object_iter((json_t *)(uintptr_t)a); i && same;
         i = json_object_iter_next((json_t *)(uintptr_t)a, i))
        same = json_object_get(b, json_object_iter_key(i)) != NULL;
    return same;
}

bool evaluation_differs(const json_t *first, const json_t *other, char *text, size_t size)
{
    const json_t *a = json_object_get(first, "seed"), *b = json_object_get(other, "seed");
    const char *split_a = json_string_value(json_object_get(first, "split"));
    const char *split_b = json_string_value(json_object_get(other, "split"));
    bool chains_a = json_object_get(first, "chains"), chains_b = json_object_get(other, "chains");

    if (!json_is_integer(a) || !json_is_integer(b) || !split_a || !split_b)
        return false;
    if (chains_a != chains_b)
        snprintf(text, size, chains_b ? "chains, not single tasks" : "single tasks, not chains");
    else if (json_integer_value(a) != json_integer_value(b))
        snprintf(text, size, "seed %lld, not %lld", (long long)json_integer_value(b),
                 (long long)json_integer_value(a));
    else if (strcmp(split_a, split_b))
        snprintf(text, size, "split %.40s, not %.40s", split_b, split_a);
    else if (other_number(first, other, "noise") || other_number(first, other, "light"))
        snprintf(text, size, "in another world (noise, light)");
    else if (!chains_a &&
             !same_keys(json_object_get(first, "tasks"), json_object_get(other, "tasks")))
        snprintf(text, size, "other tasks");
    else
        return false;
    return true;
}
