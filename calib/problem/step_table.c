/* SPDX-License-Identifier: MIT */
/* step_table.c - rows of a table made columns of a problem. */
#include "calib/problem/step_table.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"

void step_table_free(step_table *t)
{
    steps_free(&t->s);
    free(t->task_name);
    free(t->task);
    *t = (step_table){.has_memory = false};
}

static void fill_columns(const step_rows *rows, const float *from, float *columns)
{
    int64_t n = rows->steps, k = rows->exits;

    for (int64_t i = 0; i < n && from; i++)
        for (int64_t j = 0; j < k; j++)
            columns[j * n + i] = from[i * k + j];
}

static int by_label(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Numbers episodes in the order they come, from `before` on; the label of each goes to `first`. */
static void number_runs(const int64_t *label, int64_t before, steps *s, int64_t *first)
{
    int64_t runs = 0;

    for (int64_t i = 0; i < s->n; i++) {
        if (!i || label[i] != label[i - 1])
            first[runs++] = label[i];
        s->episode[i] = (int32_t)(before + runs - 1);
    }
}

static int64_t count_runs(const int64_t *label, int64_t n)
{
    int64_t runs = n > 0;

    for (int64_t i = 1; i < n; i++)
        runs += label[i] != label[i - 1];
    return runs;
}

/* A label that returns after another is refused. */
static deer_status number_episodes(const step_rows *rows, steps *s, deer_error *err)
{
    int64_t mine = count_runs(rows->episode, s->n), runs = mine, before = 0, *own, *first;
    deer_status status = DEER_OK;

    if (s->spread) {
        before = cluster_before(mine);
        cluster_count(&runs, 1);
    }
    own = malloc((size_t)mine * sizeof *own + 1);
    first = malloc((size_t)runs * sizeof *first);
    if (own && first) {
        number_runs(rows->episode, before, s, own);
        if (s->spread)
            cluster_gather(own, (size_t)mine * sizeof *own, first);
        else
            memcpy(first, own, (size_t)mine * sizeof *own);
        s->episodes = (int)runs;
        qsort(first, (size_t)runs, sizeof *first, by_label);
    } else {
        status = deer_fail(err, "out of memory for the episodes of %s", rows->name);
    }
    for (int64_t r = 1; r < runs && !status; r++)
        if (first[r] == first[r - 1])
            status = deer_fail_with(
                DEER_USAGE, err, "%s: the steps of episode %lld do not lie together; sort the rows",
                rows->name, (long long)first[r]);
    free(own);
    free(first);
    return status;
}

static deer_status copy_memory(const step_rows *rows, step_table *t, deer_error *err)
{
    t->has_memory = rows->memory != NULL;
    for (int k = 0; k < rows->exits && rows->memory; k++) {
        t->memory[k] = rows->memory[k];
        if (!isfinite(t->memory[k]) || t->memory[k] < 0)
            return deer_fail_with(DEER_USAGE, err,
                                  "%s: the memory of exit %d is %g; it must be 0 or more",
                                  rows->name, k, t->memory[k]);
    }
    return DEER_OK;
}

/* Every rank's names in their places. */
static void share_names(step_table *t)
{
    const steps *s = &t->s;
    int first = s->n ? s->episode[0] : 0, behind = s->n ? s->episode[s->n - 1] + 1 : 0;

    cluster_place(t->task_name, sizeof *t->task_name, first, behind - first);
}

/* One name an episode, of its first step; the others must agree. */
static deer_status name_tasks(const step_rows *rows, step_table *t, deer_error *err)
{
    size_t episodes = (size_t)t->s.episodes;

    if (!rows->task)
        return DEER_OK;
    t->task_name = calloc(episodes, sizeof *t->task_name);
    t->task = calloc(episodes, sizeof *t->task);
    if (!t->task_name || !t->task)
        return deer_fail(err, "out of memory for the tasks of %s", rows->name);
    for (int64_t i = 0; i < t->s.n; i++) {
        int32_t e = t->s.episode[i];

        if (i && e == t->s.episode[i - 1] && rows->task[i] != rows->task[i - 1])
            return deer_fail_with(DEER_USAGE, err,
                                  "%s: step %lld has another task than the one before it, of the "
                                  "same episode",
                                  rows->name, (long long)i);
        snprintf(t->task_name[e], sizeof t->task_name[e], "%lld", (long long)rows->task[i]);
    }
    if (t->s.spread)
        share_names(t);
    for (int e = 0; e < t->s.episodes; e++)
        t->task[e] = t->task_name[e];
    return DEER_OK;
}

static deer_status fill(const step_rows *rows, step_table *t, deer_error *err)
{
    deer_error why;
    deer_status status;

    fill_columns(rows, rows->delta, t->s.delta);
    fill_columns(rows, rows->loss, t->s.loss);
    memcpy(t->s.cost, rows->cost, (size_t)rows->exits * sizeof *rows->cost);
    status = number_episodes(rows, &t->s, err);
    if (!status)
        status = copy_memory(rows, t, err);
    if (!status)
        status = name_tasks(rows, t, err);
    if (!status && steps_check(&t->s, &why))
        status = deer_fail_with(DEER_USAGE, err, "%s: %s", rows->name, why.message);
    return status;
}

deer_status step_table_make(const step_rows *rows, step_table *t, deer_error *err)
{
    deer_status status;

    *t = (step_table){.has_memory = false};
    if ((rows->steps < 1 && !rows->spread) || rows->steps >= STEPS_MAX || rows->exits < 1 ||
        rows->exits > DEER_MAX_EXITS)
        return deer_fail_with(
            DEER_USAGE, err,
            "%s has %lld steps and %d exits; 1 to 2^31 steps and 1 to %d exits are "
            "possible",
            rows->name, (long long)rows->steps, rows->exits, DEER_MAX_EXITS);
    status = rows->spread ? steps_alloc_spread(rows->steps, rows->exits, 1, &t->s, err)
                          : steps_alloc(rows->steps, rows->exits, 1, &t->s, err);
    if (!status)
        status = fill(rows, t, err);
    if (status)
        step_table_free(t);
    return status;
}
