/* SPDX-License-Identifier: MIT */
/* replay_ages.h - what the exits would see of older encodings, for every pair of a cache's ages.
 *
 * A camera's picture goes through vision and resampler once; what they made of it is kept for the
 * episodes at hand, and the decoder alone runs again for each pair of ages. An encoding cannot be
 * older than its episode: at a step before a pair's ages both cameras' first pictures stand in,
 * which no rule ever asks for. */
#ifndef CALIB_REPLAY_AGES_H
#define CALIB_REPLAY_AGES_H

#include "calib/replay/replay_shard.h"

/* One step's features [rows, width] as a shard has them; false when one is not finite. */
bool replay_store_features(const shard_replay *r, const float *pooled, uint16_t *to);

/* How much the pictures of an episode change: fills the shard's rows of change. */
deer_status ages_see(const shard_replay *r, const demo_episode *e, cache_shard *shard, int index,
                     deer_error *err);

/* The features of the shard's episodes first .. first + n - 1, whose media are r's. */
deer_status ages_replay(shard_replay *r, cache_shard *shard, int first, int n, deer_error *err);

#endif
