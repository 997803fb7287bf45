/* SPDX-License-Identifier: MIT */
/* test_rule.c - rules of exits: what a session does under them is what a few plain lines say, exit
 * for exit, from the features that a batch computes. */
#include "tests/runtime/small_model.h"

#include <math.h>

#include "runtime/deer_replay.h"
#include "runtime/thresholds/exit_rule.h"
#include "runtime/thresholds/thresholds_format.h"

enum { STEPS = 48, EXITS = 6, SIDE = 64, PIXELS = SIDE * SIDE * 3, ROWS = EXITS + 1 };

static const char instruction[] = "lift the red block";
static deer_model *model;
static uint8_t rgb[STEPS][2][PIXELS];
static float *features; /* [STEPS, ROWS, d] */

static deer_observation seen_at(int t)
{
    return (deer_observation){{rgb[t][0], PIXELS}, {rgb[t][1], PIXELS}};
}

/* Pictures that change a little from step to step, and all at once now and then. */
static void shoot(void)
{
    uint64_t drawn = 7;

    for (int t = 0; t < STEPS; t++)
        for (int i = 0; i < 2 * PIXELS; i++) {
            drawn = drawn * 6364136223846793005u + 1442695040888963407u;
            rgb[t][i / PIXELS][i % PIXELS] = t % 11 == 0 || drawn >> 60 == 0
                                                 ? (uint8_t)(drawn >> 40)
                                                 : rgb[t - 1][i / PIXELS][i % PIXELS];
        }
}

static int start(void **state)
{
    const deer_camera camera = {.width = SIDE, .height = SIDE};
    deer_batch *batch;
    int32_t count;

    (void)state;
    ok(deer_model_open("datasets/tabletop/policy.safetensors", DEER_ALL_EXITS, &model, &error));
    assert_int_equal(deer_model_max_exit(model), EXITS - 1);
    shoot();
    features =
        calloc((size_t)STEPS * ROWS * (size_t)deer_model_config(model)->d_model, sizeof *features);
    ok(deer_batch_new(model, STEPS, NULL, &batch, &error));
    ok(deer_batch_set_cameras(batch, &camera, &camera, &error));
    ok(deer_batch_set_instruction(batch, instruction, &error));
    for (int t = 0; t < STEPS; t++) {
        deer_observation seen = seen_at(t);
        ok(deer_batch_add(batch, &seen, &error));
    }
    ok(deer_batch_run(batch, features, &count, &error));
    deer_batch_free(batch);
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(features);
    deer_model_close(model);
    return 0;
}

/* ---------------------------------------------------------------- in plain words ----------- */

/* One robot's way: the state and all that rules look at. */
typedef struct {
    float h[4096], c[4096];
    int exit[STEPS]; /* taken */
    int heads[STEPS];
    float value[STEPS]; /* l2 at the exit taken, NaN: untested */
    float pose[STEPS][DEER_POSE];
} way;

static float l2(const float *a, const float *b)
{
    float sum = 0;

    for (int i = 0; i < DEER_POSE; i++)
        sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrtf(sum / DEER_POSE);
}

/* The first exit that step t may take, from everything before it. */
static int least_at(const deer_exit_rule *rule, const way *w, int t)
{
    int since = 0; /* steps since one went as far as deep */
    double debt = 0;
    const float *last = t ? w->pose[t - 1] : (const float[DEER_POSE]){0};

    while (since < t && w->exit[t - 1 - since] < rule->deep) {
        float value = w->value[t - 1 - since++];
        debt += isfinite(value) ? (double)value : 0;
    }
    switch (rule->kind) {
    case DEER_RULE_REFRESH:
        return since >= rule->steps ? rule->deep : 0;
    case DEER_RULE_DEBT:
        return debt > (double)rule->limit ? rule->deep : 0;
    case DEER_RULE_SPEED:
        return hypotf(hypotf(last[0], last[1]), last[2]) < rule->limit ? rule->deep : 0;
    case DEER_RULE_SCHEDULE:
        return rule->pattern[t % rule->steps];
    }
    return 0;
}

static void go(deer_head *head, const deer_thresholds *rules, way *w, int t)
{
    const deer_config *c = deer_model_config(model);
    size_t state = (size_t)c->lstm_layers * (size_t)c->lstm_hidden;
    static float h[ROWS * 4096], cell[ROWS * 4096], pose[ROWS][DEER_POSE], gripper[ROWS];
    int least = least_at(&rules->rule, w, t), k = least, last = rules->max_exit;

    for (int r = 0; r < ROWS; r++) {
        memcpy(h + (size_t)r * state, w->h, state * sizeof *h);
        memcpy(cell + (size_t)r * state, w->c, state * sizeof *cell);
    }
    ok(deer_head_evaluate(head, ROWS, features + (size_t)(t * ROWS * c->d_model), h, cell, h, cell,
                          pose[0], gripper, &error));
    w->heads[t] = 1;
    w->value[t] = NAN;
    if (rules->rule.kind != DEER_RULE_SCHEDULE && least < last) {
        while (k < last && !(l2(pose[k + 1], pose[k]) <= rules->tau[k]))
            k++;
        w->heads[t] = 2 + k - least;
        w->value[t] = l2(pose[k + 1], pose[k]);
    }
    w->exit[t] = k;
    memcpy(w->pose[t], pose[k + 1], sizeof w->pose[t]);
    memcpy(w->h, h + (size_t)(k + 1) * state, state * sizeof *h);
    memcpy(w->c, cell + (size_t)(k + 1) * state, state * sizeof *cell);
}

/* ---------------------------------------------------------------- comparing ---------------- */

static deer_thresholds under(const deer_exit_rule *rule, float tau)
{
    deer_thresholds t;

    ok(thresholds_fix(model, EXITS - 1, &t, &error));
    for (int k = 0; k < EXITS - 1; k++)
        t.tau[k] = tau;
    t.rule = *rule;
    return t;
}

static deer_session *session_under(const deer_thresholds *t)
{
    const deer_session_options options = {.size = sizeof options,
                                          .static_view = {SIDE, SIDE, 0, 0},
                                          .gripper_view = {SIDE, SIDE, 0, 0}};
    deer_session *session;

    ok(deer_session_new(model, t, &options, &session, &error));
    ok(deer_session_set_instruction(session, instruction, &error));
    return session;
}

/* Both ways, step by step; returns how many steps the rule kept from leaving at the first exit. */
static int compare(const deer_exit_rule *rule, float tau)
{
    static way w;
    deer_thresholds t = under(rule, tau);
    deer_session *session = session_under(&t);
    deer_head *head;
    int bound = 0;

    w = (way){.h = {0}};
    ok(deer_head_new(model, ROWS, NULL, &head, &error));
    for (int i = 0; i < STEPS; i++) {
        deer_observation seen = seen_at(i);
        deer_action a;

        go(head, &t, &w, i);
        ok(deer_step(session, &seen, &a, &error));
        if (a.exit != w.exit[i])
            fail_msg("%s, step %d: exit %d, not %d", deer_rule_name((deer_rule_kind)rule->kind), i,
                     a.exit, w.exit[i]);
        assert_int_equal(a.head_evaluations, w.heads[i]);
        assert_true(isnan(a.delta[a.exit]) == isnan(w.value[i]));
        for (int c = 0; c < DEER_POSE; c++)
            assert_true(fabsf(a.pose[c] - w.pose[i][c]) < 1e-4f);
        bound += least_at(rule, &w, i) > 0;
    }
    deer_head_free(head);
    deer_session_free(session);
    return bound;
}

static void test_a_rule_says_what_it_says(void **state)
{
    static const deer_exit_rule some[] = {
        {DEER_RULE_REFRESH, 1, 1, 0, {0}},        {DEER_RULE_REFRESH, 2, 3, 0, {0}},
        {DEER_RULE_REFRESH, 5, 2, 0, {0}},        {DEER_RULE_DEBT, 1, 0, 0.05f, {0}},
        {DEER_RULE_DEBT, 3, 0, 0.2f, {0}},        {DEER_RULE_DEBT, 5, 0, 0.1f, {0}},
        {DEER_RULE_SPEED, 1, 0, 0.5f, {0}},       {DEER_RULE_SPEED, 4, 0, 0.3f, {0}},
        {DEER_RULE_SCHEDULE, 0, 3, 0, {0, 4, 1}}, {DEER_RULE_SCHEDULE, 0, 1, 0, {2}},
    };

    (void)state;
    for (size_t r = 0; r < sizeof some / sizeof *some; r++) {
        static const float tau[] = {0.01f, 0.03f, 0.1f, INFINITY};
        bool mixed = some[r].kind == DEER_RULE_SCHEDULE;

        for (int i = 0; i < 4; i++) {
            int bound = compare(&some[r], tau[i]);
            mixed = mixed || (bound > 0 && bound < STEPS);
        }
        if (!mixed)
            fail_msg("rule %zu never, or always, binds", r);
    }
    assert_int_equal(compare(&(deer_exit_rule){.kind = DEER_RULE_NONE}, 0.03f), 0);
}

/* ---------------------------------------------------------------- what it remembers -------- */

static int exit_of(deer_session *session, int t)
{
    deer_observation seen = seen_at(t);
    deer_action a;

    ok(deer_step(session, &seen, &a, &error));
    return a.exit;
}

/* A reset, or another rule, begins anew; the same rule with other thresholds goes on. */
static void test_memory(void **state)
{
    static const deer_exit_rule rule = {DEER_RULE_SCHEDULE, 0, 4, 0, {0, 1, 2, 3}};
    static const deer_exit_rule other = {DEER_RULE_SCHEDULE, 0, 2, 0, {5, 4}};
    deer_thresholds t = under(&rule, 0), u = under(&other, 0), v = under(&rule, 1);
    deer_session *session = session_under(&t);

    (void)state;
    assert_int_equal(exit_of(session, 0), 0);
    assert_int_equal(exit_of(session, 1), 1);
    ok(deer_session_set_thresholds(session, &v, &error));
    assert_int_equal(exit_of(session, 2), 2);
    ok(deer_session_set_thresholds(session, &u, &error));
    assert_int_equal(exit_of(session, 3), 5);
    assert_int_equal(exit_of(session, 4), 4);
    assert_int_equal(exit_of(session, 5), 5);
    ok(deer_session_reset(session, &error));
    assert_int_equal(exit_of(session, 6), 5);
    deer_session_free(session);
}

/* A point of the dial brings its own rule, which begins with its first step. */
static void test_dial(void **state)
{
    static const deer_exit_rule cheap = {DEER_RULE_SCHEDULE, 0, 2, 0, {0, 1}};
    deer_thresholds t = under(&(deer_exit_rule){.kind = DEER_RULE_NONE}, -1);
    deer_session *session;

    (void)state;
    t.points = 2;
    t.point[0] = (deer_point){.budget_gflops = 1, .rule = cheap};
    t.point[1] = (deer_point){.budget_gflops = 2};
    memcpy(t.point[0].tau, t.tau, sizeof t.tau);
    memcpy(t.point[1].tau, t.tau, sizeof t.tau);
    session = session_under(&t);
    assert_int_equal(exit_of(session, 0), EXITS - 1);
    ok(deer_session_set_budget(session, 1.5, &error));
    assert_int_equal(exit_of(session, 1), 0);
    assert_int_equal(exit_of(session, 2), 1);
    ok(deer_session_set_budget(session, 1, &error)); /* the same point */
    assert_int_equal(exit_of(session, 3), 0);
    assert_int_equal(deer_session_set_budget(session, 0.5, &error), DEER_INFEASIBLE);
    assert_int_equal(exit_of(session, 4), 1);
    ok(deer_session_set_budget(session, 2, &error));
    assert_int_equal(exit_of(session, 5), EXITS - 1);
    deer_session_free(session);
}

/* ---------------------------------------------------------------- what is refused ---------- */

static void refuse(deer_exit_rule rule, int stage, const char *words)
{
    deer_thresholds t = under(&rule, 1), u = under(&(deer_exit_rule){.kind = DEER_RULE_NONE}, 1);
    deer_session *session;

    t.steps_per_stage = u.steps_per_stage = stage;
    assert_int_equal(deer_session_new(model, &t, NULL, &session, &error), DEER_USAGE);
    says(words);
    u.points = 1;
    u.point[0] = (deer_point){.budget_gflops = 1, .rule = rule};
    memcpy(u.point[0].tau, u.tau, sizeof u.tau);
    assert_int_equal(deer_session_new(model, &u, NULL, &session, &error), DEER_USAGE);
    says(words);
}

static void test_refused(void **state)
{
    (void)state;
    refuse((deer_exit_rule){.kind = 5}, 1, "no known kind");
    refuse((deer_exit_rule){.kind = -1}, 1, "no known kind");
    refuse((deer_exit_rule){DEER_RULE_REFRESH, 0, 1, 0, {0}}, 1, "deep exit");
    refuse((deer_exit_rule){DEER_RULE_REFRESH, EXITS, 1, 0, {0}}, 1, "deep exit");
    refuse((deer_exit_rule){DEER_RULE_REFRESH, 1, 0, 0, {0}}, 1, "steps, 1 or more");
    refuse((deer_exit_rule){DEER_RULE_DEBT, 1, 0, NAN, {0}}, 1, "a limit");
    refuse((deer_exit_rule){DEER_RULE_SPEED, 1, 0, -1, {0}}, 1, "a limit");
    refuse((deer_exit_rule){DEER_RULE_SCHEDULE, 0, 0, 0, {0}}, 1, "1 to 32 exits");
    refuse((deer_exit_rule){DEER_RULE_SCHEDULE, 0, 33, 0, {0}}, 1, "1 to 32 exits");
    refuse((deer_exit_rule){DEER_RULE_SCHEDULE, 0, 1, 0, {EXITS}}, 1, "none deeper");
    refuse((deer_exit_rule){DEER_RULE_SCHEDULE, 0, 1, 0, {1}}, 2, "steps_per_stage 1");
}

static void test_careless_callers(void **state)
{
    deer_rule_memory memory = {0};

    (void)state;
    assert_int_equal(deer_rule_least(NULL, &memory, 3), 0);
    assert_int_equal(deer_rule_least(&(deer_exit_rule){DEER_RULE_SPEED, 2, 0, 1, {0}}, NULL, 3), 0);
    assert_false(deer_rule_untested(NULL, 3, 3));
    deer_rule_note(NULL, &memory, 1, 0, NULL);
    assert_int_equal(memory.steps, 0);
    assert_string_equal(deer_rule_name((deer_rule_kind)9), "unknown");
    assert_null(deer_thresholds_rule(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_rule_says_what_it_says),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_dial),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_careless_callers),
    };

    return cmocka_run_group_tests(tests, start, end);
}
