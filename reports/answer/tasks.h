/* SPDX-License-Identifier: MIT */
/* tasks.h - which tasks and which moments need depth.
 *
 *   tasks t;
 *   if (tasks_make(cache, &t, &err)) ...
 *   tasks_count(&t, &problem, &point, sums);
 *   n = tasks_moments(&t, cache, &problem, &point, moments, 12, &err);
 *   tasks_free(&t);
 *
 * Names come from files: they are UTF-8 afterwards (what is not is replaced), and nothing else is
 * promised about them.
 */
#ifndef REPORTS_TASKS_H
#define REPORTS_TASKS_H

#include "reports/answer/sweep.h"

#define TASKS_MOST 48 /* rows shown; the rarest tasks beyond share one */

typedef struct {
    char name[64]; /* "(others)" for the shared row, "(no name)" for an empty one */
    int episodes;
    int64_t steps;
} task_row;

typedef struct {
    int n;
    task_row row[TASKS_MOST];
    int *of_episode; /* [episodes] */
} tasks;

deer_status tasks_make(const cache *c, tasks *t, deer_error *err);
void tasks_free(tasks *t);

/* What a task's steps do at one point. */
typedef struct {
    int64_t count[DEER_MAX_EXITS]; /* steps leaving at each exit */
    double loss;                   /* sum over the steps */
} task_sums;

/* sums [t->n] */
void tasks_count(const tasks *t, const steps *s, const sweep_point *point, task_sums *sums);

/* A step that goes deep, with what it would lose at the first exit. */
typedef struct {
    int episode, step, steps; /* step counts from 0 within the episode */
    int exit;
    double loss_first; /* action loss if it left at the first exit */
    char name[64], task[DEMO_TASK], instruction[DEMO_INSTRUCTION];
} task_moment;

/* The moments that go deepest, of those the ones with most to lose, one of an episode; at most
 * `most`. Returns how many, -1 when out of memory. */
int tasks_moments(const cache *c, const steps *s, const sweep_point *point, task_moment *moment,
                  int most);

#endif
