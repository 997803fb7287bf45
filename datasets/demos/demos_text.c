/* SPDX-License-Identifier: MIT */
/* demos_text.c - the texts of demonstrations: instruction, task, seed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <jansson.h>
#include <xxhash.h>

#include "datasets/demos/demos_internal.h"

/* The task that a whole file states: LIBERO's problem_info, robomimic's env_args. */
static bool read_file_task(const demo_file *f, char task[DEMO_TASK])
{
    static const char *const keys[] = {"problem_name", "env_name", NULL};
    hid_t data = hdf5_group_open(f->file, f->path, "data", NULL);
    bool failed = data < 0;
    char *text = failed ? NULL : language_json_text(data, "problem_info", keys, &failed);

    if (!text && !failed)
        text = language_json_text(data, "env_args", keys, &failed);
    snprintf(task, DEMO_TASK, "%s", text ? text : "");
    language_clean(task); /* a character may be cut in two */
    free(text);
    H5Gclose(data);
    return !failed;
}

/* "turn_on_the_stove" of .../turn_on_the_stove_demo.hdf5. */
static void name_task(const char *path, char task[DEMO_TASK])
{
    const char *base = strrchr(path, '/') ? strrchr(path, '/') + 1 : path;
    const char *end = strrchr(base, '.') > base ? strrchr(base, '.') : base + strlen(base);

    if (end - base > 5 && !strncmp(end - 5, "_demo", 5))
        end -= 5;
    snprintf(task, DEMO_TASK, "%.*s", (int)(end - base), base);
    language_clean(task);
}

/* robosuite's convention, which LIBERO writes down; older files of LIBERO have only its task. */
static bool is_upside_down(const demo_file *f, bool *failed)
{
    hid_t data = hdf5_group_open(f->file, f->path, "data", NULL);
    hdf5_texts said = {NULL};
    bool upside = false;

    *failed = *failed || data < 0;
    if (data < 0)
        return false;
    if (hdf5_texts_of_attribute(data, "macros_image_convention", &said))
        upside = !strcmp(said.text[0], "opengl");
    else
        upside = H5Aexists(data, "bddl_file_content") > 0 || H5Aexists(data, "bddl_file_name") > 0;
    *failed = *failed || said.failed;
    hdf5_texts_free(&said);
    H5Gclose(data);
    return upside;
}

/* robomimic has the horizon among what its environment was made with. */
static int horizon_of_json(char *text, bool *failed)
{
    json_t *root = language_parse(text, failed);
    const json_t *here = json_object_get(root, "horizon");
    const json_t *deeper = json_object_get(json_object_get(root, "env_kwargs"), "horizon");
    json_int_t steps = json_integer_value(here ? here : deeper);

    json_decref(root);
    return steps > 0 && steps <= INT32_MAX ? (int)steps : 0;
}

static int read_horizon(const demo_file *f, bool *failed)
{
    hid_t data = hdf5_group_open(f->file, f->path, "data", NULL);
    hdf5_texts said = {NULL};
    int steps = 0;

    *failed = *failed || data < 0;
    if (data < 0)
        return 0;
    if (hdf5_texts_of_attribute(data, "env_args", &said))
        steps = horizon_of_json(said.text[0], failed);
    *failed = *failed || said.failed;
    hdf5_texts_free(&said);
    H5Gclose(data);
    return steps;
}

static deer_status unreadable(const demo_file *f, const char *where, deer_error *err)
{
    return deer_fail(err, "%s: the texts of %s cannot be read: damaged, or no memory", f->path,
                     where);
}

deer_status demos_read_file_texts(demo_file *f, bool task_of_file, deer_error *err)
{
    bool ok = true, failed = false;

    language_of_file(f->file, &f->language);
    if (!f->language.count) {
        language_of_name(f->path, &f->language);
        f->language_of_name = f->language.count > 0;
    }
    if (task_of_file)
        name_task(f->path, f->task);
    else
        ok = read_file_task(f, f->task);
    f->upside_down = is_upside_down(f, &failed);
    f->horizon = read_horizon(f, &failed);
    return ok && !failed && !f->language.failed ? DEER_OK : unreadable(f, "data", err);
}

/* One of several wordings, by the demonstration's name and the seed asked for. */
static void choose(const demos *d, const hdf5_texts *wordings, demo_episode *e)
{
    size_t i =
        wordings->count < 2
            ? 0
            : (size_t)(XXH3_64bits_withSeed(e->name, strlen(e->name), d->seed) % wordings->count);
    const char *text = wordings->count ? wordings->text[i] : "";

    e->wordings = (int)wordings->count;
    e->instruction_bytes = strlen(text);
    snprintf(e->instruction, sizeof e->instruction, "%s", text);
    language_clean(e->instruction);
}

/* A demonstration may lie in another file, by an external link: what that says of all of its. */
static void language_behind_link(hid_t group, hdf5_texts *wordings)
{
    hid_t file = H5Iget_file_id(group);

    if (file < 0)
        return;
    language_of_file(file, wordings);
    H5Fclose(file);
}

deer_status demos_read_texts(const demos *d, const demo_entry *entry, demo_episode *e,
                             deer_error *err)
{
    const demo_file *f = demos_file_of(d, entry);
    hdf5_texts own = {NULL}, task = {NULL};
    char name[DEMOS_PATH];
    bool ok, garbled;
    hid_t group;

    snprintf(name, sizeof name, "data/%s", entry->name);
    group = hdf5_group_open(f->file, f->path, name, err);
    if (group < 0)
        return DEER_FAILED;
    if (!d->instruction)
        language_of_demonstration(group, &own);
    if (!d->instruction && !own.count && !f->language.count)
        language_behind_link(group, &own);
    garbled = own.garbled || (!d->instruction && !own.count && f->language.garbled) ||
              (d->instruction && !language_is_utf8(d->instruction));
    if (d->instruction)
        hdf5_texts_add(&own, d->instruction, strlen(d->instruction));
    e->guessed = !own.count && f->language_of_name;
    choose(d, own.count ? &own : &f->language, e);
    if (hdf5_texts_of_attribute(group, "task", &task))
        snprintf(e->task, sizeof e->task, "%s", task.text[0]);
    ok =
        hdf5_integer_get(group, "seed", &e->seed) != HDF5_UNREADABLE && !own.failed && !task.failed;
    H5Gclose(group);
    if (!language_clean(e->task))
        memcpy(e->task, f->task, sizeof e->task);
    hdf5_texts_free(&own);
    hdf5_texts_free(&task);
    if (!ok)
        return unreadable(f, name, err);
    return garbled ? deer_fail(err,
                               "%s: the instruction of %s is no UTF-8; write it as UTF-8, or give "
                               "one with --instruction",
                               f->path, name)
                   : DEER_OK;
}
