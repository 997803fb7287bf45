/* SPDX-License-Identifier: MIT */
/* replay_seen.c - recordings read once, and compared with what shards are of. */
#include "calib/replay/replay_seen.h"

#include <stdlib.h>
#include <string.h>

#include "calib/cluster/cluster.h"

deer_status replay_seen_open(replay_seen *s, deer_error *err)
{
    int n = s->about->episodes;

    s->identity = calloc((size_t)n, sizeof *s->identity);
    return s->identity ? DEER_OK : deer_fail(err, "out of memory for %d episodes", n);
}

void replay_seen_close(replay_seen *s)
{
    free(s->identity);
    s->identity = NULL;
}

void replay_seen_note(replay_seen *s, const cache_shard *shard)
{
    for (int i = 0; i < shard->episodes; i++)
        s->identity[shard->first_episode + i] = shard->episode[i].identity;
}

/* A recording whose hash is zero would be read every time. */
static bool is_read(const replay_seen *s, int e)
{
    return s->identity[e].half[0] || s->identity[e].half[1];
}

bool replay_seen_has(const replay_seen *s, int shard)
{
    int first, count;
    int64_t steps;

    cache_shard_extent(s->about, shard, &first, &count, &steps);
    for (int e = first; e < first + count; e++)
        if (!is_read(s, e))
            return false;
    return true;
}

static deer_status read_one(replay_seen *s, int e, deer_error *err)
{
    demo_episode recorded;
    deer_status status;

    cache_hdf5_enter();
    status = demos_read(s->recorded, e, &recorded, err);
    cache_hdf5_leave();
    if (status)
        return status;
    s->identity[e] = demos_identity_of(&recorded);
    demo_episode_free(&recorded);
    return DEER_OK;
}

static deer_status compare(replay_seen *s, int shard, int e, const demos_identity *there,
                           deer_error *err)
{
    if (!is_read(s, e) && read_one(s, e, err))
        return DEER_FAILED;
    if (!memcmp(there, &s->identity[e], sizeof *there))
        return DEER_OK;
    return deer_fail(err,
                     "%s/shard-%05d.h5 is of other demonstrations: its %s is not that of %s; "
                     "choose another folder for the cache, or delete the shard and replay again",
                     s->cache, shard, demos_name(s->recorded, e), s->path);
}

deer_status replay_seen_check(replay_seen *s, int shard, bool *exists, deer_error *err)
{
    demos_identity *there;
    int first, count;
    int64_t steps;
    deer_status status;

    cache_shard_extent(s->about, shard, &first, &count, &steps);
    there = calloc((size_t)count, sizeof *there);
    if (!there)
        return deer_fail(err, "out of memory for %d episodes", count);
    status = cache_shard_identities(s->cache, s->about, shard, there, exists, err);
    for (int i = 0; i < count && !status && *exists; i++)
        status = compare(s, shard, first + i, &there[i], err);
    free(there);
    return status;
}

void replay_seen_share(replay_seen *s)
{
    _Static_assert(sizeof *s->identity == 2 * sizeof(int64_t), "two numbers");
    cluster_count((int64_t *)s->identity, 2 * (int64_t)s->about->episodes);
}

void replay_seen_fingerprint(const replay_seen *s, char fingerprint[DEER_FINGERPRINT])
{
    demos_fingerprint_of(s->identity, s->about->episodes, fingerprint);
}
