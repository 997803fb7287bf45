/* statistics.c - summaries of measured numbers. */
#include "runtime/run/statistics.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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

size_t resident_bytes(void)
{
    FILE *f = fopen("/proc/self/statm", "r");
    long pages = 0;

    if (!f)
        return 0;
    if (fscanf(f, "%*s %ld", &pages) != 1)
        pages = 0;
    fclose(f);
    return (size_t)pages * (size_t)sysconf(_SC_PAGESIZE);
}
