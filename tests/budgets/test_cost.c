/* SPDX-License-Identifier: MIT */
/* test_cost.c - the cost model against published figures, and against itself. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "budgets/cost/cost.h"
#include "runtime/import/official.h"
#include "runtime/kernels/kernels.h"
#include "runtime/thresholds/thresholds_format.h"
#include "tests/base/with_threads.h"

static void published(const char *name, int tokens, deer_config *config, deer_cost *cost)
{
    assert_true(deer_config_published(name, config));
    deer_cost_of(config, tokens, WEIGHT_F32, cost);
}

/* GFLOPs rounded to `digits` decimals equal the reference figure. */
static void assert_gflops(uint64_t macs, double reference, int digits)
{
    double unit = pow(10, -digits), rounded = round(deer_gflops(macs) / unit) * unit;

    if (fabs(rounded - reference) > unit / 100)
        fail_msg("%.6f GFLOPs; %.*f expected", deer_gflops(macs), digits, reference);
}

/* 31.2 GFLOPs for 24 layers is the paper's 1.3 a layer, which is 1.254 to 1.341 in full. */
static void test_published_3b(void **state)
{
    deer_config config;
    deer_cost cost;

    (void)state;
    published("3b", 14, &config, &cost);
    assert_gflops(cost.layer_with_cross, 1.341, 3);
    assert_gflops(cost.vision_per_image, 81.0, 1);
    assert_gflops(cost.resampler_per_image, 5.76, 2);
    assert_gflops(cost.head_evaluation, 0.041, 3);
    published("3b", 13, &config, &cost);
    assert_gflops(cost.layer_with_cross, 1.254, 3);
}

/* One layer of the 3B decoder at 14 tokens, written out by hand. */
static void test_layer_by_hand(void **state)
{
    const uint64_t d = 2048, t = 14, media = 128;
    deer_config config;
    deer_cost cost;

    (void)state;
    published("3b", 14, &config, &cost);
    assert_int_equal(cost.layer_without_cross, t * 12 * d * d + 2 * t * t * d);
    assert_int_equal(cost.layer_with_cross - cost.layer_without_cross,
                     t * 2 * d * 512 + media * 1024 * 1024 + 2 * t * media * 512 + t * 8 * d * d);
}

/* The 9B model has cross-attention in every fourth layer only. */
static void test_cross_every_fourth_layer(void **state)
{
    deer_config config;
    deer_cost cost;

    (void)state;
    published("9b", 14, &config, &cost);
    assert_int_equal(cost.exits, 8);
    assert_int_equal(cost.exit[0].llm, 2 * cost.layer_without_cross);
    assert_int_equal(cost.exit[1].llm, 3 * cost.layer_without_cross + cost.layer_with_cross);
    assert_int_equal(cost.exit[7].llm, 12 * cost.layer_without_cross + 4 * cost.layer_with_cross);
}

/* Weights as counted from the shapes of the published checkpoints: 893.1 + 604.1 million without
 * the vision tower, of which the six auxiliary heads (40.95 million each) are never run. */
static void test_weights_of_published_checkpoint(void **state)
{
    const double vision = 303.2e6, heads = 6 * 40.95e6, checkpoint = 1497.2e6;
    const double embedding = 50280 * 2048.0; /* stays in the file */
    deer_config config;
    deer_cost cost;
    double weights;

    (void)state;
    published("3b", 14, &config, &cost);
    weights = (double)cost.exit[5].weight_bytes / 4;
    assert_true(fabs(weights - (vision + checkpoint - heads - embedding)) < 0.5e6);
}

static void test_costs_grow_with_depth(void **state)
{
    const char *const names[] = {"3b", "9b"};
    deer_config config;
    deer_cost cost;

    (void)state;
    for (int m = 0; m < 2; m++) {
        published(names[m], 12, &config, &cost);
        for (int k = 0; k < cost.exits; k++) {
            const deer_exit_cost *e = &cost.exit[k], *before = k ? e - 1 : NULL;
            assert_int_equal(e->total, e->vision + e->resampler + e->llm + e->head);
            assert_int_equal(e->memory_bytes, e->weight_bytes + e->activation_bytes);
            assert_int_equal(e->total, deer_cost_step(&cost, k, e->head_evaluations));
            if (before) {
                assert_true(e->llm > before->llm && e->head > before->head);
                assert_true(e->weight_bytes > before->weight_bytes);
            }
        }
    }
}

/* n evaluations from the same state share W_hh h. */
static void test_head_shares_recurrent_product(void **state)
{
    deer_config config;
    deer_cost cost;

    (void)state;
    published("3b", 14, &config, &cost);
    assert_int_equal(deer_cost_head(&cost, 0), 0);
    assert_int_equal(deer_cost_head(&cost, 1), cost.head_evaluation);
    assert_int_equal(deer_cost_head(&cost, 7), 7 * cost.head_evaluation - 6 * cost.head_recurrent);
    assert_int_equal(cost.head_recurrent, 4 * 4096 * 1024);
}

/* Instructions are cut to max_text tokens, and so is their cost; types change bytes only. */
/* What a file with these fields makes of a shape. */
static deer_status shape_of(const char *text, deer_config *config, deer_error *err)
{
    char path[] = "/tmp/test_shape.XXXXXX.json";
    int file = mkstemps(path, 5);
    deer_status status;

    assert_int_equal(write(file, text, strlen(text)), (ssize_t)strlen(text));
    close(file);
    status = deer_config_shape(path, config, err);
    unlink(path);
    return status;
}

/* Shapes like a published one: twice as wide pictures are four times the patches. */
static void shapes_from_files(void)
{
    static const struct {
        const char *text, *says;
    } wrong[] = {{"[]", "is no shape"},
                 {"{\"like\": \"5b\"}", "is no shape"},
                 {"{\"like\": \"3b\", \"wheels\": 4}", "no field 'wheels'"},
                 {"{\"like\": \"3b\", \"image_size\": -1}", "image_size"},
                 {"{\"like\": \"3b\", \"heads\": 7}", "multiple"}};
    deer_config plain, wide;
    deer_cost small, large;
    deer_error err;

    assert_int_equal(deer_config_shape("3b", &plain, &err), DEER_OK);
    assert_int_equal(shape_of("{\"like\": \"3b\"}", &wide, &err), DEER_OK);
    assert_memory_equal(&plain, &wide, sizeof plain);
    assert_int_equal(
        shape_of("{\"like\": \"3b\", \"name\": \"ours\", \"image_size\": 448}", &wide, &err),
        DEER_OK);
    assert_string_equal(wide.name, "ours");
    deer_cost_of(&plain, 14, WEIGHT_BF16, &small);
    deer_cost_of(&wide, 14, WEIGHT_BF16, &large);
    assert_true(large.exit[0].total > 3 * small.exit[0].total);
    assert_int_equal(deer_config_shape("5b", &wide, &err), DEER_USAGE);
    assert_non_null(strstr(err.message, "say 3b or 9b"));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        assert_int_equal(shape_of(wrong[i].text, &wide, &err), DEER_FAILED);
        assert_non_null(strstr(err.message, wrong[i].says));
    }
}

static void test_tokens_and_types(void **state)
{
    deer_config config;
    deer_cost a, b;

    (void)state;
    published("3b", 32, &config, &a);
    deer_cost_of(&config, 400, WEIGHT_BF16, &b);
    assert_int_equal(b.tokens, 32);
    assert_int_equal(a.exit[5].total, b.exit[5].total);
    assert_false(deer_config_published("5b", &config));
    shapes_from_files();
}

/* Bytes that one decoder layer with cross-attention adds to the 3B model, by hand: 12 d^2 + q, kv,
 * out of cross-attention + 8 d^2 in matrices; their outputs as rows; norms and gates in f32. */
static void test_bytes_of_each_type(void **state)
{
    const uint64_t d = 2048, matrices = 20 * d * d + 2 * 512 * d + 2 * 512 * 1024;
    const uint64_t rows = 3 * d + d + 4 * d + d /* decoder */ + 512 + 1024 + d + 4 * d + d;
    const uint64_t vectors = 4 * d /* ln_1, ln_2, q_ln, k_ln */ + 4 * d + 2 /* norms, gates */;
    const struct {
        weight_dtype dtype;
        uint64_t layer; /* bytes */
    } cases[] = {{WEIGHT_F32, 4 * (matrices + vectors)},
                 {WEIGHT_BF16, 2 * matrices + 4 * vectors},
                 {WEIGHT_Q8, matrices + 4 * rows + 4 * vectors}};
    deer_config config;
    deer_cost cost;

    (void)state;
    for (int i = 0; i < 3; i++) {
        published("3b", 14, &config, &cost);
        deer_cost_of(&config, 14, cases[i].dtype, &cost);
        assert_int_equal(cost.exit[1].weight_bytes - cost.exit[0].weight_bytes, 2 * cases[i].layer);
    }
}

/* ---------------------------------------------------------------- against the runtime ------ */

/* Every product of the runtime is a call of one of these two; the linker puts these in between. */
static uint64_t counted_macs;

void __real_linear_run(const workspace *ws, const linear_job *job);
void __wrap_linear_run(const workspace *ws, const linear_job *job);
void __real_attention_run(const workspace *ws, const attention_job *job);
void __wrap_attention_run(const workspace *ws, const attention_job *job);

void __wrap_linear_run(const workspace *ws, const linear_job *job)
{
    counted_macs += (uint64_t)job->m * (uint64_t)job->layer->w.n * (uint64_t)job->layer->w.k;
    __real_linear_run(ws, job);
}

void __wrap_attention_run(const workspace *ws, const attention_job *a)
{
    counted_macs += 2 * (uint64_t)a->sequences * (uint64_t)a->heads * (uint64_t)a->tq *
                    (uint64_t)a->tk * (uint64_t)a->dim;
    __real_attention_run(ws, a);
}

/* What a step of a model opened up to exit k did and held. */
typedef struct {
    deer_config config;
    deer_action action;
    uint64_t macs;
    size_t model_bytes, session_bytes;
} measured;

/* One step with images of the model's own size. */
static void step_session(deer_session *session, measured *m)
{
    size_t side = (size_t)m->config.image_size;
    uint8_t *pixels = calloc(3, side * side);
    deer_image image = {pixels, 3 * side * side};
    deer_observation seen = {image, image};
    deer_error err;

    counted_macs = 0;
    if (deer_step(session, &seen, &m->action, &err))
        fail_msg("%s", err.message);
    m->macs = counted_macs;
    m->session_bytes = deer_session_bytes(session);
    free(pixels);
}

static void measure(const char *path, int k, const int32_t *ids, int tokens, measured *m)
{
    deer_error err;
    deer_model *model;
    deer_session *session;
    deer_thresholds thresholds;

    if (deer_model_open(path, k, &model, &err))
        fail_msg("%s", err.message);
    m->config = *deer_model_config(model);
    m->model_bytes = deer_model_bytes(model);
    thresholds_fix(model, k, &thresholds, NULL);
    assert_int_equal(deer_session_new(model, &thresholds, NULL, &session, &err), DEER_OK);
    assert_int_equal(deer_session_set_tokens(session, ids, tokens, &err), DEER_OK);
    step_session(session, m);
    deer_session_free(session);
    deer_model_close(model);
}

/* What the cost says of exit k is what the runtime does: products exactly, a session's memory
 * within 5%, the weights' within `slack` per cent (outputs are rounded up to 16, which tiny models
 * feel).
 */
static void check_exit(const char *path, int k, int tokens, int slack)
{
    const int32_t ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    const deer_exit_cost *e;
    deer_cost cost;
    measured m;

    measure(path, k, ids, tokens, &m);
    deer_cost_of(&m.config, tokens, WEIGHT_F32, &cost);
    e = &cost.exit[k];
    assert_int_equal(m.action.exit, k);
    assert_int_equal(m.action.head_evaluations, e->head_evaluations);
    assert_int_equal(m.macs, e->total);
    assert_in_range(m.model_bytes, e->weight_bytes,
                    e->weight_bytes * (100 + (unsigned)slack) / 100);
    assert_in_range(m.session_bytes, e->activation_bytes * 95 / 100,
                    e->activation_bytes * 105 / 100);
}

static void test_runtime_does_what_is_counted(void **state)
{
    const char *const folders[] = {"tests/data/golden_a", "tests/data/golden_c"};
    char path[] = "/tmp/test_cost.XXXXXX";
    deer_error err;

    (void)state;
    close(mkstemp(path));
    with_threads(1);
    for (int k = 0; k < 6; k++)
        check_exit("datasets/tabletop/policy.safetensors", k, 9, 2);
    for (int i = 0; i < 2; i++) {
        if (official_import_folder(folders[i], path, &err))
            fail_msg("%s", err.message);
        for (int k = 0; k < 2; k++)
            for (int tokens = 1; tokens <= 9; tokens += 4)
                check_exit(path, k, tokens, 25);
    }
    unlink(path);
}

/* Takes an exit, with rules that encode these cameras at every step and others never again. */
static void set_rules(deer_session *session, const deer_model *model, int exit, unsigned views)
{
    const deer_camera_rule never = {DEER_MOST_AGE, INFINITY}, always = {0, 0};
    deer_thresholds t;

    thresholds_fix(model, exit, &t, NULL);
    t.cameras = (deer_camera_rules){views & 1 ? always : never, views & 2 ? always : never, 0};
    assert_int_equal(deer_session_set_thresholds(session, &t, NULL), DEER_OK);
}

/* Steps that use encodings again compute what is counted, to the product: deep after shallow and
 * shallow after deep. Of the text, a session keeps the first queries, which are counted. Memory for
 * what is kept, too. */
static void test_reuse_is_what_is_counted(void **state)
{
    enum { TOKENS = 9, STEPS = 12 };
    const int32_t ids[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    deer_thresholds first;
    deer_cost_kept kept = {{0}};
    deer_session *session;
    deer_model *model;
    deer_cost cost;
    uint64_t need;
    measured m;

    (void)state;
    with_threads(1);
    assert_int_equal(
        deer_model_open("datasets/tabletop/policy.safetensors", DEER_ALL_EXITS, &model, NULL),
        DEER_OK);
    m.config = *deer_model_config(model);
    deer_cost_of(&m.config, TOKENS, WEIGHT_F32, &cost);
    thresholds_fix(model, 5, &first, NULL);
    first.cameras.static_view.age = 1;
    assert_int_equal(deer_session_new(model, &first, NULL, &session, NULL), DEER_OK);
    assert_int_equal(deer_session_set_tokens(session, ids, TOKENS, NULL), DEER_OK);
    for (int i = 0; i < STEPS; i++) {
        unsigned views = i ? (unsigned)i * 7 % 3 : 3; /* both only at the first step */
        int exit = i * 5 % 6;
        int text =
            i ? TOKENS * m.config.d_model * m.config.cross_heads * m.config.cross_head_dim : 0;
        deer_cost_saved saved = deer_cost_reuse(&cost, views, exit, &kept);

        set_rules(session, model, exit, i ? views : 0);
        step_session(session, &m);
        assert_int_equal(m.action.exit, exit);
        assert_int_equal((m.action.static_age == 0) | (m.action.gripper_age == 0) << 1, views);
        assert_int_equal(m.macs + (uint64_t)text,
                         deer_cost_step(&cost, exit, m.action.head_evaluations) - saved.total);
        assert_int_equal(saved.total, saved.vision + saved.resampler + saved.llm);
    }
    need = deer_session_need(&m.config, 1) + deer_session_need_reuse(&m.config);
    assert_in_range(m.session_bytes, need * 95 / 100, need * 105 / 100);
    deer_session_free(session);
    deer_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_3b),
        cmocka_unit_test(test_layer_by_hand),
        cmocka_unit_test(test_cross_every_fourth_layer),
        cmocka_unit_test(test_weights_of_published_checkpoint),
        cmocka_unit_test(test_costs_grow_with_depth),
        cmocka_unit_test(test_head_shares_recurrent_product),
        cmocka_unit_test(test_tokens_and_types),
        cmocka_unit_test(test_bytes_of_each_type),
        cmocka_unit_test(test_runtime_does_what_is_counted),
        cmocka_unit_test(test_reuse_is_what_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
