/* test_model.c - model files and sessions under hostile and everyday conditions. */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/deer.h"
#include "runtime/file.h"
#include "runtime/official.h"

/* Counts allocations, to show that a step makes none. The sanitizers bring their own malloc. */
#ifndef __has_feature
#define __has_feature(x) 0
#endif
#if defined(__SANITIZE_ADDRESS__) || __has_feature(address_sanitizer)
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

static deer_error error;
static char folder[] = "/tmp/deer-model-XXXXXX", path[64], broken[64], thresholds_path[64];
static char *bytes; /* the good file */
static size_t size;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

static int make_model(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/model", folder);
    snprintf(broken, sizeof broken, "%s/broken", folder);
    snprintf(thresholds_path, sizeof thresholds_path, "%s/tau.json", folder);
    return official_import("tests/data/golden_c", path, &error) ||
           file_read(path, 1 << 28, &bytes, &size, &error);
}

static int remove_model(void **state)
{
    (void)state;
    free(bytes);
    unlink(path);
    unlink(broken);
    unlink(thresholds_path);
    return rmdir(folder);
}

/* Opens a file of these contents; it must fail with one line. */
static void assert_refused(const char *contents, size_t length, const char *says)
{
    deer_model *model;
    FILE *f = fopen(broken, "wb");

    fwrite(contents, 1, length, f);
    fclose(f);
    error.message[0] = 0;
    assert_int_equal(deer_model_open(broken, DEER_ALL_EXITS, &model, &error), DEER_FAILED);
    assert_null(model);
    assert_null(strchr(error.message, '\n'));
    assert_non_null(strstr(error.message, broken));
    if (says && !strstr(error.message, says))
        fail_msg("'%s' does not say '%s'", error.message, says);
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t length = 0; length < size; length += 1 + length / 7)
        assert_refused(bytes, length, NULL);
    assert_refused(bytes, size - 1, NULL);
}

/* The header with one piece of text replaced by another of the same length. */
static void refuse_edit(const char *from, const char *to, const char *says)
{
    char *copy = malloc(size), *at;

    memcpy(copy, bytes, size);
    at = memmem(copy, size, from, strlen(from));
    assert_non_null(at);
    assert_int_equal(strlen(from), strlen(to));
    memcpy(at, to, strlen(to));
    assert_refused(copy, size, says);
    free(copy);
}

static void test_edited_headers(void **state)
{
    (void)state;
    refuse_edit("perceiver.latents", "perceiver.latentz", "perceiver.latents is missing");
    refuse_edit("deer.config", "deer.konfig", "deer.config");
    refuse_edit("\\\"d_model\\\":48", "\\\"d_model\\\":47", NULL);
    refuse_edit("\\\"layers\\\":4", "\\\"layers\\\":0", "layers");
    refuse_edit("\\\"vision_heads\\\":2", "\\\"vision_heads\\\":3", "multiple");
    refuse_edit("\"F32\"", "\"I32\"", "float32");
    refuse_edit("\"F32\"", "\"X99\"", "unknown type");
    refuse_edit("data_offsets\":[0,", "data_offsets\":[4,", NULL);
    refuse_edit("\\\"exit_layers\\\":[1,3]", "\\\"exit_layers\\\":[3,1]", "ascend");
}

static void test_huge_header(void **state)
{
    char *copy = malloc(size);

    (void)state;
    memcpy(copy, bytes, size);
    memset(copy, 0xff, 8);
    assert_refused(copy, size, "not a safetensors file");
    free(copy);
}

static void test_not_finite_weights(void **state)
{
    char *copy = malloc(size);
    float nan = NAN;

    (void)state;
    memcpy(copy, bytes, size);
    memcpy(copy + size - 4, &nan, sizeof nan);
    assert_refused(copy, size, "not finite");
    free(copy);
}

/* Whatever byte of the header is changed, opening ends in success or in one line, never in a crash.
 */
static void test_any_header_byte(void **state)
{
    char *copy = malloc(size);
    uint64_t header;

    (void)state;
    memcpy(&header, bytes, 8);
    for (size_t i = 0; i < 8 + header; i += 3) {
        deer_model *model;
        FILE *f = fopen(broken, "wb");
        memcpy(copy, bytes, size);
        copy[i] = (char)(copy[i] ^ (1 << i % 7));
        fwrite(copy, 1, size, f);
        fclose(f);
        if (!deer_model_open(broken, DEER_ALL_EXITS, &model, &error))
            deer_model_close(model);
        else
            assert_null(strchr(error.message, '\n'));
    }
    free(copy);
}

static void test_missing_file(void **state)
{
    deer_model *model;

    (void)state;
    assert_int_equal(deer_model_open("/nowhere/model", DEER_ALL_EXITS, &model, &error),
                     DEER_FAILED);
    assert_non_null(strstr(error.message, "/nowhere/model"));
    assert_int_equal(deer_model_open(folder, DEER_ALL_EXITS, &model, &error), DEER_FAILED);
    assert_int_equal(deer_model_open(path, 7, &model, &error), DEER_USAGE);
}

/* A prefix is smaller, has the same identity, and acts the same up to its deepest exit. */
static void test_prefix(void **state)
{
    deer_model *whole, *prefix;

    (void)state;
    ok(deer_model_open(path, DEER_ALL_EXITS, &whole, &error));
    ok(deer_model_open(path, 0, &prefix, &error));
    assert_true(deer_model_mapped_bytes(prefix) < deer_model_mapped_bytes(whole));
    assert_string_equal(deer_model_fingerprint(prefix), deer_model_fingerprint(whole));
    assert_int_equal(deer_model_max_exit(prefix), 0);
    deer_model_close(whole);
    deer_model_close(prefix);
}

/* ---------------------------------------------------------------- sessions ----------------- */

enum { SIDE = 40, STEPS = 6 };

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
    return (deer_observation){{f->rgb[t][0], SIDE, SIDE}, {f->rgb[t][1], SIDE, SIDE}};
}

typedef struct {
    const deer_model *model;
    film seen;
    deer_action actions[STEPS];
} play;

static void *run(void *argument)
{
    play *p = argument;
    deer_session *session;
    deer_thresholds t;
    int32_t ids[] = {129, 5, 9, 128};
    deer_error err;

    deer_thresholds_fixed(p->model, deer_model_max_exit(p->model), &t);
    t.tau[0] = 0.05f;
    if (deer_session_new(p->model, &t, &session, &err) ||
        deer_session_set_tokens(session, ids, 4, &err))
        return "failed";
    for (int i = 0; i < STEPS; i++) {
        deer_observation o = frame(&p->seen, i);
        if (deer_step(session, &o, &p->actions[i], &err))
            return "failed";
    }
    deer_session_free(session);
    return NULL;
}

/* Two sessions on one model, one after the other and at once: bit for bit the same. */
static void test_threads_share_a_model(void **state)
{
    deer_model *model;
    play *alone = calloc(2, sizeof *alone), *together = calloc(2, sizeof *together);
    pthread_t thread[2];
    void *failed;

    (void)state;
    ok(deer_model_open(path, DEER_ALL_EXITS, &model, &error));
    for (unsigned i = 0; i < 2; i++) {
        alone[i].model = together[i].model = model;
        shoot(&alone[i].seen, i);
        shoot(&together[i].seen, i);
        assert_null(run(&alone[i]));
    }
    for (int i = 0; i < 2; i++)
        pthread_create(&thread[i], NULL, run, &together[i]);
    for (int i = 0; i < 2; i++) {
        pthread_join(thread[i], &failed);
        assert_null(failed);
        assert_memory_equal(alone[i].actions, together[i].actions, sizeof alone[i].actions);
    }
    deer_model_close(model);
    free(alone);
    free(together);
}

/* Deciding is free of side effects: the state after a step depends on the exit taken alone. */
static void test_state_comes_from_the_exit_taken(void **state)
{
    deer_model *model;
    deer_session *tested, *fixed;
    deer_thresholds free_choice, always_last;
    deer_action a, b;
    film f;
    int32_t ids[] = {129, 3, 128};

    (void)state;
    shoot(&f, 7);
    ok(deer_model_open(path, DEER_ALL_EXITS, &model, &error));
    deer_thresholds_fixed(model, 1, &always_last);
    free_choice = always_last;
    free_choice.tau[0] = 1e-30f; /* tests the first exit, never takes it */
    ok(deer_session_new(model, &free_choice, &tested, &error));
    ok(deer_session_new(model, &always_last, &fixed, &error));
    ok(deer_session_set_tokens(tested, ids, 3, &error));
    ok(deer_session_set_tokens(fixed, ids, 3, &error));
    for (int i = 0; i < STEPS; i++) {
        deer_observation o = frame(&f, i);
        ok(deer_step(tested, &o, &a, &error));
        ok(deer_step(fixed, &o, &b, &error));
        assert_int_equal(a.exit, 1);
        assert_memory_equal(a.pose, b.pose, sizeof a.pose);
        assert_int_equal(a.head_evaluations, 3); /* pseudo exit and two exits, none twice */
    }
    assert_memory_equal(deer_session_lstm_h(tested), deer_session_lstm_h(fixed), 24 * 4 * 4);
    deer_session_free(tested);
    deer_session_free(fixed);
    deer_model_close(model);
}

static void test_a_step_allocates_nothing(void **state)
{
    deer_model *model;
    deer_session *session;
    deer_thresholds t;
    deer_action action;
    film f;
    int32_t ids[] = {129, 3, 128};
    long before = 0;

    (void)state;
    shoot(&f, 3);
    ok(deer_model_open(path, DEER_ALL_EXITS, &model, &error));
    deer_thresholds_fixed(model, 1, &t);
    ok(deer_session_new(model, &t, &session, &error));
    ok(deer_session_set_tokens(session, ids, 3, &error));
    for (int i = 0; i < STEPS; i++) {
        deer_observation o = frame(&f, i);
        if (i == 1) /* the first step of an image size prepares its resampling tables */
            before = allocations;
        ok(deer_step(session, &o, &action, &error));
    }
    assert_int_equal(allocations, before);
    assert_true(!COUNTS_ALLOCATIONS || before > 0);
    deer_session_free(session);
    deer_model_close(model);
}

static void test_session_refuses(void **state)
{
    deer_model *model;
    deer_session *session;
    deer_thresholds t;
    deer_action action;
    film f;
    deer_observation o = frame(&f, 0);
    int32_t outside[] = {131}, fine[] = {129};

    (void)state;
    shoot(&f, 1);
    ok(deer_model_open(path, DEER_ALL_EXITS, &model, &error));
    deer_thresholds_fixed(model, 1, &t);
    ok(deer_session_new(model, &t, &session, &error));
    assert_int_equal(deer_step(session, &o, &action, &error), DEER_FAILED); /* no instruction */
    assert_int_equal(deer_session_set_tokens(session, outside, 1, &error), DEER_FAILED);
    assert_int_equal(deer_session_set_tokens(session, fine, 0, &error), DEER_FAILED);
    assert_int_equal(deer_session_set_instruction(session, "lift", &error), DEER_FAILED);
    ok(deer_session_set_tokens(session, fine, 1, &error));
    o.static_view.height = 0;
    assert_int_equal(deer_step(session, &o, &action, &error), DEER_FAILED);
    t.model_fingerprint[0] ^= 1;
    assert_int_equal(deer_session_set_thresholds(session, &t, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "another model"));
    deer_session_free(session);
    deer_model_close(model);
}

/* ---------------------------------------------------------------- thresholds file ---------- */

static void write_text(const char *text)
{
    ok(file_write(thresholds_path, text, strlen(text), &error));
}

static void test_thresholds_round_trip(void **state)
{
    deer_model *model;
    deer_thresholds t, u;

    (void)state;
    ok(deer_model_open(path, DEER_ALL_EXITS, &model, &error));
    deer_thresholds_fixed(model, 1, &t);
    for (int i = 0; i < 3; i++) {
        t.tau[0] = (float[]){0.1f, -INFINITY, 3.40e-12f}[i];
        t.criterion = (deer_criterion)i;
        t.promise.average_llm_gflops = 1.5;
        ok(deer_thresholds_save(thresholds_path, deer_model_config(model), &t, &error));
        ok(deer_thresholds_load(thresholds_path, model, &u, &error));
        assert_true(t.tau[0] == u.tau[0] && isinf(u.tau[1]) && u.tau[1] > 0);
        assert_int_equal(u.criterion, i);
        assert_true(u.promise.average_llm_gflops == 1.5 && isnan(u.promise.loss));
    }
    deer_model_close(model);
}

static void refuse_thresholds(const deer_model *model, const char *text, const char *says)
{
    deer_thresholds t;

    write_text(text);
    assert_int_equal(deer_thresholds_load(thresholds_path, model, &t, &error), DEER_FAILED);
    assert_null(strchr(error.message, '\n'));
    if (!strstr(error.message, says))
        fail_msg("'%s' does not say '%s'", error.message, says);
}

#define SOMEBODY "\"model_fingerprint\": \"0123456789abcdef0123456789abcdef\""

static void test_thresholds_refused(void **state)
{
    deer_model *model;

    (void)state;
    ok(deer_model_open(path, DEER_ALL_EXITS, &model, &error));
    refuse_thresholds(model, "{", "not JSON");
    refuse_thresholds(model, "{}", "not a thresholds file");
    refuse_thresholds(model, "{\"deer_thresholds\": 2}", "version 2");
    refuse_thresholds(model,
                      "{\"deer_thresholds\": 1, " SOMEBODY
                      ", \"criterion\": \"l2\", \"tau\": [0.1, "
                      "null], \"exit_layers\": [1, 3], \"steps_per_stage\": 1}",
                      "another model");
    refuse_thresholds(NULL,
                      "{\"deer_thresholds\": 1, " SOMEBODY
                      ", \"criterion\": \"l2\", \"tau\": [1e99, "
                      "null], \"exit_layers\": [1, 3], \"steps_per_stage\": 1}",
                      "threshold 0");
    refuse_thresholds(NULL,
                      "{\"deer_thresholds\": 1, " SOMEBODY
                      ", \"criterion\": \"l2\", \"tau\": [0.1], "
                      "\"exit_layers\": [1], \"steps_per_stage\": 1}",
                      "ends in null");
    refuse_thresholds(NULL,
                      "{\"deer_thresholds\": 1, " SOMEBODY
                      ", \"criterion\": \"l3\", \"tau\": [null], "
                      "\"exit_layers\": [1], \"steps_per_stage\": 1}",
                      "criterion");
    deer_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_edited_headers),
        cmocka_unit_test(test_huge_header),
        cmocka_unit_test(test_not_finite_weights),
        cmocka_unit_test(test_any_header_byte),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_threads_share_a_model),
        cmocka_unit_test(test_state_comes_from_the_exit_taken),
        cmocka_unit_test(test_a_step_allocates_nothing),
        cmocka_unit_test(test_session_refuses),
        cmocka_unit_test(test_thresholds_round_trip),
        cmocka_unit_test(test_thresholds_refused),
    };

    return cmocka_run_group_tests(tests, make_model, remove_model);
}
