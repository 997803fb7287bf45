/* SPDX-License-Identifier: MIT */
/* demos_check.c - what a demonstration must be: everything is checked before anything is believed.
 */
#include <stdio.h>
#include <string.h>

#include "datasets/demos/demos_internal.h"
#include "datasets/hdf5/hdf5_filter.h"

enum { MAX_STEPS = 1000000, MAX_SIDE = 4096, MAX_OBJECT = 4096, MAX_ACTION = 4096 };
static const uint64_t MAX_VIDEO = 1ull << 33; /* bytes of one camera in one demonstration */

/* What the two cameras are called: here, in robomimic, in LIBERO. */
static const char *const view_names[DEMOS_VIEWS][3] = {
    {"rgb_static", "agentview_image", "agentview_rgb"},
    {"rgb_gripper", "robot0_eye_in_hand_image", "eye_in_hand_rgb"},
};

/* A few bytes of file may declare petabytes of pixels: believe only what its storage can hold. */
static deer_status check_size(const char *path, const char *name, const hdf5_shape *s,
                              deer_error *err)
{
    uint64_t bytes = s->size[0] * s->size[1] * s->size[2] * 3; /* bounded by MAX_STEPS, MAX_SIDE */

    if (bytes > MAX_VIDEO)
        return deer_fail(err, "%s: %s has %llu bytes; at most %llu are read at once", path, name,
                         (unsigned long long)bytes, (unsigned long long)MAX_VIDEO);
    if (!hdf5_is_plausible(bytes, s->stored))
        return deer_fail(err, "%s: %s declares %llu bytes of pixels but stores %llu", path, name,
                         (unsigned long long)bytes, (unsigned long long)s->stored);
    return DEER_OK;
}

/* Float pixels, signed ones, and channels in front can be converted, but only knowingly. */
static deer_status refuse_images(const demos *d, const char *path, const char *name,
                                 const hdf5_shape *s, deer_error *err)
{
    char is[HDF5_IO_SHAPE];
    hdf5_shape copy = *s;
    demo_form form;
    bool convertible = !d->convert && demos_convertible(&copy, &form);

    return deer_fail(err, "%s: %s is %s, need u1 [T,H,W,3]%s", path, name, hdf5_shape_text(s, is),
                     convertible ? "; deer-data import --hdf5 converts it" : "");
}

static deer_status check_images(const demos *d, const demo_entry *e, const char *name,
                                hdf5_shape *s, demo_form *form, deer_error *err)
{
    const char *path = demos_file_of(d, e)->path;
    bool plain =
        s->rank == 4 && s->size[3] == 3 && s->type == H5T_INTEGER && s->bytes == 1 && !s->is_signed;

    if (!plain && !(d->convert && demos_convertible(s, form)))
        return refuse_images(d, path, name, s, err);
    if (s->size[1] < 1 || s->size[1] > MAX_SIDE || s->size[2] < 1 || s->size[2] > MAX_SIDE)
        return deer_fail(err, "%s: %s has images of %llu x %llu pixels", path, name,
                         (unsigned long long)s->size[1], (unsigned long long)s->size[2]);
    if (s->size[0] != (hsize_t)e->steps)
        return deer_fail(err, "%s: %s has %d actions but %llu images in %s", path, e->name,
                         e->steps, (unsigned long long)s->size[0], name);
    if (s->missing)
        return hdf5_filter_fail(path, name, s->missing, err);
    return check_size(path, name, s, err);
}

/* ---------------------------------------------------------------- cameras ------------------ */

typedef struct {
    char text[192];
    size_t used;
    hid_t obs;
} camera_list;

/* Adds a name below obs/ that looks like a camera's: three dimensions and more. */
static herr_t list_camera(hid_t obs, const char *name, const H5L_info_t *info, void *user)
{
    camera_list *list = user;
    hdf5_shape s;
    int n;

    (void)info;
    if (!demos_usable_name(name) || hdf5_shape_of(obs, "", name, &s, NULL) || s.rank < 3)
        return 0;
    n = snprintf(list->text + list->used, sizeof list->text - list->used, "%s%s",
                 list->used ? ", " : "", name);
    if (n > 0 && list->used + (size_t)n < sizeof list->text)
        list->used += (size_t)n;
    else
        list->text[list->used] = 0;
    return 0;
}

/* "; there are a, b" for messages. */
static void cameras_there(const demos *d, const demo_entry *e, char text[224])
{
    camera_list list = {.used = 0};
    char name[DEMOS_PATH];
    hid_t obs;

    demos_path(e, "obs", name);
    obs = hdf5_group_open(demos_file_of(d, e)->file, "", name, NULL);
    if (obs >= 0) {
        H5Literate(obs, H5_INDEX_NAME, H5_ITER_INC, NULL, list_camera, &list);
        H5Gclose(obs);
    }
    snprintf(text, 224, "%s%s",
             obs < 0     ? "it has no group obs"
             : list.used ? "there are: "
                         : "there is none",
             list.text);
}

static deer_status no_camera(const demos *d, const demo_entry *e, int view, deer_error *err)
{
    const char *path = demos_file_of(d, e)->path;
    char there[224];

    cameras_there(d, e, there);
    if (*d->camera[view])
        return deer_fail(err, "%s: %s has no camera obs/%s; %s", path, e->name, d->camera[view],
                         there);
    return deer_fail(
        err, "%s: %s has no %s camera (obs/%s, %s or %s); say its name with --%s-camera; %s", path,
        e->name, view ? "wrist" : "static", view_names[view][0], view_names[view][1],
        view_names[view][2], view ? "gripper" : "static", there);
}

static deer_status check_view(const demos *d, demo_entry *e, int view, deer_error *err)
{
    const demo_file *f = demos_file_of(d, e);
    char what[128], name[DEMOS_PATH];
    bool given = *d->camera[view] != 0;

    for (int i = 0; i < (given ? 1 : 3); i++) {
        const char *camera = given ? d->camera[view] : view_names[view][i];

        snprintf(what, sizeof what, "obs/%s", camera);
        demos_path(e, what, name);
        if (hdf5_has(f->file, name) != HDF5_FOUND)
            continue;
        e->dataset[view] = camera;
        return hdf5_shape_of(f->file, f->path, name, &e->view[view], err)
                   ? DEER_FAILED
                   : check_images(d, e, name, &e->view[view], &e->form[view], err);
    }
    return no_camera(d, e, view, err);
}

/* Seven numbers, or as many as the columns asked for need. */
static bool right_width(const demos *d, int64_t width)
{
    if (!d->columns)
        return width == DEMO_ACTION;
    for (int i = 0; i < DEMO_ACTION; i++)
        if (d->column[i] >= width)
            return false;
    return width <= MAX_ACTION;
}

static deer_status check_actions(const demos *d, demo_entry *e, deer_error *err)
{
    const demo_file *f = demos_file_of(d, e);
    char name[DEMOS_PATH], is[HDF5_IO_SHAPE];
    hdf5_shape s;

    demos_path(e, "actions", name);
    if (hdf5_shape_of(f->file, f->path, name, &s, err))
        return DEER_FAILED;
    if (s.rank != 2 || s.type != H5T_FLOAT || !right_width(d, (int64_t)s.size[1]))
        return deer_fail(err, "%s: %s is %s, need floats [T,7]%s", f->path, name,
                         hdf5_shape_text(&s, is),
                         s.rank == 2 && s.size[1] > DEMO_ACTION && s.type == H5T_FLOAT
                             ? "; deer-data import --hdf5 --action-columns chooses seven"
                             : "");
    if (s.missing)
        return hdf5_filter_fail(f->path, name, s.missing, err);
    if (s.size[0] < 1 || s.size[0] > MAX_STEPS)
        return deer_fail(err, "%s: %s has %llu steps", f->path, name,
                         (unsigned long long)s.size[0]);
    e->action_width = (int)s.size[1];
    e->steps = (int)s.size[0];
    return DEER_OK;
}

/* The simulator's state is read where it is as long as the episode, and else ignored. */
static deer_status look_for_object(const demos *d, demo_entry *e, deer_error *err)
{
    const demo_file *f = demos_file_of(d, e);
    char name[DEMOS_PATH];
    hdf5_shape s;

    demos_path(e, "obs/object", name);
    if (hdf5_has(f->file, name) == HDF5_ABSENT)
        return DEER_OK;
    if (hdf5_shape_of(f->file, f->path, name, &s, err))
        return DEER_FAILED;
    if (s.rank == 2 && s.type == H5T_FLOAT && s.size[0] == (hsize_t)e->steps && s.size[1] >= 1 &&
        s.size[1] <= MAX_OBJECT && hdf5_is_plausible(s.size[0] * s.size[1] * s.bytes, s.stored))
        e->object_size = (int)s.size[1];
    return DEER_OK;
}

deer_status demos_check(const demos *d, demo_entry *e, deer_error *err)
{
    return check_actions(d, e, err) || check_view(d, e, 0, err) || check_view(d, e, 1, err) ||
                   look_for_object(d, e, err)
               ? DEER_FAILED
               : DEER_OK;
}
