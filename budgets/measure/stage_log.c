/* SPDX-License-Identifier: MIT */
/* stage_log.c - the stages of many steps beside the machine's limits. */
#include "budgets/measure/stage_log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/measure/statistics.h"
#include "runtime/base/json/json_build.h"

/* ---------------------------------------------------------------- keeping ------------------ */

deer_status stage_log_start(stage_log *log, const deer_model *model, deer_session *session,
                            long room, deer_error *err)
{
    *log = (stage_log){.room = room};
    log->ms = malloc((size_t)room * STAGE_LOG_COLUMNS * sizeof *log->ms);
    if (!log->ms)
        return deer_fail(err, "out of memory for the stages of %ld steps", room);
    log->model = model;
    log->session = session;
    deer_session_profile(session, &log->now);
    return DEER_OK;
}

void stage_log_end(stage_log *log)
{
    if (log->session)
        deer_session_profile(log->session, NULL);
    free(log->ms);
    *log = (stage_log){0};
}

static deer_work work_of(deer_stage stage, int encodings, const deer_config *c,
                         const deer_stages *s)
{
    switch (stage) {
    case PROFILE_VISION:
        return encodings == 1 ? s->vision_one : s->vision;
    case PROFILE_RESAMPLER:
        return encodings == 1 ? s->resampler_one : s->resampler;
    case PROFILE_HEAD_BEGIN:
        return s->head_recurrent;
    case PROFILE_HEAD:
        return s->head_evaluation;
    default:
        return stage < PROFILE_LAYER ? (deer_work){0}
                                     : *deer_stages_layer(c, s, (int)(stage - PROFILE_LAYER));
    }
}

static void add_work(deer_work *sum, const deer_work *w, long runs)
{
    uint64_t n = (uint64_t)runs;

    sum->macs += n * w->macs;
    sum->weight_bytes += n * w->weight_bytes;
    sum->activation_bytes += n * w->activation_bytes;
    sum->products = w->products;
}

static void add_runs(stage_log *log, float *ms, int column, long runs, double seconds)
{
    ms[column] = runs ? (float)(1e3 * seconds / (double)runs) : NAN;
    log->runs[column] += runs;
    log->seconds[column] += seconds;
}

void stage_log_step(stage_log *log, int encodings)
{
    const deer_config *config = deer_model_config(log->model);
    float *ms = log->ms + (size_t)log->steps * STAGE_LOG_COLUMNS;
    double whole = 0;
    deer_stages stages;

    if (log->steps < log->room) {
        deer_stages_of(config, deer_session_tokens(log->session), deer_dtype_of(log->model),
                       &stages);
        for (int i = 0; i < PROFILE_STAGES; i++) {
            const deer_work work = work_of((deer_stage)i, encodings, config, &stages);
            add_runs(log, ms, i, log->now.count[i], log->now.seconds[i]);
            add_work(&log->work[i], &work, log->now.count[i]);
            whole += log->now.seconds[i];
        }
        add_runs(log, ms, STAGE_LOG_WHOLE, 1, whole);
        log->steps++;
    }
    stage_log_skip(log);
}

void stage_log_skip(stage_log *log)
{
    log->now = (deer_profile){0};
}

/* ---------------------------------------------------------------- rows --------------------- */

static void name_stage(deer_stage stage, char name[32])
{
    static const char *const names[PROFILE_LAYER] = {
        [PROFILE_PREPROCESS] = "preprocess",         [PROFILE_VISION] = "vision tower, 2 images",
        [PROFILE_RESAMPLER] = "resampler, 2 images", [PROFILE_EMBEDDING] = "embedding",
        [PROFILE_HEAD_BEGIN] = "head, W_hh h",       [PROFILE_HEAD] = "head, an evaluation"};

    if (stage < PROFILE_LAYER)
        snprintf(name, 32, "%s", names[stage]);
    else
        snprintf(name, 32, "decoder layer %d", stage - PROFILE_LAYER);
}

double stage_peak(const machine_limits *l, weight_dtype dtype)
{
    double peak = dtype == WEIGHT_BF16 ? l->bf16_gflops : dtype == WEIGHT_Q8 ? l->int8_gops : NAN;

    return isnan(peak) ? l->f32_gflops : peak; /* else weights are widened as they are read */
}

/* What the log has of a stage, or of whole steps; scratch [steps]. */
static void summarise(const stage_log *log, int column, double *scratch, stage_row *row)
{
    uint64_t runs = (uint64_t)log->runs[column];
    size_t n = 0;

    for (long t = 0; t < log->steps; t++) {
        float ms = log->ms[(size_t)t * STAGE_LOG_COLUMNS + (size_t)column];
        if (!isnan(ms))
            scratch[n++] = (double)ms;
    }
    sort_numbers(scratch, n);
    row->median = quantile(scratch, n, 0.5);
    row->p10 = quantile(scratch, n, 0.1);
    row->p90 = quantile(scratch, n, 0.9);
    row->mean = 1e3 * log->seconds[column] / (double)runs;
    row->all_runs = log->runs[column];
    row->runs = (double)runs / (double)log->steps;
    row->work = log->work[column];
    row->work.macs /= runs;
    row->work.weight_bytes /= runs;
    row->work.activation_bytes /= runs;
}

static void compare(stage_row *row, weight_dtype dtype, const machine_limits *limits)
{
    row->gbs = (double)row->work.weight_bytes / row->median / 1e6;
    row->gflops = deer_hardware_flops(row->work.macs) / row->median / 1e6;
    row->of_read = row->gbs / limits->read_gbs;
    row->of_peak = row->gflops / stage_peak(limits, dtype);
}

/* In the order in which a step runs them: W_hh h before the layers, evaluations behind them. */
static deer_stage in_order(int i)
{
    static const deer_stage before[] = {PROFILE_PREPROCESS, PROFILE_VISION, PROFILE_RESAMPLER,
                                        PROFILE_EMBEDDING, PROFILE_HEAD_BEGIN};

    if (i < 5)
        return before[i];
    return i < PROFILE_STAGES - 1 ? (deer_stage)(PROFILE_LAYER + i - 5) : PROFILE_HEAD;
}

/* From medians: one long pause of the machine would be most of the time of a short episode. */
static void set_shares(stage_table *t)
{
    double sum = 0;

    for (int i = 0; i < t->rows; i++)
        sum += t->row[i].runs * t->row[i].median;
    for (int i = 0; i < t->rows; i++)
        t->row[i].share = t->row[i].runs * t->row[i].median / sum;
    t->whole.share = 1;
}

deer_status stage_log_table(const stage_log *log, stage_table *table, deer_error *err)
{
    weight_dtype dtype = deer_dtype_of(log->model);
    double *scratch = malloc((size_t)(log->steps + 1) * sizeof *scratch);

    if (!scratch)
        return deer_fail(err, "out of memory for the stages of %ld steps", log->steps);
    table->steps = log->steps;
    table->rows = 0;
    for (int i = 0; i < PROFILE_STAGES; i++) {
        stage_row *row = &table->row[table->rows];
        deer_stage stage = in_order(i);
        if (!log->runs[stage])
            continue;
        row->stage = stage;
        name_stage(stage, row->name);
        summarise(log, (int)stage, scratch, row);
        compare(row, dtype, &table->limits);
        table->rows++;
    }
    table->whole = (stage_row){.name = "all of them, a step"};
    if (log->steps)
        summarise(log, STAGE_LOG_WHOLE, scratch, &table->whole);
    set_shares(table);
    free(scratch);
    return DEER_OK;
}

/* ---------------------------------------------------------------- printing ----------------- */

static void print_limit(const char *name, double value, const char *unit)
{
    if (isnan(value))
        printf("%s -", name);
    else
        printf("%s %.*f%s", name, value < 10 ? 2 : 0, value, unit);
}

static void print_limits(const machine_limits *l)
{
    if (l->device[0])
        printf("%s at most: copy ", l->device);
    else
        printf("this machine at most, %d thread%s: read ", l->threads, l->threads == 1 ? "" : "s");
    printf("%.1f GB/s", l->read_gbs);
    print_limit("; f32", l->f32_gflops, "");
    print_limit(", bf16", l->bf16_gflops, "");
    print_limit(", int8", l->int8_gops, " GFLOP/s");
    puts(" (a multiply-add is two)");
    if (l->device[0])
        printf("a dispatch behind another takes %.1f us, a submission %.0f us\n",
               1e6 * l->dispatch_seconds, 1e6 * l->submission_seconds);
}

static void print_row(const stage_row *r)
{
    printf("%-23s %6.3f %8.3f %8.3f %8.3f %6.1f%%", r->name, r->runs, r->median, r->p10, r->p90,
           100 * r->share);
    if (r->work.macs)
        printf(" %7.2f %6.1f%% %8.1f %6.1f%%", r->gbs, 100 * r->of_read, r->gflops,
               100 * r->of_peak);
    putchar('\n');
}

void stage_table_print(const stage_table *t)
{
    puts("                          runs         ms a run                      weights         "
         "arithmetic\n"
         "stage                   a step   median      p10      p90   share    GB/s of read  "
         "GFLOP/s of peak");
    for (int i = 0; i < t->rows; i++)
        print_row(&t->row[i]);
    print_row(&t->whole);
    putchar('\n');
    print_limits(&t->limits);
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *times_json(const stage_row *r)
{
    return json_pack("{s:o, s:o, s:o, s:o}", "ms_mean", number(r->mean), "ms_median",
                     number(r->median), "ms_p10", number(r->p10), "ms_p90", number(r->p90));
}

static json_t *row_json(const stage_row *r)
{
    json_t *json =
        json_pack("{s:s, s:I, s:f, s:o}", "stage", r->name, "runs", (json_int_t)r->all_runs,
                  "runs_a_step", r->runs, "share", number(r->share));
    json_t *work =
        json_pack("{s:I, s:I, s:o, s:o, s:o, s:o}", "macs", (json_int_t)r->work.macs,
                  "weight_bytes", (json_int_t)r->work.weight_bytes, "gbs", number(r->gbs), "gflops",
                  number(r->gflops), "of_read", number(r->of_read), "of_peak", number(r->of_peak));

    json_join(json, times_json(r));
    json_join(json, work);
    return json;
}

json_t *stage_table_json(const stage_table *t)
{
    const machine_limits *l = &t->limits;
    json_t *list = json_array();
    json_t *limits = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "threads", l->threads, "read_gbs",
                               number(l->read_gbs), "cache_gbs", number(l->cache_gbs), "f32_gflops",
                               number(l->f32_gflops), "bf16_gflops", number(l->bf16_gflops),
                               "int8_gops", number(l->int8_gops));

    if (l->device[0])
        json_join(limits, json_pack("{s:s, s:f, s:f}", "device", l->device, "dispatch_us",
                                    1e6 * l->dispatch_seconds, "submission_us",
                                    1e6 * l->submission_seconds));
    for (int i = 0; i < t->rows; i++)
        json_push(list, row_json(&t->row[i]));
    return json_pack("{s:o, s:I, s:o, s:o}", "limits", limits, "steps", (json_int_t)t->steps,
                     "step", times_json(&t->whole), "stages", list);
}
