/* SPDX-License-Identifier: MIT */
/* step_log.h - a file of JSON lines, one a step, for the programs that people look at robots with.
 * Lines are appended whole, each in one write, from any thread; docs/serve.md has their fields. */
#ifndef SERVE_STEP_LOG_H
#define SERVE_STEP_LOG_H

#include "runtime/deer.h"

typedef struct step_log step_log;

/* Opens a regular file to append to, or makes it. */
deer_status step_log_open(const char *path, step_log **log, deer_error *err);

/* Closes it; fails where a line before was lost. NULL is no log. */
deer_status step_log_close(step_log *log, deer_error *err);

typedef struct {
    const char *episode;     /* what it is called; with the number of the robot, say */
    const char *instruction; /* written with the episode's first step */
    long step;               /* in the episode, from 0 */
    double llm_gflops, total_gflops;
    double ms; /* of deer_step */
} step_log_about;

/* Appends a step, with the time of day. A line that cannot be written is lost, and fails. */
deer_status step_log_write(step_log *log, const step_log_about *about, const deer_action *action,
                           deer_error *err);

#endif
