/* SPDX-License-Identifier: MIT */
/* metrics.h - what a policy server counts, as Prometheus reads it. Any thread may count. */
#ifndef SERVE_METRICS_H
#define SERVE_METRICS_H

#include <pthread.h>

#include "runtime/deer_drift.h"

enum { METRICS_BUCKETS = 14 };

/* Times, counted by how long they were. */
typedef struct {
    uint64_t count[METRICS_BUCKETS + 1]; /* the last: longer than every bound */
    double sum;                          /* seconds */
} metrics_histogram;

typedef struct {
    pthread_mutex_t lock;
    int exits;
    double budget; /* GFLOPs a step that were asked for; NaN: none */
    bool governed; /* it is kept, for each robot by itself */
    double most_ahead;
    uint64_t taken[DEER_MAX_EXITS];
    double gflops, llm_gflops;
    uint64_t late, failures;          /* steps; requests that were answered with an error */
    metrics_histogram step, request;  /* inside deer_step; from the message's end to the answer */
    uint64_t connections, refused;    /* ever */
    uint64_t open, queued, most_open; /* now, and at most */
    bool watched;                     /* drift says something */
    deer_drift_report drift;
} metrics;

/* What one answered request was. */
typedef struct {
    int exit;
    double llm_gflops, budget_gflops; /* in the budget's scope, and the language model's alone */
    double step_seconds, request_seconds;
    double ahead_gflops; /* of a governed budget: what the robot has used beyond it so far */
    bool late;
} metrics_step;

/* budget: GFLOPs a step on average, NaN where none was asked for; governed: it is kept, whatever
 * robots meet. */
void metrics_start(metrics *m, int exits, double budget, bool governed);
void metrics_end(metrics *m);

void metrics_count_step(metrics *m, const metrics_step *step);
void metrics_count_failure(metrics *m);
void metrics_count_drift(metrics *m, const deer_drift_report *report);

/* A connection came or went, or was turned away. */
void metrics_count_open(metrics *m, int change);
void metrics_count_refused(metrics *m);
void metrics_count_queued(metrics *m, int change);

/* All of it as a text, for the caller to free; NULL when out of memory. */
char *metrics_text(metrics *m);

#endif
