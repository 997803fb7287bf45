/* SPDX-License-Identifier: MIT */
/* hdf5_io.h - small helpers over the HDF5 C API, for demonstrations and the feature cache.
 *
 * Names are paths inside the file ("data/demo_0/actions"). HDF5's own messages are silenced; every
 * failure becomes one line with the file's name. */
#ifndef DATASETS_HDF5_IO_H
#define DATASETS_HDF5_IO_H

#include <hdf5.h>

#include "runtime/deer.h"

#define HDF5_IO_RANK 4

/* Shape and element class of a dataset. */
typedef struct {
    int rank;
    hsize_t size[HDF5_IO_RANK];
    H5T_class_t type;
    size_t bytes;    /* of one element */
    uint64_t stored; /* bytes of the file that hold it, compressed as they are */
} hdf5_shape;

/* Turns off HDF5's own error printing and its exit handler (which crashes after a full disk). Call
 * it before any other HDF5 function of the process; harmless to repeat. */
void hdf5_quiet(void);

/* Shape of a dataset; fails when it does not exist or has more than HDF5_IO_RANK dimensions. */
deer_status hdf5_shape_of(hid_t file, const char *path, const char *name, hdf5_shape *shape,
                          deer_error *err);

/* Reads a dataset whole into memory of type `type`; the caller has checked the shape. */
deer_status hdf5_read(hid_t file, const char *path, const char *name, hid_t type, void *data,
                      deer_error *err);

/* How a dataset is stored. */
typedef struct {
    hsize_t chunk[HDF5_IO_RANK]; /* chunk[0] == 0: contiguous */
    int gzip;                    /* level, 0: none */
    bool checksum;               /* Fletcher-32 (needs chunks) */
} hdf5_storage;

/* Writes an array of native type memory_type, stored as file_type. */
deer_status hdf5_write(hid_t file, const char *path, const char *name, int rank,
                       const hsize_t *size, hid_t memory_type, hid_t file_type,
                       const hdf5_storage *storage, const void *data, deer_error *err);

/* A new group; like datasets by hdf5_write, it does not store when it was made, so that the same
 * contents are the same bytes. */
deer_status hdf5_group(hid_t file, const char *path, const char *name, deer_error *err);

/* Attributes. Reading a text truncates it to room - 1 bytes; both string kinds of HDF5 are read. A
 * missing attribute returns false and leaves the value alone. */
bool hdf5_text_get(hid_t object, const char *name, char *text, size_t room);
bool hdf5_integer_get(hid_t object, const char *name, uint64_t *value);
deer_status hdf5_text_set(hid_t object, const char *name, const char *text, deer_error *err);
deer_status hdf5_integer_set(hid_t object, const char *name, uint64_t value, deer_error *err);

#endif
