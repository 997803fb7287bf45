/* SPDX-License-Identifier: MIT */
/* table_file.c - calibration problems as plain HDF5 datasets. */
#include "calib/problem/table_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/demos/hdf5_io.h"
#include "runtime/base/file.h"

void table_file_free(table_file *t)
{
    steps_free(&t->s);
    free(t->task_name);
    free(t->task);
}

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

/* Reads [N, K] and turns it into columns [K, N]. */
static deer_status read_columns(hid_t file, const char *path, const char *name, const steps *s,
                                float *columns, deer_error *err)
{
    int64_t n = s->n, k = s->exits;
    float *rows = malloc((size_t)(n * k) * sizeof *rows);
    deer_status status;

    if (!rows)
        return deer_fail(err, "out of memory reading %s", path);
    status = hdf5_read(file, path, name, H5T_NATIVE_FLOAT, rows, err);
    for (int64_t i = 0; i < n && !status; i++)
        for (int64_t j = 0; j < k; j++)
            columns[j * n + i] = rows[i * k + j];
    free(rows);
    return status;
}

static int by_label(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

/* Numbers episodes in the order they come; a label that returns after another is refused. */
static deer_status number_episodes(const char *path, const int64_t *label, steps *s,
                                   deer_error *err)
{
    int64_t *first = malloc((size_t)s->n * sizeof *first), runs = 0;
    deer_status status = DEER_OK;

    if (!first)
        return deer_fail(err, "out of memory reading %s", path);
    for (int64_t i = 0; i < s->n; i++) {
        if (!i || label[i] != label[i - 1])
            first[runs++] = label[i];
        s->episode[i] = (int32_t)(runs - 1);
    }
    s->episodes = (int)runs;
    qsort(first, (size_t)runs, sizeof *first, by_label);
    for (int64_t r = 1; r < runs && !status; r++)
        if (first[r] == first[r - 1])
            status =
                deer_fail(err, "%s: the steps of episode %lld do not lie together; sort the rows",
                          path, (long long)first[r]);
    free(first);
    return status;
}

static deer_status read_episodes(hid_t file, const char *path, steps *s, deer_error *err)
{
    int64_t *label = malloc((size_t)s->n * sizeof *label);
    deer_status status;

    if (!label)
        return deer_fail(err, "out of memory reading %s", path);
    status = hdf5_read(file, path, "episode", H5T_NATIVE_INT64, label, err);
    if (!status)
        status = number_episodes(path, label, s, err);
    free(label);
    return status;
}

static deer_status read_memory(hid_t file, const char *path, table_file *t, deer_error *err)
{
    hdf5_shape shape;

    t->has_memory = H5Lexists(file, "memory", H5P_DEFAULT) > 0;
    if (!t->has_memory)
        return DEER_OK;
    if (expect(file, path, "memory", 1, (hsize_t)t->s.exits, 0, &shape, err))
        return DEER_FAILED;
    return hdf5_read(file, path, "memory", H5T_NATIVE_DOUBLE, t->memory, err);
}

/* One name an episode, of its first step; the others must agree. */
static deer_status name_tasks(const char *path, const int64_t *label, table_file *t,
                              deer_error *err)
{
    size_t episodes = (size_t)t->s.episodes;

    t->task_name = calloc(episodes, sizeof *t->task_name);
    t->task = calloc(episodes, sizeof *t->task);
    if (!t->task_name || !t->task)
        return deer_fail(err, "out of memory reading %s", path);
    for (int64_t i = 0; i < t->s.n; i++) {
        int32_t e = t->s.episode[i];

        if (i && e == t->s.episode[i - 1] && label[i] != label[i - 1])
            return deer_fail(err,
                             "%s: step %lld has another task than the one before it, of the "
                             "same episode",
                             path, (long long)i);
        snprintf(t->task_name[e], sizeof t->task_name[e], "%lld", (long long)label[i]);
        t->task[e] = t->task_name[e];
    }
    return DEER_OK;
}

static deer_status read_tasks(hid_t file, const char *path, table_file *t, deer_error *err)
{
    int64_t *label;
    hdf5_shape shape;
    deer_status status;

    if (H5Lexists(file, "task", H5P_DEFAULT) <= 0)
        return DEER_OK;
    if (expect(file, path, "task", 1, (hsize_t)t->s.n, 0, &shape, err))
        return DEER_FAILED;
    if (shape.type != H5T_INTEGER)
        return deer_fail(err, "%s: the tasks must be integers", path);
    label = malloc((size_t)t->s.n * sizeof *label);
    if (!label)
        return deer_fail(err, "out of memory reading %s", path);
    status = hdf5_read(file, path, "task", H5T_NATIVE_INT64, label, err);
    if (!status)
        status = name_tasks(path, label, t, err);
    free(label);
    return status;
}

static deer_status read_open(hid_t file, const char *path, table_file *t, deer_error *err)
{
    hsize_t n, k;
    deer_error why;

    if (check_shapes(file, path, &n, &k, err) || steps_alloc((int64_t)n, (int)k, 1, &t->s, err) ||
        read_columns(file, path, "delta", &t->s, t->s.delta, err) ||
        read_columns(file, path, "loss", &t->s, t->s.loss, err) ||
        hdf5_read(file, path, "cost", H5T_NATIVE_DOUBLE, t->s.cost, err) ||
        read_episodes(file, path, &t->s, err) || read_memory(file, path, t, err) ||
        read_tasks(file, path, t, err))
        return DEER_FAILED;
    return steps_check(&t->s, &why) ? deer_fail(err, "%s: %s", path, why.message) : DEER_OK;
}

deer_status table_file_read(const char *path, table_file *t, deer_error *err)
{
    hid_t file;
    deer_status status;

    *t = (table_file){.has_memory = false};
    file = hdf5_open(path, err);
    if (file < 0)
        return DEER_FAILED;
    status = read_open(file, path, t, err);
    H5Fclose(file);
    if (status)
        table_file_free(t);
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
