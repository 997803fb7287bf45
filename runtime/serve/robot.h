/* SPDX-License-Identifier: MIT */
/* robot.h - a robot at the other end of a connection: its session, and what its messages do to it.
 *
 *   fleet f;                                  // what all robots share
 *   robot *r = robot_new(&f, &err);
 *   robot_answer(r, &request, &answer, &err); // message -> message; from one thread at a time
 *   robot_free(r);
 */
#ifndef SERVE_ROBOT_H
#define SERVE_ROBOT_H

#include "runtime/serve/metrics.h"
#include "runtime/serve/protocol.h"
#include "runtime/serve/step_log.h"

typedef struct {
    const deer_model *model;
    const deer_thresholds *thresholds;
    protocol_keys keys;
    double rate;   /* control steps a second: a step may take a period; NaN: as long as it takes */
    double govern; /* GFLOPs a step on average, of each robot; NaN: as the thresholds have it */
    int64_t horizon; /* of that, steps; 0: the library's default */
    metrics *counts;
    step_log *log;          /* or NULL */
    pthread_mutex_t drifts; /* guards drift */
    deer_drift *drift;      /* or NULL: nothing to compare with */
} fleet;

typedef struct robot robot;

/* number: its name in the log. The session is made with the first message. */
robot *robot_new(fleet *all, uint64_t number);
void robot_free(robot *r);

typedef struct {
    const uint8_t *message;
    size_t size;
    double arrived;       /* clock_seconds() at its last byte */
    double prev_total_ms; /* of the answer before; NaN: there was none */
} robot_request;

/* Takes an observation, does a step and writes the answer. A new prompt begins a new episode. On
 * failure err is for whoever sent the message: one line, nothing of the inside; the rest goes to
 * standard error. */
deer_status robot_answer(robot *r, const robot_request *request, msgpack_buffer *answer,
                         deer_error *err);

#endif
