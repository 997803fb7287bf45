/* SPDX-License-Identifier: MIT */
/* report_cache.c - writes a made-up feature cache, for tests of deer-report.
 *
 *   report_cache MODEL DIR EPISODES STEPS [NAME]
 *   report_cache table FILE.h5 EPISODES EXITS [WHAT VALUE]
 *
 * EPISODES episodes of STEPS steps with the configuration of the policy MODEL. Every step has a
 * difficulty; an exit's action nears the deepest one's the faster the easier the step is. With
 * NAME, it is the task, the demonstration and the instruction of every other episode, whatever is
 * in it. The same arguments write the same cache. The other writes a made-up policy's table, of
 * which every delta, loss or cost is VALUE, or the first of each with WHAT `first-delta` and so on.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cache/cache.h"
#include "calib/problem/synthetic.h"
#include "calib/problem/table_file.h"
#include "runtime/base/random.h"
#include "runtime/deer_replay.h"

static uint64_t state = 7;

static double uniform(void)
{
    return random_unit(&state);
}

/* Actions of the pseudo exit and of every exit, [1 + K, 7]. */
static void fill_step(int exits, double difficulty, float *action)
{
    for (int row = 0; row <= exits; row++) {
        double off = difficulty * exp(-(double)row * (1.5 - difficulty)) * (row < exits);

        for (int i = 0; i < DEER_POSE; i++)
            action[row * CACHE_ACTION + i] = (float)(0.2 + off * (uniform() - 0.3));
        action[row * CACHE_ACTION + DEER_POSE] = off > 0.5 ? 0.2f : 0.8f;
    }
}

static void fill_deltas(int exits, const float *action, float *delta)
{
    for (int k = 0; k < exits; k++)
        delta[k] = deer_criterion_delta(DEER_CRITERION_L2, action + (k + 1) * CACHE_ACTION,
                                        action + k * CACHE_ACTION);
}

static void name_episode(cache_episode *e, int number, const char *name)
{
    static const char *const tasks[] = {"lift", "push", "stack", "store"};
    bool given = name && number % 2;

    snprintf(e->name, sizeof e->name, "%s", given ? name : "demo");
    snprintf(e->task, sizeof e->task, "%s", given ? name : tasks[number / 2 % 4]);
    snprintf(e->instruction, sizeof e->instruction, "%s", given ? name : "lift the red block");
    e->tokens = 10 + number % 3;
}

static deer_status write_shard(const char *dir, const cache_manifest *m, int index,
                               const char *name, deer_error *err)
{
    cache_shard shard;
    int64_t row = 0;
    deer_status status;

    if (cache_shard_alloc(m, index, &shard, err))
        return DEER_FAILED;
    for (int e = 0; e < shard.episodes; e++) {
        double difficulty = uniform();

        name_episode(&shard.episode[e], shard.first_episode + e, name);
        for (int t = 0; t < shard.episode[e].steps; t++, row++) {
            float *action = shard.action + row * (1 + shard.exits) * CACHE_ACTION;

            difficulty = fmin(fmax(difficulty + 0.3 * (uniform() - 0.5), 0.02), 0.98);
            fill_step(shard.exits, difficulty, action);
            fill_deltas(shard.exits, action, shard.delta + row * shard.exits);
        }
    }
    status = cache_shard_write(dir, m, index, &shard, err);
    cache_shard_free(&shard);
    return status;
}

/* Made up, of no recordings: the hash of each is zero. */
static deer_status finish_manifest(const char *dir, cache_manifest *m, deer_error *err)
{
    demos_identity *none = calloc((size_t)m->episodes, sizeof *none);

    demos_fingerprint_of(none, m->episodes, m->demos);
    free(none);
    return cache_manifest_settle(dir, m, err);
}

static deer_status write_cache(const deer_model *model, const char *dir, int episodes, int each,
                               const char *name, deer_error *err)
{
    int *length = malloc((size_t)episodes * sizeof *length);
    cache_manifest m;
    deer_status status;

    for (int e = 0; e < episodes; e++)
        length[e] = each;
    status = cache_manifest_make(deer_model_config(model), deer_model_fingerprint(model), episodes,
                                 length, 64, &m, err);
    free(length);
    if (status)
        return status;
    status = finish_manifest(dir, &m, err);
    for (int s = 0; s < m.shards && !status; s++)
        status = write_shard(dir, &m, s, name, err);
    cache_manifest_free(&m);
    return status;
}

/* what: delta, loss or cost, all of them or, with `first-` before it, the first. */
static void spoil(steps *s, const char *what, double value)
{
    bool first = !strncmp(what, "first-", 6);
    const char *column = first ? what + 6 : what;
    int64_t n = first ? 1 : s->n * s->exits, exits = first ? 1 : s->exits;

    for (int64_t i = 0; i < n && !strcmp(column, "delta"); i++)
        s->delta[i] = (float)value;
    for (int64_t i = 0; i < n && !strcmp(column, "loss"); i++)
        s->loss[i] = (float)value;
    for (int64_t k = 0; k < exits && !strcmp(column, "cost"); k++)
        s->cost[k] = value;
}

static deer_status write_table(char **words, deer_error *err)
{
    synthetic_spec spec = synthetic_default(atoi(words[3]), atoi(words[2]), 7);
    const char *path = words[1];
    steps s;
    deer_status status = synthetic_make(&spec, &s, err);

    if (status)
        return status;
    if (words[4] && words[5])
        spoil(&s, words[4], atof(words[5]));
    status = table_file_write(path, &s, NULL, err);
    steps_free(&s);
    return status;
}

int main(int argc, char **argv)
{
    deer_model *model;
    deer_error err;
    deer_status status;

    if (argc < 5 || atoi(argv[3]) < 1 || atoi(argv[4]) < 1) {
        fprintf(stderr, "report_cache MODEL DIR EPISODES STEPS [NAME]\n");
        return DEER_USAGE;
    }
    if (!strcmp(argv[1], "table")) {
        status = write_table(argv + 1, &err);
        if (status)
            fprintf(stderr, "report_cache: %s\n", err.message);
        return (int)status;
    }
    status = deer_model_open(argv[1], DEER_ALL_EXITS, &model, &err);
    if (!status) {
        status = write_cache(model, argv[2], atoi(argv[3]), atoi(argv[4]),
                             argc > 5 ? argv[5] : NULL, &err);
        deer_model_close(model);
    }
    if (status)
        fprintf(stderr, "report_cache: %s\n", err.message);
    return (int)status;
}
