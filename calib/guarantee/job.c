/* SPDX-License-Identifier: MIT */
/* job.c - what is known of the episodes before candidates are looked at. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/guarantee/trials.h"

void job_free(job *j)
{
    for (int i = 0; i < j->n; i++) {
        free(j->trials[i].cost);
        free(j->trials[i].loss);
    }
    free(j->trials);
    free(j->promises);
    free(j->for_testing);
    free(j->steps_of);
    free(j->kind);
    free(j->weight);
    free(j->z);
    free(j->sums);
}

static deer_status allocate(job *j, deer_error *err)
{
    size_t n = (size_t)j->episodes;

    j->for_testing = calloc(n, sizeof *j->for_testing);
    j->steps_of = calloc(n, sizeof *j->steps_of);
    j->kind = calloc(n, sizeof *j->kind);
    j->weight = calloc(n, sizeof *j->weight);
    j->z = calloc(n, sizeof *j->z);
    j->sums = calloc(n, sizeof *j->sums);
    if (j->for_testing && j->steps_of && j->kind && j->weight && j->z && j->sums)
        return DEER_OK;
    return deer_fail(err, "out of memory for %d episodes", j->episodes);
}

/* ---------------------------------------------------------------- lengths ------------------ */

/* The longest episode possible: as said; what all have; else a quarter more than was seen. */
static deer_status find_longest(job *j, deer_error *err)
{
    int longest = 0, shortest = INT32_MAX;

    for (int e = 0; e < j->episodes; e++) {
        j->steps_of[e] = j->sums[e].steps;
        longest = j->steps_of[e] > longest ? j->steps_of[e] : longest;
        shortest = j->steps_of[e] < shortest ? j->steps_of[e] : shortest;
    }
    if (j->spec->longest && j->spec->longest < longest)
        return deer_fail_with(DEER_USAGE, err,
                              "an episode has %d steps, more than the longest possible (%d); raise "
                              "--longest-episode",
                              longest, j->spec->longest);
    j->longest_assumed = !j->spec->longest;
    j->longest = j->spec->longest      ? j->spec->longest
                 : shortest == longest ? longest
                                       : longest + (longest + 3) / 4;
    return DEER_OK;
}

/* ---------------------------------------------------------------- kinds -------------------- */

/* Numbers the kinds in the order of their first episodes. */
static void number_kinds(job *j)
{
    const int *stratum = j->spec->stratum;

    for (int e = 0; e < j->episodes; e++) {
        int first = 0;

        while (stratum && stratum[first] != stratum[e])
            first++;
        j->kind[e] = !stratum ? 0 : first < e ? j->kind[first] : j->kinds++;
    }
    j->kinds = j->kinds ? j->kinds : 1;
}

/* Episodes of a kind, or of all kinds of the mix, in a part. */
static int count(const job *j, int kind, bool solving_part)
{
    int n = 0;

    for (int e = 0; e < j->episodes; e++)
        n += j->for_solving[e] == solving_part && (kind < 0 || j->kind[e] == kind) &&
             (!j->spec->mix || j->spec->mix[e] > 0);
    return n;
}

static const char *name_of(const job *j, int kind)
{
    for (int e = 0; e < j->episodes && j->spec->kind_name; e++)
        if (j->kind[e] == kind)
            return j->spec->kind_name[e];
    return "one";
}

static double share_of(const job *j, int kind)
{
    int e = 0;

    while (j->kind[e] != kind)
        e++;
    return j->spec->mix[e];
}

/* In each part a kind's episodes together weigh what the mix gives the kind: for the numbers of
 * episodes that each kind has, the mean of weight * Z is then the mix's mean of Z exactly. */
static deer_status weigh_kind(job *j, int kind, bool solving_part, deer_error *err)
{
    int of_kind = count(j, kind, solving_part), all = count(j, -1, solving_part);
    double share = share_of(j, kind);

    if (share > 0 && !of_kind)
        return deer_fail_with(DEER_USAGE, err,
                              "the mix has task %s, of which there are too few episodes to solve "
                              "on some and test on others",
                              name_of(j, kind));
    for (int e = 0; e < j->episodes; e++)
        if (j->kind[e] == kind && j->for_solving[e] == solving_part)
            j->weight[e] = share > 0 ? share * all / of_kind : 0;
    return DEER_OK;
}

static deer_status weigh(job *j, deer_error *err)
{
    for (int e = 0; e < j->episodes; e++)
        j->weight[e] = 1;
    for (int kind = 0; kind < j->kinds && j->spec->mix; kind++)
        if (weigh_kind(j, kind, true, err) || weigh_kind(j, kind, false, err))
            return DEER_USAGE;
    for (int e = 0; e < j->episodes; e++)
        if (!j->for_solving[e])
            j->heaviest = fmax(j->heaviest, j->weight[e]);
    return DEER_OK;
}

deer_status job_make(job *j, const float *tau, deer_error *err)
{
    deer_status status = allocate(j, err);

    if (!status)
        status = j->judge(j->context, tau, NULL, j->sums, err);
    if (!status)
        status = find_longest(j, err);
    if (status)
        return status;
    for (int e = 0; e < j->episodes; e++)
        j->tested += j->for_testing[e] = !j->for_solving[e];
    number_kinds(j);
    return weigh(j, err);
}

double job_mean(const job *j, const double *sums)
{
    double sum = 0, n = 0;

    for (int e = 0; e < j->episodes; e++)
        if (j->for_solving[e]) {
            sum += sums[e];
            n += j->steps_of[e];
        }
    return sum / n;
}

/* ---------------------------------------------------------------- promises ----------------- */

deer_status job_promise(job *j, deer_error *err)
{
    const guarantee_spec *spec = j->spec;
    int kinds = spec->per_kind ? j->kinds : 1;

    j->promises = calloc((size_t)kinds * 2, sizeof *j->promises);
    if (!j->promises)
        return deer_fail(err, "out of memory for promises of %d tasks", kinds);
    for (int k = 0; k < kinds; k++) {
        int kind = spec->per_kind ? k : -1;

        if (isfinite(spec->budget))
            j->promises[j->n_promises++] = (promise){spec->budget, false, kind, 0};
        if (isfinite(spec->deviation))
            j->promises[j->n_promises++] = (promise){spec->deviation, true, kind, 0};
    }
    return DEER_OK;
}
