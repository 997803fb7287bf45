/* SPDX-License-Identifier: MIT */
/* demos_text.c - what the robot was told: found under the names of several communities.
 *
 * A demonstration's own attribute "language" comes first; then "lang" of its JSON attribute ep_meta
 * (RoboCasa); then what the file says of all its demonstrations: "language_instruction" of the JSON
 * attribute problem_info (LIBERO), "lang" or "language_instruction" of env_args (robomimic). */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/demos/demos_internal.h"

enum { JSON_ROOM = 1 << 20 }; /* attributes of real files are a few kilobytes */

/* ---------------------------------------------------------------- cleaning ----------------- */

/* Bytes of the UTF-8 character at text, 0 if there is no valid one. */
static int character_bytes(const unsigned char *text)
{
    int n = text[0] < 0x80 ? 1 : text[0] >= 0xf0 && text[0] < 0xf5 ? 4 : text[0] >= 0xe0 ? 3 : 2;

    if (n > 1 && (text[0] < 0xc2 || text[0] >= 0xf5))
        return 0;
    for (int i = 1; i < n; i++)
        if ((text[i] & 0xc0) != 0x80)
            return 0;
    if ((text[0] == 0xe0 && text[1] < 0xa0) || (text[0] == 0xed && text[1] >= 0xa0) ||
        (text[0] == 0xf0 && text[1] < 0x90) || (text[0] == 0xf4 && text[1] >= 0x90))
        return 0; /* overlong forms, surrogates, beyond Unicode */
    return n;
}

/* Makes a text from a file printable on one line: spaces for control characters, no invalid UTF-8
 * (a character cut in two by the room there was, for one), no space or quotes around it. */
static void clean(char *text)
{
    unsigned char *in = (unsigned char *)text, *out = in;
    size_t length;

    while (*in) {
        int n = character_bytes(in);
        if (n == 1 && (*in < 0x20 || *in == 0x7f))
            *in = ' ';
        for (int i = 0; i < n; i++)
            *out++ = in[i];
        in += n ? n : 1;
    }
    *out = 0;
    length = strspn(text, " \"");
    memmove(text, text + length, strlen(text + length) + 1);
    for (length = strlen(text); length && strchr(" \"", text[length - 1]); length--)
        text[length - 1] = 0;
}

/* ---------------------------------------------------------------- JSON attributes ---------- */

/* A JSON string, or a list of strings joined. */
static void copy_json_text(const json_t *value, char *text, size_t room)
{
    const json_t *part;
    size_t i, used = 0;

    if (json_is_string(value))
        snprintf(text, room, "%s", json_string_value(value));
    json_array_foreach(value, i, part) if (json_is_string(part) && used < room) used +=
        (size_t)snprintf(text + used, room - used, "%s", json_string_value(part));
}

/* Fills an empty text from the first of the keys that a JSON attribute has. False when it cannot be
 * read. */
static bool text_from_json(hid_t object, const char *attribute, const char *const *keys, char *text,
                           size_t room)
{
    char *source = malloc(JSON_ROOM);
    json_error_t problem = {.line = 0};
    json_t *root = NULL;
    hdf5_found found =
        source ? hdf5_text_get(object, attribute, source, JSON_ROOM) : HDF5_UNREADABLE;

    if (found == HDF5_FOUND)
        root = json_loads(source, 0, &problem);
    for (; *keys && !*text; keys++)
        copy_json_text(json_object_get(root, *keys), text, room);
    if (found == HDF5_FOUND && !root && json_error_code(&problem) == json_error_out_of_memory)
        found = HDF5_UNREADABLE;
    json_decref(root);
    free(source);
    return found != HDF5_UNREADABLE;
}

/* ---------------------------------------------------------------- texts -------------------- */

static deer_status unreadable(const demos *d, const char *where, deer_error *err)
{
    return deer_fail(err, "%s: the attributes of %s cannot be read: damaged, or no memory", d->path,
                     where);
}

deer_status demos_read_file_texts(demos *d, deer_error *err)
{
    static const char *const language[] = {"language_instruction", "lang", NULL};
    static const char *const task[] = {"problem_name", "env_name", NULL};
    hid_t group = hdf5_group_open(d->file, d->path, "data", err);
    bool ok;

    if (group < 0)
        return DEER_FAILED;
    ok = text_from_json(group, "problem_info", language, d->instruction, sizeof d->instruction) &&
         text_from_json(group, "env_args", language, d->instruction, sizeof d->instruction) &&
         text_from_json(group, "problem_info", task, d->task, sizeof d->task) &&
         text_from_json(group, "env_args", task, d->task, sizeof d->task);
    clean(d->instruction);
    clean(d->task);
    H5Gclose(group);
    return ok ? DEER_OK : unreadable(d, "data", err);
}

static bool read_own(hid_t group, demo_episode *e)
{
    static const char *const language[] = {"lang", NULL};
    hdf5_found found = hdf5_text_get(group, "language", e->instruction, sizeof e->instruction);

    if (found == HDF5_ABSENT &&
        !text_from_json(group, "ep_meta", language, e->instruction, sizeof e->instruction))
        return false;
    return found != HDF5_UNREADABLE &&
           hdf5_text_get(group, "task", e->task, sizeof e->task) != HDF5_UNREADABLE &&
           hdf5_integer_get(group, "seed", &e->seed) != HDF5_UNREADABLE;
}

deer_status demos_read_texts(const demos *d, const demo_entry *entry, demo_episode *e,
                             deer_error *err)
{
    char name[DEMOS_PATH];
    hid_t group;
    bool ok;

    snprintf(name, sizeof name, "data/%s", entry->name);
    group = hdf5_group_open(d->file, d->path, name, err);
    if (group < 0)
        return DEER_FAILED;
    ok = read_own(group, e);
    H5Gclose(group);
    clean(e->instruction);
    clean(e->task);
    if (!*e->instruction)
        memcpy(e->instruction, d->instruction, sizeof e->instruction);
    if (!*e->task)
        memcpy(e->task, d->task, sizeof e->task);
    return ok ? DEER_OK : unreadable(d, name, err);
}
