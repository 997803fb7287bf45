/* SPDX-License-Identifier: MIT */
/* replay.h - runs a model over recorded demonstrations and caches what every exit sees and says.
 *
 *   replay_spec spec = {.model = "m.safetensors", .demos = &file, .files = 1,
 *                       .cache = "cache", .threads = 2};
 *   replay_report report;
 *   if (replay(&spec, &report, &err)) ...
 *
 * The recurrent state is the one the deepest exit leaves behind at every step ("full" history);
 * calib/replay/history.h replays the head under any other. Threads take whole shards
 * (replay_shard.h), one more than compute, so that reading and writing cost no time; processes may
 * share the work on one cache, each shard written by whoever locks it first; the ranks of a cluster
 * take one after another (calib/cluster/cluster.h). Whatever is killed when, the next replay goes
 * on with the missing shards. Every demonstration is read once, to be replayed or to be compared
 * with the shard that is there (replay_seen.h); whoever finds all shards there finishes the cache.
 */
#ifndef CALIB_REPLAY_H
#define CALIB_REPLAY_H

#include "calib/cache/cache.h"
#include "datasets/demos/demos.h"

#define REPLAY_BATCH 8     /* observations a product takes: enough for large ones */
#define REPLAY_PER_SHARD 8 /* episodes of a shard: what a killed replay loses per thread */

typedef struct {
    const char *model;        /* file */
    const char *const *demos; /* [files], taken as one set in this order */
    int files;
    demos_options reading; /* of the demonstrations */
    const char *cache;     /* folder, created when missing */
    int threads;           /* that compute at a time */
    int batch;             /* observations that go through the model together */
    int per_shard;         /* episodes of a shard of a new cache */

    /* Ages that each camera's encodings are replayed at, as cache_manifest has them; ages 0: fresh
     * cameras alone. */
    int ages[2];
    int age[2][CACHE_AGES];
    int part, parts; /* write only shards s with s % parts == part; parts 0: all */
    /* Before anything runs: the features of all steps take so many bytes; may be NULL. */
    void (*announce)(void *context, const cache_manifest *about, uint64_t bytes);
    void (*progress)(void *context, long done, long total); /* steps; may be NULL */
    void *context;
} replay_spec;

typedef struct {
    long episodes, steps; /* of the cache */
    long replayed;        /* steps run now; the others were there */
    int shards, missing;  /* missing: being written by others, or not of this part */
    int unknown_words;    /* episodes whose instruction has words that the model does not know */
    double seconds;
} replay_report;

/* The threads of products are its own: spec->threads shards at a time, one thread each. */
deer_status replay(const replay_spec *spec, replay_report *report, deer_error *err);

#endif
