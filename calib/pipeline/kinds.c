/* SPDX-License-Identifier: MIT */
/* kinds.c - equal names are one task; shares from a file. */
#include "calib/pipeline/kinds.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json/json_file.h"

enum { MOST_MIX = 1 << 20 /* bytes */ };

static deer_status no_mix(const char *path, const char *why, deer_error *err)
{
    return deer_fail(err, "%s: %s; a mix is a JSON object of tasks and shares, {\"lift\": 0.7, ..}",
                     path, why);
}

/* The shares' sum, when every one is a number that is not negative and names a task that is there.
 */
static deer_status check_mix(const char *path, json_t *json, const task_kinds *k, int episodes,
                             double *sum, deer_error *err)
{
    const char *task;
    json_t *share;

    *sum = 0;
    json_object_foreach(json, task, share)
    {
        int e = 0;

        while (e < episodes && strcmp(k->name[e], task))
            e++;
        if (e == episodes)
            return deer_fail_with(DEER_USAGE, err, "%s: no episode is of task %s", path, task);
        if (!json_is_number(share) || json_number_value(share) < 0)
            return no_mix(path, "a share is no number of 0 or more", err);
        *sum += json_number_value(share);
    }
    return *sum > 0 ? DEER_OK : no_mix(path, "the shares sum to nothing", err);
}

static deer_status read_mix(const char *path, int episodes, task_kinds *k, deer_error *err)
{
    json_t *json = json_file_read(path, MOST_MIX, err);
    double sum = 0;
    deer_status status;

    if (!json)
        return DEER_FAILED;
    status = json_is_object(json) ? check_mix(path, json, k, episodes, &sum, err)
                                  : no_mix(path, "no JSON object", err);
    k->mix = malloc((size_t)episodes * sizeof *k->mix);
    if (!status && !k->mix)
        status = deer_fail(err, "out of memory for %d episodes", episodes);
    for (int e = 0; e < episodes && !status; e++)
        k->mix[e] = json_number_value(json_object_get(json, k->name[e])) / sum;
    json_decref(json);
    return status;
}

deer_status task_kinds_make(const char *const *names, int episodes, const char *mix_path,
                            task_kinds *k, deer_error *err)
{
    *k = (task_kinds){.stratum = malloc((size_t)episodes * sizeof *k->stratum),
                      .name = malloc((size_t)episodes * sizeof *k->name)};
    if (!k->stratum || !k->name)
        return deer_fail(err, "out of memory for %d episodes", episodes);
    for (int e = 0; e < episodes; e++) {
        int first = 0;

        k->name[e] = names[e];
        while (strcmp(names[first], names[e]))
            first++;
        k->stratum[e] = first;
    }
    return mix_path ? read_mix(mix_path, episodes, k, err) : DEER_OK;
}

void task_kinds_tell(const task_kinds *k, guarantee_spec *spec)
{
    spec->stratum = k->stratum;
    spec->kind_name = k->name;
    spec->mix = k->mix;
}

void task_kinds_free(task_kinds *k)
{
    free(k->stratum);
    free(k->name);
    free(k->mix);
    *k = (task_kinds){.stratum = NULL};
}
