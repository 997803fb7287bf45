/* test_tabletop.c - the simulator: reproducible, done by its expert, drawn without a display. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/tabletop/parallel.h"
#include "datasets/tabletop/rollout.h"

enum { STARTS = 20 }; /* random starts per task; the full 200 are run by `make bench` */

static deer_error error;

#define assert_ok(call) assert_ok_(call, #call)

static void assert_ok_(deer_status status, const char *call)
{
    if (status)
        fail_msg("%s: %s", call, error.message);
}

static tabletop *new_world(void)
{
    tabletop *world;

    assert_ok(tabletop_new(&world, &error));
    return world;
}

static bool expert_succeeds(tabletop *world, int task, uint64_t seed, double noise)
{
    float action[DEER_COMMAND];

    tabletop_reset(world, seed, task);
    for (int i = 0; i < TABLETOP_MAX_STEPS && !tabletop_succeeded(world); i++) {
        tabletop_expert(world, action);
        if (noise > 0)
            tabletop_perturb(world, noise, action);
        tabletop_step(world, action);
    }
    return tabletop_succeeded(world);
}

static void test_expert_does_every_task(void **state)
{
    tabletop *world = new_world();

    (void)state;
    for (int task = 0; task < tabletop_tasks(); task++) {
        int done = 0;
        for (int i = 0; i < STARTS; i++)
            done += expert_succeeds(world, task, rollout_seed(42, i), 0);
        if (done < STARTS)
            fail_msg("%s: %d of %d", tabletop_task_name(task), done, STARTS);
    }
    tabletop_free(world);
}

/* The expert is a function of the state: it finds its way back after it was pushed off the path. */
static void test_expert_recovers_from_kicks(void **state)
{
    tabletop *world = new_world();
    int       done = 0, trials = 0;

    (void)state;
    for (int task = 0; task < tabletop_tasks(); task++)
        for (int i = 0; i < 5; i++, trials++)
            done += expert_succeeds(world, task, rollout_seed(43, i), 0.7);
    assert_true(done >= trials * 95 / 100);
    tabletop_free(world);
}

/* Nothing succeeds by itself: a task starts undone, and doing nothing does not do it. */
static void test_nothing_is_done_by_doing_nothing(void **state)
{
    tabletop *world = new_world();
    float     still[DEER_COMMAND] = {0, 0, 0, 0, 0, 0, 1};

    (void)state;
    for (int task = 0; task < tabletop_tasks(); task++) {
        tabletop_reset(world, 7, task);
        for (int i = 0; i < 10; i++) {
            assert_false(tabletop_succeeded(world));
            tabletop_step(world, still);
        }
    }
    tabletop_free(world);
}

static void test_hostile_actions_are_harmless(void **state)
{
    tabletop *world = new_world();
    float     action[DEER_COMMAND] = {NAN, INFINITY, -INFINITY, NAN, NAN, 1e30f, NAN};
    float     objects[TABLETOP_OBJECT_SIZE];

    (void)state;
    tabletop_reset(world, 1, 0);
    for (int i = 0; i < 20; i++)
        tabletop_step(world, action);
    tabletop_objects(world, objects);
    for (int i = 0; i < TABLETOP_OBJECT_SIZE; i++)
        assert_true(isfinite(objects[i]));
    tabletop_free(world);
}

static void record(rollout_stage *stage, int task, uint64_t seed, demo_episode *e)
{
    rollout_recording how = {0.7, 0};
    bool              done;

    assert_ok(rollout_record(stage, task, seed, &how, e, &done, &error));
}

static void assert_same_episode(const demo_episode *a, const demo_episode *b)
{
    size_t pixels = (size_t)a->steps * TABLETOP_IMAGE * TABLETOP_IMAGE * 3;

    assert_int_equal(a->steps, b->steps);
    assert_string_equal(a->instruction, b->instruction);
    assert_memory_equal(a->actions, b->actions, (size_t)a->steps * DEMO_ACTION * sizeof(float));
    assert_memory_equal(a->static_rgb, b->static_rgb, pixels);
    assert_memory_equal(a->gripper_rgb, b->gripper_rgb, pixels);
}

/* The same seed gives the same episode bit for bit, whatever ran before it in the same world. */
static void test_a_seed_is_an_episode(void **state)
{
    rollout_stage one, two;
    demo_episode  a, b, other;

    (void)state;
    assert_ok(rollout_stage_open(&one, NULL, NULL, &error));
    record(&one, 12, 99, &a);
    rollout_stage_close(&one);
    assert_ok(rollout_stage_open(&two, NULL, NULL, &error));
    record(&two, 3, 5, &other);
    record(&two, 12, 99, &b);
    assert_same_episode(&a, &b);
    demo_episode_free(&b);
    record(&two, 12, 100, &b);
    assert_memory_not_equal(a.static_rgb, b.static_rgb, TABLETOP_IMAGE * TABLETOP_IMAGE * 3);
    rollout_stage_close(&two);
    demo_episode_free(&a);
    demo_episode_free(&b);
    demo_episode_free(&other);
}

/* ---------------------------------------------------------------- workers ------------------ */

static deer_status square(void *context, int i, parallel_result *out, deer_error *err)
{
    int value = i * i;

    if (i == *(int *)context)
        return deer_fail(err, "job %d does not want to", i);
    return parallel_append(out, &value, sizeof value, err);
}

static int collected;

static deer_status in_order(void *context, int i, const void *data, size_t size, deer_error *err)
{
    (void)context;
    if (i != collected || size != sizeof(int) || *(const int *)data != i * i)
        return deer_fail(err, "wrong result for %d", i);
    collected++;
    return DEER_OK;
}

static void test_workers_answer_in_order(void **state)
{
    int none = -1;

    (void)state;
    for (int workers = 1; workers <= 5; workers++) {
        collected = 0;
        assert_ok(parallel_run(17, workers, NULL, square, in_order, &none, &error));
        assert_int_equal(collected, 17);
    }
}

static void test_a_failing_job_ends_the_run(void **state)
{
    int bad = 5;

    (void)state;
    collected = 0;
    assert_int_equal(parallel_run(17, 3, NULL, square, in_order, &bad, &error), DEER_FAILED);
    assert_string_equal(error.message, "job 5 does not want to");
    assert_int_equal(collected, 5);
}

static deer_status die(void *context, int i, parallel_result *out, deer_error *err)
{
    (void)context, (void)out, (void)err;
    if (i == 3)
        _Exit(1);
    return DEER_OK;
}

static deer_status accept(void *context, int i, const void *data, size_t size, deer_error *err)
{
    (void)context, (void)i, (void)data, (void)size, (void)err;
    return DEER_OK;
}

static void test_a_dying_worker_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(parallel_run(8, 2, NULL, die, accept, NULL, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "died"));
}

static void test_wilson_interval(void **state)
{
    double low, high;

    (void)state;
    wilson_interval(8, 10, &low, &high); /* textbook values: 0.490, 0.943 */
    assert_true(fabs(low - 0.4902) < 1e-3 && fabs(high - 0.9433) < 1e-3);
    wilson_interval(0, 10, &low, &high);
    assert_true(low < 1e-12 && fabs(high - 0.2775) < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expert_does_every_task),
        cmocka_unit_test(test_expert_recovers_from_kicks),
        cmocka_unit_test(test_nothing_is_done_by_doing_nothing),
        cmocka_unit_test(test_hostile_actions_are_harmless),
        cmocka_unit_test(test_a_seed_is_an_episode),
        cmocka_unit_test(test_workers_answer_in_order),
        cmocka_unit_test(test_a_failing_job_ends_the_run),
        cmocka_unit_test(test_a_dying_worker_is_noticed),
        cmocka_unit_test(test_wilson_interval),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
