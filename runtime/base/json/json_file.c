/* SPDX-License-Identifier: MIT */
/* json_file.c - a JSON file, or where it is none. */
#include "runtime/base/json/json_file.h"

#include <stdlib.h>

#include "runtime/base/file.h"

json_t *json_file_read(const char *path, size_t limit, deer_error *err)
{
    char *text;
    size_t size;
    json_error_t problem;
    json_t *json;

    if (file_read(path, limit, &text, &size, err))
        return NULL;
    json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    free(text);
    if (!json)
        deer_fail(err, "%s is not JSON: %s (line %d)", path, json_reason(&problem), problem.line);
    return json;
}
