/* stage_log.c - the stages of many steps beside the machine's limits. */
#include "runtime/run/stage_log.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/run/statistics.h"

/* ---------------------------------------------------------------- keeping ------------------ */

deer_status stage_log_start(stage_log *log, deer_session *session, long room, deer_error *err)
{
    memset(log, 0, sizeof *log);
    log->room = room;
    log->ms = malloc((size_t)room * PROFILE_STAGES * sizeof *log->ms);
    if (!log->ms)
        return deer_fail(err, "out of memory for the stages of %ld steps", room);
    deer_session_profile(session, &log->now);
    return DEER_OK;
}

void stage_log_stop(stage_log *log, deer_session *session)
{
    (void)log;
    deer_session_profile(session, NULL);
}

void stage_log_free(stage_log *log)
{
    free(log->ms);
    log->ms = NULL;
}

void stage_log_step(stage_log *log)
{
    float *ms = log->ms + (size_t)log->steps * PROFILE_STAGES;

    if (log->steps < log->room) {
        for (int i = 0; i < PROFILE_STAGES; i++) {
            long n = log->now.count[i];
            ms[i] = n ? (float)(1e3 * log->now.seconds[i] / (double)n) : NAN;
            log->runs[i] += n;
        }
        log->steps++;
    }
    memset(&log->now, 0, sizeof log->now);
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

static deer_work work_of(deer_stage stage, const deer_config *c, const deer_stages *s)
{
    switch (stage) {
    case PROFILE_VISION:
        return s->vision;
    case PROFILE_RESAMPLER:
        return s->resampler;
    case PROFILE_HEAD_BEGIN:
        return s->head_recurrent;
    case PROFILE_HEAD:
        return s->head_evaluation;
    default:
        return stage < PROFILE_LAYER ? (deer_work){0}
                                     : *deer_stages_layer(c, s, (int)(stage - PROFILE_LAYER));
    }
}

double stage_peak(const machine_limits *l, deer_dtype dtype)
{
    double peak = dtype == DEER_BF16 ? l->bf16_gflops : dtype == DEER_Q8 ? l->int8_gops : NAN;

    return isnan(peak) ? l->f32_gflops : peak; /* else weights are widened as they are read */
}

/* Median and spread of a stage's times; column of sorted, finite values in scratch [steps]. */
static void summarise(const stage_log *log, deer_stage stage, double *scratch, stage_row *row)
{
    size_t n = 0;

    for (long t = 0; t < log->steps; t++) {
        float ms = log->ms[(size_t)t * PROFILE_STAGES + stage];
        if (!isnan(ms))
            scratch[n++] = (double)ms;
    }
    sort_numbers(scratch, n);
    row->median = quantile(scratch, n, 0.5);
    row->p10 = quantile(scratch, n, 0.1);
    row->p90 = quantile(scratch, n, 0.9);
    row->runs = (double)log->runs[stage] / (double)log->steps;
}

static void compare(stage_row *row, deer_dtype dtype, const machine_limits *limits)
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

int stage_log_rows(const stage_log *log, const deer_config *config, int tokens, deer_dtype dtype,
                   const machine_limits *limits, stage_row rows[PROFILE_STAGES])
{
    double *scratch = malloc((size_t)(log->steps + 1) * sizeof *scratch);
    deer_stages stages;
    int count = 0;

    deer_stages_of(config, tokens, dtype, &stages);
    for (int i = 0; i < PROFILE_STAGES && scratch; i++) {
        stage_row *row = &rows[count];
        deer_stage stage = in_order(i);
        if (!log->runs[stage])
            continue;
        row->stage = stage;
        name_stage(stage, row->name);
        row->work = work_of(stage, config, &stages);
        summarise(log, stage, scratch, row);
        compare(row, dtype, limits);
        count++;
    }
    free(scratch);
    return count;
}

/* ---------------------------------------------------------------- printing ----------------- */

static void print_limit(const char *name, double value, const char *unit)
{
    if (isnan(value))
        printf("%s -", name);
    else
        printf("%s %.0f%s", name, value, unit);
}

static void print_limits(const machine_limits *l)
{
    printf("this machine at most, %d thread%s: read ", l->threads, l->threads == 1 ? "" : "s");
    printf("%.1f GB/s", l->read_gbs);
    print_limit("; f32", l->f32_gflops, "");
    print_limit(", bf16", l->bf16_gflops, "");
    print_limit(", int8", l->int8_gops, " GFLOP/s");
    puts(" (a multiply-add is two)");
}

void stage_log_print(const stage_row *rows, int count, const machine_limits *limits)
{
    double total = 0;

    puts("                          runs         ms a run             weights         arithmetic\n"
         "stage                   a step   median      p10      p90    GB/s of read  GFLOP/s of "
         "peak");
    for (int i = 0; i < count; i++) {
        const stage_row *r = &rows[i];
        printf("%-23s %6.2f %8.3f %8.3f %8.3f", r->name, r->runs, r->median, r->p10, r->p90);
        if (r->work.macs)
            printf(" %7.2f %6.1f%% %8.1f %6.1f%%", r->gbs, 100 * r->of_read, r->gflops,
                   100 * r->of_peak);
        putchar('\n');
        total += r->runs * r->median;
    }
    printf("%-23s        %8.3f\n\n", "all of them, a step", total);
    print_limits(limits);
}

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *stage_log_json(const stage_row *rows, int count, const machine_limits *l)
{
    json_t *list = json_array();
    json_t *limits = json_pack("{s:i, s:o, s:o, s:o, s:o, s:o}", "threads", l->threads, "read_gbs",
                               number(l->read_gbs), "cache_gbs", number(l->cache_gbs), "f32_gflops",
                               number(l->f32_gflops), "bf16_gflops", number(l->bf16_gflops),
                               "int8_gops", number(l->int8_gops));

    for (int i = 0; i < count; i++) {
        const stage_row *r = &rows[i];
        json_array_append_new(
            list, json_pack("{s:s, s:f, s:f, s:f, s:f, s:I, s:I, s:o, s:o, s:o, s:o}", "stage",
                            r->name, "runs_a_step", r->runs, "ms_median", r->median, "ms_p10",
                            r->p10, "ms_p90", r->p90, "macs", (json_int_t)r->work.macs,
                            "weight_bytes", (json_int_t)r->work.weight_bytes, "gbs", number(r->gbs),
                            "gflops", number(r->gflops), "of_read", number(r->of_read), "of_peak",
                            number(r->of_peak)));
    }
    return json_pack("{s:o, s:o}", "limits", limits, "stages", list);
}
