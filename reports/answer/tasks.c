/* SPDX-License-Identifier: MIT */
/* tasks.c - exits by task, and the moments that need most depth. */
#include "reports/answer/tasks.h"

#include <stdlib.h>
#include <string.h>

#include "reports/formats/text.h"
#include "runtime/base/tau.h"

/* ---------------------------------------------------------------- tasks -------------------- */

typedef struct {
    const cache *c;
    int first; /* episode that has the name first */
    int episodes;
    int64_t steps;
} kind;

static const char *task_of(const cache *c, int e)
{
    return c->episode[e].task;
}

/* Most episodes first; as they came where equal. */
static int by_episodes(const void *a, const void *b)
{
    const kind *x = a, *y = b;

    if (x->episodes != y->episodes)
        return x->episodes > y->episodes ? -1 : 1;
    return (x->first > y->first) - (x->first < y->first);
}

static int by_name(const void *a, const void *b)
{
    const kind *x = a, *y = b;
    int order = strcmp(task_of(x->c, x->first), task_of(y->c, y->first));

    return order ? order : (x->first > y->first) - (x->first < y->first);
}

/* One kind an episode, sorted by name, equal names joined; returns how many. */
static int collect(const cache *c, kind *list)
{
    int n = 0, episodes = c->about.episodes;

    for (int e = 0; e < episodes; e++)
        list[e] = (kind){c, e, 1, c->episode[e].steps};
    qsort(list, (size_t)episodes, sizeof *list, by_name);
    for (int i = 0; i < episodes; i++) {
        if (n && !strcmp(task_of(c, list[n - 1].first), task_of(c, list[i].first))) {
            list[n - 1].episodes++;
            list[n - 1].steps += list[i].steps;
        } else {
            list[n++] = list[i];
        }
    }
    return n;
}

static void name_row(tasks *t, int i, const kind *k)
{
    const char *name = task_of(k->c, k->first);

    text_copy_utf8(t->row[i].name, sizeof t->row[i].name, *name ? name : "(no name)");
    t->row[i].episodes = k->episodes;
    t->row[i].steps = k->steps;
}

/* Rows for the most frequent kinds, by name; what does not fit shares the last one. */
static void make_rows(tasks *t, kind *list, int n)
{
    int own = n > TASKS_MOST ? TASKS_MOST - 1 : n;

    qsort(list, (size_t)n, sizeof *list, by_episodes);
    qsort(list, (size_t)own, sizeof *list, by_name);
    for (int i = 0; i < own; i++)
        name_row(t, i, &list[i]);
    t->n = own;
    for (int i = own; i < n; i++) {
        t->row[own].episodes += list[i].episodes;
        t->row[own].steps += list[i].steps;
        t->n = own + 1;
        strcpy(t->row[own].name, "(others)");
    }
}

static int compare_task(const void *key, const void *element)
{
    const kind *k = element;

    return strcmp(key, task_of(k->c, k->first));
}

deer_status tasks_make(const cache *c, tasks *t, deer_error *err)
{
    kind *list = calloc((size_t)c->about.episodes, sizeof *list);
    int n, own;

    *t = (tasks){.of_episode = malloc((size_t)c->about.episodes * sizeof *t->of_episode)};
    if (!list || !t->of_episode) {
        free(list);
        tasks_free(t);
        return deer_fail(err, "out of memory for %d episodes", c->about.episodes);
    }
    n = collect(c, list);
    make_rows(t, list, n);
    own = n > TASKS_MOST ? TASKS_MOST - 1 : n;
    for (int e = 0; e < c->about.episodes; e++) {
        const kind *found = bsearch(task_of(c, e), list, (size_t)own, sizeof *list, compare_task);

        t->of_episode[e] = found ? (int)(found - list) : own;
    }
    free(list);
    return DEER_OK;
}

void tasks_free(tasks *t)
{
    free(t->of_episode);
    *t = (tasks){0};
}

static int exit_of(const steps *s, const sweep_point *x, int64_t i)
{
    return tau_exit(s->delta + i, s->n, x->at.tau, x->at.max_exit);
}

void tasks_count(const tasks *t, const steps *s, const sweep_point *point, task_sums *sums)
{
    memset(sums, 0, (size_t)t->n * sizeof *sums);
    for (int64_t i = 0; i < s->n; i++) {
        task_sums *here = &sums[t->of_episode[s->episode[i]]];
        int k = exit_of(s, point, i);

        here->count[k]++;
        here->loss += (double)s->loss[k * s->n + i];
    }
}

/* ---------------------------------------------------------------- moments ------------------ */

typedef struct {
    int64_t step;
    int exit;
    double stake;
} candidate;

static int hardest_first(const void *a, const void *b)
{
    const candidate *x = a, *y = b;

    if (x->exit != y->exit)
        return x->exit > y->exit ? -1 : 1;
    if (x->stake != y->stake)
        return x->stake > y->stake ? -1 : 1;
    return (x->step > y->step) - (x->step < y->step);
}

static void describe(const cache *c, const steps *s, const candidate *from, task_moment *m)
{
    const cache_episode *e = &c->episode[s->episode[from->step]];

    *m = (task_moment){.episode = s->episode[from->step],
                       .step = (int)(from->step - e->first),
                       .steps = e->steps,
                       .exit = from->exit,
                       .loss_first = from->stake};
    text_copy_utf8(m->name, sizeof m->name, e->name);
    text_copy_utf8(m->task, sizeof m->task, e->task);
    text_copy_utf8(m->instruction, sizeof m->instruction, e->instruction);
}

int tasks_moments(const cache *c, const steps *s, const sweep_point *point, task_moment *moment,
                  int most)
{
    candidate *best = calloc((size_t)c->about.episodes, sizeof *best);
    int n = 0;

    if (!best)
        return -1;
    for (int e = 0; e < c->about.episodes; e++)
        best[e] = (candidate){.exit = -1};
    for (int64_t i = 0; i < s->n; i++) {
        candidate here = {i, exit_of(s, point, i), (double)s->loss[i]};

        if (hardest_first(&here, &best[s->episode[i]]) < 0)
            best[s->episode[i]] = here;
    }
    qsort(best, (size_t)c->about.episodes, sizeof *best, hardest_first);
    for (; n < most && n < c->about.episodes && best[n].exit >= 0; n++)
        describe(c, s, &best[n], &moment[n]);
    free(best);
    return n;
}
