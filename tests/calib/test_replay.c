/* SPDX-License-Identifier: MIT */
/* test_replay.c - what replay caches, and the histories replayed from it, against the runtime. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "budgets/cost/cost.h"
#include "calib/criterion/combined.h"
#include "calib/criterion/regression.h"
#include "calib/pipeline/onpolicy.h"
#include "calib/pipeline/rules.h"
#include "calib/replay/replay.h"
#include "runtime/base/threads/threads.h"
#include "runtime/policy/exit_policy.h"
#include "runtime/thresholds/thresholds_format.h"
#include "tests/base/with_threads.h"
#include "tests/calib/calib_world.h"

/* Features are cached in float16; actions computed from them differ from the runtime's by that.
 * This policy's head is drawn at random with six times the usual gain, which makes the most of it.
 */
static const double half_tolerance = 0.02;

enum { EPISODES = 21 };

static world w;
static char folder[128];
static deer_error err;
static cache *cached;
static deer_model *model;

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

static int set_up(void **state)
{
    replay_spec spec = {.model = w.model,
                        .demos = (const char *const[]){w.demos},
                        .files = 1,
                        .cache = folder,
                        .threads = 2,
                        .batch = 5,
                        .per_shard = 4};
    replay_report report;

    (void)state;
    world_make(&w, "tests/data/golden_a", EPISODES);
    snprintf(folder, sizeof folder, "%s/cache", w.folder);
    with_threads(3);
    ok(replay(&spec, &report, &err));
    assert_int_equal(threads_count(), 3);
    assert_int_equal(report.episodes, EPISODES);
    assert_int_equal(report.replayed, report.steps);
    assert_int_equal(report.missing, 0);
    ok(cache_open(folder, &cached, &err));
    ok(deer_model_open(w.model, DEER_ALL_EXITS, &model, &err));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    deer_model_close(model);
    cache_close(cached);
    world_remove(&w);
    return 0;
}

static const float *action_at(const float *action, int64_t row, int exit_row)
{
    return action + ((size_t)row * (size_t)(1 + cached->exits) + (size_t)exit_row) * CACHE_ACTION;
}

/* The exit that thresholds choose from a row of actions, and their criterion's values up to it. */
static int chosen_exit(const float *action, int64_t row, const deer_thresholds *t,
                       const float *last, float value[DEER_MAX_EXITS])
{
    deer_exit_trial trial;

    deer_exit_trial_begin(&trial, t->criterion, t->score, last, action_at(action, row, 0));
    for (int k = 0;; k++) {
        const float *here = action_at(action, row, k + 1);

        value[k] = deer_exit_trial_next(&trial, here, here[DEER_POSE]);
        if (exit_policy_stop(t, k, value[k]))
            return k;
    }
}

/* Compares what the runtime did at one step with the replayed row. False when they took different
 * exits, which only a value beside its threshold excuses. taken: the exits replayed, where a rule
 * chose them; NULL: as the thresholds say. */
static bool compare_step(const deer_action *done, const float *action, int64_t row,
                         const uint8_t *taken, const deer_thresholds *t, const float *last,
                         double tolerance)
{
    const float *there = action_at(action, row, 1 + done->exit);
    float value[DEER_MAX_EXITS];
    int exit = taken ? taken[row] : chosen_exit(action, row, t, last, value);
    int k = exit < done->exit ? exit : done->exit;

    for (int i = 0; i < DEER_POSE; i++)
        assert_true(fabs((double)there[i] - (double)done->pose[i]) < tolerance);
    assert_true(fabs((double)there[DEER_POSE] - (double)done->gripper_probability) < tolerance);
    if (exit == done->exit || taken)
        return exit == done->exit;
    assert_true(fabs((double)done->delta[k] - (double)t->tau[k]) < tolerance);
    return false;
}

/* Runs the runtime over an episode beside the rows of actions, until they take different exits. */
static void compare_with_runtime(int e, const deer_thresholds *t, const float *action,
                                 const uint8_t *taken, double tolerance, int *compared)
{
    demos *d;
    demo_episode episode;
    deer_session *session;
    deer_camera camera[2];
    float last[DEER_POSE] = {0};
    bool same = true;

    ok(demos_open(w.demos, &d, &err));
    ok(demos_read(d, e, &episode, &err));
    ok(deer_session_new(model, t, NULL, &session, &err));
    demo_episode_cameras(&episode, &camera[0], &camera[1]);
    ok(deer_session_set_cameras(session, &camera[0], &camera[1], &err));
    ok(deer_session_set_instruction(session, episode.instruction, &err));
    assert_int_equal(cached->episode[e].tokens, deer_session_tokens(session));
    for (int step = 0; step < episode.steps && same; step++) {
        deer_observation seen = demo_episode_observation(&episode, step);
        deer_action done;

        ok(deer_step(session, &seen, &done, &err));
        same =
            compare_step(&done, action, cached->episode[e].first + step, taken, t, last, tolerance);
        memcpy(last, done.pose, sizeof last);
        *compared += same;
    }
    deer_session_free(session);
    demo_episode_free(&episode);
    demos_close(d);
}

/* ---------------------------------------------------------------- the cache ---------------- */

static void test_episodes_are_described(void **state)
{
    int64_t first = 0;

    (void)state;
    assert_int_equal(cached->about.episodes, EPISODES);
    for (int e = 0; e < EPISODES; e++) {
        demo_episode d;

        world_episode(e, 1, &d);
        assert_string_equal(cached->episode[e].instruction, d.instruction);
        assert_string_equal(cached->episode[e].task, "lift");
        assert_int_equal(cached->episode[e].steps, d.steps);
        assert_int_equal(cached->episode[e].first, first);
        assert_memory_equal(cached->demonstration + first * CACHE_ACTION, d.actions,
                            (size_t)d.steps * CACHE_ACTION * sizeof(float));
        first += d.steps;
    }
    assert_int_equal(cached->steps, first);
}

/* Nothing is computed, or left behind. */
static void test_every_episode_needs_an_instruction(void **state)
{
    char path[128], made[128];
    replay_spec spec = {.model = w.model,
                        .demos = (const char *const[]){path},
                        .files = 1,
                        .cache = made,
                        .threads = 1,
                        .batch = 5,
                        .per_shard = 4};
    replay_report report;
    demos_writer *writer;
    demo_episode d;

    (void)state;
    snprintf(path, sizeof path, "%s/unspoken.h5", w.folder);
    snprintf(made, sizeof made, "%s/unspoken", w.folder);
    ok(demos_writer_open(path, "{}", &writer, &err));
    for (int e = 0; e < 3; e++) {
        world_episode(e, 1, &d);
        if (e == 1)
            *d.instruction = 0;
        ok(demos_writer_add(writer, &d, &err));
    }
    ok(demos_writer_finish(writer, &err));
    assert_int_equal(replay(&spec, &report, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "unspoken.h5: demo_1 has no instruction"));
    assert_int_equal(access(made, F_OK), -1);
}

/* The cached actions at full depth are the runtime's, to float32 rounding. */
static void test_cache_is_what_the_runtime_does(void **state)
{
    deer_thresholds deepest;
    int compared = 0;

    (void)state;
    thresholds_fix(model, cached->exits - 1, &deepest, NULL);
    for (int e = 0; e < EPISODES; e++)
        compare_with_runtime(e, &deepest, cached->action, NULL, 2e-5, &compared);
    assert_int_equal(compared, cached->steps);
}

/* delta k is the criterion between the rows k and k + 1. */
static void test_deltas(void **state)
{
    (void)state;
    for (int64_t row = 0; row < cached->steps; row++)
        for (int k = 0; k < cached->exits; k++)
            assert_true(cached->delta[row * cached->exits + k] ==
                        deer_criterion_delta(DEER_CRITERION_L2,
                                             action_at(cached->action, row, k + 1),
                                             action_at(cached->action, row, k)));
}

/* ---------------------------------------------------------------- histories ---------------- */

static calibration_actions history(history_kind kind, const float *tau, int max_exit, int threads)
{
    history_rule rule = {.kind = kind, .tau = tau, .max_exit = max_exit, .seed = 3};
    calibration_actions a;

    ok(history_replay(cached, model, &rule, threads, &a, &err));
    return a;
}

/* Full history from the cached features gives the cached actions, but for float16. */
static void test_full_history(void **state)
{
    calibration_actions a = history(HISTORY_FULL, NULL, cached->exits - 1, 2);
    double worst = 0;

    (void)state;
    assert_int_equal(a.n, cached->steps);
    for (size_t i = 0; i < (size_t)a.n * (size_t)(1 + cached->exits) * CACHE_ACTION; i++)
        worst = fmax(worst, fabs((double)a.action[i] - (double)cached->action[i]));
    print_message("float16 features change an action by at most %.2g\n", worst);
    assert_true(worst < half_tolerance && worst > 0);
    calibration_actions_free(&a);
}

/* Median delta of each exit: thresholds that make every exit be taken. */
static void median_thresholds(deer_thresholds *t)
{
    calibration_spec spec = {.max_exit = cached->exits - 1};
    calibration p;

    thresholds_fix(model, cached->exits - 1, t, NULL);
    ok(calibration_make(cached, &spec, NULL, &p, &err));
    for (int k = 0; k < cached->exits - 1; k++) {
        double sum = 0;

        for (int64_t i = 0; i < p.s.n; i++)
            sum += (double)p.s.delta[k * p.s.n + i];
        t->tau[k] = (float)(0.8 * sum / (double)p.s.n);
    }
    calibration_free(&p);
}

/* The head replayed under thresholds does what the runtime does under them. */
static void test_on_policy_history(void **state)
{
    deer_thresholds t;
    calibration_actions a;
    int compared = 0;

    (void)state;
    median_thresholds(&t);
    a = history(HISTORY_ON_POLICY, t.tau, t.max_exit, 2);
    for (int e = 0; e < EPISODES; e++)
        compare_with_runtime(e, &t, a.action, NULL, half_tolerance, &compared);
    print_message("%d of %lld steps before an exit differs\n", compared, (long long)cached->steps);
    assert_true(compared > cached->steps * 3 / 4);
    calibration_actions_free(&a);
}

/* ---------------------------------------------------------------- rules of exits ----------- */

/* Means by plain loops over what was replayed: losses over steps of an episode, then over episodes;
 * costs over steps. */
static void assert_verdict(const calibration_actions *a, const rule_verdict *v, int max_exit)
{
    double lost = 0, total = 0;
    int64_t i = 0;

    for (int e = 0; e < EPISODES; e++) {
        double sum = 0;
        deer_cost cost;

        deer_cost_of(&cached->about.config, cached->episode[e].tokens, WEIGHT_F32, &cost);
        for (int s = 0; s < cached->episode[e].steps; s++, i++) {
            const float *all = a->action + i * (1 + cached->exits) * CACHE_ACTION;
            const float *x = all + (1 + a->exit[i]) * CACHE_ACTION;
            const float *last = all + (1 + max_exit) * CACHE_ACTION;
            double square = 0;

            for (int d = 0; d < DEER_POSE; d++)
                square += pow((double)x[d] - (double)last[d], 2);
            sum += sqrt(square / 6) + ((x[6] > 0.5f) == (last[6] > 0.5f) ? 0 : 0.2);
            total += deer_gflops(deer_cost_step(&cost, a->exit[i], a->heads[i]));
        }
        lost += sum / cached->episode[e].steps;
    }
    assert_true(fabs(v->loss[0] - lost / EPISODES) < 1e-6);
    assert_true(fabs(v->total / (total / (double)i) - 1) < 1e-9);
    assert_int_equal(v->steps, i);
    assert_int_equal(v->episodes, EPISODES);
}

/* Under a rule, too, the head replayed does what the runtime does; what a step cost is said. */
static void test_rule_history(void **state)
{
    static const deer_exit_rule some[] = {{DEER_RULE_REFRESH, 1, 2, 0, {0}},
                                          {DEER_RULE_DEBT, 1, 0, 0.05f, {0}},
                                          {DEER_RULE_SPEED, 2, 0, 0.3f, {0}},
                                          {DEER_RULE_SCHEDULE, 0, 3, 0, {0, 2, 1}}};
    const calibration_spec problem = {.gripper_weight = LOSS_GRIPPER_WEIGHT,
                                      .max_exit = cached->exits - 1};
    deer_thresholds t;

    (void)state;
    median_thresholds(&t);
    for (size_t r = 0; r < sizeof some / sizeof *some; r++) {
        history_rule rule = {.kind = HISTORY_ON_POLICY,
                             .tau = t.tau,
                             .max_exit = cached->exits - 1,
                             .exits = &some[r]};
        rule_candidate x = {.rule = some[r]};
        calibration_actions a;
        rule_verdict v;
        int compared = 0;

        t.rule = some[r];
        memcpy(x.tau, t.tau, sizeof x.tau);
        ok(history_replay(cached, model, &rule, 2, &a, &err));
        for (int e = 0; e < EPISODES; e++)
            compare_with_runtime(e, &t, a.action, a.exit, half_tolerance, &compared);
        assert_true(compared > cached->steps * 3 / 4);
        if (some[r].kind == DEER_RULE_SCHEDULE)
            for (int64_t i = 0; i < cached->episode[0].steps; i++)
                assert_true(a.exit[i] == some[r].pattern[i % 3] && a.heads[i] == 1);
        ok(rule_judge(cached, model, &problem, &x, NULL, 2, &v, &err));
        assert_verdict(&a, &v, problem.max_exit);
        calibration_actions_free(&a);
    }
}

/* What is chosen keeps the budget on the episodes it was found on; on the others it is judged as
 * anything is; and it is the least of what was found there. */
static void test_rules_are_chosen(void **state)
{
    onpolicy_spec how = {.problem = {.gripper_weight = LOSS_GRIPPER_WEIGHT,
                                     .max_exit = cached->exits - 1,
                                     .scope_llm = true},
                         .solve = {.seed = 1, .max_exit = cached->exits - 1},
                         .history = HISTORY_ON_POLICY,
                         .threads = 2};
    bool half[EPISODES], others[EPISODES];
    calibration p;
    rule_choice choice, alone;

    (void)state;
    ok(calibration_make(cached, &how.problem, NULL, &p, &err));
    how.solve.budget = 0.7 * calibration_fixed_cost(&p, p.llm, how.problem.max_exit);
    calibration_free(&p);
    for (int e = 0; e < EPISODES; e++)
        others[e] = !(half[e] = e % 2 == 0);
    ok(rules_choose(cached, model, &how, "auto", &choice, &err));
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        rule_verdict v;

        if (!choice.found[kind])
            continue;
        assert_int_equal(choice.best[kind].rule.kind, kind);
        ok(rule_judge(cached, model, &how.problem, &choice.best[kind], half, 1, &v, &err));
        assert_true(v.llm <= how.solve.budget * (1 + 1e-9));
        ok(rule_judge(cached, model, &how.problem, &choice.best[kind], others, 1, &v, &err));
        assert_true(v.loss[EPISODE_LOSS_CHOSEN] == choice.held_out[kind].loss[EPISODE_LOSS_CHOSEN]);
        assert_true(choice.held_out[choice.chosen].loss[EPISODE_LOSS_CHOSEN] <=
                    v.loss[EPISODE_LOSS_CHOSEN]);
    }
    assert_true(choice.found[DEER_RULE_NONE] && choice.found[DEER_RULE_SCHEDULE]);
    ok(rules_choose(cached, model, &how, "schedule", &alone, &err));
    assert_int_equal(alone.chosen, DEER_RULE_SCHEDULE);
    assert_memory_equal(&alone.best[DEER_RULE_SCHEDULE].rule, &choice.best[DEER_RULE_SCHEDULE].rule,
                        sizeof(deer_exit_rule));
    assert_false(alone.found[DEER_RULE_DEBT]);
    assert_true(rules_named("delta") && rules_named("auto") && !rules_named("hope"));
}

/* ---------------------------------------------------------------- losses of episodes ------- */

static double loss_named(const char *name, const episode_steps *e)
{
    for (int i = 0; i < EPISODE_LOSSES; i++)
        if (!strcmp(episode_losses[i].name, name))
            return episode_losses[i].of(e);
    fail_msg("no loss is called %s", name);
    return NAN;
}

/* Six steps by hand: what is lost in a row counts for more where order counts. */
static void test_episode_losses(void **state)
{
    static const float row[6] = {0, 0.2f, 0.2f, 0.2f, 0, 0}, apart[6] = {0.2f, 0, 0.2f, 0, 0.2f, 0};
    static const float there[6][3] = {{1, 0, 0}, {1, 0, 0}, {1, 0, 0}, {1, 0, 0}, {1, 0, 0}, {1}};
    static const float half[6][3] = {{1, 0, 0}, {0.5f, 1, 0}, {0, 0, 0}, {1, 0, 0}, {2, 0, 0}, {1}};
    static const float right[6][3] = {{1, 0, 0}, {1, 0, 0}, {0}}, to_and_fro[6][3] = {{1}, {-1}};
    const episode_steps a = {6, row, apart, right, there, half};
    const episode_steps b = {6, apart, row, to_and_fro, there, there};

    (void)state;
    assert_true(fabs(loss_named("mean", &a) - 0.1) < 1e-7);
    assert_true(fabs(loss_named("mean", &b) - loss_named("mean", &a)) < 1e-7);
    assert_true(fabs(loss_named("demo", &a) - 0.1) < 1e-7);
    assert_true(fabs(loss_named("window", &a) - 0.15) < 1e-7);
    assert_true(fabs(loss_named("window", &b) - 0.1) < 1e-7);
    assert_true(loss_named("gathered", &a) > 1.1 * loss_named("gathered", &b));
    /* 1, 1.7, then 0.7 of it each; against 1, -0.3, .. */
    assert_true(fabs(loss_named("adrift", &a) - (1 + 1.7 * (1 + 0.7 + 0.49 + 0.343 + 0.2401)) / 6) <
                1e-6);
    assert_true(fabs(loss_named("adrift", &b) - (1 + 0.3 * (1 + 0.7 + 0.49 + 0.343 + 0.2401)) / 6) <
                1e-6);
    assert_true(fabs(loss_named("poor", &a) - 0.5) < 1e-9);
    assert_true(fabs(loss_named("runs", &a) - 2.0 / 6) < 1e-9);
    assert_true(loss_named("runs", &b) < 1e-9);
    assert_true(fabs(loss_named("behind", &a) - 1.5 / 6) < 1e-7);
    assert_true(loss_named("behind", &b) < 1e-9);
}

/* ---------------------------------------------------------------- combined criterion ------- */

static calibration_spec combined_problem(const deer_score *score)
{
    return (calibration_spec){.criterion = DEER_CRITERION_COMBINED,
                              .score = score,
                              .gripper_weight = LOSS_GRIPPER_WEIGHT,
                              .max_exit = cached->exits - 1,
                              .scope_llm = true};
}

static void fit(unsigned signals, const bool *episodes, int threads, deer_score *score)
{
    combined_spec spec = {.problem = combined_problem(NULL),
                          .episodes = episodes,
                          .signals = signals,
                          .seed = 5,
                          .threads = threads};

    ok(combined_fit(cached, model, &spec, score, &err));
}

/* Under a score that is delta, the head replayed takes the very exits of the l2 criterion. */
static void test_score_of_delta_replays_as_delta(void **state)
{
    static const deer_score delta = {.weight = {[DEER_SIGNAL_DELTA] = 1}};
    deer_score score[DEER_MAX_EXITS];
    deer_thresholds t;
    calibration_actions l2, combined;
    history_rule rule = {.kind = HISTORY_ON_POLICY, .max_exit = cached->exits - 1};

    (void)state;
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        score[k] = delta;
    median_thresholds(&t);
    rule.tau = t.tau;
    ok(history_replay(cached, model, &rule, 2, &l2, &err));
    rule.criterion = DEER_CRITERION_COMBINED;
    rule.score = score;
    ok(history_replay(cached, model, &rule, 2, &combined, &err));
    assert_memory_equal(l2.exit, combined.exit, (size_t)l2.n);
    assert_memory_equal(l2.action, combined.action,
                        (size_t)l2.n * (size_t)(1 + cached->exits) * CACHE_ACTION * sizeof(float));
    calibration_actions_free(&l2);
    calibration_actions_free(&combined);
}

/* A fitted criterion: the runtime and the head replayed agree, as they do for delta. */
static void test_combined_history(void **state)
{
    deer_thresholds t;
    calibration_spec spec = combined_problem(t.score);
    history_rule rule = {.kind = HISTORY_ON_POLICY,
                         .tau = t.tau,
                         .max_exit = cached->exits - 1,
                         .criterion = DEER_CRITERION_COMBINED,
                         .score = t.score};
    calibration_actions a;
    calibration p;
    int compared = 0, taken[DEER_MAX_EXITS] = {0};

    (void)state;
    thresholds_fix(model, cached->exits - 1, &t, NULL);
    t.criterion = DEER_CRITERION_COMBINED;
    fit(COMBINED_ALL, NULL, 2, t.score);
    ok(calibration_make(cached, &spec, NULL, &p, &err));
    for (int k = 0; k < t.max_exit; k++) {
        t.tau[k] = 0;
        for (int64_t i = 0; i < p.s.n; i++)
            t.tau[k] += p.s.delta[k * p.s.n + i] / (float)p.s.n;
    }
    calibration_free(&p);
    ok(history_replay(cached, model, &rule, 2, &a, &err));
    for (int e = 0; e < EPISODES; e++)
        compare_with_runtime(e, &t, a.action, NULL, half_tolerance, &compared);
    print_message("%d of %lld steps before an exit differs\n", compared, (long long)cached->steps);
    assert_true(compared > cached->steps * 3 / 4);
    for (int64_t i = 0; i < a.n; i++)
        taken[a.exit[i]]++;
    for (int k = 0; k < t.max_exit; k++)
        assert_true(taken[k] > 0);
    /* The problem made of it says what was done. */
    ok(calibration_make(cached, &spec, &a, &p, &err));
    for (int64_t i = 0; i < a.n; i++) {
        int k = 0;

        while (k < t.max_exit && !(p.s.delta[k * p.s.n + i] <= t.tau[k]))
            k++;
        assert_int_equal(k, a.exit[i]);
    }
    calibration_free(&p);
    calibration_actions_free(&a);
}

/* The fit depends on the episodes it may see and on nothing else, and uses what it may. */
static void test_combined_fit(void **state)
{
    deer_score one[DEER_MAX_EXITS], two[DEER_MAX_EXITS];
    combined_spec spec = {.problem = combined_problem(NULL), .threads = 1};
    bool some[EPISODES] = {[0] = true, [3] = true, [4] = true};

    (void)state;
    fit(COMBINED_ALL, NULL, 1, one);
    fit(COMBINED_ALL, NULL, 3, two);
    assert_memory_equal(one, two, sizeof one);
    fit(COMBINED_ALL, some, 1, two);
    assert_true(memcmp(one, two, sizeof one) != 0);
    fit(1u << DEER_SIGNAL_DELTA, NULL, 1, one);
    for (int k = 0; k < cached->exits - 1; k++) {
        assert_true(one[k].weight[DEER_SIGNAL_DELTA] != 0);
        for (int j = 0; j < DEER_SIGNALS; j++)
            assert_true(j == DEER_SIGNAL_DELTA || one[k].weight[j] == 0);
    }
    for (int k = cached->exits - 1; k < DEER_MAX_EXITS; k++)
        assert_true(one[k].constant == 0);
    memset(some, 0, sizeof some);
    spec.episodes = some;
    assert_int_equal(combined_fit(cached, model, &spec, two, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "nothing to replay"));
}

static void test_threads_do_not_matter(void **state)
{
    deer_thresholds t;
    calibration_actions one, four;

    (void)state;
    median_thresholds(&t);
    one = history(HISTORY_ON_POLICY, t.tau, t.max_exit, 1);
    four = history(HISTORY_ON_POLICY, t.tau, t.max_exit, 4);
    assert_memory_equal(one.action, four.action,
                        (size_t)one.n * (size_t)(1 + cached->exits) * CACHE_ACTION * sizeof(float));
    assert_int_equal(threads_count(), 3); /* as before */
    calibration_actions_free(&one);
    calibration_actions_free(&four);
}

/* Windows of 12 every 6 steps, six samples of each, in the order of the steps. */
static void test_random_history(void **state)
{
    calibration_actions a = history(HISTORY_RANDOM, NULL, cached->exits - 1, 2), again;
    int64_t n = 0;

    (void)state;
    for (int e = 0; e < EPISODES; e++)
        for (int from = 0; from + 12 <= cached->episode[e].steps; from += 6)
            for (int s = 5; s <= 10; s++)
                assert_int_equal(a.row[n++], cached->episode[e].first + from + s);
    assert_int_equal(a.n, n);
    again = history(HISTORY_RANDOM, NULL, cached->exits - 1, 1);
    assert_memory_equal(a.action, again.action,
                        (size_t)n * (size_t)(1 + cached->exits) * CACHE_ACTION * sizeof(float));
    calibration_actions_free(&a);
    calibration_actions_free(&again);
}

static void test_history_needs_the_right_model(void **state)
{
    history_rule rule = {.kind = HISTORY_FULL, .max_exit = 0};
    calibration_actions a;
    deer_model *other;
    char path[128];

    (void)state;
    snprintf(path, sizeof path, "%s/other", w.folder);
    ok(official_import_folder("tests/data/golden_c", path, &err));
    ok(deer_model_open(path, DEER_ALL_EXITS, &other, &err));
    assert_int_equal(history_replay(cached, other, &rule, 1, &a, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "not the one"));
    deer_model_close(other);
}

/* ---------------------------------------------------------------- problems ----------------- */

/* Instructions of two lengths: two cost groups, the longer the dearer. */
static void test_costs_by_instruction(void **state)
{
    calibration_spec spec = {.max_exit = cached->exits - 1};
    calibration p;

    (void)state;
    ok(calibration_make(cached, &spec, NULL, &p, &err));
    assert_int_equal(p.s.groups, 2);
    for (int k = 0; k < p.s.exits; k++) {
        assert_true(p.llm[p.s.exits + k] > p.llm[k] && p.total[k] > p.llm[k]);
        assert_true(p.peak_llm[k] == p.llm[p.s.exits + k]);
        assert_true(!k || p.memory[k] > p.memory[k - 1]);
    }
    for (int64_t i = 0; i < p.s.n; i++)
        assert_int_equal(p.s.group[i], p.s.episode[i] % 2);
    calibration_free(&p);
}

static void test_losses(void **state)
{
    calibration_spec spec = {.max_exit = cached->exits - 1, .gripper_weight = 0.5};
    calibration p;

    (void)state;
    for (int reference = LOSS_DEEPEST; reference <= LOSS_DEMO; reference++) {
        spec.loss = (loss_reference)reference;
        ok(calibration_make(cached, &spec, NULL, &p, &err));
        for (int64_t i = 0; i < p.s.n; i++) {
            const float *here = action_at(cached->action, i, 1),
                        *last = action_at(cached->action, i, cached->exits);
            const float *demo = cached->demonstration + i * CACHE_ACTION;
            const float *to = reference == LOSS_DEMO ? demo : last;
            bool open = reference == LOSS_DEMO ? to[6] > 0 : to[6] > 0.5f;
            double sum = 0;

            for (int j = 0; j < 6; j++)
                sum += pow((double)here[j] - (double)to[j], 2);
            sum = sqrt(sum / 6) + ((here[6] > 0.5f) != open ? 0.5 : 0);
            assert_true(fabs((double)p.s.loss[i] - sum) < 1e-6);
        }
        calibration_free(&p);
    }
}

/* The answer keeps its budget under its own history, for every criterion and with fewer exits. */
static void test_on_policy_solve(void **state)
{
    onpolicy_spec spec = {.solve = {.seed = 1}, .history = HISTORY_ON_POLICY, .threads = 2};
    deer_score score[DEER_MAX_EXITS];

    (void)state;
    spec.problem.scope_llm = true;
    fit(COMBINED_ALL, NULL, 2, score);
    spec.problem.score = score;
    for (int criterion = DEER_CRITERION_L2; criterion <= DEER_CRITERION_COMBINED; criterion++) {
        onpolicy_result r;
        calibration p;
        evaluation e;

        spec.problem.criterion = (deer_criterion)criterion;
        spec.problem.max_exit = spec.solve.max_exit = cached->exits - 1 - criterion % 2;
        ok(calibration_make(cached, &spec.problem, NULL, &p, &err));
        spec.solve.budget = (steps_fixed_cost(&p.s, 0) + steps_fixed_cost(&p.s, p.s.exits - 1)) / 2;
        calibration_free(&p);
        ok(onpolicy_solve(cached, model, &spec, &r, &err));
        ok(onpolicy_judge(cached, model, &spec.problem, r.x.at.tau, 1, &p, &err));
        steps_evaluate(&p.s, r.x.at.tau, r.x.at.max_exit, &e);
        assert_true(e.cost <= spec.solve.budget && e.cost == r.x.at.cost);
        assert_true(e.loss == r.x.at.loss);
        calibration_free(&p);
        onpolicy_free(&r);
    }
}

/* Makes the pseudo exit's features of the first step something that no head can read, or gives them
 * back. */
static void swap_features(uint16_t *other)
{
    uint16_t *feature;

    ok(cache_load_features(cached, 0, cached->about.shards, &err));
    feature = (uint16_t *)(uintptr_t)cache_features(cached, 0, 0);
    for (int i = 0; i < cached->width; i++) {
        uint16_t here = feature[i];

        feature[i] = other[i];
        other[i] = here;
    }
}

/* The budget of always taking the first exit can be kept, but not where its delta is no
 * number under the thresholds' own history. */
static void test_on_policy_last_resort(void **state)
{
    onpolicy_spec spec = {.problem = {.max_exit = cached->exits - 1, .scope_llm = true},
                          .solve = {.max_exit = cached->exits - 1, .seed = 1},
                          .history = HISTORY_ON_POLICY,
                          .threads = 1};
    uint16_t *feature = malloc((size_t)cached->width * sizeof *feature);
    onpolicy_result r;
    calibration p;

    (void)state;
    ok(calibration_make(cached, &spec.problem, NULL, &p, &err));
    spec.solve.budget = steps_fixed_cost(&p.s, 0);
    calibration_free(&p);
    ok(onpolicy_solve(cached, model, &spec, &r, &err));
    assert_true(r.x.at.fraction[0] == 1);
    onpolicy_free(&r);
    for (int i = 0; i < cached->width; i++)
        feature[i] = 0x7e00; /* NaN */
    swap_features(feature);
    assert_int_equal(onpolicy_solve(cached, model, &spec, &r, &err), DEER_INFEASIBLE);
    assert_non_null(strstr(err.message, "under their own history"));
    swap_features(feature);
    free(feature);
}

static void *replay_all(void *at)
{
    const replay_spec spec = {.model = w.model,
                              .demos = (const char *const[]){w.demos},
                              .files = 1,
                              .cache = at,
                              .threads = 1,
                              .batch = 5,
                              .per_shard = 1};
    replay_report report;
    deer_error why;

    if (replay(&spec, &report, &why) || report.missing || report.replayed != report.steps)
        return at;
    return NULL;
}

/* Two replays at once, from two threads, take no shards of each other. */
static void test_replays_at_once(void **state)
{
    char path[2][160];
    pthread_t other;
    void *failed, *elsewhere = NULL;

    (void)state;
    for (int i = 0; i < 2; i++)
        snprintf(path[i], sizeof path[i], "%s/at-once-%d", w.folder, i);
    assert_int_equal(pthread_create(&other, NULL, replay_all, path[0]), 0);
    failed = replay_all(path[1]);
    pthread_join(other, &elsewhere);
    assert_null(failed);
    assert_null(elsewhere);
}

/* Where the fit ends, its equations hold: the residuals of every term but the first weigh as much
 * as the pull towards 0, three rows' worth; and losses made by a formula have that formula. */
static void test_regression(void **state)
{
    enum { N = 400, M = 3 };
    const double truth[M] = {-1, 0.8, -0.5};
    static double term[N * M];
    static float y[N];
    double weight[M];

    (void)state;
    for (int i = 0; i < N; i++) {
        double *t = term + i * M;
        t[0] = 1, t[1] = sin(i), t[2] = cos(1.7 * i);
        y[i] = (float)(exp(truth[0] + truth[1] * t[1] + truth[2] * t[2]) * (1 + 0.5 * sin(5 * i)));
    }
    regression_fit(term, y, N, M, weight);
    for (int j = 0; j < M; j++) {
        double sum = j ? -3 * weight[j] : 0;
        for (int i = 0; i < N; i++) {
            const double *t = term + i * M;
            double expected = exp(weight[0] + weight[1] * t[1] + weight[2] * t[2]);
            sum += t[j] * (((double)y[i] + 1e-9) / expected - 1);
        }
        assert_true(fabs(sum) < 0.05); /* of 400 rows; a round moves weights by less than 1e-4 */
        assert_true(fabs(weight[j] - truth[j]) < 0.05);
    }
    term[4] = NAN; /* nothing to be said but the mean */
    regression_fit(term, y, N, M, weight);
    assert_true(isfinite(weight[0]) && weight[1] == 0 && weight[2] == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_regression),
        cmocka_unit_test(test_replays_at_once),
        cmocka_unit_test(test_every_episode_needs_an_instruction),
        cmocka_unit_test(test_episodes_are_described),
        cmocka_unit_test(test_cache_is_what_the_runtime_does),
        cmocka_unit_test(test_deltas),
        cmocka_unit_test(test_full_history),
        cmocka_unit_test(test_on_policy_history),
        cmocka_unit_test(test_rule_history),
        cmocka_unit_test(test_rules_are_chosen),
        cmocka_unit_test(test_episode_losses),
        cmocka_unit_test(test_score_of_delta_replays_as_delta),
        cmocka_unit_test(test_combined_history),
        cmocka_unit_test(test_combined_fit),
        cmocka_unit_test(test_threads_do_not_matter),
        cmocka_unit_test(test_random_history),
        cmocka_unit_test(test_history_needs_the_right_model),
        cmocka_unit_test(test_costs_by_instruction),
        cmocka_unit_test(test_losses),
        cmocka_unit_test(test_on_policy_solve),
        cmocka_unit_test(test_on_policy_last_resort),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
