/* SPDX-License-Identifier: MIT */
/* kinds.h - the tasks of episodes, as a promise needs them.
 *
 *   task_kinds kinds = {0};
 *   if (task_kinds_make(names, episodes, mix_path, &kinds, &err)) ...
 *   task_kinds_tell(&kinds, &spec);
 *   task_kinds_free(&kinds);                              // once the spec is no longer used
 */
#ifndef CALIB_KINDS_H
#define CALIB_KINDS_H

#include "calib/guarantee/guarantee.h"

typedef struct {
    int *stratum;      /* [episodes] the first episode of the same task */
    const char **name; /* [episodes] borrowed */
    double *mix;       /* [episodes] share of the episode's task; NULL: as here */
} task_kinds;

/* names [episodes], kept by the caller. mix_path, may be NULL: a JSON object of tasks and shares,
 * which need not sum to 1. Fails naming the file for one that is none, and (DEER_USAGE) for a task
 * that no episode has. */
deer_status task_kinds_make(const char *const *names, int episodes, const char *mix_path,
                            task_kinds *k, deer_error *err);

/* Lets spec know them. */
void task_kinds_tell(const task_kinds *k, guarantee_spec *spec);

void task_kinds_free(task_kinds *k);

#endif
