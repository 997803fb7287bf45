/* SPDX-License-Identifier: MIT */
/* work.h - requests that wait for a thread to compute their answers, first come first served.
 *
 * A connection has at most one request here at a time, so the queue is never longer than there are
 * connections, and each of them has its turn. The event loop puts requests in and takes answers
 * out; it never waits for either. */
#ifndef SERVE_WORK_H
#define SERVE_WORK_H

#include "runtime/serve/robot.h"

/* One connection's request and its answer. Between work_put and work_done it is the workers'. */
typedef struct work_item {
    struct work_item *next; /* the queue's */
    robot *by;
    robot_request request;
    msgpack_buffer answer; /* emptied for each request */
    deer_status status;
    deer_error err;
    void *owner; /* the event loop's */
} work_item;

typedef struct work work;

/* Starts `workers` threads, whose products take `threads` threads each. wake is called, from any of
 * them, whenever an answer is there; it must not wait. */
deer_status work_start(int workers, int threads, metrics *counts, void (*wake)(void *context),
                       void *context, work **out, deer_error *err);

/* Ends the threads once they have finished what they are at; what waits stays undone. */
void work_end(work *w);

void work_put(work *w, work_item *item);

/* An item whose answer is there, or NULL. */
work_item *work_done(work *w);

#endif
