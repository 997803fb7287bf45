/* SPDX-License-Identifier: MIT */
/* outcome.h - what a solve found, for people and for machines. */
#ifndef CALIB_OUTCOME_H
#define CALIB_OUTCOME_H

#include "calib/cli/arguments.h"
#include "calib/cli/table.h"
#include "calib/criterion/score.h"

typedef struct {
    const char *source; /* folder or file */
    const char *scope;  /* "llm", "total", or "cost" of a table */
    int episodes, exits;
    int64_t steps;
    double budget;               /* average, infinity: none */
    double peak, memory;         /* of the deepest exit allowed; memory NaN when not known */
    double full_llm, full_total; /* means at the deepest exit there is: what 100% is */
    solution x;                  /* solver, passes and seconds; its thresholds are found's */
    table_row full, official, found;
    bool has_official;
    double oracle_loss, gap_closed; /* gap NaN when there is none */
    score_verdict held_out; /* the same on episodes not solved on, and for another criterion */
    const calibration_spec *problem;
    bool has_history; /* the following three; not of tables */
    history_kind history;
    const onpolicy_result *rounds;
    guarantee promised;
} outcome;

/* Fills in the oracle and the gaps, of steps under found's thresholds, whose average cost in the
 * unit of s->cost is `cost`. found and official are there already. */
void outcome_judge(outcome *o, const steps *s, double cost);

void outcome_print(FILE *out, const outcome *o);

/* A new object. */
json_t *outcome_json(const outcome *o);

/* The list of the official code's --thresholds: one number per exit, the last never reached. */
void outcome_print_official(FILE *out, const outcome *o);

#endif
