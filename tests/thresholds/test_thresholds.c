/* SPDX-License-Identifier: MIT */
/* test_thresholds.c - the thresholds file: what survives a round trip, and what is refused. */
#include "tests/runtime/small_model.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <sys/resource.h>

#include "runtime/base/file.h"
#include "runtime/base/random.h"
#include "runtime/thresholds/thresholds_format.h"

static small_model small;
static deer_model *model;
static char path[64];

static int start(void **state)
{
    (void)state;
    small_model_make(&small);
    model = small_model_open(&small, DEER_ALL_EXITS);
    snprintf(path, sizeof path, "%s/tau.json", small.folder);
    return 0;
}

static int end(void **state)
{
    (void)state;
    deer_model_close(model);
    small_model_remove(&small);
    return 0;
}

static deer_thresholds round_trip(const deer_thresholds *t)
{
    deer_thresholds u;

    ok(deer_thresholds_save(path, deer_model_config(model), t, &error));
    ok(thresholds_read(path, model, &u, &error));
    return u;
}

/* ---------------------------------------------------------------- round trip --------------- */

static void test_every_field(void **state)
{
    deer_thresholds t, u;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    t.criterion = DEER_CRITERION_COSINE;
    t.steps_per_stage = 3;
    t.tau[0] = 0.1f;
    t.expected = (deer_expected){.average_llm_gflops = 1.5,
                                 .average_total_gflops = 2.25,
                                 .peak_llm_gflops = 3,
                                 .peak_total_gflops = 4,
                                 .memory_bytes = 123456789,
                                 .loss = NAN,
                                 .exit_fraction = {0.75, NAN}};
    strcpy(t.solver, "nlopt \"crs\"\n");
    strcpy(t.sums, "neon_mmla");
    t.budget_gflops = 1.75;
    t.budget_is_llm = true;
    t.calibration_episodes = 184;
    t.calibration_steps = 3690;
    t.seed = 7;
    u = round_trip(&t);
    assert_string_equal(t.model_fingerprint, u.model_fingerprint);
    assert_string_equal(u.weights, "f32");
    assert_string_equal(u.sums, "neon_mmla");
    assert_int_equal(u.criterion, DEER_CRITERION_COSINE);
    assert_true(u.exits == 2 && u.max_exit == 1 && u.steps_per_stage == 3);
    assert_true(u.tau[0] == 0.1f && u.tau[1] == INFINITY);
    assert_true(u.expected.average_llm_gflops == 1.5 && u.expected.average_total_gflops == 2.25);
    assert_true(u.expected.peak_llm_gflops == 3 && u.expected.peak_total_gflops == 4);
    assert_true(u.expected.memory_bytes == 123456789 && isnan(u.expected.loss));
    assert_true(u.expected.exit_fraction[0] == 0.75 && isnan(u.expected.exit_fraction[1]));
    assert_string_equal(u.solver, t.solver);
    assert_true(u.budget_gflops == 1.75 && u.budget_is_llm && u.seed == 7);
    assert_true(u.calibration_episodes == 184 && u.calibration_steps == 3690);
}

/* The combined criterion's scores, weights of 0 included. */
/* Rules of cameras, and those of a dial's points: bit for bit; none where every step encodes. */
static void test_cameras(void **state)
{
    const deer_camera_rules rules[] = {{{9, 0.1f}, {1, INFINITY}, 1}, {{0, INFINITY}, {3, 0}, 0}};
    deer_thresholds t, u;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    t.points = 2;
    for (int i = 0; i < 2; i++) {
        t.point[i] = (deer_point){.budget_gflops = i + 1, .cameras = rules[i]};
        t.point[i].tau[1] = INFINITY;
    }
    u = round_trip(&t);
    assert_true(u.cameras.static_view.age == 0 && u.cameras.gripper_view.age == 0);
    for (int i = 0; i < 2; i++) {
        const deer_camera_rules *r = &u.point[i].cameras;
        assert_int_equal(r->static_view.age, rules[i].static_view.age);
        assert_int_equal(r->gripper_view.age, rules[i].gripper_view.age);
        assert_true(r->static_view.rho == rules[i].static_view.rho);
        assert_true(r->gripper_view.rho == rules[i].gripper_view.rho);
        assert_int_equal(r->stagger, rules[i].stagger);
    }
    ok(deer_thresholds_set_budget(&u, 1, &error));
    assert_int_equal(deer_thresholds_cameras(&u)->static_view.age, 9);
    t.cameras = rules[1];
    u = round_trip(&t);
    assert_true(u.cameras.gripper_view.age == 3 && u.cameras.gripper_view.rho == 0);
}

/* The thresholds beside the tabletop's policy are its own, each point of their dial can be taken,
 * and all have rules for cameras. */
static void test_shipped(void **state)
{
    deer_model *policy;
    deer_thresholds *t;
    double before = 0;

    (void)state;
    ok(deer_model_open("datasets/tabletop/policy.safetensors", DEER_ALL_EXITS, &policy, &error));
    ok(deer_thresholds_load("datasets/tabletop/thresholds.json", policy, &t, &error));
    assert_true(deer_thresholds_points(t) >= 4 && !deer_thresholds_budget_is_llm(t));
    for (int i = 0; i < deer_thresholds_points(t); i++) {
        const deer_point *p = deer_thresholds_point(t, i);
        assert_true(p->budget_gflops > before && p->cameras.static_view.age > 0);
        before = p->budget_gflops;
        ok(deer_thresholds_set_budget(t, before, &error));
        assert_memory_equal(deer_thresholds_cameras(t), &p->cameras, sizeof p->cameras);
    }
    deer_thresholds_free(t);
    deer_model_close(policy);
}

static void test_scores(void **state)
{
    deer_thresholds t, u;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    t.criterion = DEER_CRITERION_COMBINED;
    t.score[0].constant = -2.0f / 3;
    for (int j = 0; j < DEER_SIGNALS; j++)
        t.score[0].weight[j] = j == 1 ? 0 : 1 / (float)(3 + j);
    u = round_trip(&t);
    assert_int_equal(u.criterion, DEER_CRITERION_COMBINED);
    assert_memory_equal(u.score, t.score, sizeof t.score);
    thresholds_fix(model, 0, &t, NULL); /* one exit: nothing to score */
    t.criterion = DEER_CRITERION_COMBINED;
    u = round_trip(&t);
    assert_int_equal(u.criterion, DEER_CRITERION_COMBINED);
}

/* What came later into the format. */
static void test_guarantee_dial_and_reference(void **state)
{
    deer_thresholds t, u;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    t.guarantee = (deer_guarantee){.confidence = 0.9,
                                   .budget_gflops = 1.5,
                                   .loss = NAN,
                                   .solved_on = 60,
                                   .tested_on = 120,
                                   .bound = "betting",
                                   .statement = "an average of \"1.5\""};
    t.points = 2;
    for (int i = 0; i < 2; i++)
        t.point[i] = (deer_point){.budget_gflops = 1 + i,
                                  .tau = {0.25f * (float)i, INFINITY},
                                  .expected = {.average_llm_gflops = 0.5, .loss = 0.125 * i}};
    t.reference.episodes = 1;
    t.reference.kind[0] = 4000000000u;
    t.reference.mean_exit[0] = 0.5f;
    t.reference.mean_delta[0] = 0.1f;
    u = round_trip(&t);
    assert_true(u.guarantee.confidence == 0.9 && u.guarantee.budget_gflops == 1.5);
    assert_true(isnan(u.guarantee.loss) && u.guarantee.solved_on == 60 &&
                u.guarantee.tested_on == 120);
    assert_string_equal(u.guarantee.bound, "betting");
    assert_string_equal(u.guarantee.statement, t.guarantee.statement);
    assert_true(u.points == 2 && u.point[1].budget_gflops == 2 && u.point[1].tau[0] == 0.25f);
    assert_true(u.point[0].tau[0] == 0 && u.point[1].tau[1] == INFINITY);
    assert_true(u.point[1].expected.loss == 0.125 && u.point[1].expected.average_llm_gflops == 0.5);
    assert_true(u.reference.episodes == 1 && u.reference.kind[0] == 4000000000u);
    assert_true(u.reference.mean_exit[0] == 0.5f && u.reference.mean_delta[0] == 0.1f);
}

/* The dial takes the dearest point that can be paid; what belonged to other thresholds goes. */
static void test_dial(void **state)
{
    deer_thresholds t;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    assert_int_equal(deer_thresholds_set_budget(&t, 1, &error), DEER_USAGE);
    t.guarantee.confidence = 0.9;
    t.reference.episodes = 1;
    t.points = 3;
    for (int i = 0; i < 3; i++)
        t.point[i] = (deer_point){.budget_gflops = 1 + i, .tau = {0.5f * (float)i, INFINITY}};
    assert_int_equal(deer_thresholds_set_budget(&t, 0.99, &error), DEER_INFEASIBLE);
    assert_int_equal(deer_thresholds_set_budget(&t, NAN, &error), DEER_USAGE);
    assert_true(t.tau[0] == -INFINITY && t.guarantee.confidence == 0.9);
    ok(deer_thresholds_set_budget(&t, 2.5, &error));
    assert_true(t.tau[0] == 0.5f && t.budget_gflops == 2);
    assert_true(t.guarantee.confidence == 0 && t.reference.episodes == 0);
    ok(deer_thresholds_set_budget(&t, INFINITY, &error));
    assert_true(t.tau[0] == 1 && t.budget_gflops == 3);
    ok(deer_thresholds_set_budget(&t, 1, &error));
    assert_true(t.tau[0] == 0 && t.tau[1] == INFINITY);
}

/* What is expected was called a promise in earlier files; they are still read. */
static void test_earlier_name_of_expected(void **state)
{
    deer_thresholds t, u;
    json_t *json, *dial;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    t.expected.loss = 0.25;
    t.points = 1;
    t.point[0] = (deer_point){.budget_gflops = 1, .tau = {0, INFINITY}, .expected = {.loss = 0.5}};
    ok(deer_thresholds_save(path, deer_model_config(model), &t, &error));
    json = json_load_file(path, 0, NULL);
    dial = json_array_get(json_object_get(json, "dial"), 0);
    json_object_set(json, "promise", json_object_get(json, "expected"));
    json_object_set(dial, "promise", json_object_get(dial, "expected"));
    assert_int_equal(json_object_del(json, "expected") + json_object_del(dial, "expected"), 0);
    assert_int_equal(json_dump_file(json, path, 0), 0);
    json_decref(json);
    ok(thresholds_read(path, model, &u, &error));
    assert_true(u.expected.loss == 0.25 && u.point[0].expected.loss == 0.5);
}

/* A point of the dial may have a guarantee of its own, which turning the dial brings along. */
static void test_guarantees_of_points(void **state)
{
    deer_thresholds t, u;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    t.points = 2;
    t.point[0] = (deer_point){.budget_gflops = 1, .tau = {0, INFINITY}};
    t.point[1] = (deer_point){.budget_gflops = 2, .tau = {1, INFINITY}};
    t.point_guarantee[1] = (deer_guarantee){.confidence = 0.9,
                                            .budget_gflops = 2,
                                            .loss = NAN,
                                            .solved_on = 10,
                                            .tested_on = 30,
                                            .bound = "betting",
                                            .statement = "for any of 2 budgets"};
    u = round_trip(&t);
    assert_true(u.guarantee.confidence == 0 && u.point_guarantee[0].confidence == 0);
    ok(deer_thresholds_set_budget(&u, 2, &error));
    assert_true(u.guarantee.confidence == 0.9 && u.guarantee.budget_gflops == 2);
    assert_true(u.guarantee.tested_on == 30);
    assert_string_equal(u.guarantee.statement, "for any of 2 budgets");
    ok(deer_thresholds_set_budget(&u, 1, &error));
    assert_true(u.guarantee.confidence == 0 && isnan(u.guarantee.budget_gflops));
}

/* Decisions are made in float32: every float must come back as it was. */
static void test_thresholds_bit_for_bit(void **state)
{
    static const float special[] = {0, -0.0f, -INFINITY, INFINITY, 1e-45f, 1e6f, -1e6f, 3.4e38f};
    deer_thresholds t, u;
    uint32_t bits = 12345;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    for (size_t i = 0; i < sizeof special / sizeof *special; i++) {
        t.tau[0] = special[i];
        u = round_trip(&t);
        assert_true(u.tau[0] == t.tau[0]);
    }
    for (int i = 0; i < 200; i++) {
        bits = bits * 1664525 + 1013904223;
        t.tau[0] = ldexpf(1 + (float)(bits >> 9) * 0x1p-23f, (int)(bits % 40) - 35);
        u = round_trip(&t);
        assert_memory_equal(u.tau, t.tau, 2 * sizeof(float));
    }
    t.tau[0] = -1e8f; /* the official code's "never" */
    u = round_trip(&t);
    assert_true(u.tau[0] == -INFINITY);
}

static void test_criteria(void **state)
{
    static const char *const names[] = {"l2", "mean", "max", "cosine"};
    deer_thresholds t, u;

    (void)state;
    for (int i = 0; i < 4; i++) {
        thresholds_fix(model, 0, &t, NULL);
        t.criterion = (deer_criterion)i;
        u = round_trip(&t);
        assert_int_equal(u.criterion, i);
        assert_string_equal(deer_criterion_name(u.criterion), names[i]);
    }
}

static void test_fixed(void **state)
{
    deer_thresholds t;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    assert_true(t.tau[0] == -INFINITY && t.tau[1] == INFINITY && t.max_exit == 1 && t.exits == 2);
    assert_true(t.expected.exit_fraction[0] == 0 && t.expected.exit_fraction[1] == 1);
    assert_true(isnan(t.expected.loss) && isnan(t.budget_gflops) && t.steps_per_stage == 1);
}

static void assert_same_rule(const deer_exit_rule *a, const deer_exit_rule *b)
{
    assert_memory_equal(a, b, sizeof *a);
}

static void test_rules(void **state)
{
    static const deer_exit_rule some[] = {{DEER_RULE_REFRESH, 1, 3, 0, {0}},
                                          {DEER_RULE_DEBT, 1, 0, 0.1f, {0}},
                                          {DEER_RULE_SPEED, 1, 0, 0.15f, {0}},
                                          {DEER_RULE_SCHEDULE, 0, 3, 0, {0, 0, 1}}};
    deer_thresholds t, u;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    for (size_t i = 0; i < sizeof some / sizeof *some; i++) {
        t.rule = some[i];
        t.points = 2;
        t.point[0] = (deer_point){.budget_gflops = 1};
        t.point[1] = (deer_point){.budget_gflops = 2, .rule = some[3 - i]};
        t.point[0].tau[1] = t.point[1].tau[1] = INFINITY;
        u = round_trip(&t);
        assert_same_rule(&u.rule, &some[i]);
        assert_same_rule(deer_thresholds_rule(&u), &some[i]);
        assert_int_equal(u.point[0].rule.kind, DEER_RULE_NONE);
        ok(deer_thresholds_set_budget(&u, 2, &error));
        assert_same_rule(&u.rule, &some[3 - i]);
        ok(deer_thresholds_set_budget(&u, 1, &error));
        assert_int_equal(u.rule.kind, DEER_RULE_NONE);
    }
}

/* ---------------------------------------------------------------- refused ------------------ */

/* The good file with one field replaced by this JSON (NULL: taken away). */
static void refuse_field(const char *field, const char *value, const char *words)
{
    deer_thresholds t;
    json_t *json;

    thresholds_fix(model, 1, &t, NULL);
    ok(deer_thresholds_save(path, deer_model_config(model), &t, &error));
    json = json_load_file(path, 0, NULL);
    assert_true(value || json_object_get(json, field));
    if (value)
        json_object_set_new(json, field, json_loads(value, JSON_DECODE_ANY, NULL));
    else
        json_object_del(json, field);
    json_dump_file(json, path, 0);
    json_decref(json);
    error.message[0] = 0;
    assert_int_equal(thresholds_read(path, model, &t, &error), DEER_FAILED);
    says(path);
    says(words);
}

/* Files of before the field was there; what is written of them has none either. */
static void test_unknown_weights(void **state)
{
    deer_thresholds t, u;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    t.weights[0] = 0;
    u = round_trip(&t);
    assert_string_equal(u.weights, "");
}

static void test_fields_refused(void **state)
{
    (void)state;
    refuse_field("deer_thresholds", NULL, "not a thresholds file");
    refuse_field("deer_thresholds", "\"1\"", "not a thresholds file");
    refuse_field("deer_thresholds", "2", "version 2");
    refuse_field("deer_thresholds", "0", "version 0");
    refuse_field("model_fingerprint", NULL, "model_fingerprint");
    refuse_field("model_fingerprint", "\"abc\"", "model_fingerprint");
    refuse_field("model_fingerprint", "\"0123456789abcdef0123456789abcdef\"", "another model");
    refuse_field("weights", "2", "\"f32\", \"bf16\" or \"q8\"");
    refuse_field("weights", "\"f16\"", "\"f32\", \"bf16\" or \"q8\"");
    refuse_field("weights", "\"q8\"", "another model (q8 ");
    refuse_field("sums", "2", "must name an instruction set");
    refuse_field("sums", "\"\"", "must name an instruction set");
    refuse_field("sums", "\"avx512_and_much_more\"", "must name an instruction set");
    refuse_field("criterion", NULL, "criterion");
    refuse_field("criterion", "\"l3\"", "'l3'");
    refuse_field("criterion", "2", "criterion");
    refuse_field("exit_layers", NULL, "exit_layers");
    refuse_field("exit_layers", "[1]", "exit_layers");
    refuse_field("exit_layers", "[1, 2]", "exit layers differ");
    refuse_field("exit_layers", "[\"1\", 3]", "exit layers differ");
    refuse_field("tau", NULL, "tau");
    refuse_field("tau", "[]", "tau");
    refuse_field("tau", "[0.1, 0.1]", "the last null");
    refuse_field("tau", "[null]", "differ in length");
    refuse_field("tau", "[null, null]", "the last null");
    refuse_field("tau", "[1e99, null]", "the last null");
    refuse_field("tau", "[\"sometimes\", null]", "the last null");
    refuse_field("cameras", "[]", "cameras must have");
    refuse_field("cameras", "{\"static\": {\"age\": 1}}", "cameras must have");
    refuse_field("cameras", "{\"static\": {\"age\": 1}, \"gripper\": {\"age\": -1}}",
                 "cameras must have");
    refuse_field("cameras", "{\"static\": {\"age\": 1}, \"gripper\": {\"age\": 1001}}",
                 "cameras must have");
    refuse_field("cameras", "{\"static\": {\"age\": 1}, \"gripper\": {\"age\": 1, \"rho\": -1}}",
                 "cameras must have");
    refuse_field("cameras", "{\"static\": {\"age\": 1}, \"gripper\": {\"age\": 1, \"rh\": 1}}",
                 "cameras must have");
    refuse_field("cameras", "{\"static\": {\"age\": 1}, \"gripper\": {\"age\": 1}, \"stagger\": 1}",
                 "cameras must have");
    refuse_field("cameras",
                 "{\"static\": {\"age\": 1}, \"gripper\": {\"age\": 0}, \"stagger\": true}",
                 "ages of 1 step or more");
    refuse_field("rule", "[]", "kind of rule '(none)'");
    refuse_field("rule", "{\"kind\": \"none\"}", "kind of rule 'none'");
    refuse_field("rule", "{\"kind\": \"hope\", \"deep\": 1}", "kind of rule 'hope'");
    refuse_field("rule", "{\"kind\": \"refresh\", \"deep\": 1}", "\"deep\" and \"steps\"");
    refuse_field("rule", "{\"kind\": \"refresh\", \"deep\": 1, \"steps\": 1, \"limit\": 1}",
                 "nothing else");
    refuse_field("rule", "{\"kind\": \"refresh\", \"deep\": 2, \"steps\": 1}", "none deeper");
    refuse_field("rule", "{\"kind\": \"refresh\", \"deep\": 1, \"steps\": 0}", "1 or more");
    refuse_field("rule", "{\"kind\": \"debt\", \"deep\": 1, \"limit\": \"x\"}", "all numbers");
    refuse_field("rule", "{\"kind\": \"speed\", \"deep\": 1, \"limit\": -1}", "0 or more");
    refuse_field("rule", "{\"kind\": \"speed\", \"deep\": 1, \"limit\": 1e99}", "all numbers");
    refuse_field("rule", "{\"kind\": \"schedule\", \"pattern\": []}", "a \"pattern\" of exits");
    refuse_field("rule", "{\"kind\": \"schedule\", \"pattern\": [0, 2]}", "none deeper");
    refuse_field("rule", "{\"kind\": \"schedule\", \"pattern\": [0, -1]}", "a \"pattern\"");
    refuse_field("dial", "[{\"average_gflops\": 2, \"tau\": [1, null], \"rule\": {\"kind\": 1}}]",
                 "kind of rule");
    refuse_field("guarantee", "{\"confidence\": 1.5}", "between 0 and 1");
    refuse_field("dial", "{}", "list of up to");
    refuse_field("dial", "[{\"average_gflops\": 1, \"tau\": [null]}]", "point 0 of the dial");
    refuse_field("dial", "[{\"tau\": [1, null]}]", "point 0 of the dial");
    refuse_field("dial",
                 "[{\"average_gflops\": 2, \"tau\": [1, null]}, {\"average_gflops\": 2, \"tau\": "
                 "[1, null]}]",
                 "point 1 of the dial");
    refuse_field("reference", "{\"mean_exit\": [1], \"mean_delta\": [1, 2], \"kind\": [1]}",
                 "reference");
    refuse_field("reference", "{\"mean_exit\": [1], \"mean_delta\": [null], \"kind\": [1]}",
                 "episode 0");
    refuse_field("criterion", "\"combined\"", "a score for each of 1 exits");
    refuse_field("steps_per_stage", NULL, "steps_per_stage");
    refuse_field("steps_per_stage", "0", "steps_per_stage");
    refuse_field("steps_per_stage", "1.5", "steps_per_stage");
}

/* A good file of the combined criterion with other scores. */
static void refuse_scores(const char *scores, const char *words)
{
    deer_thresholds t;
    json_t *json;

    thresholds_fix(model, 1, &t, NULL);
    t.criterion = DEER_CRITERION_COMBINED;
    ok(deer_thresholds_save(path, deer_model_config(model), &t, &error));
    json = json_load_file(path, 0, NULL);
    json_object_set_new(json, "score", json_loads(scores, JSON_DECODE_ANY, NULL));
    json_dump_file(json, path, 0);
    json_decref(json);
    error.message[0] = 0;
    assert_int_equal(thresholds_read(path, model, &t, &error), DEER_FAILED);
    says(path);
    says(words);
}

static void test_scores_refused(void **state)
{
    (void)state;
    refuse_scores("null", "a score for each of 1 exits");
    refuse_scores("{}", "a score for each of 1 exits");
    refuse_scores("[]", "a score for each of 1 exits");
    refuse_scores("[{\"constant\": 1}, {\"constant\": 1}]", "a score for each of 1 exits");
    refuse_scores("[1]", "score 0");
    refuse_scores("[null]", "score 0");
    refuse_scores("[[]]", "score 0");
    refuse_scores("[{}]", "score 0");
    refuse_scores("[{\"delta\": 1}]", "score 0");
    refuse_scores("[{\"constant\": null}]", "score 0");
    refuse_scores("[{\"constant\": \"1\"}]", "score 0");
    refuse_scores("[{\"constant\": 1e99}]", "score 0");
    refuse_scores("[{\"constant\": 0, \"delta\": -1e99}]", "score 0");
    refuse_scores("[{\"constant\": 0, \"delta\": [1]}]", "score 0");
    refuse_scores("[{\"constant\": 0, \"telepathy\": 1}]", "score 0");
}

static void test_too_many_exits(void **state)
{
    char tau[512] = "[", layers[512] = "[";

    (void)state;
    for (int i = 0; i < 40; i++) {
        strcat(tau, "0.5,");
        strcat(layers, "1,");
    }
    strcat(tau, "null]");
    refuse_field("tau", tau, "up to 32");
    refuse_field("tau", "[0.1, 0.1, null]", "differ in length");
}

static void refuse_text(const char *text, const char *words)
{
    deer_thresholds t;

    ok(file_write(path, text, strlen(text), &error));
    assert_int_equal(thresholds_read(path, model, &t, &error), DEER_FAILED);
    says(path);
    says(words);
}

static void test_files_refused(void **state)
{
    deer_model *prefix = small_model_open(&small, 0);
    deer_thresholds t;

    (void)state;
    refuse_text("", "not JSON");
    refuse_text("{", "not JSON");
    refuse_text("[]", "not a thresholds file");
    refuse_text("{\"deer_thresholds\": 1, \"deer_thresholds\": 1}", "not JSON");
    assert_int_equal(thresholds_read("/nowhere/tau.json", model, &t, &error), DEER_FAILED);
    says("No such file");
    assert_int_equal(thresholds_read(small.folder, model, &t, &error), DEER_FAILED);
    thresholds_fix(model, 1, &t, NULL);
    ok(deer_thresholds_save(path, deer_model_config(model), &t, &error));
    assert_int_equal(thresholds_read(path, prefix, &t, &error), DEER_FAILED);
    says("opened up to exit 0");
    ok(thresholds_read(path, NULL, &t, &error)); /* any model: only the file itself counts */
    deer_model_close(prefix);
}

/* Cut off anywhere, the file is refused. */
static void test_truncated(void **state)
{
    deer_thresholds t;
    char *text;
    size_t size;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    ok(deer_thresholds_save(path, deer_model_config(model), &t, &error));
    ok(file_read(path, 1 << 20, &text, &size, &error));
    for (size_t length = 0; length < size; length++) {
        FILE *f = fopen(path, "wb");
        fwrite(text, 1, length, f);
        fclose(f);
        assert_int_equal(thresholds_read(path, model, &t, &error), DEER_FAILED);
        says(path);
    }
    free(text);
}

/* A file's own budgets, as numbers of any size, turn the dial to their points: what was written is
 * what is read. */
static void test_dial_takes_its_own_budgets(void **state)
{
    deer_thresholds t, read;
    uint64_t random = 5;

    (void)state;
    for (int file = 0; file < 40; file++) {
        double budget = pow(10, -6 + 12 * random_uniform(&random, 0, 1)), given[DEER_MAX_POINTS];
        thresholds_fix(model, 1, &t, NULL);
        t.points = DEER_MAX_POINTS;
        for (int i = 0; i < t.points; i++) {
            budget *= 1 + random_uniform(&random, 1e-12, 0.1);
            given[i] = budget;
            t.point[i] = (deer_point){.budget_gflops = budget, .tau = {(float)i / 7, INFINITY}};
        }
        ok(deer_thresholds_save(path, deer_model_config(model), &t, &error));
        ok(thresholds_read(path, model, &read, &error));
        for (int i = 0; i < t.points; i++) {
            assert_true(read.point[i].budget_gflops == given[i]);
            ok(deer_thresholds_set_budget(&read, given[i], &error));
            assert_true(read.budget_gflops == given[i] && read.tau[0] == (float)i / 7);
        }
    }
}

/* ---------------------------------------------------------------- writing ------------------ */

static void refuse_saving(const char *to, const deer_thresholds *t, deer_status status,
                          const char *words)
{
    int files = small_model_files(&small);

    assert_int_equal(deer_thresholds_save(to, deer_model_config(model), t, &error), status);
    says(words);
    assert_int_equal(small_model_files(&small), files); /* nothing half-written */
}

/* What no reader would take is not written, and a file that is there stays as it is. */
static void test_saving_refused(void **state)
{
    deer_thresholds good, bad, there;
    char other[64];

    (void)state;
    thresholds_fix(model, 1, &good, NULL);
    good.tau[0] = 0.5f;
    ok(deer_thresholds_save(path, deer_model_config(model), &good, &error));
    bad = good, bad.tau[0] = NAN;
    refuse_saving(path, &bad, DEER_USAGE, "threshold 0 is not a number");
    bad = good, bad.points = 2, bad.point[1].tau[0] = NAN;
    refuse_saving(path, &bad, DEER_USAGE, "point 1 is not of numbers");
    bad = good, bad.points = 1, bad.point[0].budget_gflops = NAN;
    refuse_saving(path, &bad, DEER_USAGE, "point 0 is not of numbers");
    bad = good, bad.max_exit = bad.exits = SMALL_EXITS;
    refuse_saving(path, &bad, DEER_USAGE, "exit 2 of 2");
    bad = good, bad.exits = 1;
    refuse_saving(path, &bad, DEER_USAGE, "cannot write");
    bad = good, bad.criterion = (deer_criterion)17;
    refuse_saving(path, &bad, DEER_USAGE, "criterion");
    bad = good, bad.criterion = DEER_CRITERION_COMBINED, bad.score[0].weight[1] = NAN;
    refuse_saving(path, &bad, DEER_USAGE, "score 0 is not finite");
    bad = good, bad.criterion = DEER_CRITERION_COMBINED, bad.score[0].constant = INFINITY;
    refuse_saving(path, &bad, DEER_USAGE, "score 0 is not finite");
    bad = good, bad.steps_per_stage = 0;
    refuse_saving(path, &bad, DEER_USAGE, "steps_per_stage");
    refuse_saving("/nowhere/tau.json", &good, DEER_FAILED, "/nowhere/tau.json: No such file");
    snprintf(other, sizeof other, "%s/model/tau.json", small.folder);
    refuse_saving(other, &good, DEER_FAILED, "Not a directory");
    ok(thresholds_read(path, model, &there, &error));
    assert_true(there.tau[0] == 0.5f);
}

/* A name that an earlier process left in use is not in the way of the next. */
static void test_temporary_names_differ(void **state)
{
    char *first = file_temporary(path, &error), *second = file_temporary(path, &error);

    (void)state;
    assert_non_null(first);
    assert_int_equal(strncmp(first, path, strlen(path)), 0);
    assert_string_not_equal(first, second);
    free(first);
    free(second);
}

/* A full disk: the old file stays, the new one leaves nothing. */
static void test_full_disk(void **state)
{
    deer_thresholds t, there;
    struct rlimit before, little;

    (void)state;
    thresholds_fix(model, 1, &t, NULL);
    t.tau[0] = 0.25f;
    ok(deer_thresholds_save(path, deer_model_config(model), &t, &error));
    t.tau[0] = 0.75f;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    little = before;
    little.rlim_cur = 100; /* bytes a file may have */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
    assert_int_equal(deer_thresholds_save(path, deer_model_config(model), &t, &error), DEER_FAILED);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    says("File too large");
    assert_int_equal(small_model_files(&small), 2);
    ok(thresholds_read(path, model, &there, &error));
    assert_true(there.tau[0] == 0.25f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guarantee_dial_and_reference),
        cmocka_unit_test(test_dial),
        cmocka_unit_test(test_dial_takes_its_own_budgets),
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_earlier_name_of_expected),
        cmocka_unit_test(test_guarantees_of_points),
        cmocka_unit_test(test_thresholds_bit_for_bit),
        cmocka_unit_test(test_criteria),
        cmocka_unit_test(test_fixed),
        cmocka_unit_test(test_cameras),
        cmocka_unit_test(test_shipped),
        cmocka_unit_test(test_scores),
        cmocka_unit_test(test_scores_refused),
        cmocka_unit_test(test_unknown_weights),
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_fields_refused),
        cmocka_unit_test(test_too_many_exits),
        cmocka_unit_test(test_files_refused),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_saving_refused),
        cmocka_unit_test(test_temporary_names_differ),
        cmocka_unit_test(test_full_disk),
    };

    return cmocka_run_group_tests(tests, start, end);
}
