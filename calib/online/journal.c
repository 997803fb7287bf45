/* SPDX-License-Identifier: MIT */
/* journal.c - results of trials in a file. */
#include "calib/online/journal.h"

#include <errno.h>
#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"

enum { VERSION = 1, MOST_FILE = 16 << 20, MOST_ENTRIES = 4096 };

struct journal {
    pthread_mutex_t lock;
    char *path;
    json_t *root, *trials; /* trials: a list in root */
    int known;
};

/* ---------------------------------------------------------------- one result --------------- */

static json_t *entry_of(const online_trial *t, const online_result *r)
{
    json_t *x = json_array();

    for (int j = 0; j < ONLINE_MOST; j++)
        json_push(x, json_real(t->x[j]));
    return json_pack("{s:i, s:i, s:o, s:f, s:f, s:f}", "trial", t->number, "unit", t->unit, "x", x,
                     "success", r->success, "rollouts", r->rollouts, "cost", r->cost);
}

static bool is_of(const json_t *entry, const online_trial *t)
{
    const json_t *x = json_object_get(entry, "x");
    bool same = json_integer_value(json_object_get(entry, "trial")) == t->number &&
                json_integer_value(json_object_get(entry, "unit")) == t->unit;

    for (size_t j = 0; j < ONLINE_MOST && same; j++)
        same = json_number_value(json_array_get(x, j)) == t->x[j];
    return same;
}

static bool read_entry(const json_t *entry, online_result *r)
{
    r->success = json_number_value(json_object_get(entry, "success"));
    r->rollouts = json_number_value(json_object_get(entry, "rollouts"));
    r->cost = json_number_value(json_object_get(entry, "cost"));
    return json_is_number(json_object_get(entry, "success")) && r->success >= 0 &&
           r->success <= 1 && r->rollouts >= 1 && r->rollouts <= 1e9 && r->cost > 0 &&
           isfinite(r->cost);
}

/* ---------------------------------------------------------------- the file ----------------- */

static deer_status check(const char *path, const json_t *root, const char *settings,
                         deer_error *err)
{
    const json_t *trials = json_object_get(root, "trials");
    const char *of = json_string_value(json_object_get(root, "settings"));
    online_result r;

    if (json_integer_value(json_object_get(root, "deer_online")) != VERSION ||
        !json_is_array(trials) || !of)
        return deer_fail(err, "%s is no journal of deer-calib online", path);
    if (strcmp(of, settings) != 0)
        return deer_fail(err,
                         "%s has results of other settings; remove it, or give the ones it was "
                         "begun with: %.300s",
                         path, of);
    if (json_array_size(trials) > MOST_ENTRIES)
        return deer_fail(err, "%s has %zu results; at most %d are read", path,
                         json_array_size(trials), MOST_ENTRIES);
    for (size_t i = 0; i < json_array_size(trials); i++)
        if (!read_entry(json_array_get(trials, i), &r))
            return deer_fail(err, "%s: result %zu is damaged", path, i);
    return DEER_OK;
}

deer_status journal_open(const char *path, const char *settings, journal **out, deer_error *err)
{
    bool there = access(path, F_OK) == 0;
    journal *j = calloc(1, sizeof *j);
    deer_status status;

    *out = NULL;
    if (!j || !(j->path = strdup(path))) {
        free(j);
        return deer_fail(err, "out of memory for %s", path);
    }
    pthread_mutex_init(&j->lock, NULL);
    j->root = there ? json_file_read(path, MOST_FILE, err)
                    : json_pack("{s:i, s:s, s:[]}", "deer_online", VERSION, "settings", settings,
                                "trials");
    if (!j->root)
        status = there ? DEER_FAILED
                       : deer_fail(err, "%s: out of memory, or the settings are not UTF-8", path);
    else
        status = check(path, j->root, settings, err);
    j->trials = json_object_get(j->root, "trials");
    j->known = (int)json_array_size(j->trials);
    if (status)
        journal_close(j);
    else
        *out = j;
    return status;
}

void journal_close(journal *j)
{
    if (!j)
        return;
    json_decref(j->root);
    pthread_mutex_destroy(&j->lock);
    free(j->path);
    free(j);
}

int journal_known(const journal *j)
{
    return j->known;
}

bool journal_find(journal *j, const online_trial *t, online_result *r)
{
    bool found = false;

    pthread_mutex_lock(&j->lock);
    for (size_t i = 0; i < json_array_size(j->trials) && !found; i++) {
        const json_t *entry = json_array_get(j->trials, i);
        found = is_of(entry, t) && read_entry(entry, r);
    }
    pthread_mutex_unlock(&j->lock);
    return found;
}

deer_status journal_add(journal *j, const online_trial *t, const online_result *r, deer_error *err)
{
    deer_status status;

    pthread_mutex_lock(&j->lock);
    json_push(j->trials, entry_of(t, r));
    status =
        json_write(j->path, json_incref(j->root), JSON_INDENT(1) | JSON_REAL_PRECISION(17), err);
    pthread_mutex_unlock(&j->lock);
    return status;
}
