/* SPDX-License-Identifier: MIT */
/* demos_read.c - reading one demonstration of an open, checked file. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/demos/demos_internal.h"
#include "runtime/base/machine_failure.h"

void demo_episode_free(demo_episode *episode)
{
    free(episode->static_rgb);
    free(episode->gripper_rgb);
    free(episode->actions);
    free(episode->object);
    episode->static_rgb = episode->gripper_rgb = NULL;
    episode->actions = episode->object = NULL;
}

void demo_episode_cameras(const demo_episode *e, deer_camera *static_view,
                          deer_camera *gripper_view)
{
    *static_view = (deer_camera){.width = e->static_width, .height = e->static_height};
    *gripper_view = (deer_camera){.width = e->gripper_width, .height = e->gripper_height};
}

deer_observation demo_episode_observation(const demo_episode *e, int t)
{
    size_t s = (size_t)e->static_height * (size_t)e->static_width * 3;
    size_t g = (size_t)e->gripper_height * (size_t)e->gripper_width * 3;

    return (deer_observation){{e->static_rgb + (size_t)t * s, s},
                              {e->gripper_rgb + (size_t)t * g, g}};
}

deer_status demos_describe(const demos *d, int i, demo_episode *e, deer_error *err)
{
    const demo_entry *entry = &d->entry[i];

    memset(e, 0, sizeof *e);
    strcpy(e->name, entry->shown);
    e->steps = entry->steps;
    e->static_height = (int)entry->view[0].size[1];
    e->static_width = (int)entry->view[0].size[2];
    e->gripper_height = (int)entry->view[1].size[1];
    e->gripper_width = (int)entry->view[1].size[2];
    e->object_size = entry->object_size;
    return demos_read_texts(d, entry, e, err);
}

/* Seven columns of wider actions. */
static deer_status read_columns(const demos *d, const demo_entry *e, const char *name,
                                float *actions, deer_error *err)
{
    const demo_file *f = demos_file_of(d, e);
    size_t width = (size_t)e->action_width;
    float *all = malloc((size_t)e->steps * width * sizeof *all);
    deer_status status = all ? hdf5_read(f->file, f->path, name, H5T_NATIVE_FLOAT, all, err)
                             : machine_fail(err, "out of memory reading %s", f->path);

    for (size_t t = 0; t < (size_t)e->steps && !status; t++)
        for (int c = 0; c < DEMO_ACTION; c++)
            actions[t * DEMO_ACTION + (size_t)c] = all[t * width + (size_t)d->column[c]];
    free(all);
    return status;
}

deer_status demos_read_raw_actions(demos *d, int i, float *actions, deer_error *err)
{
    const demo_file *f = demos_file_of(d, &d->entry[i]);
    char name[DEMOS_PATH];

    demos_path(&d->entry[i], "actions", name);
    return d->columns ? read_columns(d, &d->entry[i], name, actions, err)
                      : hdf5_read(f->file, f->path, name, H5T_NATIVE_FLOAT, actions, err);
}

deer_status demos_read_actions(demos *d, int i, float *actions, deer_error *err)
{
    const demo_entry *entry = &d->entry[i];

    if (demos_read_raw_actions(d, i, actions, err))
        return DEER_FAILED;
    for (int j = 0; j < entry->steps * DEMO_ACTION; j++)
        if (!(fabsf(actions[j]) <= 1.001f))
            return deer_fail(err, "%s: action %d of step %d in %s is %g; -1 to 1 is expected",
                             demos_file_of(d, entry)->path, j % DEMO_ACTION, j / DEMO_ACTION,
                             entry->name, (double)actions[j]);
    return DEER_OK;
}

static deer_status read_view(demos *d, const demo_entry *entry, int view, uint8_t *pixels,
                             deer_error *err)
{
    const demo_file *f = demos_file_of(d, entry);
    char what[128], name[DEMOS_PATH];

    snprintf(what, sizeof what, "obs/%s", entry->dataset[view]);
    demos_path(entry, what, name);
    if (entry->form[view].converted)
        return demos_read_converted(f, name, &entry->view[view], &entry->form[view], pixels, err);
    return hdf5_read(f->file, f->path, name, H5T_NATIVE_UINT8, pixels, err);
}

static deer_status read_object(demos *d, const demo_entry *entry, float *object, deer_error *err)
{
    const demo_file *f = demos_file_of(d, entry);
    char name[DEMOS_PATH];

    demos_path(entry, "obs/object", name);
    return entry->object_size ? hdf5_read(f->file, f->path, name, H5T_NATIVE_FLOAT, object, err)
                              : DEER_OK;
}

static size_t pixels_of(const hdf5_shape *s)
{
    return (size_t)(s->size[0] * s->size[1] * s->size[2]) * 3;
}

deer_status demos_read(demos *d, int i, demo_episode *e, deer_error *err)
{
    const demo_entry *entry = &d->entry[i];

    if (entry->unfit)
        return demos_check(d, &d->entry[i], err)
                   ? DEER_FAILED
                   : deer_fail(err, "%s changed while it was read", demos_file_of(d, entry)->path);
    if (demos_describe(d, i, e, err))
        return DEER_FAILED;
    if (e->instruction_bytes >= sizeof e->instruction)
        return deer_fail(err, "%s: the instruction of %s has %zu bytes; at most %zu are read",
                         demos_file_of(d, entry)->path, entry->name, e->instruction_bytes,
                         sizeof e->instruction - 1);
    e->static_rgb = malloc(pixels_of(&entry->view[0]));
    e->gripper_rgb = malloc(pixels_of(&entry->view[1]));
    e->actions = malloc((size_t)e->steps * DEMO_ACTION * sizeof *e->actions);
    e->object = malloc(((size_t)e->steps * (size_t)e->object_size + 1) * sizeof *e->object);
    if (!e->static_rgb || !e->gripper_rgb || !e->actions || !e->object) {
        demo_episode_free(e);
        return machine_fail(err, "out of memory reading %s of %s", entry->name,
                            demos_file_of(d, entry)->path);
    }
    if (read_view(d, entry, 0, e->static_rgb, err) || read_view(d, entry, 1, e->gripper_rgb, err) ||
        demos_read_actions(d, i, e->actions, err) || read_object(d, entry, e->object, err)) {
        demo_episode_free(e);
        return DEER_FAILED;
    }
    return DEER_OK;
}
