/* SPDX-License-Identifier: MIT */
/* table_report.c - the frontier of a table. */
#include "reports/answer/table_report.h"

#include <math.h>

#include "reports/answer/fleet.h"

/* Whether any delta is a number, and whether any exit has two that differ. */
static void look_at_deltas(const steps *s, bool *number, bool *differ)
{
    *number = *differ = false;
    for (int k = 0; k < s->exits - 1; k++) {
        const float *delta = s->delta + k * s->n;

        for (int64_t i = 0; i < s->n; i++) { /* NaN: never */
            *number = *number || !isnan(delta[i]);
            *differ = *differ || (delta[i] != delta[0] && !(isnan(delta[i]) && isnan(delta[0])));
        }
    }
}

/* A table that leaves thresholds nothing to choose is a mistake of whoever wrote it. */
static deer_status check_choice(const steps *s, const char *path, deer_error *err)
{
    double full = steps_fixed_cost(s, s->exits - 1);
    bool number, differ;

    if (s->exits < 2)
        return deer_fail(err, "%s has one exit; thresholds need two or more to choose from", path);
    if (!(full > 0))
        return deer_fail(err, "%s: full depth costs nothing, which leaves nothing to save", path);
    if (!(steps_fixed_cost(s, 0) < full))
        return deer_fail(err, "%s: every exit costs %g, which leaves nothing to save", path, full);
    look_at_deltas(s, &number, &differ);
    if (!number)
        return deer_fail(err,
                         "%s: no delta before the last exit is a finite number, so that no step "
                         "can leave early; write what thresholds are to be compared with",
                         path);
    if (!differ)
        return deer_fail(err,
                         "%s: the deltas of each exit are all the same, which tells no step from "
                         "another; write what thresholds are to be compared with",
                         path);
    return DEER_OK;
}

deer_status table_report_make(const question *q, table_report *r, deer_error *err)
{
    sweep_spec range = {.budgets = q->budgets,
                        .from = q->from,
                        .to = q->to,
                        .seed = q->seed,
                        .threads = q->threads,
                        .progress = q->progress,
                        .context = q->context};
    deer_status status;

    *r = (table_report){.recommended = -1};
    if (table_file_read(q->table, &r->table, err))
        return DEER_FAILED;
    r->p.s = r->table.s;
    status = check_choice(&r->p.s, q->table, err);
    if (!status)
        status = sweep_make(&r->p, &range, &r->w, err);
    if (status) {
        table_report_free(r);
        return status;
    }
    r->max_loss = fleet_max_loss(q, r->w.fixed[0].at.loss, r->w.fixed[r->w.exits - 1].at.loss);
    r->recommended = sweep_cheapest(&r->w, r->w.exits - 1, r->max_loss);
    return DEER_OK;
}

void table_report_free(table_report *r)
{
    sweep_free(&r->w);
    step_table_free(&r->table);
    *r = (table_report){.recommended = -1};
}
