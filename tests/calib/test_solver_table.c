/* SPDX-License-Identifier: MIT */
/* test_solver_table.c - calibration problems of other models, from HDF5 tables. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "calib/guarantee/guarantee.h"
#include "calib/problem/synthetic.h"
#include "calib/problem/table_file.h"
#include "calib/solve/solve.h"
#include "datasets/hdf5/hdf5_io.h"

static deer_error err;
static char path[] = "/tmp/deer-table-XXXXXX";
static const char *program = "build/deer-calib";

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    return fd < 0 || close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

static void test_round_trip(void **state)
{
    synthetic_spec spec = synthetic_default(5, 30, 2);
    const double memory[5] = {1, 2, 3, 4, 5};
    step_table t;
    steps s;

    (void)state;
    ok(synthetic_make(&spec, &s, &err));
    ok(table_file_write(path, &s, memory, &err));
    ok(table_file_read(path, &t, &err));
    assert_int_equal(t.s.n, s.n);
    assert_int_equal(t.s.episodes, 30);
    assert_memory_equal(t.s.delta, s.delta, (size_t)(s.n * 5) * sizeof(float));
    assert_memory_equal(t.s.loss, s.loss, (size_t)(s.n * 5) * sizeof(float));
    assert_memory_equal(t.s.episode, s.episode, (size_t)s.n * sizeof(int32_t));
    assert_memory_equal(t.s.cost, s.cost, 5 * sizeof(double));
    assert_true(t.has_memory && t.memory[4] == 5);
    step_table_free(&t);
    steps_free(&s);
}

/* ---------------------------------------------------------------- bad tables --------------- */

enum {
    NO_LOSS = 1,
    LONG_COST = 2,
    SPLIT_EPISODE = 4,
    TEXT_COST = 8,
    NAN_LOSS = 16,
    FALLING_COST = 32
};

/* Four steps, two exits, two episodes, with the given faults. */
static void write_table(int faults)
{
    const float delta[8] = {1, 1, 2, 2, 3, 3, NAN, 4};
    float loss[8] = {1, 0, 1, 0, 1, 0, 1, 0};
    double cost[3] = {1, 2, 3};
    int64_t episode[4] = {7, 7, -3, -3};
    const hsize_t size[2] = {4, 2}, k = faults & LONG_COST ? 3 : 2, n = 4;
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT), text = H5Tcopy(H5T_C_S1);

    if (faults & SPLIT_EPISODE)
        episode[3] = 7;
    if (faults & NAN_LOSS)
        loss[5] = NAN;
    if (faults & FALLING_COST)
        cost[1] = 0.5;
    H5Tset_size(text, 8);
    ok(hdf5_write(file, path, "delta", 2, size, H5T_NATIVE_FLOAT, H5T_IEEE_F32LE, NULL, delta,
                  &err));
    if (!(faults & NO_LOSS))
        ok(hdf5_write(file, path, "loss", 2, size, H5T_NATIVE_FLOAT, H5T_IEEE_F64LE, NULL, loss,
                      &err));
    ok(hdf5_write(file, path, "cost", 1, &k, faults & TEXT_COST ? text : H5T_NATIVE_DOUBLE,
                  faults & TEXT_COST ? text : H5T_IEEE_F64LE, NULL, cost, &err));
    ok(hdf5_write(file, path, "episode", 1, &n, H5T_NATIVE_INT64, H5T_STD_I64LE, NULL, episode,
                  &err));
    H5Tclose(text);
    H5Fclose(file);
}

static void refuse(int faults, const char *says)
{
    step_table t;

    write_table(faults);
    assert_int_equal(table_file_read(path, &t, &err), DEER_FAILED);
    if (!strstr(err.message, says) || !strstr(err.message, path) || strchr(err.message, '\n'))
        fail_msg("'%s' does not say '%s'", err.message, says);
}

static void test_bad_tables(void **state)
{
    step_table t;

    (void)state;
    write_table(0);
    ok(table_file_read(path, &t, &err));
    assert_int_equal(t.s.episodes, 2);
    assert_true(isnan(t.s.delta[3])); /* never */
    step_table_free(&t);
    refuse(NO_LOSS, "there is no dataset loss");
    refuse(LONG_COST, "dataset cost does not have the shape");
    refuse(SPLIT_EPISODE, "episode 7 do not lie together");
    refuse(TEXT_COST, "holds no numbers");
    refuse(NAN_LOSS, "step 2 at exit 1 is not finite");
    refuse(FALLING_COST, "less than the exit before it");
    assert_int_equal(table_file_read("/nowhere/t.h5", &t, &err), DEER_FAILED);
    assert_int_equal(table_file_read("Makefile", &t, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "is no HDF5 file"));
}

/* ---------------------------------------------------------------- the command -------------- */

/* Runs deer-calib solve --table with more options; returns its exit status and JSON. */
static int run(const char *options, json_t **json)
{
    char command[512], text[65536];
    FILE *pipe;
    size_t n;
    int status;

    snprintf(command, sizeof command, "%s solve --table %s %s --json 2>/dev/null", program, path,
             options);
    pipe = popen(command, "r");
    assert_non_null(pipe);
    n = fread(text, 1, sizeof text - 1, pipe);
    text[n] = 0;
    status = pclose(pipe);
    *json = json_loads(text, 0, NULL);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static double number(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    if (!json_is_number(value))
        fail_msg("%s is no number", name);
    return json_number_value(value);
}

/* The budget that keeps a promised loss is chosen without a look at the episodes held out. */
static void test_budget_of_a_promise(void **state)
{
    static const char options[] = "--max-loss 0.04 --confidence 0.9 --largest-loss 0.2";
    synthetic_spec spec = synthetic_default(6, 160, 3);
    guarantee_spec split = {.share = GUARANTEE_SHARE, .seed = 1}; /* as the command's */
    bool solving[160];
    json_t *before, *after;
    steps s;

    (void)state;
    ok(synthetic_make(&spec, &s, &err));
    for (int64_t i = 0; i < s.n * s.exits; i++)
        s.loss[i] = fminf(s.loss[i], 0.2f);
    ok(table_file_write(path, &s, NULL, &err));
    assert_int_equal(run(options, &before), 0);
    ok(guarantee_split(&split, 160, solving, &err));
    for (int64_t i = 0; i < s.n; i++)
        for (int k = 0; k < s.exits && !solving[s.episode[i]]; k++)
            s.loss[k * s.n + i] /= 2;
    ok(table_file_write(path, &s, NULL, &err));
    assert_int_equal(run(options, &after), 0);
    assert_true(number(before, "budget") == number(after, "budget"));
    json_decref(before);
    json_decref(after);
    steps_free(&s);
}

static void test_command(void **state)
{
    synthetic_spec spec = synthetic_default(6, 80, 3);
    const double memory[6] = {100, 200, 300, 400, 500, 600};
    json_t *json;
    steps s;

    (void)state;
    spec.useless = 0.4;
    ok(synthetic_make(&spec, &s, &err));
    ok(table_file_write(path, &s, memory, &err));
    assert_int_equal(run("--avg-cost 0.5", &json), 0);
    assert_true(number(json, "average_cost") <= 0.5 && number(json, "peak_cost") == 1);
    assert_true(number(json, "loss") < number(json, "baseline_loss"));
    assert_true(number(json, "loss") >= number(json, "oracle_loss"));
    assert_true(number(json, "gap_closed") > 0.3);
    assert_true(number(json, "evaluations") > 0 && number(json, "seconds") > 0);
    assert_int_equal(json_array_size(json_object_get(json, "tau")), 6);
    json_decref(json);
    assert_int_equal(run("--avg-cost 0.5 --peak-cost 0.7 --memory 0.399K --confidence 0.9", &json),
                     0);
    assert_true(number(json, "max_exit") == 2 && number(json, "memory_bytes") == 300);
    assert_true(number(json_object_get(json, "guarantee"), "p_budget") <= 0.1);
    json_decref(json);
    assert_int_equal(run("--max-loss 0.3 --confidence 0.9", &json), 2); /* of what range? */
    assert_int_equal(run("--max-loss 0.3 --confidence 0.9 --largest-loss 0.01", &json), 2);
    assert_int_equal(run("--max-loss 0.3 --confidence 0.9 --largest-loss 2", &json), 0);
    assert_true(number(json_object_get(json, "guarantee"), "p_deviation") <= 0.1);
    json_decref(json);
    assert_int_equal(run("--avg-cost 0.5 --bound crc", &json), 0);
    assert_true(json_is_null(json_object_get(json_object_get(json, "guarantee"), "confidence")));
    json_decref(json);
    assert_int_equal(run("--avg-cost 0.5 --bound crc --confidence 0.9", &json), 2);
    assert_int_equal(run("--avg-cost 0.5 --confidence 0.9 --per-task", &json), 2); /* no tasks */
    assert_int_equal(run("--avg-cost 0.5 --per-task", &json), 2);
    assert_int_equal(run("--avg-cost 0.1", &json), 3);
    assert_null(json);
    assert_int_equal(run("--memory 99", &json), 3);
    assert_int_equal(run("--avg-gflops 0.5", &json), 2);
    assert_int_equal(run("--cache x --avg-cost 0.5", &json), 2);
    assert_int_equal(run("", &json), 2);
    steps_free(&s);
}

/* A table whose first exits may often not be taken: one threshold an exit in JSON, and a frontier
 * that begins where it can. */
static void test_gaps(void **state)
{
    static const char *const method[] = {"official-exp", "official-gauss", "official-gamma",
                                         "best"};
    synthetic_spec spec = synthetic_default(4, 12, 3);
    char options[160], frontier[64];
    json_t *json, *tau;
    steps s;

    (void)state;
    ok(synthetic_make(&spec, &s, &err));
    for (int64_t i = 0; i < s.n; i++) {
        s.delta[i] = i % 3 ? s.delta[i] : NAN;
        s.delta[s.n + i] = i % 5 ? s.delta[s.n + i] : NAN;
    }
    ok(table_file_write(path, &s, NULL, &err));
    for (int m = 0; m < 4; m++) {
        snprintf(options, sizeof options, "--avg-cost 0.6 --method %s", method[m]);
        assert_int_equal(run(options, &json), 0);
        tau = json_object_get(json, "tau");
        assert_int_equal(json_array_size(tau), 4);
        for (size_t k = 0; k < 3; k++)
            assert_true(json_is_number(json_array_get(tau, k)) ||
                        json_is_string(json_array_get(tau, k)));
        assert_true(json_is_null(json_array_get(tau, 3)));
        json_decref(json);
    }
    snprintf(frontier, sizeof frontier, "%s.json", path);
    snprintf(options, sizeof options, "--method coordinate --frontier %s --frontier-points 4",
             frontier);
    assert_int_equal(run(options, &json), 0);
    unlink(frontier);
    steps_free(&s);
}

/* A larger budget never loses more, however badly each is searched for. */
static void test_frontier(void **state)
{
    synthetic_spec spec = synthetic_default(12, 4, 1);
    char options[128], frontier[64];
    json_t *json, *points;
    steps s;

    (void)state;
    spec.useless = 0.4;
    ok(synthetic_make(&spec, &s, &err));
    ok(table_file_write(path, &s, NULL, &err));
    snprintf(frontier, sizeof frontier, "%s.json", path);
    snprintf(options, sizeof options,
             "--method nlopt --evaluations 50 --frontier %s --frontier-points 60", frontier);
    assert_int_equal(run(options, &json), 0);
    json = json_load_file(frontier, 0, NULL);
    points = json_object_get(json, "points");
    assert_int_equal(json_array_size(points), 60);
    for (size_t i = 0; i < 60; i++) {
        const json_t *point = json_array_get(points, i);

        assert_true(number(point, "average_total_gflops") <= number(point, "budget") * (1 + 1e-9));
        assert_true(!i || number(point, "loss") <= number(json_array_get(points, i - 1), "loss"));
    }
    json_decref(json);
    unlink(frontier);
    steps_free(&s);
}

/* A frontier with a confidence: every point carries a guarantee of its own, of its budget or of a
 * smaller one, and says of how many it is one; without, none does. */
static void test_guaranteed_frontier(void **state)
{
    synthetic_spec spec = synthetic_default(6, 120, 3);
    char options[160], frontier[64];
    int given = 0;
    json_t *json, *points;
    steps s;

    (void)state;
    ok(synthetic_make(&spec, &s, &err));
    ok(table_file_write(path, &s, NULL, &err));
    snprintf(frontier, sizeof frontier, "%s.json", path);
    for (int confident = 0; confident < 2; confident++) {
        snprintf(options, sizeof options, "--method coordinate --frontier %s --frontier-points 5%s",
                 frontier, confident ? " --confidence 0.9" : "");
        assert_int_equal(run(options, &json), 0);
        json = json_load_file(frontier, 0, NULL);
        points = json_object_get(json, "points");
        assert_int_equal(json_array_size(points), 5);
        for (size_t i = 0; i < 5; i++) {
            const json_t *point = json_array_get(points, i);
            const json_t *g = json_object_get(point, "guarantee");
            const char *words = json_string_value(json_object_get(g, "statement"));

            given += json_is_object(g);
            if (!json_is_object(g))
                continue;
            assert_true(number(g, "budget") <= number(point, "budget"));
            assert_true(json_is_true(json_object_get(g, "certain")) ||
                        strstr(words, "for any of 5 budgets"));
            assert_true(!i ||
                        number(point, "loss") <= number(json_array_get(points, i - 1), "loss"));
        }
        assert_int_equal(given, 5 * confident);
        json_decref(json);
    }
    unlink(frontier);
    steps_free(&s);
}

int main(void)
{
    static char in_build[512];
    const char *build = getenv("BUILD");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_tables),
        cmocka_unit_test(test_command),
        cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_frontier),
        cmocka_unit_test(test_guaranteed_frontier),
        cmocka_unit_test(test_budget_of_a_promise),
    };

    if (build) {
        snprintf(in_build, sizeof in_build, "%s/deer-calib", build);
        program = in_build;
    }
    hdf5_quiet();
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
