/* SPDX-License-Identifier: MIT */
/* shape.c - model shapes that need no model: published ones, and files that say what differs. */
#include <string.h>

#include "budgets/cost/cost.h"
#include "runtime/base/json/json_file.h"
#include "runtime/model/config.h"

enum { MAX_FILE = 1 << 20 };

/* The published shape with the fields of the file in place of its own. */
static json_t *changed(const char *path, const json_t *file, const deer_config *like,
                       deer_error *err)
{
    json_t *shape = config_to_json(like), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)file, key, value)
    {
        if (!strcmp(key, "like"))
            continue;
        if (!json_object_get(shape, key) || json_object_set(shape, key, value)) {
            deer_fail(err, "%s: a shape has no field '%.40s' (docs/model-file.md has them)", path,
                      key);
            json_decref(shape);
            return NULL;
        }
    }
    return shape;
}

static deer_status shape_from_file(const char *path, deer_config *config, deer_error *err)
{
    json_t *file = json_file_read(path, MAX_FILE, err), *shape;
    const char *like = json_string_value(json_object_get(file, "like"));
    deer_status status;

    if (!file)
        return DEER_FAILED;
    if (!like || !deer_config_published(like, config)) {
        json_decref(file);
        return deer_fail(
            err, "%s is no shape: it needs \"like\": \"3b\" or \"9b\", and what differs", path);
    }
    shape = changed(path, file, config, err);
    status = shape ? config_from_json(path, shape, config, err) : DEER_FAILED;
    json_decref(shape);
    json_decref(file);
    return status;
}

deer_status deer_config_shape(const char *name, deer_config *config, deer_error *err)
{
    size_t length = strlen(name);

    if (deer_config_published(name, config))
        return DEER_OK;
    if (length > 5 && !strcmp(name + length - 5, ".json"))
        return shape_from_file(name, config, err);
    return deer_fail_with(DEER_USAGE, err,
                          "there is no published shape '%s'; say 3b or 9b, or a file *.json", name);
}
