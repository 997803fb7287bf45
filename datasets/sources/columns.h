/* SPDX-License-Identifier: MIT */
/* columns.h - which seven numbers of a wider action are taken: "0,1,2,3,4,5,6" or their names. */
#ifndef DATASETS_COLUMNS_H
#define DATASETS_COLUMNS_H

#include "datasets/demos/demo_sizes.h"
#include "runtime/deer.h"

/* Reads a list of DEMO_ACTION numbers from 0, or names among those of the action (NULL: the dataset
 * has no names), all different. */
deer_status columns_read(const char *list, const char *const *names, int n, int column[DEMO_ACTION],
                         deer_error *err);

#endif
