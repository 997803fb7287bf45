/* SPDX-License-Identifier: MIT */
/* hdf5_source.c - demonstrations in HDF5 files of others, many at once: LIBERO and RoboCasa have
 * one a task. Each file is opened when its episodes are read; one that does not open is one episode
 * that cannot be read. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/sources/columns.h"
#include "datasets/sources/source.h"
#include "runtime/base/file_kind.h"
#include "runtime/base/machine_failure.h"

typedef struct {
    char *path;
    int count; /* demonstrations, 1 when it does not open */
} source_file;

typedef struct {
    source_file *file;
    int files, count;
    char *instruction, *mask, *static_camera, *gripper_camera;
    int column[DEMO_ACTION];
    demos_options reading;
    char identity[DEER_FINGERPRINT];
    int at; /* which file is open, -1: none */
    demos *open;
} hdf5_set;

static bool probe(const char *path)
{
    char is[FILE_KIND];

    return !strcmp(file_kind(path, is), "is an HDF5 file");
}

static void close_set(void *source)
{
    hdf5_set *s = source;

    if (!s)
        return;
    demos_close(s->open);
    for (int i = 0; i < s->files; i++)
        free(s->file[i].path);
    free(s->file);
    free(s->instruction);
    free(s->mask);
    free(s->static_camera);
    free(s->gripper_camera);
    free(s);
}

static deer_status use_file(hdf5_set *s, int i, deer_error *err)
{
    const char *path = s->file[i].path;

    if (s->at == i && s->open)
        return DEER_OK;
    demos_close(s->open);
    s->open = NULL;
    s->at = i;
    return demos_open_files(&path, 1, &s->reading, &s->open, err);
}

/* Size and time of each file, and what is asked of them. */
static void identify(hdf5_set *s)
{
    char text[8192];
    int used = snprintf(text, sizeof text, "%.1100s|%.1000s|%.100s|%.100s|%d|%llu|",
                        s->instruction ? s->instruction : "", s->mask ? s->mask : "",
                        s->static_camera ? s->static_camera : "",
                        s->gripper_camera ? s->gripper_camera : "", (int)s->reading.follow_links,
                        (unsigned long long)s->reading.seed);

    for (int i = 0; s->reading.action_columns && i < DEMO_ACTION; i++)
        used += snprintf(text + used, sizeof text - (size_t)used, "%d,", s->column[i]);
    source_hash(text, (size_t)used, s->identity);
    for (int i = 0; i < s->files; i++) {
        struct stat info = {.st_size = 0};

        (void)stat(s->file[i].path, &info);
        used =
            snprintf(text, sizeof text, "%s|%.4000s|%lld|%lld.%ld", s->identity, s->file[i].path,
                     (long long)info.st_size, (long long)info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
        source_hash(text, (size_t)used, s->identity);
    }
}

static char *copy(const char *text, bool *failed)
{
    char *made = text ? strdup(text) : NULL;

    *failed = *failed || (text && !made);
    return made;
}

static deer_status take_options(const source_options *o, hdf5_set *s, deer_error *err)
{
    bool failed = false;

    s->instruction = copy(o->instruction, &failed);
    s->mask = copy(o->mask, &failed);
    s->static_camera = copy(o->static_camera, &failed);
    s->gripper_camera = copy(o->gripper_camera, &failed);
    if (failed)
        return machine_fail(err, "out of memory opening %s", o->path[0]);
    s->reading = (demos_options){.static_camera = s->static_camera,
                                 .gripper_camera = s->gripper_camera,
                                 .instruction = s->instruction,
                                 .mask = s->mask,
                                 .seed = o->seed,
                                 .convert = true,
                                 .tolerant = true,
                                 .follow_links = o->follow_links,
                                 .task_of_file = o->paths > 1};
    if (o->actions && columns_read(o->actions, NULL, 0, s->column, err))
        return DEER_USAGE;
    s->reading.action_columns = o->actions ? s->column : NULL;
    return DEER_OK;
}

static deer_status count_all(const source_options *o, hdf5_set *s, deer_error *err)
{
    s->file = calloc((size_t)o->paths, sizeof *s->file);
    if (!s->file)
        return machine_fail(err, "out of memory opening %s", o->path[0]);
    for (; s->files < o->paths; s->files++) {
        s->file[s->files].path = strdup(o->path[s->files]);
        if (!s->file[s->files].path)
            return machine_fail(err, "out of memory opening %s", o->path[s->files]);
    }
    for (int i = 0; i < s->files; i++) {
        unsigned before = machine_failures();
        bool bad = use_file(s, i, err) != DEER_OK;

        if (bad && machine_failures() != before)
            return DEER_FAILED;
        s->file[i].count = bad ? 1 : demos_count(s->open);
        s->count += s->file[i].count;
    }
    return s->count ? DEER_OK : deer_fail(err, "no demonstration is left of %s", o->path[0]);
}

static deer_status open_set(const source_options *o, void **out, deer_error *err)
{
    hdf5_set *s;
    deer_status status;

    *out = NULL;
    if (source_refuses("hdf5", "annotations", o->annotations, err) ||
        source_refuses("hdf5", "split", o->split, err) ||
        source_refuses("hdf5", "partial", o->partial ? "" : NULL, err) ||
        source_refuses("hdf5", "action-scale", o->scale, err))
        return DEER_USAGE;
    s = calloc(1, sizeof *s);
    if (!s)
        return machine_fail(err, "out of memory opening %s", o->path[0]);
    s->at = -1;
    status = take_options(o, s, err);
    if (!status)
        status = count_all(o, s, err);
    if (status) {
        close_set(s);
        return status;
    }
    identify(s);
    *out = s;
    return DEER_OK;
}

static int count(const void *source)
{
    return ((const hdf5_set *)source)->count;
}

static void fingerprint(const void *source, char out[DEER_FINGERPRINT])
{
    memcpy(out, ((const hdf5_set *)source)->identity, DEER_FINGERPRINT);
}

static deer_status read_episode(void *source, int i, demo_episode *e, deer_error *err)
{
    hdf5_set *s = source;
    int k = 0;

    while (i >= s->file[k].count)
        i -= s->file[k++].count;
    if (use_file(s, k, err))
        return DEER_FAILED;
    if (demos_count(s->open) != s->file[k].count) /* it may not have opened then */
        return deer_fail(err, "%s changed while it was read", s->file[k].path);
    return demos_read(s->open, i, e, err);
}

const source_kind source_hdf5 = {.name = "hdf5",
                                 .takes = "FILE..",
                                 .help = "HDF5 files in the robomimic layout (LIBERO, RoboCasa)",
                                 .env_args = "{\"env_name\":\"imported\"}",
                                 .files = true,
                                 .probe = probe,
                                 .open = open_set,
                                 .count = count,
                                 .fingerprint = fingerprint,
                                 .read = read_episode,
                                 .close = close_set};
