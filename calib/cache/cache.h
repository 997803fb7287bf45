/* SPDX-License-Identifier: MIT */
/* cache.h - the feature cache: what a model sees and says at every exit of every recorded step.
 *
 *   cache *c = NULL;
 *   if (cache_open("cache", &c, &err)) ...
 *   for (int e = 0; e < c->about.episodes; e++)
 *       use(c->episode[e].first, c->episode[e].steps, c->delta, c->action);
 *   if (cache_load_features(c, 0, c->about.shards, &err)) ...
 *   const uint16_t *f = cache_features(c, e);
 *   cache_close(c);
 *
 * A cache is a folder:
 *   manifest.json   model it is of and, once it is finished, demonstrations (fingerprints),
 *                   configuration, type of weights, episodes
 *   shard-00000.h5  some whole episodes and which recordings they are of, written under a temporary
 *                   name and renamed when whole
 *   cache.h5        all shards as one file of virtual datasets, for other programs
 *   lock            byte s is locked by the process that is writing shard s
 * docs/calibration.md describes the datasets. Every dataset carries Fletcher-32 checksums in its
 * chunks and an xxHash of its contents; what does not match is an error, never data.
 */
#ifndef CALIB_CACHE_H
#define CALIB_CACHE_H

#include <stdint.h>

#include "datasets/demos/demo_sizes.h"
#include "datasets/demos/demos_identity.h"
#include "runtime/deer.h"
#include "runtime/deer_replay.h"

#define CACHE_AGES 8 /* at most, of a camera */
#define CACHE_OLDEST 64
#define CACHE_ACTION 7 /* pose [6] and the gripper's probability of open */

/* ---------------------------------------------------------------- manifest ----------------- */

typedef struct {
    char model[DEER_FINGERPRINT];
    char weights[DEER_TYPE]; /* the model's type, as deer_model_type says it; empty: not known */
    char sums[DEER_SUMS];    /* the features' own, as deer_model_sums says it */
    char demos[DEER_FINGERPRINT]; /* empty: unfinished */
    char model_path[1024];        /* where the model was; empty when not known */
    deer_config config;
    int episodes;
    int *episode_steps; /* [episodes] */
    int horizon;        /* steps an episode could have had; 0: not known */

    /* Ages that each camera's encodings, static first, are cached at: ascending from 0. Features
     * are kept for every pair of them, and how much a picture has changed for every age up to the
     * oldest. 1 and 1: fresh cameras alone. */
    int ages[2];
    int age[2][CACHE_AGES];
    int per_shard; /* episodes of a shard; the last may have fewer */
    int shards;
} cache_manifest;

/* An unfinished one. Takes ownership of nothing; episode_steps is copied. */
deer_status cache_manifest_make(const deer_config *config, const char *model, int episodes,
                                const int *episode_steps, int per_shard, cache_manifest *m,
                                deer_error *err);
void cache_manifest_free(cache_manifest *m);

/* Makes dir the cache of m: creates the folder and the manifest, or checks that the manifest there
 * is of the same model, as many steps and, where both say which, the same demonstrations (the
 * message says what differs). per_shard becomes that of an existing cache, and so do demonstrations
 * that m does not say; a new model_path is written down, and demonstrations that were not there:
 * the caller has compared every shard with them. */
deer_status cache_manifest_settle(const char *dir, cache_manifest *m, deer_error *err);

/* Steps an episode can have: the recording's own limit, unless an episode shows that it was none.
 * 0: not known. */
int cache_longest(const cache_manifest *m);

deer_status cache_manifest_load(const char *dir, cache_manifest *m, deer_error *err);

/* Pairs of ages besides fresh cameras; and the oldest age. 0 where there are none. */
int cache_pairs(const cache_manifest *m);
int cache_oldest(const cache_manifest *m);

/* Bytes of the features of all steps, of every pair of ages. */
uint64_t cache_manifest_bytes(const cache_manifest *m);

/* Episodes first .. first + count - 1 are in this shard, and so many steps. */
void cache_shard_extent(const cache_manifest *m, int shard, int *first, int *count, int64_t *steps);

/* ---------------------------------------------------------------- shards ------------------- */

/* Texts and counts of one episode. */
typedef struct {
    char name[64], task[DEMO_TASK], instruction[DEMO_INSTRUCTION];
    int tokens; /* text tokens of the instruction: what its steps cost depends on it */
    int steps;
    int64_t first;           /* row of its first step */
    demos_identity identity; /* of the recording that it was replayed from */
} cache_episode;

/* One shard in memory; the arrays are the holder's. K exits, row 0 the pseudo exit. */
typedef struct {
    int first_episode, episodes;
    int64_t steps;
    int exits, width;     /* K, d_model */
    uint16_t *features;   /* [steps, 1 + K, width] float16 bits, pooled */
    uint16_t *aged;       /* [steps, pairs, 1 + K, width] the same of older encodings; or NULL */
    float *change;        /* [steps, 2, oldest] of each camera's picture since so many steps before,
                             1 first; NaN where the episode had none; or NULL */
    float *action;        /* [steps, 1 + K, 7] */
    float *delta;         /* [steps, K], L2, exit k against the exit before */
    float *demonstration; /* [steps, 7] recorded action */
    cache_episode *episode; /* [episodes]; first counts from the shard's start */
} cache_shard;

/* Allocates the arrays of shard `index`, zeroed, with the steps of each episode filled in. */
deer_status cache_shard_alloc(const cache_manifest *m, int index, cache_shard *shard,
                              deer_error *err);
void cache_shard_free(cache_shard *shard);

/* Whether the shard is there and of this cache. False without an error when it is not there; a file
 * that is not this cache's shard is an error. Looks at attributes and shapes, not at the data. */
deer_status cache_shard_exists(const char *dir, const cache_manifest *m, int index, bool *exists,
                               deer_error *err);

/* Writes the shard: temporary name, fsync, rename. */
deer_status cache_shard_write(const char *dir, const cache_manifest *m, int index,
                              const cache_shard *shard, deer_error *err);

/* Reads all but the features into an allocated shard, and checks them. *exists is false, without
 * an error, when the shard is not there. */
deer_status cache_shard_read(const char *dir, const cache_manifest *m, int index,
                             cache_shard *shard, bool *exists, deer_error *err);

/* Reads and checks which recordings the shard's episodes are of, identity [episodes]; *exists as
 * above. */
deer_status cache_shard_identities(const char *dir, const cache_manifest *m, int index,
                                   demos_identity *identity, bool *exists, deer_error *err);

/* Reads the features alone, [steps, 1 + K, width], and those of older encodings (NULL where there
 * are none), and checks them; the shard must be there. */
deer_status cache_shard_read_features(const char *dir, const cache_manifest *m, int index,
                                      uint16_t *features, uint16_t *aged, deer_error *err);

/* Tries to become the writer of a shard (or, with index -1, of the manifest and the view: waits).
 * *held is false when another process is writing it. cache_unlock gives it back; the end of the
 * process does so too, however it ends. */
deer_status cache_lock(const char *dir, int index, int *lock, bool *held, deer_error *err);
void cache_unlock(int lock);

/* Removes temporary files that a killed writer left behind; hold the lock. index -1: those of the
 * manifest and the view. */
void cache_sweep(const char *dir, int index);

/* Writes cache.h5 over all shards, which must be there. */
deer_status cache_view_write(const char *dir, const cache_manifest *m, deer_error *err);

/* HDF5 is not safe in threads: hold this around every use of it, demonstrations included. The
 * functions of this header take it themselves. */
void cache_hdf5_enter(void);
void cache_hdf5_leave(void);

/* ---------------------------------------------------------------- reading ------------------ */

/* What the cameras' rules do along recorded episodes: calib/replay/eyes.h. */
typedef struct {
    uint8_t *pair;  /* [steps] ages in use: 0 fresh, else 1 + pair of the cache's ages */
    uint8_t *views; /* [steps] cameras encoded, DEER_*_VIEW */
    bool stagger;   /* a step that encodes both goes no deeper than the first exit */
} cache_eyes;

/* A complete cache, all but the features in memory; rows in the order of the episodes. Spread over
 * the ranks of a cluster each has the rows, and episodes, of some shards. */
typedef struct {
    char *dir;
    cache_manifest about;
    bool spread;
    int shard[2], from, to; /* shard[0] .. shard[1] - 1 are here, with episodes from .. to - 1 */
    int64_t steps, all;     /* here, and of all ranks */
    int exits, width;
    cache_episode *episode; /* [about.episodes], filled in from .. to - 1 */
    float *action;          /* [steps, 1 + K, 7] */
    float *delta;           /* [steps, K] */
    float *demonstration;   /* [steps, 7] */
    float *change;          /* [steps, 2, oldest], or NULL */
    uint16_t **features;    /* [shards], NULL where not loaded */
    uint16_t **aged;        /* likewise */
    const cache_eyes *eyes; /* NULL: fresh cameras. The caller's, and changed as it likes */
} cache;

/* Opens a finished cache, whose shards are of the recordings that its manifest says; a missing
 * shard is an error that says how to get it. */
deer_status cache_open(const char *dir, cache **c, deer_error *err);
void cache_close(cache *c);

/* Opens this rank's share of it. */
deer_status cache_open_spread(const char *dir, cache **c, deer_error *err);

/* Opens the policy that the cache is of, with every exit: path, or where replay found it with NULL.
 * Another model is an error. The caller closes it. */
deer_status cache_open_model(const cache *c, const char *path, deer_model **model, deer_error *err);

/* Loads the features of the shards from .. from + count - 1 that are here and not loaded; drops
 * them. */
deer_status cache_load_features(cache *c, int from, int count, deer_error *err);
void cache_drop_features(cache *c, int from, int count);

/* Bytes all features here take in memory. */
size_t cache_features_bytes(const cache *c);

/* Pooled features of a step of episode e with fresh cameras, float16 bits [1 + K, width]; loaded
 * before. And what is seen there through the cache's eyes. */
const uint16_t *cache_features(const cache *c, int e, int step);
const uint16_t *cache_seen(const cache *c, int e, int step);

/* Whether a session goes no deeper than the first exit at this row's step, as those eyes see it. */
bool cache_shallow(const cache *c, int64_t row);

#endif
