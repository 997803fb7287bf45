/* stage_log.h - the stages of many steps: how long each took, and how close to the machine's
 * limits.
 *
 *   stage_log log;
 *   if (stage_log_start(&log, session, 1000, &err)) ...
 *   for (...) { deer_step(session, ...); stage_log_step(&log); }
 *   stage_log_stop(&log, session);
 *   n = stage_log_rows(&log, config, tokens, DEER_F32, &limits, rows);
 *   stage_log_print(rows, n, &limits);
 *   stage_log_free(&log);
 */
#ifndef RUN_STAGE_LOG_H
#define RUN_STAGE_LOG_H

#include <jansson.h>

#include "budgets/stages.h"
#include "runtime/profile.h"
#include "runtime/run/limits.h"

typedef struct {
    deer_profile now; /* of the step that runs or just ran */
    long steps, room; /* steps beyond room are not kept */
    float *ms; /* [room, PROFILE_STAGES], of one run of the stage; NaN where it did not run */
    long runs[PROFILE_STAGES];
} stage_log;

/* One stage over all steps kept. */
typedef struct {
    deer_stage stage;
    char name[32];
    double runs;             /* a step, on average */
    double median, p10, p90; /* milliseconds a run */
    deer_work work;          /* of a run; nothing for stages that hardly compute */
    double gbs, gflops;      /* weights read, arithmetic (two for a multiply-add), at the median */
    double of_read, of_peak; /* as fractions of the machine's limits; NaN where unknown */
} stage_row;

/* Memory for `room` steps; the session reports to the log until stage_log_stop. */
deer_status stage_log_start(stage_log *log, deer_session *session, long room, deer_error *err);
void stage_log_stop(stage_log *log, deer_session *session);
void stage_log_free(stage_log *log);

/* Keeps the times of the step that just ran. */
void stage_log_step(stage_log *log);

/* Into rows, one for each stage that ran, in order of execution; returns how many. */
int stage_log_rows(const stage_log *log, const deer_config *config, int tokens, deer_dtype dtype,
                   const machine_limits *limits, stage_row rows[PROFILE_STAGES]);

/* The limit of arithmetic that products of this type run against. */
double stage_peak(const machine_limits *limits, deer_dtype dtype);

void stage_log_print(const stage_row *rows, int count, const machine_limits *limits);

/* A new object {"limits": {...}, "stages": [...]}. */
json_t *stage_log_json(const stage_row *rows, int count, const machine_limits *limits);

#endif
