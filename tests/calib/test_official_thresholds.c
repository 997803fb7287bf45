/* SPDX-License-Identifier: MIT */
/* test_official_thresholds.c - the official thresholds, bit for bit.
 *
 *   test_official_thresholds [FILE.h5]
 *
 * FILE holds values/<matrix> f32 [exits, samples] and groups case### with attributes matrix,
 * exit_dist, exit_ratio, max_layer, llm_name, exit_ids and datasets thresholds, probs f32 [R],
 * exit_fraction f64 [R], R the number of exits up to max_layer. Every case must match exactly. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "calib/problem/order.h"
#include "calib/solve/official.h"
#include "datasets/hdf5/hdf5_io.h"
#include "runtime/base/random.h"

static const char *golden_path = "tests/data/official/thresholds_golden_a.h5";

/* ---------------------------------------------------------------- golden cases ------------- */

typedef struct {
    char matrix[64], distribution[16], llm[64];
    double ratio;
    int exits; /* R */
    int64_t ids[DEER_MAX_EXITS];
    float thresholds[DEER_MAX_EXITS], probs[DEER_MAX_EXITS];
    double exit_fraction[DEER_MAX_EXITS];
} golden_case;

static double attribute_double(hid_t object, const char *name)
{
    double value = NAN;
    hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);

    assert_true(attribute >= 0);
    assert_true(H5Aread(attribute, H5T_NATIVE_DOUBLE, &value) >= 0);
    H5Aclose(attribute);
    return value;
}

/* How many exits are at or below the controller's deepest layer, min(max_layer - 1, last id). */
static int allowed_exits(hid_t object, int64_t *ids)
{
    hid_t attribute = H5Aopen(object, "exit_ids", H5P_DEFAULT), space = H5Aget_space(attribute);
    hssize_t count = H5Sget_simple_extent_npoints(space);
    uint64_t max_layer = 0;
    int allowed = 0;

    assert_true(count >= 1 && count <= DEER_MAX_EXITS);
    assert_true(H5Aread(attribute, H5T_NATIVE_INT64, ids) >= 0);
    assert_true(hdf5_integer_get(object, "max_layer", &max_layer));
    for (int k = 0; k < count; k++)
        allowed += ids[k] <= (int64_t)max_layer - 1;
    H5Sclose(space);
    H5Aclose(attribute);
    return allowed;
}

static void read_row(hid_t file, const char *group, const char *name, int exits, hid_t type,
                     void *row)
{
    char path[128];
    hdf5_shape shape;
    deer_error err;

    snprintf(path, sizeof path, "%s/%s", group, name);
    if (hdf5_shape_of(file, golden_path, path, &shape, &err))
        fail_msg("%s", err.message);
    assert_int_equal(shape.rank, 1);
    assert_int_equal(shape.size[0], exits);
    if (hdf5_read(file, golden_path, path, type, row, &err))
        fail_msg("%s", err.message);
}

static void read_case(hid_t file, const char *name, golden_case *c)
{
    hid_t group = H5Gopen2(file, name, H5P_DEFAULT);

    assert_true(group >= 0);
    assert_true(hdf5_text_get(group, "matrix", c->matrix, sizeof c->matrix));
    assert_true(hdf5_text_get(group, "exit_dist", c->distribution, sizeof c->distribution));
    assert_true(hdf5_text_get(group, "llm_name", c->llm, sizeof c->llm));
    c->ratio = attribute_double(group, "exit_ratio");
    c->exits = allowed_exits(group, c->ids);
    read_row(file, name, "thresholds", c->exits, H5T_NATIVE_FLOAT, c->thresholds);
    read_row(file, name, "probs", c->exits, H5T_NATIVE_FLOAT, c->probs);
    read_row(file, name, "exit_fraction", c->exits, H5T_NATIVE_DOUBLE, c->exit_fraction);
    H5Gclose(group);
}

static float *read_matrix(hid_t file, const char *matrix, int *exits, int64_t *n)
{
    char path[128];
    hdf5_shape shape;
    deer_error err;
    float *values;

    snprintf(path, sizeof path, "values/%s", matrix);
    if (hdf5_shape_of(file, golden_path, path, &shape, &err))
        fail_msg("%s", err.message);
    assert_int_equal(shape.rank, 2);
    values = malloc(shape.size[0] * shape.size[1] * sizeof *values);
    assert_non_null(values);
    if (hdf5_read(file, golden_path, path, H5T_NATIVE_FLOAT, values, &err))
        fail_msg("%s", err.message);
    *exits = (int)shape.size[0];
    *n = (int64_t)shape.size[1];
    return values;
}

static official_distribution distribution_named(const char *name)
{
    for (int d = 0; official_name((official_distribution)d); d++)
        if (!strcmp(name, official_name((official_distribution)d)))
            return (official_distribution)d;
    fail_msg("unknown distribution %s", name);
    return OFFICIAL_EXP;
}

static void count_exits(const float *values, int64_t n, int exits, const float *tau,
                        double *fraction)
{
    int64_t count[DEER_MAX_EXITS] = {0};

    for (int64_t i = 0; i < n; i++) {
        int k = 0;
        while (k < exits - 1 && !(values[k * n + i] <= tau[k]))
            k++;
        count[k]++;
    }
    for (int k = 0; k < exits; k++)
        fraction[k] = (double)count[k] / (double)n;
}

static void compare_float(const char *name, const char *what, const float *got, const float *want,
                          int n)
{
    for (int k = 0; k < n; k++)
        if (got[k] != want[k])
            fail_msg("%s: %s[%d] is %.9g, official %.9g", name, what, k, (double)got[k],
                     (double)want[k]);
}

static void check_case(hid_t file, const char *name)
{
    golden_case c;
    official_steps those;
    deer_error err;
    float fractions[DEER_MAX_EXITS], tau[DEER_MAX_EXITS];
    double taken[DEER_MAX_EXITS];
    int rows;
    int64_t n;
    float *values;

    read_case(file, name, &c);
    values = read_matrix(file, c.matrix, &rows, &n);
    assert_true(c.exits >= 1 && c.exits <= rows);
    assert_int_equal(official_take(values, n, rows, &those, &err), DEER_OK);
    official_fractions(distribution_named(c.distribution), c.ratio, strstr(c.llm, "mpt_9b") != NULL,
                       c.exits, fractions);
    official_thresholds(&those, c.exits, fractions, tau);
    compare_float(name, "probs", fractions, c.probs, c.exits);
    compare_float(name, "thresholds", tau, c.thresholds, c.exits);
    count_exits(values, n, c.exits, tau, taken);
    for (int k = 0; k < c.exits; k++)
        if (fabs(taken[k] - c.exit_fraction[k]) > 1e-15)
            fail_msg("%s: exit %d taken by %.17g, official %.17g", name, k, taken[k],
                     c.exit_fraction[k]);
    official_free(&those);
    free(values);
}

static herr_t visit(hid_t group, const char *name, const H5L_info_t *info, void *context)
{
    (void)info;
    if (!strncmp(name, "case", 4)) {
        check_case(group, name);
        ++*(int *)context;
    }
    return 0;
}

static void test_golden(void **state)
{
    hid_t file = H5Fopen(golden_path, H5F_ACC_RDONLY, H5P_DEFAULT);
    int cases = 0;

    (void)state;
    if (file < 0)
        fail_msg("cannot open %s", golden_path);
    assert_true(H5Literate(file, H5_INDEX_NAME, H5_ITER_INC, NULL, visit, &cases) >= 0);
    H5Fclose(file);
    print_message("%d cases match exactly\n", cases);
    assert_true(cases > 0);
}

/* ---------------------------------------------------------------- edges -------------------- */

static void test_nan_never_exits(void **state)
{
    const float values[] = {NAN, 1, NAN, 2, 9, 9, 9, 9};
    float fractions[2] = {0.75f, 0.25f}, tau[2];
    official_steps those;
    deer_error err;

    (void)state;
    assert_int_equal(official_take(values, 4, 2, &those, &err), DEER_OK);
    official_thresholds(&those, 2, fractions, tau); /* the third smallest is not a number */
    assert_true(tau[0] == OFFICIAL_NEVER);
    fractions[0] = 0.5f;
    official_thresholds(&those, 2, fractions, tau);
    assert_true(tau[0] == 2);
    official_free(&those);
}

static void test_single_exit(void **state)
{
    const float values[] = {0.1f, 0.2f, 0.3f};
    float fraction, tau;
    official_steps those;
    deer_error err;

    (void)state;
    official_fractions(OFFICIAL_EXP, 0.7, false, 1, &fraction);
    assert_true(fraction == 1);
    assert_int_equal(official_take(values, 3, 1, &those, &err), DEER_OK);
    official_thresholds(&those, 1, &fraction, &tau);
    assert_true(tau == OFFICIAL_ALWAYS);
    official_free(&those);
}

static void test_order(void **state)
{
    const float values[] = {3, -INFINITY, 0.0f, NAN, -0.0f, -2, INFINITY, -NAN, 3};
    uint32_t order[9], want[] = {1, 5, 2, 4, 0, 8, 6, 3, 7};
    deer_error err;

    (void)state;
    assert_int_equal(order_ascending(values, 9, order, &err), DEER_OK);
    assert_memory_equal(order, want, sizeof want);
}

/* Many steps are counted, few are sorted: the same thresholds, ties and gaps included. */
static void test_many_steps(void **state)
{
    enum { MANY = 270001, EXITS = 3 };
    float *values = malloc(EXITS * MANY * sizeof *values), fractions[EXITS], counted[EXITS];
    uint32_t *order = malloc(MANY * sizeof *order);
    official_steps those;
    deer_error err;
    uint64_t random = 7;

    (void)state;
    for (int i = 0; i < EXITS * MANY; i++) {
        uint64_t bits = random_next(&random);
        values[i] = bits % 50 == 0 ? NAN : bits % 3 ? (float)(bits % 4001) / 16 - 9 : (float)bits;
    }
    official_fractions(OFFICIAL_EXP, 0.8, false, EXITS, fractions);
    assert_int_equal(official_take(values, MANY, EXITS, &those, &err), DEER_OK);
    assert_null(those.order);
    official_thresholds(&those, EXITS, fractions, counted);
    memset(those.gone, 0, MANY);
    for (int k = 0; k < EXITS - 1; k++) {
        int64_t count = (int64_t)floorf(MANY * fractions[k]);
        const float *value = values + k * MANY;

        assert_int_equal(order_ascending(value, MANY, order, &err), DEER_OK);
        for (int i = 0; i < MANY && count; i++)
            if (!those.gone[order[i]] && !--count)
                assert_true(counted[k] == value[order[i]]);
        assert_int_equal(count, 0);
        for (int i = 0; i < MANY; i++)
            those.gone[i] |= value[i] <= counted[k];
    }
    official_free(&those);
    free(order);
    free(values);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),      cmocka_unit_test(test_nan_never_exits),
        cmocka_unit_test(test_single_exit), cmocka_unit_test(test_order),
        cmocka_unit_test(test_many_steps),
    };

    hdf5_quiet();
    if (argc > 1)
        golden_path = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
