/* SPDX-License-Identifier: MIT */
/* limits.h - what budgets allow: the deepest exit, and the average cost of a step. */
#ifndef CALIB_LIMITS_H
#define CALIB_LIMITS_H

#include "calib/problem/steps.h"

/* As asked: NaN (average, fraction) and infinity (peak, memory) where none is. */
typedef struct {
    double average;  /* of the cost of a step */
    double fraction; /* the same as a share of the deepest exit's */
    double peak;     /* of the cost of a step */
    double memory;   /* bytes */
} limits;

/* The deepest exit within peak and memory, of peak and memory [exits]; DEER_INFEASIBLE names what
 * the first exit needs. unit: behind a cost in messages, " GFLOPs (llm)" say. */
deer_status limits_deepest(const limits *asked, const char *unit, const double *peak,
                           const double *memory, int exits, int *deepest, deer_error *err);

/* The average budget (infinity: none); DEER_INFEASIBLE names what the first exit costs. whole has
 * every exit: a fraction is of its deepest. */
deer_status limits_average(const limits *asked, const char *unit, const steps *whole,
                           double *budget, deer_error *err);

/* Whether an average is asked for. */
bool limits_have_average(const limits *asked);

#endif
