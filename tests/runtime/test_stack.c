/* SPDX-License-Identifier: MIT */
/* test_stack.c - a robot's control thread may have a stack of 64 KB: everything is done in one. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "runtime/deer.h"

/* Sanitizers put more on the stack. */
#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__ || defined SANITIZED
enum { STACK = 1 << 20 };
#else
enum { STACK = 64 << 10 };
#endif
enum { SIDE = 200 };

static const char policy[] = "datasets/tabletop/policy.safetensors";
static uint8_t pixels[SIDE * SIDE * 3];
static deer_error error;
static deer_status status = DEER_FAILED;

/* From opening the model to an action. */
static void *whole_life(void *unused)
{
    const deer_session_options options = {.size = sizeof options,
                                          .static_view = {.width = SIDE, .height = SIDE},
                                          .gripper_view = {.width = SIDE, .height = SIDE}};
    const deer_observation seen = {.static_view = {pixels, sizeof pixels},
                                   .gripper_view = {pixels, sizeof pixels}};
    deer_model *model = NULL;
    deer_thresholds *thresholds = NULL;
    deer_session *session = NULL;
    deer_action action;

    status = deer_model_open(policy, DEER_ALL_EXITS, &model, &error);
    if (!status)
        status = deer_thresholds_fixed(model, deer_model_max_exit(model), &thresholds, &error);
    if (!status)
        status = deer_session_new(model, thresholds, &options, &session, &error);
    if (!status)
        status = deer_session_set_instruction(session, "lift the red block", &error);
    if (!status)
        status = deer_step(session, &seen, &action, &error);
    deer_session_free(session);
    deer_thresholds_free(thresholds);
    deer_model_close(model);
    return unused;
}

static void test_small_stack(void **state)
{
    pthread_attr_t small;
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_attr_init(&small), 0);
    assert_int_equal(pthread_attr_setstacksize(&small, STACK), 0);
    assert_int_equal(pthread_create(&thread, &small, whole_life, NULL), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    pthread_attr_destroy(&small);
    if (status)
        fail_msg("%s", error.message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small_stack)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
