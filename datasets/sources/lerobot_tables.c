/* SPDX-License-Identifier: MIT */
/* lerobot_tables.c - version 3: the tables in meta/episodes that say where each episode lies. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/parquet/parquet.h"
#include "datasets/sources/lerobot.h"
#include "runtime/base/machine_failure.h"

enum { MOST_FILES = 100000, MOST_EPISODES = 1000000, MOST_STEPS = 1000000 };

enum {
    INDEX,
    LENGTH,
    DATA_CHUNK,
    DATA_FILE,
    VIDEO,
    VIDEO_COLUMNS = 3,
    NUMBERS = VIDEO + VIDEO_COLUMNS * LEROBOT_CAMERAS
};

typedef struct {
    parquet_column number[NUMBERS], tasks;
} columns;

static void column_name(const lerobot *d, int c, char name[200])
{
    static const char *const plain[] = {"episode_index", "length", "data/chunk_index",
                                        "data/file_index"};
    static const char *const of_video[] = {"chunk_index", "file_index", "from_timestamp"};

    if (c < VIDEO)
        strcpy(name, plain[c]);
    else
        snprintf(name, 200, "videos/%s/%s", d->camera[(c - VIDEO) / VIDEO_COLUMNS].key,
                 of_video[(c - VIDEO) % VIDEO_COLUMNS]);
}

static deer_status read_columns(const lerobot *d, const char *path, const parquet *p, columns *t,
                                deer_error *err)
{
    char name[200];

    for (int c = 0; c < NUMBERS; c++) {
        if (c >= VIDEO && !d->camera[(c - VIDEO) / VIDEO_COLUMNS].video)
            continue;
        column_name(d, c, name);
        if (parquet_read(p, name, &t->number[c], err))
            return DEER_FAILED;
        if (!t->number[c].number || t->number[c].count != t->number[c].rows)
            return deer_fail(err, "%s: column %s is no column of numbers", path, name);
    }
    return parquet_read(p, "tasks", &t->tasks, err) ||
                   (!t->tasks.bytes && deer_fail(err, "%s: column tasks holds no texts", path))
               ? DEER_FAILED
               : DEER_OK;
}

/* A whole number of a row within 0 and most; -1. */
static int64_t whole(const columns *t, int c, int64_t row, double most)
{
    double value = t->number[c].number ? t->number[c].number[row] : 0;

    return value >= 0 && value <= most ? (int64_t)value : -1;
}

static char *first_task(const columns *t, int64_t row, int *count)
{
    int64_t i = t->tasks.first[row];

    *count = (int)(t->tasks.first[row + 1] - i);
    return *count > 0 && t->tasks.bytes[i].at
               ? strndup((const char *)t->tasks.bytes[i].at, t->tasks.bytes[i].size)
               : strdup("");
}

static deer_status add_row(lerobot *d, const char *path, const columns *t, int64_t row,
                           deer_error *err)
{
    lerobot_episode *e,
        *grown = realloc(d->episode, (size_t)(d->episodes + 1) * sizeof *d->episode);

    if (!grown)
        return machine_fail(err, "out of memory opening %s", d->folder);
    d->episode = grown;
    e = &grown[d->episodes];
    *e = (lerobot_episode){.index = whole(t, INDEX, row, MOST_EPISODES),
                           .steps = whole(t, LENGTH, row, MOST_STEPS)};
    e->data.chunk = whole(t, DATA_CHUNK, row, MOST_FILES);
    e->data.file = whole(t, DATA_FILE, row, MOST_FILES);
    for (int v = 0; v < LEROBOT_CAMERAS; v++) {
        int c = VIDEO + VIDEO_COLUMNS * v;

        e->video[v].chunk = whole(t, c, row, MOST_FILES);
        e->video[v].file = whole(t, c + 1, row, MOST_FILES);
        e->video[v].from = t->number[c + 2].number ? t->number[c + 2].number[row] : 0;
        if (e->video[v].chunk < 0 || e->video[v].file < 0 || !(e->video[v].from >= 0))
            e->steps = -1;
    }
    if (e->index < 0 || e->steps < 1 || e->data.chunk < 0 || e->data.file < 0)
        return deer_fail(err, "%s: row %lld describes no episode", path, (long long)row);
    e->task = first_task(t, row, &e->tasks);
    d->episodes++;
    return e->task ? DEER_OK : machine_fail(err, "out of memory opening %s", d->folder);
}

static deer_status read_table(lerobot *d, const char *path, deer_error *err)
{
    columns t = {.tasks = {.rows = 0}};
    parquet *p;
    deer_status status = parquet_open(path, &p, err);

    if (status)
        return status;
    status = read_columns(d, path, p, &t, err);
    for (int64_t row = 0; row < parquet_rows(p) && !status; row++)
        status = d->episodes < MOST_EPISODES
                     ? add_row(d, path, &t, row, err)
                     : deer_fail(err, "%s has more than %d episodes", d->folder, MOST_EPISODES);
    for (int c = 0; c < NUMBERS; c++)
        parquet_column_free(&t.number[c]);
    parquet_column_free(&t.tasks);
    parquet_close(p);
    return status;
}

deer_status lerobot_read_tables(lerobot *d, deer_error *err)
{
    deer_status status = DEER_OK;

    for (int chunk = 0, file = 0; chunk < MOST_FILES && !status;) {
        char path[LEROBOT_PATH];

        snprintf(path, sizeof path, "%s/meta/episodes/chunk-%03d/file-%03d.parquet", d->folder,
                 chunk, file);
        if (access(path, F_OK)) {
            if (!file)
                break;
            chunk++;
            file = 0;
            continue;
        }
        status = read_table(d, path, err);
        file++;
    }
    return status;
}
