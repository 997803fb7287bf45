/* SPDX-License-Identifier: MIT */
/* test_sources.c - the table of dataset sources, and HDF5 files merged and converted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "datasets/cli/data_orient.h"
#include "datasets/hdf5/hdf5_io.h"
#include "datasets/sources/columns.h"
#include "datasets/sources/source.h"
#include "datasets/video/video.h"
#include "runtime/base/machine_failure.h"

static deer_error error;

/* A machine without FFmpeg. */
void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
    return name && strstr(name, "libav") ? NULL : __real_dlopen(name, flags);
}

static void says(const char *words)
{
    if (!strstr(error.message, words) || strchr(error.message, '\n'))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

static void test_kinds_are_told_apart(void **state)
{
    static const struct {
        const char *path, *name;
    } cases[] = {{"tests/data/calvin/training", "calvin"},
                 {"tests/data/demos/lzf.h5", "hdf5"},
                 {"tests/data/lerobot/v21", "lerobot"},
                 {"tests/data/lerobot/v30", "lerobot"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const source_kind *kind = source_of(cases[i].path, &error);

        assert_non_null(kind);
        assert_string_equal(kind->name, cases[i].name);
        assert_ptr_equal(source_named(cases[i].name), kind);
    }
    assert_null(source_of("Makefile", &error));
    says("looks like no dataset that is known (--calvin, --hdf5, --lerobot, --rlds)");
    assert_null(source_named("zarr"));
}

/* make_demos.py: pixel i is i * 7 % 251, and i * 5 % 251 on the wrist. */
static void assert_made(const demo_episode *e)
{
    for (int i = 0; i < 3 * 16 * 12 * 3; i++)
        assert_int_equal(e->static_rgb[i], i * 7 % 251);
    for (int i = 0; i < 3 * 8 * 8 * 3; i++)
        assert_int_equal(e->gripper_rgb[i], i * 5 % 251);
}

static void test_files_are_merged_and_converted(void **state)
{
    const char *paths[] = {"tests/data/demos/float.h5", "tests/data/demos/int8.h5", "Makefile",
                           "tests/data/demos/first.h5", "tests/data/demos/lzf.h5"};
    const source_options o = {.path = paths, .paths = 5, .actions = "6,5,4,3,2,1,0"};
    static const char *const tasks[] = {"float", NULL, NULL, "first", "lzf"};
    char a[DEER_FINGERPRINT], b[DEER_FINGERPRINT];
    void *s;

    (void)state;
    assert_int_equal(source_hdf5.open(&o, &s, &error), DEER_OK);
    assert_int_equal(source_hdf5.count(s), 5);
    for (int i = 0; i < 5; i++) {
        demo_episode e;
        deer_status status = source_hdf5.read(s, i, &e, &error);

        assert_int_equal(status, tasks[i] ? DEER_OK : DEER_FAILED);
        if (status) {
            says(i == 1 ? "is i1 [3,16,12,3], need u1" : "is no HDF5 file");
            continue;
        }
        assert_made(&e);
        assert_string_equal(e.task, tasks[i]);
        assert_true(e.actions[0] == (float)(6 % 19 / 10.0 - 0.9)); /* columns in reverse */
        demo_episode_free(&e);
    }
    source_hdf5.fingerprint(s, a);
    source_hdf5.close(s);
    assert_int_equal(source_hdf5.open(&(source_options){.path = paths, .paths = 5}, &s, &error),
                     DEER_OK);
    source_hdf5.fingerprint(s, b);
    assert_string_not_equal(a, b);
    source_hdf5.close(s);
}

static void test_options_without_use_are_refused(void **state)
{
    const char *path = "tests/data/calvin/training";
    static char text[1101];
    void *s;

    (void)state;
    assert_int_equal(
        source_calvin.open(&(source_options){.path = &path, .paths = 1, .mask = "m"}, &s, &error),
        DEER_USAGE);
    says("--calvin has no use for --mask");
    memset(text, 'x', sizeof text - 1);
    assert_int_equal(
        source_calvin.open(&(source_options){.path = &path, .paths = 1, .instruction = text}, &s,
                           &error),
        DEER_USAGE);
    says("--instruction has 1100 bytes; at most 1023 are read");
}

static void test_columns(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    int column[DEMO_ACTION];

    (void)state;
    assert_int_equal(columns_read("h,1,c,3,4,5,a", names, 8, column, &error), DEER_OK);
    assert_int_equal(column[0], 7);
    assert_int_equal(column[2], 2);
    assert_int_equal(column[6], 0);
    assert_int_equal(columns_read("0,1,2,3,4,5", names, 8, column, &error), DEER_USAGE);
    says("takes 7 columns, not 6");
    assert_int_equal(columns_read("0,1,2,3,4,5,6,7", names, 8, column, &error), DEER_USAGE);
    assert_int_equal(columns_read("0,1,2,3,4,5,a", names, 8, column, &error), DEER_USAGE);
    says("names 'a' twice");
    assert_int_equal(columns_read("0,1,2,3,4,5,-1", NULL, 0, column, &error), DEER_USAGE);
    says("'-1' is no column");
}

/* 2 x 3 images with the pixel's number as red. */
static void test_images_are_turned(void **state)
{
    static const struct {
        int rotate;
        bool flip;
        int height;
        uint8_t red[6];
    } cases[] = {{0, true, 2, {3, 4, 5, 0, 1, 2}},    {90, false, 3, {3, 0, 4, 1, 5, 2}},
                 {180, false, 2, {5, 4, 3, 2, 1, 0}}, {270, false, 3, {2, 5, 1, 4, 0, 3}},
                 {180, true, 2, {2, 1, 0, 5, 4, 3}},  {90, true, 3, {5, 2, 4, 1, 3, 0}}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t fixed[2 * 18] = {0}, wrist[2 * 18] = {0};
        demo_episode e = {.steps = 2,
                          .static_height = 2,
                          .static_width = 3,
                          .gripper_height = 2,
                          .gripper_width = 3,
                          .static_rgb = fixed,
                          .gripper_rgb = wrist};

        for (int p = 0; p < 12; p++)
            fixed[3 * p] = wrist[3 * p] = (uint8_t)(p % 6);
        assert_int_equal(orient(&e, cases[i].rotate, cases[i].flip, &error), DEER_OK);
        assert_int_equal(e.static_height, cases[i].height);
        assert_int_equal(e.gripper_width, 6 / cases[i].height);
        for (int p = 0; p < 12; p++) {
            assert_int_equal(fixed[3 * p], cases[i].red[p % 6]);
            assert_int_equal(wrist[3 * p], cases[i].red[p % 6]);
        }
    }
}

/* No fault of the file, which --skip-bad would leave out. */
static void test_no_pictures_without_ffmpeg(void **state)
{
    static const uint8_t png[64] = "\x89PNG";
    unsigned before = machine_failures();
    int height, width;
    uint8_t *rgb;
    video *v;

    (void)state;
    assert_int_equal(video_open("tests/data/lerobot/full_range.mp4", &v, &error), DEER_FAILED);
    says("cannot open libavformat.so.");
    says("install FFmpeg's libraries");
    assert_null(v);
    assert_int_equal(video_image("an image", png, sizeof png, &height, &width, &rgb, &error),
                     DEER_FAILED);
    says("install FFmpeg's libraries");
    assert_null(rgb);
    assert_int_equal(machine_failures(), before + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_kinds_are_told_apart),
        cmocka_unit_test(test_files_are_merged_and_converted),
        cmocka_unit_test(test_options_without_use_are_refused),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_images_are_turned),
        cmocka_unit_test(test_no_pictures_without_ffmpeg),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
