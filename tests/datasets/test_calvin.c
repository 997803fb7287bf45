/* SPDX-License-Identifier: MIT */
/* test_calvin.c - CALVIN's folders: what is read from good ones, and damaged ones refused. */
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

#include "datasets/sources/calvin.h"
#include "datasets/sources/npy.h"
#include "runtime/base/file.h"

static deer_error error;
static char folder[32];

static void says(const char *words)
{
    assert_null(strchr(error.message, '\n'));
    if (!strstr(error.message, words))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

/* tests/data/make_calvin.py says what is in there. */
static void check_split(const char *path, int index, int count, int steps, long first,
                        const char *text)
{
    calvin *d;
    demo_episode e;

    if (calvin_open(path, &d, &error))
        fail_msg("%s", error.message);
    assert_int_equal(calvin_count(d), count);
    assert_int_equal(calvin_steps(d, index), steps);
    for (int threads = 1; threads <= 3; threads++) {
        if (calvin_read(d, index, threads, &e, &error))
            fail_msg("%s", error.message);
        assert_string_equal(e.instruction, text);
        assert_int_equal(e.static_height, 6);
        assert_int_equal(e.static_width, 8);
        for (int t = 0; t < steps; t++) {
            for (int i = 0; i < 6 * 8 * 3; i++)
                assert_int_equal(e.static_rgb[t * 6 * 8 * 3 + i], (first + t) % 256);
            for (int i = 0; i < 4 * 4 * 3; i++)
                assert_int_equal(e.gripper_rgb[t * 4 * 4 * 3 + i], (first + t) % 7);
            assert_float_equal(e.actions[t * 7 + 6], ((first + t) % 2 ? 1 : -1), 0);
            assert_true(fabsf(e.actions[t * 7]) <= 1); /* rel_actions, not actions */
        }
        demo_episode_free(&e);
    }
    calvin_close(d);
}

static void test_good(void **state)
{
    (void)state;
    check_split("tests/data/calvin/training", 0, 2, 4, 358482, "lift the red block");
    check_split("tests/data/calvin/training", 1, 2, 5, 358485, "push it left");
    check_split("tests/data/calvin/validation", 0, 1, 3, 12, "open the drawer");
}

/* ---------------------------------------------------------------- damage ------------------- */

static char *load(const char *path, size_t *size)
{
    char *bytes;

    if (file_read(path, 1 << 20, &bytes, size, &error))
        fail_msg("%s", error.message);
    return bytes;
}

static void put(const char *name, const void *data, size_t size)
{
    char path[96];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, size, f), size);
    fclose(f);
}

/* A copy of the validation split, to be damaged. */
static int start(void **state)
{
    static const char *const names[] = {"auto_lang_ann.npy", "episode_0000012.npz",
                                        "episode_0000013.npz", "episode_0000014.npz"};

    (void)state;
    strcpy(folder, "/tmp/deer-test-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    for (int i = 0; i < 4; i++) {
        char path[96];
        size_t size;
        char *bytes;

        snprintf(path, sizeof path, "tests/data/calvin/validation/%s", names[i]);
        bytes = load(path, &size);
        put(names[i], bytes, size);
        free(bytes);
    }
    return 0;
}

static int end(void **state)
{
    static const char *const names[] = {"auto_lang_ann.npy", "episode_0000012.npz",
                                        "episode_0000013.npz", "episode_0000014.npz"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        char path[96];

        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    return rmdir(folder);
}

static deer_status read_all(void)
{
    calvin *d;
    demo_episode e;
    deer_status status = calvin_open(folder, &d, &error);

    if (status)
        return status;
    status = calvin_count(d) ? calvin_read(d, 0, 1, &e, &error) : DEER_OK;
    if (!status)
        demo_episode_free(&e);
    calvin_close(d);
    return status;
}

/* Cut off anywhere, it is refused; changed anywhere, it is read or refused, and nothing breaks. */
static void damage(const char *name)
{
    char path[96];
    size_t size;
    uint32_t random = 1;
    char *bytes, *changed;

    snprintf(path, sizeof path, "%s/%s", folder, name);
    bytes = load(path, &size);
    changed = malloc(size);
    assert_int_equal(read_all(), DEER_OK);
    for (size_t n = 0; n < size; n += 7) {
        put(name, bytes, n);
        assert_int_not_equal(read_all(), DEER_OK);
        assert_non_null(strstr(error.message, name));
    }
    for (int i = 0; i < 3000; i++) {
        memcpy(changed, bytes, size);
        for (int flips = 1 + i % 3; flips > 0; flips--) {
            random = random * 1664525u + 1013904223u;
            changed[(random >> 8) % size] ^= (char)(1u << (random >> 5 & 7));
        }
        put(name, changed, size);
        (void)read_all();
    }
    put(name, bytes, size);
    free(changed);
    free(bytes);
}

static void test_damage(void **state)
{
    (void)state;
    damage("episode_0000013.npz"); /* deflated */
    damage("auto_lang_ann.npy");
}

/* Annotations as other tools write them: make_calvin.py. */
static void test_forms_of_annotations(void **state)
{
    static const char *const forms[] = {"array", "unsigned", "fortran", "arrays", "numbers",
                                        "texts", "text",     "objects", "default"};
    char path[128], *was, *bytes, *at;
    size_t was_size, size;
    demo_episode e;
    calvin *d;

    (void)state;
    was = load("tests/data/calvin/validation/auto_lang_ann.npy", &was_size);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        snprintf(path, sizeof path, "tests/data/calvin/forms/%s.npy", forms[i]);
        bytes = load(path, &size);
        put("auto_lang_ann.npy", bytes, size);
        free(bytes);
        if (calvin_open(folder, &d, &error))
            fail_msg("%s: %s", forms[i], error.message);
        assert_int_equal(calvin_count(d), 2);
        assert_int_equal(calvin_steps(d, 1), 2);
        if (calvin_read(d, 0, 1, &e, &error))
            fail_msg("%s: %s", forms[i], error.message);
        assert_string_equal(e.instruction, "open the drawer \xc3\xa9");
        assert_string_equal(e.task, "open_drawer");
        demo_episode_free(&e);
        calvin_close(d);
    }
    bytes = load("tests/data/calvin/forms/array.npy", &size);
    at = memmem(bytes, size, "drawer \xc3\xa9", 9);
    assert_non_null(at);
    at[7] = ' ', at[8] = '\xe9'; /* Latin-1 */
    put("auto_lang_ann.npy", bytes, size);
    free(bytes);
    assert_int_equal(calvin_open(folder, &d, &error), DEER_FAILED);
    says("auto_lang_ann.npy: annotation 0 is no UTF-8");
    put("auto_lang_ann.npy", was, was_size);
    free(was);
}

/* Annotations in a folder of another name are named, and taken when they are asked for. */
static void test_named_annotations(void **state)
{
    char command[256];
    calvin *d;

    (void)state;
    snprintf(command, sizeof command,
             "mkdir '%s/lang_clip' && mv '%s/auto_lang_ann.npy' '%s/lang_clip/'", folder, folder,
             folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(calvin_open(folder, &d, &error), DEER_FAILED);
    says("say with --annotations which: lang_clip");
    assert_int_equal(calvin_open_annotated(folder, "lang_clip", &d, &error), DEER_OK);
    assert_int_equal(calvin_count(d), 1);
    calvin_close(d);
    snprintf(command, sizeof command,
             "mv '%s/lang_clip/auto_lang_ann.npy' '%s/' && rmdir '%s/lang_clip'", folder, folder,
             folder);
    assert_int_equal(system(command), 0);
}

static void test_refused(void **state)
{
    calvin *d;
    static const char header[] = "\x93NUMPY\1\0\x46\0{'descr': '<f8', 'fortran_order': False, "
                                 "'shape': (3, 99999999999999999999), }     \n";
    static const char numbers[] = "\x93NUMPY\1\0\x36\0{'descr': '<f4', 'fortran_order': False, "
                                  "'shape': (1,), }\n1234";
    npy array;

    (void)state;
    assert_int_equal(calvin_open("tests/data/calvin", &d, &error), DEER_FAILED);
    says("is it a split of CALVIN");
    assert_int_equal(npy_parse("x", (const uint8_t *)header, sizeof header - 1, &array, &error),
                     DEER_FAILED);
    says("not understood");
    assert_int_equal(npy_parse("x", (const uint8_t *)"\x93NUMPY\1\0\xff\xff{}", 14, &array, &error),
                     DEER_FAILED);
    says("does not fit");
    put("auto_lang_ann.npy", numbers, sizeof numbers - 1);
    assert_int_equal(read_all(), DEER_FAILED);
    says("auto_lang_ann.npy");
}

/* Headers of arrays, with a few bytes behind each. */
static void test_hostile_arrays(void **state)
{
#define HEADER(descr, order, shape)                                                                \
    "{'descr': " descr ", 'fortran_order': " order ", 'shape': " shape ", }"
    static const struct {
        const char *header, *says;
    } cases[] = {
        {HEADER("'<f4'", "False", "(-2,)"), "not understood"},
        {HEADER("'<f4'", "False", "(9223372036854775807,)"), "not understood"},
        {HEADER("'<f4'", "False", "(9223372036854775808,)"), "not understood"},
        {HEADER("'<f4'", "False", "(18446744073709551618,)"), "not understood"},
        {HEADER("'<f8'", "False", "(4294967296, 4294967296)"), "not understood"},
        {HEADER("'<f8'", "False", "(536870912, 8)"), "not understood"},
        {HEADER("'<f4'", "False", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), "not understood"},
        {HEADER("'<f4'", "False", "(2"), "not understood"},
        {HEADER("'<f4'", "False", "2"), "not understood"},
        {HEADER("'<f4'", "False", "(1.5,)"), "not understood"},
        {HEADER("'<f4'", "False", "(3,)"), "not what its shape says"},
        {HEADER("'<f4'", "False", "(1,)"), "not what its shape says"},
        {HEADER("'<f8'", "False", "(2,)"), "not what its shape says"},
        {HEADER("'<f4'", "True", "(1, 2)"), "Fortran order"},
        {HEADER("'>f4'", "False", "(2,)"), "not understood"},
        {HEADER("'<c8'", "False", "(1,)"), "not understood"},
        {HEADER("'<U2'", "False", "(1,)"), "not understood"},
        {HEADER("[('a', '<f4')]", "False", "(2,)"), "not understood"},
        {"{'descr': '<f4', 'shape': (2,)}", "not understood"},
        {"{'descr' '<f4', 'fortran_order': False, 'shape': (2,)}", "not understood"},
        {"__import__('os').system('id')", "not understood"},
        {"", "not understood"},
    };
#undef HEADER
    npy array;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t length = strlen(cases[i].header);
        uint8_t file[512] = "\x93NUMPY\1";

        file[8] = (uint8_t)length;
        memcpy(file + 10, cases[i].header, length);
        assert_int_equal(npy_parse("x", file, 10 + length + 8, &array, &error), DEER_FAILED);
        says(cases[i].says);
    }
}

/* Where in an archive the central directory has its first entry of this name. */
static uint8_t *entry_of(char *bytes, size_t size, const char *name)
{
    for (char *at = bytes; (at = memmem(at, size - (size_t)(at - bytes), "PK\1\2", 4)); at++)
        if (!strncmp(at + 46, name, strlen(name)))
            return (uint8_t *)at;
    fail_msg("no %s", name);
    return NULL;
}

/* A deflated picture that says it is smaller, or far larger, than it is; bytes that are none. */
static void test_hostile_archives(void **state)
{
    static const struct {
        uint32_t size;
        const char *says;
    } cases[] = {{10, "is damaged"}, {1 << 20, "is damaged"}, {0x7fffffff, "is larger than"}};
    const char *name = "episode_0000013.npz";
    char path[96], *bytes;
    uint8_t *entry;
    size_t size;

    (void)state;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bytes = load(path, &size);
        entry = entry_of(bytes, size, "rgb_static.npy");
        for (int b = 0; b < 4; b++)
            entry[24 + b] = (uint8_t)(cases[i].size >> 8 * b);
        put(name, bytes, size);
        assert_int_equal(read_all(), DEER_FAILED);
        says(cases[i].says);
        for (int b = 0; b < 4; b++) /* back again */
            entry[24 + b] = (uint8_t)((6 * 8 * 3 + 128) >> 8 * b);
        put(name, bytes, size);
        free(bytes);
        assert_int_equal(read_all(), DEER_OK);
    }
    bytes = load(path, &size); /* a bit of a picture, as it is stored */
    entry = entry_of(bytes, size, "rgb_gripper.npy");
    entry[16] ^= 1;
    put(name, bytes, size);
    assert_int_equal(read_all(), DEER_FAILED);
    says("rgb_gripper is damaged (its checksum is another)");
    entry[16] ^= 1;
    put(name, bytes, size);
    free(bytes);
    put(name, "PK", 2);
    assert_int_equal(read_all(), DEER_FAILED);
    says("no zip archive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_forms_of_annotations),
        cmocka_unit_test(test_named_annotations),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_hostile_arrays),
        cmocka_unit_test(test_hostile_archives),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, start, end);
}
