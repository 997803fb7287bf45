/* SPDX-License-Identifier: MIT */
/* table.c - rows of costs, losses and exits. */
#include "calib/cli/table.h"

#include <math.h>
#include <string.h>

void table_row_of(const calibration *p, const char *name, const float *tau, int max_exit,
                  table_row *row)
{
    evaluation e;

    steps_evaluate(&p->s, tau, max_exit, &e);
    *row =
        (table_row){.max_exit = max_exit,
                    .llm = p->llm ? steps_mean_cost(&p->s, p->llm, tau, max_exit) : NAN,
                    .total = p->total ? steps_mean_cost(&p->s, p->total, tau, max_exit) : e.cost,
                    .peak_llm = p->llm ? p->peak_llm[max_exit] : NAN,
                    .peak_total = p->total ? p->peak_total[max_exit] : steps_peak(&p->s, max_exit),
                    .loss = e.loss};
    snprintf(row->name, sizeof row->name, "%s", name);
    memcpy(row->fraction, e.fraction, sizeof row->fraction);
    memcpy(row->tau, tau, (size_t)(max_exit + 1) * sizeof *tau);
}

static void print_row(FILE *out, const table_row *r, int exits, double share, bool table)
{
    fprintf(out, "%-16s ", r->name);
    if (!table)
        fprintf(out, "%10.5f ", r->llm);
    fprintf(out, "%10.5f %6.1f%% %9.5f ", r->total, 100 * share, r->loss);
    for (int k = 0; k < exits; k++)
        if (k <= r->max_exit)
            fprintf(out, " %5.1f", 100 * r->fraction[k]);
        else
            fprintf(out, "     -");
    fprintf(out, "\n");
}

void table_print(FILE *out, const table_row *rows, int n, int exits, double full_llm,
                 double full_total, const char *scope)
{
    bool llm = !strcmp(scope, "llm"), table = !strcmp(scope, "cost");

    if (table)
        fprintf(out, "%-16s %10s %7s %9s  %% of steps leaving at exit\n", "", "cost", "of full",
                "loss");
    else
        fprintf(out, "%-16s %10s %10s %7s %9s  %% of steps leaving at exit\n", "", "llm", "total",
                llm ? "of llm" : "of all", "loss");
    fprintf(out, table ? "%-16s %10s %7s %9s " : "%-16s %10s     GFLOPs %7s %9s ", "",
            table ? "" : "GFLOPs", "", "");
    for (int k = 0; k < exits; k++)
        fprintf(out, " %5d", k);
    fprintf(out, "\n");
    for (int i = 0; i < n; i++)
        print_row(out, &rows[i], exits, llm ? rows[i].llm / full_llm : rows[i].total / full_total,
                  table);
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *table_row_json(const table_row *r)
{
    json_t *json = json_object(), *fractions = json_array(), *tau = json_array();

    for (int k = 0; k <= r->max_exit; k++) {
        json_array_append_new(fractions, number(r->fraction[k]));
        json_array_append_new(tau, k == r->max_exit    ? json_null()
                                   : r->tau[k] < -1e7f ? json_string("never")
                                                       : json_real((double)r->tau[k]));
    }
    json_object_set_new(json, "name", json_string(r->name));
    json_object_set_new(json, "average_llm_gflops", number(r->llm));
    json_object_set_new(json, "average_total_gflops", number(r->total));
    json_object_set_new(json, "peak_llm_gflops", number(r->peak_llm));
    json_object_set_new(json, "peak_total_gflops", number(r->peak_total));
    json_object_set_new(json, "loss", number(r->loss));
    json_object_set_new(json, "exit_fraction", fractions);
    json_object_set_new(json, "tau", tau);
    return json;
}
