/* SPDX-License-Identifier: MIT */
/* run_bench.h - what deer-run bench measures, and prints. */
#ifndef RUN_BENCH_H
#define RUN_BENCH_H

#include "budgets/measure/stage_log.h"
#include "runtime/cli/tool.h"

typedef struct {
    const char *model, *profile_out, *hardware;
    long steps, side, tokens, encodings;
    double rate; /* steps a second; NaN: one behind the other */
    long late;   /* steps that began later, as those before took too long */
    bool profile;
    char device[96]; /* where it ran: "cpu" or a GPU's name; filled with the first exit */
    tool_progress progress;
} bench;

/* What one exit took. */
typedef struct {
    int exit, layer, tokens, threads;
    weight_dtype dtype;
    double open_ms, first_ms;         /* opening the model and a session; the first step */
    double median, p10, p90, p99;     /* milliseconds a step */
    double said, said_low, said_high; /* ms that the hardware profile says; NaN without one */
    double llm, total;                /* GFLOPs */
    size_t model_bytes, session_bytes;
    size_t predicted_bytes; /* what budgets/ says model and session take */
    size_t process_bytes;   /* in memory after all steps */
    long policy_bytes;      /* of them, what was not there before the model was opened */
    long growth;            /* bytes in memory after the timed steps, less those before */
} bench_exit;

/* Both print m [count] and the stages of the last of them, which may be NULL. */
void bench_print(const bench *b, const bench_exit *m, int count, const stage_table *stages);
deer_status bench_print_json(const bench *b, const bench_exit *m, int count,
                             const stage_table *stages, deer_error *err);

#endif
