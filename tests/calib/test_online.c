/* SPDX-License-Identifier: MIT */
/* test_online.c - the search for thresholds by trial: its arithmetic, and what it finds. */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <math.h>
#include <nlopt.h>

#include "calib/online/evaluator.h"
#include "calib/online/journal.h"
#include "calib/online/lapack.h"
#include "calib/online/path.h"
#include "runtime/base/clock.h"
#include "runtime/base/file.h"
#include "runtime/base/random.h"
#include "runtime/base/tau.h"
#include "runtime/deer_replay.h"

static deer_error error;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", error.message);
}

/* ---------------------------------------------------------------- arithmetic --------------- */

/* Two numbers: the inverse of a 2 x 2 matrix by hand. */
static void test_posterior_in_closed_form(void **state)
{
    const double x[2] = {0.2, 0.7}, y[2] = {1, 3}, noise[2] = {0.1, 0.4}, at = 0.4;
    gaussian g = {.mean = 0.5, .variance = 2, .length = 0.6};
    double k[3], near[2], a, b, c, det, mean, variance, expected_mean, expected_variance;

    (void)state;
    for (int i = 0; i < 3; i++) {
        double r = sqrt(5) * (i == 0 ? 0.5 : i == 1 ? 0.2 : 0.3) / 0.6;
        k[i] = 2 * (1 + r + r * r / 3) * exp(-r);
    }
    near[0] = k[1];
    near[1] = k[2];
    a = 2.1, b = k[0], c = 2.4;
    det = a * c - b * b;
    expected_mean = 0.5 + (near[0] * (c * 0.5 - b * 2.5) + near[1] * (a * 2.5 - b * 0.5)) / det;
    expected_variance =
        2 - (near[0] * (c * near[0] - b * near[1]) + near[1] * (a * near[1] - b * near[0])) / det;
    ok(gaussian_condition(&g, 1, 2, x, y, noise, &error));
    gaussian_predict(&g, &at, &mean, &variance);
    assert_true(fabs(mean - expected_mean) < 1e-12);
    assert_true(fabs(variance - expected_variance) < 1e-12);
    gaussian_free(&g);
}

/* The grid's likeliest length is near the true one, and what is left out is foretold. */
static void test_fit_foretells(void **state)
{
    enum { N = 60 };
    double x[N], y[N], noise[N], worst = 0;
    gaussian g;

    (void)state;
    for (int i = 0; i < N; i++) {
        x[i] = (i + 0.5) / N;
        y[i] = sin(6 * x[i]);
        noise[i] = 1e-6;
    }
    ok(gaussian_fit(&g, 1, N, x, y, noise, &error));
    for (double at = 0.05; at < 0.95; at += 0.013) {
        double mean, variance;
        gaussian_predict(&g, &at, &mean, &variance);
        worst = fmax(worst, fabs(mean - sin(6 * at)));
    }
    assert_true(worst < 1e-3);
    gaussian_free(&g);
}

static void test_improvement_is_the_integral(void **state)
{
    static const double cases[][3] = {{0.7, 0.04, 0.8}, {0.9, 0.01, 0.8}, {0, 1, 2}, {0.5, 0, 0.3}};

    (void)state;
    for (int i = 0; i < 4; i++) {
        double mean = cases[i][0], deviation = sqrt(cases[i][1]), best = cases[i][2], sum = 0;
        for (int j = -80000; j <= 80000; j++) {
            double z = j / 1e4;
            sum += fmax(0, mean + deviation * z - best) * exp(-z * z / 2) / sqrt(2 * M_PI) / 1e4;
        }
        assert_true(fabs(expected_improvement(mean, cases[i][1], best) - sum) < 1e-6);
    }
    assert_true(fabs(probability_below(1, 4, 1 + 2 * 1.959964) - 0.975) < 1e-6);
    assert_true(probability_below(1, 0, 1) == 1 && probability_below(1, 0, 0.9) == 0);
}

/* ---------------------------------------------------------------- a made-up robot ---------- */

enum { ROLLOUTS = 29 };

/* Succeeds more at more cost, and best at a tilt of 0.7; the offline answer, in the middle, is
 * wrong about the cost, too. */
static double success_at(const double *x)
{
    return 0.55 + 0.35 * x[0] - 0.8 * (x[1] - 0.7) * (x[1] - 0.7);
}

static double cost_at(const double *x)
{
    return (0.7 + 0.6 * x[0]) * (1.05 + 0.1 * (x[1] - 0.5));
}

static double expected_cost(const void *context, const double *x)
{
    (void)context;
    return 0.7 + 0.6 * x[0];
}

/* The best that costs at most 1, on a fine grid. */
static double best_possible(void)
{
    double best = 0;

    for (double a = 0; a <= 1; a += 0.002)
        for (double b = 0; b <= 1; b += 0.002) {
            double x[2] = {a, b};
            if (cost_at(x) <= 1)
                best = fmax(best, success_at(x));
        }
    return best;
}

typedef struct {
    uint64_t seed;
    int calls, die_at; /* fails at so many calls; 0: never */
    double episodes;
    online_result known[GAUSSIAN_MOST]; /* a journal */
    bool is_known[GAUSSIAN_MOST];
} robot;

/* The rollouts of a unit have the same luck for every point. */
static online_result roll(const robot *r, const double *x, int unit)
{
    uint64_t luck = random_mix(r->seed * 1000 + (uint64_t)unit);
    int n = ROLLOUTS * online_unit_size(unit), good = 0;
    double cost = 0;

    for (int i = 0; i < n; i++) {
        good += random_unit(&luck) < success_at(x);
        cost += cost_at(x) * (1 + 0.2 * random_normal(&luck));
    }
    return (online_result){(double)good / n, n, cost / n};
}

static deer_status try_all(void *context, const online_trial *t, int count, online_result *result,
                           deer_error *err)
{
    robot *r = context;

    for (int i = 0; i < count; i++) {
        int at = t[i].number;
        if (!r->is_known[at]) {
            if (r->die_at && r->calls == r->die_at)
                return deer_fail(err, "killed");
            r->calls++;
            r->episodes += online_unit_size(t[i].unit);
            r->known[at] = roll(r, t[i].x, t[i].unit);
            r->is_known[at] = true;
        }
        result[i] = r->known[at];
    }
    return DEER_OK;
}

static online_spec spec_of(int evaluations, int batch)
{
    return (online_spec){.d = 2,
                         .limit = 1,
                         .expected = expected_cost,
                         .evaluations = evaluations,
                         .batch = batch,
                         .seed = 1};
}

/* How much less than the best possible a point succeeds; what it costs too much counts double. */
static double regret(const double *x)
{
    return best_possible() - success_at(x) + 2 * fmax(0, cost_at(x) - 1);
}

static void test_finds_the_constrained_optimum(void **state)
{
    static online_answer a;
    double sum = 0, worst = 0, start = 0;

    (void)state;
    for (int seed = 1; seed <= 10; seed++) {
        robot r = {.seed = (uint64_t)seed};
        online_spec spec = spec_of(30, 1 + seed % 3);
        ok(online_search(&spec, try_all, &r, &a, &error));
        assert_int_equal(a.trials, 30);
        sum += regret(a.candidate[a.best].x);
        worst = fmax(worst, cost_at(a.candidate[a.best].x));
        start = regret(a.candidate[0].x);
        assert_true(a.candidate[0].x[0] == 0.5 && a.candidate[0].x[1] == 0.5);
    }
    printf("regret %.4f, of the start %.4f; most cost %.4f\n", sum / 10, start, worst);
    assert_true(sum / 10 < start / 2);
    assert_true(worst < 1.06);
}

/* ---------------------------------------------------------------- against others ----------- */

/* The official code's way, from its description: expected improvement, 20 evaluations, each of
 * all episodes, too dear ones marked down. */
static double official_way(uint64_t seed, double *episodes)
{
    enum { TRIALS = 20 };
    robot r = {.seed = seed};
    double x[TRIALS * 2], y[TRIALS], noise[TRIALS], best = -INFINITY;
    uint64_t random = seed;
    int found = 0;

    for (int n = 0; n < TRIALS; n++) {
        double most = -INFINITY, sums[3] = {0};
        gaussian g = {.n = 0};
        if (n >= 5)
            ok(gaussian_fit(&g, 2, n, x, y, noise, &error));
        for (int i = 0; i < (n < 5 ? 1 : 512); i++) {
            double at[2] = {random_unit(&random), random_unit(&random)}, mean = 0, variance = 1;
            if (n >= 5)
                gaussian_predict(&g, at, &mean, &variance);
            if (expected_improvement(mean, variance, n < 5 ? 0 : best) > most) {
                most = expected_improvement(mean, variance, n < 5 ? 0 : best);
                memcpy(x + 2 * n, at, sizeof at);
            }
        }
        gaussian_free(&g);
        for (int unit = 0; unit < ONLINE_UNITS; unit++) {
            online_result u = roll(&r, x + 2 * n, unit);
            sums[0] += u.rollouts;
            sums[1] += u.rollouts * u.success;
            sums[2] += u.rollouts * u.cost;
            *episodes += online_unit_size(unit);
        }
        y[n] = sums[1] / sums[0] - 2 * fmax(0, sums[2] / sums[0] - 1);
        noise[n] = 0.2 / sums[0];
        if (y[n] > best) {
            best = y[n];
            found = n;
        }
    }
    return regret(x + 2 * found);
}

typedef struct {
    robot r;
    int unit;
} objective;

static double marked_down(unsigned n, const double *x, double *gradient, void *context)
{
    objective *o = context;
    online_result u = roll(&o->r, x, o->unit);

    (void)n;
    (void)gradient;
    o->r.episodes += online_unit_size(o->unit);
    return -u.success + 2 * fmax(0, u.cost - 1);
}

static double by_nlopt(nlopt_algorithm how, uint64_t seed, int trials, double *episodes)
{
    objective o = {{.seed = seed}, 3};
    nlopt_opt opt = nlopt_create(how, 2);
    double x[2] = {0.5, 0.5}, least;

    nlopt_srand((unsigned long)seed);
    nlopt_set_min_objective(opt, marked_down, &o);
    nlopt_set_lower_bounds1(opt, 0);
    nlopt_set_upper_bounds1(opt, 1);
    nlopt_set_initial_step1(opt, 0.2);
    nlopt_set_maxeval(opt, trials);
    nlopt_optimize(opt, x, &least);
    nlopt_destroy(opt);
    *episodes += o.r.episodes;
    return regret(x);
}

/* At half of the official way's evaluations the search finds what is no worse. */
static void test_against_the_official_way_and_nlopt(void **state)
{
    enum { SEEDS = 10 };
    static const struct {
        const char *name;
        nlopt_algorithm how;
    } others[] = {
        {"sbplx", NLOPT_LN_SBPLX}, {"bobyqa", NLOPT_LN_BOBYQA}, {"crs2", NLOPT_GN_CRS2_LM}};
    static online_answer a;
    double ours = 0, official = 0, our_episodes = 0, official_episodes = 0;

    (void)state;
    for (int seed = 1; seed <= SEEDS; seed++) {
        robot r = {.seed = (uint64_t)seed};
        online_spec spec = spec_of(36, 1);
        ok(online_search(&spec, try_all, &r, &a, &error));
        ours += regret(a.candidate[a.best].x) / SEEDS;
        our_episodes += r.episodes / SEEDS;
        official += official_way((uint64_t)seed, &official_episodes) / SEEDS;
    }
    official_episodes /= SEEDS;
    printf("ours     regret %.4f at %.0f units\n", ours, our_episodes);
    printf("official regret %.4f at %.0f units\n", official, official_episodes);
    for (int i = 0; i < 3; i++) {
        double sum = 0, episodes = 0;
        for (int seed = 1; seed <= SEEDS; seed++)
            sum += by_nlopt(others[i].how, (uint64_t)seed, 10, &episodes) / SEEDS;
        printf("%-8s regret %.4f at %.0f units\n", others[i].name, sum, episodes / SEEDS);
    }
    assert_true(our_episodes <= official_episodes / 2);
    assert_true(ours <= official + 0.005);
}

/* ---------------------------------------------------------------- stopping ----------------- */

/* Ended at any trial, and begun again with what is known, it comes to the same answer. */
static void test_goes_on_where_it_stopped(void **state)
{
    static online_answer whole, parts;
    static robot one, two;

    (void)state;
    for (int batch = 1; batch <= 3; batch += 2) {
        online_spec spec = spec_of(20, batch);
        one = (robot){.seed = 5};
        two = (robot){.seed = 5};
        ok(online_search(&spec, try_all, &one, &whole, &error));
        for (two.die_at = 1; two.die_at < 20; two.die_at++)
            assert_int_equal(online_search(&spec, try_all, &two, &parts, &error), DEER_FAILED);
        two.die_at = 0;
        ok(online_search(&spec, try_all, &two, &parts, &error));
        assert_int_equal(two.calls, 20);
        assert_memory_equal(&whole, &parts, sizeof whole);
    }
}

/* ---------------------------------------------------------------- evaluators --------------- */

static void says(const char *words)
{
    assert_null(strchr(error.message, '\n'));
    if (!strstr(error.message, words))
        fail_msg("'%s' does not say '%s'", error.message, words);
}

static online_result evaluate_within(double seconds, const char *command, deer_status expected)
{
    const evaluator e = {.command = command, .cost = "llm_gflops", .timeout = seconds};
    online_result r = {0};

    assert_int_equal(evaluator_run(&e, "/tmp/a b", 7, 3, &r, &error), expected);
    return r;
}

static online_result evaluate(const char *command, deer_status expected)
{
    return evaluate_within(60, command, expected);
}

static void test_evaluators(void **state)
{
    online_result r = evaluate("echo '{\"success\": 0.5, \"cost\": 2, \"rollouts\": 4}'", DEER_OK);
    double started;

    (void)state;
    assert_true(r.success == 0.5 && r.cost == 2 && r.rollouts == 4);
    r = evaluate("echo '{\"success\": 1, \"llm_gflops\": 0.25, \"total_gflops\": 9}'", DEER_OK);
    assert_true(r.success == 1 && r.cost == 0.25 && r.rollouts == 1);
    r = evaluate(
        "test {thresholds} = '/tmp/a b' && echo \"{\\\"success\\\": 0, \\\"cost\\\": {seed}, "
        "\\\"rollouts\\\": {episodes}}\"",
        DEER_OK);
    assert_true(r.cost == 7 && r.rollouts == 3);

    evaluate("echo first >&2; echo 'no robot here' >&2; exit 3", DEER_FAILED);
    says("ended with status 3 (no robot here)");
    evaluate("/no/such/program", DEER_FAILED);
    says("ended with status 127");
    evaluate("kill -9 $$", DEER_FAILED);
    says("killed by signal 9");
    evaluate("echo garbage", DEER_FAILED);
    says("printed no JSON object");
    evaluate("true", DEER_FAILED);
    says("printed no JSON object");
    evaluate("echo '[1]'", DEER_FAILED);
    says("printed no JSON object");
    evaluate("echo '{\"success\": 1.5, \"cost\": 1}'", DEER_FAILED);
    says("no \"success\" from 0 to 1");
    evaluate("echo '{\"success\": true, \"cost\": 1}'", DEER_FAILED);
    says("no \"success\" from 0 to 1");
    evaluate("echo '{\"success\": 1, \"cost\": -1}'", DEER_FAILED);
    says("no \"cost\" above 0, nor \"llm_gflops\"");
    evaluate("echo '{\"success\": 1, \"cost\": 1, \"rollouts\": 0}'", DEER_FAILED);
    says("must be 1 or more");

    started = clock_seconds();
    evaluate_within(0.5, "sleep 300 & sleep 300", DEER_FAILED);
    says("took more than 0.5 seconds");
    evaluate_within(0.5, "exec >&- 2>&-; sleep 300", DEER_FAILED);
    says("took more than 0.5 seconds");
    assert_true(clock_seconds() - started < 200);
    evaluate("yes", DEER_FAILED);
    says("printed more than");
}

/* A process that has ended may wait for somebody to ask how. */
static bool is_alive(int pid)
{
    char path[32], state = 'Z';
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    f = fopen(path, "r");
    if (f && fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
        state = 'Z';
    if (f)
        fclose(f);
    return state != 'Z';
}

/* Whatever becomes of the search, the command ends with it. */
static void test_no_evaluator_is_left_behind(void **state)
{
    char folder[] = "/tmp/deer-test-XXXXXX", path[64], command[300];
    const evaluator e = {.command = command, .timeout = 60};
    int tries = 0, left = 0;
    FILE *f = NULL;
    pid_t pid;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/pid", folder);
    snprintf(command, sizeof command, "sleep 60 & echo $! >%s.new; mv %s.new %s; wait", path, path,
             path);
    pid = fork();
    if (pid == 0) {
        online_result r;
        evaluator_run(&e, "t", 1, 1, &r, &error);
        _exit(0);
    }
    for (; !f && tries < 2000; tries++) {
        f = fopen(path, "r");
        usleep(5000);
    }
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%d", &left), 1);
    fclose(f);
    assert_true(is_alive(left));
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    for (tries = 0; is_alive(left) && tries < 2000; tries++)
        usleep(5000);
    assert_false(is_alive(left));
    unlink(path);
    rmdir(folder);
}

/* ---------------------------------------------------------------- journals ----------------- */

static void test_journal(void **state)
{
    const online_trial one = {.number = 0, .x = {0.1, 1.0 / 3}}, other = {.number = 0, .x = {0.1}};
    const online_result result = {1.0 / 7, 29, 0.1 + 0.2};
    static const char damaged[] =
        "{\"deer_online\": 1, \"settings\": \"s\", \"trials\": [{\"success\": 2}]}";
    online_result r;
    char folder[] = "/tmp/deer-test-XXXXXX", path[64];
    journal *j;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/j", folder);
    ok(journal_open(path, "these", &j, &error));
    assert_false(journal_find(j, &one, &r));
    ok(journal_add(j, &one, &result, &error));
    assert_true(journal_find(j, &one, &r));
    journal_close(j);
    ok(journal_open(path, "these", &j, &error)); /* bit for bit */
    assert_int_equal(journal_known(j), 1);
    assert_true(journal_find(j, &one, &r));
    assert_memory_equal(&r, &result, sizeof r);
    assert_false(journal_find(j, &other, &r));
    journal_close(j);
    assert_int_equal(journal_open(path, "those", &j, &error), DEER_FAILED);
    says("has results of other settings");
    ok(file_write(path, damaged, strlen(damaged), &error));
    assert_int_equal(journal_open(path, "s", &j, &error), DEER_FAILED);
    says("result 0 is damaged");
    ok(file_write(path, "{}", 2, &error));
    assert_int_equal(journal_open(path, "s", &j, &error), DEER_FAILED);
    says("is no journal");
    unlink(path);
    rmdir(folder);
}

/* ---------------------------------------------------------------- the path ----------------- */

static void test_path(void **state)
{
    deer_thresholds t = {.max_exit = 3, .exits = 4, .points = 3};
    const double middle[4] = {0.5, 0.5, 0.5, 0.5}, low[4] = {0, 0.5, 0.5, 0.5};
    const double early[4] = {0.5, 0, 0.5, 0.5}, first[4] = {0.5, 0.5, 1, 0.5};
    const online_path path = {&t, 2};
    float tau[4];

    (void)state;
    for (int i = 0; i < 3; i++) {
        t.point[i].budget_gflops = 1 + i;
        for (int k = 0; k < 3; k++)
            t.point[i].tau[k] = (float)pow(10, -i);
        t.point[i].tau[3] = TAU_ALWAYS;
    }
    t.point[1].tau[1] = TAU_NEVER;
    online_path_tau(&path, 4, middle, tau); /* the dial's own point */
    assert_memory_equal(tau, t.point[1].tau, sizeof tau);
    assert_true(online_path_cost(&path, middle) == 2);
    online_path_tau(&path, 1, low, tau); /* 1.4: four tenths of the way, of exponents */
    assert_true(fabsf(tau[0] - 0.3981072f) < 1e-5f && tau[1] == 1);
    assert_true(fabs(online_path_cost(&path, low) - 1.4) < 1e-12);
    online_path_tau(&path, 2, early, tau);
    assert_true(fabsf(tau[0] - 0.3f) < 1e-6f && tau[1] == TAU_NEVER);
    assert_true(fabsf(tau[2] - 0.1f / 3) < 1e-6f && tau[3] == TAU_ALWAYS);
    online_path_tau(&path, 3, first, tau);
    assert_true(fabsf(tau[0] - 0.3f) < 1e-6f && fabsf(tau[2] - 0.1f) < 1e-7f);
}

static void test_what_is_refused(void **state)
{
    static online_answer a;
    robot r = {.seed = 1};
    online_spec spec = spec_of(10, 1);

    (void)state;
    spec.d = 5;
    assert_int_equal(online_search(&spec, try_all, &r, &a, &error), DEER_USAGE);
    spec = spec_of(GAUSSIAN_MOST + 1, 1);
    assert_int_equal(online_search(&spec, try_all, &r, &a, &error), DEER_USAGE);
    spec = spec_of(10, 0);
    assert_int_equal(online_search(&spec, try_all, &r, &a, &error), DEER_USAGE);
}

/* OpenBLAS, where LAPACK is that, would start some, and the programs tried would inherit what keeps
 * it from that. Where one has chosen, it is left alone. */
static void test_no_threads(void **state)
{
    DIR *tasks = opendir("/proc/self/task");
    int threads = 0;

    (void)state;
    ok(lapack_open(&error));
    assert_non_null(tasks);
    for (struct dirent *e; (e = readdir(tasks));)
        threads += *e->d_name != '.';
    closedir(tasks);
    assert_int_equal(threads, 1);
    assert_null(getenv("OPENBLAS_NUM_THREADS"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_threads),
        cmocka_unit_test(test_posterior_in_closed_form),
        cmocka_unit_test(test_fit_foretells),
        cmocka_unit_test(test_improvement_is_the_integral),
        cmocka_unit_test(test_finds_the_constrained_optimum),
        cmocka_unit_test(test_against_the_official_way_and_nlopt),
        cmocka_unit_test(test_goes_on_where_it_stopped),
        cmocka_unit_test(test_evaluators),
        cmocka_unit_test(test_no_evaluator_is_left_behind),
        cmocka_unit_test(test_journal),
        cmocka_unit_test(test_path),
        cmocka_unit_test(test_what_is_refused),
    };

    unsetenv("OPENBLAS_NUM_THREADS");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
