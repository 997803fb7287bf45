/* SPDX-License-Identifier: MIT */
/* test_image.c - preprocessing against PIL, bit for bit, and the images that are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/hdf5/hdf5_io.h"
#include "runtime/policy/image.h"

static const char file_name[] = "tests/data/images.h5";
static const float zero[3] = {0, 0, 0}, one[3] = {1, 1, 1};

static deer_error error;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

/* The pixels of group/name; the caller frees them. */
static uint8_t *pixels_at(hid_t file, const char *group, const char *name, hdf5_shape *shape)
{
    char full[128];
    uint8_t *pixels;

    snprintf(full, sizeof full, "%s/%s", group, name);
    ok(hdf5_shape_of(file, file_name, full, shape, &error));
    assert_int_equal(shape->rank, 3);
    pixels = malloc(shape->size[0] * shape->size[1] * shape->size[2]);
    ok(hdf5_read(file, file_name, full, H5T_NATIVE_UINT8, pixels, &error));
    return pixels;
}

/* One case; the plan is the one the last case left, as in a session whose camera changes. */
static herr_t compare(hid_t file, const char *group, const H5L_info_t *info, void *plan)
{
    hdf5_shape in, out;
    uint8_t *image = pixels_at(file, group, "image", &in);
    uint8_t *official = pixels_at(file, group, "resized", &out);
    deer_camera camera = {.height = (int)in.size[0], .width = (int)in.size[1]};
    int side = (int)out.size[0];
    size_t area = (size_t)side * (size_t)side;
    float *mine = malloc(3 * area * sizeof *mine);

    (void)info;
    ok(image_plan_prepare(plan, &camera, side, &error));
    image_preprocess(plan, image, zero, one, mine);
    for (size_t i = 0; i < area; i++)
        for (size_t c = 0; c < 3; c++)
            if (mine[c * area + i] != (float)official[3 * i + c] / 255.0f)
                fail_msg("%s: pixel %zu channel %zu is %.9g, PIL says %d / 255", group, i, c,
                         (double)mine[c * area + i], official[3 * i + c]);
    free(image);
    free(official);
    free(mine);
    return 0;
}

static void test_as_pil(void **state)
{
    image_plan plan = {0};
    hid_t file;

    (void)state;
    hdf5_quiet();
    file = H5Fopen(file_name, H5F_ACC_RDONLY, H5P_DEFAULT);
    assert_true(file >= 0);
    assert_true(H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, NULL, compare, &plan) == 0);
    H5Fclose(file);
    image_plan_free(&plan);
}

/* (value / 255 - mean) / std, channel by channel, in planes. */
static void test_normalisation(void **state)
{
    static const uint8_t rgb[2][2][3] = {{{0, 255, 51}, {1, 2, 3}}, {{4, 5, 6}, {255, 0, 102}}};
    static const float mean[3] = {0.5f, 0.25f, 0.1f}, std[3] = {0.5f, 2, 0.1f};
    image_plan plan = {0};
    float out[12];

    (void)state;
    ok(image_plan_prepare(&plan, &(deer_camera){0}, 2, &error));
    image_preprocess(&plan, &rgb[0][0][0], mean, std, out);
    for (int c = 0; c < 3; c++)
        for (int y = 0; y < 2; y++)
            for (int x = 0; x < 2; x++)
                assert_true(out[(c * 2 + y) * 2 + x] ==
                            ((float)rgb[y][x][c] / 255.0f - mean[c]) / std[c]);
    image_plan_free(&plan);
}

/* Blue first and rows with something behind them: the same numbers, resized or only cut. */
static void test_order_and_stride(void **state)
{
    enum { W = 11, H = 7, STRIDE = 3 * W + 5 };
    static uint8_t rgb[H][W][3], bgr[H * STRIDE - 5];
    static const float mean[3] = {0.5f, 0.25f, 0.1f}, std[3] = {0.5f, 2, 0.1f};
    unsigned seed = 1;

    (void)state;
    memset(bgr, 99, sizeof bgr);
    for (int y = 0; y < H; y++)
        for (int x = 0; x < W; x++)
            for (int c = 0; c < 3; c++)
                bgr[y * STRIDE + 3 * x + 2 - c] = rgb[y][x][c] =
                    (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (int side = 4; side <= 10; side += 3) {
        image_plan a = {0}, b = {0};
        float mine[3 * 10 * 10], other[3 * 10 * 10];

        ok(image_plan_prepare(&a, &(deer_camera){W, H, 0, DEER_RGB}, side, &error));
        ok(image_plan_prepare(&b, &(deer_camera){W, H, STRIDE, DEER_BGR}, side, &error));
        image_preprocess(&a, &rgb[0][0][0], mean, std, mine);
        image_preprocess(&b, bgr, mean, std, other);
        assert_memory_equal(mine, other, 3 * (size_t)side * (size_t)side * sizeof *mine);
        image_plan_free(&a);
        image_plan_free(&b);
    }
}

static void test_refused(void **state)
{
    static const int sizes[][2] = {{0, 4}, {4, 0}, {-1, 4}, {4, 1 << 20}, {1 << 20, 4}};
    image_plan plan = {0};

    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        error.message[0] = 0;
        deer_camera bad = {.height = sizes[i][0], .width = sizes[i][1]};
        assert_int_equal(image_plan_prepare(&plan, &bad, 8, &error), DEER_USAGE);
        assert_non_null(strstr(error.message, "pixels cannot be used"));
    }
    ok(image_plan_prepare(&plan, &(deer_camera){4, 4, 0, 0}, 8, &error)); /* still of use */
    assert_int_equal(image_plan_prepare(&plan, &(deer_camera){5, 5, 14, 0}, 8, &error), DEER_USAGE);
    assert_non_null(strstr(error.message, "do not fit 14 bytes apart"));
    assert_int_equal(image_plan_prepare(&plan, &(deer_camera){5, 5, 0, 2}, 8, &error), DEER_USAGE);
    assert_non_null(strstr(error.message, "DEER_BGR"));
    assert_int_equal(plan.camera.width, 4); /* as it was */
    image_plan_free(&plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_as_pil),
        cmocka_unit_test(test_normalisation),
        cmocka_unit_test(test_order_and_stride),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
