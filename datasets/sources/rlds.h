/* SPDX-License-Identifier: MIT */
/* rlds.h - what the steps of an RLDS dataset hold, as its features.json says. */
#ifndef DATASETS_RLDS_H
#define DATASETS_RLDS_H

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

#endif
