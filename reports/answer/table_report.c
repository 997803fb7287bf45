/* SPDX-License-Identifier: MIT */
/* table_report.c - the frontier of a table. */
#include "reports/answer/table_report.h"

#include "reports/answer/fleet.h"

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
    status = steps_fixed_cost(&r->p.s, r->p.s.exits - 1) > 0
                 ? sweep_make(&r->p, &range, &r->w, err)
                 : deer_fail(err, "%s: full depth costs nothing, which leaves nothing to save",
                             q->table);
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
