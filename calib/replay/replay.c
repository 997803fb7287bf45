/* SPDX-License-Identifier: MIT */
/* replay.c - threads that turn episodes into shards. */
#include "calib/replay/replay.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "calib/replay/replay_seen.h"
#include "calib/replay/replay_shard.h"
#include "runtime/base/clock.h"
#include "runtime/base/threads/threads.h"

/* What all threads share. */
typedef struct {
    const replay_spec *spec;
    deer_model *model;
    demos *recorded;
    cache_manifest about;
    replay_seen seen;
    sem_t work;            /* as many may compute at a time as there are threads */
    pthread_mutex_t mutex; /* of what follows */
    long done, replayed, total;
} job;

/* ---------------------------------------------------------------- shards ------------------- */

static void count_step(job *j, long steps, bool replayed)
{
    pthread_mutex_lock(&j->mutex);
    j->done += steps;
    j->replayed += replayed ? steps : 0;
    if (j->spec->progress)
        j->spec->progress(j->spec->context, j->done, j->total);
    pthread_mutex_unlock(&j->mutex);
}

static void count_replayed(void *context, long steps)
{
    count_step(context, steps, true);
}

/* Writing, as reading, leaves the core to another thread. */
static deer_status write_shard(job *j, int index, const cache_shard *s, deer_error *err)
{
    deer_status status;

    sem_post(&j->work);
    status = cache_shard_write(j->spec->cache, &j->about, index, s, err);
    while (sem_wait(&j->work))
        continue; /* interrupted */
    if (!status)
        replay_seen_note(&j->seen, s);
    return status;
}

/* Of these recordings. */
static deer_status check_shard(job *j, int index, bool *exists, deer_error *err)
{
    deer_status status;

    sem_post(&j->work);
    status = replay_seen_check(&j->seen, index, exists, err);
    while (sem_wait(&j->work))
        continue; /* interrupted */
    return status;
}

static void count_shard(job *j, int index)
{
    int first, episodes;
    int64_t steps;

    cache_shard_extent(&j->about, index, &first, &episodes, &steps);
    count_step(j, (long)steps, false);
}

static deer_status make_shard(job *j, shard_replay *r, int index, deer_error *err)
{
    cache_shard shard;
    deer_status status;

    if (cache_shard_alloc(&j->about, index, &shard, err))
        return DEER_FAILED;
    status = shard_replay_run(r, &shard, err);
    if (!status && !jobs_stopped(r->all))
        status = write_shard(j, index, &shard, err);
    cache_shard_free(&shard);
    return status;
}

/* With the shard's lock held. */
static deer_status fill_shard(job *j, shard_replay *r, int index, deer_error *err)
{
    bool exists;

    cache_sweep(j->spec->cache, index);
    if (check_shard(j, index, &exists, err))
        return DEER_FAILED;
    if (!exists)
        return make_shard(j, r, index, err);
    count_shard(j, index);
    return DEER_OK;
}

static deer_status take_shard(job *j, shard_replay *r, int index, deer_error *err)
{
    const replay_spec *spec = j->spec;
    int lock;
    bool held;
    deer_status status;

    if (spec->parts > 0 && index % spec->parts != spec->part)
        return DEER_OK;
    if (cache_lock(spec->cache, index, &lock, &held, err))
        return DEER_FAILED;
    if (!held)
        return DEER_OK; /* someone else is writing it */
    status = fill_shard(j, r, index, err);
    cache_unlock(lock);
    return status;
}

/* ---------------------------------------------------------------- threads ------------------ */

/* The next that no thread of any rank has taken; -1: there is none, or a thread failed. Numbers of
 * a cluster are one for the process, in which another replay may run: of one rank it asks none. */
static int next_shard(const job *j, jobs *all)
{
    int piece = jobs_next(all);
    int64_t shard;

    if (piece < 0 || cluster_size() == 1)
        return piece;
    shard = cluster_next();
    return shard < j->about.shards ? (int)shard : -1;
}

static deer_status take_shards(jobs *all, void *context, deer_error *err)
{
    job *j = context;
    shard_replay r;
    deer_status status = shard_replay_open(&r, j->model, j->spec->batch, err);

    r.recorded = j->recorded;
    r.about = &j->about;
    r.path = j->spec->demos[0];
    r.work = &j->work;
    r.all = all;
    r.count = count_replayed;
    r.context = j;
    while (sem_wait(&j->work))
        continue; /* interrupted */
    for (int index; !status && (index = next_shard(j, all)) >= 0;)
        status = take_shard(j, &r, index, err);
    sem_post(&j->work);
    shard_replay_close(&r);
    return status;
}

/* One thread more than may compute at a time: while one reads or writes, the cores stay busy. */
static deer_status run_threads(job *j, deer_error *err)
{
    deer_status status;

    sem_init(&j->work, 0, (unsigned)j->spec->threads);
    status = jobs_run(j->about.shards, j->spec->threads + 1, take_shards, j, err);
    sem_destroy(&j->work);
    return status;
}

/* ---------------------------------------------------------------- whole -------------------- */

/* Remembers where the model is, for the commands that replay its head, and its type. */
static deer_status note_model(const char *from, const deer_model *model, cache_manifest *m,
                              deer_error *err)
{
    char *path = realpath(from, NULL);

    if (!path && errno == ENOMEM)
        return deer_fail(err, "out of memory opening %s", from);
    strcpy(m->weights, deer_model_type(model));
    strcpy(m->sums, deer_model_sums(model));
    if (path && strlen(path) < sizeof m->model_path)
        strcpy(m->model_path, path);
    free(path);
    return DEER_OK;
}

/* Which exits a policy needs depends on what it was told. */
static deer_status check_instruction(const demo_episode *e, const char *path, deer_error *err)
{
    return *e->instruction ? DEER_OK
                           : deer_fail(err,
                                       "%s: %s has no instruction; give the one it was recorded "
                                       "under by --instruction, or write it into its attribute "
                                       "'language'",
                                       path, e->name);
}

/* unknown_words: episodes whose instruction has words that the model does not know. */
static deer_status check_instructions(const job *j, int *unknown_words, deer_error *err)
{
    *unknown_words = 0;
    for (int i = 0; i < demos_count(j->recorded); i++) {
        demo_episode e;

        if (demos_describe(j->recorded, i, &e, err) ||
            check_instruction(&e, j->spec->demos[0], err))
            return DEER_FAILED;
        *unknown_words += deer_unknown_words(j->model, e.instruction) > 0;
    }
    return DEER_OK;
}

/* Opens model and demonstrations, and makes the folder their cache. */
static deer_status open_all(job *j, int *unknown_words, deer_error *err)
{
    const replay_spec *spec = j->spec;
    int *episode_steps, episodes;
    deer_status status;

    if (deer_model_open(spec->model, DEER_ALL_EXITS, &j->model, err) ||
        demos_open_files(spec->demos, spec->files, &spec->reading, &j->recorded, err) ||
        check_instructions(j, unknown_words, err))
        return DEER_FAILED;
    episodes = demos_count(j->recorded);
    episode_steps = malloc((size_t)episodes * sizeof *episode_steps + 1);
    if (!episode_steps)
        return deer_fail(err, "out of memory for %d episodes", episodes);
    for (int e = 0; e < episodes; e++)
        episode_steps[e] = demos_steps(j->recorded, e);
    status = cache_manifest_make(deer_model_config(j->model), deer_model_fingerprint(j->model),
                                 episodes, episode_steps, spec->per_shard, &j->about, err);
    free(episode_steps);
    j->about.horizon = demos_horizon(j->recorded);
    if (!status && spec->ages[0] && spec->ages[1]) {
        memcpy(j->about.ages, spec->ages, sizeof spec->ages);
        memcpy(j->about.age, spec->age, sizeof spec->age);
    }
    if (!status)
        status = note_model(spec->model, j->model, &j->about, err);
    j->total = demos_total_steps(j->recorded);
    return status ? status : cache_manifest_settle(spec->cache, &j->about, err);
}

static deer_status count_missing(const job *j, int *missing, deer_error *err)
{
    *missing = 0;
    for (int s = 0; s < j->about.shards; s++) {
        bool exists;

        if (cache_shard_exists(j->spec->cache, &j->about, s, &exists, err))
            return DEER_FAILED;
        *missing += !exists;
    }
    return DEER_OK;
}

/* All shards, those of other processes, too, are of these recordings. */
static deer_status check_shards(job *j, int *missing, deer_error *err)
{
    *missing = 0;
    for (int s = 0; s < j->about.shards; s++) {
        bool known = replay_seen_has(&j->seen, s), exists;

        if (replay_seen_check(&j->seen, s, &exists, err))
            return DEER_FAILED;
        *missing += !exists;
        if (exists && !known)
            count_shard(j, s);
    }
    return DEER_OK;
}

/* The manifest says which recordings these are, and the view shows the shards. */
static deer_status publish(job *j, deer_error *err)
{
    const char *dir = j->spec->cache;
    int lock;
    bool held;
    deer_status status;

    replay_seen_fingerprint(&j->seen, j->about.demos);
    if (cache_manifest_settle(dir, &j->about, err) || cache_lock(dir, -1, &lock, &held, err))
        return DEER_FAILED;
    cache_sweep(dir, -1);
    status = cache_view_write(dir, &j->about, err);
    cache_unlock(lock);
    return status;
}

/* When all shards are there: whoever wrote the last one sees that. Of many ranks one does it, when
 * all have written theirs. */
static deer_status finish(job *j, int *missing, deer_error *err)
{
    deer_status status = count_missing(j, missing, err);

    if (!status && *missing == 0 && !cluster_rank())
        status = check_shards(j, missing, err);
    if (!status && *missing == 0 && !cluster_rank())
        status = publish(j, err);
    return status;
}

static deer_status end_together(job *j, int *missing, deer_error *err)
{
    int64_t replayed = j->replayed;
    deer_status status;

    cluster_meet();
    replay_seen_share(&j->seen);
    status = finish(j, missing, err);
    cluster_count(&replayed, 1);
    j->replayed = (long)replayed;
    return status;
}

deer_status replay(const replay_spec *spec, replay_report *report, deer_error *err)
{
    job j = {.spec = spec, .mutex = PTHREAD_MUTEX_INITIALIZER};
    double started = clock_seconds();
    deer_status status;

    *report = (replay_report){0};
    status = open_all(&j, &report->unknown_words, err);
    j.seen = (replay_seen){j.recorded, spec->demos[0], spec->cache, &j.about, NULL};
    if (!status)
        status = replay_seen_open(&j.seen, err);
    if (!status && spec->announce)
        spec->announce(spec->context, &j.about, cache_manifest_bytes(&j.about));
    if (!status)
        cluster_meet();
    if (!status)
        status = run_threads(&j, err);
    if (!status)
        status = end_together(&j, &report->missing, err);
    report->episodes = j.about.episodes;
    report->steps = j.total;
    report->replayed = j.replayed;
    report->shards = j.about.shards;
    report->seconds = clock_seconds() - started;
    replay_seen_close(&j.seen);
    cache_manifest_free(&j.about);
    if (j.recorded)
        demos_close(j.recorded);
    deer_model_close(j.model);
    return status;
}
