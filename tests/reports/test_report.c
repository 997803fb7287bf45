/* SPDX-License-Identifier: MIT */
/* test_report.c - what a report is made of: text, success, frontiers, intervals, tasks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "calib/problem/synthetic.h"
#include "calib/solve/solve.h"
#include "reports/answer/bootstrap.h"
#include "reports/answer/fleet.h"
#include "reports/answer/paired.h"
#include "reports/answer/table_report.h"
#include "reports/answer/tasks.h"
#include "reports/answer/trust.h"
#include "reports/formats/text.h"
#include "reports/page/fill.h"
#include "runtime/base/file.h"

static deer_error err;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

/* ---------------------------------------------------------------- text --------------------- */

typedef void (*writer)(FILE *out, const char *text);

static void assert_written(writer write, const char *text, const char *expected)
{
    char *written = NULL;
    size_t size;
    FILE *out = open_memstream(&written, &size);

    write(out, text);
    fclose(out);
    assert_string_equal(written, expected);
    free(written);
}

static void test_text_is_escaped(void **state)
{
    (void)state;
    assert_written(text_html, "<script>'\"&", "&lt;script&gt;&#39;&quot;&amp;");
    assert_written(text_json_in_html, "{\"a\":\"</script><!--&\"}",
                   "{\"a\":\"\\u003c/script\\u003e\\u003c!--\\u0026\"}");
    assert_written(text_csv, "plain", "plain");
    assert_written(text_csv, "a,\"b\"", "\"a,\"\"b\"\"\"");
    assert_written(text_csv, "=1+1", "\"'=1+1\"");
}

static void test_text_becomes_utf8(void **state)
{
    char text[8];

    (void)state;
    text_copy_utf8(text, sizeof text, "a\xff\x80\nb");
    assert_string_equal(text, "a???b");
    text_copy_utf8(text, sizeof text, "12345\xc3\xbc\xc3\xbc"); /* the second does not fit */
    assert_string_equal(text, "12345\xc3\xbc");
}

static void test_numbers_have_three_digits(void **state)
{
    static const struct {
        double value;
        const char *text;
    } cases[] = {{0, "0 ms"},         {0.012345, "0.0123 ms"}, {9.996, "10.00 ms"},
                 {36.74, "36.7 ms"},  {2760.4, "2760 ms"},     {NAN, "unknown"},
                 {-0.5, "-0.500 ms"}, {INFINITY, "unlimited"}};
    char text[TEXT_DIGITS];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_string_equal(text_digits(text, cases[i].value, " ms"), cases[i].text);
}

static void write_base64(FILE *out, const char *text)
{
    text_base64(out, (const uint8_t *)text, strlen(text));
}

static void test_base64(void **state)
{
    (void)state; /* RFC 4648, section 10 */
    assert_written(write_base64, "", "");
    assert_written(write_base64, "f", "Zg==");
    assert_written(write_base64, "fo", "Zm8=");
    assert_written(write_base64, "foobar", "Zm9vYmFy");
}

/* ---------------------------------------------------------------- success ------------------ */

static void write_file(const char *path, const char *text)
{
    ok(file_write(path, text, strlen(text), &err));
}

static void test_success_lies_between_evaluations(void **state)
{
    char a[] = "/tmp/deer-success-a-XXXXXX", b[] = "/tmp/deer-success-b-XXXXXX";
    char *files[] = {b, a};
    double fixed[] = {1, 3}, value;
    success_curve curve;
    interval wilson;

    (void)state;
    close(mkstemp(a));
    close(mkstemp(b));
    write_file(a, "{\"success\": 0.5, \"low\": 0.4, \"high\": 0.6, \"rollouts\": 100, "
                  "\"exit_fractions\": [1, 0]}");
    write_file(b, "{\"success\": 0.9, \"low\": 0.8, \"high\": 1.0, \"rollouts\": 100, "
                  "\"exit_fractions\": [0.25, 0.75]}");
    ok(success_load(files, 2, fixed, 2, &curve, &err));
    success_at(&curve, 1.75, &value, &wilson); /* halfway from 1 to 2.5 */
    assert_float_equal(value, 0.7, 1e-12);
    assert_float_equal(wilson.low, 0.6, 1e-12);
    success_at(&curve, 2.9, &value, &wilson);
    assert_float_equal(value, 0.9, 1e-12);
    success_at(&curve, 0.9, &value, &wilson);
    assert_true(isnan(value));
    success_load(files, 2, fixed, 1, &curve, &err);
    assert_non_null(strstr(err.message, "exit_fractions of 1 exits"));
    write_file(a, "{\"success\": 0.5}");
    assert_int_equal(success_load(files, 2, fixed, 2, &curve, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, a));
    unlink(a);
    unlink(b);
}

/* ---------------------------------------------------------------- pairs -------------------- */

/* Twice the binomial tail of a fair coin. */
static void test_sign_test(void **state)
{
    (void)state;
    assert_float_equal(paired_sign_test(0, 0), 1, 1e-12);
    assert_float_equal(paired_sign_test(0, 5), 0.0625, 1e-12);
    assert_float_equal(paired_sign_test(9, 10), 22.0 / 1024, 1e-12);
    assert_float_equal(paired_sign_test(5, 10), 1, 1e-12);
    assert_float_equal(paired_sign_test(10, 40), 0.0022214337732293643, 1e-8);
}

/* An evaluation in a new file: eight rollouts, whose success the digits say. */
static void write_outcomes(char *path, const char *head, const char *successes)
{
    char text[4096];
    int at = snprintf(text, sizeof text,
                      "{\"split\": \"seen\", \"tasks\": {\"lift\": {}}, %s, "
                      "\"outcomes\": [",
                      head);

    close(mkstemp(path));
    for (int i = 0; successes[i]; i++)
        at += snprintf(text + at, sizeof text - (size_t)at,
                       "%s{\"task\": \"lift\", \"number\": %d, \"row\": %d, \"success\": %s, "
                       "\"steps\": 10, \"llm_gflops\": 0.5}",
                       i ? ", " : "", i, i / 2, successes[i] == '1' ? "true" : "false");
    snprintf(text + at, sizeof text - (size_t)at, "]}");
    write_file(path, text);
}

static deer_status pair_of(const char *first_head, const char *first, const char *second_head,
                           const char *second, paired *pair)
{
    char a[] = "/tmp/deer-pair-a-XXXXXX", b[] = "/tmp/deer-pair-b-XXXXXX";
    deer_status status;

    write_outcomes(a, first_head, first);
    write_outcomes(b, second_head, second);
    status = paired_add(a, b, pair, &err);
    unlink(a);
    unlink(b);
    return status;
}

static void test_pairs_of_rollouts(void **state)
{
    static const char seed[] = "\"seed\": 7, \"strict\": 1.25";
    paired pair = {0};

    (void)state;
    ok(pair_of(seed, "11110000", seed, "11111110", &pair));
    paired_finish(&pair);
    assert_int_equal(pair.pairs, 8);
    assert_int_equal(pair.first, 0);
    assert_int_equal(pair.second, 3);
    assert_int_equal(pair.equal, 5);
    assert_float_equal(pair.difference, 3.0 / 8, 1e-12);
    assert_float_equal(pair.p_value, 0.25, 1e-12);
    /* Agresti and Min: (c - b) / (n + 2) -+ z sqrt((b + c + 1) - (c - b)^2 / (n + 2)) / (n + 2) */
    assert_float_equal(pair.low, 0.3 - 1.959964 * sqrt(4 - 0.9) / 10, 1e-6);
    assert_float_equal(pair.high, 0.3 + 1.959964 * sqrt(4 - 0.9) / 10, 1e-6);
    assert_float_equal(pair.side[1].llm / pair.side[1].steps, 0.05, 1e-12);
    ok(pair_of(seed, "10", seed, "01", &pair)); /* of another seed, say */
    paired_finish(&pair);
    assert_int_equal(pair.pairs, 10);
    assert_int_equal(pair.first, 1);
}

/* Rows are worth as many as were done: here 1, 2 against 2, 1, then 0 against 2. */
static void test_pairs_of_rows(void **state)
{
    static const char rows[] = "\"seed\": 7, \"chains\": 3, \"strict\": null";
    paired pair = {0};

    (void)state;
    ok(pair_of(rows, "101100", rows, "111011", &pair));
    paired_finish(&pair);
    assert_int_equal(pair.pairs, 3);
    assert_int_equal(pair.first, 1);
    assert_int_equal(pair.second, 2);
    assert_float_equal(pair.difference, 2.0 / 3, 1e-12);
    assert_float_equal(pair.squares, 1 + 1 + 4, 1e-12);
}

/* The same files, judged within another time: 10 steps of an expert that takes 8 are in time within
 * 1.25, and within anything where 12 steps are allowed anyway. */
static void test_pairs_within(void **state)
{
    static const char text[] =
        "{\"seed\": 7, \"split\": \"seen\", \"strict\": 1.6, \"tasks\": {}, \"outcomes\": ["
        "{\"task\": \"a\", \"number\": 0, \"success\": true, \"steps\": 25, \"expert_steps\": 20},"
        "{\"task\": \"a\", \"number\": 1, \"success\": true, \"steps\": 26, \"expert_steps\": 20},"
        "{\"task\": \"a\", \"number\": 2, \"success\": true, \"steps\": 12, \"expert_steps\": 8},"
        "{\"task\": \"a\", \"number\": 3, \"success\": false, \"steps\": 12, \"expert_steps\": "
        "8}]}";
    char path[] = "/tmp/deer-pair-w-XXXXXX";
    paired pair = {.within = 1.25}, later = {.within = 1.3}, never = {.within = 2};

    (void)state;
    close(mkstemp(path));
    write_file(path, text);
    ok(paired_add(path, path, &pair, &err));
    assert_true(pair.side[0].worth == 2 && pair.pairs == 4);
    ok(paired_add(path, path, &later, &err));
    assert_true(later.side[0].worth == 3);
    assert_int_equal(paired_add(path, path, &never, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "ended before"));
    unlink(path);
}

static void refuses_pair(const char *a, const char *first, const char *b, const char *second,
                         const char *words)
{
    paired pair = {0};

    assert_int_equal(pair_of(a, first, b, second, &pair), DEER_FAILED);
    if (!strstr(err.message, words))
        fail_msg("'%s' does not say '%s'", err.message, words);
}

static void test_pairs_share_their_starts(void **state)
{
    static const char seed[] = "\"seed\": 7, \"strict\": 1.25";

    (void)state;
    refuses_pair(seed, "11", "\"seed\": 8, \"strict\": 1.25", "11", "seed 8, not 7");
    refuses_pair(seed, "11", "\"seed\": 7, \"strict\": null", "11", "not judged alike");
    refuses_pair(seed, "11", "\"seed\": 7", "11", "not judged alike");
    refuses_pair(seed, "11", seed, "111", "differ from the 3. on");
    refuses_pair(seed, "11", seed, "", "how each rollout went");
    refuses_pair("\"seed\": 7.5", "1", "\"seed\": 7.5", "1", "how each rollout went");
}

/* What evaluation b judged, and what the curve says of it beside a, of seed 7 and the split seen.
 */
static void warns(const char *b_judged, const char *words)
{
    static const char found[] = "\"success\": 0.5, \"low\": 0.4, \"high\": 0.6, \"rollouts\": 9, "
                                "\"exit_fractions\": [1, 0]";
    char a[] = "/tmp/deer-success-a-XXXXXX", b[] = "/tmp/deer-success-b-XXXXXX", text[512];
    char *files[] = {a, b};
    success_curve curve;

    close(mkstemp(a));
    close(mkstemp(b));
    snprintf(text, sizeof text, "{%s, \"seed\": 7, \"split\": \"seen\", \"tasks\": {\"lift\": {}}}",
             found);
    write_file(a, text);
    snprintf(text, sizeof text, "{%s%s}", found, b_judged);
    write_file(b, text);
    ok(success_load(files, 2, (double[]){1, 3}, 2, &curve, &err));
    assert_int_equal(*curve.warning != 0, words != NULL);
    if (words)
        assert_non_null(strstr(curve.warning, words));
    files[1] = a;
    assert_int_equal(success_load(files, 2, (double[]){1, 3}, 2, &curve, &err), DEER_USAGE);
    assert_non_null(strstr(err.message, "given twice"));
    unlink(a);
    unlink(b);
}

static void test_evaluations_of_other_starts_do_not_compare(void **state)
{
    (void)state;
    warns(", \"seed\": 7, \"split\": \"seen\", \"tasks\": {\"lift\": {}}", NULL);
    warns("", NULL); /* older files do not say */
    warns(", \"seed\": 8, \"split\": \"seen\", \"tasks\": {\"lift\": {}}", "seed 8, not 7");
    warns(", \"seed\": 7, \"split\": \"unseen\", \"tasks\": {\"lift\": {}}", "split unseen");
    warns(", \"seed\": 7, \"split\": \"seen\", \"tasks\": {\"push\": {}}", "other tasks");
    warns(", \"seed\": 7, \"split\": \"seen\", \"tasks\": {}", "other tasks");
    warns(", \"seed\": 7, \"split\": \"seen\", \"tasks\": {\"lift\": {}}, \"chains\": 9",
          "chains, not single tasks");
}

/* Success is that of the policy and of the weights that were judged. */
static void test_success_is_of_a_policy(void **state)
{
    static const char found[] = "{\"success\": 0.5, \"low\": 0.4, \"high\": 0.6, \"rollouts\": 9, "
                                "\"exit_fractions\": [1, 0], \"model_fingerprint\": \"abc\", ";
    char a[] = "/tmp/deer-success-a-XXXXXX", b[] = "/tmp/deer-success-b-XXXXXX", text[512];
    char *files[] = {a, b};
    success_curve curve;

    (void)state;
    close(mkstemp(a));
    close(mkstemp(b));
    snprintf(text, sizeof text, "%s\"weights\": \"bf16\"}", found);
    write_file(a, text);
    snprintf(text, sizeof text, "%s\"weights\": \"q8\"}", found);
    write_file(b, text);
    ok(success_load(files, 1, (double[]){1, 3}, 2, &curve, &err));
    assert_int_equal(curve.dtype, WEIGHT_BF16);
    ok(success_check_policy(&curve, "abc", &err));
    assert_int_equal(success_check_policy(&curve, "abd", &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "judged the policy abc"));
    assert_int_equal(success_load(files, 2, (double[]){1, 3}, 2, &curve, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "of one type"));
    unlink(a);
    unlink(b);
}

static void test_success_of_one_evaluation(void **state)
{
    success_curve curve = {.n = 1, .row = {{.cost = 2, .value = 0.8, .wilson_95 = {0.7, 0.9}}}};
    interval wilson;
    double value;

    (void)state;
    success_at(&curve, 2, &value, &wilson);
    assert_float_equal(value, 0.8, 0);
    success_at(&curve, 1, &value, &wilson);
    assert_true(isnan(value));
}

/* ---------------------------------------------------------------- frontiers ---------------- */

enum { EXITS = 6, BUDGETS = 25 };

static calibration problem(int episodes, uint64_t seed)
{
    synthetic_spec spec = synthetic_default(EXITS, episodes, seed);
    calibration p = {0};
    size_t bytes;

    ok(synthetic_make(&spec, &p.s, &err));
    bytes = (size_t)(p.s.groups * p.s.exits) * sizeof *p.llm;
    p.llm = malloc(bytes);
    p.total = malloc(bytes);
    memcpy(p.llm, p.s.cost, bytes);
    memcpy(p.total, p.s.cost, bytes);
    return p;
}

static sweep swept(const calibration *p, int threads)
{
    sweep_spec spec = {.budgets = BUDGETS, .from = NAN, .to = NAN, .seed = 3, .threads = threads};
    sweep w;

    ok(sweep_make(p, &spec, &w, &err));
    return w;
}

static void check_point(const sweep *w, const sweep_frontier *f, const sweep_point *x, int b)
{
    double sum = 0;

    for (int k = 0; k <= x->at.max_exit; k++)
        sum += x->at.fraction[k];
    assert_float_equal(sum, 1, 1e-9);
    assert_true(x->at.cost <= w->budget[b] * (1 + 1e-9));
    assert_true(f->oracle[b] <= x->at.loss + 1e-9);
    assert_true(x->loss_95.low <= x->at.loss && x->at.loss <= x->loss_95.high);
    assert_true(x->cost_95.low <= x->at.cost + 1e-12 && x->at.cost <= x->cost_95.high + 1e-12);
}

/* Every frontier keeps its budgets, falls, and lies between the oracle and the heuristic. */
static void test_frontiers_keep_their_budgets(void **state)
{
    calibration p = problem(60, 5);
    sweep w = swept(&p, 2);

    (void)state;
    assert_int_equal(w.draws, 1000);
    for (int k = 0; k < EXITS; k++)
        for (int b = 0; b < BUDGETS; b++) {
            const sweep_point *x = &w.frontier[k].ours[b];

            assert_true(x->at.max_exit <= k);
            check_point(&w, &w.frontier[k], x, b);
            if (b)
                assert_true(x->at.loss <= w.frontier[k].ours[b - 1].at.loss);
            if (k == EXITS - 1 && w.has_official[b])
                assert_true(x->at.loss <= w.official[b].at.loss);
        }
    sweep_free(&w);
    calibration_free(&p);
}

/* Walks between a few answers are within 2% of the full range of what solving each budget gives. */
static void test_walks_come_close_to_solving(void **state)
{
    calibration p = problem(60, 5);
    sweep w = swept(&p, 2);
    double range = w.fixed[0].at.loss - w.fixed[EXITS - 1].at.loss;

    (void)state;
    for (int b = 2; b < BUDGETS; b += 6) {
        solve_spec how = {.budget = w.budget[b], .max_exit = EXITS - 1, .method = SOLVE_BEST};
        solution x;

        ok(solve(&p.s, &how, &x, &err));
        assert_true(w.frontier[EXITS - 1].ours[b].at.loss <= x.at.loss + 0.02 * range);
    }
    sweep_free(&w);
    calibration_free(&p);
}

/* The first two exits may often not be taken: budgets are kept all the same, where need be by a
 * shallower exit for all, and nothing is better than the oracle. */
static void test_frontiers_with_gaps(void **state)
{
    calibration p = problem(20, 5);
    sweep w;

    (void)state;
    for (int64_t i = 0; i < p.s.n; i++) {
        p.s.delta[i] = i % 3 ? NAN : p.s.delta[i];
        p.s.delta[p.s.n + i] = i % 2 ? NAN : p.s.delta[p.s.n + i];
    }
    w = swept(&p, 2);
    for (int k = 0; k < EXITS; k++)
        for (int b = 0; b < BUDGETS; b++)
            check_point(&w, &w.frontier[k], &w.frontier[k].ours[b], b);
    sweep_free(&w);
    calibration_free(&p);
}

static void test_threads_do_not_matter(void **state)
{
    calibration p = problem(40, 8);
    sweep one = swept(&p, 1), three = swept(&p, 3);

    (void)state;
    for (int k = 0; k < EXITS; k++)
        assert_memory_equal(one.frontier[k].ours, three.frontier[k].ours,
                            BUDGETS * sizeof(sweep_point));
    sweep_free(&one);
    sweep_free(&three);
    calibration_free(&p);
}

static void test_cheapest_and_what_depth_gains(void **state)
{
    calibration p = problem(40, 8);
    sweep w = swept(&p, 2);
    const question q = {.max_loss = NAN, .min_success = NAN};
    double limit = fleet_max_loss(&q, w.fixed[0].at.loss, w.fixed[EXITS - 1].at.loss);
    int b = sweep_cheapest(&w, EXITS - 1, limit);

    (void)state;
    assert_float_equal(
        limit, w.fixed[EXITS - 1].at.loss + 0.1 * (w.fixed[0].at.loss - w.fixed[EXITS - 1].at.loss),
        1e-12);
    assert_true(b > 0 && w.frontier[EXITS - 1].ours[b].at.loss <= limit);
    assert_true(w.frontier[EXITS - 1].ours[b - 1].at.loss > limit);
    assert_int_equal(sweep_cheapest(&w, EXITS - 1, -1), -1);
    sweep_free(&w);
    calibration_free(&p);
}

static void test_sweep_below_the_first_exit(void **state)
{
    calibration p = problem(20, 8);
    sweep_spec spec = {.budgets = 4, .from = 0.01, .to = 0.02, .seed = 1, .threads = 1};
    sweep w;

    (void)state;
    assert_int_equal(sweep_make(&p, &spec, &w, &err), DEER_INFEASIBLE);
    assert_non_null(strstr(err.message, "first exit"));
    calibration_free(&p);
}

/* ---------------------------------------------------------------- intervals ---------------- */

/* Episodes of one step whose losses are 0 or 1: the interval is that of a proportion. */
static void test_bootstrap_of_a_proportion(void **state)
{
    enum { N = 900 };
    sweep_point x = {.at = {.max_exit = 0, .tau = {INFINITY}}}, again = x;
    double width = 2 * 1.96 * sqrt(0.3 * 0.7 / N);
    bootstrap b;
    steps s;

    (void)state;
    ok(steps_alloc(N, 1, 1, &s, &err));
    s.episodes = N;
    s.cost[0] = 2;
    for (int i = 0; i < N; i++) {
        s.episode[i] = i;
        s.loss[i] = i % 10 < 3;
    }
    ok(bootstrap_make(&s, 1, &b, &err));
    ok(bootstrap_point(&b, &s, &x));
    ok(bootstrap_point(&b, &s, &again));
    assert_memory_equal(&x, &again, sizeof x);
    assert_float_equal((x.loss_95.low + x.loss_95.high) / 2, 0.3, 0.004);
    assert_float_equal(x.loss_95.high - x.loss_95.low, width, 0.1 * width);
    assert_float_equal(x.cost_95.low, 2, 1e-12);
    bootstrap_free(&b);
    steps_free(&s);
}

/* ---------------------------------------------------------------- guarantees --------------- */

/* Halves the losses of the episodes that a guarantee is tested on. */
static void improve_others(steps *s, uint64_t seed)
{
    guarantee_spec spec = {.share = GUARANTEE_SHARE, .seed = seed};
    bool *solving = malloc((size_t)s->episodes * sizeof *solving);

    ok(guarantee_split(&spec, s->episodes, solving, &err));
    for (int64_t i = 0; i < s->n; i++)
        for (int k = 0; k < s->exits && !solving[s->episode[i]]; k++)
            s->loss[k * s->n + i] /= 2;
    free(solving);
}

/* The budget guaranteed depends on the episodes solved on alone, and on the demands. */
static void test_guaranteed_budget_knows_nothing_of_others(void **state)
{
    question q = {.confidence = 0.9, .seed = 3, .budgets = BUDGETS, .from = NAN, .to = NAN};
    const success_curve success = {.n = 2, .row = {{.cost = 0.1}, {.cost = 1.1, .value = 1}}};
    calibration p = problem(120, 5);
    trust before, after;

    (void)state;
    q.max_loss = q.min_success = NAN;
    ok(trust_guarantee(&p, &q, &success, NULL, 0, &before, &err));
    assert_true(before.guaranteed);
    improve_others(&p.s, q.seed);
    ok(trust_guarantee(&p, &q, &success, NULL, 0, &after, &err));
    assert_true(after.guaranteed && after.given.budget == before.given.budget);
    q.min_success = 0.75; /* at a cost of 0.85 */
    ok(trust_guarantee(&p, &q, &success, NULL, 0, &after, &err));
    assert_true(after.given.budget >= 0.85 && after.given.budget < 0.95);
    q.to = 0.8;
    ok(trust_guarantee(&p, &q, &success, NULL, 0, &after, &err));
    assert_true(after.given.budget == 0.8);
    q.to = 5;
    q.min_success = 1;
    ok(trust_guarantee(&p, &q, &success, NULL, 0, &after, &err));
    assert_true(after.given.budget == 5);
    calibration_free(&p);
}

/* ---------------------------------------------------------------- tasks -------------------- */

/* 60 tasks: the first of three episodes, the others of one; two steps an episode. */
enum { MANY = 60, EPISODES = MANY + 2 };

static cache many_tasks(cache_episode *episode)
{
    cache c = {.about.episodes = EPISODES, .steps = 2 * EPISODES, .episode = episode};

    for (int e = 0; e < EPISODES; e++) {
        episode[e] = (cache_episode){.steps = 2, .first = 2 * e};
        snprintf(episode[e].task, sizeof episode[e].task, "task %02d", e < 3 ? 0 : e - 2);
        snprintf(episode[e].name, sizeof episode[e].name, "demo_%d", e);
    }
    return c;
}

static steps two_exits(void)
{
    steps s;

    ok(steps_alloc(2 * EPISODES, 2, 1, &s, &err));
    s.episodes = EPISODES;
    for (int i = 0; i < 2 * EPISODES; i++) {
        s.episode[i] = i / 2;
        s.delta[i] = i % 2; /* the second step of an episode goes deeper */
        s.loss[i] = (float)i / 1000;
    }
    return s;
}

static void test_tasks_are_counted(void **state)
{
    static cache_episode episode[EPISODES];
    cache c = many_tasks(episode);
    steps s = two_exits();
    sweep_point x = {.at = {.max_exit = 1, .tau = {0.5f, INFINITY}}};
    task_sums sums[TASKS_MOST];
    int64_t total = 0;
    tasks t;

    (void)state;
    ok(tasks_make(&c, &t, &err));
    assert_int_equal(t.n, TASKS_MOST);
    assert_string_equal(t.row[0].name, "task 00");
    assert_int_equal(t.row[0].episodes, 3);
    assert_string_equal(t.row[TASKS_MOST - 1].name, "(others)");
    assert_int_equal(t.row[TASKS_MOST - 1].episodes, MANY - (TASKS_MOST - 1));
    tasks_count(&t, &s, &x, sums);
    assert_int_equal(sums[0].count[0], 3);
    assert_int_equal(sums[0].count[1], 3);
    for (int i = 0; i < t.n; i++)
        total += sums[i].count[0] + sums[i].count[1];
    assert_int_equal(total, s.n);
    tasks_free(&t);
    steps_free(&s);
}

static void test_hardest_moments_come_first(void **state)
{
    static cache_episode episode[EPISODES];
    cache c = many_tasks(episode);
    steps s = two_exits();
    sweep_point x = {.at = {.max_exit = 1, .tau = {0.5f, INFINITY}}};
    task_moment moment[5];

    (void)state;
    assert_int_equal(tasks_moments(&c, &s, &x, moment, 5), 5);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(moment[i].episode, EPISODES - 1 - i); /* losses grow with the episode */
        assert_int_equal(moment[i].step, 1);
        assert_int_equal(moment[i].exit, 1);
    }
    steps_free(&s);
}

/* ---------------------------------------------------------------- templates ---------------- */

static deer_status no_part(void *context, const char *name, int item, FILE *out, deer_error *e)
{
    (void)context;
    (void)e;
    fprintf(out, "[%s %d]", name, item);
    return DEER_OK;
}

/* What a template makes of JSON; the caller frees it. NULL where it makes no sense. */
static char *filled(const char *template, const char *json)
{
    json_t *root = json_loads(json, 0, NULL);
    char *text = NULL;
    size_t size = 0;
    fill f = {.out = open_memstream(&text, &size), .part = no_part};
    deer_status status = fill_template(&f, template, root, &err);

    assert_non_null(root);
    fclose(f.out);
    json_decref(root);
    if (!status)
        return text;
    free(text);
    return NULL;
}

static void assert_filled(const char *template, const char *json, const char *expected)
{
    char *text = filled(template, json);

    assert_non_null(text);
    assert_string_equal(text, expected);
    free(text);
}

static void test_templates_are_filled(void **state)
{
    const char *json =
        "{\"a\": {\"b\": [1.5, 2.25, 3, null]}, \"name\": \"<i>\", \"at\": 1, \"no\": [],"
        " \"of\": [{\"x\": 1, \"k\": 1}, {\"x\": \"y\", \"k\": 0}], \"m\": {\"p\": {\"v\": 7}}}";

    (void)state;
    assert_filled("{{name}} {{a.b[0]}} {{a.b[-2]}} {{a.b[at]}} {{a.b[3]}}", json,
                  "&lt;i&gt; 1.50 3 2.25 &ndash;");
    assert_filled("{{a.b range}} {{a.b list}} {{a.b[at] within a.b}} {{a.b[2] between at a.b[0]}}",
                  json,
                  "2.25 <small>1.50 to 3.00</small> 1.50 2.25 3.00 always 2.25 <small>1.50 to "
                  "2.25</small> 3.00 <small>1.00 to 1.50</small>");
    assert_filled("{{#each of}}{{@}}{{x}}{{name}}{{of[k].x}};{{!part}}{{/}}", json,
                  "01&lt;i&gt;y;[part 0]1y&lt;i&gt;1;[part 1]");
    assert_filled("{{#each m}}{{@}}={{v}}{{/}}{{#with a}}{{b[0]}}{{/}}{{#with none}}!{{/}}", json,
                  "p=71.50");
    assert_filled("{{#if no}}1{{/}}{{#unless no}}2{{/}}{{#is of[1].x y}}3{{/}}{{#is at 2}}4{{/}}",
                  json, "23");
    assert_filled("{{none.of[9].this[-1]}}|{{#each none}}!{{/}}", json, "&ndash;|");
}

static void test_templates_that_make_no_sense(void **state)
{
    static const char *const bad[] = {"{{#if a}}", "{{a", "{{a wrong}}", "{{#loop a}}{{/}}"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_null(filled(bad[i], "{\"a\": 1}"));
        assert_non_null(strstr(err.message, "template"));
    }
}

/* What a report of these steps, as a table, comes to; says, if it fails, these words. */
static deer_status report_of(const steps *s, const char *words)
{
    char path[] = "/tmp/deer-table-XXXXXX";
    const question q = {
        .table = path, .cost_unit = "ms", .budgets = 3, .from = NAN, .to = NAN, .threads = 1};
    table_report r;
    deer_status status;

    close(mkstemp(path));
    assert_int_equal(table_file_write(path, s, NULL, &err), DEER_OK);
    status = table_report_make(&q, &r, &err);
    if (status)
        assert_non_null(strstr(err.message, words));
    else
        table_report_free(&r);
    unlink(path);
    return status;
}

/* There is no share of nothing. */
static void test_table_without_costs(void **state)
{
    synthetic_spec spec = synthetic_default(3, 20, 1);
    steps s;

    (void)state;
    assert_int_equal(synthetic_make(&spec, &s, &err), DEER_OK);
    for (int k = 0; k < 3; k++)
        s.cost[k] = 0;
    assert_int_equal(report_of(&s, "costs nothing"), DEER_FAILED);
    steps_free(&s);
}

/* 0 where an exit agrees, no number where it must not be left at: a threshold of 0 chooses. */
static void test_table_of_yes_and_never(void **state)
{
    synthetic_spec spec = synthetic_default(3, 20, 1);
    steps s;

    (void)state;
    assert_int_equal(synthetic_make(&spec, &s, &err), DEER_OK);
    for (int64_t i = 0; i < 2 * s.n; i++)
        s.delta[i] = i % 3 ? 0 : NAN;
    assert_int_equal(report_of(&s, ""), DEER_OK);
    for (int64_t i = 0; i < 2 * s.n; i++)
        s.delta[i] = 0;
    assert_int_equal(report_of(&s, "tells no step from another"), DEER_FAILED);
    steps_free(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_templates_are_filled),
        cmocka_unit_test(test_templates_that_make_no_sense),
        cmocka_unit_test(test_text_is_escaped),
        cmocka_unit_test(test_text_becomes_utf8),
        cmocka_unit_test(test_numbers_have_three_digits),
        cmocka_unit_test(test_base64),
        cmocka_unit_test(test_success_lies_between_evaluations),
        cmocka_unit_test(test_evaluations_of_other_starts_do_not_compare),
        cmocka_unit_test(test_sign_test),
        cmocka_unit_test(test_pairs_of_rollouts),
        cmocka_unit_test(test_pairs_of_rows),
        cmocka_unit_test(test_pairs_within),
        cmocka_unit_test(test_pairs_share_their_starts),
        cmocka_unit_test(test_success_is_of_a_policy),
        cmocka_unit_test(test_success_of_one_evaluation),
        cmocka_unit_test(test_frontiers_keep_their_budgets),
        cmocka_unit_test(test_walks_come_close_to_solving),
        cmocka_unit_test(test_frontiers_with_gaps),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_cheapest_and_what_depth_gains),
        cmocka_unit_test(test_sweep_below_the_first_exit),
        cmocka_unit_test(test_bootstrap_of_a_proportion),
        cmocka_unit_test(test_guaranteed_budget_knows_nothing_of_others),
        cmocka_unit_test(test_tasks_are_counted),
        cmocka_unit_test(test_hardest_moments_come_first),
        cmocka_unit_test(test_table_without_costs),
        cmocka_unit_test(test_table_of_yes_and_never),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
