/* SPDX-License-Identifier: MIT */
/* test_busy.c - two threads in one session: the second is told, and nothing is mixed up. Built with
 * the thread sanitizer it shows that nothing is read while another writes it. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/policy/session.h"
#include "tests/runtime/small_model.h"

enum { SIDE = 28, LAST = SMALL_EXITS - 1, THREADS = 3, STEPS = 60 };

static small_model small;
static deer_model *model;
static deer_thresholds *deepest;
static deer_session *session;
static const int32_t ids[] = {SMALL_IMAGE, 5, 9, SMALL_END_OF_CHUNK};
static uint8_t pixels[2][3 * SIDE * SIDE];
static const deer_observation seen = {{pixels[0], sizeof pixels[0]}, {pixels[1], sizeof pixels[1]}};

static deer_session *fresh_session(void)
{
    deer_session *s;

    ok(deer_session_new(model, deepest, NULL, &s, &error));
    ok(deer_session_set_tokens(s, ids, 4, &error));
    return s;
}

/* ---------------------------------------------------------------- one inside --------------- */

static sem_t inside, go_on;

/* In the first layer of a step. */
static void wait_there(void *context, int layer, const float *hidden)
{
    (void)context;
    (void)hidden;
    if (layer == 0) {
        sem_post(&inside);
        sem_wait(&go_on);
    }
}

static void *step_once(void *argument)
{
    deer_action action;

    return deer_step(session, &seen, &action, NULL) ? argument : NULL;
}

static void test_second_is_told(void **state)
{
    const deer_camera own = {0};
    deer_session *alone = fresh_session();
    deer_action action, expected;
    pthread_t first;
    void *failed;

    (void)state;
    session = fresh_session();
    session->observe = wait_there;
    sem_init(&inside, 0, 0);
    sem_init(&go_on, 0, 0);
    assert_int_equal(pthread_create(&first, NULL, step_once, session), 0);
    sem_wait(&inside);
    assert_int_equal(deer_step(session, &seen, &action, &error), DEER_BUSY);
    says("another thread is using this session");
    assert_true(isnan(action.delta[0]) && action.command[0] == 0); /* nothing to move by */
    assert_int_equal(deer_session_reset(session, NULL), DEER_BUSY);
    assert_int_equal(deer_session_set_tokens(session, ids, 4, NULL), DEER_BUSY);
    assert_int_equal(deer_session_set_instruction(session, "lift", NULL), DEER_BUSY);
    assert_int_equal(deer_session_set_thresholds(session, deepest, NULL), DEER_BUSY);
    assert_int_equal(deer_session_set_budget(session, 1, NULL), DEER_BUSY);
    assert_int_equal(deer_session_set_governor(session, 1, 0, NULL), DEER_BUSY);
    assert_int_equal(deer_session_set_deadline(session, 1, NULL), DEER_BUSY);
    assert_int_equal(deer_session_set_cameras(session, &own, &own, NULL), DEER_BUSY);
    sem_post(&go_on);
    pthread_join(first, &failed);
    assert_null(failed);
    session->observe = NULL;
    ok(deer_step(alone, &seen, &expected, &error));
    ok(deer_step(alone, &seen, &expected, &error));
    ok(deer_step(session, &seen, &action, &error)); /* its second: the others were none */
    assert_memory_equal(action.pose, expected.pose, sizeof action.pose);
    deer_session_free(session);
    deer_session_free(alone);
    sem_destroy(&inside);
    sem_destroy(&go_on);
}

/* ---------------------------------------------------------------- a crowd ------------------ */

typedef struct {
    int done, busy, other;
} tally;

static void *step_often(void *argument)
{
    tally *t = argument;
    deer_action action;

    for (int i = 0; i < STEPS; i++) {
        deer_status status = deer_step(session, &seen, &action, NULL);
        t->done += status == DEER_OK;
        t->busy += status == DEER_BUSY;
        t->other += status != DEER_OK && status != DEER_BUSY;
    }
    return NULL;
}

/* However they get into each other's way, the session has made as many steps as were answered OK,
 * one behind the other. */
static void test_a_crowd_makes_whole_steps(void **state)
{
    deer_session *alone = fresh_session();
    tally t[THREADS] = {{0, 0, 0}};
    pthread_t thread[THREADS];
    deer_action action, expected;
    int done = 0;

    (void)state;
    session = fresh_session();
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, step_often, &t[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        assert_int_equal(t[i].other, 0);
        assert_int_equal(t[i].done + t[i].busy, STEPS);
        done += t[i].done;
    }
    assert_true(done >= 1);
    for (int i = 0; i <= done; i++)
        ok(deer_step(alone, &seen, &expected, &error));
    ok(deer_step(session, &seen, &action, &error));
    assert_memory_equal(action.pose, expected.pose, sizeof action.pose);
    assert_memory_equal(deer_session_lstm_h(session), deer_session_lstm_h(alone),
                        (size_t)deer_model_config(model)->lstm_hidden * sizeof(float));
    deer_session_free(session);
    deer_session_free(alone);
}

static int setup(void **state)
{
    (void)state;
    small_model_make(&small);
    model = small_model_open(&small, DEER_ALL_EXITS);
    ok(deer_thresholds_fixed(model, LAST, &deepest, &error));
    for (size_t i = 0; i < sizeof pixels; i++)
        ((uint8_t *)pixels)[i] = (uint8_t)(i * 31);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    deer_thresholds_free(deepest);
    deer_model_close(model);
    small_model_remove(&small);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_second_is_told),
        cmocka_unit_test(test_a_crowd_makes_whole_steps),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
