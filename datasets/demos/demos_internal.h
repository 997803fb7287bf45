/* SPDX-License-Identifier: MIT */
/* demos_internal.h - what the files that read demonstrations share. */
#ifndef DATASETS_DEMOS_INTERNAL_H
#define DATASETS_DEMOS_INTERNAL_H

#include "datasets/demos/demos.h"
#include "datasets/demos/hdf5_io.h"

#define DEMOS_VIEWS 2 /* static, gripper */
#define DEMOS_PATH 256

/* What is known of a demonstration once the file is open. */
typedef struct {
    char name[64];
    int steps;
    hdf5_shape view[DEMOS_VIEWS];
    const char *dataset[DEMOS_VIEWS]; /* the cameras' names below obs/; live with the file */
    int object_size;
} demo_entry;

struct demos {
    char *path;
    hid_t file;
    char camera[DEMOS_VIEWS][64]; /* names that were asked for, or empty */
    int count;
    long steps;
    demo_entry *entry;
    char instruction[256]; /* of the whole file, for demonstrations without their own */
    char task[64];
    char fingerprint[DEER_FINGERPRINT]; /* empty until computed */
};

/* "data/<demonstration>/<what>". */
void demos_path(const demo_entry *entry, const char *what, char out[DEMOS_PATH]);

/* Reads the instruction and task that the whole file states: robomimic's env_args and LIBERO's
 * problem_info, JSON texts on /data. Both stay empty when there are none; what cannot be read is an
 * error. */
deer_status demos_read_file_texts(demos *d, deer_error *err);

/* Instruction, task and seed of one demonstration. */
deer_status demos_read_texts(const demos *d, const demo_entry *entry, demo_episode *e,
                             deer_error *err);

#endif
