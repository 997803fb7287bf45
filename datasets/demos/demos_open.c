/* SPDX-License-Identifier: MIT */
/* demos_open.c - opening demonstrations: everything is checked before anything is believed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/demos/demos_internal.h"
#include "runtime/base/machine_failure.h"

enum { MAX_DEMOS = 1000000 };

/* ---------------------------------------------------------------- listing ------------------ */

typedef struct {
    demos *d;
    int in;
} listing;

static demo_entry *add_entry(demos *d)
{
    if (d->count == d->room) {
        int room = d->room ? 2 * d->room : 64;
        demo_entry *grown = realloc(d->entry, (size_t)room * sizeof *grown);

        if (!grown)
            return NULL;
        d->entry = grown;
        d->room = room;
    }
    memset(&d->entry[d->count], 0, sizeof *d->entry);
    return &d->entry[d->count++];
}

static herr_t list_demo(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    const listing *l = user;
    demo_entry *e = demos_usable_name(name) && l->d->count < MAX_DEMOS ? add_entry(l->d) : NULL;

    (void)group, (void)info;
    if (!e)
        return -1;
    strcpy(e->name, name);
    strcpy(e->shown, name);
    e->in = l->in;
    return l->d->files > 1 && snprintf(e->shown, sizeof e->shown, "%d:%s", l->in + 1, name) >= 64
               ? -1
               : 0;
}

/* demo_2 before demo_10. */
static int by_natural_order(const void *a, const void *b)
{
    return strverscmp(((const demo_entry *)a)->name, ((const demo_entry *)b)->name);
}

/* Every demonstration of a file, or those of the mask, behind those of the files before it. */
static deer_status list_file(demos *d, int in, deer_error *err)
{
    const demo_file *f = &d->file[in];
    listing l = {d, in};
    int first = d->count;
    hid_t group = hdf5_group_open(f->file, f->path, "data", err);
    herr_t failed;

    if (group < 0)
        return DEER_FAILED;
    failed = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, list_demo, &l);
    H5Gclose(group);
    if (failed < 0)
        return deer_fail(err, "%s: the names in /data cannot be read or used", f->path);
    if (d->count == first)
        return deer_fail(err, "%s holds no demonstrations", f->path);
    qsort(d->entry + first, (size_t)(d->count - first), sizeof *d->entry, by_natural_order);
    return d->mask ? demos_apply_mask(d, in, first, err) : DEER_OK;
}

static deer_status check_all(demos *d, deer_error *err)
{
    for (int i = 0; i < d->count; i++) {
        demo_entry *e = &d->entry[i];

        e->unfit = demos_check(d, e, err) != DEER_OK;
        if (e->unfit && !d->tolerant)
            return DEER_FAILED;
        d->steps += e->steps;
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- opening ------------------ */

/* A camera is a name below obs/, not a way elsewhere. */
static deer_status take_camera(const char *name, char to[64], deer_error *err)
{
    if (name && (!*name || strlen(name) >= 64 || strchr(name, '/') || !strcmp(name, ".")))
        return deer_fail(err, "'%s' is no name of a camera", name);
    strcpy(to, name ? name : "");
    return DEER_OK;
}

static deer_status take_options(const demos_options *o, demos *d, deer_error *err)
{
    if (take_camera(o->static_camera, d->camera[0], err) ||
        take_camera(o->gripper_camera, d->camera[1], err))
        return DEER_FAILED;
    if (o->follow_links)
        hdf5_follow_links();
    d->seed = o->seed;
    d->convert = o->convert;
    d->tolerant = o->tolerant;
    d->task_of_file = o->task_of_file;
    d->columns = o->action_columns != NULL;
    if (d->columns)
        memcpy(d->column, o->action_columns, sizeof d->column);
    d->instruction = o->instruction ? strdup(o->instruction) : NULL;
    d->mask = o->mask ? strdup(o->mask) : NULL;
    return (o->instruction && !d->instruction) || (o->mask && !d->mask)
               ? machine_fail(err, "out of memory opening demonstrations")
               : DEER_OK;
}

static deer_status open_file(demos *d, int in, const char *path, deer_error *err)
{
    demo_file *f = &d->file[in];

    f->path = strdup(path);
    if (!f->path)
        return machine_fail(err, "out of memory opening %s", path);
    f->file = hdf5_open(path, err);
    if (f->file < 0 || list_file(d, in, err))
        return DEER_FAILED;
    return demos_read_file_texts(f, d->task_of_file, err);
}

static deer_status open_all(const char *const *paths, int n, const demos_options *options, demos *d,
                            deer_error *err)
{
    d->file = calloc((size_t)n, sizeof *d->file);
    if (!d->file)
        return machine_fail(err, "out of memory opening %s", paths[0]);
    for (d->files = n, n = 0; n < d->files; n++)
        d->file[n].file = H5I_INVALID_HID;
    if (options && take_options(options, d, err))
        return DEER_FAILED;
    for (int i = 0; i < d->files; i++)
        if (open_file(d, i, paths[i], err))
            return DEER_FAILED;
    return check_all(d, err);
}

deer_status demos_open_files(const char *const *paths, int n, const demos_options *options,
                             demos **out, deer_error *err)
{
    demos *d = calloc(1, sizeof *d);

    *out = NULL;
    if (!d)
        return machine_fail(err, "out of memory opening %s", paths[0]);
    if (open_all(paths, n, options, d, err)) {
        demos_close(d);
        return DEER_FAILED;
    }
    *out = d;
    return DEER_OK;
}

deer_status demos_open(const char *path, demos **out, deer_error *err)
{
    return demos_open_files(&path, 1, NULL, out, err);
}

void demos_close(demos *d)
{
    if (!d)
        return;
    for (int i = 0; i < d->files; i++) {
        if (d->file[i].file >= 0)
            H5Fclose(d->file[i].file);
        hdf5_texts_free(&d->file[i].language);
        free(d->file[i].path);
    }
    free(d->file);
    free(d->instruction);
    free(d->mask);
    free(d->entry);
    free(d);
}

int demos_horizon(const demos *d)
{
    int most = 0;

    for (int i = 0; i < d->files; i++) {
        if (!d->file[i].horizon)
            return 0;
        most = d->file[i].horizon > most ? d->file[i].horizon : most;
    }
    return most;
}

int demos_count(const demos *d)
{
    return d->count;
}

const char *demos_name(const demos *d, int i)
{
    return d->entry[i].shown;
}

int demos_steps(const demos *d, int i)
{
    return d->entry[i].steps;
}

long demos_total_steps(const demos *d)
{
    return d->steps;
}

bool demos_upside_down(const demos *d)
{
    for (int i = 0; i < d->files; i++)
        if (d->file[i].upside_down)
            return true;
    return false;
}

int demos_find(const demos *d, const char *name)
{
    for (int i = 0; i < d->count; i++)
        if (!strcmp(d->entry[i].shown, name))
            return i;
    return -1;
}
