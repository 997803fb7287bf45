/* SPDX-License-Identifier: MIT */
/* report.h - everything that one what-if report says, computed once.
 *
 *   report r;
 *   status = report_make(&q, &r, &err);
 *   ... report_json(&r), report_page(..) ...
 *   report_free(&r);
 */
#ifndef REPORTS_REPORT_H
#define REPORTS_REPORT_H

#include "reports/answer/fleet.h"
#include "reports/answer/given.h"
#include "reports/answer/tasks.h"
#include "reports/answer/trust.h"

enum { REPORT_MOMENTS = 12 };

typedef struct {
    const question *q;
    cache *c;
    char model_name[64]; /* of the policy in the cache */
    deer_config config;  /* whose costs count: the cache's, or a published shape */
    bool mapped;         /* the latter */
    int tokens;          /* of an instruction, mean over the steps, rounded */
    int longest;         /* of an instruction, tokens */
    given given;
    calibration p;
    sweep w;
    success_curve success;
    tasks t;
    task_sums *sums; /* [budgets, t.n], every exit allowed */
    fleet f;
    int recommended; /* budget index on the frontier of the deepest exit */
    int moments;
    task_moment moment[REPORT_MOMENTS];
    trust trust;
} report;

/* The report's parts in order. Opens the cache; DEER_INFEASIBLE only when the sweep lies below what
 * the first exit costs. Machines that meet nothing are an answer, not an error. */
deer_status report_make(const question *q, report *r, deer_error *err);
void report_free(report *r);

/* Sums by task at a budget, every exit allowed. */
const task_sums *report_sums(const report *r, int budget);

/* No machine meets the demands at any rate: DEER_INFEASIBLE and the nearest; else DEER_OK. */
deer_status report_verdict(const report *r, deer_error *err);

#endif
