/* SPDX-License-Identifier: MIT */
/* calvin_source.c - CALVIN as a dataset source. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "datasets/sources/calvin.h"
#include "datasets/sources/source.h"
#include "runtime/base/machine_failure.h"

typedef struct {
    calvin *d;
    char *folder, *instruction;
    int threads;
} calvin_set;

static bool probe(const char *path)
{
    static const char *const marks[] = {"lang_annotations", "auto_lang_ann.npy",
                                        "ep_start_end_ids.npy"};
    struct stat info;
    char name[4352];

    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++)
        if (snprintf(name, sizeof name, "%s/%s", path, marks[i]) < (int)sizeof name &&
            !stat(name, &info))
            return true;
    return false;
}

static void close_set(void *source)
{
    calvin_set *s = source;

    if (!s)
        return;
    calvin_close(s->d);
    free(s->folder);
    free(s->instruction);
    free(s);
}

static deer_status open_set(const source_options *o, void **out, deer_error *err)
{
    calvin_set *s;

    *out = NULL;
    if (source_refuses("calvin", "static-camera", o->static_camera, err) ||
        source_refuses("calvin", "split", o->split, err) ||
        source_refuses("calvin", "partial", o->partial ? "" : NULL, err) ||
        source_refuses("calvin", "gripper-camera", o->gripper_camera, err) ||
        source_refuses("calvin", "mask", o->mask, err) ||
        source_refuses("calvin", "action-columns", o->actions, err) ||
        source_refuses("calvin", "action-scale", o->scale, err))
        return DEER_USAGE;
    if (o->instruction && strlen(o->instruction) >= DEMO_INSTRUCTION)
        return deer_fail_with(DEER_USAGE, err, "--instruction has %zu bytes; at most %d are read",
                              strlen(o->instruction), DEMO_INSTRUCTION - 1);
    s = calloc(1, sizeof *s);
    if (!s)
        return machine_fail(err, "out of memory opening %s", o->path[0]);
    s->threads = o->threads;
    s->folder = strdup(o->path[0]);
    s->instruction = o->instruction ? strdup(o->instruction) : NULL;
    if (!s->folder || (o->instruction && !s->instruction)) {
        close_set(s);
        return machine_fail(err, "out of memory opening %s", o->path[0]);
    }
    if (calvin_open_annotated(o->path[0], o->annotations, &s->d, err)) {
        close_set(s);
        return DEER_FAILED;
    }
    *out = s;
    return DEER_OK;
}

static int count(const void *source)
{
    return calvin_count(((const calvin_set *)source)->d);
}

static void fingerprint(const void *source, char out[DEER_FINGERPRINT])
{
    const calvin_set *s = source;
    char of_dataset[DEER_FINGERPRINT], text[DEER_FINGERPRINT + DEMO_INSTRUCTION + 4200];

    calvin_fingerprint(s->d, of_dataset);
    snprintf(text, sizeof text, "%s %s %s", of_dataset, s->folder,
             s->instruction ? s->instruction : "");
    source_hash(text, strlen(text), out);
}

static deer_status read_episode(void *source, int i, demo_episode *e, deer_error *err)
{
    const calvin_set *s = source;

    if (calvin_read(s->d, i, s->threads, e, err))
        return DEER_FAILED;
    if (s->instruction)
        snprintf(e->instruction, sizeof e->instruction, "%s", s->instruction);
    return DEER_OK;
}

const source_kind source_calvin = {.name = "calvin",
                                   .takes = "DIR",
                                   .help = "a split of CALVIN: task_D_D/training",
                                   .env_args = "{\"env_name\":\"calvin\"}",
                                   .probe = probe,
                                   .open = open_set,
                                   .count = count,
                                   .fingerprint = fingerprint,
                                   .read = read_episode,
                                   .close = close_set};
