/* SPDX-License-Identifier: MIT */
/* test_deadline.c - steps that are to end in time, on a clock of the test's own: what the policy
 * that ships computes is made to take times that the test makes up, with slow-downs at random. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/random.h"
#include "runtime/base/threads/threads.h"
#include "runtime/policy/session.h"

enum { SIDE = 64, EXITS = 6 };

/* Milliseconds, as the parts of the published 3B model take relative to each other, roughly. */
static const double see_ms = 30, layer_ms = 5, head_ms = 3;

static deer_model *model;
static deer_error error;
static double now, slow;   /* seconds; how many times as long as undisturbed everything takes now */
static double after_first; /* when the first head evaluation of the step ended */
static double stall;       /* seconds, once, on the way to a deep exit */
static bool computes;      /* cameras and layers: where only times matter, they are left out */
static uint64_t seed;
static enum { EACH_CALL, EACH_STEP, BURSTS } disturbance;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

static int start(void **state)
{
    (void)state;
    ok(deer_model_open("datasets/tabletop/policy.safetensors", DEER_ALL_EXITS, &model, &error));
    return 0;
}

static int end(void **state)
{
    (void)state;
    deer_model_close(model);
    return 0;
}

/* ---------------------------------------------------------------- a slowed backend --------- */

static double clock_here(void)
{
    return now;
}

static void take(double ms)
{
    if (disturbance == EACH_CALL)
        slow = random_uniform(&seed, 1, 3);
    now += 1e-3 * ms * slow;
}

static void see(void *work, int frames, unsigned views, deer_profile *profile)
{
    if (computes)
        backend_cpu.see(work, frames, views, profile);
    take(see_ms);
}

static void advance(void *work, int layer)
{
    if (computes)
        backend_cpu.advance(work, layer);
    take(layer_ms);
    now += layer == 8 ? stall : 0;
}

static void act(void *work, int rows, float *pose, float *gripper)
{
    backend_cpu.act(work, rows, pose, gripper);
    take(head_ms);
    after_first = rows == 2 ? now : after_first;
}

static void keep(void *work, int row)
{
    backend_cpu.keep(work, row);
    take(1);
}

/* Between steps: whether a neighbour on the machine comes or goes. */
static void disturb(void)
{
    if (disturbance == EACH_STEP)
        slow = random_uniform(&seed, 1, 3);
    else if (disturbance == BURSTS && random_uniform(&seed, 0, 1) < 0.05)
        slow = slow > 1 ? 1 : random_uniform(&seed, 1, 3);
}

typedef struct {
    deer_session *session;
    backend on;
    uint8_t rgb[2][SIDE * SIDE * 3];
} slowed;

/* tau: of every exit; -1: none is taken before the deepest. */
static void open_slowed(slowed *s, float tau)
{
    const deer_session_options options = {.size = sizeof options, .pool = threads_single()};
    deer_thresholds *t;

    ok(deer_thresholds_fixed(model, EXITS - 1, &t, &error));
    for (int k = 0; k < EXITS - 1; k++)
        t->tau[k] = tau;
    ok(deer_session_new(model, t, &options, &s->session, &error));
    deer_thresholds_free(t);
    ok(deer_session_set_instruction(s->session, "lift the red block", &error));
    s->on = backend_cpu;
    s->on.see = see;
    s->on.advance = advance;
    s->on.act = act;
    s->on.keep = keep;
    s->session->on = &s->on;
    s->session->deadline.now = clock_here;
    now = 1000;
    slow = 1;
    seed = 7;
}

static deer_action step(slowed *s, int t)
{
    deer_observation seen = {{s->rgb[0], sizeof s->rgb[0]}, {s->rgb[1], sizeof s->rgb[1]}};
    deer_action action;

    if (t % 4 == 0)
        for (int view = 0; view < 2; view++)
            for (int i = 0; i < SIDE * SIDE * 3; i++)
                s->rgb[view][i] = (uint8_t)(random_next(&seed) >> 56);
    disturb();
    ok(deer_step(s->session, &seen, &action, &error));
    return action;
}

/* ---------------------------------------------------------------- tests -------------------- */

typedef struct {
    int late, possible, exits[EXITS];
} count;

/* Steps with a deadline; of those whose first exit came in time, which were late. */
static count play(float tau, double ms, int steps)
{
    static slowed s;
    count c = {0};

    open_slowed(&s, tau);
    ok(deer_session_set_deadline(s.session, (int64_t)(1e3 * ms), &error));
    for (int t = 0; t < steps; t++) {
        double began = now;
        deer_action a = step(&s, t);
        bool fits = after_first - began + 0.003 <= 1e-3 * ms, late = now - began > 1e-3 * ms;

        assert_int_equal(a.late, late);
        c.possible += fits;
        c.late += fits && late;
        c.exits[a.exit]++;
        for (int k = 0; k < a.exit; k++)
            assert_true(a.delta[k] > tau); /* never beyond the thresholds' choice */
    }
    deer_session_free(s.session);
    return c;
}

/* Undisturbed 30 ms for the cameras, 14 ms to exit 0, 13 ms from exit to exit. Slow-downs of up to
 * three times of every call on its own, of whole steps, or in bursts: of 2000 steps fewer than 1%
 * are late where the first exit was not, and the time there is is used. */
static void test_in_time(void **state)
{
    static const double limit[3] = {220, 250, 200};

    (void)state;
    for (int how = EACH_CALL; how <= BURSTS; how++) {
        count c;

        disturbance = how;
        c = play(-1, limit[how], 2000);
        print_message("%d late of %d; exits %d %d %d %d %d %d\n", c.late, c.possible, c.exits[0],
                      c.exits[1], c.exits[2], c.exits[3], c.exits[4], c.exits[5]);
        assert_true(c.possible > 1900);
        assert_true(c.late < c.possible / 100);
        assert_true(c.exits[0] + c.exits[1] < 1000); /* not by giving up */
        assert_true(c.exits[0] + c.exits[1] + c.exits[2] + c.exits[3] > 100 || how == EACH_CALL);
    }
}

/* A deadline that is never near changes nothing, bit for bit; one that cannot be kept takes the
 * first exit, and says late. */
static void test_far_and_impossible(void **state)
{
    static slowed with, without;

    (void)state;
    computes = true;
    disturbance = EACH_STEP;
    open_slowed(&without, 0.02f);
    open_slowed(&with, 0.02f);
    ok(deer_session_set_deadline(with.session, 1000000000, &error));
    for (int t = 0; t < 40; t++) {
        deer_action a, b;
        uint64_t same = seed = (uint64_t)t + 1;

        a = step(&without, t);
        seed = same;
        b = step(&with, t);
        assert_memory_equal(&a, &b, sizeof a);
    }
    ok(deer_session_set_deadline(with.session, 1, &error));
    for (int t = 0; t < 40; t++) {
        deer_action a = step(&with, t);
        assert_true(a.exit == 0 && a.late == 1);
    }
    ok(deer_session_set_deadline(with.session, 0, &error));
    assert_int_equal(step(&with, 0).late, 0);
    deer_session_free(with.session);
    deer_session_free(without.session);
    computes = false;
}

/* The machine stalls for a second once, in the way to each exit: that is forgotten. */
static void test_stall(void **state)
{
    static slowed s;
    int deep = 0;

    (void)state;
    disturbance = BURSTS;
    open_slowed(&s, -1);
    ok(deer_session_set_deadline(s.session, 150000, &error));
    for (int t = 0; t < 30; t++) {
        seed = 7; /* no burst */
        stall = t == 29;
        assert_int_equal(step(&s, 1).late, t == 29);
    }
    stall = 0;
    for (int t = 0; t < 300; t++) {
        deer_action a;

        seed = 7;
        a = step(&s, 1);
        assert_true(!a.late && (t > 0 || a.exit < EXITS - 1));
        deep += a.exit == EXITS - 1;
    }
    assert_in_range(deep, 50, 299);
    deer_session_free(s.session);
}

/* Where a stage repeats its exit untested, a step that is slow takes one before it. */
static void test_stages(void **state)
{
    static slowed s;

    (void)state;
    disturbance = BURSTS;
    open_slowed(&s, -1);
    s.session->thresholds.steps_per_stage = 2;
    ok(deer_session_set_deadline(s.session, 150000, &error));
    for (int t = 0; t < 41; t++) {
        deer_action a;

        seed = 7;
        slow = t == 39 ? 2 : 1;
        a = step(&s, 1);
        if (t == 39)
            assert_in_range(a.exit, 0, EXITS - 2);
        else if (t > 2)
            assert_int_equal(a.exit, EXITS - 1);
    }
    deer_session_free(s.session);
}

/* Where a rule wants a deep exit, tested or not, a step that is slow takes one before it. */
static void test_rules(void **state)
{
    static const deer_exit_rule rules[2] = {
        {.kind = DEER_RULE_SCHEDULE, .steps = 1, .pattern = {4}},
        {.kind = DEER_RULE_REFRESH, .deep = 4, .steps = 1},
    };
    static slowed s;

    (void)state;
    disturbance = BURSTS;
    for (int i = 0; i < 2; i++) {
        int wanted = i ? 0 : 4, cut = 0;

        open_slowed(&s, 1e9f);
        s.session->thresholds.rule = rules[i];
        ok(deer_session_set_deadline(s.session, 150000, &error));
        for (int t = 0; t < 40; t++) {
            deer_action a;

            seed = 7;
            slow = t % 10 == 9 ? 2 : 1;
            a = step(&s, 1);
            assert_int_equal(a.late, 0);
            if (slow > 1 && wanted) {
                assert_true(a.exit < wanted);
                cut++;
            } else {
                assert_int_equal(a.exit, wanted);
            }
            wanted = i && a.exit == 4 ? 0 : 4;
        }
        assert_true(cut >= (i ? 1 : 4));
        deer_session_free(s.session);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_time), cmocka_unit_test(test_far_and_impossible),
        cmocka_unit_test(test_stall),   cmocka_unit_test(test_stages),
        cmocka_unit_test(test_rules),
    };

    return cmocka_run_group_tests(tests, start, end);
}
