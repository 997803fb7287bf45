/* SPDX-License-Identifier: MIT */
/* stage_log.h - the stages of many steps: how long each took, and how close to the machine's
 * limits.
 *
 *   stage_log log;
 *   stage_table table;
 *   if (stage_log_start(&log, model, session, 1000, &err)) ...
 *   deer_step(session, ...); stage_log_skip(&log);                    // a warm-up
 *   for (...) { deer_step(session, ...); stage_log_step(&log, 2); }
 *   if (limits_measure(threads, &table.limits, &err) || stage_log_table(&log, &table, &err)) ...
 *   stage_table_print(&table);
 *   stage_log_end(&log);
 *
 * Steps may leave at different exits, and instructions may change between them. */
#ifndef RUN_STAGE_LOG_H
#define RUN_STAGE_LOG_H

#include <jansson.h>

#include "budgets/cost/stages.h"
#include "budgets/measure/limits.h"
#include "runtime/policy/profile.h"

/* A column for each stage, and one for all stages of a step together. */
enum { STAGE_LOG_WHOLE = PROFILE_STAGES, STAGE_LOG_COLUMNS };

typedef struct {
    const deer_model *model;
    deer_session *session;
    deer_profile now; /* of the step that runs or just ran */
    long steps, room; /* steps beyond room are not kept */
    float *ms;        /* [room, STAGE_LOG_COLUMNS], of one run; NaN where the stage did not run */
    long runs[STAGE_LOG_COLUMNS];
    double seconds[STAGE_LOG_COLUMNS]; /* sum over the runs */
    deer_work work[STAGE_LOG_COLUMNS]; /* likewise, except for the products, the same every run */
} stage_log;

/* One stage over all steps kept. */
typedef struct {
    deer_stage stage;
    char name[32];
    long all_runs;
    double runs;                   /* a step, on average */
    double mean, median, p10, p90; /* milliseconds a run; of several in a step, their average */
    double share;                  /* of runs * median among all stages, 0 to 1 */
    deer_work work;                /* of an average run; nothing for stages that hardly compute */
    double gbs, gflops;      /* weights read, arithmetic (two for a multiply-add), at the median */
    double of_read, of_peak; /* as fractions of the machine's limits; NaN where unknown */
} stage_row;

/* All of them. */
typedef struct {
    machine_limits limits; /* what rates are compared with */
    long steps;
    int rows;
    stage_row row[PROFILE_STAGES]; /* one for each stage that ran, in order of execution */
    stage_row whole;               /* a step: its stages together */
} stage_table;

/* Memory for `room` steps; the session (of that model) reports to the log until stage_log_end,
 * which frees the memory and may be given a zeroed log, too. */
deer_status stage_log_start(stage_log *log, const deer_model *model, deer_session *session,
                            long room, deer_error *err);
void stage_log_end(stage_log *log);

/* Keeps the times of the step that just ran, which encoded so many cameras, or forgets them. */
void stage_log_step(stage_log *log, int encodings);
void stage_log_skip(stage_log *log);

/* Fills the table, whose limits are there already. */
deer_status stage_log_table(const stage_log *log, stage_table *table, deer_error *err);

/* The limit of arithmetic that products of this type run against. */
double stage_peak(const machine_limits *limits, weight_dtype dtype);

void stage_table_print(const stage_table *table);

/* A new object {"limits": {...}, "steps": n, "step": {...}, "stages": [...]}. */
json_t *stage_table_json(const stage_table *table);

#endif
