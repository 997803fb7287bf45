/* SPDX-License-Identifier: MIT */
/* test_reuse.c - what is kept between steps is what computing it again would give, bit for bit. */
#include "tests/runtime/small_model.h"

#include <math.h>

#include "runtime/base/threads/threads.h"
#include "runtime/deer_drift.h"
#include "runtime/import/model_file.h"
#include "runtime/model/model.h"
#include "runtime/policy/backend.h"
#include "runtime/thresholds/thresholds_format.h"

enum { TOKENS = 4, ROUNDS = 12, SIDE = 40, STEPS = 40 };

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

static uint64_t drawn = 1;

static float draw(void)
{
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (float)(drawn >> 40) / (1 << 23) - 1;
}

static void fill(float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = draw();
}

/* One observation of a model: a work that goes on from step to step, and one made anew. */
typedef struct {
    const deer_model *model;
    size_t pixels, text, media; /* floats of both images, of the instruction, of an image's media */
    float *seen;                /* pixels of the images whose media are in use */
    float *told;
    int32_t ids[TOKENS];
    int tokens;
} world;

static void world_open(world *w, const deer_model *of)
{
    const deer_config *c = &of->config;

    *w = (world){.model = of, .tokens = TOKENS};
    w->pixels = 2 * 3 * (size_t)c->image_size * (size_t)c->image_size;
    w->text = TOKENS * (size_t)c->d_model;
    w->media = (size_t)c->resampler_latents * (size_t)c->vision_width;
    w->seen = calloc(w->pixels + w->text, sizeof *w->seen);
    assert_non_null(w->seen);
    w->told = w->seen + w->pixels;
    w->ids[0] = c->media_token;
}

/* The layers up to `last`; what comes out of each goes to out. */
static void decode(const world *w, void *work, bool again, int last, float *out)
{
    const backend_text text = {
        .frames = 1, .again = again, .tokens = &w->tokens, .ids = w->ids, .rows = TOKENS};

    backend_cpu.tell(work, &text);
    for (int i = 0; i <= last; i++, out += w->text) {
        backend_cpu.advance(work, i);
        memcpy(out, backend_cpu.hidden(work), w->text * sizeof *out);
    }
}

/* The same from nothing, without a session's memory of what was. */
static void decode_fresh(const world *w, int last, float *out)
{
    void *work;

    ok(backend_cpu.open(w->model, 1, 0, false, &work, &error));
    memcpy(backend_cpu.pixels(work), w->seen, w->pixels * sizeof *w->seen);
    memcpy(backend_cpu.embedded(work), w->told, w->text * sizeof *w->told);
    backend_cpu.see(work, 1, BACKEND_BOTH, NULL);
    decode(w, work, false, last, out);
    backend_cpu.close(work);
}

/* Other pictures come from some cameras, other words now and then, and steps end at any layer. */
static void play(const deer_model *of)
{
    int layers = arch_layers(&of->config, of->max_exit);
    size_t half;
    float *kept, *fresh;
    void *work;
    world w;

    world_open(&w, of);
    half = w.pixels / 2;
    kept = calloc(2 * (size_t)layers * w.text, sizeof *kept);
    assert_non_null(kept);
    fresh = kept + (size_t)layers * w.text;
    ok(backend_cpu.open(of, 1, 2, true, &work, &error));
    for (int round = 0; round < ROUNDS; round++) {
        unsigned views = round ? (unsigned)round * 7 % 4 : BACKEND_BOTH;
        bool again = round % 5 != 0;
        int last = (round * 5 + layers - 1) % layers;

        for (unsigned i = 0; i < 2; i++)
            if (views >> i & 1)
                fill(w.seen + i * half, half);
        fill(backend_cpu.pixels(work), w.pixels); /* of cameras that are not due: not looked at */
        for (unsigned i = 0; i < 2; i++)
            if (views >> i & 1)
                memcpy(backend_cpu.pixels(work) + i * half, w.seen + i * half,
                       half * sizeof(float));
        if (!again)
            fill(w.told, w.text);
        memcpy(backend_cpu.embedded(work), w.told, w.text * sizeof(float));
        backend_cpu.see(work, 1, views, NULL);
        decode(&w, work, again, last, kept);
        decode_fresh(&w, last, fresh);
        assert_memory_equal(kept, fresh, (size_t)(last + 1) * w.text * sizeof *kept);
    }
    backend_cpu.close(work);
    free(kept);
    free(w.seen);
}

/* Cross-attention before every layer and before every fourth, weights of every type. */
static void test_kept_equals_computed(void **state)
{
    static const char *const models[] = {"tests/data/golden_b", "tests/data/golden_c"};
    char folder[] = "/tmp/deer-test-XXXXXX", from[64], path[64];
    deer_model *opened;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(from, sizeof from, "%s/from", folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int i = 0; i < 2; i++) {
        ok(official_import_folder(models[i], from, &error));
        for (int type = 0; type < WEIGHT_DTYPES; type++) {
            ok(model_convert(from, &(model_output){.path = path, .dtype = (weight_dtype)type},
                             &error));
            ok(deer_model_open(path, DEER_ALL_EXITS, &opened, &error));
            play(opened);
            deer_model_close(opened);
        }
    }
    unlink(from);
    unlink(path);
    rmdir(folder);
}

/* Media that were taken out act as the pictures they were made of. */
static void test_media_taken_and_given(void **state)
{
    size_t size;
    float *fresh, *given;
    void *work;
    world w;
    int last;

    (void)state;
    last = arch_layers(&model->config, model->max_exit) - 1;
    world_open(&w, model);
    size = (size_t)(last + 1) * w.text;
    fresh = calloc(2 * size + 2 * w.media, sizeof *fresh);
    assert_non_null(fresh);
    given = fresh + size;
    fill(w.seen, w.pixels + w.text);
    ok(backend_cpu.open(model, 1, 2, true, &work, &error));
    memcpy(backend_cpu.pixels(work), w.seen, w.pixels * sizeof(float));
    memcpy(backend_cpu.embedded(work), w.told, w.text * sizeof(float));
    backend_cpu.see(work, 1, BACKEND_BOTH, NULL);
    decode(&w, work, false, last, fresh);
    for (int i = 0; i < 2; i++)
        backend_cpu.take_media(work, i, given + size + (size_t)i * w.media);
    fill(backend_cpu.pixels(work), w.pixels);
    backend_cpu.see(work, 1, BACKEND_BOTH, NULL);
    decode(&w, work, true, last, given);
    assert_memory_not_equal(given, fresh, size * sizeof *fresh);
    for (int i = 0; i < 2; i++)
        backend_cpu.give_media(work, i, given + size + (size_t)i * w.media);
    decode(&w, work, true, last, given);
    assert_memory_equal(given, fresh, size * sizeof *fresh);
    backend_cpu.close(work);
    free(fresh);
    free(w.seen);
}

/* ---------------------------------------------------------------- rules -------------------- */

/* What two cameras see, at each step. */
typedef struct {
    uint8_t rgb[STEPS][2][SIDE * SIDE * 3];
} film;

static film seen;

static void shoot_noise(void)
{
    uint8_t *pixels = (uint8_t *)&seen;

    for (size_t i = 0; i < sizeof seen; i++)
        pixels[i] = (uint8_t)(draw() * 127 + 128);
}

/* Every picture is grey, of the shade that is given. */
static void shoot_grey(int from, int view, uint8_t shade)
{
    for (int t = from; t < STEPS; t++)
        memset(seen.rgb[t][view], shade, sizeof seen.rgb[t][view]);
}

static deer_session *session_under(const deer_camera_rules *rules)
{
    static const int32_t ids[] = {SMALL_IMAGE, 5, 9, SMALL_END_OF_CHUNK};
    static const deer_session_options options = {.size = sizeof options,
                                                 .static_view = {SIDE, SIDE, 0, 0},
                                                 .gripper_view = {SIDE, SIDE, 0, 0}};
    deer_session *session;
    deer_thresholds t;

    ok(thresholds_fix(model, SMALL_EXITS - 1, &t, &error));
    t.tau[0] = 0.05f;
    t.cameras = *rules;
    ok(deer_session_new(model, &t, &options, &session, &error));
    ok(deer_session_set_tokens(session, ids, 4, &error));
    return session;
}

/* A step that sees the static camera's picture of one step and the wrist camera's of another. */
static deer_action step_of(deer_session *session, int of_static, int of_gripper)
{
    const deer_observation o = {{seen.rgb[of_static][0], sizeof seen.rgb[0][0]},
                                {seen.rgb[of_gripper][1], sizeof seen.rgb[0][0]}};
    deer_action a;

    ok(deer_step(session, &o, &a, &error));
    return a;
}

static deer_action step(deer_session *session, int t)
{
    return step_of(session, t, t);
}

/* Thresholds of the test's sessions without rules for cameras, or always the first exit. */
static void see_all(deer_session *session, bool shallow)
{
    deer_thresholds t;

    ok(thresholds_fix(model, shallow ? 0 : SMALL_EXITS - 1, &t, &error));
    t.tau[0] = shallow ? t.tau[0] : 0.05f;
    ok(deer_session_set_thresholds(session, &t, &error));
}

/* Using an encoding again is seeing the picture of that step again, bit for bit. The first step of
 * staggered cameras, which encodes both, takes the first exit. */
static void test_reuse_is_an_older_picture(void **state)
{
    const deer_camera_rules some[] = {
        {{3, INFINITY}, {0, 0}, 0},        {{0, 0}, {2, INFINITY}, 0},
        {{5, INFINITY}, {1, INFINITY}, 1}, {{1, INFINITY}, {1, INFINITY}, 1},
        {{9, 0.3f}, {9, 0.3f}, 0},         {{9, 0.3f}, {2, 0.3f}, 1}};

    (void)state;
    shoot_noise();
    for (size_t r = 0; r < sizeof some / sizeof *some; r++) {
        deer_session *reusing = session_under(&some[r]);
        deer_session *fresh = session_under(&(deer_camera_rules){.stagger = 0});
        int oldest[2] = {0};
        for (int t = 0; t < STEPS; t++) {
            deer_action a = step(reusing, t);
            deer_action b;
            see_all(fresh, some[r].stagger && t == 0);
            b = step_of(fresh, t - a.static_age, t - a.gripper_age);
            assert_true(!some[r].stagger || (t == 0) == (a.static_age + a.gripper_age == 0));
            assert_int_equal(a.exit, b.exit);
            assert_memory_equal(a.pose, b.pose, sizeof a.pose);
            assert_memory_equal(&a.gripper_probability, &b.gripper_probability, sizeof(float));
            assert_memory_equal(a.delta, b.delta, sizeof a.delta);
            oldest[0] = a.static_age > oldest[0] ? a.static_age : oldest[0];
            oldest[1] = a.gripper_age > oldest[1] ? a.gripper_age : oldest[1];
            assert_true(b.static_age == 0 && b.gripper_age == 0 && isnan(b.static_change));
        }
        assert_true(oldest[0] <= some[r].static_view.age && oldest[1] <= some[r].gripper_view.age);
        assert_true(oldest[0] + oldest[1] > 0); /* something was used again */
        deer_session_free(reusing);
        deer_session_free(fresh);
    }
}

/* Without change age alone decides; a reset, other cameras and other rules begin anew. */
static void test_ages(void **state)
{
    static const int ages[][2] = {{0, 0}, {1, 0}, {2, 0}, {3, 0}, {0, 0}, {1, 0}};
    const deer_camera_rules rules = {{3, 0.5f}, {0, 0}, 0};
    const deer_camera camera = {SIDE, SIDE, 0, DEER_BGR};
    deer_session *session = session_under(&rules);

    (void)state;
    shoot_grey(0, 0, 100);
    shoot_grey(0, 1, 50);
    for (int round = 0; round < 3; round++) {
        for (int t = 0; t < 6; t++) {
            deer_action a = step(session, t);
            assert_true(a.static_age == ages[t][0] && a.gripper_age == ages[t][1]);
            assert_true(t ? a.static_change == 0 : isnan(a.static_change));
        }
        if (round)
            ok(deer_session_set_cameras(session, &camera, &camera, &error));
        else
            ok(deer_session_reset(session, &error));
    }
    deer_session_free(session);
}

/* A camera is covered at step 5, and what it sees jumps at step 9: encoded at that very step. So is
 * a change of one patch alone; one of less than rho is not. */
static void test_change_is_encoded(void **state)
{
    const deer_camera_rules rules = {{1000, 0.1f}, {1000, 0.1f}, 0};
    deer_session *session = session_under(&rules);

    (void)state;
    shoot_grey(0, 0, 200);
    shoot_grey(5, 0, 0);
    shoot_grey(9, 0, 255);
    shoot_grey(13, 0, 255 - 25); /* 25 / 255 < 0.1 */
    shoot_grey(0, 1, 10);
    for (int t = 11; t < STEPS; t++)
        for (int y = 20; y < SIDE; y++) /* the quarter that is one of the model's four patches */
            memset(seen.rgb[t][1] + (y * SIDE + 20) * 3, 40, 60);
    for (int t = 0; t < 20; t++) {
        deer_action a = step(session, t);
        assert_int_equal(a.static_age == 0, t == 0 || t == 5 || t == 9);
        assert_int_equal(a.gripper_age == 0, t == 0 || t == 11);
        if (t == 5)
            assert_true(fabsf(a.static_change - 200 / 255.0f) < 1e-6f);
        if (t == 13)
            assert_true(fabsf(a.static_change - 25 / 255.0f) < 1e-6f);
    }
    deer_session_free(session);
}

/* Staggered cameras: one a step at most, nothing older than its rule says, and what has changed is
 * encoded at that step or the next. */
static void test_staggered(void **state)
{
    enum { MANY = 4000 };

    (void)state;
    for (int round = 0; round < 16; round++) {
        const deer_camera_rules rules = {{1 + round % 4, 0.5f}, {1 + round / 4, 0.5f}, 1};
        const int32_t most[2] = {rules.static_view.age, rules.gripper_view.age};
        int32_t age[2] = {0, 0};
        bool waits[2] = {false, false};
        float often = (float)round / 8 - 1; /* how often there are changes */

        for (int t = 0; t < MANY; t++) {
            float change[2] = {draw() < often, draw() < often};
            uint32_t due;
            for (int i = 0; i < 2; i++) {
                age[i]++;
                change[i] = waits[i] ? 1 : change[i];
            }
            due = deer_cameras_due(&rules, age, change);
            assert_true(due < DEER_BOTH_VIEWS);
            for (int i = 0; i < 2; i++) {
                assert_true(due >> i & 1 || !waits[i]);
                waits[i] = !(due >> i & 1) && change[i] > 0.5f;
                age[i] = due >> i & 1 ? 0 : age[i];
                assert_true(age[i] <= most[i]);
            }
        }
    }
}

/* Ages and rho are points of a dial, too; the step after it is turned obeys. */
static void test_dial_of_cameras(void **state)
{
    const deer_camera_rules calm = {{1000, 0.5f}, {1000, 0.5f}, 0};
    deer_session *session;
    deer_thresholds t;

    (void)state;
    shoot_grey(0, 0, 1);
    shoot_grey(0, 1, 1);
    session = session_under(&calm);
    t = (deer_thresholds){0};
    ok(thresholds_fix(model, SMALL_EXITS - 1, &t, &error));
    t.points = 2;
    for (int i = 0; i < 2; i++)
        t.point[i] = (deer_point){.budget_gflops = i + 1};
    t.point[0].cameras = calm;
    ok(deer_session_set_thresholds(session, &t, &error));
    for (int step_number = 0; step_number < 9; step_number++) {
        deer_action a;
        if (step_number % 3 == 0)
            ok(deer_session_set_budget(session, step_number == 3 ? 2 : 1, &error));
        a = step(session, step_number);
        if (step_number >= 3 && step_number < 6) /* no rules: always */
            assert_true(a.static_age == 0 && a.gripper_age == 0 && isnan(a.gripper_change));
        else
            assert_true(a.static_age == step_number % 3 && a.gripper_age == step_number % 3);
    }
    deer_session_free(session);
}

/* The changes that replay computes are those that a session sees. */
static void test_changes(void **state)
{
    enum { ROOM = 4 };
    const deer_camera camera = {.width = SIDE, .height = SIDE};
    const deer_camera_rules rules = {{ROOM, INFINITY}, {0, 0}, 0};
    deer_session *session = session_under(&rules);
    deer_changes *changes;
    float change[ROOM];

    (void)state;
    shoot_noise();
    ok(deer_changes_new(deer_model_config(model), &camera, ROOM, &changes, &error));
    for (int t = 0, since = 0; t < STEPS; t++) {
        const deer_image image = {seen.rgb[t][0], sizeof seen.rgb[t][0]};
        deer_action a = step(session, t);
        if (t == STEPS / 2)
            deer_changes_reset(changes);
        ok(deer_changes_add(changes, &image, change, &error));
        for (int k = 0; k < ROOM; k++)
            assert_int_equal(isnan(change[k]), k >= (t < STEPS / 2 ? t : t - STEPS / 2));
        if (since && since < ROOM && !isnan(change[since - 1]))
            assert_true(a.static_change == change[since - 1] && change[since - 1] > 0.01f);
        since = a.static_age + 1;
    }
    deer_changes_free(changes);
    deer_session_free(session);
    assert_int_equal(deer_changes_new(deer_model_config(model), &camera, 0, &changes, &error),
                     DEER_USAGE);
}

/* A camera that stands still sends the same picture for ever: said, though everything else is as it
 * should be. */
static void test_stuck_camera(void **state)
{
    const deer_camera_rules rules = {{4, 0.9f}, {4, 0.9f}, 0};
    deer_session *session = session_under(&rules);
    deer_thresholds t;
    deer_drift *watch;
    deer_drift_report report;

    (void)state;
    ok(thresholds_fix(model, SMALL_EXITS - 1, &t, &error));
    t.reference.episodes = 1;
    ok(deer_drift_new(&t, &watch, &error));
    shoot_noise();
    for (int i = 0; i < STEPS; i++) {
        deer_action a = step_of(session, i, i < 12 ? i : 12); /* the wrist camera sticks */
        ok(deer_drift_step(watch, &a, &error));
        if (i == 12 + DEER_DRIFT_STUCK - 1) {
            ok(deer_drift_end_episode(watch, 0, &report, &error));
            assert_int_equal(report.stuck, 0); /* not yet: 9 times the same */
        }
    }
    ok(deer_drift_end_episode(watch, 0, &report, &error));
    assert_int_equal(report.stuck, DEER_GRIPPER_VIEW);
    deer_drift_free(watch);
    deer_session_free(session);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kept_equals_computed),
                                       cmocka_unit_test(test_media_taken_and_given),
                                       cmocka_unit_test(test_reuse_is_an_older_picture),
                                       cmocka_unit_test(test_ages),
                                       cmocka_unit_test(test_change_is_encoded),
                                       cmocka_unit_test(test_staggered),
                                       cmocka_unit_test(test_dial_of_cameras),
                                       cmocka_unit_test(test_changes),
                                       cmocka_unit_test(test_stuck_camera)};

    return cmocka_run_group_tests(tests, start, end);
}
