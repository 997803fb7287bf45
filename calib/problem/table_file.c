/* SPDX-License-Identifier: MIT */
/* table_file.c - calibration problems as plain HDF5 datasets. */
#include "calib/problem/table_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "calib/cluster/cluster.h"
#include "datasets/hdf5/hdf5_io.h"
#include "runtime/base/file.h"

/* ---------------------------------------------------------------- reading ------------------ */

static deer_status expect(hid_t file, const char *path, const char *name, int rank, hsize_t rows,
                          hsize_t columns, hdf5_shape *shape, deer_error *err)
{
    if (hdf5_shape_of(file, path, name, shape, err))
        return DEER_FAILED;
    if (shape->type != H5T_FLOAT && shape->type != H5T_INTEGER)
        return deer_fail(err, "%s: dataset %s holds no numbers", path, name);
    if (shape->rank != rank || (rows && shape->size[0] != rows) ||
        (rank == 2 && columns && shape->size[1] != columns))
        return deer_fail(err,
                         "%s: dataset %s does not have the shape of the others; delta and loss are "
                         "[N, K], cost is [K], episode is [N]",
                         path, name);
    return DEER_OK;
}

/* Sizes of the problem, from delta; the other datasets must agree. */
static deer_status check_shapes(hid_t file, const char *path, hsize_t *n, hsize_t *k,
                                deer_error *err)
{
    hdf5_shape shape;

    if (expect(file, path, "delta", 2, 0, 0, &shape, err))
        return DEER_FAILED;
    *n = shape.size[0];
    *k = shape.size[1];
    if (*n < 1 || *n >= (hsize_t)STEPS_MAX || *k < 1 || *k > DEER_MAX_EXITS)
        return deer_fail(
            err, "%s: delta is [%llu, %llu]; 1 to 2^31 steps and 1 to %d exits are possible", path,
            (unsigned long long)*n, (unsigned long long)*k, DEER_MAX_EXITS);
    if (expect(file, path, "loss", 2, *n, *k, &shape, err) ||
        expect(file, path, "cost", 1, *k, 0, &shape, err) ||
        expect(file, path, "episode", 1, *n, 0, &shape, err))
        return DEER_FAILED;
    if (shape.type != H5T_INTEGER)
        return deer_fail(err, "%s: the episodes must be integers", path);
    return DEER_OK;
}

/* What is in a file, as it lies there; of many ranks each has the rows of some episodes. */
typedef struct {
    float *delta, *loss;
    int64_t *episode, *task;
    double cost[DEER_MAX_EXITS], memory[DEER_MAX_EXITS];
    hsize_t first;  /* row */
    step_rows rows; /* of these */
} contents;

/* The rows of a dataset, `columns` numbers each, that the caller frees; NULL after a failure. */
static void *read_numbers(hid_t file, const char *path, const contents *c, const char *name,
                          hid_t type, size_t columns, size_t size, deer_error *err)
{
    hsize_t n = (hsize_t)c->rows.steps;
    void *numbers = malloc(n * columns * size + 1);
    deer_status status;

    if (!numbers) {
        deer_fail(err, "out of memory reading %s", path);
        return NULL;
    }
    status = c->rows.spread
                 ? hdf5_read_rows(file, path, name, type, c->first, n, columns, numbers, err)
                 : hdf5_read(file, path, name, type, numbers, err);
    if (!status)
        return numbers;
    free(numbers);
    return NULL;
}

enum { LOOK_AHEAD = 4096 };

/* The first row at `at` or behind it that another episode begins with. */
static deer_status next_episode(hid_t file, const char *path, hsize_t n, hsize_t *at,
                                deer_error *err)
{
    int64_t label[LOOK_AHEAD];

    while (*at > 0 && *at < n) {
        hsize_t from = *at - 1, m = n - from < LOOK_AHEAD ? n - from : LOOK_AHEAD, i = 1;

        if (hdf5_read_rows(file, path, "episode", H5T_NATIVE_INT64, from, m, 1, label, err))
            return DEER_FAILED;
        while (i < m && label[i] == label[i - 1])
            i++;
        *at = from + i;
        if (i < m)
            break;
    }
    return DEER_OK;
}

/* Every rank takes about as many rows, of whole episodes. */
static deer_status take_share(hid_t file, const char *path, hsize_t n, contents *c, deer_error *err)
{
    hsize_t ranks = (hsize_t)cluster_size(), rank = (hsize_t)cluster_rank();
    hsize_t from = n * rank / ranks, to = n * (rank + 1) / ranks;

    c->rows.spread = ranks > 1;
    if (c->rows.spread &&
        (next_episode(file, path, n, &from, err) || next_episode(file, path, n, &to, err)))
        return DEER_FAILED;
    c->first = from;
    c->rows.steps = (int64_t)(to - from);
    return DEER_OK;
}

static deer_status read_memory(hid_t file, const char *path, contents *c, deer_error *err)
{
    hdf5_shape shape;

    if (H5Lexists(file, "memory", H5P_DEFAULT) <= 0)
        return DEER_OK;
    if (expect(file, path, "memory", 1, (hsize_t)c->rows.exits, 0, &shape, err))
        return DEER_FAILED;
    c->rows.memory = c->memory;
    return hdf5_read(file, path, "memory", H5T_NATIVE_DOUBLE, c->memory, err);
}

static deer_status read_tasks(hid_t file, const char *path, hsize_t n, contents *c, deer_error *err)
{
    hdf5_shape shape;

    if (H5Lexists(file, "task", H5P_DEFAULT) <= 0)
        return DEER_OK;
    if (expect(file, path, "task", 1, n, 0, &shape, err))
        return DEER_FAILED;
    if (shape.type != H5T_INTEGER)
        return deer_fail(err, "%s: the tasks must be integers", path);
    c->task = read_numbers(file, path, c, "task", H5T_NATIVE_INT64, 1, sizeof *c->task, err);
    c->rows.task = c->task;
    return c->task ? DEER_OK : DEER_FAILED;
}

static deer_status read_contents(hid_t file, const char *path, contents *c, deer_error *err)
{
    hsize_t n, k;

    if (check_shapes(file, path, &n, &k, err))
        return DEER_FAILED;
    c->rows = (step_rows){.name = path, .exits = (int)k, .cost = c->cost};
    if (take_share(file, path, n, c, err))
        return DEER_FAILED;
    c->delta = read_numbers(file, path, c, "delta", H5T_NATIVE_FLOAT, k, sizeof *c->delta, err);
    if (!c->delta)
        return DEER_FAILED;
    c->loss = read_numbers(file, path, c, "loss", H5T_NATIVE_FLOAT, k, sizeof *c->loss, err);
    if (!c->loss || hdf5_read(file, path, "cost", H5T_NATIVE_DOUBLE, c->cost, err))
        return DEER_FAILED;
    c->episode =
        read_numbers(file, path, c, "episode", H5T_NATIVE_INT64, 1, sizeof *c->episode, err);
    if (!c->episode || read_memory(file, path, c, err) || read_tasks(file, path, n, c, err))
        return DEER_FAILED;
    c->rows.delta = c->delta;
    c->rows.loss = c->loss;
    c->rows.episode = c->episode;
    return DEER_OK;
}

deer_status table_file_read(const char *path, step_table *t, deer_error *err)
{
    contents c = {.delta = NULL};
    hid_t file;
    deer_status status;

    *t = (step_table){.has_memory = false};
    file = hdf5_open(path, err);
    if (file < 0)
        return DEER_FAILED;
    status = read_contents(file, path, &c, err);
    H5Fclose(file);
    if (!status && step_table_make(&c.rows, t, err)) /* no caller's mistake: a file's */
        status = DEER_FAILED;
    free(c.delta);
    free(c.loss);
    free(c.episode);
    free(c.task);
    return status;
}

/* ---------------------------------------------------------------- writing ------------------ */

static deer_status write_columns(hid_t file, const char *path, const char *name, const steps *s,
                                 const float *columns, deer_error *err)
{
    const hsize_t size[2] = {(hsize_t)s->n, (hsize_t)s->exits};
    float *rows = malloc((size_t)(s->n * s->exits) * sizeof *rows);
    deer_status status;

    if (!rows)
        return deer_fail(err, "out of memory writing %s", path);
    for (int64_t i = 0; i < s->n; i++)
        for (int j = 0; j < s->exits; j++)
            rows[i * s->exits + j] = columns[j * s->n + i];
    status =
        hdf5_write(file, path, name, 2, size, H5T_NATIVE_FLOAT, H5T_IEEE_F32LE, NULL, rows, err);
    free(rows);
    return status;
}

static deer_status write_all(hid_t file, const char *path, const steps *s, const double *memory,
                             deer_error *err)
{
    const hsize_t n = (hsize_t)s->n, k = (hsize_t)s->exits;

    if (s->groups != 1)
        return deer_fail(err, "%s: steps of different costs have no table", path);
    if (write_columns(file, path, "delta", s, s->delta, err) ||
        write_columns(file, path, "loss", s, s->loss, err) ||
        hdf5_write(file, path, "cost", 1, &k, H5T_NATIVE_DOUBLE, H5T_IEEE_F64LE, NULL, s->cost,
                   err) ||
        hdf5_write(file, path, "episode", 1, &n, H5T_NATIVE_INT32, H5T_STD_I32LE, NULL, s->episode,
                   err) ||
        (memory && hdf5_write(file, path, "memory", 1, &k, H5T_NATIVE_DOUBLE, H5T_IEEE_F64LE, NULL,
                              memory, err)))
        return DEER_FAILED;
    return DEER_OK;
}

deer_status table_file_write(const char *path, const steps *s, const double *memory,
                             deer_error *err)
{
    char *tmp = file_temporary(path, err);
    hid_t file;
    deer_status status;

    if (!tmp)
        return DEER_FAILED;
    hdf5_quiet();
    file = H5Fcreate(tmp, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    status =
        file < 0 ? deer_fail(err, "cannot create %s", path) : write_all(file, path, s, memory, err);
    if (file >= 0 && H5Fclose(file) < 0 && !status)
        status = deer_fail(err, "cannot finish %s; is the disk full?", path);
    if (status)
        unlink(tmp);
    else
        status = file_publish(tmp, path, err);
    free(tmp);
    return status;
}
