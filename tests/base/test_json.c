/* SPDX-License-Identifier: MIT */
/* test_json.c - escapes in JSON that stand for no character; JSON without memory for all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
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

static long allocations, failing; /* counted from 1; 0: none fails */

static void *some_memory(size_t n)
{
    return ++allocations == failing ? NULL : malloc(n);
}

static void fail_at(long n)
{
    allocations = 0;
    failing = n;
}

/* Names and texts of many lengths, so that jansson's buffers grow at many places in them. */
static json_t *of_length(int length, char *text, size_t room)
{
    char word[80] = "";

    memset(word, 'w', (size_t)length);
    snprintf(text, room, "{\"%s\": 0.1111111111111111%d, \"%sx\": [\"%s\", 12], \"y\": null}", word,
             length, word, word);
    return json_parse(text, strlen(text), 0, NULL);
}

/* With any one allocation of jansson's failing, what is read and what is written is right or
 * refused as want of memory. */
static void test_without_memory(void **state)
{
    long read = 0, written = 0;
    char text[512];

    (void)state;
    json_set_alloc_funcs(some_memory, free);
    json_memory_watch();
    for (int length = 1; length < 70;
         length += (length + 5) % 16 ? 1 : 5) { /* at ends it crashes */
        json_t *right = of_length(length, text, sizeof text);
        char *as_written = json_text(json_incref(right), 0);

        for (long n = 1; allocations >= n - 1; n++) {
            unsigned before = machine_failures();
            json_error_t problem;
            json_t *json;
            char *again;

            fail_at(n);
            json = json_parse(text, strlen(text), 0, &problem);
            assert_true(json ? json_equal(json, right) : !strcmp(problem.text, "out of memory"));
            assert_true(json || machine_failures() > before);
            read += !json;
            json_decref(json);
            if (allocations < n)
                break;
            fail_at(n);
            again = json_text(json_incref(right), 0);
            fail_at(0);
            assert_true(!again || !strcmp(again, as_written));
            written += !again;
            free(again);
            allocations = n;
        }
        fail_at(0);
        free(as_written);
        json_decref(right);
    }
    json_set_alloc_funcs(malloc, free);
    assert_true(read > 500 && written > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mended_escapes),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
