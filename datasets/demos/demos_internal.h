/* SPDX-License-Identifier: MIT */
/* demos_internal.h - what the files that read demonstrations share. */
#ifndef DATASETS_DEMOS_INTERNAL_H
#define DATASETS_DEMOS_INTERNAL_H

#include "datasets/demos/demos.h"
#include "datasets/demos/language.h"
#include "datasets/hdf5/hdf5_io.h"

#define DEMOS_VIEWS 2 /* static, gripper */
#define DEMOS_PATH 256

/* How pixels are stored where that is not u8 [T,H,W,3]. */
typedef struct {
    bool converted, first; /* not plain; [T,C,H,W] */
    bool real;             /* floats of 0 to 1 or 0 to 255 */
    int channels;          /* 3, or 4: the last is not read */
} demo_form;

/* One file of a set. */
typedef struct {
    char *path;
    hid_t file;
    hdf5_texts language;   /* wordings of the whole file, for demonstrations without their own */
    bool language_of_name; /* read off the file's name */
    bool upside_down;      /* its images, by its marks */
    int horizon;           /* steps an episode could have; 0: not stated */
    char task[DEMO_TASK];
} demo_file;

/* What is known of a demonstration once its file is open. */
typedef struct {
    char name[64], shown[64]; /* in its file; to others */
    int in;                   /* which file */
    int steps;
    hdf5_shape view[DEMOS_VIEWS];
    const char *dataset[DEMOS_VIEWS]; /* the cameras' names below obs/; live with the set */
    demo_form form[DEMOS_VIEWS]; /* how their pixels are stored; view is as if they were plain */
    int action_width;            /* numbers of an action in the file */
    int object_size;
    bool unfit; /* reading fails, and says why */
} demo_entry;

struct demos {
    demo_file *file;
    int files;
    char camera[DEMOS_VIEWS][64]; /* names that were asked for, or empty */
    char *instruction;            /* asked for in place of what is recorded, NULL: none */
    char *mask;                   /* only what it lists, NULL: all */
    uint64_t seed;                /* chooses among several wordings */
    bool convert, tolerant, task_of_file;
    bool columns; /* column is asked for */
    int column[DEMO_ACTION];
    int count, room;
    long steps;
    demo_entry *entry;
    char fingerprint[DEER_FINGERPRINT]; /* empty until computed */
};

/* Whether a name fits, and can stand in a message of one line. */
bool demos_usable_name(const char *name);

/* Checks a demonstration's datasets and fills the entry. */
deer_status demos_check(const demos *d, demo_entry *entry, deer_error *err);

/* Whether pixels of this shape can be converted; then says how, and the shape becomes that of the
 * result. */
bool demos_convertible(hdf5_shape *shape, demo_form *form);

/* Reads such pixels: out [T,H,W,3] of the result's shape. */
deer_status demos_read_converted(const demo_file *f, const char *name, const hdf5_shape *shape,
                                 const demo_form *form, uint8_t *out, deer_error *err);

/* The file that a demonstration is in. */
const demo_file *demos_file_of(const demos *d, const demo_entry *entry);

/* Of the entries from `first` on, all of file `in`, keeps those that the mask lists. */
deer_status demos_apply_mask(demos *d, int in, int first, deer_error *err);

/* "data/<demonstration>/<what>". */
void demos_path(const demo_entry *entry, const char *what, char out[DEMOS_PATH]);

/* Reads the wordings and the task that the whole file states; they stay empty when there are none;
 * what cannot be read is an error. */
deer_status demos_read_file_texts(demo_file *f, bool task_of_file, deer_error *err);

/* Instruction, task and seed of one demonstration. */
deer_status demos_read_texts(const demos *d, const demo_entry *entry, demo_episode *e,
                             deer_error *err);

#endif
