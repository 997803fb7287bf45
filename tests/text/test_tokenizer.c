/* SPDX-License-Identifier: MIT */
/* test_tokenizer.c - instructions to ids: the official prompt, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/text/tokenizer.h"

#define VOCAB                                                                                      \
    "\"<|endoftext|>\": 0, \"<unk>\": 1, \"<|endofchunk|>\": 2, \"<image>\": 3, \"lift\": 4, "     \
    "\"the\": 5, \"red\": 6"
#define KIND(vocab, more)                                                                          \
    "{\"normalizer\": {\"type\": \"Lowercase\"}, \"model\": {\"type\": \"WordLevel\", \"vocab\": " \
    "{" vocab "}" more "}}"

static deer_error error;

static void expect(const tokenizer *t, const char *text, int room, const int32_t *ids, int count)
{
    int32_t got[16];

    assert_int_equal(tokenizer_prompt(t, text, got, room, &error), count);
    assert_memory_equal(got, ids, (size_t)count * sizeof *ids);
}

static void test_prompt(void **state)
{
    tokenizer *t;

    (void)state;
    assert_int_equal(tokenizer_new("m", KIND(VOCAB, ", \"unk_token\": \"<unk>\""), 7, &t, &error),
                     0);
    expect(t, "lift the red", 16, (int32_t[]){3, 4, 5, 6, 2, 0}, 6);
    expect(t, "  Lift\tTHE \n red  ", 16, (int32_t[]){3, 4, 5, 6, 2, 0}, 6); /* stripped, lower */
    expect(t, "lift the moon", 16, (int32_t[]){3, 4, 5, 1, 2, 0}, 6);        /* unknown word */
    expect(t, "", 16, (int32_t[]){3, 2, 0}, 3);
    expect(t, "lift the red", 3, (int32_t[]){3, 4, 5}, 3); /* cut, as the official tokenizer cuts */
    tokenizer_free(t);
}

/* Special tokens that are added tokens only, as tokenizers of pre-trained models have them. */
static void test_added_tokens(void **state)
{
    static const char json[] =
        "{\"added_tokens\": [{\"id\": 4, \"content\": \"<image>\"}, 7, {\"id\": 5}, {\"id\": 3, "
        "\"content\": \"<|endofchunk|>\"}], \"model\": {\"type\": \"WordLevel\", \"vocab\": "
        "{\"<|endoftext|>\": 0, \"Lift\": 1}}}";
    tokenizer *t;

    (void)state;
    assert_int_equal(tokenizer_new("m", json, 5, &t, &error), 0);
    expect(t, "Lift", 16, (int32_t[]){4, 1, 3, 0}, 4); /* no normalizer: case counts */
    tokenizer_free(t);
    assert_int_equal(tokenizer_new("m", json, 4, &t, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "special token lies outside"));
}

/* Words of any length and any bytes: looked up or refused, never cut short into another word. */
static void test_strange_words(void **state)
{
    char text[1001];
    int32_t ids[16];
    tokenizer *t;

    (void)state;
    assert_int_equal(tokenizer_new("m", KIND(VOCAB, ", \"unk_token\": \"<unk>\""), 7, &t, &error),
                     0);
    memset(text, 'a', 1000);
    text[1000] = 0;
    expect(t, text, 16, (int32_t[]){3, 1, 2, 0}, 4);
    expect(t, "l\xc3\xa9ger \xff\xfe", 16, (int32_t[]){3, 1, 1, 2, 0}, 5);
    assert_int_equal(tokenizer_prompt(t, "lift", ids, 0, &error), 0);
    tokenizer_free(t);
    assert_int_equal(tokenizer_new("m", KIND(VOCAB, ""), 7, &t, &error), 0);
    assert_int_equal(tokenizer_prompt(t, text, ids, 16, &error), -1);
    assert_int_equal(tokenizer_prompt(t, "\x1b[31m\x7f", ids, 16, &error), -1);
    assert_null(strpbrk(error.message, "\x1b\x7f\n"));
    tokenizer_free(t);
}

static void test_unknown_words_are_counted(void **state)
{
    tokenizer *t;

    (void)state;
    assert_int_equal(tokenizer_new("m", KIND(VOCAB, ", \"unk_token\": \"<unk>\""), 7, &t, &error),
                     DEER_OK);
    assert_int_equal(tokenizer_unknown(t, "lift the"), 0);
    assert_int_equal(tokenizer_unknown(t, " lift  the moon "), 1);
    assert_int_equal(tokenizer_unknown(t, "lift. moon the"), 2);
    assert_int_equal(tokenizer_unknown(t, ""), 0);
    tokenizer_free(t);
}

static void test_unknown_word_without_unknown_token(void **state)
{
    tokenizer *t;
    int32_t ids[16];

    (void)state;
    assert_int_equal(tokenizer_new("m", KIND(VOCAB, ""), 7, &t, &error), 0);
    assert_int_equal(tokenizer_prompt(t, "lift the moon", ids, 16, &error), -1);
    assert_non_null(strstr(error.message, "'moon'"));
    tokenizer_free(t);
}

static void refuse(const char *json, int vocab, const char *says)
{
    tokenizer *t;

    assert_int_equal(tokenizer_new("m", json, vocab, &t, &error), DEER_FAILED);
    assert_null(t);
    assert_non_null(strstr(error.message, says));
}

static void test_refused(void **state)
{
    (void)state;
    refuse("{", 7, "not JSON");
    refuse("{\"model\": {\"type\": \"Unigram\"}}", 7, "WordLevel and BPE are supported");
    refuse("{\"model\": {\"type\": \"BPE\"}}", 7, "not plain ByteLevel");
    refuse(KIND(VOCAB, ""), 6, "outside the vocabulary");
    refuse(KIND("\"<image>\": 0", ""), 7, "lacks");
    refuse("[]", 7, "(none)");
    refuse("{\"model\": {\"type\": \"WordLevel\", \"vocab\": 3}}", 7, "lacks");
    refuse(KIND("\"<image>\": \"x\"", ""), 7, "outside the vocabulary");
    refuse(KIND("\"<image>\": -1", ""), 7, "outside the vocabulary");
    refuse(KIND("\"<image>\": 4294967296", ""), 7, "outside the vocabulary");
    refuse("{\"model\": {\"type\": \"WordLevel\", \"vocab\": {}}, \"added_tokens\": [{\"content\": "
           "\"<image>\", \"id\": 4294967297}]}",
           7, "outside the vocabulary");
    refuse("{\"model\": {\"type\": \"WordLevel\", \"vocab\": {}}, \"added_tokens\": [{\"content\": "
           "\"<image>\", \"id\": -9223372036854775808}]}",
           7, "outside the vocabulary");
}

/* Completing a file of absurd ids does not overflow; what comes of it is refused. */
static void test_absurd_ids(void **state)
{
    static const char absurd[] = "{\"model\": {\"type\": \"WordLevel\", \"vocab\": {\"a\": "
                                 "9223372036854775807}}, \"added_tokens\": 3}";
    char deep[20001], *completed;

    (void)state;
    assert_int_equal(tokenizer_complete("m", absurd, &completed, &error), DEER_OK);
    refuse(completed, 7, "outside the vocabulary");
    free(completed);
    memset(deep, '[', sizeof deep - 1);
    deep[sizeof deep - 1] = 0;
    refuse(deep, 7, "not JSON");
    assert_int_equal(tokenizer_complete("m", deep, &completed, &error), DEER_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_prompt),
        cmocka_unit_test(test_added_tokens),
        cmocka_unit_test(test_strange_words),
        cmocka_unit_test(test_unknown_words_are_counted),
        cmocka_unit_test(test_unknown_word_without_unknown_token),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_absurd_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
