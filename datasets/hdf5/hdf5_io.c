/* SPDX-License-Identifier: MIT */
/* hdf5_io.c - small helpers over the HDF5 C API. */
#include "datasets/hdf5/hdf5_io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/hdf5/hdf5_chunks.h"
#include "datasets/hdf5/hdf5_filter.h"
#include "runtime/base/machine_failure.h"

/* HDF5 says what the system said in words: "errno = 5". */
static herr_t note_cause(unsigned n, const H5E_error2_t *e, void *user)
{
    static const char mark[] = ", errno = ",
                      own[] = "memory allocation failed"; /* not the application's */
    const char *number = e->desc ? strstr(e->desc, mark) : NULL;

    (void)n, (void)user;
    if ((e->maj_num == H5E_RESOURCE && e->min_num == H5E_NOSPACE) ||
        (e->min_num == H5E_CANTALLOC && e->desc && !strncmp(e->desc, own, strlen(own))))
        machine_failed();
    else if (e->maj_num != H5E_RESOURCE && number)
        machine_failed_by(atoi(number + strlen(mark)));
    return 0;
}

/* In place of printing a failure: whether it is the machine's. */
static herr_t note_failure(hid_t stack, void *user)
{
    return H5Ewalk2(stack, H5E_WALK_UPWARD, note_cause, user);
}

void hdf5_quiet(void)
{
    /* After a failed close (a full disk) HDF5 1.10 crashes in its exit handler; every file here is
     * closed explicitly, so it has nothing to do at exit anyway. */
    H5dont_atexit();
    H5Eset_auto2(H5E_DEFAULT, note_failure, NULL);
    hdf5_filter_lzf();
}

const char *hdf5_shape_text(const hdf5_shape *s, char text[HDF5_IO_SHAPE])
{
    const char *order = s->big_endian && s->bytes > 1 ? ">" : "";
    int used;

    if (s->type == H5T_INTEGER || s->type == H5T_FLOAT)
        used = snprintf(text, HDF5_IO_SHAPE, "%s%s%zu [", order,
                        s->type == H5T_FLOAT ? "f"
                        : s->is_signed       ? "i"
                                             : "u",
                        s->bytes);
    else
        used = snprintf(text, HDF5_IO_SHAPE, "%s [",
                        s->type == H5T_STRING   ? "text"
                        : s->type == H5T_VLEN   ? "data of variable length"
                        : s->type == H5T_ENUM   ? "truth values or an enumeration"
                        : s->type == H5T_OPAQUE ? "opaque bytes"
                                                : "a compound type");
    for (int i = 0; i < s->rank && i < HDF5_IO_RANK; i++)
        used += snprintf(text + used, HDF5_IO_SHAPE - (size_t)used, i ? ",%llu" : "%llu",
                         (unsigned long long)s->size[i]);
    strcpy(text + used, "]");
    return text;
}

static deer_status shape_of_open(hid_t dataset, const char *path, const char *name,
                                 hdf5_shape *shape, deer_error *err)
{
    hid_t space = H5Dget_space(dataset), type = H5Dget_type(dataset);
    int rank = H5Sget_simple_extent_ndims(space);
    bool fits = rank >= 1 && rank <= HDF5_IO_RANK;

    *shape = (hdf5_shape){.rank = rank};
    if (fits) {
        H5Sget_simple_extent_dims(space, shape->size, NULL);
        shape->type = H5Tget_class(type);
        shape->bytes = H5Tget_size(type);
        shape->is_signed = shape->type == H5T_INTEGER && H5Tget_sign(type) == H5T_SGN_2;
        shape->big_endian = H5Tget_order(type) == H5T_ORDER_BE;
        shape->stored = H5Dget_storage_size(dataset);
        shape->missing = hdf5_filter_missing(dataset);
    }
    H5Tclose(type);
    H5Sclose(space);
    return fits ? DEER_OK
                : deer_fail(err, "%s: dataset %s has %d dimensions; 1 to %d are expected", path,
                            name, rank, HDF5_IO_RANK);
}

deer_status hdf5_shape_of(hid_t file, const char *path, const char *name, hdf5_shape *shape,
                          deer_error *err)
{
    hid_t dataset = hdf5_dataset_open(file, path, name, err);
    deer_status status;

    if (dataset < 0)
        return DEER_FAILED;
    status = shape_of_open(dataset, path, name, shape, err);
    H5Dclose(dataset);
    return status;
}

deer_status hdf5_read(hid_t file, const char *path, const char *name, hid_t type, void *data,
                      deer_error *err)
{
    hid_t dataset = hdf5_dataset_open(file, path, name, err);
    H5Z_filter_t missing;
    deer_status status;

    if (dataset < 0)
        return DEER_FAILED;
    status = hdf5_chunks_read(dataset, type, data);
    missing = status ? hdf5_filter_missing(dataset) : 0;
    H5Dclose(dataset);
    if (missing)
        return hdf5_filter_fail(path, name, missing, err);
    if (status)
        return deer_fail(err, "%s: dataset %s cannot be read: damaged, or no memory", path, name);
    return DEER_OK;
}

static bool is_filtered(hid_t dataset)
{
    hid_t properties = H5Dget_create_plist(dataset);
    int filters = properties < 0 ? 1 : H5Pget_nfilters(properties);

    if (properties >= 0)
        H5Pclose(properties);
    return filters != 0;
}

static deer_status read_rows(hid_t dataset, hid_t type, const hsize_t first[2],
                             const hsize_t count[2], void *data)
{
    hid_t space = H5Dget_space(dataset), memory = H5Screate_simple(2, count, NULL);
    bool failed = space < 0 || memory < 0 ||
                  H5Sselect_hyperslab(space, H5S_SELECT_SET, first, NULL, count, NULL) < 0 ||
                  H5Dread(dataset, type, memory, space, H5P_DEFAULT, data) < 0;

    if (space >= 0)
        H5Sclose(space);
    if (memory >= 0)
        H5Sclose(memory);
    return failed ? DEER_FAILED : DEER_OK;
}

/* HDF5 notes for every row of a selection where it lies, at several times the row's size. */
static deer_status read_in_pieces(hid_t dataset, hid_t type, const hsize_t from[2],
                                  const hsize_t size[2], void *data)
{
    const hsize_t most = 1 << 16;
    deer_status status = DEER_OK;

    for (hsize_t row = 0; row < size[0] && !status; row += most) {
        const hsize_t at[2] = {from[0] + row, from[1]};
        const hsize_t piece[2] = {size[0] - row < most ? size[0] - row : most, size[1]};

        status =
            read_rows(dataset, type, at, piece, (char *)data + row * size[1] * H5Tget_size(type));
    }
    return status;
}

deer_status hdf5_read_rows(hid_t file, const char *path, const char *name, hid_t type,
                           hsize_t first, hsize_t count, hsize_t width, void *data, deer_error *err)
{
    const hsize_t from[2] = {first, 0}, size[2] = {count, width};
    hid_t dataset = hdf5_dataset_open(file, path, name, err);
    deer_status status;

    if (dataset < 0)
        return DEER_FAILED;
    if (is_filtered(dataset))
        status = deer_fail(err,
                           "%s: dataset %s is compressed, so that no part of it can be read alone; "
                           "write it without: h5repack -f NONE -l CONTI",
                           path, name);
    else if (read_in_pieces(dataset, type, from, size, data))
        status = deer_fail(err, "%s: dataset %s cannot be read: damaged, or no memory", path, name);
    else
        status = DEER_OK;
    H5Dclose(dataset);
    return status;
}

static hid_t creation_properties(int rank, const hdf5_storage *storage)
{
    hid_t properties = H5Pcreate(H5P_DATASET_CREATE);

    H5Pset_obj_track_times(properties, false);
    if (!storage || !storage->chunk[0])
        return properties;
    H5Pset_chunk(properties, rank, storage->chunk);
    if (storage->gzip)
        H5Pset_deflate(properties, (unsigned)storage->gzip);
    if (storage->checksum)
        H5Pset_fletcher32(properties);
    return properties;
}

deer_status hdf5_group(hid_t file, const char *path, const char *name, deer_error *err)
{
    hid_t properties = H5Pcreate(H5P_GROUP_CREATE), group;

    H5Pset_obj_track_times(properties, false);
    group = H5Gcreate2(file, name, H5P_DEFAULT, properties, H5P_DEFAULT);
    H5Pclose(properties);
    if (group < 0)
        return deer_fail(err, "cannot write %s to %s; is the disk full?", name, path);
    H5Gclose(group);
    return DEER_OK;
}

deer_status hdf5_write(hid_t file, const char *path, const char *name, int rank,
                       const hsize_t *size, hid_t memory_type, hid_t file_type,
                       const hdf5_storage *storage, const void *data, deer_error *err)
{
    hid_t links = H5Pcreate(H5P_LINK_CREATE), properties = creation_properties(rank, storage);
    hid_t space = H5Screate_simple(rank, size, NULL), dataset;
    bool ok;

    H5Pset_create_intermediate_group(links, 1);
    dataset = H5Dcreate2(file, name, file_type, space, links, properties, H5P_DEFAULT);
    ok = dataset >= 0 && H5Dwrite(dataset, memory_type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0;
    if (dataset >= 0)
        ok = H5Dclose(dataset) >= 0 && ok;
    H5Sclose(space);
    H5Pclose(properties);
    H5Pclose(links);
    return ok ? DEER_OK : deer_fail(err, "cannot write %s to %s; is the disk full?", name, path);
}

/* ---------------------------------------------------------------- attributes --------------- */

static bool read_variable_text(hid_t attribute, hid_t type, char *text, size_t room)
{
    char *value = NULL;
    bool ok = H5Aread(attribute, type, &value) >= 0;

    if (ok)
        snprintf(text, room, "%s", value ? value : ""); /* an empty text may have no bytes */
    H5free_memory(value);
    return ok;
}

static bool read_fixed_text(hid_t attribute, hid_t type, char *text, size_t room)
{
    size_t size = H5Tget_size(type);
    bool fits = size < (1u << 24);
    char *value = fits ? calloc(1, size + 1) : NULL;
    bool ok = fits && machine_gave(value) && H5Aread(attribute, type, value) >= 0;

    if (ok)
        snprintf(text, room, "%s", value);
    free(value);
    return ok;
}

/* An attribute's value by a reader that knows its type. */
static hdf5_found get_attribute(hid_t object, const char *name, H5T_class_t kind,
                                bool (*read)(hid_t attribute, hid_t type, void *value, size_t room),
                                void *value, size_t room)
{
    htri_t exists = H5Aexists(object, name);
    hid_t attribute = exists > 0 ? H5Aopen(object, name, H5P_DEFAULT) : H5I_INVALID_HID;
    hid_t type = attribute < 0 ? H5I_INVALID_HID : H5Aget_type(attribute);
    hid_t space = attribute < 0 ? H5I_INVALID_HID : H5Aget_space(attribute);
    hdf5_found found = HDF5_UNREADABLE;

    if (exists == 0)
        return HDF5_ABSENT;
    if (type >= 0 && space >= 0) {
        bool fits = H5Tget_class(type) == kind && H5Sget_simple_extent_npoints(space) == 1;
        found = !fits                                ? HDF5_ABSENT
                : read(attribute, type, value, room) ? HDF5_FOUND
                                                     : HDF5_UNREADABLE;
    }
    H5Sclose(space);
    H5Tclose(type);
    H5Aclose(attribute);
    return found;
}

static bool read_text(hid_t attribute, hid_t type, void *value, size_t room)
{
    return H5Tis_variable_str(type) > 0 ? read_variable_text(attribute, type, value, room)
                                        : read_fixed_text(attribute, type, value, room);
}

static bool read_integer(hid_t attribute, hid_t type, void *value, size_t room)
{
    uint64_t read;

    (void)type;
    if (H5Aread(attribute, H5T_NATIVE_UINT64, &read) < 0)
        return false;
    memcpy(value, &read, room);
    return true;
}

hdf5_found hdf5_text_get(hid_t object, const char *name, char *text, size_t room)
{
    return get_attribute(object, name, H5T_STRING, read_text, text, room);
}

hdf5_found hdf5_integer_get(hid_t object, const char *name, uint64_t *value)
{
    return get_attribute(object, name, H5T_INTEGER, read_integer, value, sizeof *value);
}

static deer_status set_attribute(hid_t object, const char *name, hid_t type, const void *value,
                                 deer_error *err)
{
    hid_t space = H5Screate(H5S_SCALAR);
    hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    bool ok = attribute >= 0 && H5Awrite(attribute, type, value) >= 0;

    if (attribute >= 0)
        ok = H5Aclose(attribute) >= 0 && ok;
    H5Sclose(space);
    return ok ? DEER_OK : deer_fail(err, "cannot write the attribute %s; is the disk full?", name);
}

deer_status hdf5_text_set(hid_t object, const char *name, const char *text, deer_error *err)
{
    hid_t type = H5Tcopy(H5T_C_S1);
    deer_status status;

    H5Tset_size(type, strlen(text) + 1);
    H5Tset_cset(type, H5T_CSET_UTF8);
    status = set_attribute(object, name, type, text, err);
    H5Tclose(type);
    return status;
}

deer_status hdf5_integer_set(hid_t object, const char *name, uint64_t value, deer_error *err)
{
    return set_attribute(object, name, H5T_NATIVE_UINT64, &value, err);
}
