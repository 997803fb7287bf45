/* SPDX-License-Identifier: MIT */
/* run_replay.c - replay, seen by a person. */
#include "calib/cli/run_replay.h"

#include <stdio.h>

void replay_watch_announce(void *context, const cache_manifest *about, uint64_t bytes)
{
    (void)context;
    if (cache_pairs(about))
        fprintf(stderr,
                "%d ages of the static camera and %d of the wrist's: the decoder runs %d times a "
                "step, features take %.1f MB\n",
                about->ages[0], about->ages[1], 1 + cache_pairs(about), (double)bytes / 1e6);
}

void replay_watch_show(void *context, long done, long total)
{
    replay_watch *w = context;

    if (!w->started)
        tool_progress_start(&w->bar, "replay", "steps", (double)total);
    w->started = true;
    tool_progress_update(&w->bar, (double)done);
}

void replay_watch_end(void *context, const replay_spec *spec, const replay_report *report)
{
    replay_watch *w = context;
    char name[256];

    if (w->started)
        tool_progress_end(&w->bar);
    w->started = false;
    snprintf(name, sizeof name, spec->files > 1 ? "%.200s and %d more" : "%.200s", spec->demos[0],
             spec->files - 1);
    fprintf(stderr, "%s: %ld episodes, %ld steps", name, report->episodes, report->steps);
    if (report->replayed < report->steps)
        fprintf(stderr, ", %ld replayed now", report->replayed);
    fprintf(stderr, " in %.1f s (%.0f steps/s)\n", report->seconds,
            (double)report->replayed / report->seconds);
    if (report->unknown_words)
        fprintf(
            stderr,
            "%s: %d of %ld instructions have words that the model does not know, which all mean "
            "the same to it\n",
            name, report->unknown_words, report->episodes);
    if (report->missing)
        fprintf(stderr,
                "%s: %d of %d shards are not there yet (other parts or processes write them)\n",
                spec->cache, report->missing, report->shards);
}

deer_status run_replay(const replay_spec *spec, replay_report *report, deer_error *err)
{
    replay_watch w = {.started = false};
    replay_spec watched = *spec;
    deer_status status;

    watched.announce = replay_watch_announce;
    watched.progress = replay_watch_show;
    watched.context = &w;
    status = replay(&watched, report, err);
    if (!status)
        replay_watch_end(&w, spec, report);
    else if (w.started)
        tool_progress_end(&w.bar);
    return status;
}
