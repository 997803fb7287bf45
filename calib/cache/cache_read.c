/* SPDX-License-Identifier: MIT */
/* cache_read.c - a whole cache in memory, shard by shard. */
#include <stdlib.h>
#include <string.h>

#include "calib/cache/cache.h"
#include "calib/cluster/cluster.h"
#include "runtime/deer_replay.h"

void cache_close(cache *c)
{
    if (!c)
        return;
    if (c->features && c->aged)
        cache_drop_features(c, 0, c->about.shards);
    free(c->features);
    free(c->aged);
    free(c->change);
    free(c->episode);
    free(c->action);
    free(c->delta);
    free(c->demonstration);
    free(c->dir);
    cache_manifest_free(&c->about);
    free(c);
}

static deer_status allocate(cache *c, deer_error *err)
{
    size_t n, rows;

    c->exits = c->about.config.exits;
    c->width = c->about.config.d_model;
    for (int e = 0; e < c->about.episodes; e++) {
        c->all += c->about.episode_steps[e];
        c->steps += e >= c->from && e < c->to ? c->about.episode_steps[e] : 0;
    }
    n = (size_t)c->steps;
    rows = n * (size_t)(1 + c->exits);
    c->episode = calloc((size_t)c->about.episodes, sizeof *c->episode);
    c->action = malloc(rows * CACHE_ACTION * sizeof *c->action + 1);
    c->delta = malloc(n * (size_t)c->exits * sizeof *c->delta + 1);
    c->demonstration = malloc(n * CACHE_ACTION * sizeof *c->demonstration + 1);
    c->change = malloc(n * 2 * (size_t)cache_oldest(&c->about) * sizeof *c->change + 1);
    c->features = calloc((size_t)c->about.shards, sizeof *c->features);
    c->aged = calloc((size_t)c->about.shards, sizeof *c->aged);
    if (c->episode && c->action && c->delta && c->demonstration && c->change && c->features &&
        c->aged)
        return DEER_OK;
    return deer_fail(err, "out of memory for the %zu steps of %s", n, c->dir);
}

/* Points a shard into the cache's own columns, at the given row. */
static void place_shard(cache *c, int index, int64_t row, cache_shard *s)
{
    size_t rows = (size_t)row, k = (size_t)c->exits;

    *s = (cache_shard){.exits = c->exits, .width = c->width};
    cache_shard_extent(&c->about, index, &s->first_episode, &s->episodes, &s->steps);
    s->action = c->action + rows * (1 + k) * CACHE_ACTION;
    s->delta = c->delta + rows * k;
    s->change = c->change + rows * 2 * (size_t)cache_oldest(&c->about);
    s->demonstration = c->demonstration + rows * CACHE_ACTION;
    s->episode = c->episode + s->first_episode;
    for (int e = 0; e < s->episodes; e++) {
        s->episode[e].steps = c->about.episode_steps[s->first_episode + e];
        s->episode[e].first = row;
        row += s->episode[e].steps;
    }
}

static deer_status read_shards(cache *c, deer_error *err)
{
    int64_t row = 0, missing = 0;

    for (int s = c->shard[0]; s < c->shard[1]; s++) {
        cache_shard shard;
        bool exists;

        place_shard(c, s, row, &shard);
        row += shard.steps;
        if (cache_shard_read(c->dir, &c->about, s, &shard, &exists, err))
            return DEER_FAILED;
        missing += !exists;
    }
    if (c->spread)
        cluster_count(&missing, 1);
    if (missing)
        return deer_fail(err,
                         "the cache %s is unfinished: %d of %d shards are missing; run "
                         "deer-calib replay on it again",
                         c->dir, (int)missing, c->about.shards);
    return DEER_OK;
}

static deer_status fingerprint_of(const cache *c, char fingerprint[DEER_FINGERPRINT],
                                  deer_error *err)
{
    demos_identity *all = calloc((size_t)c->about.episodes, sizeof *all);

    if (!all)
        return deer_fail(err, "out of memory for the %d episodes of %s", c->about.episodes, c->dir);
    for (int e = c->from; e < c->to; e++)
        all[e] = c->episode[e].identity;
    if (c->spread)
        cluster_place(all, sizeof *all, c->from, c->to - c->from);
    demos_fingerprint_of(all, c->about.episodes, fingerprint);
    free(all);
    return DEER_OK;
}

/* Whoever finished the cache compared every shard with the same recordings. Of a job that has just
 * done so it was rank 0; the file system of another may still show the manifest of before. */
static deer_status check_demos(cache *c, deer_error *err)
{
    char together[DEER_FINGERPRINT];

    if (c->spread)
        cluster_tell(c->about.demos, sizeof c->about.demos);
    if (!*c->about.demos)
        return deer_fail(err,
                         "the cache %s is unfinished: nobody has compared its shards with one set "
                         "of demonstrations; run deer-calib replay on it again",
                         c->dir);
    if (fingerprint_of(c, together, err))
        return DEER_FAILED;
    if (strcmp(together, c->about.demos))
        return deer_fail(err,
                         "a shard of the cache %s is of other demonstrations (together %.8s, not "
                         "%.8s); run deer-calib replay on it again, which says what to delete",
                         c->dir, together, c->about.demos);
    return DEER_OK;
}

/* Every rank takes about as many shards. */
static void take_shards(cache *c, int64_t ranks, int64_t rank)
{
    int64_t shards = c->about.shards;
    int each = c->about.per_shard, episodes = c->about.episodes;

    for (int end = 0; end < 2; end++)
        c->shard[end] = (int)(shards * (rank + end) / ranks);
    c->from = c->shard[0] < shards ? c->shard[0] * each : episodes;
    c->to = c->shard[1] < shards ? c->shard[1] * each : episodes;
}

static deer_status open_cache(const char *dir, bool spread, cache **out, deer_error *err)
{
    cache *c = calloc(1, sizeof *c);

    *out = NULL;
    if (c)
        c->dir = strdup(dir);
    if (!c || !c->dir) {
        free(c);
        return deer_fail(err, "out of memory opening %s", dir);
    }
    if (cache_manifest_load(dir, &c->about, err)) {
        cache_close(c);
        return DEER_FAILED;
    }
    c->spread = spread && cluster_size() > 1;
    take_shards(c, spread ? cluster_size() : 1, spread ? cluster_rank() : 0);
    if (allocate(c, err) || read_shards(c, err) || check_demos(c, err)) {
        cache_close(c);
        return DEER_FAILED;
    }
    *out = c;
    return DEER_OK;
}

deer_status cache_open(const char *dir, cache **c, deer_error *err)
{
    return open_cache(dir, false, c, err);
}

deer_status cache_open_spread(const char *dir, cache **c, deer_error *err)
{
    return open_cache(dir, true, c, err);
}

/* ---------------------------------------------------------------- features ----------------- */

static size_t step_features(const cache *c)
{
    return (size_t)(1 + c->exits) * (size_t)c->width;
}

size_t cache_features_bytes(const cache *c)
{
    return (size_t)c->steps * (size_t)(1 + cache_pairs(&c->about)) * step_features(c) *
           sizeof(uint16_t);
}

deer_status cache_load_features(cache *c, int from, int count, deer_error *err)
{
    size_t pairs = (size_t)cache_pairs(&c->about);

    for (int s = from; s < from + count && s < c->about.shards; s++) {
        int first, episodes;
        int64_t steps;

        if (c->features[s] || s < c->shard[0] || s >= c->shard[1])
            continue;
        cache_shard_extent(&c->about, s, &first, &episodes, &steps);
        c->features[s] = malloc((size_t)steps * step_features(c) * sizeof(uint16_t));
        c->aged[s] =
            pairs ? malloc((size_t)steps * pairs * step_features(c) * sizeof(uint16_t)) : NULL;
        if (!c->features[s] || (pairs && !c->aged[s])) {
            cache_drop_features(c, s, 1);
            return deer_fail(err, "out of memory for the features of %s", c->dir);
        }
        if (cache_shard_read_features(c->dir, &c->about, s, c->features[s], c->aged[s], err)) {
            cache_drop_features(c, s, 1);
            return DEER_FAILED;
        }
    }
    return DEER_OK;
}

void cache_drop_features(cache *c, int from, int count)
{
    for (int s = from; s < from + count && s < c->about.shards; s++) {
        free(c->features[s]);
        free(c->aged[s]);
        c->features[s] = c->aged[s] = NULL;
    }
}

/* Of a step within its shard. */
static size_t row_of(const cache *c, int e, int step, int *shard)
{
    *shard = e / c->about.per_shard;
    return (size_t)(c->episode[e].first - c->episode[*shard * c->about.per_shard].first + step);
}

const uint16_t *cache_features(const cache *c, int e, int step)
{
    int shard;
    size_t row = row_of(c, e, step, &shard);

    return c->features[shard] + row * step_features(c);
}

const uint16_t *cache_seen(const cache *c, int e, int step)
{
    int shard, pair = c->eyes ? c->eyes->pair[c->episode[e].first + step] : 0;
    size_t row = row_of(c, e, step, &shard), pairs = (size_t)cache_pairs(&c->about);

    return pair ? c->aged[shard] + (row * pairs + (size_t)pair - 1) * step_features(c)
                : cache_features(c, e, step);
}

bool cache_shallow(const cache *c, int64_t row)
{
    return c->eyes && c->eyes->stagger && c->eyes->views[row] == DEER_BOTH_VIEWS;
}
