/* SPDX-License-Identifier: MIT */
/* test_bpe.c - byte-level BPE against ids made by another implementation (data/make_tokens.mjs).
 *
 *   test_bpe [FOLDER]     FOLDER holds tokenizer.json and tokens.json; default tests/data/tokens */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/file.h"
#include "runtime/text/bpe.h"
#include "runtime/text/tokenizer.h"

enum { VOCAB = 50280, ROOM = 4096 };

static const char *folder = "tests/data/tokens";
static deer_error error;

static char *read_text(const char *name)
{
    char path[4096], *text;
    size_t size;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (file_read(path, 1 << 28, &text, &size, &error))
        fail_msg("%s", error.message);
    return text;
}

static json_t *read_json(const char *name)
{
    char *text = read_text(name);
    json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);

    free(text);
    assert_non_null(json);
    return json;
}

static char *full; /* tokenizer.json with what DeeR adds */

static int start(void **state)
{
    char *text = read_text("tokenizer.json");

    (void)state;
    assert_int_equal(tokenizer_complete("t", text, &full, &error), DEER_OK);
    free(text);
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(full);
    return 0;
}

static void test_same_ids(void **state)
{
    json_t *json = json_loads(full, 0, NULL), *rows = read_json("tokens.json"), *row;
    int32_t ids[ROOM];
    size_t r;
    bpe *t;

    (void)state;
    if (bpe_new("t", json, VOCAB, &t, &error))
        fail_msg("%s", error.message);
    assert_true(json_array_size(rows) >= 500);
    json_array_foreach(rows, r, row)
    {
        const json_t *words = json_array_get(row, 0), *expected = json_array_get(row, 1);
        int n =
            bpe_encode(t, json_string_value(words), json_string_length(words), ids, ROOM, &error);

        if (n != (int)json_array_size(expected))
            fail_msg("text %zu, '%s': %d ids, not %zu", r, json_string_value(words), n,
                     json_array_size(expected));
        for (int i = 0; i < n; i++)
            if (ids[i] != (int32_t)json_integer_value(json_array_get(expected, (size_t)i)))
                fail_msg("text %zu, '%s': id %d is %d", r, json_string_value(words), i, ids[i]);
    }
    bpe_free(t);
    json_decref(rows);
    json_decref(json);
}

/* A merge that is listed again, at the end, keeps the rank of the first. */
static void test_repeated_merges(void **state)
{
    json_t *json = json_loads(full, 0, NULL), *rows = read_json("tokens.json"), *row;
    json_t *merges = json_object_get(json_object_get(json, "model"), "merges");
    int32_t ids[ROOM], other[ROOM];
    size_t count = json_array_size(merges), r;
    bpe *once, *twice;

    (void)state;
    assert_int_equal(bpe_new("t", json, VOCAB, &once, &error), DEER_OK);
    for (size_t i = 0; i < count; i += 2)
        assert_int_equal(json_array_append(merges, json_array_get(merges, i)), 0);
    assert_int_equal(bpe_new("t", json, VOCAB, &twice, &error), DEER_OK);
    json_array_foreach(rows, r, row)
    {
        const char *text = json_string_value(json_array_get(row, 0));
        size_t length = json_string_length(json_array_get(row, 0));
        int n = bpe_encode(once, text, length, ids, ROOM, &error);

        assert_int_equal(bpe_encode(twice, text, length, other, ROOM, &error), n);
        assert_memory_equal(ids, other, (size_t)n * sizeof *ids);
    }
    bpe_free(once);
    bpe_free(twice);
    json_decref(rows);
    json_decref(json);
}

/* The official prompt; ids of the tokens that DeeR adds. */
static void test_prompt(void **state)
{
    int32_t ids[32], other[32];
    tokenizer *t;
    int n;

    (void)state;
    assert_int_equal(tokenizer_new("t", full, VOCAB, &t, &error), DEER_OK);
    n = tokenizer_prompt(t, " lift the red block\n", ids, 32, &error);
    assert_true(n > 4);
    assert_int_equal(ids[0], 50278);
    assert_int_equal(ids[n - 2], 50277);
    assert_int_equal(ids[n - 1], 0);
    assert_int_equal(tokenizer_prompt(t, "lift the red block", other, 32, &error), n);
    assert_memory_equal(ids, other, (size_t)n * sizeof *ids);
    assert_int_equal(tokenizer_prompt(t, "lift the red block", ids, 3, &error), 3);
    assert_memory_equal(ids, other, 3 * sizeof *ids);
    assert_int_equal(tokenizer_prompt(t, "lift \xff", ids, 32, &error), -1);
    assert_non_null(strstr(error.message, "not UTF-8"));
    tokenizer_free(t);
    assert_int_equal(tokenizer_new("t", full, VOCAB - 1, &t, &error), DEER_FAILED);
}

/* `full` with one place changed; the caller frees. */
static char *change(const char *from, const char *to)
{
    const char *at = strstr(full, from);
    char *changed = malloc(strlen(full) + strlen(to) + 1);

    assert_non_null(at);
    sprintf(changed, "%.*s%s%s", (int)(at - full), full, to, at + strlen(from));
    return changed;
}

/* Written in another way, it means the same. */
static void test_other_spellings(void **state)
{
    static const char *const changes[][2] = {
        {"\"dropout\":null", "\"dropout\":0.0"},
        {"\"type\":\"BPE\",", ""},
        {"{\"type\":\"NFC\"}", "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFC\"}]}"},
        {"\"post_processor\":{\"type\":\"ByteLevel\",", "\"post_processor\":null,\"x\":{"},
    };
    int32_t ids[32], other[32];
    tokenizer *t;
    int n;

    (void)state;
    assert_int_equal(tokenizer_new("t", full, VOCAB, &t, &error), DEER_OK);
    n = tokenizer_prompt(t,
                         "\xc3\xb6"
                         "ffne o\xcc\x88",
                         ids, 32, &error);
    tokenizer_free(t);
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        char *changed = change(changes[i][0], changes[i][1]);

        if (tokenizer_new("t", changed, VOCAB, &t, &error))
            fail_msg("%s", error.message);
        assert_int_equal(tokenizer_prompt(t,
                                          "\xe3\x80\x80\xc3\xb6"
                                          "ffne o\xcc\x88\xc2\xa0",
                                          other, 32, &error),
                         n); /* between white space of Unicode */
        assert_memory_equal(ids, other, (size_t)n * sizeof *ids);
        tokenizer_free(t);
        free(changed);
    }
}

/* What a template adds stands around the prompt, also where that is cut. */
static void test_added_around(void **state)
{
    char *changed =
        change("\"post_processor\":{\"type\":\"ByteLevel\",",
               "\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},"
               "{\"type\":\"TemplateProcessing\",\"single\":[{\"SpecialToken\":{\"id\":\"s\","
               "\"type_id\":0}},"
               "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}},{\"SpecialToken\":{\"id\":\"e\",\"type_"
               "id\":0}}],"
               "\"special_tokens\":{\"s\":{\"id\":\"s\",\"ids\":[7],\"tokens\":[\"s\"]},"
               "\"e\":{\"id\":\"e\",\"ids\":[8,9],\"tokens\":[\"e\",\"f\"]}}}],");
    int32_t ids[32];
    tokenizer *t;
    int n;

    (void)state;
    if (tokenizer_new("t", changed, VOCAB, &t, &error))
        fail_msg("%s", error.message);
    n = tokenizer_prompt(t, "lift", ids, 32, &error);
    assert_int_equal(ids[0], 7);
    assert_int_equal(ids[1], 50278);
    assert_int_equal(ids[n - 2], 8);
    assert_int_equal(ids[n - 1], 9);
    assert_int_equal(tokenizer_prompt(t, "lift the red block", ids, 5, &error), 5);
    assert_int_equal(ids[0], 7);
    assert_int_equal(ids[4], 9);
    tokenizer_free(t);
    free(changed);
    changed = change("\"post_processor\":{\"type\":\"ByteLevel\",",
                     "\"post_processor\":{\"type\":\"RobertaProcessing\",");
    assert_int_equal(tokenizer_new("t", changed, VOCAB, &t, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "post_processor is RobertaProcessing"));
    free(changed);
}

/* Changed in one place, it is refused, by name. */
static void test_refused(void **state)
{
    static const struct {
        const char *from, *to, *says;
    } changes[] = {
        {"\"dropout\":null", "\"dropout\":0.10", "uses dropout"},
        {"\"add_prefix_space\":false", "\"add_prefix_space\":true ", "not plain ByteLevel"},
        {"\"type\":\"NFC\"", "\"type\":\"NFD\"", "normalizer NFD is not supported"},
        {"\"lstrip\":false", "\"lstrip\":true ", "strips its neighbours"},
        {"\"\xc4\xa0 t\"", "\"\xc4\xa0 \xf0\x9f\xa4\x96\"", "is not of words it has"},
        {"\"a\":", "\"\xe2\x98\x83\":", "no token for byte 97"},
        {"\"id\":50254", "\"id\":99999", "an id outside"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
        const char *at = strstr(full, changes[i].from);
        char *changed = malloc(strlen(full) + 16);
        tokenizer *t;

        assert_non_null(at);
        sprintf(changed, "%.*s%s%s", (int)(at - full), full, changes[i].to,
                at + strlen(changes[i].from));
        assert_int_equal(tokenizer_new("t", changed, VOCAB, &t, &error), DEER_FAILED);
        if (!strstr(error.message, changes[i].says))
            fail_msg("'%s' does not say '%s'", error.message, changes[i].says);
        free(changed);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_repeated_merges), cmocka_unit_test(test_same_ids),
        cmocka_unit_test(test_prompt),          cmocka_unit_test(test_other_spellings),
        cmocka_unit_test(test_added_around),    cmocka_unit_test(test_refused),
    };

    if (argc > 1)
        folder = argv[1];
    return cmocka_run_group_tests(tests, start, end);
}
