/* SPDX-License-Identifier: MIT */
/* json_file.c - a JSON file, or where it is none. */
#include "runtime/base/json/json_file.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"

json_t *json_file_read(const char *path, size_t limit, deer_error *err)
{
    char *text;
    size_t size;
    json_error_t problem;
    json_t *json;

    if (file_read(path, limit, &text, &size, err))
        return NULL;
    json = json_parse(text, size, JSON_REJECT_DUPLICATES, &problem);
    free(text);
    if (!json)
        deer_fail(err, "%s is not JSON: %s (line %d)", path, problem.text, problem.line);
    return json;
}

/* The number of the escape \uXXXX at p; -1 where there is none. */
static long escape_at(const char *p, const char *end)
{
    char digits[5] = "";
    char *behind;
    long value;

    if (end - p < 6 || p[0] != '\\' || p[1] != 'u' || !isxdigit((unsigned char)p[2]) ||
        !isxdigit((unsigned char)p[3]))
        return -1;
    memcpy(digits, p + 2, 4);
    value = strtol(digits, &behind, 16);
    return behind == digits + 4 ? value : -1;
}

void json_mend_escapes(char *text, size_t size)
{
    const char *end = text + size;

    for (char *p = text; p < end; p++) {
        long here = escape_at(p, end);
        bool high = here >= 0xd800 && here < 0xdc00, low = here >= 0xdc00 && here < 0xe000;
        long next = high ? escape_at(p + 6, end) : -1;

        if (*p != '\\')
            continue;
        if (next >= 0xdc00 && next < 0xe000)
            p += 6; /* the two are one character */
        else if (high || low || !here)
            memcpy(p + 2, "fffd", 4);
        p += here < 0 ? 1 : 5;
    }
}
