/* SPDX-License-Identifier: MIT */
/* replay_ages.c - the decoder again, on older media. */
#include "calib/replay/replay_ages.h"

#include <stdlib.h>

#include "runtime/base/half.h"

/* ---------------------------------------------------------------- change ------------------- */

static deer_status see_camera(const shard_replay *r, const demo_episode *e, int view,
                              const cache_shard *s, int index, deer_error *err)
{
    int oldest = cache_oldest(r->about);
    deer_camera camera[2];
    deer_changes *changes;
    deer_status status;

    demo_episode_cameras(e, &camera[0], &camera[1]);
    status = deer_changes_new(&r->about->config, &camera[view], oldest, &changes, err);
    for (int t = 0; t < e->steps && !status; t++) {
        deer_observation seen = demo_episode_observation(e, t);
        size_t row = (size_t)s->episode[index].first + (size_t)t;

        status = deer_changes_add(changes, view ? &seen.gripper_view : &seen.static_view,
                                  s->change + (2 * row + (size_t)view) * (size_t)oldest, err);
    }
    deer_changes_free(changes);
    return status;
}

deer_status ages_see(const shard_replay *r, const demo_episode *e, cache_shard *s, int index,
                     deer_error *err)
{
    for (int view = 0; view < 2; view++)
        if (see_camera(r, e, view, s, index, err))
            return DEER_FAILED;
    return DEER_OK;
}

/* ---------------------------------------------------------------- features ----------------- */

bool replay_store_features(const shard_replay *r, const float *pooled, uint16_t *to)
{
    size_t n = (size_t)r->rows * r->width;
    bool finite = true;

    for (size_t i = 0; i < n; i++) {
        to[i] = half_from_float(pooled[i]);
        finite &= (to[i] & 0x7c00) != 0x7c00;
    }
    return finite;
}

/* Frames that wait in the batch: one episode's, of one pair, up to step `next`. */
typedef struct {
    const cache_episode *episode;
    int pair, next;
    float *pooled; /* [room, rows, width] */
} frames;

static deer_status run_frames(shard_replay *r, const frames *f, cache_shard *s, deer_error *err)
{
    size_t each = (size_t)r->rows * r->width, pairs = (size_t)cache_pairs(r->about);
    int32_t n;

    if (deer_batch_run(r->batch, f->pooled, &n, err))
        return DEER_FAILED;
    for (int i = 0; i < n; i++) {
        size_t row = (size_t)f->episode->first + (size_t)(f->next - n + i);

        if (!replay_store_features(r, f->pooled + (size_t)i * each,
                                   s->aged + (row * pairs + (size_t)f->pair) * each))
            return deer_fail(err, "%s: %s step %d: the model's features are not finite in float16",
                             r->path, f->episode->name, f->next - n + i);
    }
    return DEER_OK;
}

/* Media of a camera `age` steps before step t, or of the first step. */
static const float *media_of(const shard_replay *r, size_t first_row, int view, int t, int age)
{
    size_t row = first_row + (size_t)(t > age ? t - age : 0);

    return r->media + (2 * row + (size_t)view) * r->media_size;
}

/* first_row: of the episode, among those at hand. */
static deer_status replay_pair(shard_replay *r, frames *f, size_t first_row, cache_shard *s,
                               deer_error *err)
{
    const cache_manifest *m = r->about;
    int age[2] = {m->age[0][(f->pair + 1) / m->ages[1]], m->age[1][(f->pair + 1) % m->ages[1]]};

    for (f->next = 0; f->next < f->episode->steps;) {
        int t = f->next++;

        if (deer_batch_add_media(r->batch, media_of(r, first_row, 0, t, age[0]),
                                 media_of(r, first_row, 1, t, age[1]), err))
            return DEER_FAILED;
        if ((deer_batch_count(r->batch) == r->room || f->next == f->episode->steps) &&
            run_frames(r, f, s, err))
            return DEER_FAILED;
    }
    return DEER_OK;
}

deer_status ages_replay(shard_replay *r, cache_shard *s, int first, int n, deer_error *err)
{
    frames f = {.pooled = calloc((size_t)r->room * (size_t)r->rows, r->width * sizeof *f.pooled)};
    deer_status status = f.pooled ? DEER_OK : deer_fail(err, "out of memory replaying ages");

    for (int i = first; i < first + n && !status; i++) {
        f.episode = &s->episode[i];
        status = deer_batch_set_instruction(r->batch, f.episode->instruction, err);
        for (f.pair = 0; f.pair < cache_pairs(r->about) && !status; f.pair++) {
            if (r->all && jobs_stopped(r->all))
                break;
            status =
                replay_pair(r, &f, (size_t)(f.episode->first - s->episode[first].first), s, err);
        }
    }
    free(f.pooled);
    return status;
}
