/* SPDX-License-Identifier: MIT */
/* history.c - batches of episodes through the action head. */
#include "calib/replay/history.h"
#include "calib/cluster/cluster.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/half.h"
#include "runtime/base/random.h"
#include "runtime/base/tau.h"
#include "runtime/base/threads/jobs.h"
#include "runtime/base/threads/threads.h"
#include "runtime/deer_replay.h"

enum { BATCH = 64, WINDOW = 12, SAMPLE_FROM = 5, SAMPLE_TO = 11, WINDOW_STRIDE = 6 };

/* Features that together take less stay in memory from one replay to the next. */
static const size_t keep_features_below = (size_t)2 << 30;

/* A run of the recurrent state: a whole episode, or a window of one. */
typedef struct {
    int episode, from, steps; /* steps from .. from + steps - 1 of the episode */
    int sample_from;          /* the first step whose actions are wanted, counted from `from` */
    int64_t out;              /* row of the result for that step */
    float done[DEER_POSE];    /* at the step before */
    deer_rule_memory memory;  /* of the thresholds' rule */
    int deepest;              /* exit that this step may take */
    int heads;                /* evaluations of the head at this step */
    uint64_t random;
} track;

/* What all threads share. */
typedef struct {
    cache *c;
    const deer_model *model;
    const history_rule *rule;
    track *tracks;
    int n_tracks;
    int *unit; /* [units + 1] first track of each; units are of whole shards */
    int units;
    bool keep;
    calibration_actions *a;
} job;

/* ---------------------------------------------------------------- tracks ------------------- */

static int windows_of(int length)
{
    return length < WINDOW ? 0 : (length - WINDOW) / WINDOW_STRIDE + 1;
}

static int tracks_of(const job *j, int e)
{
    if (j->rule->episodes && !j->rule->episodes[e])
        return 0;
    return j->rule->kind == HISTORY_RANDOM ? windows_of(j->c->episode[e].steps) : 1;
}

static int samples_of(const track *t, history_kind kind)
{
    return kind == HISTORY_RANDOM ? SAMPLE_TO - SAMPLE_FROM : t->steps;
}

/* number: of all tracks of all ranks. */
static void add_track(job *j, int e, int i, uint64_t number)
{
    track *t = &j->tracks[j->n_tracks];
    bool random = j->rule->kind == HISTORY_RANDOM;

    *t = (track){.episode = e, .steps = j->c->episode[e].steps, .out = j->a->n};
    if (random) {
        t->from = i * WINDOW_STRIDE;
        t->steps = SAMPLE_TO;
        t->sample_from = SAMPLE_FROM;
    }
    t->random = random_mix(j->rule->seed * RANDOM_STEP + number + 1);
    for (int s = 0; j->a->row && s < samples_of(t, j->rule->kind); s++)
        j->a->row[j->a->n + s] = j->c->episode[e].first + t->from + t->sample_from + s;
    j->a->n += samples_of(t, j->rule->kind);
    j->n_tracks++;
}

/* How many tracks come before this rank's. */
static uint64_t first_number(const job *j)
{
    int64_t mine = 0;

    for (int e = j->c->from; e < j->c->to; e++)
        mine += tracks_of(j, e);
    return j->c->spread ? (uint64_t)cluster_before(mine) : 0;
}

/* Lists the tracks and cuts them into units of whole shards with about a batch of tracks. */
static void list_tracks(job *j)
{
    int per_shard = j->c->about.per_shard;
    uint64_t number = first_number(j);

    for (int e = j->c->from; e < j->c->to; e++) {
        if (e % per_shard == 0 && (!j->units || j->n_tracks - j->unit[j->units - 1] >= BATCH))
            j->unit[j->units++] = j->n_tracks;
        for (int i = 0; i < tracks_of(j, e); i++)
            add_track(j, e, i, number++);
    }
    j->unit[j->units] = j->n_tracks;
}

static deer_status make_tracks(job *j, deer_error *err)
{
    size_t tracks = 0, samples = 0, stride = (size_t)(1 + j->c->exits) * CACHE_ACTION;
    bool random = j->rule->kind == HISTORY_RANDOM, some = random || j->rule->episodes;

    for (int e = j->c->from; e < j->c->to; e++) {
        tracks += (size_t)tracks_of(j, e);
        samples +=
            (size_t)(tracks_of(j, e) * (random ? SAMPLE_TO - SAMPLE_FROM : j->c->episode[e].steps));
    }
    if (!tracks && !j->c->spread)
        return deer_fail(err, "nothing to replay: no episode of %s is chosen%s", j->c->dir,
                         random ? " and has the 12 steps that random history needs" : "");
    j->tracks = calloc(tracks + 1, sizeof *j->tracks);
    j->unit = calloc((size_t)j->c->about.shards + 2, sizeof *j->unit);
    j->a->action = calloc(samples * stride + 1, sizeof *j->a->action);
    j->a->exit = calloc(samples + 1, sizeof *j->a->exit);
    j->a->heads = calloc(samples + 1, sizeof *j->a->heads);
    if (j->c->eyes)
        j->a->fresh = calloc(samples * CACHE_ACTION, sizeof *j->a->fresh);
    if (some)
        j->a->row = calloc(samples + 1, sizeof *j->a->row);
    if (!j->tracks || !j->unit || !j->a->action || !j->a->exit || !j->a->heads ||
        (some && !j->a->row) || (j->c->eyes && !j->a->fresh))
        return deer_fail(err, "out of memory replaying %zu steps", samples);
    list_tracks(j);
    return DEER_OK;
}

/* ---------------------------------------------------------------- one batch ---------------- */

/* What one thread works with. R rows of each of up to BATCH tracks: pseudo exit and exits, and,
 * where the cache has eyes, the deepest exit with fresh cameras; S the state. */
typedef struct {
    job *j;
    deer_head *head;
    int rows;       /* R */
    bool compares;  /* with fresh cameras */
    size_t state;   /* S */
    float *pooled;  /* [BATCH * R, d_model] */
    float *h, *c;   /* [BATCH * R, S], equal in all rows of a track before a step */
    float *pose;    /* [BATCH * R, 6] */
    float *gripper; /* [BATCH * R] */
} worker;

static void load_step(const worker *w, const track *t, int step, int slot)
{
    const cache *c = w->j->c;
    size_t width = (size_t)c->width, n = (size_t)w->rows * width;
    const uint16_t *from = cache_seen(c, t->episode, t->from + step), *fresh;
    float *to = w->pooled + (size_t)slot * n;

    if (w->compares)
        n -= width;
    for (size_t i = 0; i < n; i++)
        to[i] = half_to_float(from[i]);
    if (!w->compares)
        return;
    fresh = cache_features(c, t->episode, t->from + step) + n - width;
    for (size_t i = 0; i < width; i++)
        to[n + i] = half_to_float(fresh[i]);
}

/* The first exit that passes, of those that a rule leaves; poses [R, 6], grippers [R]. */
static int decide(const history_rule *rule, track *t, const float *pose, const float *gripper)
{
    int least = deer_rule_least(rule->exits, &t->memory, rule->max_exit), k;
    float value = NAN;
    deer_exit_trial trial;

    k = least = least < t->deepest ? least : t->deepest;
    t->heads = 1;
    if (!deer_rule_untested(rule->exits, least, rule->max_exit)) {
        deer_exit_trial_begin(&trial, rule->criterion, rule->score, t->done,
                              pose + least * DEER_POSE);
        trial.exit = least;
        for (; k < t->deepest; k++) {
            value = deer_exit_trial_next(&trial, pose + (k + 1) * DEER_POSE, gripper[k + 1]);
            if (tau_stops(value, rule->tau[k]))
                break;
        }
        t->heads = 2 + k - least;
    }
    deer_rule_note(rule->exits, &t->memory, k, value, pose + (k + 1) * DEER_POSE);
    memcpy(t->done, pose + (k + 1) * DEER_POSE, sizeof t->done);
    return k;
}

/* As deep as a session goes at this step. */
static int deepest_at(const worker *w, const track *t, int step)
{
    const cache *c = w->j->c;

    return cache_shallow(c, c->episode[t->episode].first + t->from + step) ? 0
                                                                           : w->j->rule->max_exit;
}

/* The exit whose features the state goes on with. */
static int choose_exit(const worker *w, track *t, int slot)
{
    const history_rule *rule = w->j->rule;

    t->heads = rule->max_exit + 2;
    if (rule->kind == HISTORY_FULL)
        return rule->max_exit;
    if (rule->kind == HISTORY_ON_POLICY)
        return decide(rule, t, w->pose + slot * w->rows * DEER_POSE, w->gripper + slot * w->rows);
    return (int)(random_next(&t->random) % (uint64_t)(rule->max_exit + 1));
}

static void keep_state(const worker *w, float *state, int slot, int row)
{
    float *first = state + (size_t)slot * (size_t)w->rows * w->state;

    for (int r = 0; r < w->rows; r++)
        if (r != row)
            memcpy(first + (size_t)r * w->state, first + (size_t)row * w->state,
                   w->state * sizeof *state);
}

static void store_action(const worker *w, int row, float *to)
{
    memcpy(to, w->pose + row * DEER_POSE, DEER_POSE * sizeof(float));
    to[DEER_POSE] = w->gripper[row];
}

static void store_step(const worker *w, const track *t, int step, int slot, int exit)
{
    float *to;

    if (step < t->sample_from)
        return;
    w->j->a->exit[t->out + step - t->sample_from] = (uint8_t)exit;
    w->j->a->heads[t->out + step - t->sample_from] = (uint8_t)t->heads;
    if (w->compares)
        store_action(w, (slot + 1) * w->rows - 1,
                     w->j->a->fresh + (t->out + step - t->sample_from) * CACHE_ACTION);
    to = w->j->a->action +
         (size_t)(t->out + step - t->sample_from) * (size_t)(1 + w->j->c->exits) * CACHE_ACTION;
    for (int r = 0; r < w->rows - w->compares; r++)
        store_action(w, slot * w->rows + r, to + r * CACHE_ACTION);
}

/* Moves the state of a track from one slot to another. */
static void move_state(const worker *w, int from, int to)
{
    size_t n = (size_t)w->rows * w->state;

    if (from == to)
        return;
    memcpy(w->h + (size_t)to * n, w->h + (size_t)from * n, n * sizeof *w->h);
    memcpy(w->c + (size_t)to * n, w->c + (size_t)from * n, n * sizeof *w->c);
}

/* Runs tracks [n] step by step; those that have ended leave the batch. */
static deer_status run_batch(worker *w, track *tracks, int n, deer_error *err)
{
    size_t state = (size_t)n * (size_t)w->rows * w->state;
    int slot_of[BATCH], active = n;

    memset(w->h, 0, state * sizeof *w->h);
    memset(w->c, 0, state * sizeof *w->c);
    for (int i = 0; i < n; i++)
        slot_of[i] = i;
    for (int step = 0; active; step++) {
        int left = 0;

        for (int i = 0; i < active; i++) {
            if (step >= tracks[slot_of[i]].steps)
                continue;
            move_state(w, i, left);
            slot_of[left] = slot_of[i];
            tracks[slot_of[left]].deepest = deepest_at(w, &tracks[slot_of[left]], step);
            load_step(w, &tracks[slot_of[left]], step, left);
            left++;
        }
        active = left;
        if (!active)
            break;
        if (deer_head_evaluate(w->head, active * w->rows, w->pooled, w->h, w->c, w->h, w->c,
                               w->pose, w->gripper, err))
            return DEER_FAILED;
        for (int i = 0; i < active; i++) {
            track *t = &tracks[slot_of[i]];
            int exit = choose_exit(w, t, i);

            store_step(w, t, step, i, exit);
            keep_state(w, w->h, i, 1 + exit);
            keep_state(w, w->c, i, 1 + exit);
        }
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- threads ------------------ */

static deer_status run_unit(worker *w, int unit, deer_error *err)
{
    job *j = w->j;
    int begin = j->unit[unit], end = j->unit[unit + 1], per_shard = j->c->about.per_shard;
    int first, count;
    deer_status status = DEER_OK;

    if (begin == end)
        return DEER_OK;
    first = j->tracks[begin].episode / per_shard;
    count = j->tracks[end - 1].episode / per_shard - first + 1;
    if (!j->keep && cache_load_features(j->c, first, count, err))
        return DEER_FAILED;
    for (int t = begin; t < end && !status; t += BATCH)
        status = run_batch(w, j->tracks + t, end - t < BATCH ? end - t : BATCH, err);
    if (!j->keep)
        cache_drop_features(j->c, first, count);
    return status;
}

static void worker_close(worker *w)
{
    free(w->gripper);
    free(w->pose);
    free(w->c);
    free(w->h);
    free(w->pooled);
    deer_head_free(w->head);
}

static deer_status worker_open(job *j, worker *w, deer_error *err)
{
    const deer_config *config = &j->c->about.config;
    int each = j->rule->max_exit + 2 + (j->c->eyes != NULL);
    size_t rows = (size_t)each * BATCH;

    *w = (worker){.j = j, .rows = each, .compares = j->c->eyes != NULL};
    w->state = (size_t)config->lstm_layers * (size_t)config->lstm_hidden;
    if (deer_head_new(j->model, (int)rows, threads_single(), &w->head, err))
        return DEER_FAILED;
    w->pooled = malloc(rows * (size_t)config->d_model * sizeof *w->pooled);
    w->h = malloc(rows * w->state * sizeof *w->h);
    w->c = malloc(rows * w->state * sizeof *w->c);
    w->pose = malloc(rows * DEER_POSE * sizeof *w->pose);
    w->gripper = malloc(rows * sizeof *w->gripper);
    if (w->pooled && w->h && w->c && w->pose && w->gripper)
        return DEER_OK;
    return deer_fail(err, "out of memory replaying the head");
}

static deer_status run_units(jobs *all, void *context, deer_error *err)
{
    worker w;
    deer_status status = worker_open(context, &w, err);

    for (int unit; !status && (unit = jobs_next(all)) >= 0;)
        status = run_unit(&w, unit, err);
    worker_close(&w);
    return status;
}

static deer_status run_threads(job *j, int threads, deer_error *err)
{
    return jobs_run(j->units, threads, run_units, j, err);
}

deer_status history_replay(cache *c, const deer_model *model, const history_rule *rule, int threads,
                           calibration_actions *a, deer_error *err)
{
    job j = {.c = c, .model = model, .rule = rule, .a = a};
    deer_status status;

    *a = (calibration_actions){0};
    if (strcmp(deer_model_fingerprint(model), c->about.model))
        return deer_fail(err, "the model (%.8s) is not the one the cache %s is of (%.8s)",
                         deer_model_fingerprint(model), c->dir, c->about.model);
    j.keep = cache_features_bytes(c) < keep_features_below;
    status = make_tracks(&j, err);
    if (!status && j.keep)
        status = cache_load_features(c, 0, c->about.shards, err);
    if (!status)
        status = run_threads(&j, threads, err);
    free(j.tracks);
    free(j.unit);
    if (status)
        calibration_actions_free(a);
    return status;
}
