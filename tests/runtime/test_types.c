/* SPDX-License-Identifier: MIT */
/* test_types.c - what bfloat16 and 8-bit weights do to the tabletop policy's actions.
 *
 * The shipped policy is converted, and recorded episodes are played through all three files side by
 * side: each sees the same pictures, and remembers its own past. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/tabletop/rollout.h"
#include "runtime/import/model_file.h"
#include "runtime/thresholds/thresholds_format.h"
#include "tests/base/unless_long.h"

static const char shipped[] = "datasets/tabletop/policy.safetensors";

enum { MOST_EPISODES = 10, EXITS = 6 };

static int episodes;

/* Root mean square of the difference of poses (-1..1) to float32's, over all steps and components:
 * what precision may cost. Of the 30 mm that a step moves at most, 0.3 and 0.6 mm. float32 itself
 * differs by the order of sums only, when its features come from a batch. */
static const double largest[WEIGHT_DTYPES] = {1e-5, 0.01, 0.02};

static char folder[] = "/tmp/deer-types-XXXXXX";
static char path[WEIGHT_DTYPES][64];
static deer_model *model[WEIGHT_DTYPES];
static demo_episode episode[MOST_EPISODES];
static deer_error error;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

/* One episode each of tasks all over the list, as deer-sim records them. */
static void record_episodes(void)
{
    rollout_recording how = {.noise = 0.7};
    rollout_stage stage;

    ok(rollout_stage_open(&stage, NULL, NULL, &error));
    for (int i = 0; i < episodes; i++) {
        uint64_t seed = rollout_seed(77, i);
        bool done;

        tabletop_reset(stage.world, seed, i * tabletop_tasks() / episodes, TABLETOP_SEEN);
        ok(rollout_record(&stage, seed, &how, &episode[i], &done, &error));
        assert_true(done);
    }
    rollout_stage_close(&stage);
}

static int set_up(void **state)
{
    (void)state;
    episodes = unless_long(4, MOST_EPISODES);
    assert_non_null(mkdtemp(folder));
    for (int type = 0; type < WEIGHT_DTYPES; type++) {
        model_output to = {.path = path[type], .dtype = (weight_dtype)type};

        snprintf(path[type], sizeof path[type], "%s/%s", folder,
                 weight_dtype_name((weight_dtype)type));
        ok(model_convert(shipped, &to, &error));
        ok(deer_model_open(path[type], DEER_ALL_EXITS, &model[type], &error));
        assert_string_equal(deer_model_type(model[type]), weight_dtype_name((weight_dtype)type));
    }
    record_episodes();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < episodes; i++)
        demo_episode_free(&episode[i]);
    for (int type = 0; type < WEIGHT_DTYPES; type++) {
        deer_model_close(model[type]);
        unlink(path[type]);
    }
    rmdir(folder);
    return 0;
}

/* ---------------------------------------------------------------- playing ------------------ */

/* Actions of one model that always takes one exit, at every step of every episode. */
typedef struct {
    int steps;
    float (*pose)[DEER_POSE];
    float *gripper;
} played;

static int all_steps(void)
{
    int n = 0;

    for (int i = 0; i < episodes; i++)
        n += episode[i].steps;
    return n;
}

static played play(const deer_model *m, int exit)
{
    played p = {.pose = malloc((size_t)all_steps() * sizeof *p.pose),
                .gripper = malloc((size_t)all_steps() * sizeof *p.gripper)};
    deer_thresholds fixed;
    deer_session *session;
    deer_camera camera[2];

    assert_true(p.pose && p.gripper);
    thresholds_fix(m, exit, &fixed, NULL);
    ok(deer_session_new(m, &fixed, NULL, &session, &error));
    for (int i = 0; i < episodes; i++) {
        demo_episode_cameras(&episode[i], &camera[0], &camera[1]);
        ok(deer_session_set_cameras(session, &camera[0], &camera[1], &error));
        ok(deer_session_set_instruction(session, episode[i].instruction, &error));
        for (int t = 0; t < episode[i].steps; t++) {
            deer_observation seen = demo_episode_observation(&episode[i], t);
            deer_action action;

            ok(deer_step(session, &seen, &action, &error));
            memcpy(p.pose[p.steps], action.pose, sizeof action.pose);
            p.gripper[p.steps++] = action.gripper_probability;
        }
    }
    deer_session_free(session);
    return p;
}

static void played_free(played *p)
{
    free(p->pose);
    free(p->gripper);
}

static double pose_rms(const played *a, const played *b)
{
    double squares = 0;

    for (int t = 0; t < a->steps; t++)
        for (int j = 0; j < DEER_POSE; j++)
            squares += pow((double)a->pose[t][j] - (double)b->pose[t][j], 2);
    return sqrt(squares / (a->steps * DEER_POSE));
}

static double gripper_differs(const played *a, const played *b)
{
    int n = 0;

    for (int t = 0; t < a->steps; t++)
        n += (a->gripper[t] > 0.5f) != (b->gripper[t] > 0.5f);
    return (double)n / a->steps;
}

/* ---------------------------------------------------------------- tests -------------------- */

/* At every exit, each model with its own past. */
static void test_actions_are_close(void **state)
{
    (void)state;
    print_message("exit  type  pose RMS  gripper differs  (%d steps)\n", all_steps());
    for (int exit = 0; exit < EXITS; exit++) {
        played exact = play(model[WEIGHT_F32], exit);

        for (int type = WEIGHT_BF16; type < WEIGHT_DTYPES; type++) {
            played p = play(model[type], exit);
            double rms = pose_rms(&exact, &p);

            print_message("%4d  %-4s  %8.5f  %14.2f%%\n", exit,
                          weight_dtype_name((weight_dtype)type), rms,
                          100 * gripper_differs(&exact, &p));
            assert_true(rms > 0 && rms <= largest[type]);
            assert_true(gripper_differs(&exact, &p) <= 0.02);
            played_free(&p);
        }
        played_free(&exact);
    }
}

/* What the model says of an observation with the recurrent state of another. */
static void act_with_state(deer_batch *batch, deer_head *head, const demo_episode *e, int t,
                           const deer_session *other, float pose[DEER_POSE])
{
    deer_observation seen = demo_episode_observation(e, t);
    const deer_config *c = deer_model_config(model[WEIGHT_F32]);
    float pooled[(1 + EXITS) * 256], gripper;
    deer_camera camera[2];
    int32_t ran;

    assert_in_range(c->d_model, 1, 256);
    demo_episode_cameras(e, &camera[0], &camera[1]);
    ok(deer_batch_set_cameras(batch, &camera[0], &camera[1], &error));
    ok(deer_batch_set_instruction(batch, e->instruction, &error));
    ok(deer_batch_add(batch, &seen, &error));
    ok(deer_batch_run(batch, pooled, &ran, &error));
    assert_int_equal(ran, 1);
    deer_head_evaluate(head, 1, pooled + EXITS * c->d_model, deer_session_lstm_h(other),
                       deer_session_lstm_c(other), NULL, NULL, pose, &gripper, NULL);
}

/* The deepest exit's poses of one model, each with float32's past. */
static played play_with_past(const deer_model *m)
{
    played p = {.pose = calloc((size_t)all_steps(), sizeof *p.pose)};
    deer_thresholds fixed;
    deer_session *past;
    deer_camera camera[2];
    deer_batch *batch;
    deer_head *head;

    assert_non_null(p.pose);
    thresholds_fix(model[WEIGHT_F32], EXITS - 1, &fixed, NULL);
    ok(deer_session_new(model[WEIGHT_F32], &fixed, NULL, &past, &error));
    ok(deer_batch_new(m, 1, NULL, &batch, &error));
    ok(deer_head_new(m, 1, NULL, &head, &error));
    for (int i = 0; i < episodes; i++) {
        demo_episode_cameras(&episode[i], &camera[0], &camera[1]);
        ok(deer_session_set_cameras(past, &camera[0], &camera[1], &error));
        ok(deer_session_set_instruction(past, episode[i].instruction, &error));
        for (int t = 0; t < episode[i].steps; t++) {
            deer_observation seen = demo_episode_observation(&episode[i], t);
            deer_action action;

            act_with_state(batch, head, &episode[i], t, past, p.pose[p.steps++]);
            ok(deer_step(past, &seen, &action, &error));
        }
    }
    deer_head_free(head);
    deer_batch_free(batch);
    deer_session_free(past);
    return p;
}

/* What one step alone costs; float32's own poses come out as they were. */
static void test_actions_from_one_past_are_close(void **state)
{
    played exact = play(model[WEIGHT_F32], EXITS - 1);

    (void)state;
    for (int type = WEIGHT_F32; type < WEIGHT_DTYPES; type++) {
        played p = play_with_past(model[type]);
        double rms = pose_rms(&exact, &p);

        print_message("float32's past, %-4s: pose RMS %.2g\n",
                      weight_dtype_name((weight_dtype)type), rms);
        assert_true(rms <= largest[type]);
        played_free(&p);
    }
    played_free(&exact);
}

/* Thresholds are of one type of weights, and say so to who brings them to another. */
static void test_thresholds_are_of_one_type(void **state)
{
    char saved[80];
    deer_thresholds t, read;

    (void)state;
    snprintf(saved, sizeof saved, "%s/tau.json", folder);
    thresholds_fix(model[WEIGHT_Q8], EXITS - 1, &t, NULL);
    ok(deer_thresholds_save(saved, deer_model_config(model[WEIGHT_Q8]), &t, &error));
    ok(thresholds_read(saved, model[WEIGHT_Q8], &read, &error));
    assert_string_equal(read.weights, "q8");
    assert_int_equal(thresholds_read(saved, model[WEIGHT_BF16], &read, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "another model (q8 "));
    assert_non_null(strstr(error.message, "this is bf16 "));
    unlink(saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_actions_are_close),
                                       cmocka_unit_test(test_actions_from_one_past_are_close),
                                       cmocka_unit_test(test_thresholds_are_of_one_type)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
