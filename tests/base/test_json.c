/* SPDX-License-Identifier: MIT */
/* test_json.c - escapes in JSON that stand for no character; JSON without memory for all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/json/json_memory.h"
#include "runtime/base/machine_failure.h"

/* Half of a pair, and nothing at all, become the mark of what is not known; what is no escape
 * stays, so that the reader refuses it. */
static void test_mended_escapes(void **state)
{
    static const struct {
        const char *text, *mended;
    } cases[] = {
        {"\\u0041", "\\u0041"},
        {"\\ud83d\\ude00", "\\ud83d\\ude00"},
        {"\\ud83d", "\\ufffd"},
        {"\\ude00\\ud83d", "\\ufffd\\ufffd"},
        {"\\ud83d\\u0041", "\\ufffd\\u0041"},
        {"\\u0000", "\\ufffd"},
        {"\\\\u0000", "\\\\u0000"},
        {"\\u0x00", "\\u0x00"},
        {"\\u 000", "\\u 000"},
        {"\\u-000", "\\u-000"},
        {"\\u00", "\\u00"},
        {"\\ud83d\\u", "\\ufffd\\u"},
        {"\\", "\\"},
        {"", ""},
    };
    char text[32];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strcpy(text, cases[i].text);
        json_mend_escapes(text, strlen(text));
        assert_string_equal(text, cases[i].mended);
    }
}

/* What a reading that ends early loses is lost in here. */
static _Alignas(16) uint8_t arena[1 << 18];
static size_t used;
static long allocations, failing; /* counted from 1; 0: none fails */

static void *some_memory(size_t n)
{
    void *memory = arena + used;

    if (++allocations == failing)
        return NULL;
    used += (n + 15) / 16 * 16;
    assert_true(used <= sizeof arena);
    return memory;
}

static void keep(void *memory)
{
    (void)memory;
}

static void fail_at(long n)
{
    allocations = 0;
    failing = n;
}

/* Names and texts of every length, so that jansson's buffers grow at every place in them. */
static json_t *of_length(int length, char *text, size_t room)
{
    char word[80] = "";

    memset(word, 'w', (size_t)length);
    snprintf(text, room, "{\"%s\": 0.1111111111111111%d, \"%sx\": [\"%s\", 12], \"y\": null}", word,
             length, word, word);
    return json_parse(text, strlen(text), 0, NULL);
}

/* Whether reading a text went right or was refused as want of memory. */
static bool reads(const char *text, const json_t *right, long *refused)
{
    unsigned before = machine_failures();
    json_error_t problem;
    json_t *json = json_parse(text, strlen(text), 0, &problem);

    *refused += !json;
    return json ? json_equal(json, right)
                : !strcmp(problem.text, "out of memory") && machine_failures() > before;
}

static bool writes(json_t *json, const char *right, long *refused)
{
    char *text = json_text(json_incref(json), 0);
    bool well = !text || !strcmp(text, right);

    *refused += !text;
    free(text);
    return well;
}

static void test_without_memory(void **state)
{
    long unread = 0, unwritten = 0;
    char text[512];

    (void)state;
    json_set_alloc_funcs(some_memory, keep);
    json_memory_watch();
    for (int length = 1; length < 70; length++) {
        json_t *json = of_length(length, text, sizeof text);
        char *written = json_text(json_incref(json), 0);
        size_t before = used;

        for (long n = 1; n == 1 || allocations >= n - 1; n++, used = before) {
            fail_at(n);
            assert_true(writes(json, written, &unwritten));
            fail_at(n);
            assert_true(reads(text, json, &unread));
        }
        fail_at(0);
        free(written);
        used = 0;
    }
    json_set_alloc_funcs(malloc, free);
    json_memory_watch();
    assert_true(unread > 500 && unwritten > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mended_escapes),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
