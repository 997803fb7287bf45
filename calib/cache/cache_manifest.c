/* SPDX-License-Identifier: MIT */
/* cache_manifest.c - what a cache is of, and whose turn it is to write what. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "calib/cache/cache_internal.h"
#include "runtime/base/dtype.h"
#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"
#include "runtime/deer_replay.h"

enum { MAX_MANIFEST = 64 << 20, MAX_EPISODE_STEPS = 1 << 24 };

/* ---------------------------------------------------------------- paths -------------------- */

char *cache_path(const char *dir, const char *name)
{
    char *path = NULL;

    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

char *cache_shard_path(const char *dir, int index)
{
    char name[32];

    snprintf(name, sizeof name, "shard-%05d.h5", index);
    return cache_path(dir, name);
}

/* ---------------------------------------------------------------- locks -------------------- */

deer_status cache_lock(const char *dir, int index, int *lock, bool *held, deer_error *err)
{
    struct flock range = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = index + 1, .l_len = 1};
    char *path = cache_path(dir, "lock");
    int fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666) : -1, failed;

    free(path);
    *lock = -1;
    *held = false;
    if (fd < 0)
        return deer_fail(err, "cannot lock the cache %s: %s", dir, strerror(errno));
    failed = fcntl(fd, index < 0 ? F_OFD_SETLKW : F_OFD_SETLK, &range);
    if (failed && errno != EAGAIN && errno != EACCES) {
        deer_fail(err, "cannot lock the cache %s: %s", dir, strerror(errno));
        close(fd);
        return DEER_FAILED;
    }
    *held = !failed;
    if (failed)
        close(fd);
    else
        *lock = fd;
    return DEER_OK;
}

void cache_unlock(int lock)
{
    if (lock >= 0)
        close(lock);
}

static void remove_starting(const char *dir, const char *prefix)
{
    DIR *folder = opendir(dir);
    struct dirent *entry;

    while (folder && (entry = readdir(folder)))
        if (!strncmp(entry->d_name, prefix, strlen(prefix)))
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder)
        closedir(folder);
}

void cache_sweep(const char *dir, int index)
{
    char name[48];

    snprintf(name, sizeof name, "shard-%05d.h5.tmp-", index);
    if (index >= 0) {
        remove_starting(dir, name);
        return;
    }
    remove_starting(dir, "manifest.json.tmp-");
    remove_starting(dir, "cache.h5.tmp-");
}

/* ---------------------------------------------------------------- manifest ----------------- */

deer_status cache_manifest_make(const deer_config *config, const char *model, int episodes,
                                const int *episode_steps, int per_shard, cache_manifest *m,
                                deer_error *err)
{
    *m = (cache_manifest){
        .config = *config, .episodes = episodes, .per_shard = per_shard, .ages = {1, 1}};
    snprintf(m->model, sizeof m->model, "%s", model);
    m->shards = (episodes + per_shard - 1) / per_shard;
    m->episode_steps = malloc((size_t)episodes * sizeof *m->episode_steps + 1);
    if (!m->episode_steps)
        return deer_fail(err, "out of memory for %d episodes", episodes);
    memcpy(m->episode_steps, episode_steps, (size_t)episodes * sizeof *m->episode_steps);
    return DEER_OK;
}

void cache_manifest_free(cache_manifest *m)
{
    free(m->episode_steps);
    m->episode_steps = NULL;
}

void cache_shard_extent(const cache_manifest *m, int shard, int *first, int *count, int64_t *steps)
{
    *first = shard * m->per_shard;
    *count = m->episodes - *first < m->per_shard ? m->episodes - *first : m->per_shard;
    *steps = 0;
    for (int e = *first; e < *first + *count; e++)
        *steps += m->episode_steps[e];
}

int cache_pairs(const cache_manifest *m)
{
    return m->ages[0] && m->ages[1] ? m->ages[0] * m->ages[1] - 1 : 0;
}

int cache_oldest(const cache_manifest *m)
{
    int oldest = 0;

    for (int i = 0; i < 2; i++)
        if (m->ages[i] && m->age[i][m->ages[i] - 1] > oldest)
            oldest = m->age[i][m->ages[i] - 1];
    return oldest;
}

uint64_t cache_manifest_bytes(const cache_manifest *m)
{
    uint64_t steps = 0;

    for (int e = 0; e < m->episodes; e++)
        steps += (uint64_t)m->episode_steps[e];
    return steps * (uint64_t)(1 + cache_pairs(m)) * (uint64_t)(1 + m->config.exits) *
           (uint64_t)m->config.d_model * sizeof(uint16_t);
}

/* A model's configuration as a model file has it; NULL when out of memory. */
static json_t *config_json(const deer_config *config)
{
    char *text = NULL;
    json_t *json =
        deer_config_write(config, &text, NULL) ? NULL : json_parse(text, strlen(text), 0, NULL);

    free(text);
    return json;
}

static deer_status take_config(const char *path, const json_t *json, deer_config *config,
                               deer_error *err)
{
    char *text =
        json_text(json_incref(json_object_get(json, "config")), JSON_COMPACT | JSON_ENCODE_ANY);
    deer_status status =
        text ? deer_config_read(path, text, config, err)
             : deer_fail(err, "%s has no configuration, or there is no memory for it", path);

    free(text);
    return status;
}

static json_t *ages_json(int ages, const int *age)
{
    json_t *list = json_array();

    for (int i = 0; i < ages; i++)
        json_push(list, json_integer(age[i]));
    return list;
}

/* Ascending from 0. */
static bool take_camera_ages(const json_t *list, int *ages, int age[CACHE_AGES])
{
    size_t n = json_array_size(list);

    if (n < 1 || n > CACHE_AGES)
        return false;
    for (size_t i = 0; i < n; i++) {
        json_int_t steps = json_integer_value(json_array_get(list, i));
        if (!json_is_integer(json_array_get(list, i)) || steps > CACHE_OLDEST ||
            (i ? steps <= age[i - 1] : steps != 0))
            return false;
        age[i] = (int)steps;
    }
    *ages = (int)n;
    return true;
}

/* Caches without any are of fresh cameras. */
static bool take_ages(const json_t *json, cache_manifest *m)
{
    const json_t *from = json_object_get(json, "ages");

    m->ages[0] = m->ages[1] = 1;
    return !from || (take_camera_ages(json_object_get(from, "static"), &m->ages[0], m->age[0]) &&
                     take_camera_ages(json_object_get(from, "gripper"), &m->ages[1], m->age[1]));
}

static deer_status manifest_write(const char *path, const cache_manifest *m, deer_error *err)
{
    json_t *json = json_object(), *list = json_array();

    for (int e = 0; e < m->episodes; e++)
        json_push(list, json_integer(m->episode_steps[e]));
    json_put(json, "deer_cache", json_integer(CACHE_FORMAT));
    json_put(json, "model", json_string(m->model));
    if (*m->weights)
        json_put(json, "weights", json_string(m->weights));
    if (*m->sums)
        json_put(json, "sums", json_string(m->sums));
    if (*m->demos)
        json_put(json, "demos", json_string(m->demos));
    json_put(json, "model_path", json_string(m->model_path));
    json_put(json, "config", config_json(&m->config));
    json_put(json, "episodes_per_shard", json_integer(m->per_shard));
    if (m->horizon)
        json_put(json, "horizon", json_integer(m->horizon));
    if (cache_pairs(m))
        json_put(json, "ages",
                 json_pack("{s:o, s:o}", "static", ages_json(m->ages[0], m->age[0]), "gripper",
                           ages_json(m->ages[1], m->age[1])));
    json_put(json, "episode_steps", list);
    return json_write(path, json, JSON_INDENT(1), err);
}

static bool take_fingerprint(const json_t *json, const char *name, char *fingerprint)
{
    const char *text = json_string_value(json_object_get(json, name));

    if (!text || strlen(text) != DEER_FINGERPRINT - 1 ||
        strspn(text, "0123456789abcdef") != DEER_FINGERPRINT - 1)
        return false;
    memcpy(fingerprint, text, DEER_FINGERPRINT);
    return true;
}

/* An unfinished cache has none. */
static bool take_demos(const json_t *json, cache_manifest *m)
{
    return !json_object_get(json, "demos") || take_fingerprint(json, "demos", m->demos);
}

static bool take_steps(const json_t *list, cache_manifest *m)
{
    size_t n = json_array_size(list);

    if (n < 1 || n > 100000000)
        return false;
    m->episodes = (int)n;
    m->episode_steps = malloc(n * sizeof *m->episode_steps);
    for (size_t e = 0; m->episode_steps && e < n; e++) {
        json_int_t steps = json_integer_value(json_array_get(list, e));
        if (steps < 1 || steps > MAX_EPISODE_STEPS)
            return false;
        m->episode_steps[e] = (int)steps;
    }
    return m->episode_steps != NULL;
}

/* Earlier caches have none. */
int cache_longest(const cache_manifest *m)
{
    for (int e = 0; e < m->episodes; e++)
        if (m->episode_steps[e] > m->horizon)
            return 0;
    return m->horizon;
}

static int take_horizon(const json_t *json)
{
    json_int_t steps = json_integer_value(json_object_get(json, "horizon"));

    return steps > 0 && steps <= MAX_EPISODE_STEPS ? (int)steps : 0;
}

static deer_status manifest_parse(const char *path, const json_t *json, cache_manifest *m,
                                  deer_error *err)
{
    json_int_t per_shard = json_integer_value(json_object_get(json, "episodes_per_shard"));
    const char *model_path = json_string_value(json_object_get(json, "model_path"));
    const char *weights = json_string_value(json_object_get(json, "weights"));
    const char *sums = json_string_value(json_object_get(json, "sums"));
    json_int_t format = json_integer_value(json_object_get(json, "deer_cache"));
    weight_dtype dtype;

    if (!format)
        return deer_fail(err, "%s is no manifest of a feature cache", path);
    if (format != CACHE_FORMAT)
        return deer_fail(err,
                         "%s is of cache format %lld, not %d; delete the cache and replay again",
                         path, (long long)format, CACHE_FORMAT);
    if (!take_fingerprint(json, "model", m->model) || !take_demos(json, m) || per_shard < 1 ||
        per_shard > 1000000 || !take_ages(json, m) ||
        !take_steps(json_object_get(json, "episode_steps"), m))
        return deer_fail(err, "%s is damaged; delete the cache and replay again", path);
    if (model_path && strlen(model_path) < sizeof m->model_path)
        strcpy(m->model_path, model_path);
    if (weights && weight_dtype_from_name(weights, &dtype))
        strcpy(m->weights, weights);
    if (sums && strlen(sums) < sizeof m->sums)
        strcpy(m->sums, sums);
    m->horizon = take_horizon(json);
    m->per_shard = (int)per_shard;
    m->shards = (m->episodes + m->per_shard - 1) / m->per_shard;
    return take_config(path, json, &m->config, err);
}

deer_status cache_manifest_load(const char *dir, cache_manifest *m, deer_error *err)
{
    char *path = cache_path(dir, "manifest.json"), *text = NULL;
    size_t size;
    json_error_t problem;
    json_t *json;
    deer_status status;

    *m = (cache_manifest){0};
    if (!path)
        return deer_fail(err, "out of memory opening %s", dir);
    if (access(path, F_OK)) {
        status = deer_fail(err,
                           "%s is no feature cache (it has no manifest.json); make one with "
                           "deer-calib replay",
                           dir);
        free(path);
        return status;
    }
    status = file_read(path, MAX_MANIFEST, &text, &size, err);
    if (!status) {
        json = json_parse(text, size, 0, &problem);
        if (json)
            status = manifest_parse(path, json, m, err);
        else
            status = deer_fail(
                err, "%s is no JSON (%s); where it is damaged, delete the cache and replay again",
                path, problem.text);
        json_decref(json);
    }
    if (status)
        cache_manifest_free(m);
    free(text);
    free(path);
    return status;
}

static const char *sums_of(const cache_manifest *m)
{
    return *m->sums ? m->sums : "fused multiply-adds";
}

/* Which recordings an unfinished cache is of its shards say, to who reads those. */
static deer_status compare_demos(const char *dir, cache_manifest *m, const cache_manifest *there,
                                 deer_error *err)
{
    if (m->episodes != there->episodes || memcmp(m->episode_steps, there->episode_steps,
                                                 (size_t)m->episodes * sizeof *m->episode_steps))
        return deer_fail(err,
                         "the cache %s is of other demonstrations (of other lengths); choose "
                         "another folder or delete it",
                         dir);
    if (*m->demos && *there->demos && strcmp(m->demos, there->demos))
        return deer_fail(err,
                         "the cache %s is of other demonstrations (%.8s, not %.8s); choose "
                         "another folder or delete it",
                         dir, there->demos, m->demos);
    if (!*m->demos)
        strcpy(m->demos, there->demos);
    return DEER_OK;
}

static deer_status manifest_compare(const char *dir, cache_manifest *m, const cache_manifest *there,
                                    deer_error *err)
{
    if (strcmp(m->model, there->model))
        return deer_fail(err,
                         "the cache %s is of another model (%.8s, not %.8s); choose another "
                         "folder or delete it",
                         dir, there->model, m->model);
    if (compare_demos(dir, m, there, err))
        return DEER_FAILED;
    if (strcmp(m->sums, there->sums))
        return deer_fail(err,
                         "the cache %s has sums of %s, and this processor's are of %s; choose "
                         "another folder, or say DEER_ISA",
                         dir, sums_of(there), sums_of(m));
    if (cache_pairs(m) &&
        (memcmp(m->ages, there->ages, sizeof m->ages) || memcmp(m->age, there->age, sizeof m->age)))
        return deer_fail(err,
                         "the cache %s has other ages of cameras; choose another folder or delete "
                         "it",
                         dir);
    memcpy(m->ages, there->ages, sizeof m->ages);
    memcpy(m->age, there->age, sizeof m->age);
    m->per_shard = there->per_shard;
    m->shards = there->shards;
    return DEER_OK;
}

/* With the lock held. */
static deer_status settle_locked(const char *dir, cache_manifest *m, deer_error *err)
{
    char *path = cache_path(dir, "manifest.json");
    cache_manifest there;
    deer_status status;

    if (!path)
        return deer_fail(err, "out of memory writing %s", dir);
    cache_sweep(dir, -1);
    if (access(path, F_OK)) {
        status = manifest_write(path, m, err);
    } else {
        status = cache_manifest_load(dir, &there, err);
        if (!status)
            status = manifest_compare(dir, m, &there, err);
        if (!status && (strcmp(m->model_path, there.model_path) ||
                        strcmp(m->weights, there.weights) || strcmp(m->demos, there.demos)))
            status = manifest_write(path, m, err);
        cache_manifest_free(&there);
    }
    free(path);
    return status;
}

deer_status cache_manifest_settle(const char *dir, cache_manifest *m, deer_error *err)
{
    int lock;
    bool held;
    deer_status status;

    if (!mkdir(dir, 0777))
        file_sync_folder(dir);
    else if (errno != EEXIST)
        return deer_fail(err, "cannot create the cache %s: %s", dir, strerror(errno));
    if (cache_lock(dir, -1, &lock, &held, err))
        return DEER_FAILED;
    status = settle_locked(dir, m, err);
    cache_unlock(lock);
    return status;
}
