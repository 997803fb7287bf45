/* SPDX-License-Identifier: MIT */
/* test_session.c - sessions: what a step promises besides its numbers (test_golden.c has those). */
#include "tests/runtime/small_model.h"

#include <math.h>
#include <pthread.h>

#include "budgets/cost/cost.h"
#include "runtime/base/file.h"
#include "runtime/base/tau.h"
#include "runtime/policy/session.h"
#include "runtime/thresholds/thresholds_format.h"

/* Counts allocations, to show that a step makes none. The sanitizers bring their own malloc. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) ||                               \
    __has_feature(address_sanitizer)
#define COUNTS_ALLOCATIONS 0
static long allocations;
#else
#define COUNTS_ALLOCATIONS 1
static long allocations;
extern void *__libc_malloc(size_t);
void *malloc(size_t n);
void *malloc(size_t n)
{
    allocations++;
    return __libc_malloc(n);
}
#endif

enum { SIDE = 40, STEPS = 6, LAST = SMALL_EXITS - 1 };

static const int32_t ids[] = {SMALL_IMAGE, 5, 9, SMALL_END_OF_CHUNK};

static small_model small;
static deer_model *model;

static int start(void **state)
{
    (void)state;
    small_model_make(&small);
    model = small_model_open(&small, DEER_ALL_EXITS);
    return 0;
}

static int end(void **state)
{
    (void)state;
    deer_model_close(model);
    small_model_remove(&small);
    return 0;
}

/* ---------------------------------------------------------------- playing ------------------ */

typedef struct {
    uint8_t rgb[STEPS][2][SIDE * SIDE * 3];
} film;

static void shoot(film *f, unsigned seed)
{
    for (int t = 0; t < STEPS; t++)
        for (int view = 0; view < 2; view++)
            for (int i = 0; i < SIDE * SIDE * 3; i++)
                f->rgb[t][view][i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
}

static deer_observation frame(const film *f, int t)
{
    return (deer_observation){{f->rgb[t][0], sizeof f->rgb[t][0]},
                              {f->rgb[t][1], sizeof f->rgb[t][1]}};
}

static const deer_camera camera = {.width = SIDE, .height = SIDE};
static const deer_session_options cameras = {
    .size = sizeof cameras, .static_view = {SIDE, SIDE, 0, 0}, .gripper_view = {SIDE, SIDE, 0, 0}};

/* Thresholds up to an exit, where the one before it is taken up to tau. */
static deer_thresholds up_to(const deer_model *of, int exit, float tau)
{
    deer_thresholds t;

    thresholds_fix(of, exit, &t, NULL);
    if (exit)
        t.tau[0] = tau;
    return t;
}

static deer_session *session_of(const deer_model *of, const deer_thresholds *t)
{
    deer_session *session;

    ok(deer_session_new(of, t, &cameras, &session, &error));
    ok(deer_session_set_tokens(session, ids, 4, &error));
    return session;
}

static deer_action step(deer_session *session, const film *f, int t)
{
    deer_observation seen = frame(f, t);
    deer_action action;

    ok(deer_step(session, &seen, &action, &error));
    return action;
}

static void assert_same(const deer_action *a, const deer_action *b)
{
    assert_int_equal(a->exit, b->exit);
    assert_memory_equal(a->pose, b->pose, sizeof a->pose);
    assert_memory_equal(a->command, b->command, sizeof a->command);
    assert_memory_equal(&a->gripper_probability, &b->gripper_probability, sizeof(float));
}

/* ---------------------------------------------------------------- threads ------------------ */

typedef struct {
    film seen;
    deer_action actions[STEPS];
} play;

static void *run(void *argument)
{
    play *p = argument;
    deer_thresholds t = up_to(model, LAST, 0.05f);
    deer_session *session;
    deer_error err;
    void *failed = NULL;

    if (deer_session_new(model, &t, &cameras, &session, &err))
        return p;
    if (deer_session_set_tokens(session, ids, 4, &err))
        failed = p;
    for (int i = 0; i < STEPS && !failed; i++) {
        deer_observation o = frame(&p->seen, i);
        if (deer_step(session, &o, &p->actions[i], &err))
            failed = p;
    }
    deer_session_free(session);
    return failed;
}

/* Sessions on one model, one after the other and at once: bit for bit the same. */
static void test_threads_share_a_model(void **state)
{
    enum { THREADS = 4 };
    play *alone = calloc(THREADS, sizeof *alone), *together = calloc(THREADS, sizeof *together);
    pthread_t thread[THREADS];
    void *failed;

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        shoot(&alone[i].seen, i);
        shoot(&together[i].seen, i);
        assert_null(run(&alone[i]));
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, run, &together[i]), 0);
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], &failed);
        assert_null(failed);
        assert_memory_equal(alone[i].actions, together[i].actions, sizeof alone[i].actions);
    }
    free(alone);
    free(together);
}

/* ---------------------------------------------------------------- state -------------------- */

/* Deciding is free of side effects: the state after a step depends on the exit taken alone. */
static void test_state_comes_from_the_exit_taken(void **state)
{
    const deer_config *c = deer_model_config(model);
    size_t floats = (size_t)c->lstm_layers * (size_t)c->lstm_hidden;
    deer_thresholds choosing =
        up_to(model, LAST, 1e-30f); /* tests the first exit, takes it never */
    deer_thresholds last = up_to(model, LAST, -INFINITY);
    deer_session *tested = session_of(model, &choosing), *fixed = session_of(model, &last);
    film f;

    (void)state;
    shoot(&f, 7);
    for (int i = 0; i < STEPS; i++) {
        deer_action a = step(tested, &f, i), b = step(fixed, &f, i);
        assert_int_equal(a.exit, LAST);
        assert_same(&a, &b);
        assert_int_equal(a.head_evaluations, 3); /* pseudo exit and two exits, none twice */
        assert_memory_equal(deer_session_lstm_h(tested), deer_session_lstm_h(fixed), floats * 4);
        assert_memory_equal(deer_session_lstm_c(tested), deer_session_lstm_c(fixed), floats * 4);
    }
    deer_session_free(tested);
    deer_session_free(fixed);
}

/* The same film again after a reset, and after other films: bit for bit the same. */
static void test_reset_forgets(void **state)
{
    deer_thresholds t = up_to(model, LAST, 0.05f);
    deer_session *session = session_of(model, &t);
    deer_action first[STEPS], again;
    film f, other;

    (void)state;
    shoot(&f, 1);
    shoot(&other, 2);
    for (int i = 0; i < STEPS; i++)
        first[i] = step(session, &f, i);
    for (int round = 0; round < 3; round++) {
        if (round == 1)
            step(session, &other, 0);
        if (round == 2)
            ok(deer_session_set_tokens(session, ids, 4, &error));
        else
            deer_session_reset(session, NULL);
        for (int i = 0; i < STEPS; i++) {
            again = step(session, &f, i);
            assert_same(&again, &first[i]);
        }
    }
    deer_session_free(session);
}

/* How far the pose is from the one done before: what a score of `turn` alone says. */
static void assert_turn(const deer_action *a, const float done[DEER_POSE])
{
    double sum = 0;

    for (int i = 0; i < DEER_POSE; i++)
        sum += pow((double)a->pose[i] - (double)done[i], 2);
    assert_true(fabs((double)a->delta[a->exit] - sqrt(sum / DEER_POSE)) < 1e-6);
}

/* The combined criterion compares with the last step that was done: not with one that failed, nor
 * with one before a reset; repeated exits and other thresholds in between count. */
static void test_combined_remembers(void **state)
{
    deer_thresholds t = up_to(model, LAST, -INFINITY), other = t;
    deer_session *session;
    deer_observation blind = {0};
    deer_action a;
    float done[DEER_POSE] = {0};
    film f;

    (void)state;
    shoot(&f, 6);
    t.criterion = DEER_CRITERION_COMBINED;
    t.score[0].weight[DEER_SIGNAL_TURN] = t.score[LAST].weight[DEER_SIGNAL_TURN] = 1;
    session = session_of(model, &t);
    for (int i = 0; i < STEPS; i++) {
        if (i == 2)
            assert_int_equal(deer_step(session, &blind, &a, &error), DEER_USAGE);
        if (i == 3)
            ok(deer_session_set_thresholds(session, &other, &error));
        if (i == 4)
            ok(deer_session_set_thresholds(session, &t, &error));
        if (i == 5) {
            deer_session_reset(session, NULL);
            memset(done, 0, sizeof done);
        }
        a = step(session, &f, i);
        if (i != 3)
            assert_turn(&a, done);
        memcpy(done, a.pose, sizeof done);
    }
    deer_session_free(session);
}

/* The same film again after a reset, under a criterion that looks at the step before. */
static void test_reset_forgets_the_step_before(void **state)
{
    deer_thresholds t = up_to(model, LAST, 0);
    deer_action first[STEPS], again;
    deer_session *session;
    int exits[SMALL_EXITS] = {0};
    film f;

    (void)state;
    shoot(&f, 1);
    t.criterion = DEER_CRITERION_COMBINED;
    t.score[0] = (deer_score){.weight = {[DEER_SIGNAL_TURN] = 1, [DEER_SIGNAL_MARGIN] = -0.5f}};
    session = session_of(model, &t);
    for (int i = 0; i < STEPS; i++) /* a threshold in the middle of what was said */
        t.tau[0] += step(session, &f, i).delta[0] / STEPS;
    ok(deer_session_set_thresholds(session, &t, &error));
    for (int round = 0; round < 3; round++) {
        deer_session_reset(session, NULL);
        for (int i = 0; i < STEPS; i++) {
            again = step(session, &f, i);
            first[i] = round ? first[i] : again;
            assert_same(&again, &first[i]);
            assert_true(again.delta[0] == first[i].delta[0]);
            exits[again.exit]++;
        }
    }
    assert_true(exits[0] > 0 && exits[LAST] > 0);
    deer_session_free(session);
}

/* Cameras may change their resolution between steps. */
static void test_image_sizes_change(void **state)
{
    deer_thresholds t = up_to(model, LAST, -INFINITY);
    deer_session *changing = session_of(model, &t), *fresh;
    deer_action a, b;
    film f;

    (void)state;
    shoot(&f, 4);
    for (int side = SIDE; side > 0; side -= 13) {
        size_t bytes = 3 * (size_t)side * SIDE;
        deer_observation seen = {{f.rgb[0][0], bytes}, {f.rgb[0][1], bytes}};
        deer_camera low = {.width = SIDE, .height = side}, narrow = {.width = side, .height = SIDE};
        fresh = session_of(model, &t);
        ok(deer_session_set_cameras(changing, &low, &narrow, &error));
        ok(deer_session_set_cameras(fresh, &low, &narrow, &error));
        deer_session_reset(changing, NULL);
        ok(deer_step(changing, &seen, &a, &error));
        ok(deer_step(fresh, &seen, &b, &error));
        assert_same(&a, &b);
        deer_session_free(fresh);
    }
    deer_session_free(changing);
}

/* ---------------------------------------------------------------- thresholds --------------- */

/* A model opened up to exit 0 acts as the whole one does at exit 0. */
static void test_prefix_acts_the_same(void **state)
{
    deer_model *prefix = small_model_open(&small, 0);
    deer_thresholds t = up_to(model, 0, 0);
    deer_session *a = session_of(model, &t), *b = session_of(prefix, &t), *none;
    deer_thresholds deeper = up_to(model, LAST, 0);
    film f;

    (void)state;
    shoot(&f, 9);
    for (int i = 0; i < STEPS; i++) {
        deer_action x = step(a, &f, i), y = step(b, &f, i);
        assert_same(&x, &y);
    }
    assert_int_equal(deer_session_new(prefix, &deeper, NULL, &none, &error), DEER_FAILED);
    says("do not fit a model opened up to exit 0");
    assert_null(none);
    deer_session_free(a);
    deer_session_free(b);
    deer_model_close(prefix);
}

/* Between decisions the exit stays, without a test; a lower limit binds at once. */
static void test_stages(void **state)
{
    deer_thresholds t = up_to(model, LAST, -INFINITY);
    deer_session *session;
    film f;

    (void)state;
    shoot(&f, 11);
    t.steps_per_stage = 3;
    session = session_of(model, &t);
    for (int i = 0; i < 5; i++) {
        deer_action a = step(session, &f, i);
        assert_int_equal(a.exit, LAST);
        assert_int_equal(a.head_evaluations, i % 3 ? 1 : 3);
        assert_int_equal(isnan(a.delta[0]) != 0, i % 3 != 0);
    }
    t = up_to(model, 0, 0);
    t.steps_per_stage = 3;
    ok(deer_session_set_thresholds(session, &t, &error));
    assert_int_equal(step(session, &f, 5).exit, 0);
    deer_session_free(session);
}

/* The dial turned in mid-episode: other exits from the next step on, the recurrent state goes on,
 * as if the thresholds had been replaced. */
static void test_dial_turns_in_mid_episode(void **state)
{
    deer_thresholds t = up_to(model, LAST, -INFINITY), cheap = up_to(model, LAST, INFINITY);
    deer_session *turned, *replaced;
    film f;

    (void)state;
    shoot(&f, 12);
    t.points = 2;
    t.point[0] = (deer_point){.budget_gflops = 1};
    memcpy(t.point[0].tau, cheap.tau, sizeof cheap.tau);
    t.point[1] = (deer_point){.budget_gflops = 2};
    memcpy(t.point[1].tau, t.tau, sizeof t.tau);
    turned = session_of(model, &t);
    replaced = session_of(model, &t);
    for (int i = 0; i < STEPS; i++) {
        deer_action a = step(turned, &f, i), b = step(replaced, &f, i);
        assert_int_equal(a.exit, i < 2 ? LAST : 0);
        assert_memory_equal(a.command, b.command, sizeof a.command);
        if (i == 1) {
            ok(deer_session_set_budget(turned, 1.5, &error));
            ok(deer_session_set_thresholds(replaced, &cheap, &error));
        }
    }
    assert_int_equal(deer_session_set_budget(turned, 0.5, &error), DEER_INFEASIBLE);
    says("below the dial's least");
    deer_session_free(turned);
    deer_session_free(replaced);
}

/* ---------------------------------------------------------------- governor ----------------- */

/* Always the first exit, or always the last: a dial with nothing between. */
static deer_thresholds two_points(bool llm)
{
    deer_thresholds t = up_to(model, LAST, -INFINITY);
    deer_cost cost;

    deer_cost_of(deer_model_config(model), 4, WEIGHT_F32, &cost);
    t.budget_is_llm = llm;
    t.points = 2;
    for (int i = 0; i < 2; i++) {
        t.point[i].budget_gflops = deer_gflops(llm ? cost.exit[i].llm : cost.exit[i].total);
        tau_never(LAST, t.point[i].tau);
    }
    t.point[0].tau[0] = INFINITY;
    return t;
}

/* What a step used is what budgets/ says of it, in either scope; what is asked for is what comes.
 */
static double used_by(const deer_action *a, bool llm, const deer_cost *cost, deer_cost_kept *kept)
{
    unsigned views = (a->static_age == 0) | (unsigned)(a->gripper_age == 0) << 1;
    deer_cost_saved saved = deer_cost_reuse(cost, views, a->exit, kept);

    return deer_gflops(llm ? cost->exit[a->exit].llm - saved.llm
                           : deer_cost_step(cost, a->exit, a->head_evaluations) - saved.total);
}

static void govern(bool llm, int stage, int age, const deer_exit_rule *rule)
{
    enum { ROUNDS = 600 };
    const deer_camera_rules rules = {.static_view = {age, INFINITY}};
    deer_thresholds t = two_points(llm);
    deer_cost_kept kept = {{0}};
    double budget = 0.4 * t.point[0].budget_gflops + 0.6 * t.point[1].budget_gflops, used = 0;
    int shallow = 0, longest = 0;
    const deer_governor *now;
    deer_session *session;
    deer_cost cost;
    film f;

    shoot(&f, 31);
    deer_cost_of(deer_model_config(model), 4, WEIGHT_F32, &cost);
    t.steps_per_stage = stage;
    t.cameras = t.point[0].cameras = t.point[1].cameras = rules;
    t.rule = t.point[0].rule = t.point[1].rule = *rule;
    ok(deer_session_new(model, &t, &cameras, &session, &error));
    ok(deer_session_set_governor(session, budget, 200, &error)); /* no instruction yet */
    ok(deer_session_set_tokens(session, ids, 4, &error));
    now = deer_session_governor(session);
    for (int n = 0; n < ROUNDS; n++) {
        deer_action a = step(session, &f, n % STEPS);

        used += used_by(&a, llm, &cost, &kept);
        assert_true(fabs(now->used_gflops - used) < 1e-9 * used);
        assert_true(used <= (n + 1) * budget + 2 * budget + 1e-9);
        shallow = a.exit < LAST ? shallow + 1 : 0;
        longest = shallow > longest ? shallow : longest;
        if (n % 50 == 0) {
            ok(deer_session_reset(session, &error)); /* the account goes on */
            shallow = 0;
        }
    }
    assert_int_equal(now->steps, ROUNDS);
    if (rule->kind == DEER_RULE_REFRESH) /* turning the dial does not turn the rule off */
        assert_in_range(longest, 1, rule->steps);
    if (!age) /* 2 of 200 steps, of 600; with cameras reused the dial does not reach so far */
        assert_true(fabs(used / (ROUNDS * budget) - 1) < 0.007);
    ok(deer_session_set_budget(session, budget, &error));
    assert_null(deer_session_governor(session));
    ok(deer_session_set_governor(session, budget, 0, &error));
    assert_int_equal(deer_session_governor(session)->horizon, 500);
    assert_int_equal(deer_session_set_governor(session, budget / 100, 0, &error), DEER_INFEASIBLE);
    assert_non_null(deer_session_governor(session));
    t.points = 0;
    ok(deer_session_set_thresholds(session, &t, &error));
    assert_null(deer_session_governor(session));
    deer_session_free(session);
}

static void test_governor_keeps_the_budget(void **state)
{
    const deer_exit_rule none = {.kind = DEER_RULE_NONE};
    const deer_exit_rule refresh = {.kind = DEER_RULE_REFRESH, .deep = LAST, .steps = 4};
    const deer_exit_rule debt = {.kind = DEER_RULE_DEBT, .deep = LAST, .limit = 1};

    (void)state;
    govern(false, 1, 0, &none);
    govern(true, 1, 0, &none);
    govern(true, 3, 0, &none);
    govern(false, 1, 3, &none);
    govern(true, 1, 3, &none);
    govern(false, 1, 0, &refresh);
    govern(true, 1, 0, &refresh);
    govern(true, 1, 0, &debt);
}

/* ---------------------------------------------------------------- calibration -------------- */

/* What a batch returns, put through the head, is what the step does. */
static void test_features_are_what_a_step_sees(void **state)
{
    const deer_config *c = deer_model_config(model);
    size_t d = (size_t)c->d_model;
    float *pooled = malloc((SMALL_EXITS + 1) * d * sizeof *pooled), pose[DEER_POSE],
          before[DEER_POSE];
    deer_thresholds t = up_to(model, LAST, -INFINITY);
    deer_session *acting = session_of(model, &t);
    deer_batch *looking;
    deer_head *head;
    film f;

    (void)state;
    shoot(&f, 5);
    ok(deer_head_new(model, 1, NULL, &head, &error));
    ok(deer_batch_new(model, 1, NULL, &looking, &error));
    ok(deer_batch_set_tokens(looking, ids, 4, &error));
    ok(deer_batch_set_cameras(looking, &camera, &camera, &error));
    for (int i = 0; i < STEPS; i++) {
        deer_observation seen = frame(&f, i);
        const float *h = deer_session_lstm_h(acting), *cell = deer_session_lstm_c(acting);
        float delta[SMALL_EXITS], gripper;
        deer_action a;
        int32_t ran;
        ok(deer_batch_add(looking, &seen, &error));
        ok(deer_batch_run(looking, pooled, &ran, &error));
        assert_int_equal(ran, 1);
        deer_head_evaluate(head, 1, pooled, h, cell, NULL, NULL, before, &gripper, NULL);
        for (int k = 0; k < SMALL_EXITS; k++) {
            deer_head_evaluate(head, 1, pooled + (size_t)(k + 1) * d, h, cell, NULL, NULL, pose,
                               &gripper, NULL);
            delta[k] = deer_criterion_delta(DEER_CRITERION_L2, pose, before);
            memcpy(before, pose, sizeof before);
        }
        a = step(acting, &f, i);
        assert_memory_equal(a.pose, pose, sizeof pose);
        assert_memory_equal(a.delta, delta, sizeof delta);
        assert_true(a.gripper_probability == gripper);
    }
    deer_head_free(head);
    deer_batch_free(looking);
    deer_session_free(acting);
    free(pooled);
}

/* Instructions of several lengths, one with tokens before its image, one with two of it. */
static const int32_t said[STEPS][5] = {{SMALL_IMAGE, 5, 9, SMALL_END_OF_CHUNK},
                                       {7, SMALL_IMAGE, 2, SMALL_END_OF_CHUNK, 3},
                                       {SMALL_IMAGE},
                                       {SMALL_IMAGE, 4, SMALL_IMAGE, 8, 1},
                                       {6, 7},
                                       {SMALL_IMAGE, 5, 9, SMALL_END_OF_CHUNK}};
static const int said_count[STEPS] = {4, 5, 1, 5, 2, 4};

/* Frames of all instructions, `together` at a time, into pooled. */
static void look(int together, float *pooled)
{
    size_t each = (SMALL_EXITS + 1) * (size_t)deer_model_config(model)->d_model;
    deer_batch *batch;
    int32_t ran;
    film f;

    shoot(&f, 8);
    ok(deer_batch_new(model, together, NULL, &batch, &error));
    ok(deer_batch_set_cameras(batch, &camera, &camera, &error));
    for (int i = 0; i < STEPS; i++) {
        deer_observation seen = frame(&f, i);
        ok(deer_batch_set_tokens(batch, said[i], said_count[i], &error));
        assert_int_equal(deer_batch_tokens(batch), said_count[i]);
        ok(deer_batch_add(batch, &seen, &error));
        if (deer_batch_count(batch) == together || i == STEPS - 1) {
            ok(deer_batch_run(batch, pooled, &ran, &error));
            pooled += (size_t)ran * each;
        }
        assert_true(deer_batch_count(batch) < together);
    }
    ok(deer_batch_run(batch, pooled, &ran, &error));
    assert_int_equal(ran, 0);
    deer_batch_free(batch);
}

/* What an observation's features are does not depend on what it is batched with, to the bit. */
static void test_batches_do_not_mix(void **state)
{
    size_t n = STEPS * (SMALL_EXITS + 1) * (size_t)deer_model_config(model)->d_model;
    float *alone = calloc(n, sizeof *alone), *batched = calloc(n, sizeof *batched);

    (void)state;
    look(1, alone);
    for (int together = 2; together <= STEPS; together++) {
        memset(batched, 0, n * sizeof *batched);
        look(together, batched);
        assert_memory_equal(alone, batched, n * sizeof *alone);
    }
    free(alone);
    free(batched);
}

/* A batch says what it cannot take. */
static void test_bad_batches(void **state)
{
    static const uint8_t rgb[3];
    deer_observation seen = {{rgb, 3}, {rgb, 3}}, blind = {{rgb, 3}, {NULL, 3}},
                     cut = {{rgb, 3}, {rgb, 2}};
    const deer_camera pixel = {.width = 1, .height = 1};
    deer_batch *batch;

    (void)state;
    assert_int_equal(deer_batch_new(model, 0, NULL, &batch, &error), DEER_USAGE);
    says("batch of 0");
    assert_null(batch);
    ok(deer_batch_new(model, 1, NULL, &batch, &error));
    assert_int_equal(deer_batch_add(batch, &seen, &error), DEER_USAGE);
    says("no instruction");
    assert_int_equal(deer_batch_set_tokens(batch, (int32_t[]){SMALL_VOCAB}, 1, &error), DEER_USAGE);
    says("outside the vocabulary");
    ok(deer_batch_set_tokens(batch, ids, 4, &error));
    ok(deer_batch_set_cameras(batch, &pixel, &pixel, &error));
    assert_int_equal(deer_batch_add(batch, &cut, &error), DEER_USAGE);
    says("of 2 bytes is not its camera's");
    assert_int_equal(deer_batch_add(batch, &blind, &error), DEER_USAGE);
    says("lacks an image");
    ok(deer_batch_add(batch, &seen, &error));
    assert_int_equal(deer_batch_add(batch, &seen, &error), DEER_USAGE);
    says("is full with 1");
    assert_int_equal(deer_batch_count(batch), 1);
    deer_batch_free(batch);
}

/* A batch of heads does what single ones do, up to the order of sums; states may be in place. */
static void test_batched_head(void **state)
{
    enum { BATCH = 5, LAYERS = 4, HIDDEN = 24, WIDTH = 48, STATE = LAYERS * HIDDEN };
    static float pooled[BATCH][WIDTH], h[BATCH][STATE], c[BATCH][STATE], h1[BATCH][STATE],
        c1[BATCH][STATE];
    float pose[BATCH][DEER_POSE], gripper[BATCH], pose1[DEER_POSE], gripper1;
    deer_head *head, *single;
    unsigned seed = 3;

    (void)state;
    for (int i = 0; i < BATCH; i++) {
        for (int j = 0; j < WIDTH; j++)
            pooled[i][j] = (float)((seed = seed * 1664525 + 1013904223) >> 8) / (1 << 23) - 1;
        for (int j = 0; j < STATE; j++)
            h1[i][j] = h[i][j] = c1[i][j] = c[i][j] = pooled[i][j % WIDTH] * 0.5f;
    }
    ok(deer_head_new(model, BATCH, NULL, &head, &error));
    ok(deer_head_new(model, 1, NULL, &single, &error));
    deer_head_evaluate(head, BATCH, pooled[0], h[0], c[0], h[0], c[0], pose[0], gripper, NULL);
    for (int i = 0; i < BATCH; i++) {
        deer_head_evaluate(single, 1, pooled[i], h1[i], c1[i], h1[i], c1[i], pose1, &gripper1,
                           NULL);
        for (int j = 0; j < DEER_POSE; j++)
            assert_true(fabsf(pose1[j] - pose[i][j]) < 1e-5f);
        for (int j = 0; j < STATE; j++)
            assert_true(fabsf(h1[i][j] - h[i][j]) < 1e-5f && fabsf(c1[i][j] - c[i][j]) < 1e-5f);
        assert_true(fabsf(gripper1 - gripper[i]) < 1e-5f);
    }
    deer_head_free(head);
    deer_head_free(single);
    assert_int_equal(deer_head_new(model, 0, NULL, &head, &error), DEER_USAGE);
    assert_int_equal(deer_head_new(model, INT32_MAX, NULL, &head, &error), DEER_USAGE);
}

/* ---------------------------------------------------------------- manners ------------------ */

static void test_a_step_allocates_nothing(void **state)
{
    deer_thresholds t = two_points(false);
    deer_session *session = session_of(model, &t);
    long before;
    film f;

    (void)state;
    ok(deer_session_set_deadline(session, 1000, &error));
    before = allocations;
    shoot(&f, 3);
    for (int i = 0; i < STEPS; i++)
        step(session, &f, i);
    ok(deer_session_set_governor(session, t.point[1].budget_gflops, 0, &error));
    for (int i = 0; i < STEPS; i++)
        step(session, &f, i);
    assert_int_equal(allocations, before);
    assert_true(!COUNTS_ALLOCATIONS || before > 0);
    deer_session_free(session);
}

/* A session computes with the threads of its own pool, and the same bits with any number. */
static void test_pools_do_not_change_results(void **state)
{
    enum { POOLS = 3 };
    static const int threads[POOLS] = {1, 2, 5};
    deer_thresholds t = up_to(model, LAST, 0.05f);
    deer_action expected[STEPS];
    deer_session *own = session_of(model, &t);
    film f;

    (void)state;
    shoot(&f, 21);
    for (int i = 0; i < STEPS; i++)
        expected[i] = step(own, &f, i);
    for (int p = 0; p < POOLS; p++) {
        const deer_pool_options how = {.size = sizeof how, .threads = threads[p]};
        deer_session_options options = cameras;
        deer_session *session;

        ok(deer_pool_new(&how, &options.pool, &error));
        assert_int_equal(deer_pool_threads(options.pool), threads[p]);
        ok(deer_session_new(model, &t, &options, &session, &error));
        ok(deer_session_set_tokens(session, ids, 4, &error));
        for (int i = 0; i < STEPS; i++) {
            deer_action a = step(session, &f, i);
            assert_memory_equal(&a, &expected[i], sizeof a);
        }
        deer_session_free(session);
        deer_pool_free(options.pool);
    }
    deer_session_free(own);
}

static void test_refuses(void **state)
{
    deer_thresholds t = up_to(model, LAST, 0.1f), bad;
    int32_t outside[] = {SMALL_VOCAB}, negative[] = {-1};
    deer_session *session;
    deer_action action;
    film f;
    deer_observation seen = frame(&f, 0), blind = seen;

    (void)state;
    shoot(&f, 1);
    ok(deer_session_new(model, &t, &cameras, &session, &error));
    assert_int_equal(deer_step(session, &seen, &action, &error), DEER_USAGE);
    says("no instruction");
    assert_int_equal(deer_session_set_tokens(session, outside, 1, &error), DEER_USAGE);
    assert_int_equal(deer_session_set_tokens(session, negative, 1, &error), DEER_USAGE);
    assert_int_equal(deer_session_set_tokens(session, ids, 0, &error), DEER_USAGE);
    assert_int_equal(deer_session_set_tokens(session, NULL, 1, &error), DEER_USAGE);
    assert_int_equal(deer_session_set_instruction(session, NULL, &error), DEER_USAGE);
    assert_int_equal(deer_session_set_instruction(session, "lift", &error), DEER_FAILED);
    says("no tokenizer");
    assert_int_equal(deer_unknown_words(model, "lift"), 0);
    assert_int_equal(deer_unknown_words(model, NULL), 0);
    ok(deer_session_set_tokens(session, ids, 4, &error));
    assert_int_equal(deer_session_set_tokens(session, outside, 1, &error), DEER_USAGE);
    assert_int_equal(deer_step(session, &seen, &action, &error), DEER_USAGE);
    says("no instruction"); /* rather than the one before */
    ok(deer_session_set_tokens(session, ids, 4, &error));
    blind.static_view.bytes--;
    assert_int_equal(deer_step(session, &blind, &action, &error), DEER_USAGE);
    blind = seen;
    blind.gripper_view.pixels = NULL;
    assert_int_equal(deer_step(session, &blind, &action, &error), DEER_USAGE);
    says("lacks an image");
    bad = t, bad.model_fingerprint[0] ^= 1;
    assert_int_equal(deer_session_set_thresholds(session, &bad, &error), DEER_FAILED);
    says("another model");
    bad = t, bad.steps_per_stage = 0;
    assert_int_equal(deer_session_set_thresholds(session, &bad, &error), DEER_USAGE);
    bad = t, bad.max_exit = -1;
    assert_int_equal(deer_session_set_thresholds(session, &bad, &error), DEER_USAGE);
    bad = t, bad.criterion = (deer_criterion)5;
    assert_int_equal(deer_session_set_thresholds(session, &bad, &error), DEER_USAGE);
    ok(deer_step(session, &seen, &action, &error)); /* unharmed by all that */
    deer_session_free(session);
}

/* More tokens than the model takes are cut, as the official tokenizer cuts them. */
static void test_long_instructions_are_cut(void **state)
{
    enum { MANY = 100 };
    int most = deer_model_config(model)->max_text;
    deer_thresholds t = up_to(model, LAST, -INFINITY);
    deer_session *cut = session_of(model, &t), *fits = session_of(model, &t);
    int32_t many[MANY];
    deer_action a, b;
    film f;

    (void)state;
    shoot(&f, 2);
    for (int i = 0; i < MANY; i++)
        many[i] = i ? i : SMALL_IMAGE;
    ok(deer_session_set_tokens(cut, many, MANY, &error));
    ok(deer_session_set_tokens(fits, many, most, &error));
    assert_int_equal(deer_session_tokens(cut), most);
    a = step(cut, &f, 0), b = step(fits, &f, 0);
    assert_same(&a, &b);
    deer_session_free(cut);
    deer_session_free(fits);
}

/* Weights that are finite but overflow: an error, not a command; the recurrent state stays clean.
 */
static void test_overflow_moves_no_robot(void **state)
{
    const float huge = 3e38f;
    char path[64], *bytes;
    deer_model *wild;
    deer_thresholds deep, shallow;
    deer_session *session;
    deer_observation seen;
    deer_action action;
    size_t size;
    film f;

    (void)state;
    shoot(&f, 8);
    seen = frame(&f, 0);
    snprintf(path, sizeof path, "%s/wild", small.folder);
    ok(file_read(small.path, 1 << 28, &bytes, &size, &error));
    small_model_forget_checksums(bytes, size);
    for (size_t i = 1; i <= 4000; i++) /* of the last layer's MLP, behind exit 0 */
        memcpy(bytes + size - 4 * i, &huge, 4);
    ok(file_write(path, bytes, size, &error));
    ok(deer_model_open(path, DEER_ALL_EXITS, &wild, &error));
    deep = up_to(wild, LAST, -INFINITY);
    shallow = up_to(wild, 0, 0);
    session = session_of(wild, &deep);
    assert_int_equal(deer_step(session, &seen, &action, &error), DEER_FAILED);
    says("not finite");
    assert_true(deer_session_lstm_h(session)[0] == 0 && deer_session_lstm_c(session)[0] == 0);
    ok(deer_session_set_thresholds(session, &shallow, &error));
    ok(deer_step(session, &seen, &action, &error));
    deer_session_free(session);
    deer_model_close(wild);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_threads_share_a_model),
        cmocka_unit_test(test_state_comes_from_the_exit_taken),
        cmocka_unit_test(test_reset_forgets),
        cmocka_unit_test(test_combined_remembers),
        cmocka_unit_test(test_reset_forgets_the_step_before),
        cmocka_unit_test(test_image_sizes_change),
        cmocka_unit_test(test_prefix_acts_the_same),
        cmocka_unit_test(test_stages),
        cmocka_unit_test(test_dial_turns_in_mid_episode),
        cmocka_unit_test(test_governor_keeps_the_budget),
        cmocka_unit_test(test_features_are_what_a_step_sees),
        cmocka_unit_test(test_batches_do_not_mix),
        cmocka_unit_test(test_bad_batches),
        cmocka_unit_test(test_batched_head),
        cmocka_unit_test(test_a_step_allocates_nothing),
        cmocka_unit_test(test_pools_do_not_change_results),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_long_instructions_are_cut),
        cmocka_unit_test(test_overflow_moves_no_robot),
    };

    return cmocka_run_group_tests(tests, start, end);
}
