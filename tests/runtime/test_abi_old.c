/* SPDX-License-Identifier: MIT */
/* test_abi_old.c - a robot's program as version 1.0 saw it: compiled with that header alone
 * (tests/data/abi/1.0, a copy that nobody changes) and run against the present libdeer.so. */
#include "tests/data/abi/1.0/deer.h"
#include "tests/data/abi/1.0/deer_drift.h"

#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { SIDE = 64, STEPS = 3 };

static const char policy[] = "datasets/tabletop/policy.safetensors";
static uint8_t pixels[2][SIDE * SIDE * 3];
static deer_error error;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

/* Nothing of the library has been linked in: the functions are the shared one's. */
static void test_is_dynamic(void **state)
{
    deer_status (*const step)(deer_session *, const deer_observation *, deer_action *,
                              deer_error *) = deer_step;
    const void *address;
    Dl_info from;

    (void)state;
    memcpy(&address, &step, sizeof address);
    assert_true(dladdr(address, &from));
    if (!strstr(from.dli_fname, "libdeer.so.1"))
        fail_msg("deer_step is of %s", from.dli_fname);
    assert_true(deer_version_number() >= 10000 && deer_version_number() < 20000);
}

/* Three steps; what the library writes stays inside of the struct as it was. */
static void take_steps(deer_session *session)
{
    const deer_observation seen = {{pixels[0], sizeof pixels[0]}, {pixels[1], sizeof pixels[1]}};
    struct {
        deer_action action;
        uint8_t behind[64];
    } out;

    for (int i = 0; i < STEPS; i++) {
        memset(&out, 0xA5, sizeof out);
        ok(deer_step(session, &seen, &out.action, &error));
        assert_true(out.action.exit == 1 && isfinite(out.action.pose[0]));
        for (size_t b = 0; b < sizeof out.behind; b++)
            assert_int_equal(out.behind[b], 0xA5);
    }
}

/* What a robot's program of that time does, from the beginning to the end. */
static void test_whole_life(void **state)
{
    const deer_camera camera = {.width = SIDE, .height = SIDE, .channels = DEER_BGR};
    const deer_pool_options threads = {.size = sizeof threads, .threads = 2};
    deer_model_options opening = {.size = sizeof opening};
    deer_session_options options = {
        .size = sizeof options, .static_view = camera, .gripper_view = camera};
    deer_drift *watch = NULL;
    deer_pool *pool;
    deer_model *model;
    deer_thresholds *fixed, *copy;
    deer_session *session;

    (void)state;
    ok(deer_pool_new(&threads, &pool, &error));
    options.pool = opening.pool = pool;
    ok(deer_model_open_with(policy, DEER_ALL_EXITS, &opening, &model, &error));
    assert_int_equal(deer_model_config(model)->exits, 6);
    ok(deer_thresholds_fixed(model, 1, &fixed, &error));
    ok(deer_thresholds_copy(fixed, &copy, &error));
    assert_true(deer_thresholds_expected(copy)->exit_fraction[1] == 1);
    ok(deer_session_new(model, copy, &options, &session, &error));
    deer_thresholds_free(copy);
    ok(deer_session_set_instruction(session, "lift the red block", &error));
    assert_true(deer_session_tokens(session) > 4);
    take_steps(session);
    assert_true(deer_drift_new(fixed, &watch, &error) &&
                !watch); /* a fixed exit: nothing to expect */
    deer_session_free(session);
    deer_thresholds_free(fixed);
    deer_model_close(model);
    deer_pool_free(pool);
}

/* Mistakes of a program are statuses, as they were. */
static void test_mistakes(void **state)
{
    deer_model *model = NULL;

    (void)state;
    assert_int_equal(deer_model_open("no-such-file", DEER_ALL_EXITS, &model, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "no-such-file"));
    assert_null(model);
    assert_int_equal(deer_step(NULL, NULL, NULL, &error), DEER_USAGE);
    assert_string_equal(deer_status_name(DEER_INFEASIBLE), "infeasible");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_is_dynamic),
                                       cmocka_unit_test(test_whole_life),
                                       cmocka_unit_test(test_mistakes)};

    for (size_t i = 0; i < sizeof pixels; i++)
        ((uint8_t *)pixels)[i] = (uint8_t)(i * 7);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
