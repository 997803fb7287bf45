/* SPDX-License-Identifier: MIT */
/* run_replay.h - replay with a progress bar and a closing line on standard error, which names the
 * demonstrations: the cache may be a temporary one. */
#ifndef CALIB_RUN_REPLAY_H
#define CALIB_RUN_REPLAY_H

#include "calib/replay/replay.h"

#define REPLAY_BATCH 8     /* observations a product takes: enough for large ones */
#define REPLAY_PER_SHARD 8 /* episodes of a shard: what a killed replay loses per thread */

deer_status run_replay(const replay_spec *spec, replay_report *report, deer_error *err);

#endif
