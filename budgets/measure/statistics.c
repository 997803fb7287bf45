/* SPDX-License-Identifier: MIT */
/* statistics.c - summaries of measured numbers. */
#include "budgets/measure/statistics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

void sort_numbers(double *x, size_t n)
{
    if (n)
        qsort(x, n, sizeof *x, by_size);
}

double quantile(const double *sorted, size_t n, double p)
{
    double at = p * ((double)n - 1);
    size_t low;

    if (n == 0)
        return NAN;
    low = (size_t)at;
    return low + 1 < n ? sorted[low] + (at - (double)low) * (sorted[low + 1] - sorted[low])
                       : sorted[n - 1];
}

double proc_bytes(const char *path, const char *name)
{
    FILE *f = fopen(path, "re");
    char line[256];
    double bytes = NAN;
    size_t n = strlen(name);
    long kilobytes;

    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, n) && sscanf(line + n, ": %ld", &kilobytes) == 1)
            bytes = 1024 * (double)kilobytes;
    if (f)
        fclose(f);
    return bytes;
}

/* VmRSS is the sum of counters that each core brings up to date when it has some 100 pages to add;
 * smaps_rollup counts. */
size_t resident_bytes(void)
{
    double bytes = proc_bytes("/proc/self/smaps_rollup", "Rss");

    if (isnan(bytes))
        bytes = proc_bytes("/proc/self/status", "VmRSS");
    return isnan(bytes) ? 0 : (size_t)bytes;
}
