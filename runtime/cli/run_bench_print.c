/* SPDX-License-Identifier: MIT */
/* run_bench_print.c - what deer-run bench measured, as tables and as JSON. */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "budgets/machines/hardware.h"
#include "runtime/base/json/json_build.h"
#include "runtime/cli/run_bench.h"
#include "runtime/kernels/isa.h"

static double mb(long bytes)
{
    return (double)bytes / 1e6;
}

static void print_times(const bench_exit *m, int count)
{
    puts("                       ms a step                   GFLOPs a step         ms before\n"
         "exit layer   median      p10      p90      p99        llm      total     open  1st step");
    for (; count-- > 0; m++)
        printf("%4d %5d %8.3f %8.3f %8.3f %8.3f %10.6f %10.6f %8.2f %9.2f\n", m->exit, m->layer,
               m->median, m->p10, m->p90, m->p99, m->llm, m->total, m->open_ms, m->first_ms);
}

static void print_memory(const bench_exit *m, int count)
{
    puts("\n                        memory, MB\n"
         "exit layer     model   session  predicted  resident     off   process   growth");
    for (; count-- > 0; m++)
        printf("%4d %5d %9.2f %9.2f %10.2f %9.2f %+6.1f%% %9.2f %8.2f\n", m->exit, m->layer,
               mb((long)m->model_bytes), mb((long)m->session_bytes), mb((long)m->predicted_bytes),
               mb(m->policy_bytes),
               100 * ((double)m->policy_bytes / (double)m->predicted_bytes - 1),
               mb((long)m->process_bytes), mb(m->growth));
}

/* Of a GPU: what is on it and for it. The process holds the driver, of which nothing is predicted.
 */
static void print_device_memory(const bench_exit *m, int count)
{
    puts("\n                        memory, MB\n"
         "exit layer     model   session   process   growth");
    for (; count-- > 0; m++)
        printf("%4d %5d %9.2f %9.2f %9.2f %8.2f\n", m->exit, m->layer, mb((long)m->model_bytes),
               mb((long)m->session_bytes), mb((long)m->process_bytes), mb(m->growth));
}

/* Predicted beside measured. */
static void print_said(const bench *b, const bench_exit *m, int count)
{
    printf("\nms a step, against %s\n"
           "exit layer  measured  predicted    off                range\n",
           b->hardware);
    for (; count-- > 0; m++)
        printf("%4d %5d %9.3f %10.3f %+5.1f%% %9.3f to %9.3f\n", m->exit, m->layer, m->median,
               m->said, 100 * (m->said / m->median - 1), m->said_low, m->said_high);
}

/* The choice among instruction sets, and what it was made by. */
static void print_sets(void)
{
    int sets;
    const isa_time *time = isa_times(&sets);

    printf("\nmicroseconds of a product, and what is used: * (DEER_ISA=NAME decides)\n%-12s", "");
    for (int type = 0; type < WEIGHT_DTYPES; type++)
        printf(" %10s", weight_dtype_name((weight_dtype)type));
    putchar('\n');
    for (int i = 0; i < sets; i++) {
        printf("%-12s", time[i].set->name);
        for (int type = 0; type < WEIGHT_DTYPES; type++)
            printf(" %9.1f%c", 1e6 * time[i].seconds[type],
                   isa_of((weight_dtype)type) == time[i].set ? '*' : ' ');
        putchar('\n');
    }
}

void bench_print(const bench *b, const bench_exit *m, int count, const stage_table *s)
{
    bool here = !strcmp(b->device, "cpu");
    char rate[32] = "";

    if (!isnan(b->rate))
        snprintf(rate, sizeof rate, " at %g Hz", b->rate);
    printf("%s (%s): %d tokens, images of %ld x %ld, %ld steps an exit%s, %d thread%s%s%s\n\n",
           b->model, weight_dtype_name(m->dtype), m->tokens, b->side, b->side, b->steps, rate,
           m->threads, m->threads == 1 ? "" : "s", here ? "" : ", on ", here ? "" : b->device);
    print_times(m, count);
    if (b->late)
        printf("\n%ld steps began late: those before took longer than %.3g ms.\n", b->late,
               1e3 / b->rate);
    (here ? print_memory : print_device_memory)(m, count);
    if (b->hardware)
        print_said(b, m, count);
    if (here)
        print_sets();
    puts("\nEach row opens the model up to that exit and never leaves before it.");
    if (!s)
        return;
    printf("\nthe stages of exit %d\n\n", m[count - 1].exit);
    stage_table_print(s);
}

static json_t *exit_json(const bench_exit *m)
{
    return json_pack("{s:i, s:i, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:I, s:I, s:I, s:I, s:I, "
                     "s:I}",
                     "exit", m->exit, "layer", m->layer, "ms_median", m->median, "ms_p10", m->p10,
                     "ms_p90", m->p90, "ms_p99", m->p99, "ms_open", m->open_ms, "ms_first_step",
                     m->first_ms, "llm_gflops", m->llm, "total_gflops", m->total, "model_bytes",
                     (json_int_t)m->model_bytes, "session_bytes", (json_int_t)m->session_bytes,
                     "predicted_bytes", (json_int_t)m->predicted_bytes, "resident_bytes",
                     (json_int_t)m->policy_bytes, "process_bytes", (json_int_t)m->process_bytes,
                     "growth_bytes", (json_int_t)m->growth);
}

/* {type: {"used": set, "us": {set: microseconds}}}; a set that was not tried has none. */
static json_t *sets_json(void)
{
    json_t *root = json_object();
    int sets;
    const isa_time *time = isa_times(&sets);

    for (int type = 0; type < WEIGHT_DTYPES; type++) {
        json_t *us = json_object();
        for (int i = 0; i < sets; i++)
            json_put(us, time[i].set->name,
                     isinf(time[i].seconds[type]) ? json_null()
                                                  : json_real(1e6 * time[i].seconds[type]));
        json_put(root, weight_dtype_name((weight_dtype)type),
                 json_pack("{s:s, s:o}", "used", isa_of((weight_dtype)type)->name, "us", us));
    }
    return root;
}

deer_status bench_print_json(const bench *b, const bench_exit *m, int count, const stage_table *s,
                             deer_error *err)
{
    json_t *exits = json_array();
    json_t *root = json_pack("{s:s*, s:s, s:s, s:i, s:I, s:I, s:i, s:o}", "model", b->model,
                             "device", b->device, "type", weight_dtype_name(m->dtype), "tokens",
                             m->tokens, "image_side", (json_int_t)b->side, "steps",
                             (json_int_t)b->steps, "threads", m->threads, "exits", exits);

    if (!isnan(b->rate)) {
        json_put(root, "rate_hz", json_real(b->rate));
        json_put(root, "late_steps", json_integer(b->late));
    }
    for (int i = 0; i < count; i++) {
        json_t *exit = exit_json(&m[i]);
        if (!isnan(m[i].said))
            json_put(exit, "predicted_ms",
                     json_pack("[f, f, f]", m[i].said_low, m[i].said, m[i].said_high));
        json_push(exits, exit);
    }
    json_put(root, "instruction_sets", sets_json());
    if (s)
        json_put(root, "profile", stage_table_json(s));
    return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(6), err);
}
