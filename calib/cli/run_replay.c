/* SPDX-License-Identifier: MIT */
/* run_replay.c - replay, seen by a person. */
#include "calib/cli/run_replay.h"

#include <stdio.h>

#include "runtime/cli/tool.h"

typedef struct {
    tool_progress bar;
    bool started;
} watch;

static void show(void *context, long done, long total)
{
    watch *w = context;

    if (!w->started)
        tool_progress_start(&w->bar, "replay", "steps", (double)total);
    w->started = true;
    tool_progress_update(&w->bar, (double)done);
}

deer_status run_replay(const replay_spec *spec, replay_report *report, deer_error *err)
{
    watch w = {.started = false};
    replay_spec watched = *spec;
    deer_status status;

    watched.progress = show;
    watched.context = &w;
    status = replay(&watched, report, err);
    if (w.started)
        tool_progress_end(&w.bar);
    if (status)
        return status;
    fprintf(stderr, "%s: %ld episodes, %ld steps", spec->demos, report->episodes, report->steps);
    if (report->replayed < report->steps)
        fprintf(stderr, ", %ld replayed now", report->replayed);
    fprintf(stderr, " in %.1f s (%.0f steps/s)\n", report->seconds,
            (double)report->replayed / report->seconds);
    if (report->unknown_words)
        fprintf(
            stderr,
            "%s: %d of %ld instructions have words that the model does not know, which all mean "
            "the same to it\n",
            spec->demos, report->unknown_words, report->episodes);
    if (report->missing)
        fprintf(stderr,
                "%s: %d of %d shards are not there yet (other parts or processes write them)\n",
                spec->cache, report->missing, report->shards);
    return DEER_OK;
}
