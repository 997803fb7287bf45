/* SPDX-License-Identifier: MIT */
/* json_build.c - a failure anywhere in a document is one of the whole. */
#include "runtime/base/json/json_build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/file.h"
#include "runtime/base/json/json_memory.h"

static _Thread_local bool incomplete;

void json_put(json_t *object, const char *key, json_t *value)
{
    incomplete |= json_object_set_new(object, key, value) != 0;
}

void json_push(json_t *list, json_t *value)
{
    incomplete |= json_array_append_new(list, value) != 0;
}

json_t *json_copied(json_t *object)
{
    json_t *copy = json_object();

    incomplete |= json_object_update(copy, object) != 0;
    return copy;
}

void json_join(json_t *object, json_t *more)
{
    incomplete |= json_object_update(object, more) != 0;
    json_decref(more);
}

char *json_text(json_t *json, size_t flags)
{
    char *text = incomplete ? NULL : json_dumped(json, flags);

    json_decref(json);
    incomplete = false;
    return text;
}

deer_status json_complete(deer_error *err)
{
    bool missing = incomplete;

    incomplete = false;
    return missing ? deer_fail(err, "out of memory, or a text is not UTF-8") : DEER_OK;
}

deer_status json_print(json_t *json, size_t flags, deer_error *err)
{
    char *text = json_text(json, flags);

    if (!text)
        return deer_fail(err, "out of memory printing JSON, or a text in it is not UTF-8");
    puts(text); /* a full disk is noticed when the program ends */
    free(text);
    return DEER_OK;
}

deer_status json_write(const char *path, json_t *json, size_t flags, deer_error *err)
{
    char *text = json_text(json, flags);
    deer_status status =
        text ? file_write(path, text, strlen(text), err)
             : deer_fail(err, "cannot write %s: out of memory, or a text in it is not UTF-8", path);

    free(text);
    return status;
}
