/* SPDX-License-Identifier: MIT */
/* demos_open.c - opening demonstrations: everything is checked before anything is believed. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/demos/demos_internal.h"

enum { MAX_DEMOS = 1000000, MAX_STEPS = 1000000, MAX_SIDE = 4096, MAX_OBJECT = 4096 };
static const uint64_t MAX_VIDEO = 1ull << 33; /* bytes of one camera in one demonstration */

/* What the two cameras are called: here, in robomimic, in LIBERO. */
static const char *const view_names[DEMOS_VIEWS][3] = {
    {"rgb_static", "agentview_image", "agentview_rgb"},
    {"rgb_gripper", "robot0_eye_in_hand_image", "eye_in_hand_rgb"},
};

void demos_path(const demo_entry *entry, const char *what, char out[DEMOS_PATH])
{
    snprintf(out, DEMOS_PATH, "data/%s/%s", entry->name, what);
}

/* ---------------------------------------------------------------- listing ------------------ */

typedef struct {
    demos *d;
    int room;
} listing;

/* Names stand in messages of one line. */
static bool usable_name(const char *name)
{
    if (strlen(name) >= sizeof((demo_entry *)0)->name)
        return false;
    for (; *name; name++)
        if (!isprint((unsigned char)*name))
            return false;
    return true;
}

static herr_t list_demo(hid_t group, const char *name, const H5L_info_t *info, void *user)
{
    listing *l = user;
    demos *d = l->d;

    (void)group, (void)info;
    if (!usable_name(name) || d->count >= MAX_DEMOS)
        return -1;
    if (d->count == l->room) {
        int room = l->room ? 2 * l->room : 64;
        demo_entry *grown = realloc(d->entry, (size_t)room * sizeof *grown);
        if (!grown)
            return -1;
        d->entry = grown;
        l->room = room;
    }
    memset(&d->entry[d->count], 0, sizeof *d->entry);
    strcpy(d->entry[d->count++].name, name);
    return 0;
}

/* demo_2 before demo_10. */
static int by_natural_order(const void *a, const void *b)
{
    return strverscmp(((const demo_entry *)a)->name, ((const demo_entry *)b)->name);
}

static deer_status list_all(demos *d, deer_error *err)
{
    listing l = {d, 0};
    hid_t group = hdf5_group_open(d->file, d->path, "data", err);
    herr_t failed;

    if (group < 0)
        return DEER_FAILED;
    failed = H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, NULL, list_demo, &l);
    H5Gclose(group);
    if (failed < 0)
        return deer_fail(err, "%s: the names in /data cannot be read or used", d->path);
    if (d->count == 0)
        return deer_fail(err, "%s holds no demonstrations", d->path);
    qsort(d->entry, (size_t)d->count, sizeof *d->entry, by_natural_order);
    return DEER_OK;
}

/* ---------------------------------------------------------------- checking ----------------- */

/* A few bytes of file may declare petabytes of pixels: believe only what its storage can hold. */
static deer_status check_size(const demos *d, const char *name, const hdf5_shape *s,
                              deer_error *err)
{
    uint64_t bytes = s->size[0] * s->size[1] * s->size[2] * 3; /* bounded by MAX_STEPS, MAX_SIDE */

    if (bytes > MAX_VIDEO)
        return deer_fail(err, "%s: %s has %llu bytes; at most %llu are read at once", d->path, name,
                         (unsigned long long)bytes, (unsigned long long)MAX_VIDEO);
    if (!hdf5_is_plausible(bytes, s->stored))
        return deer_fail(err, "%s: %s declares %llu bytes of pixels but stores %llu", d->path, name,
                         (unsigned long long)bytes, (unsigned long long)s->stored);
    return DEER_OK;
}

static deer_status check_images(const demos *d, const demo_entry *e, const char *name,
                                const hdf5_shape *s, deer_error *err)
{
    if (s->rank != 4 || s->size[3] != 3 || s->type != H5T_INTEGER || s->bytes != 1)
        return deer_fail(err, "%s: %s is not u8 [T,H,W,3]", d->path, name);
    if (s->size[1] < 1 || s->size[1] > MAX_SIDE || s->size[2] < 1 || s->size[2] > MAX_SIDE)
        return deer_fail(err, "%s: %s has images of %llu x %llu pixels", d->path, name,
                         (unsigned long long)s->size[1], (unsigned long long)s->size[2]);
    if (s->size[0] != (hsize_t)e->steps)
        return deer_fail(err, "%s: %s has %d actions but %llu images in %s", d->path, e->name,
                         e->steps, (unsigned long long)s->size[0], name);
    return check_size(d, name, s, err);
}

static deer_status check_view(const demos *d, demo_entry *e, int view, deer_error *err)
{
    char what[128], name[DEMOS_PATH];
    bool given = *d->camera[view] != 0;

    for (int i = 0; i < (given ? 1 : 3); i++) {
        const char *camera = given ? d->camera[view] : view_names[view][i];

        snprintf(what, sizeof what, "obs/%s", camera);
        demos_path(e, what, name);
        if (hdf5_has(d->file, name) == HDF5_ABSENT)
            continue;
        e->dataset[view] = camera;
        return hdf5_shape_of(d->file, d->path, name, &e->view[view], err)
                   ? DEER_FAILED
                   : check_images(d, e, name, &e->view[view], err);
    }
    if (given)
        return deer_fail(err, "%s: %s has no camera obs/%s", d->path, e->name, d->camera[view]);
    return deer_fail(err,
                     "%s: %s has no %s camera (obs/%s, %s or %s); say its name with --%s-camera",
                     d->path, e->name, view ? "wrist" : "static", view_names[view][0],
                     view_names[view][1], view_names[view][2], view ? "gripper" : "static");
}

static deer_status check_actions(const demos *d, demo_entry *e, deer_error *err)
{
    char name[DEMOS_PATH];
    hdf5_shape s;

    demos_path(e, "actions", name);
    if (hdf5_shape_of(d->file, d->path, name, &s, err))
        return DEER_FAILED;
    if (s.rank != 2 || s.size[1] != DEMO_ACTION || s.type != H5T_FLOAT)
        return deer_fail(err, "%s: %s is not a float dataset [T,7]", d->path, name);
    if (s.size[0] < 1 || s.size[0] > MAX_STEPS)
        return deer_fail(err, "%s: %s has %llu steps", d->path, name,
                         (unsigned long long)s.size[0]);
    e->steps = (int)s.size[0];
    return DEER_OK;
}

/* The simulator's state is read where it is as long as the episode, and else ignored. */
static deer_status look_for_object(const demos *d, demo_entry *e, deer_error *err)
{
    char name[DEMOS_PATH];
    hdf5_shape s;

    demos_path(e, "obs/object", name);
    if (hdf5_has(d->file, name) == HDF5_ABSENT)
        return DEER_OK;
    if (hdf5_shape_of(d->file, d->path, name, &s, err))
        return DEER_FAILED;
    if (s.rank == 2 && s.type == H5T_FLOAT && s.size[0] == (hsize_t)e->steps && s.size[1] >= 1 &&
        s.size[1] <= MAX_OBJECT && hdf5_is_plausible(s.size[0] * s.size[1] * s.bytes, s.stored))
        e->object_size = (int)s.size[1];
    return DEER_OK;
}

static deer_status check_all(demos *d, deer_error *err)
{
    for (int i = 0; i < d->count; i++) {
        demo_entry *e = &d->entry[i];
        if (check_actions(d, e, err) || check_view(d, e, 0, err) || check_view(d, e, 1, err) ||
            look_for_object(d, e, err))
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

deer_status demos_open(const char *path, demos **out, deer_error *err)
{
    return demos_open_cameras(path, &(demos_cameras){NULL, NULL}, out, err);
}

deer_status demos_open_cameras(const char *path, const demos_cameras *cameras, demos **out,
                               deer_error *err)
{
    demos *d;

    *out = NULL;
    d = calloc(1, sizeof *d);
    if (!d)
        return deer_fail(err, "out of memory opening %s", path);
    d->path = strdup(path);
    d->file = d->path ? hdf5_open(path, err) : H5I_INVALID_HID;
    if (!d->path)
        deer_fail(err, "out of memory opening %s", path);
    if (d->file < 0 || take_camera(cameras->static_camera, d->camera[0], err) ||
        take_camera(cameras->gripper_camera, d->camera[1], err) || list_all(d, err) ||
        check_all(d, err) || demos_read_file_texts(d, err)) {
        demos_close(d);
        return DEER_FAILED;
    }
    *out = d;
    return DEER_OK;
}

void demos_close(demos *d)
{
    if (!d)
        return;
    if (d->file >= 0)
        H5Fclose(d->file);
    free(d->path);
    free(d->entry);
    free(d);
}

int demos_count(const demos *d)
{
    return d->count;
}

const char *demos_name(const demos *d, int i)
{
    return d->entry[i].name;
}

int demos_steps(const demos *d, int i)
{
    return d->entry[i].steps;
}

long demos_total_steps(const demos *d)
{
    return d->steps;
}

int demos_find(const demos *d, const char *name)
{
    for (int i = 0; i < d->count; i++)
        if (!strcmp(d->entry[i].name, name))
            return i;
    return -1;
}
