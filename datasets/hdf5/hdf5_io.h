/* SPDX-License-Identifier: MIT */
/* hdf5_io.h - small helpers over the HDF5 C API, for demonstrations and the feature cache.
 *
 * Names are paths inside the file ("data/demo_0/actions"). HDF5's own messages are silenced; every
 * failure becomes one line with the file's name. */
#ifndef DATASETS_HDF5_IO_H
#define DATASETS_HDF5_IO_H

#include <hdf5.h>

#include "runtime/deer.h"

#define HDF5_IO_RANK 8
#define HDF5_IO_SHAPE 160 /* of a shape in words */

/* Shape and element class of a dataset. */
typedef struct {
    int rank;
    hsize_t size[HDF5_IO_RANK];
    H5T_class_t type;
    size_t bytes;         /* of one element */
    bool is_signed;       /* of integers */
    bool big_endian;      /* of numbers */
    uint64_t stored;      /* bytes of the file that hold it, compressed as they are */
    H5Z_filter_t missing; /* a filter that it needs and HDF5 lacks, 0: none */
} hdf5_shape;

/* "u1 [60,84,84,3]": type and shape for messages, as numpy writes them. Returns text. */
const char *hdf5_shape_text(const hdf5_shape *shape, char text[HDF5_IO_SHAPE]);

/* Turns off HDF5's own error printing and its exit handler (which crashes after a full disk), and
 * registers LZF. Call it before any other HDF5 function of the process; harmless to repeat. */
void hdf5_quiet(void);

/* Opens a file for reading; it must be a regular one, so that no pipe or device is waited for.
 * Invalid, with an error, when it cannot be. */
hid_t hdf5_open(const char *path, deer_error *err);

/* Opens a dataset of a file, or a group. What lies outside the file is refused: external raw
 * storage always; external links and virtual datasets unless hdf5_follow_links was called, and then
 * what is not a regular file in the file's own folder. Invalid, with an error, when it cannot be.
 */
hid_t hdf5_dataset_open(hid_t file, const char *path, const char *name, deer_error *err);
hid_t hdf5_group_open(hid_t file, const char *path, const char *name, deer_error *err);

/* From now on, in this process, links and virtual datasets that stay in a file's own folder are
 * followed. */
void hdf5_follow_links(void);

/* What a file has under a name; unreadable is neither there nor absent. */
typedef enum { HDF5_UNREADABLE = -1, HDF5_ABSENT = 0, HDF5_FOUND = 1 } hdf5_found;

/* Whether there is a link of that name. */
hdf5_found hdf5_has(hid_t file, const char *name);

/* Shape of a dataset; fails when it does not exist or has more than HDF5_IO_RANK dimensions. */
deer_status hdf5_shape_of(hid_t file, const char *path, const char *name, hdf5_shape *shape,
                          deer_error *err);

/* Whether memory for so many bytes is bounded by what a file stores of them. A few compressed bytes
 * may declare gigabytes: 64 MB are always allowed, beyond that 200 times what is stored. */
bool hdf5_is_plausible(uint64_t bytes, uint64_t stored);

/* Reads a dataset whole into memory of type `type`; the caller has checked the shape. A compressed
 * chunk that holds more than a chunk's bytes is refused before it is inflated. */
deer_status hdf5_read(hid_t file, const char *path, const char *name, hid_t type, void *data,
                      deer_error *err);

/* Reads rows first .. first + count - 1, each of `width` numbers (1 of a dataset of rank 1), of one
 * that is stored without filters. */
deer_status hdf5_read_rows(hid_t file, const char *path, const char *name, hid_t type,
                           hsize_t first, hsize_t count, hsize_t width, void *data,
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

/* Attributes. Reading a text truncates it to room - 1 bytes; both string kinds of HDF5 are read.
 * The value is left alone unless it is found; one of another kind counts as absent. */
hdf5_found hdf5_text_get(hid_t object, const char *name, char *text, size_t room);
hdf5_found hdf5_integer_get(hid_t object, const char *name, uint64_t *value);
deer_status hdf5_text_set(hid_t object, const char *name, const char *text, deer_error *err);
deer_status hdf5_integer_set(hid_t object, const char *name, uint64_t value, deer_error *err);

#endif
