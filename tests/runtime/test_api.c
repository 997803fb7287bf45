/* SPDX-License-Identifier: MIT */
/* test_api.c - every public function with every argument wrong: it says so, by a status or by an
 * empty answer; the process lives, and memory beside the arguments is as it was. */
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/file.h"
#include "runtime/deer_drift.h"
#include "runtime/deer_replay.h"
#include "tests/runtime/small_model.h"

enum { SIDE = 28, LAST = SMALL_EXITS - 1, FAR = 1 << 30 };

static small_model small;
static deer_model *model, *other; /* other: the same tensors with one weight changed */
static deer_thresholds *deepest;
static deer_session *session;
static const int32_t ids[] = {SMALL_IMAGE, 5, 9, SMALL_END_OF_CHUNK};
static const int wrong[] = {-1, INT32_MIN, 1000, FAR, INT32_MAX};
static uint8_t pixels[2][3 * SIDE * SIDE];
static const deer_observation seen = {{pixels[0], sizeof pixels[0]}, {pixels[1], sizeof pixels[1]}};

enum { WRONG = sizeof wrong / sizeof *wrong };

/* Refused as the caller's mistake, with and without room for the message. */
#define refuses(call)                                                                              \
    do {                                                                                           \
        deer_error *err = &error;                                                                  \
        error.message[0] = 0;                                                                      \
        assert_int_equal(call, DEER_USAGE);                                                        \
        assert_true(error.message[0] && !strchr(error.message, '\n'));                             \
        err = NULL;                                                                                \
        assert_int_equal(call, DEER_USAGE);                                                        \
    } while (0)

/* The same, and what it should have made is NULL. */
#define makes_nothing(out, call)                                                                   \
    do {                                                                                           \
        *(void **)&(out) = pixels;                                                                 \
        refuses(call);                                                                             \
        assert_null(out);                                                                          \
    } while (0)

/* ---------------------------------------------------------------- names and errors --------- */

static void test_names(void **state)
{
    (void)state;
    for (int i = -10; i < 10; i++) {
        assert_non_null(deer_status_name((deer_status)i));
        assert_non_null(deer_criterion_name((deer_criterion)i));
        assert_non_null(deer_signal_name((deer_signal)i));
    }
    assert_string_equal(deer_status_name(DEER_BUSY), "busy");
    assert_string_equal(deer_criterion_name((deer_criterion)FAR), "unknown");
    assert_string_equal(deer_rule_name((deer_rule_kind)FAR), "unknown");
    assert_string_equal(deer_version(), DEER_VERSION);
    assert_int_equal(deer_version_number(), 10000);
    assert_int_equal(deer_fail(NULL, "nobody %s", "reads"), DEER_FAILED);
    assert_int_equal(deer_fail_with(DEER_BUSY, NULL, "it"), DEER_BUSY);
    assert_int_equal(deer_fail(&error, "%0*d", 5000, 1), DEER_FAILED);
    assert_true(strlen(error.message) < sizeof error.message);
}

/* ---------------------------------------------------------------- pools -------------------- */

static void test_pools(void **state)
{
    deer_pool_options o = {.size = sizeof o};
    deer_pool *pool;

    (void)state;
    refuses(deer_pool_new(&o, NULL, err));
    for (int i = 0; i < WRONG; i++) {
        o.threads = wrong[i];
        makes_nothing(pool, deer_pool_new(&o, &pool, err));
    }
    o.threads = 1, o.pin = 2;
    makes_nothing(pool, deer_pool_new(&o, &pool, err));
    o.pin = 0, o.size = 0;
    makes_nothing(pool, deer_pool_new(&o, &pool, err));
    o.size = UINT32_MAX;
    makes_nothing(pool, deer_pool_new(&o, &pool, err));
    deer_pool_free(NULL);
    assert_true(deer_pool_threads(NULL) > 0);
    ok(deer_pool_new(NULL, &pool, &error));
    assert_int_equal(deer_pool_threads(pool), deer_pool_threads(NULL));
    deer_pool_free(pool);
}

/* Options of an older and of a newer caller: shorter, or longer and zero behind what is known. */
static void test_options_of_other_versions(void **state)
{
    struct {
        deer_pool_options known;
        int32_t newer[3];
    } o = {.known = {.size = sizeof o, .threads = 2}};
    deer_pool *pool;

    (void)state;
    ok(deer_pool_new(&o.known, &pool, &error));
    assert_int_equal(deer_pool_threads(pool), 2);
    deer_pool_free(pool);
    o.known.size = 8, o.known.pin = 7; /* an older caller's memory ends before `pin` */
    ok(deer_pool_new(&o.known, &pool, &error));
    deer_pool_free(pool);
    o.known.size = sizeof o, o.known.pin = 0, o.newer[2] = 1;
    makes_nothing(pool, deer_pool_new(&o.known, &pool, err));
    refuses(deer_pool_new(&o.known, &pool, err));
    assert_int_equal(deer_pool_new(&o.known, &pool, &error), DEER_USAGE);
    says("does not know");
}

/* ---------------------------------------------------------------- models ------------------- */

static void test_models(void **state)
{
    deer_model_options o = {.size = sizeof o, .reserved = 1};
    deer_model *m;

    (void)state;
    refuses(deer_model_open(small.path, 0, NULL, err));
    makes_nothing(m, deer_model_open(NULL, 0, &m, err));
    makes_nothing(m, deer_model_open_with(small.path, 0, &o, &m, err));
    o.reserved = 0, o.size = 1;
    makes_nothing(m, deer_model_open_with(small.path, 0, &o, &m, err));
    refuses(deer_model_open_with(small.path, 0, NULL, NULL, err));
    for (int i = 1; i < WRONG; i++)
        makes_nothing(m, deer_model_open(small.path, wrong[i], &m, err));
    assert_int_equal(deer_model_open("/nowhere", 0, &m, NULL), DEER_FAILED);
    assert_null(m);
    deer_model_close(NULL);
    assert_null(deer_model_config(NULL));
    assert_int_equal(deer_model_max_exit(NULL), -1);
    assert_string_equal(deer_model_fingerprint(NULL), "");
    assert_string_equal(deer_model_type(NULL), "");
    assert_string_equal(deer_model_device(NULL), "");
    assert_string_equal(deer_model_sums(NULL), "");
    assert_int_equal(deer_model_bytes(NULL), 0);
    assert_int_equal(deer_unknown_words(NULL, "word"), 0);
    assert_int_equal(deer_unknown_words(model, NULL), 0);
}

/* ---------------------------------------------------------------- thresholds --------------- */

static void test_thresholds(void **state)
{
    deer_thresholds *t;

    (void)state;
    refuses(deer_thresholds_fixed(model, 0, NULL, err));
    makes_nothing(t, deer_thresholds_fixed(NULL, 0, &t, err));
    for (int i = 0; i < WRONG; i++)
        makes_nothing(t, deer_thresholds_fixed(model, wrong[i], &t, err));
    refuses(deer_thresholds_load(small.path, model, NULL, err));
    makes_nothing(t, deer_thresholds_load(NULL, model, &t, err));
    assert_int_equal(deer_thresholds_load(small.path, model, &t, NULL), DEER_FAILED);
    assert_null(t);
    refuses(deer_thresholds_copy(deepest, NULL, err));
    makes_nothing(t, deer_thresholds_copy(NULL, &t, err));
    deer_thresholds_free(NULL);
    refuses(deer_thresholds_save(NULL, deer_model_config(model), deepest, err));
    refuses(deer_thresholds_save("/tmp/x", NULL, deepest, err));
    refuses(deer_thresholds_save("/tmp/x", deer_model_config(model), NULL, err));
    refuses(deer_thresholds_set_budget(NULL, 1, err));
    refuses(deer_thresholds_set_budget(deepest, NAN, err));
    refuses(deer_thresholds_set_budget(deepest, 1, err)); /* it has no dial */
}

static void test_looking_at_thresholds(void **state)
{
    (void)state;
    for (int i = 0; i < WRONG; i++) {
        assert_true(isnan(deer_thresholds_tau(deepest, wrong[i])));
        assert_null(deer_thresholds_point(deepest, wrong[i]));
    }
    assert_null(deer_thresholds_point(deepest, 0));
    assert_true(isnan(deer_thresholds_tau(NULL, 0)));
    assert_int_equal(deer_thresholds_max_exit(NULL), -1);
    assert_int_equal(deer_thresholds_criterion(NULL), DEER_CRITERION_L2);
    assert_int_equal(deer_thresholds_steps_per_stage(NULL), -1);
    assert_string_equal(deer_thresholds_model(NULL), "");
    assert_string_equal(deer_thresholds_solver(NULL), "");
    assert_true(isnan(deer_thresholds_budget(NULL)));
    assert_false(deer_thresholds_budget_is_llm(NULL));
    assert_null(deer_thresholds_expected(NULL));
    assert_null(deer_thresholds_guarantee(NULL));
    assert_int_equal(deer_thresholds_points(NULL), 0);
    assert_null(deer_thresholds_point(NULL, 0));

    assert_true(isinf(deer_thresholds_tau(deepest, LAST)));
    assert_int_equal(deer_thresholds_max_exit(deepest), LAST);
    assert_string_equal(deer_thresholds_model(deepest), deer_model_fingerprint(model));
    assert_string_equal(deer_thresholds_solver(deepest), "fixed");
    assert_int_equal(deer_thresholds_steps_per_stage(deepest), 1);
    assert_true(deer_thresholds_expected(deepest)->exit_fraction[LAST] == 1);
    assert_true(deer_thresholds_guarantee(deepest)->confidence == 0);
}

/* Filled in by hand, with counts beyond their arrays and numbers that are none. */
static void spoil(deer_thresholds *t, int how)
{
    *t = *deepest;
    switch (how) {
    case 0:
        t->points = 40;
        break;
    case 1:
        t->points = -1;
        break;
    case 2:
        t->exits = 40;
        break;
    case 3:
        t->max_exit = t->exits = 40;
        break;
    case 4:
        t->max_exit = -1, t->exits = 0;
        break;
    case 5:
        t->tau[0] = NAN;
        break;
    case 6:
        t->reference.episodes = DEER_MAX_REFERENCE + 1;
        break;
    case 7:
        t->criterion = (deer_criterion)FAR;
        break;
    case 8:
        t->steps_per_stage = 0;
        break;
    case 9:
        t->points = 1, t->point[0].budget_gflops = NAN;
        break;
    default:
        t->criterion = DEER_CRITERION_COMBINED, t->score[0].constant = NAN;
    }
}

static void test_spoilt_thresholds(void **state)
{
    deer_thresholds bad;
    deer_session *s;
    deer_drift *watch;

    (void)state;
    for (int how = 0; how <= 10; how++) {
        spoil(&bad, how);
        makes_nothing(s, deer_session_new(model, &bad, NULL, &s, err));
        refuses(deer_session_set_thresholds(session, &bad, err));
        refuses(deer_thresholds_save("/nowhere/t", deer_model_config(model), &bad, err));
        makes_nothing(watch, deer_drift_new(&bad, &watch, err));
    }
    for (int how = 0; how <= 8; how += how == 4 ? 2 : 1) {
        spoil(&bad, how);
        refuses(deer_thresholds_set_budget(&bad, 1, err));
        (void)deer_thresholds_tau(&bad, 39);
        (void)deer_thresholds_point(&bad, 39);
    }
}

/* ---------------------------------------------------------------- sessions ----------------- */

static void test_making_sessions(void **state)
{
    deer_session_options o = {.size = sizeof o, .reserved = 1};
    deer_session *s;

    (void)state;
    refuses(deer_session_new(model, deepest, NULL, NULL, err));
    makes_nothing(s, deer_session_new(NULL, deepest, NULL, &s, err));
    makes_nothing(s, deer_session_new(model, NULL, NULL, &s, err));
    makes_nothing(s, deer_session_new(model, deepest, &o, &s, err));
    o.reserved = 0, o.size = 0;
    makes_nothing(s, deer_session_new(model, deepest, &o, &s, err));
    o.size = sizeof o;
    for (int i = 0; i < WRONG; i++) {
        const int w = wrong[i] == 1000 ? 20000 : wrong[i];
        const deer_camera bad[] = {{w, 4, 0, 0}, {4, w, 0, 0}, {4, 4, w < 0 ? w : 11, 0},
                                   {4, 4, 0, w}, {0, 4, 0, 0}, {4, 0, 0, 0}};
        for (size_t j = 0; j < sizeof bad / sizeof *bad; j++) {
            o.static_view = bad[j], o.gripper_view = (deer_camera){0};
            makes_nothing(s, deer_session_new(model, deepest, &o, &s, err));
            o.static_view = (deer_camera){0}, o.gripper_view = bad[j];
            makes_nothing(s, deer_session_new(model, deepest, &o, &s, err));
            refuses(deer_session_set_cameras(session, &bad[j], &bad[j], err));
        }
    }
    assert_int_equal(deer_session_new(other, deepest, NULL, &s, &error), DEER_FAILED);
    says("another model");
    assert_null(s);
    deer_session_free(NULL);
}

static void test_sessions(void **state)
{
    deer_action action, as_it_was = {{0}};
    const deer_camera own = {0};
    deer_observation bad[6] = {seen, seen, seen, seen, seen, {{NULL, 0}, {NULL, 0}}};

    (void)state;
    bad[0].static_view.pixels = NULL;
    bad[1].gripper_view.pixels = NULL;
    bad[2].static_view.bytes--;
    bad[3].gripper_view.bytes++;
    bad[4].static_view.bytes = UINT64_MAX;
    for (int i = 0; i < 6; i++)
        refuses(deer_step(session, &bad[i], &action, err));
    refuses(deer_step(NULL, &seen, &action, err));
    refuses(deer_step(session, NULL, &action, err));
    refuses(deer_step(session, &seen, NULL, err));
    refuses(deer_session_set_thresholds(NULL, deepest, err));
    refuses(deer_session_set_thresholds(session, NULL, err));
    refuses(deer_session_set_deadline(NULL, 1, err));
    refuses(deer_session_set_deadline(session, -1, err));
    refuses(deer_session_set_budget(NULL, 1, err));
    refuses(deer_session_set_budget(session, NAN, err));
    refuses(deer_session_set_budget(session, 1, err));
    refuses(deer_session_set_governor(NULL, 1, 0, err));
    refuses(deer_session_set_governor(session, NAN, 0, err));
    refuses(deer_session_set_governor(session, 1, INT64_MIN, err));
    refuses(deer_session_set_governor(session, 1, 0, err)); /* it has no dial */
    assert_null(deer_session_governor(NULL));
    assert_null(deer_session_governor(session));
    refuses(deer_session_set_instruction(NULL, "lift", err));
    refuses(deer_session_set_cameras(NULL, &own, &own, err));
    refuses(deer_session_set_cameras(session, NULL, &own, err));
    refuses(deer_session_set_cameras(session, &own, NULL, err));
    refuses(deer_session_reset(NULL, err));
    refuses(deer_session_set_tokens(NULL, ids, 4, err));
    assert_int_equal(deer_session_tokens(NULL), 0);
    assert_int_equal(deer_session_bytes(NULL), 0);
    assert_null(deer_session_lstm_h(NULL));
    assert_null(deer_session_lstm_c(NULL));
    assert_int_equal(deer_session_need(NULL, 1), 0);
    assert_int_equal(deer_session_need(deer_model_config(model), 0), 0);
    assert_int_equal(deer_session_need(deer_model_config(model), -5), 0);
    ok(deer_step(session, &seen, &action, &error)); /* unharmed by all that */
    assert_memory_equal(action.reserved, as_it_was.reserved, sizeof action.reserved);

    refuses(deer_session_set_instruction(session, NULL, err));
    refuses(deer_session_set_tokens(session, NULL, 4, err));
    for (int i = 0; i < WRONG; i++)
        refuses(deer_session_set_tokens(session, (int32_t[]){wrong[i]}, 1, err));
    refuses(deer_session_set_tokens(session, ids, 0, err));
    refuses(deer_session_set_tokens(session, ids, -1, err));
    refuses(deer_step(session, &seen, &action, err)); /* there is no instruction now */
    ok(deer_session_set_tokens(session, ids, 4, &error));
}

/* ---------------------------------------------------------------- drift -------------------- */

static void test_drift(void **state)
{
    deer_drift *watch;
    deer_drift_report report;
    deer_action action = {.exit = 0};
    deer_thresholds t = *deepest;

    (void)state;
    t.reference.episodes = 1;
    refuses(deer_drift_new(&t, NULL, err));
    makes_nothing(watch, deer_drift_new(NULL, &watch, err));
    makes_nothing(watch, deer_drift_new(deepest, &watch, err));
    deer_drift_free(NULL);
    ok(deer_drift_new(&t, &watch, &error));
    refuses(deer_drift_step(NULL, &action, err));
    refuses(deer_drift_step(watch, NULL, err));
    for (int i = 0; i < WRONG; i++) {
        action.exit = wrong[i];
        refuses(deer_drift_step(watch, &action, err));
    }
    refuses(deer_drift_end_episode(NULL, 0, &report, err));
    ok(deer_drift_end_episode(watch, 0, NULL, &error));
    assert_int_equal(deer_drift_kind(NULL), deer_drift_kind(""));
    deer_drift_free(watch);
}

/* ---------------------------------------------------------------- cameras ------------------ */

static void test_cameras(void **state)
{
    const deer_camera own = {0}, bad = {4, 4, 3, 0};
    const deer_image none = {NULL, 0};
    const int32_t age[2] = {1, 1};
    const float change[2] = {NAN, 0};
    const deer_camera_rules rules = {{3, 1}, {3, 1}, 0};
    float by_age[1];
    deer_thresholds t = *deepest;
    deer_changes *changes;

    (void)state;
    assert_null(deer_thresholds_cameras(NULL));
    assert_null(deer_thresholds_rule(NULL));
    assert_int_equal(deer_thresholds_cameras(deepest)->static_view.age, 0);
    assert_true(deer_session_need_reuse(NULL) == 0);
    assert_true(deer_session_need_reuse(deer_model_config(model)) > 0);
    assert_int_equal(deer_cameras_due(NULL, age, change), DEER_BOTH_VIEWS);
    assert_int_equal(deer_cameras_due(&rules, NULL, change), DEER_BOTH_VIEWS);
    assert_int_equal(deer_cameras_due(&rules, age, NULL), DEER_BOTH_VIEWS);
    assert_int_equal(deer_cameras_due(&rules, age, change), DEER_STATIC_VIEW);
    for (int i = 0; i < 4; i++) {
        const deer_camera_rules unsound[] = {{{-1, 0}, {0, 0}, 0},
                                             {{0, 0}, {1001, 0}, 0},
                                             {{0, NAN}, {0, 0}, 0},
                                             {{1, 0}, {0, 0}, 1}};
        t.cameras = unsound[i];
        refuses(deer_session_set_thresholds(session, &t, err));
    }
    refuses(deer_changes_new(deer_model_config(model), &own, 1, NULL, err));
    makes_nothing(changes, deer_changes_new(NULL, &own, 1, &changes, err));
    makes_nothing(changes, deer_changes_new(deer_model_config(model), NULL, 1, &changes, err));
    makes_nothing(changes, deer_changes_new(deer_model_config(model), &own, 0, &changes, err));
    makes_nothing(changes, deer_changes_new(deer_model_config(model), &bad, 1, &changes, err));
    deer_changes_free(NULL);
    deer_changes_reset(NULL);
    ok(deer_changes_new(deer_model_config(model), &own, 1, &changes, &error));
    refuses(deer_changes_add(NULL, &seen.static_view, by_age, err));
    refuses(deer_changes_add(changes, NULL, by_age, err));
    refuses(deer_changes_add(changes, &none, by_age, err));
    refuses(deer_changes_add(changes, &seen.static_view, NULL, err));
    deer_changes_free(changes);
}

/* ---------------------------------------------------------------- replay ------------------- */

static void test_batches(void **state)
{
    const deer_camera own = {0}, bad = {4, 4, 3, 0};
    float pooled[1];
    int32_t count;
    deer_batch *b;

    (void)state;
    refuses(deer_batch_new(model, 1, NULL, NULL, err));
    makes_nothing(b, deer_batch_new(NULL, 1, NULL, &b, err));
    makes_nothing(b, deer_batch_new(model, 0, NULL, &b, err));
    makes_nothing(b, deer_batch_new(model, -1, NULL, &b, err));
    makes_nothing(b, deer_batch_new(model, FAR, NULL, &b, err));
    deer_batch_free(NULL);
    ok(deer_batch_new(model, 1, NULL, &b, &error));
    refuses(deer_batch_set_instruction(NULL, "lift", err));
    refuses(deer_batch_set_instruction(b, NULL, err));
    refuses(deer_batch_set_tokens(NULL, ids, 4, err));
    refuses(deer_batch_set_tokens(b, NULL, 4, err));
    refuses(deer_batch_set_tokens(b, ids, 0, err));
    refuses(deer_batch_set_cameras(NULL, &own, &own, err));
    refuses(deer_batch_set_cameras(b, NULL, &own, err));
    refuses(deer_batch_set_cameras(b, &own, &bad, err));
    refuses(deer_batch_add(NULL, &seen, err));
    refuses(deer_batch_add(b, NULL, err));
    refuses(deer_batch_add(b, &seen, err)); /* no instruction */
    refuses(deer_batch_run(NULL, pooled, &count, err));
    refuses(deer_batch_run(b, pooled, NULL, err));
    ok(deer_batch_set_tokens(b, ids, 4, &error));
    ok(deer_batch_add(b, &seen, &error));
    refuses(deer_batch_run(b, NULL, &count, err));
    refuses(deer_batch_add(b, &seen, err)); /* full */
    assert_int_equal(deer_batch_count(b), 1);
    assert_true(deer_media_size(NULL) == 0);
    refuses(deer_batch_media(NULL, pooled, err));
    refuses(deer_batch_media(b, NULL, err));
    refuses(deer_batch_media(b, pooled, err)); /* nothing has run */
    refuses(deer_batch_add_media(NULL, pooled, pooled, err));
    refuses(deer_batch_add_media(b, NULL, pooled, err));
    refuses(deer_batch_add_media(b, pooled, NULL, err));
    refuses(deer_batch_add_media(b, pooled, pooled, err)); /* full */
    assert_int_equal(deer_batch_tokens(NULL), 0);
    assert_int_equal(deer_batch_count(NULL), 0);
    deer_batch_free(b);
}

static void test_rules_of_exits(void **state)
{
    const float pose[DEER_POSE] = {0};
    deer_exit_rule strange = {.kind = DEER_RULE_SCHEDULE, .steps = DEER_MAX_PATTERN, .deep = -FAR};
    deer_rule_memory memory = {.steps = INT64_MIN, .shallow = INT32_MAX, .speed = NAN};

    (void)state;
    for (int kind = -1; kind < 100; kind++) {
        strange.kind = kind == 99 ? FAR : kind;
        assert_in_range(deer_rule_least(&strange, &memory, 2), 0, 2);
        assert_int_equal(deer_rule_least(&strange, &memory, -1), 0);
    }
    assert_int_equal(deer_rule_least(NULL, &memory, 2), 0);
    assert_int_equal(deer_rule_least(&strange, NULL, 2), 0);
    assert_false(deer_rule_untested(NULL, 1, 2));
    memory.steps = INT64_MAX;
    deer_rule_note(&strange, &memory, -FAR, NAN, pose);
    assert_true(memory.steps == INT64_MAX);
    deer_rule_note(NULL, &memory, 0, 0, pose);
    deer_rule_note(&strange, NULL, 0, 0, pose);
    deer_rule_note(&strange, &memory, 0, 0, NULL);
}

static void test_heads(void **state)
{
    const deer_config *c = deer_model_config(model);
    size_t size = (size_t)c->lstm_layers * (size_t)c->lstm_hidden + 64;
    float *x = calloc(4, (size_t)c->d_model * sizeof *x), *h = calloc(size, sizeof *h);
    float pose[DEER_POSE], gripper[2] = {0, 99};
    deer_head *head;

    (void)state;
    refuses(deer_head_new(model, 1, NULL, NULL, err));
    makes_nothing(head, deer_head_new(NULL, 1, NULL, &head, err));
    makes_nothing(head, deer_head_new(model, 0, NULL, &head, err));
    makes_nothing(head, deer_head_new(model, INT32_MAX, NULL, &head, err));
    deer_head_free(NULL);
    ok(deer_head_new(model, 1, NULL, &head, &error));
    for (int n = -3; n <= 3; n++)
        if (n != 1)
            refuses(deer_head_evaluate(head, n, x, h, h, NULL, NULL, pose, gripper, err));
    refuses(deer_head_evaluate(NULL, 1, x, h, h, NULL, NULL, pose, gripper, err));
    refuses(deer_head_evaluate(head, 1, NULL, h, h, NULL, NULL, pose, gripper, err));
    refuses(deer_head_evaluate(head, 1, x, NULL, h, NULL, NULL, pose, gripper, err));
    refuses(deer_head_evaluate(head, 1, x, h, NULL, NULL, NULL, pose, gripper, err));
    refuses(deer_head_evaluate(head, 1, x, h, h, NULL, NULL, NULL, gripper, err));
    refuses(deer_head_evaluate(head, 1, x, h, h, NULL, NULL, pose, NULL, err));
    ok(deer_head_evaluate(head, 1, x, h, h, NULL, NULL, pose, gripper, &error));
    assert_true(gripper[1] == 99);
    deer_head_free(head);
    assert_true(isnan(deer_criterion_delta(DEER_CRITERION_L2, NULL, pose)));
    assert_true(isnan(deer_criterion_delta(DEER_CRITERION_L2, pose, NULL)));
    assert_true(isnan(deer_criterion_delta((deer_criterion)FAR, pose, pose)));
    assert_true(isnan(deer_criterion_delta(DEER_CRITERION_COMBINED, pose, pose)));
    free(x);
    free(h);
}

static void test_exits(void **state)
{
    const float pose[DEER_POSE] = {0};
    deer_exit_trial t;

    (void)state;
    assert_true(isnan(deer_signal_level(NAN)) && isfinite(deer_signal_level(-INFINITY)));
    assert_int_equal(deer_exit_trial_begin(NULL, DEER_CRITERION_L2, NULL, pose, pose), DEER_USAGE);
    assert_int_equal(deer_exit_trial_begin(&t, DEER_CRITERION_L2, NULL, NULL, pose), DEER_USAGE);
    assert_int_equal(deer_exit_trial_begin(&t, DEER_CRITERION_L2, NULL, pose, NULL), DEER_USAGE);
    assert_int_equal(deer_exit_trial_begin(&t, (deer_criterion)FAR, NULL, pose, pose), DEER_USAGE);
    assert_int_equal(deer_exit_trial_begin(&t, DEER_CRITERION_L2, NULL, pose, pose), DEER_OK);
    assert_true(isnan(deer_exit_trial_next(NULL, pose, 0.5f)));
    assert_true(isnan(deer_exit_trial_next(&t, NULL, 0.5f)));
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        assert_true(deer_exit_trial_next(&t, pose, 0.5f) == 0);
    assert_true(isnan(deer_exit_trial_next(&t, pose, 0.5f))); /* no model has so many */
}

static void test_configurations(void **state)
{
    deer_config c;
    char *text;

    (void)state;
    refuses(deer_config_write(NULL, &text, err));
    refuses(deer_config_write(deer_model_config(model), NULL, err));
    refuses(deer_config_read(NULL, "{}", &c, err));
    refuses(deer_config_read("here", NULL, &c, err));
    refuses(deer_config_read("here", "{}", NULL, err));
    assert_int_equal(deer_config_read("here", "[1", &c, &error), DEER_FAILED);
    says("here: ");
    ok(deer_config_write(deer_model_config(model), &text, &error));
    ok(deer_config_read("here", text, &c, &error));
    assert_memory_equal(c.exit_layers, deer_model_config(model)->exit_layers, sizeof c.exit_layers);
    assert_true(c.d_model == deer_model_config(model)->d_model);
    free(text);
}

/* ---------------------------------------------------------------- whole -------------------- */

/* Every function of the public headers is called in this file. */
static void test_none_is_left_out(void **state)
{
    static const char *const headers[] = {"runtime/deer.h", "runtime/deer_drift.h",
                                          "runtime/deer_replay.h"};
    char *tests, *text;
    size_t size;
    int functions = 0;

    (void)state;
    ok(file_read("tests/runtime/test_api.c", 1 << 20, &tests, &size, &error));
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        ok(file_read(headers[i], 1 << 20, &text, &size, &error));
        for (char *at = text; (at = strstr(at, "\nDEER_API "));) {
            char *name, *end, call[80];
            at += strlen("\nDEER_API ");
            end = strchr(at, '(');
            for (name = end; name[-1] != ' ' && name[-1] != '*';)
                name--;
            snprintf(call, sizeof call, "%.*s(", (int)(end - name), name);
            if (!strstr(tests, call))
                fail_msg("%s) is called with wrong arguments nowhere", call);
            functions++;
        }
        free(text);
    }
    assert_true(functions > 60);
    free(tests);
}

/* One byte of the first tensor's data differs: another model of the same shape. */
static void make_other(void)
{
    char path[80], *bytes;
    size_t size;

    snprintf(path, sizeof path, "%s/other", small.folder);
    ok(file_read(small.path, 1 << 28, &bytes, &size, &error));
    small_model_forget_checksums(bytes, size);
    bytes[size / 3 & ~(size_t)3] ^= 1;
    ok(file_write(path, bytes, size, &error));
    free(bytes);
    ok(deer_model_open(path, DEER_ALL_EXITS, &other, &error));
}

static int setup(void **state)
{
    (void)state;
    small_model_make(&small);
    model = small_model_open(&small, DEER_ALL_EXITS);
    assert_int_equal(deer_model_config(model)->image_size, SIDE);
    make_other();
    ok(deer_thresholds_fixed(model, LAST, &deepest, &error));
    ok(deer_session_new(model, deepest, NULL, &session, &error));
    ok(deer_session_set_tokens(session, ids, 4, &error));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    deer_session_free(session);
    deer_thresholds_free(deepest);
    deer_model_close(other);
    deer_model_close(model);
    small_model_remove(&small);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_options_of_other_versions),
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_thresholds),
        cmocka_unit_test(test_looking_at_thresholds),
        cmocka_unit_test(test_spoilt_thresholds),
        cmocka_unit_test(test_making_sessions),
        cmocka_unit_test(test_sessions),
        cmocka_unit_test(test_drift),
        cmocka_unit_test(test_cameras),
        cmocka_unit_test(test_batches),
        cmocka_unit_test(test_rules_of_exits),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_exits),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_none_is_left_out),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
