/* SPDX-License-Identifier: MIT */
/* source.h - other people's datasets, each behind the same face: to add one is to add a line to the
 * table in sources.c.
 *
 *   const source_kind *kind = source_named("calvin"), or source_of(path, &err);
 *   void *s;
 *   if (kind->open(&options, &s, &err)) ...
 *   for (int i = 0; i < kind->count(s); i++)
 *       if (kind->read(s, i, &episode, &err)) ...     // demo_episode_free
 *   kind->close(s);
 */
#ifndef DATASETS_SOURCE_H
#define DATASETS_SOURCE_H

#include "datasets/demos/demos.h"

/* What is asked of a dataset; a source that has no use for an option that is set refuses it. Texts
 * that are NULL are not given. */
typedef struct {
    const char *const *path; /* [paths]: a folder, or files */
    int paths;
    const char *static_camera, *gripper_camera;
    const char *instruction; /* in place of what is recorded */
    const char *annotations; /* CALVIN: which folder of annotations */
    const char *mask;        /* HDF5: only what mask/<this> lists */
    const char *actions;     /* seven numbers or names, separated by commas: of a wider action */
    const char *scale;       /* LeRobot: minmax or quantile: what maps actions to -1..1 */
    const char *split;       /* RLDS: which, where there are several; "all" */
    bool partial;            /* RLDS: though shards are missing */
    bool follow_links;       /* HDF5: into files of the same folder */
    uint64_t seed;           /* chooses among wordings */
    int threads;
} source_options;

typedef struct {
    const char *name;     /* deer-data import --<name> */
    const char *takes;    /* "DIR", "FILE.." */
    const char *help;     /* what it is */
    const char *env_args; /* what the demonstrations written say of where they are from */
    bool files;           /* takes files, else one folder */

    /* Whether a path looks like one. */
    bool (*probe)(const char *path);

    /* Opens it and counts its episodes; pixels are not read yet. */
    deer_status (*open)(const source_options *options, void **source, deer_error *err);
    int (*count)(const void *source);

    /* Identity of what would be imported: 32 hexadecimal digits of the dataset and the options. */
    void (*fingerprint)(const void *source, char fingerprint[DEER_FINGERPRINT]);

    /* Reads episode i whole. Actions are finite and in -1..1. An error concerns this one alone. */
    deer_status (*read)(void *source, int i, demo_episode *episode, deer_error *err);
    void (*close)(void *source);
} source_kind;

/* The table; NULL behind the last. */
const source_kind *const *source_kinds(void);

/* NULL when there is none of that name. */
const source_kind *source_named(const char *name);

/* What a path looks like; NULL and an error that lists what is known. */
const source_kind *source_of(const char *path, deer_error *err);

/* Refuses an option that a source has no use for: `value` is given, not NULL. */
deer_status source_refuses(const char *source, const char *option, const char *value,
                           deer_error *err);

/* A 128-bit hash as text. */
void source_hash(const void *data, size_t size, char fingerprint[DEER_FINGERPRINT]);

extern const source_kind source_calvin, source_hdf5, source_lerobot, source_rlds;

#endif
