/* SPDX-License-Identifier: MIT */
/* table.c - rows of costs, losses and exits. */
#include "calib/cli/table.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/tau.h"

#include <math.h>
#include <string.h>

static void print_row(FILE *out, const operating_point *r, int exits, double share, bool table)
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

void table_print(FILE *out, const operating_point *rows, int n, int exits, double full_llm,
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

static json_t *camera_json(const deer_camera_rule *rule)
{
    return json_pack("{s:i, s:o}", "age", rule->age, "rho", number((double)rule->rho));
}

static json_t *cameras_json(const deer_camera_rules *r)
{
    return json_pack("{s:o, s:o, s:b}", "static", camera_json(&r->static_view), "gripper",
                     camera_json(&r->gripper_view), "stagger", (int)r->stagger);
}

json_t *table_json(const operating_point *r)
{
    json_t *json = json_object(), *fractions = json_array(), *tau = json_array();

    for (int k = 0; k <= r->max_exit; k++) {
        json_push(fractions, number(r->fraction[k]));
        json_push(tau, k == r->max_exit      ? json_null()
                       : tau_word(r->tau[k]) ? json_string(tau_word(r->tau[k]))
                                             : json_real((double)r->tau[k]));
    }
    json_put(json, "name", json_string(r->name));
    if (r->cameras.static_view.age || r->cameras.gripper_view.age)
        json_put(json, "cameras", cameras_json(&r->cameras));
    json_put(json, "average_llm_gflops", number(r->llm));
    json_put(json, "average_total_gflops", number(r->total));
    json_put(json, "peak_llm_gflops", number(r->peak_llm));
    json_put(json, "peak_total_gflops", number(r->peak_total));
    json_put(json, "loss", number(r->loss));
    json_put(json, "exit_fraction", fractions);
    json_put(json, "tau", tau);
    return json;
}
