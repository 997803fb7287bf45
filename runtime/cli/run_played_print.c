/* SPDX-License-Identifier: MIT */
/* run_played_print.c - played episodes as tables and as JSON. */
#include <jansson.h>
#include <math.h>

#include "runtime/base/json/json_build.h"
#include "runtime/cli/run_played.h"
#include "runtime/cli/tool.h"
#include "runtime/deer_replay.h"

void played_print_steps(const played_episode *e)
{
    printf("%s: \"%s\", %d steps, %d tokens\n\n", e->name, e->instruction, e->steps, e->tokens);
    puts("            GFLOPs a step\n"
         "step  exit layer         llm       total       ms     delta  pose error  gripper");
    for (int t = 0; t < e->steps; t++) {
        const played_step *s = &e->step[t];
        printf("%4d  %4d %5d  %10.6f  %10.6f", t, s->exit, s->layer, s->llm, s->total);
        tool_print_number(s->ms, 8, 3);
        tool_print_number(s->delta, 9, 5);
        tool_print_number(s->pose_error, 11, 5);
        printf("  %s\n", s->gripper_agrees ? "agrees" : "differs");
    }
    putchar('\n');
}

deer_status played_print_episodes(const played *p, deer_error *err)
{
    played_summary s;

    puts("                      average GFLOPs      mean     ms\n"
         "episode       steps         llm       total  exit    p50  pose error  gripper  "
         "instruction");
    for (int i = 0; i < p->count; i++) {
        const played_episode *e = &p->episode[i];
        double exits = 0;
        if (played_summarise(p, i, 1, &s, err))
            return DEER_FAILED;
        for (int k = 0; k < p->config->exits; k++)
            exits += k * s.fraction[k];
        printf("%-12s %6d  %10.6f  %10.6f %5.2f %6.2f  %10.5f  %6.1f%%  %s\n", e->name, e->steps,
               s.llm, s.total, exits, s.ms_p50, s.pose_error, 100 * s.gripper, e->instruction);
    }
    putchar('\n');
    return DEER_OK;
}

static void print_pair(const char *what, double used, double expected, int digits)
{
    printf("%-24s", what);
    tool_print_number(used, 12, digits);
    tool_print_number(expected, 12, digits);
    putchar('\n');
}

/* What was guaranteed, and whether the world still looks as it did then. */
static void print_trust(const played *p)
{
    if (isnan(p->governed) && *p->thresholds->guarantee.statement)
        printf("\nguaranteed: %s\n", p->thresholds->guarantee.statement);
    if (p->watched)
        printf(
            "\ndrift: %s; evidence %.3g after %ld episodes (alarm at %g), stability index of the "
            "exits %.3f\n",
            p->drift.drifted ? "these episodes do NOT look like the calibration's, calibrate anew"
                             : "none seen",
            p->drift.most, p->drift.episodes, 1 / DEER_DRIFT_LEVEL, p->drift.stability);
    for (int view = 0; view < 2; view++)
        if (p->watched && p->drift.stuck >> view & 1)
            printf("the %s camera is STUCK: %d pictures in a row without any difference\n",
                   view ? "wrist" : "static", DEER_DRIFT_STUCK);
}

void played_print_totals(const played *p, const played_summary *s, const usage *use)
{
    const deer_expected unknown = {NAN, NAN, NAN, NAN, NAN, NAN, {0}};
    const deer_expected *expected = isnan(p->governed) ? &p->thresholds->expected : &unknown;
    bool nothing = p->fixed || !isnan(p->governed);
    char name[32];

    printf("%-24s %12s %12s\n", "all steps", "used", "expected");
    printf("%-24s %12s %12s\n", "weights", p->weights,
           p->fixed || !*p->thresholds->weights ? "-" : p->thresholds->weights);
    print_pair("average llm GFLOPs", s->llm, expected->average_llm_gflops, 6);
    print_pair("average total GFLOPs", s->total, expected->average_total_gflops, 6);
    print_pair("peak llm GFLOPs", s->peak_llm, expected->peak_llm_gflops, 6);
    print_pair("peak total GFLOPs", s->peak_total, expected->peak_total_gflops, 6);
    print_pair("p50 total GFLOPs", s->total_p50, NAN, 6);
    print_pair("p99 total GFLOPs", s->total_p99, NAN, 6);
    for (int k = 0; k <= p->thresholds->max_exit; k++) {
        snprintf(name, sizeof name, "exit %d (layer %d), %%", k, p->config->exit_layers[k]);
        print_pair(name, 100 * s->fraction[k], nothing ? NAN : 100 * expected->exit_fraction[k], 1);
    }
    snprintf(name, sizeof name, "memory, MB (%d thread%s)", p->threads, p->threads > 1 ? "s" : "");
    print_pair(name, (double)p->memory_bytes / 1e6, expected->memory_bytes / 1e6, 2);
    print_pair("latency p50, ms", s->ms_p50, NAN, 3);
    print_pair("latency p99, ms", s->ms_p99, NAN, 3);
    print_pair("latency longest, ms", s->ms_most, NAN, 3);
    print_pair("pose error (RMS)", s->pose_error, NAN, 5);
    print_pair("gripper agrees, %", 100 * s->gripper, NAN, 1);
    usage_print(stdout, use);
    if (s->encoded[0] < 1 || s->encoded[1] < 1) {
        print_pair("static camera encoded, %", 100 * s->encoded[0], NAN, 1);
        print_pair("wrist camera encoded, %", 100 * s->encoded[1], NAN, 1);
    }
    if (!isnan(p->deadline_ms))
        print_pair("late, %", 100 * s->late, NAN, 1);
    print_trust(p);
}

void played_print_stages(const played *p, const played_summary *s)
{
    if (!p->stages)
        return;
    printf("\nthe stages of %ld steps, %.3f ms each on average, leaving at exit", s->steps,
           p->stages->whole.mean);
    for (int k = 0; k <= p->thresholds->max_exit; k++)
        printf("%s %d: %ld", k ? "," : "", k, lround(s->fraction[k] * (double)s->steps));
    puts("\n");
    stage_table_print(p->stages);
}

/* ---------------------------------------------------------------- JSON --------------------- */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *fractions_json(const double *fraction, int exits)
{
    json_t *list = json_array();

    for (int k = 0; k < exits; k++)
        json_push(list, number(fraction[k]));
    return list;
}

static json_t *summary_json(const played_summary *s, int exits)
{
    json_t *json = json_object();

    json_put(json, "steps", json_integer(s->steps));
    json_put(json, "average_llm_gflops", number(s->llm));
    json_put(json, "average_total_gflops", number(s->total));
    json_put(json, "peak_llm_gflops", number(s->peak_llm));
    json_put(json, "peak_total_gflops", number(s->peak_total));
    json_put(json, "p50_total_gflops", number(s->total_p50));
    json_put(json, "p99_total_gflops", number(s->total_p99));
    json_put(json, "exit_fraction", fractions_json(s->fraction, exits));
    json_put(json, "encoded", json_pack("[f, f]", s->encoded[0], s->encoded[1]));
    json_put(json, "ms_p50", number(s->ms_p50));
    json_put(json, "ms_p99", number(s->ms_p99));
    json_put(json, "ms_longest", number(s->ms_most));
    json_put(json, "pose_error", number(s->pose_error));
    json_put(json, "gripper_agreement", number(s->gripper));
    json_put(json, "late", number(s->late));
    return json;
}

static json_t *expected_json(const deer_thresholds *t)
{
    const deer_expected *p = &t->expected;
    json_t *json = json_object();

    json_put(json, "average_llm_gflops", number(p->average_llm_gflops));
    json_put(json, "average_total_gflops", number(p->average_total_gflops));
    json_put(json, "peak_llm_gflops", number(p->peak_llm_gflops));
    json_put(json, "peak_total_gflops", number(p->peak_total_gflops));
    json_put(json, "memory_bytes", number(p->memory_bytes));
    json_put(json, "exit_fraction", fractions_json(p->exit_fraction, t->max_exit + 1));
    return json;
}

static json_t *step_json(const played_step *s)
{
    json_t *json = json_object();

    json_put(json, "exit", json_integer(s->exit));
    json_put(json, "layer", json_integer(s->layer));
    json_put(json, "head_evaluations", json_integer(s->head_evaluations));
    json_put(json, "ages", json_pack("[i, i]", s->age[0], s->age[1]));
    json_put(json, "llm_gflops", number(s->llm));
    json_put(json, "total_gflops", number(s->total));
    json_put(json, "ms", number(s->ms));
    json_put(json, "delta", number(s->delta));
    json_put(json, "pose_error", number(s->pose_error));
    json_put(json, "gripper_agrees", json_boolean(s->gripper_agrees));
    json_put(json, "late", json_boolean(s->late));
    return json;
}

/* NULL when the episode's summary fails. */
static json_t *episode_json(const played *p, int i, bool steps, deer_error *err)
{
    const played_episode *e = &p->episode[i];
    played_summary s;
    json_t *json, *list;

    if (played_summarise(p, i, 1, &s, err))
        return NULL;
    json = summary_json(&s, p->thresholds->max_exit + 1);
    json_put(json, "name", json_string(e->name));
    json_put(json, "instruction", json_string(e->instruction));
    json_put(json, "tokens", json_integer(e->tokens));
    if (!steps)
        return json;
    list = json_array();
    for (int t = 0; t < e->steps; t++)
        json_push(list, step_json(&e->step[t]));
    json_put(json, "step", list);
    return json;
}

deer_status played_print_json(const played *p, const played_summary *all, const usage *use,
                              bool steps, deer_error *err)
{
    json_t *root = summary_json(all, p->thresholds->max_exit + 1), *list = json_array();
    deer_status status = DEER_OK;

    json_put(root, "weights", json_string(p->weights));
    json_put(root, "memory_bytes", json_integer((json_int_t)p->memory_bytes));
    json_put(root, "expected",
             p->fixed || !isnan(p->governed) ? json_null() : expected_json(p->thresholds));
    json_put(root, "budget", usage_json(use));
    if (p->watched)
        json_put(root, "drift",
                 json_pack("{s:b, s:f, s:f, s:o, s:b, s:b}", "drifted", p->drift.drifted,
                           "evidence", p->drift.evidence, "most", p->drift.most, "stability_index",
                           number(p->drift.stability), "static_stuck", p->drift.stuck & 1,
                           "gripper_stuck", p->drift.stuck >> 1));
    if (p->stages)
        json_put(root, "profile", stage_table_json(p->stages));
    json_put(root, "episodes", list);
    for (int i = 0; i < p->count && !status; i++) {
        json_t *episode = episode_json(p, i, steps, err);
        status = episode ? DEER_OK : DEER_FAILED;
        if (episode)
            json_push(list, episode);
    }
    if (!status)
        return json_print(root, JSON_INDENT(1) | JSON_REAL_PRECISION(7), err);
    json_decref(root);
    return status;
}
