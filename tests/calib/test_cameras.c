/* SPDX-License-Identifier: MIT */
/* test_cameras.c - rules for cameras offline: what a cache says of them against the runtime, and
 * that ages, changes and thresholds are chosen together. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "budgets/cost/cost.h"
#include "calib/pipeline/cameras.h"
#include "calib/pipeline/deliver.h"
#include "calib/replay/replay.h"
#include "runtime/thresholds/thresholds_format.h"
#include "tests/calib/calib_world.h"

enum { EPISODES = 12 };

/* Of actions computed from float16 features (test_replay.c). */
static const double half_tolerance = 0.02;

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

static replay_spec replay_of(void)
{
    static const char *files[1];

    files[0] = w.demos;
    return (replay_spec){.model = w.model,
                         .demos = files,
                         .files = 1,
                         .cache = folder,
                         .threads = 2,
                         .batch = 5,
                         .per_shard = 4,
                         .ages = {4, 3},
                         .age = {{0, 1, 2, 4}, {0, 1, 3}}};
}

static int set_up(void **state)
{
    replay_spec spec;
    replay_report report;

    (void)state;
    world_make(&w, "tests/data/golden_a", EPISODES);
    snprintf(folder, sizeof folder, "%s/cache", w.folder);
    spec = replay_of();
    ok(replay(&spec, &report, &err));
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

/* ---------------------------------------------------------------- against the runtime ------ */

static deer_thresholds thresholds_with(const deer_camera_rules *rules)
{
    deer_thresholds t;

    ok(thresholds_fix(model, cached->exits - 1, &t, &err));
    for (int k = 0; k < t.max_exit; k++)
        t.tau[k] = 0.3f;
    t.cameras = *rules;
    return t;
}

static bool same_pose(const deer_action *done, const float *action)
{
    for (int i = 0; i < DEER_POSE; i++)
        if (fabs((double)action[i] - (double)done->pose[i]) > half_tolerance)
            return false;
    return true;
}

/* Runs an episode through the runtime: the cameras it encodes are those that eyes say, and what it
 * does is what history replays, until an exit differs. */
static void compare(demos *d, int e, const deer_thresholds *t, const cache_eyes *eyes,
                    const calibration_actions *a, bool exact, int *compared)
{
    deer_camera camera[2];
    demo_episode episode;
    deer_session *session;
    bool same = exact;

    ok(demos_read(d, e, &episode, &err));
    ok(deer_session_new(model, t, NULL, &session, &err));
    demo_episode_cameras(&episode, &camera[0], &camera[1]);
    ok(deer_session_set_cameras(session, &camera[0], &camera[1], &err));
    ok(deer_session_set_instruction(session, episode.instruction, &err));
    for (int step = 0; step < episode.steps; step++) {
        deer_observation seen = demo_episode_observation(&episode, step);
        int64_t row = cached->episode[e].first + step;
        const float *action = a->action + row * (1 + cached->exits) * CACHE_ACTION;
        deer_action done;

        ok(deer_step(session, &seen, &done, &err));
        assert_int_equal(eyes->views[row], (done.static_age == 0) | (done.gripper_age == 0) << 1);
        same = same && a->exit[row] == done.exit;
        if (same)
            assert_true(same_pose(&done, action + (1 + done.exit) * CACHE_ACTION));
        *compared += same;
    }
    deer_session_free(session);
    demo_episode_free(&episode);
}

/* Ages that the cache has, with changes above rho and without, staggered and not; and one that it
 * has not, whose encodings are as the rule says but whose features are of older ones. */
static void test_eyes_see_what_a_robot_sees(void **state)
{
    const deer_camera_rules some[] = {{{1, INFINITY}, {0, 0}, 0},
                                      {{2, INFINITY}, {1, INFINITY}, 0},
                                      {{2, 0.12f}, {1, 0.12f}, 0},
                                      {{1, INFINITY}, {1, INFINITY}, 1},
                                      {{4, INFINITY}, {3, INFINITY}, 0}};
    demos *d;

    (void)state;
    ok(demos_open(w.demos, &d, &err));
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        deer_thresholds t = thresholds_with(&some[i]);
        history_rule rule = {.kind = HISTORY_ON_POLICY, .tau = t.tau, .max_exit = t.max_exit};
        bool exact = some[i].static_view.age < 4;
        calibration_actions a;
        eyes_view view;
        cache_eyes eyes;
        int compared = 0;

        assert_true(eyes_can_follow(cached, &some[i]));
        ok(eyes_open(cached, &eyes, &err));
        eyes_follow(cached, &some[i], &eyes, &view);
        assert_true(exact ? view.older == 0 : view.older > 0.1);
        cached->eyes = &eyes;
        ok(history_replay(cached, model, &rule, 2, &a, &err));
        cached->eyes = NULL;
        for (int e = 0; e < EPISODES; e++)
            compare(d, e, &t, &eyes, &a, exact, &compared);
        if (exact)
            assert_true(compared > cached->steps * 2 / 3);
        calibration_actions_free(&a);
        eyes_close(&eyes);
    }
    demos_close(d);
    assert_false(eyes_can_follow(cached, &(deer_camera_rules){{5, 0}, {0, 0}, 0}));
}

/* ---------------------------------------------------------------- costs -------------------- */

/* The mean cost of always the deepest exit, by hand. */
static void test_costs(void **state)
{
    const deer_camera_rules rules = {{2, INFINITY}, {1, INFINITY}, 0};
    calibration_spec spec = {.max_exit = cached->exits - 1};
    int last = spec.max_exit;
    double total = 0, llm = 0;
    eyes_view view;
    cache_eyes eyes;
    calibration p;

    (void)state;
    ok(eyes_open(cached, &eyes, &err));
    eyes_follow(cached, &rules, &eyes, &view);
    cached->eyes = &eyes;
    ok(calibration_make(cached, &spec, NULL, &p, &err));
    cached->eyes = NULL;
    for (int e = 0; e < EPISODES; e++)
        for (int t = 0; t < cached->episode[e].steps; t++) {
            int unseen = (t % 3 != 0) + (t % 2 != 0);
            deer_cost cost;

            deer_cost_of(&cached->about.config, cached->episode[e].tokens, WEIGHT_F32, &cost);
            llm +=
                deer_gflops(cost.exit[last].llm - (uint64_t)unseen * cost.exit[0].media_per_image);
            total +=
                deer_gflops(cost.exit[last].total -
                            (uint64_t)unseen * (cost.exit[0].media_per_image +
                                                cost.vision_per_image + cost.resampler_per_image));
        }
    assert_true(fabs(calibration_fixed_cost(&p, p.llm, last) * (double)cached->steps - llm) < 1e-9);
    assert_true(fabs(calibration_fixed_cost(&p, p.total, last) * (double)cached->steps - total) <
                1e-9);
    calibration_free(&p);
    eyes_close(&eyes);
}

/* ---------------------------------------------------------------- the whole way ------------ */

static calibrated *calibrated_for(calibrate_spec spec)
{
    const calibrate_source from = {.cache = folder, .model = w.model};
    calibrated *found;

    spec.threads = 2;
    spec.solve.evaluations = 200;
    ok(calibrate(&from, &spec, &found, &err));
    return found;
}

/* With rules no more is lost than without at the same budget, which is kept; a budget that fresh
 * cameras cannot meet at all is met. What is delivered is what was solved for. */
static void test_rules_and_thresholds_together(void **state)
{
    calibrate_spec spec = calibrate_default();
    calibrated *fresh, *rules, *less;
    deer_thresholds t;

    (void)state;
    spec.asked.fraction = 0.9;
    rules = calibrated_for(spec);
    spec.fresh_cameras = true;
    fresh = calibrated_for(spec);
    assert_int_equal(fresh->o.found.cameras.static_view.age, 0);
    assert_true(fabs(rules->o.budget - fresh->o.budget) < 1e-12);
    assert_true(rules->o.found.total <= rules->o.budget * (1 + 1e-12));
    assert_true(rules->o.found.loss <= fresh->o.found.loss + 1e-9);
    spec.fresh_cameras = false;
    spec.asked.fraction = 0.5;
    less = calibrated_for(spec);
    assert_true(less->o.found.total <= 0.5 * less->o.full_total);
    assert_true(less->o.found.cameras.static_view.age + less->o.found.cameras.gripper_view.age > 0);
    assert_true(less->o.eyes.encoded[0] + less->o.eyes.encoded[1] < 2);
    deliver_thresholds(less, &t);
    assert_memory_equal(&t.cameras, &less->o.found.cameras, sizeof t.cameras);
    ok(thresholds_check("delivered", &t, &err));
    calibrated_free(less);
    calibrated_free(fresh);
    calibrated_free(rules);
}

/* GFLOPs of an episode that the runtime acts in, by what it did. */
static double gflops_of(demos *d, int e, const deer_thresholds *t)
{
    deer_camera camera[2];
    demo_episode episode;
    deer_session *session;
    deer_cost_kept kept = {{0}};
    deer_cost cost;
    double sum = 0;

    ok(demos_read(d, e, &episode, &err));
    ok(deer_session_new(model, t, NULL, &session, &err));
    demo_episode_cameras(&episode, &camera[0], &camera[1]);
    ok(deer_session_set_cameras(session, &camera[0], &camera[1], &err));
    ok(deer_session_set_instruction(session, episode.instruction, &err));
    deer_cost_of(&cached->about.config, cached->episode[e].tokens, WEIGHT_F32, &cost);
    for (int step = 0; step < episode.steps; step++) {
        deer_observation seen = demo_episode_observation(&episode, step);
        unsigned views;
        deer_action done;

        ok(deer_step(session, &seen, &done, &err));
        views = (unsigned)((done.static_age == 0) | (done.gripper_age == 0) << 1);
        assert_int_equal(done.exit, t->rule.pattern[step % t->rule.steps]);
        sum += deer_gflops(deer_cost_step(&cost, done.exit, done.head_evaluations) -
                           deer_cost_reuse(&cost, views, done.exit, &kept).total);
    }
    deer_session_free(session);
    demo_episode_free(&episode);
    return sum;
}

/* A schedule beside rules for cameras: every turn of every pattern is tried, for a new picture at
 * every second step and a deep exit at every second are two things together or apart; and what is
 * expected is what the runtime takes. */
static void test_schedules_beside_cameras(void **state)
{
    const deer_camera_rules rules = {{2, INFINITY}, {1, INFINITY}, 0};
    calibrate_spec spec = calibrate_default();
    double gflops = 0;
    int patterns = 0;
    calibrated *found;
    deer_thresholds t;
    demos *d;

    (void)state;
    spec.asked.fraction = 0.6;
    spec.cameras = &rules;
    spec.rule = "schedule";
    found = calibrated_for(spec);
    deliver_thresholds(found, &t);
    for (int n = 1, all = 1; n <= 4; n++)
        patterns += all *= cached->exits < 4 ? cached->exits : 4;
    assert_int_equal(found->rules->tried, 1 + patterns);
    assert_int_equal(t.rule.kind, DEER_RULE_SCHEDULE);
    assert_memory_equal(&t.cameras, &rules, sizeof t.cameras);
    ok(thresholds_check("delivered", &t, &err));
    ok(demos_open(w.demos, &d, &err));
    for (int e = 0; e < EPISODES; e++)
        gflops += gflops_of(d, e, &t);
    assert_true(fabs(t.expected.average_total_gflops * (double)cached->steps - gflops) < 1e-9);
    assert_true(t.expected.average_total_gflops <= found->o.budget * (1 + 1e-9));
    demos_close(d);
    calibrated_free(found);
}

/* Where a camera's picture hardly changes at one of eight steps, a rule that waits at those alone
 * is proposed. */
static void test_small_changes_may_wait(void **state)
{
    const onpolicy_spec how = {.problem = {.max_exit = cached->exits - 1}, .threads = 2};
    camera_choice choice[CAMERA_CHOICES];
    bool found = false;
    cache_eyes eyes;
    cache *c;
    int n;

    (void)state;
    ok(cache_open(folder, &c, &err));
    for (int64_t i = 0; i < c->steps; i++)
        for (int a = 0; a < cache_oldest(&c->about); a++) {
            float *change = &c->change[(2 * i + 1) * cache_oldest(&c->about) + a];
            if (!isnan(*change))
                *change = a == 0 && i % 8 == 0 ? 0.01f : 0.5f;
        }
    ok(eyes_open(c, &eyes, &err));
    ok(cameras_propose(c, model, &how, false, &eyes, choice, &n, &err));
    for (int i = 0; i < n; i++)
        found = found || (choice[i].rules.gripper_view.rho == 0.01f &&
                          choice[i].rules.static_view.age == 0 && choice[i].encoded > 1.8);
    assert_true(found);
    eyes_close(&eyes);
    cache_close(c);
}

/* In the llm scope nothing changes: the cache's ages are not looked at. */
static void test_llm_scope_stays(void **state)
{
    calibrate_spec spec = calibrate_default();
    calibrated *aged, *fresh;

    (void)state;
    spec.problem.scope_llm = true;
    spec.asked.fraction = 0.7;
    aged = calibrated_for(spec);
    spec.fresh_cameras = true;
    fresh = calibrated_for(spec);
    assert_memory_equal(aged->o.found.tau, fresh->o.found.tau, sizeof fresh->o.found.tau);
    assert_true(aged->o.found.llm == fresh->o.found.llm && aged->o.choices == 0);
    calibrated_free(aged);
    calibrated_free(fresh);
}

/* A peak that two encodings exceed is kept by staggering them. */
static void test_peak_staggers(void **state)
{
    calibrate_spec spec = calibrate_default();
    deer_cost cost;
    calibrated *found;

    (void)state;
    deer_cost_of(&cached->about.config, 7, WEIGHT_F32, &cost);
    for (int more = 0; more < 2; more++) { /* or that leave the first exit alone */
        spec.asked.peak = deer_gflops(cost.exit[0].total) + (more ? 1e-9 : -1e-9);
        found = calibrated_for(spec);
        assert_int_equal(found->o.found.cameras.stagger, 1);
        assert_true(found->o.found.peak_total <= spec.asked.peak);
        assert_true(!more || found->how.problem.max_exit > 0);
        calibrated_free(found);
    }
}

/* A promise of an average is kept under the rules that were chosen for it, and delivered with them.
 * With old pictures the deepest exit, too, deviates from itself with fresh ones: no loss is certain
 * without a test, and one that too few episodes can show is refused in one line. */
static void test_promises(void **state)
{
    const calibrate_source from = {.cache = folder, .model = w.model};
    const deer_camera_rules old = {{4, INFINITY}, {3, INFINITY}, 0};
    calibrate_spec spec = calibrate_default();
    calibrated *found;
    deer_thresholds t;

    (void)state;
    spec.asked.fraction = 0.7;
    spec.guarantee.confidence = 0.7;
    found = calibrated_for(spec);
    assert_true(found->o.guaranteed.given);
    assert_true(found->o.found.total <= found->o.budget);
    deliver_thresholds(found, &t);
    assert_true(t.cameras.static_view.age + t.cameras.gripper_view.age > 0);
    assert_true(t.guarantee.confidence == 0.7);
    calibrated_free(found);
    spec.asked.fraction = 1;
    spec.cameras = &old;
    spec.guarantee.deviation = 0.6;
    assert_int_equal(calibrate(&from, &spec, &found, &err), DEER_INFEASIBLE);
    assert_non_null(strstr(err.message, "episodes"));
    assert_null(strchr(err.message, '\n'));
}

/* ---------------------------------------------------------------- the cache ---------------- */

static void test_other_ages_are_refused(void **state)
{
    replay_spec spec = replay_of();
    replay_report report;
    cache_manifest m;

    (void)state;
    spec.age[1][2] = 2;
    assert_int_equal(replay(&spec, &report, &err), DEER_FAILED);
    assert_non_null(strstr(err.message, "other ages of cameras"));
    spec.ages[0] = spec.ages[1] = 0; /* goes on with those that are there */
    ok(replay(&spec, &report, &err));
    assert_int_equal(report.replayed, 0);
    ok(cache_manifest_load(folder, &m, &err));
    assert_int_equal(cache_pairs(&m), 11);
    assert_int_equal(cache_oldest(&m), 4);
    cache_manifest_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_eyes_see_what_a_robot_sees),
                                       cmocka_unit_test(test_costs),
                                       cmocka_unit_test(test_rules_and_thresholds_together),
                                       cmocka_unit_test(test_schedules_beside_cameras),
                                       cmocka_unit_test(test_small_changes_may_wait),
                                       cmocka_unit_test(test_llm_scope_stays),
                                       cmocka_unit_test(test_peak_staggers),
                                       cmocka_unit_test(test_promises),
                                       cmocka_unit_test(test_other_ages_are_refused)};

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
