/* SPDX-License-Identifier: MIT */
/* test_model_file.c - model files in three number types: what is in them, and random ones. */
#include "tests/import/whole_file.h"

#include <fcntl.h>
#include <float.h>
#include <math.h>

#include "runtime/base/file.h"
#include "runtime/import/model_file.h"
#include "runtime/import/synthesize.h"
#include "runtime/model/config.h"
#include "runtime/model/model.h"

static small_model small;
static char out[64];

static int start(void **state)
{
    (void)state;
    small_model_make(&small);
    snprintf(out, sizeof out, "%s/out", small.folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    small_model_remove(&small);
    return 0;
}

/* ---------------------------------------------------------------- conversion --------------- */

static float from_bf16(uint16_t half)
{
    uint32_t bits = (uint32_t)half << 16;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint16_t to_bf16(float value)
{
    uint16_t half;

    weight_to_bf16(&value, 1, &half);
    return half;
}

/* Every bfloat16 is itself; what lies between goes to the nearest, ties to even. */
static void test_bf16(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7f80; h++) {
        float low = from_bf16((uint16_t)h), high = from_bf16((uint16_t)(h + 1));
        double middle = h == 0x7f7f ? 0x1.ffp127 : ((double)low + high) / 2;

        assert_int_equal(to_bf16(low), h);
        assert_int_equal(to_bf16(-low), h | 0x8000);
        if (h < 0x7f7f) {
            assert_int_equal(to_bf16((float)middle), h & 1 ? h + 1 : h);
            assert_int_equal(to_bf16(nextafterf((float)middle, 0)), h);
            assert_int_equal(to_bf16(nextafterf((float)middle, INFINITY)), h + 1);
        }
    }
}

/* At any place among many, in any type that cannot hold it. */
static void test_bad_values(void **state)
{
    enum { N = 10000 };
    static const float bad[] = {NAN, -NAN, INFINITY, -INFINITY};
    static float values[N];

    (void)state;
    values[7] = FLT_MAX;
    values[8] = -0x1.fdp127f;
    assert_int_equal(weight_first_bad(values, N, WEIGHT_F32), N);
    assert_int_equal(weight_first_bad(values, N, WEIGHT_Q8), N);
    assert_int_equal(weight_first_bad(values, N, WEIGHT_BF16), 7);
    values[7] = 0x1.fefffep127f; /* the largest that rounds down */
    assert_int_equal(weight_first_bad(values, N, WEIGHT_BF16), N);
    values[7] = 0x1.ffp127f;
    assert_int_equal(weight_first_bad(values, N, WEIGHT_BF16), 7);
    values[7] = 0;
    for (size_t i = 0; i < N; i += 997)
        for (size_t b = 0; b < 4; b++) {
            values[i] = bad[b];
            for (int as = WEIGHT_F32; as <= WEIGHT_Q8; as++)
                assert_int_equal(weight_first_bad(values, N, (weight_dtype)as), i);
            values[i] = 0;
        }
}

static uint32_t next_random(uint32_t *state)
{
    return *state = *state * 1664525 + 1013904223;
}

/* Within half a step of every value, whatever the magnitude of a row. */
static void test_q8_error(void **state)
{
    enum { ROWS = 64, COLUMNS = 177 };
    float values[ROWS * COLUMNS], scales[ROWS];
    uint8_t bytes[ROWS * COLUMNS];
    uint32_t random = 1;

    (void)state;
    for (int i = 0; i < ROWS * COLUMNS; i++)
        values[i] = ldexpf((float)(int32_t)next_random(&random), 3 * (i / COLUMNS) - 127);
    weight_to_q8(values, ROWS, COLUMNS, bytes, scales);
    for (int i = 0; i < ROWS * COLUMNS; i++) {
        double scale = scales[i / COLUMNS], kept = (bytes[i] - 128) * scale;

        assert_true(bytes[i] >= 1);
        assert_true(fabs(kept - values[i]) <= scale * (0.5 + 1e-5));
    }
}

static void expect_row(const float *row, size_t n, float scale, const uint8_t *bytes)
{
    uint8_t got[8];
    float got_scale;

    weight_to_q8(row, 1, n, got, &got_scale);
    assert_true(got_scale == scale);
    assert_memory_equal(got, bytes, n);
}

static void test_q8_edges(void **state)
{
    (void)state;
    expect_row((float[]){0, -0.0f, 0}, 3, 0, (uint8_t[]){128, 128, 128});
    expect_row((float[]){127, -127, 0, 1}, 4, 1, (uint8_t[]){255, 1, 128, 129});
    expect_row((float[]){127, 0.5f, 1.5f, 2.5f, -0.5f, -1.5f, -2.5f}, 7, 1,
               (uint8_t[]){255, 128, 130, 130, 128, 126, 126}); /* ties to even */
    expect_row((float[]){-2e-3f}, 1, 2e-3f / 127, (uint8_t[]){1});
    expect_row((float[]){FLT_MAX, -FLT_MAX}, 2, FLT_MAX / 127, (uint8_t[]){255, 1});
    /* magnitudes whose scale is no precise number: nothing wraps around */
    expect_row((float[]){0x1p-149f, -0x1p-149f}, 2, 0, (uint8_t[]){128, 128});
    expect_row((float[]){180 * 0x1p-149f, -180 * 0x1p-149f, 0x1p-149f}, 3, 0x1p-149f,
               (uint8_t[]){255, 1, 129});
}

/* ---------------------------------------------------------------- files -------------------- */

static bool is(const char *name, const char *start, const char *end)
{
    size_t n = strlen(name), m = strlen(end);

    return !strncmp(name, start, strlen(start)) && n >= m && !strcmp(name + n - m, end);
}

/* Said once more, from the list of tensors in docs/model-file.md. */
static bool is_vector(const safetensor *t)
{
    return t->rank < 2 || is(t->name, "", "positional_embedding") || is(t->name, "", "latents");
}

static void compare_bf16(const uint8_t *kept, const float *w, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t half;

        memcpy(&half, kept + 2 * i, sizeof half);
        assert_true(fabsf(from_bf16(half) - w[i]) <= ldexpf(fabsf(w[i]), -8));
    }
}

static void compare_q8(const whole_file *in, const safetensor *t, const float *w)
{
    char name[256];
    const safetensor *s;
    const float *scale;
    size_t columns = (t->end - t->begin) / (size_t)t->shape[0];

    snprintf(name, sizeof name, "%s_scale", t->name);
    s = safetensors_find(&in->file, name);
    assert_non_null(s);
    assert_true(safetensors_is_f32(s) && s->rank == 1 && s->shape[0] == t->shape[0]);
    assert_int_equal(s->begin, (t->end + 63) / 64 * 64); /* directly behind it */
    scale = (const float *)(const void *)(in->data + s->begin);
    for (size_t i = 0; i < t->end - t->begin; i++)
        assert_true(fabsf((float)(in->data[t->begin + i] - 128) * scale[i / columns] - w[i]) <=
                    0.50001f * scale[i / columns]);
}

/* Tensor u of the float32 file as the other file has it. */
static void compare_tensor(const whole_file *from, const safetensor *u, const whole_file *to,
                           weight_dtype dtype)
{
    const safetensor *t = safetensors_find(&to->file, u->name);
    const float *w = (const float *)(const void *)(from->data + u->begin);
    bool mixed = is(u->name, "", "wte.weight") || is(u->name, "", "conv1.weight");

    assert_non_null(t);
    assert_int_equal(t->rank, u->rank);
    assert_memory_equal(t->shape, u->shape, (size_t)u->rank * sizeof *u->shape);
    assert_int_equal((to->file.data_offset + t->begin) % 64, 0);
    if (is_vector(u) || dtype == WEIGHT_F32) {
        assert_true(safetensors_is_f32(t));
        assert_memory_equal(to->data + t->begin, w, t->end - t->begin);
    } else if (dtype == WEIGHT_BF16 || mixed) {
        assert_int_equal(t->type, NUMBER_BF16);
        compare_bf16(to->data + t->begin, w, (t->end - t->begin) / 2);
    } else {
        assert_int_equal(t->type, NUMBER_U8);
        compare_q8(to, t, w);
    }
}

static void test_convert(void **state)
{
    (void)state;
    for (int dtype = WEIGHT_F32; dtype <= WEIGHT_Q8; dtype++) {
        model_output output = {.path = out, .dtype = (weight_dtype)dtype};
        whole_file from, to;

        ok(model_convert(small.path, &output, &error));
        whole_file_open(small.path, &from);
        whole_file_open(out, &to);
        assert_string_equal(safetensors_metadata(&to.file, "deer.config"),
                            safetensors_metadata(&from.file, "deer.config"));
        for (size_t i = 0; i < from.file.count; i++)
            if (strncmp(from.file.tensor[i].name, "pad.", 4) != 0)
                compare_tensor(&from, &from.file.tensor[i], &to, (weight_dtype)dtype);
        whole_file_close(&from);
        whole_file_close(&to);
    }
    unlink(out);
}

/* The bytes of both files. */
static void expect_same(const char *a, const char *b)
{
    char *x, *y;
    size_t n, m;

    ok(file_read(a, 1 << 28, &x, &n, &error));
    ok(file_read(b, 1 << 28, &y, &m, &error));
    assert_int_equal(n, m);
    assert_memory_equal(x, y, n);
    free(x);
    free(y);
}

/* Import and conversion come to the same. */
static void test_import_types(void **state)
{
    char other[80];

    (void)state;
    snprintf(other, sizeof other, "%s/other", small.folder);
    for (int dtype = WEIGHT_F32; dtype <= WEIGHT_Q8; dtype++) {
        official_sources from = {.folder = "tests/data/golden_c", .dtype = (weight_dtype)dtype};
        model_output to = {.path = other, .dtype = (weight_dtype)dtype};

        ok(official_import(&from, out, &error));
        ok(model_convert(small.path, &to, &error));
        expect_same(out, other);
    }
    unlink(out);
    unlink(other);
}

static void test_convert_refused(void **state)
{
    model_output to = {.path = out, .dtype = WEIGHT_BF16};
    char half[80];

    (void)state;
    snprintf(half, sizeof half, "%s/half", small.folder);
    ok(model_convert(small.path, &to, &error));
    assert_int_equal(rename(out, half), 0);
    assert_int_equal(model_convert(half, &to, &error), DEER_FAILED);
    says("is not all float32");
    unlink(half);
    assert_int_equal(model_convert("tests/data/golden_c/weights.safetensors", &to, &error),
                     DEER_FAILED);
    says("holds no deer.config");
    assert_int_equal(model_convert("/nowhere", &to, &error), DEER_FAILED);
    says("/nowhere: No such file");
    assert_int_equal(access(out, F_OK), -1);
}

/* ---------------------------------------------------------------- random models ------------ */

static deer_config small_config(void)
{
    deer_model *model = small_model_open(&small, DEER_ALL_EXITS);
    deer_config config = *deer_model_config(model);

    deer_model_close(model);
    return config;
}

/* Mean and standard deviation of a matrix, against 0 and 1 / sqrt(columns): 5 standard errors. */
static void check_spread(const whole_file *in, const safetensor *t)
{
    const float *w = (const float *)(const void *)(in->data + t->begin);
    double sum = 0, squares = 0, n = (double)((t->end - t->begin) / sizeof *w);
    double expected = 1 / sqrt(n / (double)t->shape[0]);

    for (size_t i = 0; i < (size_t)n; i++) {
        sum += w[i];
        squares += (double)w[i] * w[i];
    }
    assert_true(fabs(sum / n) < 5 * expected / sqrt(n));
    assert_true(fabs(squares / n / (expected * expected) - 1) < 5 * 0.9 / sqrt(n));
}

/* What is said of a file without its values is what is true with them. */
static void check_description(const deer_model *open)
{
    deer_model *model;

    ok(model_describe(out, &model, &error));
    assert_string_equal(deer_model_fingerprint(model), deer_model_fingerprint(open));
    assert_string_equal(deer_model_type(model), deer_model_type(open));
    assert_int_equal(deer_model_bytes(model), deer_model_bytes(open));
    assert_memory_equal(deer_model_config(model), deer_model_config(open), sizeof(deer_config));
    assert_null(model->arena);
    deer_model_close(model);
}

/* A synthetic model has exactly the tensors that the runtime looks for, and it opens. */
static void check_opens(const deer_config *config)
{
    model_output to = {.path = out};
    deer_model *model;
    whole_file made;

    ok(synthesize_model(&to, config, 3, NULL, &error));
    ok(deer_model_open(out, DEER_ALL_EXITS, &model, &error));
    assert_memory_equal(deer_model_config(model), config, sizeof *config);
    check_description(model);
    deer_model_close(model);
    whole_file_open(out, &made);
    for (size_t i = 0; i < made.file.count; i++)
        if (made.file.tensor[i].rank >= 2)
            check_spread(&made, &made.file.tensor[i]);
    whole_file_close(&made);
}

static void test_synthetic(void **state)
{
    deer_config config = small_config();

    (void)state;
    check_opens(&config);
    config.block = DEER_BLOCK_MPT_7B;
    config.cross_every = 2;
    config.lstm = DEER_LSTM_LAYERNORM;
    config.head_mlp_layernorm = true;
    synthesize_layers(&config, 7);
    assert_true(config.layers == 7 && config.exits == 4);
    assert_true(config.exit_layers[2] == 5 && config.exit_layers[3] == 6);
    check_opens(&config);
}

/* The same seed gives the same file; of another type too; another seed does not. */
static void test_synthetic_repeats(void **state)
{
    deer_config config = small_config();
    char other[80];
    model_output to = {.path = out}, again = {.path = other};
    char *x, *y;
    size_t n, m;

    (void)state;
    snprintf(other, sizeof other, "%s/other", small.folder);
    ok(synthesize_model(&to, &config, 3, NULL, &error));
    ok(synthesize_model(&again, &config, 3, NULL, &error));
    expect_same(out, other);
    again.dtype = WEIGHT_Q8;
    ok(model_convert(out, &again, &error));
    to.dtype = WEIGHT_Q8;
    ok(synthesize_model(&to, &config, 3, NULL, &error));
    expect_same(out, other);
    ok(synthesize_model(&again, &config, 4, NULL, &error));
    ok(file_read(out, 1 << 28, &x, &n, &error));
    ok(file_read(other, 1 << 28, &y, &m, &error));
    assert_int_equal(n, m);
    assert_memory_not_equal(x, y, n);
    free(x);
    free(y);
    unlink(out);
    unlink(other);
}

static void test_synthetic_refused(void **state)
{
    deer_config config = small_config();
    model_output to = {.path = out};

    (void)state;
    synthesize_layers(&config, 100); /* too many exits: they end at DEER_MAX_EXITS */
    assert_int_equal(config.exits, DEER_MAX_EXITS);
    config.d_model = 49;
    assert_int_equal(synthesize_model(&to, &config, 3, NULL, &error), DEER_FAILED);
    says("multiple of its number of heads");
    assert_int_equal(access(out, F_OK), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bf16),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_q8_error),
        cmocka_unit_test(test_q8_edges),
        cmocka_unit_test(test_convert),
        cmocka_unit_test(test_import_types),
        cmocka_unit_test(test_convert_refused),
        cmocka_unit_test(test_synthetic),
        cmocka_unit_test(test_synthetic_repeats),
        cmocka_unit_test(test_synthetic_refused),
    };

    return cmocka_run_group_tests(tests, start, end);
}
