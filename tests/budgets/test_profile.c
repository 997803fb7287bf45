/* SPDX-License-Identifier: MIT */
/* test_profile.c - stages of a step, the machine's limits, and the hardware profile made of them.
 */
#include "tests/runtime/small_model.h"

#include <math.h>

#include "budgets/machines/hardware.h"
#include "budgets/measure/machine_profile.h"
#include "budgets/measure/stage_log.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/cli/tool.h"
#include "runtime/thresholds/thresholds_format.h"

enum { SIDE = 40, STEPS = 5 };

static const int32_t ids[] = {SMALL_IMAGE, 5, 9, SMALL_END_OF_CHUNK};
static const uint8_t grey[2][SIDE * SIDE * 3];
static const deer_observation seen = {{grey[0], sizeof grey[0]}, {grey[1], sizeof grey[1]}};

/* A machine with round numbers. */
static const machine_limits limits = {.threads = 2,
                                      .read_gbs = 50,
                                      .cache_gbs = 100,
                                      .cache_bytes = 32 << 20,
                                      .f32_gflops = 200,
                                      .bf16_gflops = 400,
                                      .int8_gops = NAN};

static small_model small;

static int start(void **state)
{
    (void)state;
    small_model_make(&small);
    return 0;
}

static int end(void **state)
{
    (void)state;
    small_model_remove(&small);
    return 0;
}

/* ---------------------------------------------------------------- stages ------------------- */

static stage_table table;

static const stage_row *find(deer_stage stage)
{
    for (int i = 0; i < table.rows; i++)
        if (table.row[i].stage == stage)
            return &table.row[i];
    fail_msg("no stage %d", stage);
    return NULL;
}

static deer_session *new_session(const deer_model *model, int exit)
{
    deer_thresholds fixed;
    const deer_camera camera = {.width = SIDE, .height = SIDE};
    deer_session *session;

    thresholds_fix(model, exit, &fixed, NULL);
    ok(deer_session_new(model, &fixed, NULL, &session, &error));
    ok(deer_session_set_cameras(session, &camera, &camera, &error));
    ok(deer_session_set_tokens(session, ids, 4, &error));
    return session;
}

/* Every stage is there as often as it ran, in order, with the work that the cost model counts. */
static void test_stages_are_those_that_ran(void **state)
{
    deer_model *model = small_model_open(&small, DEER_ALL_EXITS);
    deer_session *session = new_session(model, SMALL_EXITS - 1);
    const deer_config *c = deer_model_config(model);
    deer_cost cost;
    stage_log log;
    uint64_t macs = 0;
    int layers = c->exit_layers[SMALL_EXITS - 1] + 1;

    (void)state;
    ok(stage_log_start(&log, model, session, STEPS - 1, &error)); /* the last is one too many */
    for (int t = 0; t < STEPS; t++) {
        deer_action action;
        ok(deer_step(session, &seen, &action, &error));
        assert_int_equal(log.now.count[PROFILE_HEAD_BEGIN], 1);
        stage_log_step(&log, 2);
    }
    table.limits = limits;
    ok(stage_log_table(&log, &table, &error));
    stage_log_end(&log);
    assert_int_equal(table.steps, STEPS - 1);
    assert_int_equal(table.rows, 6 + layers);
    assert_int_equal(table.row[0].stage, PROFILE_PREPROCESS);
    assert_int_equal(table.row[table.rows - 1].stage, PROFILE_HEAD);
    for (int i = 0; i < table.rows; i++) {
        const stage_row *r = &table.row[i];
        assert_true(r->p10 <= r->median && r->median <= r->p90);
        if (r->stage >= PROFILE_LAYER)
            assert_int_equal(r->stage - PROFILE_LAYER, i - 5);
    }
    deer_cost_of(c, 4, WEIGHT_F32, &cost);
    for (int i = 0; i < layers; i++)
        macs += find(PROFILE_LAYER + i)->work.macs;
    assert_int_equal(macs, cost.exit[SMALL_EXITS - 1].llm);
    assert_int_equal(find(PROFILE_VISION)->work.macs, 2 * cost.vision_per_image);
    deer_session_free(session);
    deer_model_close(model);
}

/* The next step takes this exit, with an instruction of so many tokens. */
static void step_at(deer_model *model, deer_session *session, int exit, int tokens)
{
    deer_thresholds fixed;
    deer_action action;

    thresholds_fix(model, exit, &fixed, NULL);
    ok(deer_session_set_thresholds(session, &fixed, &error));
    ok(deer_session_set_tokens(session, ids, tokens, &error));
    ok(deer_step(session, &seen, &action, &error));
}

/* Layers behind an exit taken have not run, and a layer's work is the average of the instructions
 * that it ran for; what was skipped is nowhere. */
static void test_steps_may_differ(void **state)
{
    deer_model *model = small_model_open(&small, DEER_ALL_EXITS);
    deer_session *session = new_session(model, 0);
    const deer_config *c = deer_model_config(model);
    int first = c->exit_layers[0], last = c->exit_layers[1];
    deer_cost three, four;
    stage_log log;

    (void)state;
    ok(stage_log_start(&log, model, session, STEPS, &error));
    step_at(model, session, 1, 4);
    stage_log_skip(&log);
    for (int t = 0; t < 4; t++) { /* exit 1 at the first step alone */
        step_at(model, session, t == 0, t < 2 ? 3 : 4);
        stage_log_step(&log, 2);
    }
    table.limits = limits;
    ok(stage_log_table(&log, &table, &error));
    stage_log_end(&log);
    step_at(model, session, 0, 4);
    assert_int_equal(log.now.count[PROFILE_VISION], 0); /* the session reports no longer */
    deer_cost_of(c, 3, WEIGHT_F32, &three);
    deer_cost_of(c, 4, WEIGHT_F32, &four);
    assert_int_equal(table.steps, 4);
    assert_int_equal(find(PROFILE_VISION)->all_runs, 4);
    assert_int_equal(find(PROFILE_LAYER + first)->all_runs, 4);
    assert_int_equal(find(PROFILE_LAYER + last)->all_runs, 1);
    assert_true(find(PROFILE_LAYER + last)->runs == 0.25);
    assert_int_equal(find(PROFILE_HEAD)->all_runs, 5);
    assert_int_equal(find(PROFILE_LAYER + last)->work.macs,
                     (three.exit[1].llm - three.exit[0].llm) / (uint64_t)(last - first));
    assert_int_equal(find(PROFILE_LAYER)->work.macs,
                     (three.exit[0].llm + four.exit[0].llm) / (uint64_t)(2 * (first + 1)));
    deer_session_free(session);
    deer_model_close(model);
}

/* A step of these times, in milliseconds; a time of 0: the stage did not run. */
static void log_step(stage_log *log, double vision, double layer, double head, long evaluations)
{
    const double ms[] = {vision, layer, head};
    const deer_stage stage[] = {PROFILE_VISION, PROFILE_LAYER, PROFILE_HEAD};

    for (int i = 0; i < 3; i++) {
        log->now.seconds[stage[i]] = ms[i] / 1e3;
        log->now.count[stage[i]] = ms[i] > 0;
    }
    log->now.count[PROFILE_HEAD] = evaluations;
    stage_log_step(log, 2);
}

static void equal(double value, double expected)
{
    if (!(fabs(value - expected) <= 1e-6 * expected))
        fail_msg("%g is not %g", value, expected);
}

/* Times of a run are of the steps in which it ran; shares are of runs times medians. */
static void test_times_and_shares(void **state)
{
    deer_model *model = small_model_open(&small, DEER_ALL_EXITS);
    deer_session *session = new_session(model, 0);
    stage_log log;

    (void)state;
    ok(stage_log_start(&log, model, session, 3, &error));
    log_step(&log, 4, 0, 1, 1);
    log_step(&log, 5, 6, 3, 2);
    log_step(&log, 6, 12, 3, 1);
    table.limits = limits;
    ok(stage_log_table(&log, &table, &error));
    stage_log_end(&log);
    assert_int_equal(table.rows, 3);
    equal(find(PROFILE_VISION)->median, 5);
    equal(find(PROFILE_VISION)->p90, 5.8);
    equal(find(PROFILE_VISION)->share, 5 / 13.0);
    equal(find(PROFILE_LAYER)->runs, 2 / 3.0);
    equal(find(PROFILE_LAYER)->median, 9);
    equal(find(PROFILE_LAYER)->p10, 6.6);
    equal(find(PROFILE_LAYER)->share, 6 / 13.0);
    equal(find(PROFILE_HEAD)->runs, 4 / 3.0);
    equal(find(PROFILE_HEAD)->median, 1.5); /* of 1, 3 / 2, 3 */
    equal(find(PROFILE_HEAD)->mean, 7 / 4.0);
    equal(find(PROFILE_HEAD)->share, 2 / 13.0);
    equal(table.whole.mean, 40 / 3.0);
    equal(table.whole.median, 14);
    equal(table.whole.p90, 19.6);
    equal(table.whole.runs, 1);
    equal(table.whole.share, 1);
    deer_session_free(session);
    deer_model_close(model);
}

/* Times are those of the clock: the stages of a step take no longer than the step. */
static void test_stages_fit_into_the_step(void **state)
{
    deer_model *model = small_model_open(&small, DEER_ALL_EXITS);
    deer_session *session = new_session(model, SMALL_EXITS - 1);
    deer_profile profile = {0};
    deer_action action;
    double begun, took, sum = 0;

    (void)state;
    deer_session_profile(session, &profile);
    begun = clock_seconds();
    ok(deer_step(session, &seen, &action, &error));
    took = clock_seconds() - begun;
    for (int i = 0; i < PROFILE_STAGES; i++) {
        assert_true(profile.seconds[i] >= 0);
        sum += profile.seconds[i];
    }
    assert_true(sum > 0 && sum <= took);
    deer_session_profile(session, NULL);
    ok(deer_step(session, &seen, &action, &error));
    assert_int_equal(profile.count[PROFILE_VISION], 1); /* not profiled any more */
    deer_session_free(session);
    deer_model_close(model);
}

/* ---------------------------------------------------------------- limits ------------------- */

static void test_limits_are_measured(void **state)
{
    machine_limits measured;

    (void)state;
    assert_int_equal(limits_measure(0, &measured, &error), DEER_USAGE);
    ok(limits_measure(1, &measured, &error));
    assert_true(measured.read_gbs > 0);
    assert_true(isnan(measured.f32_gflops) || measured.f32_gflops > 0);
    assert_true(isnan(measured.bf16_gflops) || measured.bf16_gflops > 0);
}

/* ---------------------------------------------------------------- hardware profile --------- */

/* A stage that takes ms and, at the machine's limits, would take reading_ms and computing_ms. */
static stage_row row_of(deer_stage stage, double ms, double reading_ms, double computing_ms)
{
    stage_row r = {.stage = stage, .runs = 1, .median = ms, .p10 = 0.9 * ms, .p90 = 1.25 * ms};

    r.work.weight_bytes = (uint64_t)(reading_ms * limits.read_gbs * 1e6);
    r.work.macs = (uint64_t)(computing_ms * limits.f32_gflops * 1e6 / 2);
    r.work.products = 10;
    return r;
}

static void near(const deer_figure *f, double value)
{
    assert_false(f->assumed);
    assert_true(fabs(f->value - value) <= 1e-3 * value);
}

/* A large model alone shows the fraction of what binds; with a small one, t = least / fraction + 10
 * products x overhead is solved: 6 / f + 10 o = 10, 0.002 / f + 10 o = 0.1. */
static void test_a_profile_says_what_was_measured(void **state)
{
    static deer_hardware here;
    char path[128];
    deer_config large, tiny;
    const stage_row of_large[] = {
        row_of(PROFILE_PREPROCESS, 0.3, 0, 0), row_of(PROFILE_VISION, 100, 20, 80),
        row_of(PROFILE_LAYER, 10, 6, 5),       row_of(PROFILE_LAYER + 1, 11, 6, 5),
        row_of(PROFILE_LAYER + 2, 9, 6, 5),    row_of(PROFILE_HEAD, 8, 4, 0.1)};
    const stage_row of_tiny[] = {row_of(PROFILE_PREPROCESS, 0.012, 0, 0),
                                 row_of(PROFILE_LAYER, 0.1, 0.001, 0.002)};
    const machine_measured first = {&large, &limits, of_large, 6, WEIGHT_F32};
    const machine_measured second = {&tiny, &limits, of_tiny, 2, WEIGHT_F32};

    (void)state;
    assert_true(deer_config_published("3b", &large) && deer_config_published("3b", &tiny));
    strcpy(tiny.name, "tiny");
    snprintf(path, sizeof path, "%s/here.json", small.folder);
    ok(machine_profile_write(path, &first, &error));
    ok(deer_hardware_load(path, &here, &error));
    assert_true(here.measured && here.kind == HARDWARE_CPU);
    near(&here.bandwidth, 50e9);
    near(&here.peak[0], 200e9);
    assert_false(deer_figure_known(&here.peak[2])); /* this machine has no int8 products */
    near(&here.efficiency[STAGE_VISION][0].compute, 0.8);
    near(&here.efficiency[STAGE_LAYER][0].bandwidth, 0.6); /* the middle one of three layers */
    assert_true(fabs(here.efficiency[STAGE_LAYER][0].bandwidth.low - 0.6 / 1.25) < 1e-3);
    near(&here.efficiency[STAGE_HEAD][0].bandwidth, 0.5);
    assert_true(here.efficiency[STAGE_LAYER][1].compute.assumed);
    near(&here.step_overhead, 0.3e-3);

    for (int again = 0; again < 2; again++) { /* completes it; a second time replaces the first */
        ok(machine_profile_write(path, &second, &error));
        ok(deer_hardware_load(path, &here, &error));
        assert_int_equal(here.samples, 4);
        near(&here.efficiency[STAGE_LAYER][0].bandwidth, 5.998 / 9.9);
        near(&here.efficiency[STAGE_LAYER][0].overhead, (0.1 - 0.002 * 9.9 / 5.998) * 1e-4);
        near(&here.efficiency[STAGE_VISION][0].compute, 0.8);
        near(&here.step_overhead, 0.012e-3);
    }
}

/* A GPU's is another kind of machine, with what starting work there takes, and is completed by no
 * other's times. */
static void test_a_profile_of_a_gpu(void **state)
{
    static deer_hardware here;
    char path[128];
    deer_config config;
    machine_limits gpu = limits;
    const stage_row rows[] = {row_of(PROFILE_VISION, 100, 20, 80)};
    const machine_measured there = {&config, &gpu, rows, 1, WEIGHT_F32};
    const machine_measured processor = {&config, &limits, rows, 1, WEIGHT_F32};

    (void)state;
    assert_true(deer_config_published("3b", &config));
    strcpy(gpu.device, "NVIDIA GeForce RTX 4070");
    gpu.card = true;
    gpu.device_bytes = (uint64_t)12e9;
    gpu.dispatch_seconds = 1.5e-6;
    gpu.submission_seconds = 20e-6;
    snprintf(path, sizeof path, "%s/gpu.json", small.folder);
    ok(machine_profile_write(path, &there, &error));
    ok(deer_hardware_load(path, &here, &error));
    assert_true(here.measured && here.kind == HARDWARE_GPU);
    assert_string_equal(here.title, "NVIDIA GeForce RTX 4070");
    near(&here.memory, 12e9);
    near(&here.reserved, 0.6e9); /* estimated: else no memory could be said */
    near(&here.dispatch, 1.5e-6);
    near(&here.submission, 20e-6);
    near(&here.efficiency[STAGE_VISION][0].compute, 0.8);
    assert_non_null(strstr(here.bandwidth.source, "Vulkan"));
    assert_int_equal(machine_profile_write(path, &processor, &error), DEER_FAILED);
    says("is the profile of NVIDIA GeForce RTX 4070, not of this processor");
    strcpy(gpu.device, "another");
    assert_int_equal(machine_profile_write(path, &there, &error), DEER_FAILED);
    says("not of another");
    gpu.card = false; /* memory is the system's */
    snprintf(path, sizeof path, "%s/shared.json", small.folder);
    ok(machine_profile_write(path, &there, &error));
    ok(deer_hardware_load(path, &here, &error));
    assert_true(here.kind == HARDWARE_EMBEDDED && deer_figure_known(&here.reserved));
}

/* Somebody's file is not overwritten. */
static void test_other_files_are_left_alone(void **state)
{
    deer_config config;
    const machine_measured none = {&config, &limits, NULL, 0, WEIGHT_F32};
    char path[128], *text;
    size_t size;

    (void)state;
    assert_true(deer_config_published("3b", &config));
    snprintf(path, sizeof path, "%s/notes.json", small.folder);
    for (int i = 0; i < 2; i++) {
        const char *there = i ? "not JSON at all" : "{\"deer_hardware\": 1, \"name\": \"box\"}";
        ok(file_write(path, there, strlen(there), &error));
        assert_int_equal(machine_profile_write(path, &none, &error), DEER_FAILED);
        says("is not a profile that deer-run bench wrote");
        ok(file_read(path, 1000, &text, &size, &error));
        assert_string_equal(text, there);
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages_are_those_that_ran),
        cmocka_unit_test(test_steps_may_differ),
        cmocka_unit_test(test_times_and_shares),
        cmocka_unit_test(test_stages_fit_into_the_step),
        cmocka_unit_test(test_limits_are_measured),
        cmocka_unit_test(test_a_profile_says_what_was_measured),
        cmocka_unit_test(test_a_profile_of_a_gpu),
        cmocka_unit_test(test_other_files_are_left_alone),
    };

    return cmocka_run_group_tests(tests, start, end);
}
