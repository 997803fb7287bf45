/* test_profile.c - stages of a step, the machine's limits, and the hardware profile made of them.
 */
#include "tests/small_model.h"

#include <math.h>

#include "budgets/hardware.h"
#include "runtime/file.h"
#include "runtime/run/machine_profile.h"
#include "runtime/run/stage_log.h"
#include "runtime/tool.h"

enum { SIDE = 40, STEPS = 5 };

static const int32_t ids[] = {SMALL_IMAGE, 5, 9, SMALL_END_OF_CHUNK};
static const uint8_t grey[2][SIDE * SIDE * 3];
static const deer_observation seen = {{grey[0], SIDE, SIDE}, {grey[1], SIDE, SIDE}};

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

static const stage_row *find(const stage_row *rows, int count, deer_stage stage)
{
    for (int i = 0; i < count; i++)
        if (rows[i].stage == stage)
            return &rows[i];
    fail_msg("no stage %d", stage);
    return NULL;
}

/* Every stage is there as often as it ran, in order, with the work that the cost model counts. */
static void test_stages_are_those_that_ran(void **state)
{
    deer_model *model = small_model_open(&small, DEER_ALL_EXITS);
    const deer_config *c = deer_model_config(model);
    static stage_row rows[PROFILE_STAGES];
    deer_thresholds deepest;
    deer_session *session;
    deer_cost cost;
    stage_log log;
    uint64_t macs = 0;
    int count, layers = c->exit_layers[SMALL_EXITS - 1] + 1;

    (void)state;
    deer_thresholds_fixed(model, SMALL_EXITS - 1, &deepest);
    ok(deer_session_new(model, &deepest, &session, &error));
    ok(deer_session_set_tokens(session, ids, 4, &error));
    ok(stage_log_start(&log, session, STEPS - 1, &error)); /* the last step is one too many */
    for (int t = 0; t < STEPS; t++) {
        deer_action action;
        ok(deer_step(session, &seen, &action, &error));
        assert_int_equal(log.now.count[PROFILE_HEAD_BEGIN], 1);
        stage_log_step(&log);
    }
    stage_log_stop(&log, session);
    count = stage_log_rows(&log, c, 4, DEER_F32, &limits, rows);
    assert_int_equal(log.steps, STEPS - 1);
    assert_int_equal(count, 6 + layers);
    assert_int_equal(rows[0].stage, PROFILE_PREPROCESS);
    assert_int_equal(rows[count - 1].stage, PROFILE_HEAD);
    for (int i = 0; i < count; i++) {
        assert_true(rows[i].p10 <= rows[i].median && rows[i].median <= rows[i].p90);
        if (rows[i].stage >= PROFILE_LAYER)
            assert_int_equal(rows[i].stage - PROFILE_LAYER, i - 5);
    }
    deer_cost_of(c, 4, DEER_F32, &cost);
    for (int i = 0; i < layers; i++)
        macs += find(rows, count, PROFILE_LAYER + i)->work.macs;
    assert_int_equal(macs, cost.exit[SMALL_EXITS - 1].llm);
    assert_int_equal(find(rows, count, PROFILE_VISION)->work.macs, 2 * cost.vision_per_image);
    stage_log_free(&log);
    deer_session_free(session);
    deer_model_close(model);
}

/* Times are those of the clock: the stages of a step take no longer than the step. */
static void test_stages_fit_into_the_step(void **state)
{
    deer_model *model = small_model_open(&small, DEER_ALL_EXITS);
    deer_thresholds deepest;
    deer_session *session;
    deer_profile profile = {0};
    deer_action action;
    double begun, took, sum = 0;

    (void)state;
    deer_thresholds_fixed(model, SMALL_EXITS - 1, &deepest);
    ok(deer_session_new(model, &deepest, &session, &error));
    ok(deer_session_set_tokens(session, ids, 4, &error));
    deer_session_profile(session, &profile);
    begun = tool_seconds();
    ok(deer_step(session, &seen, &action, &error));
    took = tool_seconds() - begun;
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
    const machine_measured first = {&large, &limits, of_large, 6, DEER_F32};
    const machine_measured second = {&tiny, &limits, of_tiny, 2, DEER_F32};

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

/* Somebody's file is not overwritten. */
static void test_other_files_are_left_alone(void **state)
{
    deer_config config;
    const machine_measured none = {&config, &limits, NULL, 0, DEER_F32};
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
        cmocka_unit_test(test_stages_fit_into_the_step),
        cmocka_unit_test(test_limits_are_measured),
        cmocka_unit_test(test_a_profile_says_what_was_measured),
        cmocka_unit_test(test_other_files_are_left_alone),
    };

    return cmocka_run_group_tests(tests, start, end);
}
