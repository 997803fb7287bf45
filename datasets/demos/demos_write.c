/* SPDX-License-Identifier: MIT */
/* demos_write.c - recording demonstrations: whole episodes into a file that appears when finished.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/demos/demos_internal.h"
#include "datasets/hdf5/hdf5_chunks.h"
#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"

struct demos_writer {
    char *path, *tmp;
    hid_t file;
    int episodes;
    long steps;
};

/* Makes sure that the file can be made, because HDF5 does not say why it cannot. */
static deer_status create_temporary(demos_writer *w, deer_error *err)
{
    int fd = open(w->tmp, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
    hid_t access, creation;

    if (fd < 0)
        return deer_fail(err, "cannot create %s: %s", w->path, strerror(errno));
    close(fd);
    /* The 1.10 format has a checksum over every piece of metadata: HDF5 notices damage instead of
     * following it. */
    access = H5Pcreate(H5P_FILE_ACCESS);
    H5Pset_libver_bounds(access, H5F_LIBVER_V110, H5F_LIBVER_V110);
    creation = H5Pcreate(H5P_FILE_CREATE);
    H5Pset_obj_track_times(creation, false);
    w->file = H5Fcreate(w->tmp, H5F_ACC_TRUNC, creation, access);
    H5Pclose(creation);
    H5Pclose(access);
    if (w->file < 0)
        return deer_fail(err, "cannot write to %s; is the disk full?", w->path);
    return DEER_OK;
}

static deer_status start_data(demos_writer *w, const char *env_args, deer_error *err)
{
    hid_t group = hdf5_group(w->file, w->path, "data", err)
                      ? H5I_INVALID_HID
                      : H5Gopen2(w->file, "data", H5P_DEFAULT);
    bool failed = group < 0 || hdf5_text_set(group, "env_args", env_args, NULL);

    H5Gclose(group);
    return failed ? deer_fail(err, "cannot write to %s; is the disk full?", w->path) : DEER_OK;
}

deer_status demos_writer_open(const char *path, const char *env_args, demos_writer **out,
                              deer_error *err)
{
    demos_writer *w = calloc(1, sizeof *w);

    *out = NULL;
    if (!w)
        return machine_fail(err, "out of memory writing %s", path);
    hdf5_quiet();
    w->file = H5I_INVALID_HID;
    w->path = strdup(path);
    w->tmp = file_temporary(path, err);
    if (!w->path || !w->tmp)
        machine_fail(err, "out of memory writing %s", path);
    else if (!create_temporary(w, err) && !start_data(w, env_args, err))
        *out = w;
    if (*out)
        return DEER_OK;
    demos_writer_abandon(w);
    return DEER_FAILED;
}

/* /data/demo_<n> and its obs. */
static deer_status start_episode(demos_writer *w, char name[64], deer_error *err)
{
    char observations[96];

    snprintf(name, 64, "data/demo_%d", w->episodes);
    snprintf(observations, sizeof observations, "%s/obs", name);
    return hdf5_group(w->file, w->path, name, err)
               ? DEER_FAILED
               : hdf5_group(w->file, w->path, observations, err);
}

static deer_status write_images(demos_writer *w, const char *name, const char *view, int steps,
                                int height, int width, const uint8_t *rgb, deer_error *err)
{
    char dataset[128];
    const hsize_t size[4] = {(hsize_t)steps, (hsize_t)height, (hsize_t)width, 3};
    hdf5_storage storage = {{1, size[1], size[2], 3}, 1, false};

    snprintf(dataset, sizeof dataset, "%s/obs/%s", name, view);
    return hdf5_write(w->file, w->path, dataset, 4, size, H5T_NATIVE_UINT8, H5T_STD_U8LE, &storage,
                      rgb, err);
}

static deer_status write_floats(demos_writer *w, const char *name, const char *what, int steps,
                                int width, const float *data, deer_error *err)
{
    char dataset[128];
    const hsize_t size[2] = {(hsize_t)steps, (hsize_t)width};
    hdf5_storage storage = {{size[0], size[1]}, 0, true};

    snprintf(dataset, sizeof dataset, "%s/%s", name, what);
    return hdf5_write(w->file, w->path, dataset, 2, size, H5T_NATIVE_FLOAT, H5T_IEEE_F32LE,
                      &storage, data, err);
}

static deer_status write_attributes(demos_writer *w, const char *name, const demo_episode *e,
                                    deer_error *err)
{
    hid_t group = H5Gopen2(w->file, name, H5P_DEFAULT);
    bool failed = group < 0 || hdf5_integer_set(group, "num_samples", (uint64_t)e->steps, NULL) ||
                  hdf5_text_set(group, "language", e->instruction, NULL) ||
                  hdf5_text_set(group, "task", e->task, NULL) ||
                  hdf5_integer_set(group, "seed", e->seed, NULL);

    H5Gclose(group);
    return failed ? deer_fail(err, "cannot write %s to %s; is the disk full?", name, w->path)
                  : DEER_OK;
}

/* What demos_open and demos_read would refuse is not written. */
static deer_status check_episode(const demos_writer *w, const demo_episode *e, deer_error *err)
{
    if (e->steps < 1 || e->static_height < 1 || e->static_width < 1 || e->gripper_height < 1 ||
        e->gripper_width < 1)
        return deer_fail(err, "episode %d for %s has no steps or no pixels", w->episodes, w->path);
    for (int i = 0; i < e->steps * DEMO_ACTION; i++)
        if (!(fabsf(e->actions[i]) <= 1.001f))
            return deer_fail(
                err, "episode %d for %s: action %d of step %d is %g; -1 to 1 is expected",
                w->episodes, w->path, i % DEMO_ACTION, i / DEMO_ACTION, (double)e->actions[i]);
    return DEER_OK;
}

deer_status demos_writer_add(demos_writer *w, const demo_episode *e, deer_error *err)
{
    char name[64];

    if (check_episode(w, e, err) || start_episode(w, name, err))
        return DEER_FAILED;
    if (write_images(w, name, "rgb_static", e->steps, e->static_height, e->static_width,
                     e->static_rgb, err) ||
        write_images(w, name, "rgb_gripper", e->steps, e->gripper_height, e->gripper_width,
                     e->gripper_rgb, err) ||
        write_floats(w, name, "actions", e->steps, DEMO_ACTION, e->actions, err) ||
        (e->object_size &&
         write_floats(w, name, "obs/object", e->steps, e->object_size, e->object, err)) ||
        write_attributes(w, name, e, err))
        return DEER_FAILED;
    w->episodes++;
    w->steps += e->steps;
    return DEER_OK;
}

/* Not by H5Ocopy: HDF5 1.10's crashes after a failed write. */
static deer_status copy_dataset(demos_writer *w, const demos *from, const demo_entry *entry,
                                const char *what, const char *name, deer_error *err)
{
    const demo_file *f = demos_file_of(from, entry);
    char source[DEMOS_PATH], to[DEMOS_PATH];
    hid_t dataset;
    deer_status status;

    demos_path(entry, what, source);
    snprintf(to, sizeof to, "%s/%s", name, what);
    dataset = hdf5_dataset_open(f->file, f->path, source, err);
    if (dataset < 0)
        return DEER_FAILED;
    status = hdf5_chunks_copy(dataset, w->file, to);
    H5Dclose(dataset);
    return status ? deer_fail(err, "cannot copy %s of %s to %s; is the disk full?", source, f->path,
                              w->path)
                  : DEER_OK;
}

static deer_status copy_view(demos_writer *w, const demos *from, const demo_entry *entry, int view,
                             const char *name, deer_error *err)
{
    char what[128];

    snprintf(what, sizeof what, "obs/%s", entry->dataset[view]);
    return copy_dataset(w, from, entry, what, name, err);
}

deer_status demos_writer_copy(demos_writer *w, const demos *from, int i, deer_error *err)
{
    const demo_entry *entry = &from->entry[i];
    char name[64];
    demo_episode about;

    if (demos_describe(from, i, &about, err) || start_episode(w, name, err) ||
        copy_view(w, from, entry, 0, name, err) || copy_view(w, from, entry, 1, name, err) ||
        copy_dataset(w, from, entry, "actions", name, err) ||
        (entry->object_size && copy_dataset(w, from, entry, "obs/object", name, err)) ||
        write_attributes(w, name, &about, err))
        return DEER_FAILED;
    w->episodes++;
    w->steps += from->entry[i].steps;
    return DEER_OK;
}

static deer_status close_file(demos_writer *w, deer_error *err)
{
    hid_t group = H5Gopen2(w->file, "data", H5P_DEFAULT);
    deer_status status =
        group < 0 ? DEER_FAILED : hdf5_integer_set(group, "total", (uint64_t)w->steps, err);

    if (group >= 0)
        H5Gclose(group);
    if (H5Fclose(w->file) < 0)
        status = DEER_FAILED;
    w->file = H5I_INVALID_HID;
    return status ? deer_fail(err, "cannot finish %s; is the disk full?", w->path) : DEER_OK;
}

deer_status demos_writer_finish(demos_writer *w, deer_error *err)
{
    deer_status status;

    if (w->episodes == 0) {
        status = deer_fail(err, "no episode was recorded for %s", w->path);
    } else {
        status = close_file(w, err);
        if (!status)
            status = file_publish(w->tmp, w->path, err);
    }
    demos_writer_abandon(w);
    return status;
}

void demos_writer_abandon(demos_writer *w)
{
    if (!w)
        return;
    if (w->file >= 0)
        H5Fclose(w->file);
    if (w->tmp)
        unlink(w->tmp);
    free(w->tmp);
    free(w->path);
    free(w);
}
