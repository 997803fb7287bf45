/* SPDX-License-Identifier: MIT */
/* cache_view.c - cache.h5: all shards as one file of virtual datasets, for any HDF5 reader. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calib/cache/cache_internal.h"
#include "runtime/base/file.h"

static hsize_t shard_rows(const cache_manifest *m, int shard, bool per_episode)
{
    int first, episodes;
    int64_t steps;

    cache_shard_extent(m, shard, &first, &episodes, &steps);
    return (hsize_t)(per_episode ? episodes : steps);
}

/* Maps the rows of every shard behind one another. File names are relative to the view's folder. */
static hid_t mapping(const cache_manifest *m, const cache_field *f, hid_t whole)
{
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);
    hsize_t start[3] = {0}, size[3] = {0, f->inner[0], f->inner[1]};

    H5Pset_obj_track_times(properties, false);
    for (int s = 0; s < m->shards; s++) {
        char name[32];
        hid_t part;

        snprintf(name, sizeof name, "shard-%05d.h5", s);
        size[0] = shard_rows(m, s, f->per_episode);
        part = H5Screate_simple(f->rank, size, NULL);
        H5Sselect_hyperslab(whole, H5S_SELECT_SET, start, NULL, size, NULL);
        H5Pset_virtual(properties, whole, name, f->name, part);
        H5Sclose(part);
        start[0] += size[0];
    }
    H5Sselect_all(whole);
    return properties;
}

static deer_status write_virtual(hid_t file, const char *path, const cache_manifest *m,
                                 const cache_field *f, deer_error *err)
{
    hsize_t size[3] = {0, f->inner[0], f->inner[1]};
    hid_t whole, properties, dataset;

    for (int s = 0; s < m->shards; s++)
        size[0] += shard_rows(m, s, f->per_episode);
    whole = H5Screate_simple(f->rank, size, NULL);
    properties = mapping(m, f, whole);
    dataset = H5Dcreate2(file, f->name, f->type, whole, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    H5Sclose(whole);
    if (dataset < 0 || H5Dclose(dataset) < 0)
        return deer_fail(err, "cannot write %s to %s; is the disk full?", f->name, path);
    return DEER_OK;
}

static deer_status write_view(hid_t file, const char *path, const cache_manifest *m,
                              deer_error *err)
{
    cache_field field[CACHE_FIELDS];
    deer_status status = DEER_OK;

    if (hdf5_integer_set(file, "deer_cache", CACHE_FORMAT, err) ||
        hdf5_text_set(file, "model", m->model, err) || hdf5_text_set(file, "demos", m->demos, err))
        return DEER_FAILED;
    cache_fields_open(m, field);
    for (int f = 0; f < CACHE_FIELDS && !status; f++)
        if (field[f].rank)
            status = write_virtual(file, path, m, &field[f], err);
    cache_fields_close(field);
    return status;
}

static deer_status write_tmp(const char *tmp, const char *path, const cache_manifest *m,
                             deer_error *err)
{
    hid_t file = cache_create_file(tmp);
    deer_status status;

    if (file < 0)
        return deer_fail(err, "cannot create %s; may you write there, and is there room?", path);
    status = write_view(file, path, m, err);
    if (H5Fclose(file) < 0 && !status)
        status = deer_fail(err, "cannot finish %s; is the disk full?", path);
    return status;
}

deer_status cache_view_write(const char *dir, const cache_manifest *m, deer_error *err)
{
    char *path = cache_path(dir, "cache.h5"), *tmp = path ? file_temporary(path, err) : NULL;
    deer_status status;

    if (!tmp) {
        free(path);
        return deer_fail(err, "out of memory writing %s", dir);
    }
    cache_hdf5_enter();
    status = write_tmp(tmp, path, m, err);
    cache_hdf5_leave();
    if (status)
        unlink(tmp);
    else
        status = file_publish(tmp, path, err);
    free(tmp);
    free(path);
    return status;
}
