/* SPDX-License-Identifier: MIT */
/* report_csv.c - a report as one table. */
#include "reports/formats/report_csv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "reports/formats/text.h"
#include "runtime/base/tau.h"

static const char header[] =
    "machine,mode,dtype,rate_hz,budget_gflops,verdict,deepest_exit,llm_gflops,total_gflops,loss,"
    "loss_low,loss_high,success,latency_ms,latency_low_ms,latency_high_ms,p99_ms,sustained_hz,"
    "energy_j,watts,memory_bytes,price_usd,support,runtime,sure,thresholds,exit_fractions\n";

static void number(FILE *out, double value)
{
    fputc(',', out);
    if (isfinite(value))
        fprintf(out, "%.6g", value);
}

static void thresholds(FILE *out, const sweep_point *x)
{
    fputc(',', out);
    for (int k = 0; k <= x->at.max_exit; k++)
        if (k == x->at.max_exit)
            fputs("always", out);
        else if (tau_word(x->at.tau[k]))
            fprintf(out, "%s ", tau_word(x->at.tau[k]));
        else
            fprintf(out, "%.6g ", (double)x->at.tau[k]);
    fputc(',', out);
    for (int k = 0; k <= x->at.max_exit; k++)
        fprintf(out, "%s%.6g", k ? " " : "", x->at.fraction[k]);
}

static void policy_columns(FILE *out, const report *r, const sweep_point *x)
{
    interval ignored;
    double success;

    success_at(&r->success, x->at.cost, &success, &ignored);
    number(out, x->at.llm);
    number(out, x->at.total);
    number(out, x->at.loss);
    number(out, x->loss_95.low);
    number(out, x->loss_95.high);
    number(out, success);
}

static void machine_columns(FILE *out, const fleet_point *at)
{
    number(out, 1e3 * at->seconds.expected);
    number(out, 1e3 * at->seconds.low);
    number(out, 1e3 * at->seconds.high);
    number(out, 1e3 * at->p99.expected);
    number(out, 1 / at->seconds.expected);
    number(out, at->joules.expected);
    number(out, at->watts.expected);
}

/* The whole computer's price, what deer is there, whose times these are, whether also at worst. */
static void machine_facts(FILE *out, const report *r, const deer_hardware *h, const fleet_budget *b)
{
    static const char *const support[SUPPORTS] = {"measured", "runs", "other", "cannot"};

    number(out, fleet_price(r->q, h).expected);
    fprintf(out, ",%s,%s,%s", support[deer_hardware_support(h)], runtime_name(r->q->runtime),
            b->sure ? "yes" : "no");
}

static void row(FILE *out, const report *r, const fleet_answer *a, int budget)
{
    const fleet_option *o = &r->f.option[a->option];
    const deer_hardware *h = &r->f.machine[o->machine];
    const sweep_point *x = a->deepest < 0 ? NULL : &r->w.frontier[a->deepest].ours[budget];
    fleet_budget does = fleet_at(r->q, &r->w, &r->success, &r->f, a, budget);

    text_csv(out, h->name);
    fputc(',', out);
    text_csv(out, h->mode[o->mode].name);
    fprintf(out, ",%s", weight_dtype_name(r->q->dtype[a->dtype]));
    number(out, r->q->rate[a->rate]);
    number(out, r->w.budget[budget]);
    fprintf(out, ",%s,", fleet_verdict_name(does.verdict));
    if (!x) {
        fputs(",,,,,,,,,,,,,,", out);
        machine_facts(out, r, h, &does);
        fputs(",,\n", out);
        return;
    }
    fprintf(out, "%d", a->deepest);
    policy_columns(out, r, x);
    machine_columns(out, &does.at);
    number(out, o->costs[a->dtype].memory[a->deepest].total.expected);
    machine_facts(out, r, h, &does);
    thresholds(out, x);
    fputc('\n', out);
}

char *report_csv_text(const report *r, size_t *size)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, size);

    if (!out)
        return NULL;
    fputs(header, out);
    for (int i = 0; i < r->f.answers; i++)
        for (int b = 0; b < r->w.budgets; b++)
            row(out, r, &r->f.answer[i], b);
    if (!(ferror(out) | fclose(out)))
        return text;
    free(text);
    return NULL;
}
