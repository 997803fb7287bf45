/* SPDX-License-Identifier: MIT */
/* test_files.c - outputs that stand in the way, inputs that are no files, documents not whole. */
#include <fcntl.h>
#include <limits.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"

static char folder[32];
static deer_error error;

static int start(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/deer-test-XXXXXX");
    return !mkdtemp(folder) || chdir(folder);
}

static int end(void **state)
{
    char command[64];

    (void)state;
    snprintf(command, sizeof command, "rm -r %s", folder);
    return chdir("/") || system(command);
}

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

static void refused(deer_status status, const char *words)
{
    assert_int_equal(status, DEER_FAILED);
    if (!strstr(error.message, words))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

static void assert_holds(const char *path, const char *text)
{
    char *data;
    size_t size;

    ok(file_read(path, 1000, &data, &size, &error));
    assert_string_equal(data, text);
    free(data);
}

/* ---------------------------------------------------------------- outputs ------------------ */

/* The file that a link leads to is replaced, there already or not; the link stays. */
static void test_links(void **state)
{
    struct stat info;

    (void)state;
    ok(file_write("target", "old", 3, &error));
    assert_int_equal(symlink("target", "link"), 0);
    assert_int_equal(symlink("link", "further"), 0);
    assert_int_equal(mkdir("below", 0777), 0);
    assert_int_equal(symlink("../nothing", "below/dangling"), 0);
    ok(file_write("further", "new", 3, &error));
    ok(file_write("below/dangling", "made", 4, &error));
    assert_true(!lstat("link", &info) && S_ISLNK(info.st_mode));
    assert_true(!lstat("further", &info) && S_ISLNK(info.st_mode));
    assert_holds("target", "new");
    assert_holds("nothing", "made");
    assert_int_equal(symlink("round", "round"), 0);
    refused(file_write("round", "x", 1, &error), "symbolic links");
}

static void test_mode_stays(void **state)
{
    struct stat info;

    (void)state;
    ok(file_write("private", "old", 3, &error));
    assert_int_equal(chmod("private", 0600), 0);
    ok(file_write("private", "new", 3, &error));
    assert_int_equal(stat("private", &info), 0);
    assert_int_equal(info.st_mode & 07777, 0600);
}

/* A pipe, a device, a folder: they stay what they are, and nobody waits. */
static void test_odd_outputs(void **state)
{
    struct stat info;

    (void)state;
    assert_int_equal(mkfifo("pipe", 0666), 0);
    assert_int_equal(symlink("/dev/null", "device"), 0);
    refused(file_write("pipe", "x", 1, &error), "not a regular file");
    refused(file_write("device", "x", 1, &error), "not a regular file");
    refused(file_write("/dev/null", "x", 1, &error), "not a regular file");
    refused(file_write(".", "x", 1, &error), "is a folder");
    refused(file_check_output("no/such/file", &error), "No such file");
    refused(file_check_output("pipe", &error), "not a regular file");
    ok(file_check_output("new", &error));
    assert_true(!stat("pipe", &info) && S_ISFIFO(info.st_mode));
    assert_true(!stat("/dev/null", &info) && S_ISCHR(info.st_mode));
}

/* A name may have 255 bytes, temporary or not. */
static void test_longest_name(void **state)
{
    char name[NAME_MAX + 1];

    (void)state;
    memset(name, 'n', NAME_MAX);
    name[NAME_MAX] = 0;
    ok(file_write(name, "long", 4, &error));
    assert_holds(name, "long");
}

static void test_overlap(void **state)
{
    (void)state;
    ok(file_write("one", "1", 1, &error));
    assert_int_equal(link("one", "same"), 0);
    assert_int_equal(mkdir("cache", 0777), 0);
    ok(file_write("cache/manifest.json", "{}", 2, &error));
    assert_true(file_overlap("one", "same"));
    assert_true(file_overlap("one", "./one"));
    assert_true(file_overlap("unborn", "cache/../unborn"));
    assert_true(file_overlap("cache/manifest.json", "cache"));
    assert_false(file_overlap("cache/new.json", "cache"));
    assert_false(file_overlap("one", "cache"));
    assert_false(file_overlap("one", "cache/manifest.json"));
}

/* ---------------------------------------------------------------- inputs ------------------- */

static void test_odd_inputs(void **state)
{
    char *data;
    size_t size;
    int fd;

    (void)state;
    assert_int_equal(mkfifo("source", 0666), 0);
    refused(file_read("source", 1000, &data, &size, &error), "not a regular file");
    refused(file_read("/dev/zero", 1000, &data, &size, &error), "not a regular file");
    refused(file_open(".", &fd, NULL, &error), "not a regular file");
    assert_int_equal(fd, -1);
}

/* ---------------------------------------------------------------- JSON --------------------- */

/* What cannot be made makes the document fail, and that document only. */
static void test_incomplete_json(void **state)
{
    json_t *json = json_object();
    char *text;

    (void)state;
    json_put(json, "statement", json_string("not UTF-8: \xff"));
    json_put(json, "rest", json_integer(1));
    refused(json_write("half.json", json, 0, &error), "not UTF-8");
    assert_int_equal(access("half.json", F_OK), -1);
    json = json_object();
    json_put(json, "list", json_array());
    json_push(json_object_get(json, "list"), json_real((double)NAN));
    assert_null(json_text(json, 0));
    json = json_object();
    json_join(json, json_pack("{s:i}", "a", 1));
    text = json_text(json, JSON_COMPACT);
    assert_string_equal(text, "{\"a\":1}");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links),           cmocka_unit_test(test_mode_stays),
        cmocka_unit_test(test_odd_outputs),     cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_overlap),         cmocka_unit_test(test_odd_inputs),
        cmocka_unit_test(test_incomplete_json),
    };

    return cmocka_run_group_tests(tests, start, end);
}
