/* SPDX-License-Identifier: MIT */
/* rlds.h - what the steps of an RLDS dataset hold, as its features.json says, and which files
 * have them. */
#ifndef DATASETS_RLDS_H
#define DATASETS_RLDS_H

#include <stdint.h>

#include "datasets/sources/source.h"

enum { RLDS_NAME = 192, RLDS_PATH = 4400 };

typedef struct {
    char image[2][RLDS_NAME];    /* "steps/observation/image" and the wrist's */
    char instruction[RLDS_NAME]; /* empty: none is recorded */
    int width;                   /* numbers of an action */
} rlds_names;

/* Reads FOLDER/features.json and chooses the cameras, those that are asked for or the usual ones.
 */
deer_status rlds_read_names(const char *folder, const source_options *o, rlds_names *names,
                            deer_error *err);

/* A file of records, by its name: bowls-train.tfrecord-00003-of-00016. */
typedef struct {
    char *name;
    int base, split; /* "bowls-train" is name [base] and "train" what begins at split in it */
    int index, of;   /* 3 of 16; 0 of 1 where the name has no numbers */
    int64_t records; /* as dataset_info.json counts them; -1: it does not */
} rlds_shard;

typedef struct {
    rlds_shard *shard; /* by name */
    int count;
} rlds_list;

struct dirent;
int rlds_is_shard(const struct dirent *entry);

/* The files of the split that is asked for, the only one, or of all; that a shard is missing is an
 * error unless a part is asked for. */
deer_status rlds_list_shards(const char *folder, const source_options *o, rlds_list *list,
                             deer_error *err);
void rlds_list_free(rlds_list *list);

#endif
