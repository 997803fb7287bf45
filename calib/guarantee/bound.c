/* SPDX-License-Identifier: MIT */
/* bound.c - which test, and what it needs. */
#include "calib/guarantee/bound.h"

#include <math.h>
#include <stdlib.h>

#include "calib/guarantee/betting.h"
#include "calib/guarantee/student.h"

const char *bound_name(bound_kind kind)
{
    static const char *const names[] = {"betting", "t", "crc"};

    return (size_t)kind < sizeof names / sizeof *names ? names[kind] : NULL;
}

/* A sum may be this much above the highest value, as a share of its distance from the limit. */
static const double rounding = 1e-9;

static double mean_of(const double *z, int n)
{
    double sum = 0;

    for (int i = 0; i < n; i++)
        sum += z[i];
    return sum / n;
}

static double largest(const double *z, int n)
{
    double most = -INFINITY;

    for (int i = 0; i < n; i++)
        most = fmax(most, z[i]);
    return most;
}

static deer_status bet(const double *z, int n, const bound_case *c, double *p, deer_error *err)
{
    double wealth, *gain = malloc((size_t)n * sizeof *gain);
    deer_status status;

    if (!gain)
        return deer_fail(err, "out of memory for %d episodes", n);
    for (int i = 0; i < n; i++)
        gain[i] = c->limit - z[i];
    status =
        betting_wealth(gain, n, c->high - c->limit, c->spread, c->delta, c->seed, &wealth, err);
    *p = status ? 1 : fmin(1, 1 / wealth);
    free(gain);
    return status;
}

deer_status bound_p_value(bound_kind kind, const double *z, int n, const bound_case *c, double *p,
                          deer_error *err)
{
    *p = 1;
    if (n < 1 || mean_of(z, n) > c->limit)
        return DEER_OK;
    if (kind == BOUND_T) {
        *p = student_p_value(z, n, c->limit);
        return DEER_OK;
    }
    if (c->high <= c->limit)
        *p = 0;
    if (largest(z, n) > c->high + rounding * fabs(c->high - c->limit))
        *p = 1;
    else if (c->high > c->limit)
        return bet(z, n, c, p, err);
    return DEER_OK;
}

bool bound_crc_holds(const double *z, int n, double limit, double high)
{
    return (mean_of(z, n) * n + fmax(high, limit)) / (n + 1) <= limit;
}

double bound_draws_needed(bound_kind kind, double gap, const bound_case *c)
{
    double above = fmax(c->high - c->limit, 0), reach = betting_reach(c->delta);

    if (!(gap > 0))
        return INFINITY;
    if (kind == BOUND_CRC)
        return above / gap;
    if (kind == BOUND_T)
        above = 0;
    return reach * reach * c->spread * c->spread / (gap * gap) +
           log(1 / c->delta) / log1p(gap / fmax(above, 1e-9 * gap));
}
