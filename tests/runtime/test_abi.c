/* SPDX-License-Identifier: MIT */
/* test_abi.c - a program compiled with the first 1.x header keeps working: no public struct changes
 * its size or the place of a field, and structs that may grow do so at their end only.
 *
 * tests/data/abi/structs.txt has what was released. A line that differs breaks programs; a new line
 * is added there. `test_abi print` prints the present ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "calib/deer_calib.h"
#include "runtime/deer.h"
#include "runtime/deer_drift.h"

typedef struct {
    const char *name;
    size_t offset, size;
} row;

#define STRUCT(type)                                                                               \
    {                                                                                              \
#type, 0, sizeof(type)                                                                     \
    }
#define FIELD(type, field)                                                                         \
    {                                                                                              \
#type "." #field, offsetof(type, field), sizeof(((type *)0)->field)                        \
    }

static const row rows[] = {
    STRUCT(deer_error),
    FIELD(deer_error, message),

    STRUCT(deer_pool_options),
    FIELD(deer_pool_options, size),
    FIELD(deer_pool_options, threads),
    FIELD(deer_pool_options, pin),

    STRUCT(deer_model_options),
    FIELD(deer_model_options, size),
    FIELD(deer_model_options, reserved),
    FIELD(deer_model_options, pool),
    FIELD(deer_model_options, device),
    FIELD(deer_model_options, kernel_cache),

    STRUCT(deer_camera),
    FIELD(deer_camera, width),
    FIELD(deer_camera, height),
    FIELD(deer_camera, row_stride),
    FIELD(deer_camera, channels),

    STRUCT(deer_session_options),
    FIELD(deer_session_options, size),
    FIELD(deer_session_options, reserved),
    FIELD(deer_session_options, pool),
    FIELD(deer_session_options, static_view),
    FIELD(deer_session_options, gripper_view),

    STRUCT(deer_image),
    FIELD(deer_image, pixels),
    FIELD(deer_image, bytes),

    STRUCT(deer_observation),
    FIELD(deer_observation, static_view),
    FIELD(deer_observation, gripper_view),

    STRUCT(deer_action),
    FIELD(deer_action, command),
    FIELD(deer_action, pose),
    FIELD(deer_action, gripper_probability),
    FIELD(deer_action, exit),
    FIELD(deer_action, exit_layer),
    FIELD(deer_action, head_evaluations),
    FIELD(deer_action, delta),
    FIELD(deer_action, static_age),
    FIELD(deer_action, gripper_age),
    FIELD(deer_action, static_change),
    FIELD(deer_action, gripper_change),
    FIELD(deer_action, late),
    FIELD(deer_action, reserved),

    STRUCT(deer_camera_rule),
    FIELD(deer_camera_rule, age),
    FIELD(deer_camera_rule, rho),

    STRUCT(deer_drift_report),
    FIELD(deer_drift_report, episodes),
    FIELD(deer_drift_report, steps),
    FIELD(deer_drift_report, stability),
    FIELD(deer_drift_report, evidence),
    FIELD(deer_drift_report, most),
    FIELD(deer_drift_report, drifted),
    FIELD(deer_drift_report, stuck),
    FIELD(deer_drift_report, reserved),

    /* handed out by pointer: these may grow at their end, and nowhere else */
    FIELD(deer_config, name),
    FIELD(deer_config, image_size),
    FIELD(deer_config, patch_size),
    FIELD(deer_config, vision_width),
    FIELD(deer_config, vision_layers),
    FIELD(deer_config, vision_heads),
    FIELD(deer_config, vision_mlp),
    FIELD(deer_config, image_mean),
    FIELD(deer_config, image_std),
    FIELD(deer_config, resampler_layers),
    FIELD(deer_config, resampler_heads),
    FIELD(deer_config, resampler_head_dim),
    FIELD(deer_config, resampler_latents),
    FIELD(deer_config, resampler_mlp),
    FIELD(deer_config, block),
    FIELD(deer_config, d_model),
    FIELD(deer_config, heads),
    FIELD(deer_config, layers),
    FIELD(deer_config, mlp),
    FIELD(deer_config, vocab),
    FIELD(deer_config, max_text),
    FIELD(deer_config, media_token),
    FIELD(deer_config, cross_every),
    FIELD(deer_config, cross_heads),
    FIELD(deer_config, cross_head_dim),
    FIELD(deer_config, cross_mlp),
    FIELD(deer_config, lstm),
    FIELD(deer_config, lstm_layers),
    FIELD(deer_config, lstm_hidden),
    FIELD(deer_config, head_mlp_layers),
    FIELD(deer_config, head_mlp),
    FIELD(deer_config, head_mlp_layernorm),
    FIELD(deer_config, exits),
    FIELD(deer_config, exit_layers),
    FIELD(deer_config, action_scale),

    FIELD(deer_expected, average_llm_gflops),
    FIELD(deer_expected, average_total_gflops),
    FIELD(deer_expected, peak_llm_gflops),
    FIELD(deer_expected, peak_total_gflops),
    FIELD(deer_expected, memory_bytes),
    FIELD(deer_expected, loss),
    FIELD(deer_expected, exit_fraction),

    FIELD(deer_guarantee, confidence),
    FIELD(deer_guarantee, budget_gflops),
    FIELD(deer_guarantee, loss),
    FIELD(deer_guarantee, solved_on),
    FIELD(deer_guarantee, tested_on),
    FIELD(deer_guarantee, bound),
    FIELD(deer_guarantee, statement),

    FIELD(deer_point, budget_gflops),
    FIELD(deer_point, tau),
    FIELD(deer_point, expected),
    FIELD(deer_point, cameras),
    FIELD(deer_point, rule),

    FIELD(deer_camera_rules, static_view),
    FIELD(deer_camera_rules, gripper_view),
    FIELD(deer_camera_rules, stagger),

    FIELD(deer_exit_rule, kind),
    FIELD(deer_exit_rule, deep),
    FIELD(deer_exit_rule, steps),
    FIELD(deer_exit_rule, limit),
    FIELD(deer_exit_rule, pattern),
    FIELD(deer_governor, budget_gflops),
    FIELD(deer_governor, horizon),
    FIELD(deer_governor, steps),
    FIELD(deer_governor, used_gflops),
    FIELD(deer_governor, ahead_gflops),
    FIELD(deer_governor, setting_gflops),

    STRUCT(deer_table),
    FIELD(deer_table, size),
    FIELD(deer_table, exits),
    FIELD(deer_table, steps),
    FIELD(deer_table, delta),
    FIELD(deer_table, loss),
    FIELD(deer_table, cost),
    FIELD(deer_table, episode),
    FIELD(deer_table, task),
    FIELD(deer_table, memory),

    STRUCT(deer_solve_options),
    FIELD(deer_solve_options, size),
    FIELD(deer_solve_options, method),
    FIELD(deer_solve_options, average),
    FIELD(deer_solve_options, fraction),
    FIELD(deer_solve_options, peak),
    FIELD(deer_solve_options, memory),
    FIELD(deer_solve_options, loss),
    FIELD(deer_solve_options, confidence),
    FIELD(deer_solve_options, largest_loss),
    FIELD(deer_solve_options, seed),
    FIELD(deer_solve_options, longest),
    FIELD(deer_solve_options, points),
    FIELD(deer_solve_options, per_task),
    FIELD(deer_solve_options, deepest_may_lose),

    STRUCT(deer_operating_point),
    FIELD(deer_operating_point, name),
    FIELD(deer_operating_point, max_exit),
    FIELD(deer_operating_point, tau),
    FIELD(deer_operating_point, budget),
    FIELD(deer_operating_point, cost),
    FIELD(deer_operating_point, loss),
    FIELD(deer_operating_point, peak),
    FIELD(deer_operating_point, memory),
    FIELD(deer_operating_point, exit_fraction),

    STRUCT(deer_replay_options),
    FIELD(deer_replay_options, size),
    FIELD(deer_replay_options, files),
    FIELD(deer_replay_options, model),
    FIELD(deer_replay_options, demos),
    FIELD(deer_replay_options, cache),
    FIELD(deer_replay_options, static_camera),
    FIELD(deer_replay_options, gripper_camera),
    FIELD(deer_replay_options, instruction),
    FIELD(deer_replay_options, mask),
    FIELD(deer_replay_options, threads),
    FIELD(deer_replay_options, batch),
    FIELD(deer_replay_options, shard_episodes),
    FIELD(deer_replay_options, reserved),
    FIELD(deer_replay_options, progress),
    FIELD(deer_replay_options, context),

    STRUCT(deer_replay_report),
    FIELD(deer_replay_report, episodes),
    FIELD(deer_replay_report, steps),
    FIELD(deer_replay_report, replayed),
    FIELD(deer_replay_report, shards),
    FIELD(deer_replay_report, missing),
    FIELD(deer_replay_report, unknown_words),
    FIELD(deer_replay_report, unused),
    FIELD(deer_replay_report, seconds),
    FIELD(deer_replay_report, reserved),

    STRUCT(deer_episode),
    FIELD(deer_episode, name),
    FIELD(deer_episode, task),
    FIELD(deer_episode, instruction),
    FIELD(deer_episode, first),
    FIELD(deer_episode, steps),
    FIELD(deer_episode, tokens),

    STRUCT(deer_calibrate_options),
    FIELD(deer_calibrate_options, size),
    FIELD(deer_calibrate_options, criterion),
    FIELD(deer_calibrate_options, cache),
    FIELD(deer_calibrate_options, model),
    FIELD(deer_calibrate_options, out),
    FIELD(deer_calibrate_options, solve),
    FIELD(deer_calibrate_options, loss),
    FIELD(deer_calibrate_options, threads),
    FIELD(deer_calibrate_options, scope_llm),
    FIELD(deer_calibrate_options, reserved),
};

static const row values[] = {
    {"DEER_OK", DEER_OK, 0},
    {"DEER_FAILED", (size_t)-DEER_FAILED, 0},
    {"DEER_USAGE", (size_t)-DEER_USAGE, 0},
    {"DEER_INFEASIBLE", (size_t)-DEER_INFEASIBLE, 0},
    {"DEER_BUSY", (size_t)-DEER_BUSY, 0},
    {"DEER_MAX_EXITS", DEER_MAX_EXITS, 0},
    {"DEER_CRITERION_L2", DEER_CRITERION_L2, 0},
    {"DEER_CRITERION_MEAN", DEER_CRITERION_MEAN, 0},
    {"DEER_CRITERION_MAX", DEER_CRITERION_MAX, 0},
    {"DEER_CRITERION_COSINE", DEER_CRITERION_COSINE, 0},
    {"DEER_CRITERION_COMBINED", DEER_CRITERION_COMBINED, 0},
    {"DEER_RGB", DEER_RGB, 0},
    {"DEER_BGR", DEER_BGR, 0},
    {"DEER_RULE_NONE", DEER_RULE_NONE, 0},
    {"DEER_RULE_REFRESH", DEER_RULE_REFRESH, 0},
    {"DEER_RULE_DEBT", DEER_RULE_DEBT, 0},
    {"DEER_RULE_SPEED", DEER_RULE_SPEED, 0},
    {"DEER_RULE_SCHEDULE", DEER_RULE_SCHEDULE, 0},
    {"DEER_MAX_PATTERN", DEER_MAX_PATTERN, 0},
};

enum { ROWS = sizeof rows / sizeof *rows, VALUES = sizeof values / sizeof *values };

static void say(FILE *to, const row *r)
{
    fprintf(to, "%s %zu %zu\n", r->name, r->offset, r->size);
}

static void print(FILE *to)
{
    for (size_t i = 0; i < ROWS; i++)
        say(to, &rows[i]);
    for (size_t i = 0; i < VALUES; i++)
        say(to, &values[i]);
}

static const row *find(const char *name)
{
    for (size_t i = 0; i < ROWS; i++)
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    for (size_t i = 0; i < VALUES; i++)
        if (!strcmp(values[i].name, name))
            return &values[i];
    return NULL;
}

/* Every released line is there as it was, and every present one has been released. */
static void test_as_released(void **state)
{
    FILE *file = fopen("tests/data/abi/structs.txt", "r");
    char name[64];
    size_t offset, size, seen = 0;

    (void)state;
    assert_non_null(file);
    for (; fscanf(file, "%63s %zu %zu", name, &offset, &size) == 3; seen++) {
        const row *now = find(name);
        if (!now)
            fail_msg("%s is gone", name);
        if (now->offset != offset || now->size != size)
            fail_msg("%s was at %zu with %zu bytes, and is at %zu with %zu", name, offset, size,
                     now->offset, now->size);
    }
    assert_true(feof(file));
    assert_int_equal(seen, ROWS + VALUES);
    fclose(file);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_released)};

    if (argc > 1 && !strcmp(argv[1], "print")) {
        print(stdout);
        return 0;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
