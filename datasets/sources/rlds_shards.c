/* SPDX-License-Identifier: MIT */
/* rlds_shards.c - which files of an RLDS dataset are read: bowls-train.tfrecord-00003-of-00016 is
 * one of sixteen of a split. Source: tensorflow_datasets, core/naming.py and dataset_info.py. */
#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "datasets/sources/rlds.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/machine_failure.h"

enum { MOST_SHARDS = 100000, MOST_INFO = 16 << 20 };

static const char ending[] = ".tfrecord", every[] = "all";

int rlds_is_shard(const struct dirent *entry)
{
    return *entry->d_name != '.' && strstr(entry->d_name, ending) != NULL;
}

/* A name without numbers is all of a split. */
static void parse(rlds_shard *s)
{
    const char *end = strstr(s->name, ending);
    int used = 0;

    s->base = (int)(end - s->name);
    s->split = s->base;
    while (s->split > 0 && s->name[s->split - 1] != '-')
        s->split--;
    end += strlen(ending);
    if (sscanf(end, "-%6d-of-%6d%n", &s->index, &s->of, &used) != 2 || end[used] || s->index < 0 ||
        s->index >= s->of) {
        s->index = 0;
        s->of = 1;
    }
    s->records = -1;
}

static deer_status list_all(const char *folder, rlds_list *list, deer_error *err)
{
    struct dirent **entry;
    int n = scandir(folder, &entry, rlds_is_shard, alphasort);
    bool failed = false;

    if (n < 0) {
        machine_failed_by(errno);
        return deer_fail(err, "cannot look into %s: %s", folder, strerror(errno));
    }
    if (n < 1 || n > MOST_SHARDS) {
        for (int i = 0; i < n; i++)
            free(entry[i]);
        free(entry);
        return deer_fail(err, "%s has no .tfrecord files, or more than %d", folder, MOST_SHARDS);
    }
    list->shard = calloc((size_t)n, sizeof *list->shard);
    for (int i = 0; i < n; i++) {
        rlds_shard *s = list->shard && !failed ? &list->shard[list->count] : NULL;

        if (s && (s->name = strdup(entry[i]->d_name))) {
            parse(s);
            list->count++;
        } else {
            failed = true;
        }
        free(entry[i]);
    }
    free(entry);
    return failed ? machine_fail(err, "out of memory opening %s", folder) : DEER_OK;
}

/* ---------------------------------------------------------------- splits ------------------- */

static bool is_split(const rlds_shard *s, const char *split)
{
    size_t n = strlen(split);

    return n == (size_t)(s->base - s->split) && !strncmp(s->name + s->split, split, n);
}

static bool same_split(const rlds_shard *a, const rlds_shard *b)
{
    return a->base - a->split == b->base - b->split &&
           !strncmp(a->name + a->split, b->name + b->split, (size_t)(a->base - a->split));
}

/* How many there are, and their names. */
static int name_splits(const rlds_list *list, char names[256])
{
    int splits = 0;

    *names = 0;
    for (int i = 0; i < list->count; i++) {
        const rlds_shard *s = &list->shard[i];
        bool seen = false;

        for (int k = 0; k < i && !seen && splits < 16; k++)
            seen = same_split(s, &list->shard[k]);
        if (seen || splits == 16)
            continue;
        snprintf(names + strlen(names), 256 - strlen(names), "%s%.*s", splits++ ? ", " : "",
                 s->base - s->split, s->name + s->split);
    }
    return splits;
}

/* Keeps the files of the split that is asked for. */
static deer_status choose_split(const char *folder, const char *asked, rlds_list *list,
                                deer_error *err)
{
    char names[256];
    int splits = name_splits(list, names), kept = 0;

    if (!asked && splits > 1)
        return deer_fail_with(DEER_USAGE, err,
                              "%s has several splits: %s; say with --split which (%s: every one)",
                              folder, names, every);
    if (!asked || !strcmp(asked, every))
        return DEER_OK;
    for (int i = 0; i < list->count; i++)
        if (is_split(&list->shard[i], asked))
            list->shard[kept++] = list->shard[i];
        else
            free(list->shard[i].name);
    list->count = kept;
    return kept ? DEER_OK
                : deer_fail_with(DEER_USAGE, err, "%s has no split %s: %s", folder, asked, names);
}

/* ---------------------------------------------------------------- completeness ------------- */

/* The n shards of one split: all that their names count, in order. */
static deer_status check_shards(const char *folder, const rlds_shard *s, int n, bool partial,
                                deer_error *err)
{
    int there = 0;

    for (int i = 1; i < n; i++)
        if (s[i].of != s->of || s[i].index <= s[i - 1].index)
            return deer_fail(err, "%s: %s and %s are not of one set of shards", folder,
                             s[i - 1].name, s[i].name);
    while (there < n && s[there].index == there)
        there++;
    if (there == s->of || partial)
        return DEER_OK;
    return deer_fail(err,
                     "%s: %d of %d shards are missing, the first is %.*s%s-%05d-of-%05d; copy or "
                     "download them, or read what is there with --partial",
                     folder, s->of - n, s->of, s->base, s->name, ending, there, s->of);
}

static deer_status check_all(const char *folder, const rlds_list *list, bool partial,
                             deer_error *err)
{
    deer_status status = DEER_OK;

    for (int first = 0, n; first < list->count && !status; first += n) {
        const rlds_shard *s = &list->shard[first];

        for (n = 1; first + n < list->count && s[n].base == s->base &&
                    !strncmp(s[n].name, s->name, (size_t)s->base);)
            n++;
        status = check_shards(folder, s, n, partial, err);
    }
    return status;
}

/* ---------------------------------------------------------------- dataset_info.json -------- */

/* How many records each shard of a split has; how many of its files are listed. */
static deer_status take_lengths(const char *folder, const char *split, const json_t *lengths,
                                rlds_list *list, int *there, deer_error *err)
{
    *there = 0;
    for (int i = 0; i < list->count; i++) {
        rlds_shard *s = &list->shard[i];
        const json_t *length = json_array_get(lengths, (size_t)s->index);

        if (!is_split(s, split))
            continue;
        ++*there;
        if ((size_t)s->of != json_array_size(lengths))
            return deer_fail(err, "%s: dataset_info.json counts %zu shards of %s, %s says %d",
                             folder, json_array_size(lengths), split, s->name, s->of);
        s->records = json_is_string(length) ? strtoll(json_string_value(length), NULL, 10)
                                            : json_integer_value(length);
    }
    return DEER_OK;
}

static deer_status take_info(const char *folder, const json_t *info, bool whole, rlds_list *list,
                             deer_error *err)
{
    const json_t *one;
    size_t i;

    json_array_foreach(json_object_get(info, "splits"), i, one)
    {
        const char *split = json_string_value(json_object_get(one, "name"));
        const json_t *lengths = json_object_get(one, "shardLengths");
        int there;

        if (!split || !json_array_size(lengths))
            continue;
        if (take_lengths(folder, split, lengths, list, &there, err))
            return DEER_FAILED;
        if (!there && whole)
            return deer_fail(err,
                             "%s: dataset_info.json lists a split %s, which has no files there; "
                             "copy or download them, or say with --split what is read",
                             folder, split);
    }
    return DEER_OK;
}

static deer_status read_info(const char *folder, bool whole, rlds_list *list, deer_error *err)
{
    char path[RLDS_PATH];
    json_t *info;
    deer_status status;

    snprintf(path, sizeof path, "%s/dataset_info.json", folder);
    if (access(path, F_OK))
        return DEER_OK;
    info = json_file_read(path, MOST_INFO, err);
    if (!info)
        return DEER_FAILED;
    status = take_info(folder, info, whole, list, err);
    json_decref(info);
    return status;
}

deer_status rlds_list_shards(const char *folder, const source_options *o, rlds_list *list,
                             deer_error *err)
{
    bool whole = !o->partial && (!o->split || !strcmp(o->split, every));
    deer_status status;

    *list = (rlds_list){NULL, 0};
    status = list_all(folder, list, err);
    if (!status)
        status = choose_split(folder, o->split, list, err);
    if (!status)
        status = check_all(folder, list, o->partial, err);
    if (!status)
        status = read_info(folder, whole, list, err);
    if (status)
        rlds_list_free(list);
    return status;
}

void rlds_list_free(rlds_list *list)
{
    for (int i = 0; i < list->count; i++)
        free(list->shard[i].name);
    free(list->shard);
    *list = (rlds_list){NULL, 0};
}
