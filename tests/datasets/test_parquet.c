/* SPDX-License-Identifier: MIT */
/* test_parquet.c - tables by other people's writers: every value. tests/data/make_parquet.mjs says
 * what is in them, and with which writers they are made. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/parquet/parquet.h"

enum { ROWS = 60 };

static deer_error error;

/* What should be in row i of a column, as numbers (at most seven); -1: no value. */
typedef int numbers_of(int i, double value[7]);

static int one(double value, double out[7])
{
    out[0] = value;
    return 1;
}

static int indices(int i, double value[7])
{
    return one(i, value);
}

static int timestamps(int i, double value[7])
{
    return one((double)(float)(i / 10.0), value);
}

static int done(int i, double value[7])
{
    return one(i % 5 == 4, value);
}

static int large(int i, double value[7])
{
    return one((i - 30) * ldexp(1, 40), value);
}

static int shorts(int i, double value[7])
{
    return one(i - 30, value);
}

static int unsigneds(int i, double value[7])
{
    return one(250 - i, value);
}

static int actions(int i, double value[7])
{
    for (int c = 0; c < 7; c++)
        value[c] = (7 * i + c) / 4.0;
    return 7;
}

static int states(int i, double value[7])
{
    for (int c = 0; c < i % 4; c++)
        value[c] = i + c / 8.0;
    return i % 11 == 10 ? 0 : i % 4; /* a list that is none is read as an empty one */
}

static void read_column(const parquet *p, const char *path, const char *name, parquet_column *c)
{
    if (parquet_read(p, name, c, &error))
        fail_msg("%s: %s", path, error.message);
    assert_int_equal(c->rows, ROWS);
}

static void expect_numbers(const parquet *p, const char *path, const char *name, numbers_of *of)
{
    parquet_column c;

    read_column(p, path, name, &c);
    assert_non_null(c.number);
    for (int i = 0; i < ROWS; i++) {
        double value[7];
        int n = of(i, value);

        if (c.first[i + 1] - c.first[i] != n)
            fail_msg("%s: %s has %d values in row %d, not %d", path, name,
                     (int)(c.first[i + 1] - c.first[i]), i, n);
        for (int k = 0; k < n; k++)
            if (c.number[c.first[i] + k] != value[k])
                fail_msg("%s: %s has %g in row %d, not %g", path, name, c.number[c.first[i] + k], i,
                         value[k]);
    }
    parquet_column_free(&c);
}

static void expect_texts(const parquet *p, const char *path)
{
    parquet_column c;

    read_column(p, path, "task", &c);
    assert_non_null(c.bytes);
    for (int i = 0; i < ROWS; i++) {
        const parquet_bytes *b = &c.bytes[c.first[i]];
        char text[16];

        snprintf(text, sizeof text, "task %d", i % 3);
        assert_int_equal(c.first[i + 1] - c.first[i], 1);
        if (i % 7 == 6)
            assert_null(b->at);
        else if (b->size != strlen(text) || memcmp(b->at, text, b->size) != 0)
            fail_msg("%s: another task in row %d", path, i);
    }
    parquet_column_free(&c);
}

static void expect_images(const parquet *p, const char *path)
{
    parquet_column c;

    read_column(p, path, "image.bytes", &c);
    for (int i = 0; i < ROWS; i++) {
        const parquet_bytes *b = &c.bytes[c.first[i]];

        assert_int_equal(b->size, i);
        for (int k = 0; k < i; k++)
            assert_int_equal(b->at[k], i);
    }
    parquet_column_free(&c);
}

static void expect_table(const char *name, bool nested)
{
    char path[96];
    parquet *p;

    snprintf(path, sizeof path, "tests/data/parquet/%s.parquet", name);
    if (parquet_open(path, &p, &error))
        fail_msg("%s", error.message);
    assert_int_equal(parquet_rows(p), ROWS);
    expect_numbers(p, path, "index", indices);
    expect_numbers(p, path, "timestamp", timestamps);
    expect_numbers(p, path, "done", done);
    expect_numbers(p, path, "large", large);
    expect_numbers(p, path, "short", shorts);
    expect_numbers(p, path, "unsigned", unsigneds);
    expect_texts(p, path);
    if (nested) {
        expect_numbers(p, path, "action", actions);
        expect_numbers(p, path, "state", states);
        expect_images(p, path);
    }
    parquet_close(p);
}

static void test_none(void **state)
{
    (void)state;
    expect_table("rust-none-1", true);
}

static void test_snappy(void **state)
{
    (void)state;
    expect_table("rust-snappy-1", true);
}

static void test_gzip(void **state)
{
    (void)state;
    expect_table("rust-gzip-1", true);
}

static void test_zstd(void **state)
{
    (void)state;
    expect_table("rust-zstd-2", true);
}

static void test_javascript(void **state)
{
    (void)state;
    expect_table("hyparquet", false);
}

/* What is not read is named. */
static void test_deltas(void **state)
{
    const char *path = "tests/data/parquet/rust-delta.parquet";
    parquet_column c;
    parquet *p;

    (void)state;
    assert_int_equal(parquet_open(path, &p, &error), DEER_OK);
    assert_int_equal(parquet_read(p, "index", &c, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "index is encoded by DELTA_BINARY_PACKED"));
    assert_int_equal(parquet_read(p, "task", &c, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "task is encoded by DELTA_BYTE_ARRAY"));
    expect_numbers(p, path, "timestamp", timestamps);
    parquet_close(p);
}

/* Two row groups that name the same few bytes: what a column holds is bounded by the file, not by
 * each group. tests/data/make_odd_parquet.py says what is in these. */
static void test_groups_share_no_bytes(void **state)
{
    parquet_column c;
    parquet *p;

    (void)state;
    assert_int_equal(parquet_open("tests/data/parquet/again.parquet", &p, &error), DEER_OK);
    assert_int_equal(parquet_read(p, "x", &c, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "again.parquet: column x is damaged"));
    parquet_close(p);
}

static void test_levels_that_are_not_there(void **state)
{
    parquet_column c;
    parquet *p;

    (void)state;
    assert_int_equal(parquet_open("tests/data/parquet/levels.parquet", &p, &error), DEER_OK);
    for (int column = 0; column < 2; column++) {
        if (parquet_read(p, column ? "y" : "x", &c, &error))
            fail_msg("%s", error.message);
        assert_int_equal(c.rows, 3);
        for (int i = 0; i < 3; i++)
            assert_true(column ? isnan(c.number[i]) : c.number[i] == i + 1);
        parquet_column_free(&c);
    }
    parquet_close(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_none),
        cmocka_unit_test(test_snappy),
        cmocka_unit_test(test_gzip),
        cmocka_unit_test(test_zstd),
        cmocka_unit_test(test_javascript),
        cmocka_unit_test(test_deltas),
        cmocka_unit_test(test_groups_share_no_bytes),
        cmocka_unit_test(test_levels_that_are_not_there),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
