/* SPDX-License-Identifier: MIT */
/* replay_seen.h - which recordings a replay has read, and whether a cache's shards are of them.
 *
 *   replay_seen seen = {.recorded = demos, .path = "demos.h5", .cache = "cache", .about = &about};
 *   if (replay_seen_open(&seen, &err)) ...
 *   replay_seen_note(&seen, &shard);                     // it has been made, of what was read
 *   if (replay_seen_check(&seen, index, &exists, &err))  // it was there: read it if nobody has
 *   replay_seen_share(&seen);
 *   if (replay_seen_check(.., every shard, ..)) ...
 *   replay_seen_fingerprint(&seen, about.demos);
 *   replay_seen_close(&seen);
 *
 * A demonstration is read once: to be replayed, or, where its shard is there, to be compared with
 * what the shard says that it is of. Processes that share a cache may have been given different
 * recordings of the same names and lengths: so who finishes it compares the shards of the others,
 * too, and what they are of then, not what they were of when somebody looked.
 */
#ifndef CALIB_REPLAY_SEEN_H
#define CALIB_REPLAY_SEEN_H

#include "calib/cache/cache.h"
#include "datasets/demos/demos.h"

typedef struct {
    /* the caller's */
    demos *recorded;
    const char *path;  /* of the recordings, for messages */
    const char *cache; /* folder */
    const cache_manifest *about;

    demos_identity *identity; /* [about->episodes]; zero: not read */
} replay_seen;

deer_status replay_seen_open(replay_seen *seen, deer_error *err);
void replay_seen_close(replay_seen *seen);

/* From any thread, one for a shard. *exists is false, without an error, where there is none. */
void replay_seen_note(replay_seen *seen, const cache_shard *shard);
deer_status replay_seen_check(replay_seen *seen, int shard, bool *exists, deer_error *err);

/* What every rank has read, on all; each demonstration has been read by one at most. */
void replay_seen_share(replay_seen *seen);

/* Whether the episodes of a shard have been read. */
bool replay_seen_has(const replay_seen *seen, int shard);

/* Of all demonstrations, when all have been read: demos_fingerprint's. */
void replay_seen_fingerprint(const replay_seen *seen, char fingerprint[DEER_FINGERPRINT]);

#endif
