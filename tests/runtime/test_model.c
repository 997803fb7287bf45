/* SPDX-License-Identifier: MIT */
/* test_model.c - opening model files: hostile ones, damaged ones, and prefixes of good ones. */
#include "tests/runtime/small_model.h"

#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/deer_replay.h"
#include "tests/base/unless_long.h"

static small_model small;
static char *bytes; /* of the good file */
static size_t size;
static json_t *header; /* its header */
static char broken[64];

static int start(void **state)
{
    uint64_t length;

    (void)state;
    small_model_make(&small);
    snprintf(broken, sizeof broken, "%s/broken", small.folder);
    ok(file_read(small.path, 1 << 28, &bytes, &size, &error));
    memcpy(&length, bytes, 8);
    header = json_loadb(bytes + 8, length, 0, NULL);
    return !header;
}

static int end(void **state)
{
    (void)state;
    json_decref(header);
    free(bytes);
    small_model_remove(&small);
    return 0;
}

/* ---------------------------------------------------------------- damage ------------------- */

/* A file of these contents is refused with one line that names it. */
static void refuse(const void *contents, size_t length, const char *words)
{
    deer_model *model;
    FILE *f = fopen(broken, "wb");

    assert_int_equal(fwrite(contents, 1, length, f), length);
    fclose(f);
    error.message[0] = 0;
    assert_int_equal(deer_model_open(broken, DEER_ALL_EXITS, &model, &error), DEER_FAILED);
    assert_null(model);
    says(broken);
    says(words);
    assert_int_equal(deer_model_open(broken, DEER_ALL_EXITS, &model, NULL), DEER_FAILED);
}

static void test_truncated(void **state)
{
    (void)state;
    for (size_t length = 0; length < size; length += 1 + length / 7)
        refuse(bytes, length, "");
    refuse(bytes, size - 1, "complete?");
}

static void test_length_of_header(void **state)
{
    static const uint64_t lengths[] = {0,         1,          UINT64_MAX, UINT64_MAX - 7,
                                       INT64_MAX, 1ull << 32, 101 << 20};
    char *copy = malloc(size);

    (void)state;
    memcpy(copy, bytes, size);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memcpy(copy, &lengths[i], 8);
        refuse(copy, size, "not a safetensors file");
    }
    free(copy);
}

static void put_byte(int file, char byte, size_t at)
{
    assert_int_equal(pwrite(file, &byte, 1, (off_t)at), 1);
}

/* Whatever byte of the header is changed, opening ends in success or in one line. */
static void test_any_header_byte(void **state)
{
    const size_t stride = (size_t)unless_long(10, 3); /* each of a byte's bits */
    uint64_t length;
    int file = open(broken, O_CREAT | O_TRUNC | O_WRONLY, 0600);

    (void)state;
    assert_int_equal(write(file, bytes, size), size);
    memcpy(&length, bytes, 8);
    for (size_t i = 0; i < 8 + length; i += stride) {
        deer_model *model;
        put_byte(file, (char)(bytes[i] ^ (1 << i % 7)), i);
        if (!deer_model_open(broken, DEER_ALL_EXITS, &model, &error))
            deer_model_close(model);
        else
            says(broken);
        put_byte(file, bytes[i], i);
    }
    close(file);
}

/* ---------------------------------------------------------------- forged headers ----------- */

/* The file with another header, padded as safetensors pads; the data stay. */
static void refuse_text(const char *text, const char *words)
{
    uint64_t old, length = (strlen(text) + 7) / 8 * 8;
    char *copy;

    memcpy(&old, bytes, 8);
    copy = malloc(8 + length + size - 8 - old);
    memcpy(copy, &length, 8);
    memset(copy + 8, ' ', length);
    memcpy(copy + 8, text, strlen(text));
    memcpy(copy + 8 + length, bytes + 8 + old, size - 8 - old);
    refuse(copy, 8 + length + size - 8 - old, words);
    free(copy);
}

static void refuse_header(json_t *forged, const char *words)
{
    char *text = json_dumps(forged, JSON_COMPACT);

    refuse_text(text, words);
    free(text);
    json_decref(forged);
}

static void test_header_is_no_table(void **state)
{
    char *deep = malloc(200001);

    (void)state;
    refuse_text("[]", "header is damaged (it is no JSON object)");
    refuse_text("{", "header is damaged");
    refuse_text("{\"a\": 1}", "malformed");
    refuse_text("{\"a\": {}, \"a\": {}}", "header is damaged");
    refuse_text("{}", "no deer.config");
    refuse_text("{\"__metadata__\": []}", "no deer.config");
    refuse_text("{\"__metadata__\": {\"deer.config\": 1}}", "no deer.config");
    refuse_text("{\"__metadata__\": {\"deer.config\": \"{\"}}", "not JSON");
    refuse_text("{\"__metadata__\": {\"deer.config\": \"[]\"}}", "no JSON object");
    refuse_text("{\"__metadata__\": {\"deer.config\": \"{}\"}}", "image_size");
    memset(deep, '[', 200000); /* no parser may run out of stack */
    deep[200000] = 0;
    refuse_text(deep, "header is damaged");
    free(deep);
}

/* The good header with tensor `name` described by this JSON. */
static void refuse_tensor(const char *name, const char *entry, const char *words)
{
    json_t *forged = json_deep_copy(header);

    assert_non_null(json_object_get(forged, name));
    json_object_set_new(forged, name, json_loads(entry, JSON_DECODE_ANY, NULL));
    refuse_header(forged, words);
}

#define LATENTS "perceiver.latents" /* [4, 32]: 512 bytes */

static void test_tensors(void **state)
{
    (void)state;
    refuse_tensor(LATENTS, "null", "malformed");
    refuse_tensor(LATENTS, "{\"dtype\":\"F32\",\"shape\":[4,32]}", "malformed");
    refuse_tensor(LATENTS, "{\"dtype\":\"F32\",\"shape\":[4,32],\"data_offsets\":[0]}",
                  "malformed");
    refuse_tensor(LATENTS, "{\"dtype\":\"F32\",\"shape\":[4,32],\"data_offsets\":[0,512,9]}",
                  "malformed");
    refuse_tensor(LATENTS, "{\"dtype\":\"F33\",\"shape\":[4,32],\"data_offsets\":[0,512]}",
                  "unknown type F33");
    refuse_tensor(LATENTS, "{\"dtype\":\"F32\",\"shape\":[4,33],\"data_offsets\":[0,512]}",
                  "disagree");
    refuse_tensor(LATENTS, "{\"dtype\":\"F32\",\"shape\":[-4,-32],\"data_offsets\":[0,512]}",
                  "disagree");
    refuse_tensor(LATENTS, "{\"dtype\":\"F32\",\"shape\":[4.0,32],\"data_offsets\":[0,512]}",
                  "disagree");
    refuse_tensor(LATENTS, "{\"dtype\":\"F32\",\"shape\":[4,32],\"data_offsets\":[512,0]}",
                  "disagree");
    refuse_tensor(LATENTS, "{\"dtype\":\"F32\",\"shape\":[4,32],\"data_offsets\":[-512,0]}",
                  "disagree");
    refuse_tensor(LATENTS,
                  "{\"dtype\":\"F32\",\"shape\":[4294967296,1073741824],\"data_offsets\":[0,0]}",
                  "disagree");
    refuse_tensor(LATENTS,
                  "{\"dtype\":\"F32\",\"shape\":[4,32],\"data_offsets\":[4611686018427387904,"
                  "4611686018427388416]}",
                  "beyond the end");
    refuse_tensor(LATENTS, "{\"dtype\":\"F32\",\"shape\":[4,32],\"data_offsets\":[0,512]}",
                  "overlaps");
}

/* Another shape or type of the right size, at the right place. */
static void test_tensors_that_do_not_fit(void **state)
{
    static const char *const types[] = {"I32", "U32", "F16", "BF16"};
    json_t *good = json_object_get(header, LATENTS), *forged, *copy;

    (void)state;
    forged = json_deep_copy(header);
    json_object_set_new(json_object_get(forged, LATENTS), "shape", json_pack("[i,i]", 32, 4));
    refuse_header(forged, LATENTS " does not have the shape");
    forged = json_deep_copy(header);
    json_object_set_new(json_object_get(forged, LATENTS), "shape",
                        json_pack("[i,i,i,i,i]", 1, 1, 1, 4, 32));
    refuse_header(forged, LATENTS " does not have the shape");
    for (int i = 0; i < 4; i++) {
        forged = json_deep_copy(header);
        copy = json_object_get(forged, LATENTS);
        json_object_set_new(copy, "dtype", json_string(types[i]));
        if (i > 1)
            json_object_set_new(copy, "shape", json_pack("[i,i]", 8, 32));
        refuse_header(forged,
                      i > 1 ? LATENTS " does not have the shape" : LATENTS " is not float32");
    }
    forged = json_deep_copy(header);
    json_object_del(forged, LATENTS);
    json_object_set(forged, "perceiver.\nlatents\033[31m", good); /* names reach no terminal raw */
    refuse_header(forged, LATENTS " is missing");
}

/* A name from the file in the message: still one line, without escape sequences. */
static void test_names_are_shown_harmless(void **state)
{
    (void)state;
    refuse_text("{\"a\\nb\\u001b[31m\": 1}", "a?b?[31m");
}

/* ---------------------------------------------------------------- configuration ------------ */

/* The good configuration with one field set to this JSON (NULL: taken away). */
static void refuse_config(const char *name, const char *value, const char *words)
{
    json_t *forged = json_deep_copy(header), *metadata = json_object_get(forged, "__metadata__");
    json_t *config =
        json_loads(json_string_value(json_object_get(metadata, "deer.config")), 0, NULL);
    char *text;

    assert_non_null(json_object_get(config, name));
    if (value)
        json_object_set_new(config, name, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(config, name);
    text = json_dumps(config, JSON_COMPACT);
    json_object_set_new(metadata, "deer.config", json_string(text));
    refuse_header(forged, words);
    json_decref(config);
    free(text);
}

/* Every field, taken away and filled with nonsense, is refused by name. */
static void test_every_field_counts(void **state)
{
    static const char *const nonsense[] = {NULL, "null",  "\"x\"",     "{}",
                                           "-1", "1e300", "2147483648"};
    const char *text =
        json_string_value(json_object_get(json_object_get(header, "__metadata__"), "deer.config"));
    json_t *config = json_loads(text, 0, NULL), *value;
    const char *name;

    (void)state;
    json_object_foreach(config, name, value)
    {
        if (!strcmp(name, "name"))
            continue;
        for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
            refuse_config(name, nonsense[i], name);
    }
    json_decref(config);
}

/* A name is cut between characters: what is written of it can be read again. */
static void test_long_name(void **state)
{
    char *text, *written, long_name[80];
    json_t *json = json_loads(
        json_string_value(json_object_get(json_object_get(header, "__metadata__"), "deer.config")),
        0, NULL);
    deer_config config;

    (void)state;
    for (size_t before = sizeof config.name - 4; before < sizeof config.name; before++) {
        memset(long_name, 'n', before);
        strcpy(long_name + before, "\xe2\x82\xac"); /* three bytes */
        json_object_set_new(json, "name", json_string(long_name));
        text = json_dumps(json, 0);
        assert_int_equal(deer_config_read("here", text, &config, &error), DEER_OK);
        assert_int_equal(strlen(config.name),
                         before + 3 < sizeof config.name ? before + 3 : before);
        assert_int_equal(deer_config_write(&config, &written, &error), DEER_OK);
        free(written);
        free(text);
    }
    json_decref(json);
}

static void test_configuration(void **state)
{
    (void)state;
    refuse_config("d_model", "49", "multiple");
    refuse_config("d_model", "51", "shape");
    refuse_config("vision_heads", "3", "multiple");
    refuse_config("patch_size", "13", "multiple");
    refuse_config("layers", "0", "layers");
    refuse_config("layers", "3", "exit_layers");
    refuse_config("exit_layers", "[3,1]", "ascend");
    refuse_config("exit_layers", "[1,1]", "ascend");
    refuse_config("exit_layers", "[0,3]", "exit_layers"); /* no layer before it to compare with */
    refuse_config("exits", "33", "exits");
    refuse_config("exits", "3", "exit_layers");
    refuse_config("head_mlp_layers", "5", "head_mlp_layers");
    refuse_config("head_mlp_layers", "2", "shape");
    refuse_config("head_mlp_layernorm", "true", "lacks a LayerNorm");
    refuse_config("media_token", "131", "vocabulary");
    refuse_config("vocab", "132", "wte.weight");
    refuse_config("image_std", "[1,0,1]", "positive");
    refuse_config("block", "\"mpt-7b\"", "norm_1.weight is missing");
    refuse_config("lstm", "\"layernorm\"", "is missing");
    refuse_config("resampler_layers", "2", "perceiver.layers.1");
    refuse_config("image_size", "4088", "2^31"); /* 85,264 patches: their attention alone */
}

/* ---------------------------------------------------------------- weights ------------------ */

static void test_not_finite_weights(void **state)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    char *copy = malloc(size);
    deer_model *model;
    FILE *f;

    (void)state;
    for (int i = 0; i < 3; i++) {
        memcpy(copy, bytes, size);
        memcpy(copy + size - 4, &bad[i], 4);
        refuse(copy, size,
               "lang_encoder.transformer.blocks.3.decoder_layer.mlp.mlp_down.weight holds values "
               "that are not finite");
    }
    /* What is not mapped is not looked at. */
    f = fopen(broken, "wb");
    fwrite(copy, 1, size, f);
    fclose(f);
    ok(deer_model_open(broken, 0, &model, &error));
    deer_model_close(model);
    free(copy);
}

static void test_missing_file(void **state)
{
    deer_model *model;

    (void)state;
    assert_int_equal(deer_model_open("/nowhere/model", DEER_ALL_EXITS, &model, &error),
                     DEER_FAILED);
    says("/nowhere/model: No such file");
    assert_int_equal(deer_model_open(small.folder, DEER_ALL_EXITS, &model, &error), DEER_FAILED);
    says("not a regular file");
    assert_int_equal(deer_model_open("/dev/zero", DEER_ALL_EXITS, &model, &error), DEER_FAILED);
    says("not a regular file");
    assert_int_equal(deer_model_open(small.path, SMALL_EXITS, &model, &error), DEER_USAGE);
    assert_int_equal(deer_model_open(small.path, -2, &model, &error), DEER_USAGE);
    assert_null(model);
}

/* ---------------------------------------------------------------- good files --------------- */

/* A prefix is smaller and has the same identity. */
static void test_prefix(void **state)
{
    deer_model *whole = small_model_open(&small, DEER_ALL_EXITS),
               *prefix = small_model_open(&small, 0);

    (void)state;
    assert_true(deer_model_bytes(prefix) < deer_model_bytes(whole));
    assert_in_range(deer_model_bytes(whole), size * 9 / 10, size * 11 / 10);
    assert_string_equal(deer_model_fingerprint(prefix), deer_model_fingerprint(whole));
    assert_int_equal(deer_model_max_exit(prefix), 0);
    assert_int_equal(deer_model_max_exit(whole), SMALL_EXITS - 1);
    deer_model_close(whole);
    deer_model_close(prefix);
}

/* The good file as it was written before there were checksums. */
static char *without_checksums(void)
{
    char *copy = malloc(size), *key;

    memcpy(copy, bytes, size);
    key = memmem(copy, size, "deer.xxh128", 11);
    assert_non_null(key);
    memcpy(key, "else", 4);
    return copy;
}

/* Any change that the first exit sees is another model, also of a file without checksums. */
static void test_fingerprint(void **state)
{
    char *old = without_checksums(), *copy = malloc(size), *at;
    deer_model *good, *other;
    uint64_t length;

    (void)state;
    memcpy(&length, bytes, 8);
    ok(file_write(broken, old, size, &error));
    ok(deer_model_open(broken, DEER_ALL_EXITS, &good, &error));
    for (int change = 0; change < 2; change++) {
        memcpy(copy, old, size);
        at = change ? memmem(copy, size, "action_scale\\\":[0.0", 19) + 18 : copy + 8 + length;
        *at = (char)(*at ^ 1); /* a weight's lowest bit; the first digit of an action scale */
        ok(file_write(broken, copy, size, &error));
        ok(deer_model_open(broken, DEER_ALL_EXITS, &other, &error));
        assert_string_not_equal(deer_model_fingerprint(good), deer_model_fingerprint(other));
        deer_model_close(other);
    }
    deer_model_close(good);
    free(copy);
    free(old);
}

/* ---------------------------------------------------------------- changes ------------------ */

/* One flipped bit is noticed in whatever tensor it is, by that tensor's name, but in those behind
 * the deepest exit, which are not read. */
static void test_flipped_bits(void **state)
{
    deer_model *model;
    const char *name;
    json_t *entry;
    uint64_t length;
    int behind = 0;

    (void)state;
    memcpy(&length, bytes, 8);
    json_object_foreach(header, name, entry)
    {
        json_t *range = json_object_get(entry, "data_offsets");
        json_int_t begin = json_integer_value(json_array_get(range, 0));
        json_int_t end = json_integer_value(json_array_get(range, 1));
        char *at = bytes + 8 + length + (begin + end) / 2;

        if (!range || !strncmp(name, "pad.", 4))
            continue;
        *at = (char)(*at ^ 1);
        refuse(bytes, size, name);
        says("is damaged");
        if (!deer_model_open(broken, 0, &model, NULL)) {
            behind++;
            deer_model_close(model);
        }
        *at = (char)(*at ^ 1);
    }
    assert_in_range(behind, 10, 60);
}

static void test_damaged_checksums(void **state)
{
    char *copy = malloc(size), *at;

    (void)state;
    memcpy(copy, bytes, size);
    at = (char *)memmem(copy, size, "deer.xxh128", 11) + 14;
    *at = *at == '0' ? '1' : '0'; /* of the first tensor by name */
    refuse(copy, size, "extra_exit.actions.mlp");
    at[5] = '"'; /* a shorter text */
    refuse(copy, size, "");
    free(copy);
}

static void assert_first_word_refused(deer_model *model, const char *words)
{
    deer_thresholds *t;
    deer_session *session;

    ok(deer_thresholds_fixed(model, 0, &t, &error));
    ok(deer_session_new(model, t, NULL, &session, &error));
    assert_int_equal(deer_session_set_tokens(session, (const int32_t[]){SMALL_IMAGE, 1}, 2, &error),
                     DEER_FAILED);
    says(words);
    deer_session_free(session);
    deer_thresholds_free(t);
}

/* The words of an instruction are read later than the weights, and must be of the same file. */
static void test_overwritten(void **state)
{
    deer_model *model;
    int fd;

    (void)state;
    ok(file_write(broken, bytes, size, &error));
    usleep(20000); /* file systems keep time in steps of a few milliseconds */
    ok(deer_model_open(broken, DEER_ALL_EXITS, &model, &error));
    fd = open(broken, O_WRONLY);
    assert_true(pwrite(fd, "x", 1, (off_t)size - 1) == 1);
    close(fd);
    assert_first_word_refused(model, "has been written to since it was opened");
    assert_int_equal(truncate(broken, 1000), 0);
    assert_first_word_refused(model, "has been written to since it was opened");
    deer_model_close(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_length_of_header),
        cmocka_unit_test(test_any_header_byte),
        cmocka_unit_test(test_header_is_no_table),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_tensors_that_do_not_fit),
        cmocka_unit_test(test_names_are_shown_harmless),
        cmocka_unit_test(test_every_field_counts),
        cmocka_unit_test(test_long_name),
        cmocka_unit_test(test_configuration),
        cmocka_unit_test(test_not_finite_weights),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_prefix),
        cmocka_unit_test(test_fingerprint),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_damaged_checksums),
        cmocka_unit_test(test_overwritten),
    };

    return cmocka_run_group_tests(tests, start, end);
}
