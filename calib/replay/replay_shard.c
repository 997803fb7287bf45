/* SPDX-License-Identifier: MIT */
/* replay_shard.c - one shard of a replay: features in batches, then the head over time. */
#include "calib/replay/replay_shard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "calib/replay/replay_ages.h"
#include "runtime/base/half.h"
#include "runtime/base/threads/threads.h"

enum { ABREAST = 16 }; /* episodes whose heads run side by side */

/* ---------------------------------------------------------------- life --------------------- */

deer_status shard_replay_open(shard_replay *r, const deer_model *model, int room, deer_error *err)
{
    const deer_config *config = deer_model_config(model);
    size_t most;

    *r = (shard_replay){.room = room};
    r->rows = config->exits + 1;
    r->width = (size_t)config->d_model;
    r->media_size = (size_t)deer_media_size(config);
    r->state = (size_t)config->lstm_layers * (size_t)config->lstm_hidden;
    most = ABREAST * (size_t)r->rows;
    if (deer_batch_new(model, room, threads_single(), &r->batch, err) ||
        deer_head_new(model, (int)most, threads_single(), &r->head, err))
        return DEER_FAILED;
    r->in = malloc(most * r->width * sizeof *r->in);
    r->h = malloc(most * r->state * sizeof *r->h);
    r->c = malloc(most * r->state * sizeof *r->c);
    r->pose = malloc(most * DEER_POSE * sizeof *r->pose);
    r->gripper = malloc(most * sizeof *r->gripper);
    if (r->in && r->h && r->c && r->pose && r->gripper)
        return DEER_OK;
    return deer_fail(err, "out of memory starting a replay thread");
}

void shard_replay_close(shard_replay *r)
{
    free(r->gripper);
    free(r->pose);
    free(r->c);
    free(r->h);
    free(r->in);
    free(r->media);
    free(r->pooled);
    deer_head_free(r->head);
    deer_batch_free(r->batch);
}

static bool stopped(const shard_replay *r)
{
    return r->all && jobs_stopped(r->all);
}

/* ---------------------------------------------------------------- features ----------------- */

/* The features of steps are in pooled up to *filled; runs the batch behind them. */
static deer_status run_batch(shard_replay *r, size_t *filled, deer_error *err)
{
    int32_t n;
    deer_status status =
        deer_batch_run(r->batch, r->pooled + *filled * (size_t)r->rows * r->width, &n, err);

    if (!status && n && r->media)
        status = deer_batch_media(r->batch, r->media + *filled * 2 * r->media_size, err);
    *filled += (size_t)n;
    if (r->count)
        r->count(r->context, n);
    return status;
}

/* One episode's frames into batches, which run when they are full. */
static deer_status add_episode(shard_replay *r, const demo_episode *e, size_t *filled,
                               deer_error *err)
{
    for (int t = 0; t < e->steps && !stopped(r); t++) {
        deer_observation seen = demo_episode_observation(e, t);

        if (deer_batch_add(r->batch, &seen, err))
            return DEER_FAILED;
        if (deer_batch_count(r->batch) == r->room && run_batch(r, filled, err))
            return DEER_FAILED;
    }
    return DEER_OK;
}

/* Reading takes HDF5's lock and unpacks; meanwhile another thread may compute. */
static deer_status read_episode(shard_replay *r, int index, demo_episode *e, deer_error *err)
{
    deer_status status;

    if (r->work)
        sem_post(r->work);
    cache_hdf5_enter();
    status = demos_read(r->recorded, index, e, err);
    cache_hdf5_leave();
    while (r->work && sem_wait(r->work))
        continue; /* interrupted */
    return status;
}

static deer_status describe(shard_replay *r, const demo_episode *e, cache_shard *s, int index,
                            deer_error *err)
{
    cache_episode *entry = &s->episode[index];
    deer_camera static_view, gripper_view;

    if (e->steps != entry->steps)
        return deer_fail(err, "%s changed while it was read", r->path);
    memcpy(entry->name, e->name, sizeof entry->name);
    memcpy(entry->task, e->task, sizeof entry->task);
    memcpy(entry->instruction, e->instruction, sizeof entry->instruction);
    entry->identity = demos_identity_of(e);
    demo_episode_cameras(e, &static_view, &gripper_view);
    if (deer_batch_set_cameras(r->batch, &static_view, &gripper_view, err) ||
        deer_batch_set_instruction(r->batch, e->instruction, err))
        return DEER_FAILED;
    entry->tokens = deer_batch_tokens(r->batch);
    memcpy(s->demonstration + (size_t)entry->first * DEMO_ACTION, e->actions,
           (size_t)e->steps * DEMO_ACTION * sizeof(float));
    return DEER_OK;
}

/* Features of all steps of the shard's episodes first .. first + n - 1. */
static deer_status see_episodes(shard_replay *r, cache_shard *s, int first, int n, deer_error *err)
{
    size_t filled = 0;
    deer_status status = DEER_OK;

    for (int i = first; i < first + n && !status && !stopped(r); i++) {
        demo_episode e;

        if (read_episode(r, s->first_episode + i, &e, err))
            return DEER_FAILED;
        status = describe(r, &e, s, i, err);
        if (!status && s->change)
            status = ages_see(r, &e, s, i, err);
        if (!status)
            status = add_episode(r, &e, &filled, err);
        demo_episode_free(&e);
    }
    return status ? status : run_batch(r, &filled, err);
}

/* ---------------------------------------------------------------- the head ----------------- */

/* The state that the deepest exit leaves behind is every row's next one. */
static void spread_state(const shard_replay *r, float *state)
{
    const float *last = state + (size_t)(r->rows - 1) * r->state;

    for (int k = 0; k < r->rows - 1; k++)
        memcpy(state + (size_t)k * r->state, last, r->state * sizeof *state);
}

static bool store_actions(const shard_replay *r, const float *pose, const float *gripper,
                          const cache_shard *s, size_t row)
{
    float *action = s->action + row * (size_t)r->rows * CACHE_ACTION;
    float *delta = s->delta + row * (size_t)s->exits;
    bool finite = true;

    for (int k = 0; k < r->rows; k++) {
        memcpy(action + k * CACHE_ACTION, pose + k * DEER_POSE, DEER_POSE * sizeof(float));
        action[k * CACHE_ACTION + DEER_POSE] = gripper[k];
        for (int i = 0; i < CACHE_ACTION; i++)
            finite &= isfinite(action[k * CACHE_ACTION + i]) != 0;
    }
    for (int k = 0; k < s->exits; k++)
        delta[k] = deer_criterion_delta(DEER_CRITERION_L2, pose + (k + 1) * DEER_POSE,
                                        pose + k * DEER_POSE);
    return finite;
}

/* Episodes that have not ended; their states lie at the front, in this order. */
typedef struct {
    int episode[ABREAST]; /* of the shard */
    int count;
} crowd;

/* Step t of all of them. */
static deer_status act(shard_replay *r, const crowd *going, int t, size_t base, cache_shard *s,
                       deer_error *err)
{
    size_t rows = (size_t)r->rows, each = rows * r->width;

    for (int i = 0; i < going->count; i++) {
        size_t row = (size_t)s->episode[going->episode[i]].first + (size_t)t;
        memcpy(r->in + (size_t)i * each, r->pooled + (row - base) * each, each * sizeof *r->in);
    }
    if (deer_head_evaluate(r->head, going->count * r->rows, r->in, r->h, r->c, r->h, r->c, r->pose,
                           r->gripper, err))
        return DEER_FAILED;
    for (int i = 0; i < going->count; i++) {
        const cache_episode *e = &s->episode[going->episode[i]];
        size_t row = (size_t)e->first + (size_t)t, at = (size_t)i * rows;
        bool finite = replay_store_features(r, r->in + (size_t)i * each, s->features + row * each);

        finite &= store_actions(r, r->pose + at * DEER_POSE, r->gripper + at, s, row);
        if (!finite)
            return deer_fail(err, "%s: %s step %d: the model's features are not finite in float16",
                             r->path, e->name, t);
        spread_state(r, r->h + at * r->state);
        spread_state(r, r->c + at * r->state);
    }
    return DEER_OK;
}

/* Episodes that have no step t leave; the states of the others close up. */
static void leave(shard_replay *r, crowd *going, const cache_shard *s, int t)
{
    size_t size = (size_t)r->rows * r->state;
    int kept = 0;

    for (int i = 0; i < going->count; i++) {
        if (s->episode[going->episode[i]].steps <= t)
            continue;
        memmove(r->h + (size_t)kept * size, r->h + (size_t)i * size, size * sizeof *r->h);
        memmove(r->c + (size_t)kept * size, r->c + (size_t)i * size, size * sizeof *r->c);
        going->episode[kept++] = going->episode[i];
    }
    going->count = kept;
}

/* Pooled features begin with the first step of episode `first`. */
static deer_status act_episodes(shard_replay *r, cache_shard *s, int first, int n, deer_error *err)
{
    size_t size = (size_t)n * (size_t)r->rows * r->state * sizeof(float);
    crowd going = {.count = n};
    deer_status status = DEER_OK;

    for (int i = 0; i < n; i++)
        going.episode[i] = first + i;
    memset(r->h, 0, size);
    memset(r->c, 0, size);
    for (int t = 0; !status && !stopped(r); t++) {
        leave(r, &going, s, t);
        if (!going.count)
            break;
        status = act(r, &going, t, (size_t)s->episode[first].first, s, err);
    }
    return status;
}

/* ---------------------------------------------------------------- whole -------------------- */

static deer_status make_room(shard_replay *r, const cache_shard *s, int first, int n,
                             deer_error *err)
{
    size_t steps = 0;

    for (int i = first; i < first + n; i++)
        steps += (size_t)s->episode[i].steps;
    if (steps <= r->pooled_room)
        return DEER_OK;
    free(r->pooled);
    free(r->media);
    r->pooled = calloc(steps * (size_t)r->rows, r->width * sizeof *r->pooled);
    r->media = s->aged ? calloc(steps * 2, r->media_size * sizeof *r->media) : NULL;
    r->pooled_room = r->pooled && (r->media || !s->aged) ? steps : 0;
    return r->pooled_room ? DEER_OK
                          : deer_fail(err, "out of memory for the features of %zu steps", steps);
}

deer_status shard_replay_run(shard_replay *r, cache_shard *s, deer_error *err)
{
    deer_status status = DEER_OK;

    for (int first = 0; first < s->episodes && !status && !stopped(r); first += ABREAST) {
        int n = s->episodes - first < ABREAST ? s->episodes - first : ABREAST;

        status = make_room(r, s, first, n, err);
        if (!status)
            status = see_episodes(r, s, first, n, err);
        if (!status)
            status = act_episodes(r, s, first, n, err);
        if (!status && s->aged && !stopped(r))
            status = ages_replay(r, s, first, n, err);
    }
    return status;
}
