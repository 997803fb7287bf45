/* replay.c - threads that turn episodes into shards. */
#include "calib/replay.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calib/cache.h"
#include "datasets/demos.h"
#include "runtime/half.h"

/* What all threads share. */
typedef struct {
    const replay_spec *spec;
    deer_model *model;
    demos *recorded;
    cache_manifest about;
    atomic_int next_shard;
    atomic_bool stop;
    pthread_mutex_t mutex; /* of what follows */
    long done, replayed, total;
    deer_error err; /* the first error */
    deer_status status;
} job;

/* What one thread works with. K exits, S = lstm_layers * lstm_hidden. */
typedef struct {
    job *j;
    deer_session *session;
    deer_head *head;
    int rows;       /* 1 + K */
    size_t state;   /* S */
    float *pooled;  /* [rows, d_model] */
    float *h, *c;   /* [rows, S], the same state in every row before a step */
    float *pose;    /* [rows, 6] */
    float *gripper; /* [rows] */
} worker;

/* ---------------------------------------------------------------- one step ----------------- */

static void spread_state(const worker *w, float *state)
{
    const float *last = state + (size_t)(w->rows - 1) * w->state;

    for (int r = 0; r < w->rows - 1; r++)
        memcpy(state + (size_t)r * w->state, last, w->state * sizeof *state);
}

static bool store_features(const worker *w, const cache_shard *s, int64_t row)
{
    size_t n = (size_t)w->rows * (size_t)s->width;
    uint16_t *to = s->features + (size_t)row * n;
    bool finite = true;

    for (size_t i = 0; i < n; i++) {
        to[i] = half_from_float(w->pooled[i]);
        finite &= (to[i] & 0x7c00) != 0x7c00;
    }
    return finite;
}

static bool store_actions(const worker *w, const cache_shard *s, int64_t row)
{
    float *action = s->action + (size_t)row * (size_t)w->rows * CACHE_ACTION;
    float *delta = s->delta + (size_t)row * (size_t)s->exits;
    bool finite = true;

    for (int r = 0; r < w->rows; r++) {
        memcpy(action + r * CACHE_ACTION, w->pose + r * DEER_POSE, DEER_POSE * sizeof(float));
        action[r * CACHE_ACTION + DEER_POSE] = w->gripper[r];
        for (int i = 0; i < CACHE_ACTION; i++)
            finite &= isfinite(action[r * CACHE_ACTION + i]) != 0;
    }
    for (int k = 0; k < s->exits; k++)
        delta[k] = deer_criterion_delta(DEER_CRITERION_L2, w->pose + (k + 1) * DEER_POSE,
                                        w->pose + k * DEER_POSE);
    return finite;
}

static deer_status replay_step(worker *w, const demo_episode *e, int t, const cache_shard *s,
                               int64_t row, deer_error *err)
{
    deer_observation seen = demo_episode_observation(e, t);

    if (deer_step_features(w->session, &seen, w->pooled, err))
        return DEER_FAILED;
    deer_head_evaluate(w->head, w->rows, w->pooled, w->h, w->c, w->h, w->c, w->pose, w->gripper);
    spread_state(w, w->h);
    spread_state(w, w->c);
    if (!store_features(w, s, row) || !store_actions(w, s, row))
        return deer_fail(err, "%s: %s step %d: the model's features are not finite in float16",
                         w->j->spec->demos, e->name, t);
    memcpy(s->demonstration + (size_t)row * DEMO_ACTION, e->actions + (size_t)t * DEMO_ACTION,
           DEMO_ACTION * sizeof(float));
    return DEER_OK;
}

/* ---------------------------------------------------------------- episodes and shards ------ */

static void count_step(job *j, long steps, bool replayed)
{
    pthread_mutex_lock(&j->mutex);
    j->done += steps;
    j->replayed += replayed ? steps : 0;
    if (j->spec->progress)
        j->spec->progress(j->spec->context, j->done, j->total);
    pthread_mutex_unlock(&j->mutex);
}

static deer_status replay_episode(worker *w, const demo_episode *e, cache_shard *s, int index,
                                  deer_error *err)
{
    cache_episode *entry = &s->episode[index];
    deer_status status = DEER_OK;

    if (e->steps != entry->steps)
        return deer_fail(err, "%s changed while it was read", w->j->spec->demos);
    memcpy(entry->name, e->name, sizeof entry->name);
    memcpy(entry->task, e->task, sizeof entry->task);
    memcpy(entry->instruction, e->instruction, sizeof entry->instruction);
    if (deer_session_set_instruction(w->session, e->instruction, err))
        return DEER_FAILED;
    entry->tokens = deer_session_tokens(w->session);
    memset(w->h, 0, (size_t)w->rows * w->state * sizeof *w->h);
    memset(w->c, 0, (size_t)w->rows * w->state * sizeof *w->c);
    for (int t = 0; t < e->steps && !status && !atomic_load(&w->j->stop); t++) {
        status = replay_step(w, e, t, s, entry->first + t, err);
        count_step(w->j, 1, true);
    }
    return status;
}

static deer_status replay_shard(worker *w, int index, cache_shard *s, deer_error *err)
{
    job *j = w->j;

    for (int i = 0; i < s->episodes && !atomic_load(&j->stop); i++) {
        demo_episode e;
        deer_status status;

        cache_hdf5_enter();
        status = demos_read(j->recorded, s->first_episode + i, &e, err);
        cache_hdf5_leave();
        if (status)
            return status;
        status = replay_episode(w, &e, s, i, err);
        demo_episode_free(&e);
        if (status)
            return status;
    }
    return atomic_load(&j->stop) ? DEER_OK
                                 : cache_shard_write(j->spec->cache, &j->about, index, s, err);
}

/* With the shard's lock held. */
static deer_status fill_shard(worker *w, int index, deer_error *err)
{
    job *j = w->j;
    cache_shard shard;
    bool exists;
    deer_status status;

    cache_sweep(j->spec->cache, index);
    if (cache_shard_exists(j->spec->cache, &j->about, index, &exists, err))
        return DEER_FAILED;
    if (cache_shard_alloc(&j->about, index, &shard, err))
        return DEER_FAILED;
    if (exists) {
        count_step(j, (long)shard.steps, false);
        status = DEER_OK;
    } else {
        status = replay_shard(w, index, &shard, err);
    }
    cache_shard_free(&shard);
    return status;
}

static deer_status take_shard(worker *w, int index, deer_error *err)
{
    const replay_spec *spec = w->j->spec;
    int lock;
    bool held;
    deer_status status;

    if (spec->parts > 0 && index % spec->parts != spec->part)
        return DEER_OK;
    if (cache_lock(spec->cache, index, &lock, &held, err))
        return DEER_FAILED;
    if (!held)
        return DEER_OK; /* someone else is writing it */
    status = fill_shard(w, index, err);
    cache_unlock(lock);
    return status;
}

/* ---------------------------------------------------------------- threads ------------------ */

static void worker_close(worker *w)
{
    free(w->gripper);
    free(w->pose);
    free(w->c);
    free(w->h);
    free(w->pooled);
    deer_head_free(w->head);
    deer_session_free(w->session);
}

static deer_status worker_open(job *j, worker *w, deer_error *err)
{
    const deer_config *config = deer_model_config(j->model);
    deer_thresholds deepest;
    size_t rows = (size_t)config->exits + 1;

    *w = (worker){.j = j, .rows = config->exits + 1};
    w->state = (size_t)config->lstm_layers * (size_t)config->lstm_hidden;
    deer_thresholds_fixed(j->model, config->exits - 1, &deepest);
    if (deer_session_new(j->model, &deepest, &w->session, err) ||
        deer_head_new(j->model, w->rows, &w->head, err))
        return DEER_FAILED;
    w->pooled = malloc(rows * (size_t)config->d_model * sizeof *w->pooled);
    w->h = malloc(rows * w->state * sizeof *w->h);
    w->c = malloc(rows * w->state * sizeof *w->c);
    w->pose = malloc(rows * DEER_POSE * sizeof *w->pose);
    w->gripper = malloc(rows * sizeof *w->gripper);
    if (w->pooled && w->h && w->c && w->pose && w->gripper)
        return DEER_OK;
    return deer_fail(err, "out of memory starting a replay thread");
}

static void report_error(job *j, const deer_error *err)
{
    pthread_mutex_lock(&j->mutex);
    if (!j->status)
        j->err = *err;
    j->status = DEER_FAILED;
    pthread_mutex_unlock(&j->mutex);
    atomic_store(&j->stop, true);
}

static void *worker_main(void *context)
{
    job *j = context;
    worker w;
    deer_error err;
    deer_status status = worker_open(j, &w, &err);

    while (!status && !atomic_load(&j->stop)) {
        int index = atomic_fetch_add(&j->next_shard, 1);
        if (index >= j->about.shards)
            break;
        status = take_shard(&w, index, &err);
    }
    if (status)
        report_error(j, &err);
    worker_close(&w);
    return NULL;
}

static deer_status run_threads(job *j, deer_error *err)
{
    int wanted = j->spec->threads < j->about.shards ? j->spec->threads : j->about.shards;
    pthread_t *thread = calloc((size_t)wanted, sizeof *thread);
    int started = 0;

    if (!thread)
        return deer_fail(err, "out of memory starting %d threads", wanted);
    deer_set_threads(1); /* the shards keep the cores busy */
    while (started < wanted && !pthread_create(&thread[started], NULL, worker_main, j))
        started++;
    for (int i = 0; i < started; i++)
        pthread_join(thread[i], NULL);
    free(thread);
    if (!started)
        return deer_fail(err, "cannot start a thread");
    if (j->status)
        *err = j->err;
    return j->status;
}

/* ---------------------------------------------------------------- whole -------------------- */

/* Remembers where the model is, for the commands that replay its head. */
static void note_path(const char *model, cache_manifest *m)
{
    char *path = realpath(model, NULL);

    if (path && strlen(path) < sizeof m->model_path)
        strcpy(m->model_path, path);
    free(path);
}

/* Opens model and demonstrations, and makes the folder their cache. */
static deer_status open_all(job *j, deer_error *err)
{
    const replay_spec *spec = j->spec;
    char fingerprint[DEER_FINGERPRINT];
    int *episode_steps, episodes;
    deer_status status;

    if (deer_model_open(spec->model, DEER_ALL_EXITS, &j->model, err) ||
        demos_open_cameras(spec->demos, &spec->cameras, &j->recorded, err) ||
        demos_fingerprint(j->recorded, fingerprint, err))
        return DEER_FAILED;
    episodes = demos_count(j->recorded);
    episode_steps = malloc((size_t)episodes * sizeof *episode_steps + 1);
    if (!episode_steps)
        return deer_fail(err, "out of memory for %d episodes", episodes);
    for (int e = 0; e < episodes; e++)
        episode_steps[e] = demos_steps(j->recorded, e);
    status =
        cache_manifest_make(deer_model_config(j->model), deer_model_fingerprint(j->model),
                            fingerprint, episodes, episode_steps, spec->per_shard, &j->about, err);
    free(episode_steps);
    if (!status)
        note_path(spec->model, &j->about);
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

/* Writes the view when all shards are there. */
static deer_status finish(const job *j, int *missing, deer_error *err)
{
    int lock;
    bool held;
    deer_status status;

    if (cache_lock(j->spec->cache, -1, &lock, &held, err))
        return DEER_FAILED;
    status = count_missing(j, missing, err);
    if (!status && *missing == 0) {
        cache_sweep(j->spec->cache, -1);
        status = cache_view_write(j->spec->cache, &j->about, err);
    }
    cache_unlock(lock);
    return status;
}

static double seconds_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

deer_status replay(const replay_spec *spec, replay_report *report, deer_error *err)
{
    job j = {.spec = spec, .mutex = PTHREAD_MUTEX_INITIALIZER};
    double started = seconds_now();
    deer_status status = open_all(&j, err);

    *report = (replay_report){0};
    if (!status)
        status = run_threads(&j, err);
    if (!status)
        status = finish(&j, &report->missing, err);
    report->episodes = j.about.episodes;
    report->steps = j.total;
    report->replayed = j.replayed;
    report->shards = j.about.shards;
    report->seconds = seconds_now() - started;
    cache_manifest_free(&j.about);
    if (j.recorded)
        demos_close(j.recorded);
    deer_model_close(j.model);
    return status;
}
