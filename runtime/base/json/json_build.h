/* SPDX-License-Identifier: MIT */
/* json_build.h - making JSON that is whole or not at all.
 *
 *   json_t *json = json_object(), *list = json_array();
 *   json_push(list, json_real(1.5));
 *   json_put(json, "values", list);
 *   json_put(json, "name", json_string(name));
 *   text = json_text(json, JSON_INDENT(1));      // NULL when any of it could not be made
 *
 * jansson's own setters return a failure that nobody looks at, and its constructors NULL: out of
 * memory, or for a text that is not UTF-8, fields would silently be missing. These remember it, in
 * the thread that builds, until json_text ends the build: one document at a time in a thread. */
#ifndef RUNTIME_JSON_BUILD_H
#define RUNTIME_JSON_BUILD_H

#include <jansson.h>

#include "runtime/deer.h"

/* Puts a value into an object, or at the end of a list; takes it over. A NULL value is remembered
 * as a failure. */
void json_put(json_t *object, const char *key, json_t *value);
void json_push(json_t *list, json_t *value);

/* A copy of an object with the same values, not copies of them: for a build that replaces some. */
json_t *json_copied(json_t *object);

/* Joins a second object's fields to the first's, and takes the second over. */
void json_join(json_t *object, json_t *more);

/* Ends a build: its text, for the caller to free, or NULL where something is missing. Frees json
 * either way; flags are those of json_dumps. */
char *json_text(json_t *json, size_t flags);

/* Ends a build whose JSON is used as it is: fails where something is missing. */
deer_status json_complete(deer_error *err);

/* Ends a build onto standard output, with a line's end; frees json. Fails, having printed nothing,
 * when something is missing. */
deer_status json_print(json_t *json, size_t flags, deer_error *err);

/* The same into a file, whole or not at all. */
deer_status json_write(const char *path, json_t *json, size_t flags, deer_error *err);

#endif
