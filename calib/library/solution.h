/* SPDX-License-Identifier: MIT */
/* solution.h - what was found, as the library hands it out. */
#ifndef CALIB_LIBRARY_SOLUTION_H
#define CALIB_LIBRARY_SOLUTION_H

#include "calib/deer_calib.h"
#include "calib/pipeline/outcome.h"

/* What a calibration found, of a table or of a cache; borrowed. */
typedef struct {
    const outcome *found;         /* NULL: points are all that was asked for */
    bool llm;                     /* costs are of the decoder alone; else total, or a table's own */
    const operating_point *point; /* [points] */
    const guarantee *guarantee;   /* [points], NULL: none was asked for */
    int points;
} solution_parts;

/* Copies; NULL when out of memory. */
deer_solution *solution_new(const solution_parts *parts);

#endif
