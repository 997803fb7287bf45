/* SPDX-License-Identifier: MIT */
/* test_json.c - escapes in JSON that stand for no character. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "runtime/base/json/json_file.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mended_escapes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
