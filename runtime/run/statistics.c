/* statistics.c - summaries of measured numbers. */
#include "runtime/run/statistics.h"

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

/* The number of kilobytes behind `name` in a file of such lines; 0 when there is none. */
static size_t kilobytes_of(const char *path, const char *name)
{
    FILE *f = fopen(path, "r");
    char line[256];
    size_t kilobytes = 0, length = strlen(name);

    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, length))
            kilobytes = strtoul(line + length, NULL, 10);
    if (f)
        fclose(f);
    return kilobytes;
}

/* VmRSS is the sum of counters that each core brings up to date when it has some 100 pages to add;
 * smaps_rollup counts. */
size_t resident_bytes(void)
{
    size_t kilobytes = kilobytes_of("/proc/self/smaps_rollup", "Rss:");

    return 1024 * (kilobytes ? kilobytes : kilobytes_of("/proc/self/status", "VmRSS:"));
}
