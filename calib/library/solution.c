/* SPDX-License-Identifier: MIT */
/* solution.c - what was found, and questions about it. */
#include "calib/library/solution.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/pipeline/deliver.h"

struct deer_solution {
    bool has_found, has_official;
    deer_operating_point found, full, official;
    deer_guarantee guarantee;
    char solver[64];
    double oracle_loss, gap_closed;
    int32_t points;
    deer_operating_point *point;     /* [points] */
    deer_guarantee *point_guarantee; /* [points] */
};

/* ---------------------------------------------------------------- making ------------------- */

static deer_operating_point public_point(const operating_point *x, bool llm)
{
    deer_operating_point p = {.max_exit = x->max_exit,
                              .budget = x->budget,
                              .cost = operating_point_cost(x, llm),
                              .loss = x->loss,
                              .peak = llm ? x->peak_llm : x->peak_total,
                              .memory = x->memory};

    memcpy(p.name, x->name, sizeof p.name);
    memcpy(p.tau, x->tau, sizeof p.tau);
    memcpy(p.exit_fraction, x->fraction, sizeof p.exit_fraction);
    return p;
}

static void fill_found(deer_solution *s, const outcome *o, bool llm)
{
    s->has_found = true;
    s->has_official = o->has_official;
    s->found = public_point(&o->found, llm);
    s->full = public_point(&o->full, llm);
    if (o->has_official)
        s->official = public_point(&o->official, llm);
    deliver_guarantee(&o->guaranteed, &s->guarantee);
    memcpy(s->solver, o->solver, sizeof s->solver);
    s->oracle_loss = o->oracle_loss;
    s->gap_closed = o->gap_closed;
}

static bool fill_points(deer_solution *s, const solution_parts *parts)
{
    size_t points = (size_t)parts->points;

    s->point = calloc(points + 1, sizeof *s->point);
    s->point_guarantee = calloc(points + 1, sizeof *s->point_guarantee);
    if (!s->point || !s->point_guarantee)
        return false;
    s->points = parts->points;
    for (int i = 0; i < parts->points; i++) {
        s->point[i] = public_point(&parts->point[i], parts->llm);
        deliver_guarantee(parts->guarantee ? &parts->guarantee[i] : &(guarantee){.given = false},
                          &s->point_guarantee[i]);
    }
    return true;
}

deer_solution *solution_new(const solution_parts *parts)
{
    deer_solution *s = calloc(1, sizeof *s);

    if (!s)
        return NULL;
    s->oracle_loss = s->gap_closed = NAN;
    deliver_guarantee(&(guarantee){.given = false}, &s->guarantee);
    if (parts->found)
        fill_found(s, parts->found, parts->llm);
    if (fill_points(s, parts))
        return s;
    deer_solution_free(s);
    return NULL;
}

void deer_solution_free(deer_solution *s)
{
    if (!s)
        return;
    free(s->point);
    free(s->point_guarantee);
    free(s);
}

/* ---------------------------------------------------------------- questions ---------------- */

const deer_operating_point *deer_solution_found(const deer_solution *s)
{
    return s && s->has_found ? &s->found : NULL;
}

const deer_operating_point *deer_solution_full(const deer_solution *s)
{
    return s && s->has_found ? &s->full : NULL;
}

const deer_operating_point *deer_solution_official(const deer_solution *s)
{
    return s && s->has_official ? &s->official : NULL;
}

const deer_guarantee *deer_solution_guarantee(const deer_solution *s)
{
    return s ? &s->guarantee : NULL;
}

const char *deer_solution_solver(const deer_solution *s)
{
    return s ? s->solver : "";
}

double deer_solution_oracle_loss(const deer_solution *s)
{
    return s ? s->oracle_loss : NAN;
}

double deer_solution_gap_closed(const deer_solution *s)
{
    return s ? s->gap_closed : NAN;
}

int32_t deer_solution_points(const deer_solution *s)
{
    return s ? s->points : 0;
}

const deer_operating_point *deer_solution_point(const deer_solution *s, int32_t point)
{
    return s && point >= 0 && point < s->points ? &s->point[point] : NULL;
}

const deer_guarantee *deer_solution_point_guarantee(const deer_solution *s, int32_t point)
{
    return s && point >= 0 && point < s->points ? &s->point_guarantee[point] : NULL;
}

const char *deer_method_name(deer_method method)
{
    const char *name = (int)method < 0 ? NULL : solve_method_name((solve_method)method);

    return name ? name : "unknown";
}

const char *deer_calib_version(void)
{
    return DEER_VERSION;
}
