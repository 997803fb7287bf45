/* SPDX-License-Identifier: MIT */
/* test_abi_old.c - a program compiled with the header of version 1.0 and linked with the present
 * library: tests/data/abi/1.0 is a copy that nobody changes. */
#include "tests/data/abi/1.0/deer.h"
#include "tests/data/abi/1.0/deer_drift.h"

#include "tests/runtime/small_model.h"

#include <math.h>

enum { SIDE = 40, STEPS = 3 };

static small_model small;
static const int32_t ids[] = {SMALL_IMAGE, 5, 9, SMALL_END_OF_CHUNK};
static uint8_t pixels[2][SIDE * SIDE * 3];

/* What a robot's program of that time does, from the beginning to the end. */
static void test_whole_life(void **state)
{
    const deer_camera camera = {.width = SIDE, .height = SIDE, .channels = DEER_BGR};
    const deer_observation seen = {{pixels[0], sizeof pixels[0]}, {pixels[1], sizeof pixels[1]}};
    const deer_pool_options threads = {.size = sizeof threads, .threads = 2};
    deer_model_options opening = {.size = sizeof opening};
    deer_session_options options = {
        .size = sizeof options, .static_view = camera, .gripper_view = camera};
    struct {
        deer_action action;
        uint8_t behind[64];
    } out;
    deer_pool *pool;
    deer_model *model;
    deer_thresholds *fixed, *copy;
    deer_session *session;

    (void)state;
    assert_true(deer_version_number() >= 10000 && deer_version_number() < 20000);
    ok(deer_pool_new(&threads, &pool, &error));
    options.pool = opening.pool = pool;
    ok(deer_model_open_with(small.path, DEER_ALL_EXITS, &opening, &model, &error));
    assert_int_equal(deer_model_config(model)->exits, SMALL_EXITS);
    ok(deer_thresholds_fixed(model, 0, &fixed, &error));
    ok(deer_thresholds_copy(fixed, &copy, &error));
    assert_true(deer_thresholds_expected(copy)->exit_fraction[0] == 1);
    ok(deer_session_new(model, copy, &options, &session, &error));
    deer_thresholds_free(copy);
    ok(deer_session_set_tokens(session, ids, 4, &error));
    for (int i = 0; i < STEPS; i++) {
        memset(&out, 0xA5, sizeof out);
        ok(deer_step(session, &seen, &out.action, &error));
        assert_true(out.action.exit == 0 && isfinite(out.action.pose[0]));
        for (size_t b = 0; b < sizeof out.behind; b++) /* the struct has not outgrown its memory */
            assert_int_equal(out.behind[b], 0xA5);
    }
    deer_session_free(session);
    deer_thresholds_free(fixed);
    deer_model_close(model);
    deer_pool_free(pool);
}

static int setup(void **state)
{
    (void)state;
    small_model_make(&small);
    for (size_t i = 0; i < sizeof pixels; i++)
        ((uint8_t *)pixels)[i] = (uint8_t)(i * 7);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    small_model_remove(&small);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_whole_life)};

    return cmocka_run_group_tests(tests, setup, teardown);
}
