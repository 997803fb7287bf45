/* SPDX-License-Identifier: MIT */
/* test_tool.c - what programs share: options, the progress bar on terminals of any width. */
#include <pty.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/file.h"
#include "runtime/cli/tool.h"

/* What a bar at a third and then at its end writes to a terminal of so many columns. */
static void draw(int columns, char *seen, size_t size)
{
    struct winsize window = {.ws_row = 24, .ws_col = (unsigned short)columns};
    size_t length = 0;
    ssize_t got;
    int terminal;
    pid_t child = forkpty(&terminal, NULL, NULL, &window);

    assert_true(child >= 0);
    if (child == 0) {
        tool_progress bar;
        tool_progress_start(&bar, "replay", "episodes", 300);
        tool_progress_update(&bar, 100);
        tool_progress_update(&bar, 300);
        _exit(0);
    }
    while (length < size - 1 && (got = read(terminal, seen + length, size - 1 - length)) > 0)
        length += (size_t)got;
    seen[length] = 0;
    close(terminal);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

/* The longest line, and how often a '#' is in all of them. */
static void measure(char *seen, size_t *longest, int *filled)
{
    *longest = 0;
    *filled = 0;
    for (char *line = strtok(seen, "\r"); line; line = strtok(NULL, "\r")) {
        size_t length = strcspn(line, "\033");
        assert_string_equal(line + length, "\033[K");
        assert_int_equal(strncmp(line, "replay", length < 6 ? length : 6), 0);
        *longest = length > *longest ? length : *longest;
        for (char *c = line; *c; c++)
            *filled += *c == '#';
    }
}

static void test_progress_fits_the_terminal(void **state)
{
    char seen[4096];
    size_t longest;
    int filled;

    (void)state;
    for (int columns = 2; columns <= 120; columns++) {
        draw(columns, seen, sizeof seen);
        measure(seen, &longest, &filled);
        assert_in_range(longest, 1, columns - 1);
        if (columns <= 40)
            assert_int_equal(filled, 0);
        if (columns >= 100)
            assert_int_equal(filled, 40); /* of 30, a third and all */
    }
    draw(70, seen, sizeof seen);
    assert_non_null(strstr(seen, "100%  300/300 episodes"));
    measure(seen, &longest, &filled);
    assert_in_range(filled, 8, 39);
    draw(0, seen, sizeof seen); /* a terminal that does not say */
    measure(seen, &longest, &filled);
    assert_in_range(longest, 60, 79);
}

/* Parses a command line of --json [FILE], --loss X and --deviation, loss's old name. */
static int parse(const char **json, double *loss, int argc, char **argv)
{
    const char *csv = NULL;
    const tool_option options[] = {{"json", TOOL_OUTPUT, json, "[FILE]", "numbers"},
                                   {"csv", TOOL_TEXT, &csv, "FILE", "the same as a table"},
                                   {"loss", TOOL_DOUBLE, loss, "X", "how much"},
                                   {"deviation", TOOL_RENAMED, "loss", NULL, NULL},
                                   {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {"deer-test", "tries options", "[options]", options, ""};
    int status;

    return tool_parse(&self, argc, argv, NULL, NULL, &status) ? status : -1;
}

/* A file to write may be left out where an option or nothing follows: then standard output. */
static void test_output_without_a_name(void **state)
{
    char *alone[] = {"t", "--json"}, *before[] = {"t", "--json", "--loss", "2"};
    char *named[] = {"t", "--json", "f"}, *printed[] = {"t", "--json", "-", "--loss=3"};
    const char *json = NULL;
    double loss = 0;

    (void)state;
    assert_int_equal(parse(&json, &loss, 2, alone), -1);
    assert_string_equal(json, FILE_STDOUT);
    json = NULL;
    assert_int_equal(parse(&json, &loss, 4, before), -1);
    assert_string_equal(json, FILE_STDOUT);
    assert_true(loss == 2);
    assert_int_equal(parse(&json, &loss, 3, named), -1);
    assert_string_equal(json, "f");
    assert_int_equal(parse(&json, &loss, 4, printed), -1);
    assert_string_equal(json, FILE_STDOUT);
    assert_true(loss == 3);
}

/* Two outputs are not printed into each other, however standard output is called. */
static void test_one_output_is_printed(void **state)
{
    char *both[] = {"t", "--csv", "-", "--json"},
         *named[] = {"t", "--json", "/dev/stdout", "--csv=-"};
    const char *json = NULL;
    double loss = 0;

    (void)state;
    assert_int_equal(parse(&json, &loss, 4, both), TOOL_USAGE);
    json = NULL;
    assert_int_equal(parse(&json, &loss, 4, named), TOOL_USAGE);
}

/* One value, by whatever name. */
static void test_one_value_an_option(void **state)
{
    char *twice[] = {"t", "--loss", "1", "--loss", "2"};
    char *both[] = {"t", "--deviation", "1", "--loss=2"}, *old[] = {"t", "--deviation=4"};
    const char *json = NULL;
    double loss = 0;

    (void)state;
    assert_int_equal(parse(&json, &loss, 5, twice), TOOL_USAGE);
    assert_int_equal(parse(&json, &loss, 4, both), TOOL_USAGE);
    assert_int_equal(parse(&json, &loss, 2, old), -1);
    assert_true(loss == 4);
}

static void test_the_only_name(void **state)
{
    const char *rest[] = {"a", "b"};

    (void)state;
    assert_string_equal(tool_only(rest, 1, NULL), "a");
    assert_string_equal(tool_only(rest, 0, "c"), "c");
    assert_null(tool_only(rest, 1, "c"));
    assert_null(tool_only(rest, 2, NULL));
    assert_null(tool_only(rest, 0, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_without_a_name),
        cmocka_unit_test(test_one_output_is_printed),
        cmocka_unit_test(test_one_value_an_option),
        cmocka_unit_test(test_the_only_name),
        cmocka_unit_test(test_progress_fits_the_terminal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
