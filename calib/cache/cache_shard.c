/* SPDX-License-Identifier: MIT */
/* cache_shard.c - one shard: memory, writing whole or not at all, reading with every check. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "calib/cache/cache_internal.h"
#include "runtime/base/file.h"

static pthread_mutex_t hdf5_mutex = PTHREAD_MUTEX_INITIALIZER;

void cache_hdf5_enter(void)
{
    pthread_mutex_lock(&hdf5_mutex);
    hdf5_quiet();
}

void cache_hdf5_leave(void)
{
    pthread_mutex_unlock(&hdf5_mutex);
}

/* ---------------------------------------------------------------- fields ------------------- */

static hid_t half_type(void)
{
    hid_t type = H5Tcopy(H5T_IEEE_F32LE);

    H5Tset_fields(type, 15, 10, 5, 0, 10);
    H5Tset_size(type, 2);
    H5Tset_ebias(type, 15);
    return type;
}

static hid_t text_type(size_t size)
{
    hid_t type = H5Tcopy(H5T_C_S1);

    H5Tset_size(type, size);
    H5Tset_cset(type, H5T_CSET_UTF8);
    return type;
}

void cache_fields_open(const cache_manifest *m, cache_field f[CACHE_FIELDS])
{
    hsize_t k = (hsize_t)m->config.exits, d = (hsize_t)m->config.d_model;
    int pairs = cache_pairs(m);

    f[FIELD_FEATURES] = (cache_field){"features", false, 3, {1 + k, d}, half_type(), 2};
    f[FIELD_AGED] =
        (cache_field){"aged", false, pairs ? 3 : 0, {(hsize_t)pairs * (1 + k), d}, half_type(), 2};
    f[FIELD_CHANGE] =
        (cache_field){"change",         false,        pairs ? 2 : 0, {2 * (hsize_t)cache_oldest(m)},
                      H5T_NATIVE_FLOAT, sizeof(float)};
    f[FIELD_ACTION] =
        (cache_field){"action", false, 3, {1 + k, CACHE_ACTION}, H5T_NATIVE_FLOAT, sizeof(float)};
    f[FIELD_DELTA] = (cache_field){"delta", false, 2, {k}, H5T_NATIVE_FLOAT, sizeof(float)};
    f[FIELD_DEMONSTRATION] =
        (cache_field){"demonstration", false, 2, {CACHE_ACTION}, H5T_NATIVE_FLOAT, sizeof(float)};
    f[FIELD_EPISODE] = (cache_field){"episode", false, 1, {0}, H5T_NATIVE_INT32, sizeof(int32_t)};
    f[FIELD_STEPS] =
        (cache_field){"episode_steps", true, 1, {0}, H5T_NATIVE_INT32, sizeof(int32_t)};
    f[FIELD_TOKENS] =
        (cache_field){"episode_tokens", true, 1, {0}, H5T_NATIVE_INT32, sizeof(int32_t)};
    f[FIELD_NAME] = (cache_field){"episode_name", true, 1, {0}, text_type(64), 64};
    f[FIELD_TASK] = (cache_field){"episode_task", true, 1, {0}, text_type(DEMO_TASK), DEMO_TASK};
    f[FIELD_INSTRUCTION] = (cache_field){
        "episode_instruction", true, 1, {0}, text_type(DEMO_INSTRUCTION), DEMO_INSTRUCTION};
    f[FIELD_IDENTITY] =
        (cache_field){"episode_identity", true, 2, {2}, H5T_NATIVE_UINT64, sizeof(uint64_t)};
}

void cache_fields_close(cache_field f[CACHE_FIELDS])
{
    H5Tclose(f[FIELD_AGED].type);
    H5Tclose(f[FIELD_FEATURES].type);
    H5Tclose(f[FIELD_NAME].type);
    H5Tclose(f[FIELD_TASK].type);
    H5Tclose(f[FIELD_INSTRUCTION].type);
}

size_t cache_field_row(const cache_field *f)
{
    size_t row = f->bytes;

    for (int i = 0; i < f->rank - 1; i++)
        row *= f->inner[i];
    return row;
}

/* ---------------------------------------------------------------- memory ------------------- */

deer_status cache_shard_alloc(const cache_manifest *m, int index, cache_shard *s, deer_error *err)
{
    int exits = m->config.exits;
    size_t rows, n;

    *s = (cache_shard){.exits = exits, .width = m->config.d_model};
    cache_shard_extent(m, index, &s->first_episode, &s->episodes, &s->steps);
    n = (size_t)s->steps;
    rows = n * (size_t)(1 + exits);
    s->features = calloc(rows * (size_t)s->width, sizeof *s->features);
    s->action = calloc(rows * CACHE_ACTION, sizeof *s->action);
    s->delta = calloc(n * (size_t)exits, sizeof *s->delta);
    s->demonstration = calloc(n * CACHE_ACTION, sizeof *s->demonstration);
    s->episode = calloc((size_t)s->episodes, sizeof *s->episode);
    if (cache_pairs(m)) {
        s->aged = calloc(n * (size_t)cache_pairs(m),
                         (size_t)(1 + exits) * (size_t)s->width * sizeof *s->aged);
        s->change = calloc(n * 2, (size_t)cache_oldest(m) * sizeof *s->change);
    }
    if (!s->features || (cache_pairs(m) && (!s->aged || !s->change)) || !s->action || !s->delta ||
        !s->demonstration || !s->episode) {
        cache_shard_free(s);
        return deer_fail(err, "out of memory for a shard of %zu steps", n);
    }
    for (int e = 0, first = 0; e < s->episodes; e++) {
        s->episode[e].steps = m->episode_steps[s->first_episode + e];
        s->episode[e].first = first;
        first += s->episode[e].steps;
    }
    return DEER_OK;
}

void cache_shard_free(cache_shard *s)
{
    free(s->features);
    free(s->aged);
    free(s->change);
    free(s->action);
    free(s->delta);
    free(s->demonstration);
    free(s->episode);
    *s = (cache_shard){0};
}

/* ---------------------------------------------------------------- episode tables ----------- */

/* Small per-episode columns, packed as they are stored. */
typedef struct {
    int32_t *of_step, *steps, *tokens;
    char *name, *task, *instruction;
    demos_identity *identity;
} tables;

static void tables_free(tables *t)
{
    free(t->of_step);
    free(t->steps);
    free(t->tokens);
    free(t->name);
    free(t->task);
    free(t->instruction);
    free(t->identity);
}

static deer_status tables_alloc(const cache_shard *s, tables *t, deer_error *err)
{
    size_t episodes = (size_t)s->episodes;

    *t = (tables){.of_step = calloc((size_t)s->steps, sizeof(int32_t)),
                  .steps = calloc(episodes, sizeof(int32_t)),
                  .tokens = calloc(episodes, sizeof(int32_t)),
                  .name = calloc(episodes, 64),
                  .task = calloc(episodes, DEMO_TASK),
                  .instruction = calloc(episodes, DEMO_INSTRUCTION),
                  .identity = calloc(episodes, sizeof(demos_identity))};
    if (t->of_step && t->steps && t->tokens && t->name && t->task && t->instruction && t->identity)
        return DEER_OK;
    tables_free(t);
    return deer_fail(err, "out of memory for %zu episodes", episodes);
}

static void tables_fill(const cache_shard *s, tables *t)
{
    for (int e = 0; e < s->episodes; e++) {
        const cache_episode *from = &s->episode[e];

        t->steps[e] = from->steps;
        t->tokens[e] = from->tokens;
        memcpy(t->name + 64 * e, from->name, 64);
        memcpy(t->task + DEMO_TASK * e, from->task, DEMO_TASK);
        memcpy(t->instruction + DEMO_INSTRUCTION * e, from->instruction, DEMO_INSTRUCTION);
        t->identity[e] = from->identity;
        for (int i = 0; i < from->steps; i++)
            t->of_step[from->first + i] = s->first_episode + e;
    }
}

static bool tables_take(const tables *t, cache_shard *s)
{
    for (int e = 0; e < s->episodes; e++) {
        cache_episode *to = &s->episode[e];

        if (t->steps[e] != to->steps || t->tokens[e] < 1 || t->tokens[e] > 1 << 20)
            return false;
        to->tokens = t->tokens[e];
        memcpy(to->name, t->name + 64 * e, 63);
        memcpy(to->task, t->task + DEMO_TASK * e, DEMO_TASK - 1);
        memcpy(to->instruction, t->instruction + DEMO_INSTRUCTION * e, DEMO_INSTRUCTION - 1);
        to->identity = t->identity[e];
    }
    return true;
}

/* Where each field lies in memory. */
static void field_data(const cache_shard *s, const tables *t, void *data[CACHE_FIELDS])
{
    data[FIELD_AGED] = s->aged;
    data[FIELD_CHANGE] = s->change;
    data[FIELD_FEATURES] = s->features;
    data[FIELD_ACTION] = s->action;
    data[FIELD_DELTA] = s->delta;
    data[FIELD_DEMONSTRATION] = s->demonstration;
    data[FIELD_EPISODE] = t->of_step;
    data[FIELD_STEPS] = t->steps;
    data[FIELD_TOKENS] = t->tokens;
    data[FIELD_NAME] = t->name;
    data[FIELD_TASK] = t->task;
    data[FIELD_INSTRUCTION] = t->instruction;
    data[FIELD_IDENTITY] = t->identity;
}

/* ---------------------------------------------------------------- writing ------------------ */

static void digest(const void *data, size_t bytes, char text[33])
{
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, bytes));
    for (int i = 0; i < 16; i++)
        snprintf(text + 2 * i, 3, "%02x", canonical.digest[i]);
}

static deer_status write_field(hid_t file, const char *path, const cache_field *f, hsize_t rows,
                               const void *data, deer_error *err)
{
    hsize_t size[3] = {rows, f->inner[0], f->inner[1]};
    size_t row = cache_field_row(f), fit = ((size_t)1 << 20) / row;
    hdf5_storage storage = {{fit < 1 ? 1 : fit < rows ? fit : rows, size[1], size[2]}, 0, true};
    char text[33];
    hid_t dataset;
    deer_status status;

    if (hdf5_write(file, path, f->name, f->rank, size, f->type, f->type, &storage, data, err))
        return DEER_FAILED;
    digest(data, row * rows, text);
    dataset = H5Dopen2(file, f->name, H5P_DEFAULT);
    status = dataset < 0 ? deer_fail(err, "cannot write %s to %s; is the disk full?", f->name, path)
                         : hdf5_text_set(dataset, "xxh128", text, err);
    if (dataset >= 0)
        H5Dclose(dataset);
    return status;
}

static deer_status write_identity(hid_t file, const cache_manifest *m, int index,
                                  const cache_shard *s, deer_error *err)
{
    if (hdf5_integer_set(file, "deer_cache", CACHE_FORMAT, err) ||
        hdf5_text_set(file, "model", m->model, err) ||
        hdf5_integer_set(file, "shard", (uint64_t)index, err) ||
        hdf5_integer_set(file, "first_episode", (uint64_t)s->first_episode, err))
        return DEER_FAILED;
    return DEER_OK;
}

static deer_status write_all(hid_t file, const char *path, const cache_manifest *m, int index,
                             const cache_shard *s, const tables *t, deer_error *err)
{
    cache_field field[CACHE_FIELDS];
    void *data[CACHE_FIELDS];
    deer_status status = write_identity(file, m, index, s, err);

    cache_fields_open(m, field);
    field_data(s, t, data);
    for (int f = 0; f < CACHE_FIELDS && !status; f++)
        if (field[f].rank)
            status =
                write_field(file, path, &field[f],
                            (hsize_t)(field[f].per_episode ? s->episodes : s->steps), data[f], err);
    cache_fields_close(field);
    return status;
}

hid_t cache_create_file(const char *path)
{
    hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    hid_t file = H5I_INVALID_HID;

    if (H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST) >= 0 &&
        H5Pset_obj_track_times(creation, false) >= 0)
        file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    H5Pclose(creation);
    H5Pclose(access);
    return file;
}

static deer_status write_file(const char *tmp, const char *path, const cache_manifest *m, int index,
                              const cache_shard *s, const tables *t, deer_error *err)
{
    hid_t file = cache_create_file(tmp);
    deer_status status;

    if (file < 0)
        return deer_fail(err, "cannot create %s; may you write there, and is there room?", path);
    status = write_all(file, path, m, index, s, t, err);
    if (H5Fclose(file) < 0 && !status)
        status = deer_fail(err, "cannot finish %s; is the disk full?", path);
    return status;
}

deer_status cache_shard_write(const char *dir, const cache_manifest *m, int index,
                              const cache_shard *s, deer_error *err)
{
    char *path = cache_shard_path(dir, index), *tmp = path ? file_temporary(path, err) : NULL;
    tables t;
    deer_status status = DEER_FAILED;

    if (!tmp)
        deer_fail(err, "out of memory writing a shard of %s", dir);
    else if (!tables_alloc(s, &t, err)) {
        tables_fill(s, &t);
        cache_hdf5_enter();
        status = write_file(tmp, path, m, index, s, &t, err);
        cache_hdf5_leave();
        tables_free(&t);
        if (status)
            unlink(tmp);
        else
            status = file_publish(tmp, path, err);
    }
    free(tmp);
    free(path);
    return status;
}

/* ---------------------------------------------------------------- reading ------------------ */

static deer_status check_identity(hid_t file, const char *path, const cache_manifest *m, int index,
                                  deer_error *err)
{
    char model[64] = "";
    uint64_t format = 0, shard = UINT64_MAX;

    hdf5_integer_get(file, "deer_cache", &format);
    hdf5_integer_get(file, "shard", &shard);
    hdf5_text_get(file, "model", model, sizeof model);
    if (format != CACHE_FORMAT || shard != (uint64_t)index)
        return deer_fail(err, "%s is not shard %d of a cache; delete it and replay again", path,
                         index);
    if (strcmp(model, m->model))
        return deer_fail(err, "%s is of another model (%.8s, not %.8s); delete it and replay again",
                         path, model, m->model);
    return DEER_OK;
}

static deer_status check_shape(hid_t file, const char *path, const cache_field *f, hsize_t rows,
                               deer_error *err)
{
    hdf5_shape shape;

    if (hdf5_shape_of(file, path, f->name, &shape, err))
        return DEER_FAILED;
    if (shape.rank != f->rank || shape.size[0] != rows || shape.bytes != f->bytes ||
        (f->rank > 1 && shape.size[1] != f->inner[0]) ||
        (f->rank > 2 && shape.size[2] != f->inner[1]))
        return deer_fail(err,
                         "%s: dataset %s has another shape than the manifest says; delete the "
                         "shard and replay again",
                         path, f->name);
    return DEER_OK;
}

static deer_status check_shapes(hid_t file, const char *path, const cache_manifest *m, int index,
                                deer_error *err)
{
    cache_field field[CACHE_FIELDS];
    int first, episodes;
    int64_t steps;
    deer_status status = check_identity(file, path, m, index, err);

    cache_shard_extent(m, index, &first, &episodes, &steps);
    cache_fields_open(m, field);
    for (int f = 0; f < CACHE_FIELDS && !status; f++)
        if (field[f].rank)
            status = check_shape(file, path, &field[f],
                                 (hsize_t)(field[f].per_episode ? episodes : steps), err);
    cache_fields_close(field);
    return status;
}

/* Opens a shard and checks that it is this one; the caller closes. *file is invalid, without an
 * error, where there is none. */
static deer_status open_shard(const char *path, const cache_manifest *m, int index, hid_t *file,
                              deer_error *err)
{
    *file = H5I_INVALID_HID;
    if (access(path, F_OK))
        return DEER_OK;
    *file = hdf5_open(path, err);
    if (*file < 0)
        return deer_fail(err, "%s cannot be opened; delete it and replay again", path);
    if (!check_shapes(*file, path, m, index, err))
        return DEER_OK;
    H5Fclose(*file);
    *file = H5I_INVALID_HID;
    return DEER_FAILED;
}

deer_status cache_shard_exists(const char *dir, const cache_manifest *m, int index, bool *exists,
                               deer_error *err)
{
    char *path = cache_shard_path(dir, index);
    hid_t file;
    deer_status status;

    if (!path)
        return deer_fail(err, "out of memory opening %s", dir);
    cache_hdf5_enter();
    status = open_shard(path, m, index, &file, err);
    *exists = file >= 0;
    if (*exists)
        H5Fclose(file);
    cache_hdf5_leave();
    free(path);
    return status;
}

static deer_status read_field(hid_t file, const char *path, const cache_field *f, hsize_t rows,
                              void *data, deer_error *err)
{
    char want[64] = "", got[33];
    hid_t dataset;

    if (hdf5_read(file, path, f->name, f->type, data, err))
        return DEER_FAILED;
    dataset = hdf5_dataset_open(file, path, f->name, err);
    if (dataset < 0)
        return DEER_FAILED;
    hdf5_text_get(dataset, "xxh128", want, sizeof want);
    H5Dclose(dataset);
    digest(data, cache_field_row(f) * rows, got);
    if (strcmp(got, want))
        return deer_fail(err, "%s: dataset %s is damaged; delete the shard and replay again", path,
                         f->name);
    return DEER_OK;
}

/* Reads the fields from .. to - 1 of an open shard. */
static deer_status read_fields(hid_t file, const char *path, const cache_manifest *m, int from,
                               int to, const cache_shard *s, void *const data[CACHE_FIELDS],
                               deer_error *err)
{
    cache_field field[CACHE_FIELDS];
    deer_status status = DEER_OK;

    cache_fields_open(m, field);
    for (int f = from; f < to && !status; f++)
        if (field[f].rank)
            status =
                read_field(file, path, &field[f],
                           (hsize_t)(field[f].per_episode ? s->episodes : s->steps), data[f], err);
    cache_fields_close(field);
    return status;
}

static deer_status read_shard(const char *dir, const cache_manifest *m, int index, int from, int to,
                              const cache_shard *s, void *const data[CACHE_FIELDS], bool *exists,
                              deer_error *err)
{
    char *path = cache_shard_path(dir, index);
    hid_t file;
    deer_status status;

    if (!path)
        return deer_fail(err, "out of memory opening %s", dir);
    cache_hdf5_enter();
    status = open_shard(path, m, index, &file, err);
    *exists = file >= 0;
    if (*exists) {
        status = read_fields(file, path, m, from, to, s, data, err);
        H5Fclose(file);
    }
    cache_hdf5_leave();
    free(path);
    return status;
}

deer_status cache_shard_read(const char *dir, const cache_manifest *m, int index, cache_shard *s,
                             bool *exists, deer_error *err)
{
    tables t;
    void *data[CACHE_FIELDS];
    deer_status status;

    if (tables_alloc(s, &t, err))
        return DEER_FAILED;
    field_data(s, &t, data);
    status = read_shard(dir, m, index, FIELD_CHANGE, CACHE_FIELDS, s, data, exists, err);
    if (!status && *exists && !tables_take(&t, s))
        status = deer_fail(err,
                           "shard %d of %s does not fit its manifest; delete it and replay "
                           "again",
                           index, dir);
    tables_free(&t);
    return status;
}

deer_status cache_shard_identities(const char *dir, const cache_manifest *m, int index,
                                   demos_identity *identity, bool *exists, deer_error *err)
{
    void *data[CACHE_FIELDS] = {[FIELD_IDENTITY] = identity};
    cache_shard s = {0};

    cache_shard_extent(m, index, &s.first_episode, &s.episodes, &s.steps);
    return read_shard(dir, m, index, FIELD_IDENTITY, FIELD_IDENTITY + 1, &s, data, exists, err);
}

deer_status cache_shard_read_features(const char *dir, const cache_manifest *m, int index,
                                      uint16_t *features, uint16_t *aged, deer_error *err)
{
    void *data[CACHE_FIELDS] = {[FIELD_AGED] = aged, [FIELD_FEATURES] = features};
    cache_shard s = {0};
    bool exists;

    cache_shard_extent(m, index, &s.first_episode, &s.episodes, &s.steps);
    if (read_shard(dir, m, index, FIELD_AGED, FIELD_FEATURES + 1, &s, data, &exists, err))
        return DEER_FAILED;
    return exists ? DEER_OK : deer_fail(err, "shard %d of %s is missing; replay again", index, dir);
}
