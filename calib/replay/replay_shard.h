/* SPDX-License-Identifier: MIT */
/* replay_shard.h - one shard of a replay: features in batches, then the head over time.
 *
 *   shard_replay r;
 *   if (shard_replay_open(&r, model, 8, &err)) ...
 *   r.recorded = demos, r.path = "demos.h5", r.work = &permits, r.count = count;
 *   if (shard_replay_run(&r, &shard, &err)) ...
 *   shard_replay_close(&r);
 *
 * Frames of one episode after another fill batches, whatever episode they are of: features depend
 * on an observation and its instruction alone. The head follows the episodes step by step, several
 * side by side. What a shard becomes depends on nothing but the shard and the size of batches.
 */
#ifndef CALIB_REPLAY_SHARD_H
#define CALIB_REPLAY_SHARD_H

#include <semaphore.h>

#include "calib/cache/cache.h"
#include "datasets/demos/demos.h"
#include "runtime/base/threads/jobs.h"
#include "runtime/deer_replay.h"

typedef struct {
    /* the caller's */
    demos *recorded;
    const char *path;            /* of the recordings, for messages */
    const cache_manifest *about; /* whose ages are replayed; NULL: fresh cameras alone */
    sem_t *work;                 /* held while computing, given back while reading; may be NULL */
    const jobs *all;             /* stops soon when these are stopped; may be NULL */
    void (*count)(void *context, long steps); /* steps whose features are there; may be NULL */
    void *context;

    int room; /* observations of a batch */
    int rows; /* 1 + exits */
    size_t state, width;
    deer_batch *batch;
    deer_head *head;
    float *pooled; /* [pooled_room, rows, width] of the episodes at hand */
    size_t pooled_room;
    float *media; /* [pooled_room, 2, media_size] of the same steps, where there are ages */
    size_t media_size;
    float *in, *h, *c;     /* the head's: [episodes, rows, width], [episodes, rows, state] */
    float *pose, *gripper; /* [episodes, rows, 6], [episodes, rows] */
} shard_replay;

/* Batches of `room` observations. Close it whatever the status. */
deer_status shard_replay_open(shard_replay *r, const deer_model *model, int room, deer_error *err);
void shard_replay_close(shard_replay *r);

/* Fills a shard that cache_shard_alloc made. Half filled, without an error, when stopped. */
deer_status shard_replay_run(shard_replay *r, cache_shard *shard, deer_error *err);

#endif
