/* SPDX-License-Identifier: MIT */
/* run_replay.h - replay with a progress bar and a closing line on standard error, which names the
 * demonstrations: the cache may be a temporary one.
 *
 *   replay_watch w = {.started = false};
 *   spec.progress = replay_watch_show, spec.context = &w;
 *   if (!replay(&spec, &report, &err))
 *       replay_watch_end(&w, &spec, &report);
 */
#ifndef CALIB_RUN_REPLAY_H
#define CALIB_RUN_REPLAY_H

#include "calib/replay/replay.h"
#include "runtime/cli/tool.h"

typedef struct {
    tool_progress bar;
    bool started;
} replay_watch;

/* For replay_spec.progress. */
/* Says what ages of cameras take. */
void replay_watch_announce(void *context, const cache_manifest *about, uint64_t bytes);
void replay_watch_show(void *context, long done, long total);

/* Ends the bar and says what was replayed; for calibrate_source.replayed. */
void replay_watch_end(void *context, const replay_spec *spec, const replay_report *report);

/* All of it. */
deer_status run_replay(const replay_spec *spec, replay_report *report, deer_error *err);

#endif
