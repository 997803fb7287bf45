/* SPDX-License-Identifier: MIT */
/* cache_internal.h - what the files of the cache share: names and the table of its datasets. */
#ifndef CALIB_CACHE_INTERNAL_H
#define CALIB_CACHE_INTERNAL_H

#include "calib/cache/cache.h"
#include "datasets/hdf5/hdf5_io.h"

#define CACHE_FORMAT 3

/* One dataset of a shard and of the view. */
typedef struct {
    const char *name;
    bool per_episode; /* else per step */
    int rank;         /* 1 to 3; 0: this cache has none */
    hsize_t inner[2]; /* sizes behind the first dimension */
    hid_t type;       /* in the file and in memory; cache_fields_close closes those it made */
    size_t bytes;     /* of one element */
} cache_field;

enum {
    FIELD_AGED,
    FIELD_FEATURES,
    FIELD_CHANGE,
    FIELD_ACTION,
    FIELD_DELTA,
    FIELD_DEMONSTRATION,
    FIELD_EPISODE, /* of each step */
    FIELD_STEPS,   /* per episode, from here on */
    FIELD_TOKENS,
    FIELD_NAME,
    FIELD_TASK,
    FIELD_INSTRUCTION,
    FIELD_IDENTITY,
    CACHE_FIELDS
};

void cache_fields_open(const cache_manifest *m, cache_field field[CACHE_FIELDS]);
void cache_fields_close(cache_field field[CACHE_FIELDS]);

/* Bytes of one row of a field. */
size_t cache_field_row(const cache_field *f);

/* A new HDF5 file; its metadata has checksums (the format of HDF5 1.10) and no times, so that the
 * same contents are the same bytes. */
hid_t cache_create_file(const char *path);

/* "DIR/manifest.json", "DIR/shard-00003.h5", ..; the caller frees. NULL when out of memory. */
char *cache_path(const char *dir, const char *name);
char *cache_shard_path(const char *dir, int index);

#endif
