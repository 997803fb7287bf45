/* SPDX-License-Identifier: MIT */
/* test_run.c - what deer-run reports: quantiles, summaries, and which models it agrees to run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "budgets/measure/statistics.h"
#include "runtime/cli/run_played.h"
#include "runtime/cli/tool_policy.h"
#include "runtime/import/official.h"
#include "runtime/thresholds/thresholds_format.h"

static void test_quantiles(void **state)
{
    double x[] = {5, 1, 4, 2, 3};

    (void)state;
    sort_numbers(x, 5);
    assert_true(quantile(x, 5, 0) == 1);
    assert_true(quantile(x, 5, 0.5) == 3);
    assert_true(quantile(x, 5, 1) == 5);
    assert_true(fabs(quantile(x, 5, 0.9) - 4.6) < 1e-12);
    assert_true(quantile(x, 1, 0.99) == 1);
    assert_true(isnan(quantile(x, 0, 0.5)));
}

static void test_process_is_resident(void **state)
{
    (void)state;
    assert_true(resident_bytes() > 100000);
}

/* ---------------------------------------------------------------- summaries ---------------- */

static played_step step_at(int exit, double gflops, double error, bool agrees)
{
    return (played_step){.exit = exit,
                         .llm = gflops,
                         .total = 10 + gflops,
                         .ms = 100 * gflops,
                         .pose_error = error,
                         .gripper_agrees = agrees};
}

static void test_summary(void **state)
{
    played_step first[] = {step_at(0, 1, 0.3, true), step_at(2, 3, 0.4, false)};
    played_step second[] = {step_at(0, 1, 0, true), step_at(0, 1, 0, true)};
    played_episode episodes[] = {{.steps = 2, .step = first}, {.steps = 2, .step = second}};
    played p = {.count = 2, .episode = episodes};
    played_summary s;
    deer_error err;

    (void)state;
    assert_int_equal(played_summarise(&p, 0, 2, &s, &err), DEER_OK);
    assert_int_equal(s.steps, 4);
    assert_true(fabs(s.llm - 1.5) < 1e-12);
    assert_true(fabs(s.total - 11.5) < 1e-12);
    assert_true(s.peak_llm == 3 && s.peak_total == 13);
    assert_true(s.total_p50 == 11);
    assert_true(s.ms_most == 300);
    assert_true(fabs(s.pose_error - 0.25) < 1e-12); /* sqrt((0.09 + 0.16) / 4) */
    assert_true(s.gripper == 0.75);
    assert_true(s.fraction[0] == 0.75 && s.fraction[1] == 0 && s.fraction[2] == 0.25);
    assert_int_equal(played_summarise(&p, 1, 1, &s, &err), DEER_OK);
    assert_int_equal(s.steps, 2);
    assert_true(s.fraction[0] == 1 && s.peak_llm == 1);
}

/* ---------------------------------------------------------------- policies ----------------- */

static char folder[64], model_a[96], model_c[96], thresholds[96];

static int make_models(void **state)
{
    deer_error err;

    (void)state;
    strcpy(folder, "/tmp/test_run.XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(model_a, sizeof model_a, "%s/a", folder);
    snprintf(model_c, sizeof model_c, "%s/c", folder);
    snprintf(thresholds, sizeof thresholds, "%s/t.json", folder);
    return official_import_folder("tests/data/golden_a", model_a, &err) ||
           official_import_folder("tests/data/golden_c", model_c, &err);
}

static int remove_models(void **state)
{
    (void)state;
    unlink(model_a);
    unlink(model_c);
    unlink(thresholds);
    return rmdir(folder);
}

/* Thresholds of a model that never go deeper than an exit. */
static void save_thresholds(const char *model_path, int max_exit)
{
    deer_error err;
    deer_model *model;
    deer_thresholds t;

    assert_int_equal(deer_model_open(model_path, DEER_ALL_EXITS, &model, &err), DEER_OK);
    thresholds_fix(model, max_exit, &t, NULL);
    for (int k = 0; k < max_exit; k++)
        t.tau[k] = 0.1f;
    assert_int_equal(deer_thresholds_save(thresholds, deer_model_config(model), &t, &err), DEER_OK);
    deer_model_close(model);
}

static deer_status open_policy(const char *model, const char *with, long exit, policy *p,
                               deer_error *err)
{
    const policy_choice choice = {.model = model, .thresholds = with, .exit = exit, .budget = NAN};

    return policy_open(&choice, p, err);
}

/* Weights behind the deepest exit that thresholds allow are not even mapped. */
static void test_only_what_runs_is_mapped(void **state)
{
    deer_error err;
    policy shallow, deep;

    (void)state;
    save_thresholds(model_a, 1);
    assert_int_equal(open_policy(model_a, thresholds, TOOL_NOT_GIVEN, &shallow, &err), DEER_OK);
    assert_int_equal(open_policy(model_a, NULL, TOOL_NOT_GIVEN, &deep, &err), DEER_OK);
    assert_int_equal(deer_model_max_exit(shallow.model), 1);
    assert_int_equal(deer_model_max_exit(deep.model), 2);
    assert_true(deer_model_bytes(shallow.model) < deer_model_bytes(deep.model));
    policy_close(&shallow);
    policy_close(&deep);
}

static void assert_refused(const char *model, const char *with, long exit, int status,
                           const char *words)
{
    deer_error err = {""};
    policy p;

    assert_int_equal(open_policy(model, with, exit, &p, &err), status);
    assert_null(p.model);
    assert_null(p.session);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say '%s'", err.message, words);
}

static void test_thresholds_of_another_model_are_refused(void **state)
{
    (void)state;
    save_thresholds(model_a, 2);
    assert_refused(model_c, thresholds, TOOL_NOT_GIVEN, DEER_FAILED, "another model");
    save_thresholds(model_a, 1);
    assert_refused(model_c, thresholds, TOOL_NOT_GIVEN, DEER_FAILED, "another model");
    assert_refused(model_a, "/nowhere/t.json", TOOL_NOT_GIVEN, DEER_FAILED, "/nowhere/t.json");
    assert_refused("/nowhere/model", NULL, TOOL_NOT_GIVEN, DEER_FAILED, "/nowhere/model");
    assert_refused(model_a, NULL, 3, DEER_USAGE, "there is no exit 3");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_process_is_resident),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_only_what_runs_is_mapped),
        cmocka_unit_test(test_thresholds_of_another_model_are_refused),
    };

    return cmocka_run_group_tests(tests, make_models, remove_models);
}
