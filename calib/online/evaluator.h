/* SPDX-License-Identifier: MIT */
/* evaluator.h - a command that tries thresholds, and prints how it went.
 *
 *   evaluator e = {.command = "deer-sim eval --model M --thresholds {thresholds} --seed {seed} "
 *                             "--episodes {episodes} --json", .cost = "llm_gflops", .timeout =
 * 600}; evaluator_run(&e, "/tmp/t.json", 7, 2, &result, &err);
 *
 * The command is run by sh, with {thresholds} replaced by a file's name, {seed} and {episodes} by
 * numbers. It prints one JSON object with "success", 0 to 1, the mean cost of a step as "cost", or
 * as the name given here, and "rollouts", how many it judged (1 where it does not say).
 */
#ifndef CALIB_EVALUATOR_H
#define CALIB_EVALUATOR_H

#include "calib/online/search.h"

typedef struct {
    const char *command;
    const char *cost; /* a second name of "cost" */
    double timeout;   /* seconds; then the command and what it started are killed */
} evaluator;

/* One run. Fails with a line that names the command where it cannot be run, ends with another
 * status than 0 (and then has its last word), prints what is not that, or takes too long. */
deer_status evaluator_run(const evaluator *e, const char *thresholds, uint64_t seed, int episodes,
                          online_result *result, deer_error *err);

/* What a command printed, n bytes; `name` starts the messages. */
deer_status evaluator_read(const evaluator *e, const char *name, const char *text, size_t n,
                           online_result *result, deer_error *err);

#endif
