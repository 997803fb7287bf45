/* SPDX-License-Identifier: MIT */
/* language.c - finding and cleaning instructions. */
#include "datasets/demos/language.h"

#include <ctype.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/hdf5/hdf5_io.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/machine_failure.h"
#include "runtime/base/text.h"

enum { MAX_WORDINGS = 1000 };

/* ---------------------------------------------------------------- cleaning ----------------- */

size_t language_clean(char *text)
{
    size_t left = strlen(text), length = 0;
    const char *start;

    for (const char *in = text; left;) {
        size_t n = text_character(in, left);

        if (n == 1)
            text[length++] = (unsigned char)*in < 0x20 || *in == 0x7f ? ' ' : *in;
        else
            for (size_t i = 0; i < n; i++)
                text[length++] = in[i];
        in += n ? n : 1;
        left -= n ? n : 1;
    }
    start = text;
    for (size_t before = length + 1; before != length;) {
        before = length;
        start = text_strip(start, &length);
        if (length && *start == '"')
            start++, length--;
        if (length && start[length - 1] == '"')
            length--;
    }
    memmove(text, start, length);
    text[length] = 0;
    return length;
}

bool language_is_utf8(const char *text)
{
    size_t left = strlen(text), n = 1;

    for (; left && (n = text_character(text, left)); text += n)
        left -= n;
    return !left;
}

static bool has(const hdf5_texts *wordings, const char *text)
{
    for (size_t i = 0; i < wordings->count; i++)
        if (!strcmp(wordings->text[i], text))
            return true;
    return false;
}

static void add_cleaned(hdf5_texts *wordings, const char *text)
{
    char *clean = strdup(text);
    size_t n = clean ? language_clean(clean) : 0;

    wordings->failed = wordings->failed || !machine_gave(clean);
    if (!language_is_utf8(text) || strchr(text, LANGUAGE_GARBLED))
        wordings->garbled = true;
    else if (n && wordings->count < MAX_WORDINGS && !has(wordings, clean))
        hdf5_texts_add(wordings, clean, n);
    free(clean);
}

/* ---------------------------------------------------------------- JSON --------------------- */

/* Whether n characters are a whole number that every reader of JSON takes. */
static bool is_plain(const char *text, size_t n)
{
    return n <= 9 && strspn(text, "0123456789") >= n && (*text != '0' || n == 1);
}

/* Python writes NaN and Infinity, and numbers of any size: what is no plain number becomes 0. */
static void drop_numbers(char *text)
{
    bool quoted = false;

    for (char *p = text; *p; p++) {
        if (quoted && *p == '\\' && p[1])
            p++;
        else if (*p == '"')
            quoted = !quoted;
        else if (!quoted && (isdigit((unsigned char)*p) || *p == '-' || *p == 'N' || *p == 'I')) {
            size_t n = strspn(p, "0123456789+-.eENaInfity");

            if (!is_plain(p, n)) {
                memset(p, ' ', n);
                *p = '0';
            }
            p += n - 1;
        }
    }
}

json_t *language_parse(char *text, bool *failed)
{
    unsigned before = machine_failures();
    json_t *root;
    size_t left = strlen(text);

    for (char *p = text; left;) {
        size_t n = text_character(p, left);

        if (!n || *p == LANGUAGE_GARBLED)
            *p = n ? ' ' : LANGUAGE_GARBLED;
        p += n ? n : 1;
        left -= n ? n : 1;
    }
    json_mend_escapes(text, strlen(text));
    drop_numbers(text);
    root = json_parse(text, strlen(text), 0, NULL);
    *failed |= machine_failures() != before;
    return root;
}

static bool one_character(const char *text)
{
    return *text && text_character(text, strlen(text)) == strlen(text);
}

/* LIBERO's list of characters or of pieces, a list of words, or several wordings. */
enum { PIECES, WORDS, WORDINGS };

static int kind_of_list(const json_t *list)
{
    const json_t *part;
    bool pieces = true, words = true;
    size_t i;

    json_array_foreach(list, i, part)
    {
        const char *text = json_string_value(part);
        size_t n = text ? strlen(text) : 0;

        if (!n)
            continue;
        if (strchr(" \"", text[0]) || strchr(" \"", text[n - 1]))
            return PIECES;
        pieces = pieces && one_character(text);
        words = words && !strchr(text, ' ');
    }
    return pieces ? PIECES : words ? WORDS : WORDINGS;
}

static void add_joined(const json_t *list, const char *between, hdf5_texts *wordings)
{
    size_t room = 1, i;
    const json_t *part;
    char *text;

    json_array_foreach(list, i, part) room += json_string_length(part) + 1;
    text = calloc(1, room);
    if (!machine_gave(text)) {
        wordings->failed = true;
        return;
    }
    json_array_foreach(list, i, part) if (json_is_string(part))
    {
        if (*text)
            strcat(text + strlen(text), between);
        strcat(text + strlen(text), json_string_value(part));
    }
    add_cleaned(wordings, text);
    free(text);
}

static void add_json(const json_t *value, hdf5_texts *wordings)
{
    const json_t *part;
    size_t i;
    int kind;

    if (json_is_string(value))
        add_cleaned(wordings, json_string_value(value));
    if (!json_array_size(value))
        return;
    kind = kind_of_list(value);
    if (kind != WORDINGS) {
        add_joined(value, kind == WORDS ? " " : "", wordings);
        return;
    }
    json_array_foreach(value, i, part) if (json_is_string(part))
        add_cleaned(wordings, json_string_value(part));
}

/* What the first of the keys that has texts says, in an object or in its env_kwargs. */
static void add_keys(const json_t *root, const char *const *keys, hdf5_texts *wordings)
{
    for (; *keys && !wordings->count; keys++) {
        add_json(json_object_get(root, *keys), wordings);
        if (!wordings->count)
            add_json(json_object_get(json_object_get(root, "env_kwargs"), *keys), wordings);
    }
}

static void add_json_attribute(hid_t object, const char *name, const char *const *keys,
                               hdf5_texts *wordings)
{
    hdf5_texts source = {NULL};
    json_t *root;

    if (hdf5_texts_of_attribute(object, name, &source)) {
        root = language_parse(source.text[0], &wordings->failed);
        add_keys(root, keys, wordings);
        json_decref(root);
    }
    wordings->failed = wordings->failed || source.failed;
    hdf5_texts_free(&source);
}

char *language_json_text(hid_t object, const char *attribute, const char *const *keys, bool *failed)
{
    hdf5_texts found = {NULL};
    char *text = NULL;

    add_json_attribute(object, attribute, keys, &found);
    if (found.count) {
        text = found.text[0];
        found.text[0] = NULL;
    }
    *failed = *failed || found.failed;
    hdf5_texts_free(&found);
    return text;
}

/* ---------------------------------------------------------------- places ------------------- */

static const char *const names[] = {"language", "language_instruction", "lang", "language_raw",
                                    NULL};

/* What would be taken for a mark of bytes that are no UTF-8: a control character, so a space. */
static char *without_marks(char *text)
{
    for (char *p = text; (p = strchr(p, LANGUAGE_GARBLED));)
        *p = ' ';
    return text;
}

/* Texts as they stand; one that is a JSON list is what the list holds. */
static void add_plain(hdf5_texts *found, hdf5_texts *wordings)
{
    for (size_t i = 0; i < found->count; i++) {
        char *copy = *found->text[i] == '[' ? strdup(found->text[i]) : NULL;
        json_t *list = copy ? language_parse(copy, &wordings->failed) : NULL;

        if (list)
            add_json(list, wordings);
        else
            add_cleaned(wordings, without_marks(found->text[i]));
        wordings->failed = wordings->failed || (*found->text[i] == '[' && !machine_gave(copy));
        json_decref(list);
        free(copy);
    }
    wordings->failed = wordings->failed || found->failed;
    hdf5_texts_free(found);
}

static void add_attributes(hid_t object, hdf5_texts *wordings)
{
    for (size_t i = 0; names[i] && !wordings->count; i++) {
        hdf5_texts found = {NULL};

        hdf5_texts_of_attribute(object, names[i], &found);
        add_plain(&found, wordings);
    }
}

static void add_datasets(hid_t object, const char *below, hdf5_texts *wordings)
{
    for (size_t i = 0; names[i] && !wordings->count; i++) {
        hdf5_texts found = {NULL};
        char name[64];

        snprintf(name, sizeof name, "%s%s", below, names[i]);
        hdf5_texts_of_dataset(object, name, &found);
        add_plain(&found, wordings);
    }
}

void language_of_demonstration(hid_t demo, hdf5_texts *wordings)
{
    static const char *const attributes[] = {"ep_meta", "problem_info", "env_args"};

    add_attributes(demo, wordings);
    for (size_t i = 0; i < 3 && !wordings->count; i++)
        add_json_attribute(demo, attributes[i], names, wordings);
    if (!wordings->count)
        add_datasets(demo, "", wordings);
    if (!wordings->count)
        add_datasets(demo, "obs/", wordings);
}

/* (:language turn on the stove) of LIBERO's task description. */
static void add_bddl(hid_t data, hdf5_texts *wordings)
{
    static const char start[] = "(:language";
    hdf5_texts source = {NULL};
    char *from;

    if (hdf5_texts_of_attribute(data, "bddl_file_content", &source) &&
        (from = strstr(source.text[0], start))) {
        from += strlen(start);
        from[strcspn(from, ")")] = 0;
        add_cleaned(wordings, from);
    }
    wordings->failed = wordings->failed || source.failed;
    hdf5_texts_free(&source);
}

void language_of_file(hid_t file, hdf5_texts *wordings)
{
    hid_t data = hdf5_group_open(file, "", "data", NULL);

    if (data < 0)
        return;
    add_attributes(data, wordings);
    if (!wordings->count)
        add_json_attribute(data, "problem_info", names, wordings);
    if (!wordings->count)
        add_json_attribute(data, "env_args", names, wordings);
    if (!wordings->count)
        add_bddl(data, wordings);
    if (!wordings->count)
        add_attributes(file, wordings);
    H5Gclose(data);
}

/* KITCHEN_SCENE3_turn_on_the_stove_demo.hdf5: without the scene, a space for each underscore. */
void language_of_name(const char *path, hdf5_texts *wordings)
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path, *scene;
    char *text = strdup(base), *end = text ? strstr(text, "_demo.h") : NULL;

    wordings->failed = wordings->failed || !machine_gave(text);
    if (end && (!strcmp(end, "_demo.hdf5") || !strcmp(end, "_demo.h5"))) {
        *end = 0;
        scene = strstr(text, "_SCENE");
        if (scene && strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_") >= 6) {
            scene += 6;
            scene += strspn(scene, "0123456789");
            memmove(text, scene, strlen(scene) + 1);
        }
        for (char *p = text; *p; p++)
            *p = *p == '_' ? ' ' : *p;
        add_cleaned(wordings, text);
    }
    free(text);
}
