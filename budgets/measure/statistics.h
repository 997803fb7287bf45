/* SPDX-License-Identifier: MIT */
/* statistics.h - summaries of measured numbers, and what the system says of memory. */
#ifndef RUN_STATISTICS_H
#define RUN_STATISTICS_H

#include <stddef.h>

/* Sorts n numbers in ascending order. */
void sort_numbers(double *x, size_t n);

/* The p-quantile (0..1) of sorted numbers, between neighbours by straight line; NaN when n is 0. */
double quantile(const double *sorted, size_t n, double p);

/* The last line "name:  123 kB" of a file of /proc, in bytes; NaN where there is none. */
double proc_bytes(const char *path, const char *name);

/* Bytes of this process that are in memory now (its resident set), 0 where /proc does not tell. */
size_t resident_bytes(void);

#endif
