/* SPDX-License-Identifier: MIT */
/* test_deliver.c - every number of a thresholds file, against plain loops over the same cache.
 *
 * What the pipeline writes is read as JSON; nothing of calib/ but the cache itself serves the other
 * side: exits are taken, losses, costs and means summed up by the loops below, and where thresholds
 * make their own history, the action head runs step by step over the cached features. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "budgets/cost/cost.h"
#include "calib/criterion/criteria.h"
#include "calib/pipeline/deliver.h"
#include "calib/pipeline/temporary.h"
#include "runtime/base/half.h"

/* Files have nine digits; means are summed in another order. */
static const double near_enough = 1e-7;

enum { EPISODES = 60, MANY = 300, MOST_EPISODES = MANY, TASKS = 4 };

static const char *const policy = "datasets/tabletop/policy.safetensors";
static const char *const tasks[TASKS] = {"lift", "push", "stack", "store"};

static char folder[] = "/tmp/deer-deliver-XXXXXX";
static char cache_path[2][64], out_path[64];
static deer_error err;
static deer_model *model;
static cache *cached; /* the one of EPISODES */

static void ok(deer_status status)
{
    if (status)
        fail_msg("%s", err.message);
}

/* ---------------------------------------------------------------- a made-up cache ---------- */

/* -1..1 */
static float noise(void)
{
    static uint64_t state = 11;

    state = state * 6364136223846793005u + 1442695040888963407u;
    return (float)(state >> 33) / (float)(1u << 30) - 1;
}

/* Features of one step, [1 + K, width]: they near the deepest exit's the faster the easier the step
 * is. base [width] wanders. */
static void make_features(int rows, int width, double difficulty, float *base, uint16_t *feature)
{
    for (int i = 0; i < width; i++)
        base[i] += 0.3f * noise();
    for (int row = 0; row < rows; row++) {
        float off = row == rows - 1 ? 0 : (float)(2 * difficulty * exp(-row * (1.2 - difficulty)));

        for (int i = 0; i < width; i++)
            feature[row * width + i] = half_from_float(base[i] + off * noise());
    }
}

/* What the head says at every row of a step, [rows, 7], from state h and c, which become those
 * after row `taken`, or stay with taken -1. */
static void run_head(deer_head *head, int rows, const uint16_t *feature, float *h, float *c,
                     int taken, float *action)
{
    const deer_config *config = deer_model_config(model);
    size_t width = (size_t)config->d_model;
    size_t size = (size_t)config->lstm_layers * (size_t)config->lstm_hidden;
    float *x = malloc(width * sizeof *x), *next = malloc(2 * size * sizeof *next);

    for (int row = 0; row < rows; row++) {
        for (size_t i = 0; i < width; i++)
            x[i] = half_to_float(feature[(size_t)row * width + i]);
        deer_head_evaluate(head, 1, x, h, c, next, next + size, action + row * CACHE_ACTION,
                           action + row * CACHE_ACTION + DEER_POSE, NULL);
    }
    if (taken >= 0) {
        for (size_t i = 0; i < width; i++)
            x[i] = half_to_float(feature[(size_t)taken * width + i]);
        deer_head_evaluate(head, 1, x, h, c, next, next + size, x, x + DEER_POSE, NULL);
        memcpy(h, next, size * sizeof *h);
        memcpy(c, next + size, size * sizeof *c);
    }
    free(x);
    free(next);
}

typedef struct {
    deer_head *head;
    float *h, *c;
} recurrence;

static void recurrence_new(recurrence *r)
{
    const deer_config *config = deer_model_config(model);
    size_t size = (size_t)config->lstm_layers * (size_t)config->lstm_hidden;

    ok(deer_head_new(model, 1, NULL, &r->head, &err));
    r->h = calloc(size, sizeof *r->h);
    r->c = calloc(size, sizeof *r->c);
}

static void recurrence_free(recurrence *r)
{
    deer_head_free(r->head);
    free(r->h);
    free(r->c);
}

static void make_episode(cache_shard *shard, int e, int64_t first, double *difficulty)
{
    int rows = 1 + shard->exits;
    float base[1024] = {0};
    recurrence r;

    assert_true(shard->width <= 1024);
    recurrence_new(&r);
    for (int t = 0; t < shard->episode[e].steps; t++) {
        int64_t i = first + t;
        float *action = shard->action + i * rows * CACHE_ACTION;

        *difficulty = fmin(fmax(*difficulty + 0.3 * (double)noise(), 0.02), 0.98);
        make_features(rows, shard->width, *difficulty, base,
                      shard->features + i * rows * shard->width);
        run_head(r.head, rows, shard->features + i * rows * shard->width, r.h, r.c, rows - 1,
                 action);
        for (int k = 0; k < shard->exits; k++)
            shard->delta[i * shard->exits + k] = deer_criterion_delta(
                DEER_CRITERION_L2, action + (k + 1) * CACHE_ACTION, action + k * CACHE_ACTION);
        for (int k = 0; k < CACHE_ACTION; k++)
            shard->demonstration[i * CACHE_ACTION + k] = noise();
    }
    recurrence_free(&r);
}

/* Made up, of no recordings: the hash of each is zero. */
static void finish_manifest(const char *dir, cache_manifest *m)
{
    static const demos_identity none[MOST_EPISODES];

    demos_fingerprint_of(none, m->episodes, m->demos);
    ok(cache_manifest_settle(dir, m, &err));
}

static void make_cache(const char *dir, int episodes, int shortest, int longest)
{
    int length[MOST_EPISODES];
    double difficulty = 0.5;
    cache_manifest m;

    for (int e = 0; e < episodes; e++)
        length[e] = shortest + e * 7 % (longest - shortest + 1);
    ok(cache_manifest_make(deer_model_config(model), deer_model_fingerprint(model), episodes,
                           length, 16, &m, &err));
    m.horizon = longest + 6; /* the episodes of the recording were shorter than they could be */
    strcpy(m.weights, deer_model_type(model));
    strcpy(m.model_path, policy);
    finish_manifest(dir, &m);
    for (int index = 0; index < m.shards; index++) {
        cache_shard shard;
        int64_t first = 0;

        ok(cache_shard_alloc(&m, index, &shard, &err));
        for (int e = 0; e < shard.episodes; e++) {
            cache_episode *x = &shard.episode[e];
            int number = shard.first_episode + e;

            snprintf(x->name, sizeof x->name, "demo_%d", number);
            strcpy(x->task, tasks[number / 2 % TASKS]);
            strcpy(x->instruction, "lift the red block");
            x->tokens = 10 + number % 3;
            make_episode(&shard, e, first, &difficulty);
            first += x->steps;
        }
        ok(cache_shard_write(dir, &m, index, &shard, &err));
        cache_shard_free(&shard);
    }
    cache_manifest_free(&m);
}

static int set_up(void **unused)
{
    (void)unused;
    assert_non_null(mkdtemp(folder));
    snprintf(out_path, sizeof out_path, "%s/out.json", folder);
    snprintf(cache_path[0], sizeof cache_path[0], "%s/cache", folder);
    snprintf(cache_path[1], sizeof cache_path[1], "%s/many", folder);
    ok(deer_model_open(policy, DEER_ALL_EXITS, &model, &err));
    make_cache(cache_path[0], EPISODES, 8, 19);
    make_cache(cache_path[1], MANY, 2, 4);
    ok(cache_open(cache_path[0], &cached, &err));
    return 0;
}

static int tear_down(void **unused)
{
    (void)unused;
    cache_close(cached);
    deer_model_close(model);
    for (int i = 0; i < 2; i++)
        temporary_remove(cache_path[i]);
    temporary_remove(folder);
    return 0;
}

/* ---------------------------------------------------------------- plain loops -------------- */

/* The rule under which a cache is looked at. */
typedef struct {
    double tau[DEER_MAX_EXITS];
    int max_exit;
    double weight;       /* of a wrong gripper */
    bool demo;           /* losses against the demonstration */
    bool own_history;    /* the head runs anew */
    const json_t *score; /* [max_exit] of the combined criterion; NULL: l2 */
    const bool *only;    /* [episodes]; NULL: all */
} rule;

typedef struct {
    double llm, total, peak_llm, peak_total, memory, loss;
    double fraction[DEER_MAX_EXITS];
    double mean_exit[MOST_EPISODES], mean_delta[MOST_EPISODES];
    double steps;
} sums;

static double rms(const float *a, const float *b)
{
    double sum = 0;

    for (int i = 0; i < DEER_POSE; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum / DEER_POSE);
}

static double weight_of(const json_t *score, const char *name)
{
    const json_t *weight = json_object_get(score, name);

    return weight ? json_number_value(weight) : 0;
}

/* action [1 + K, 7]; done: the pose before. In float32, as thresholds are: some lie on a value. */
static float value_at(const rule *r, const float *action, const float *done, int k)
{
    const float *here = action + (k + 1) * CACHE_ACTION;
    float delta = deer_criterion_delta(DEER_CRITERION_L2, here, here - CACHE_ACTION);
    double turn = rms(here, done), margin;
    const json_t *score = r->score ? json_array_get(r->score, (size_t)k) : NULL;

    if (!score)
        return delta;
    margin = fabs((double)here[DEER_POSE] - 0.5);
    return (float)exp(weight_of(score, "constant") +
                      weight_of(score, "delta") * log(fmax((double)delta, 1e-6)) +
                      weight_of(score, "turn") * log(fmax(turn, 1e-6)) +
                      weight_of(score, "margin") * log(fmax(margin, 1e-6)));
}

static double loss_at(const rule *r, const float *action, const float *demo, int k)
{
    const float *here = action + (k + 1) * CACHE_ACTION;
    const float *last = action + (r->max_exit + 1) * CACHE_ACTION;
    bool open = here[DEER_POSE] > 0.5f;
    bool wanted = r->demo ? demo[DEER_POSE] > 0 : last[DEER_POSE] > 0.5f;

    return rms(here, r->demo ? demo : last) + (open == wanted ? 0 : r->weight);
}

static int first_to_pass(const rule *r, const float *action, const float *done)
{
    int k = 0;

    while (k < r->max_exit && !(value_at(r, action, done, k) <= (float)r->tau[k]))
        k++;
    return k;
}

static void price(const cache *c, int tokens, deer_cost *cost)
{
    deer_cost_of(&c->about.config, tokens, WEIGHT_F32, cost);
}

/* Adds up one episode; action: scratch [1 + K, 7]. */
static void sum_episode(cache *c, const rule *r, int e, recurrence *head, float *action, sums *s)
{
    const uint16_t *feature = r->own_history ? cache_features(c, e, 0) : NULL;
    int rows = 1 + c->exits, n = c->episode[e].steps;
    size_t size = (size_t)c->about.config.lstm_layers * (size_t)c->about.config.lstm_hidden;
    float done[DEER_POSE] = {0};
    deer_cost cost;

    price(c, c->episode[e].tokens, &cost);
    memset(head->h, 0, size * sizeof *head->h);
    memset(head->c, 0, size * sizeof *head->c);
    for (int t = 0; t < n; t++) {
        int64_t i = c->episode[e].first + t;
        int k;

        memcpy(action, c->action + i * rows * CACHE_ACTION, (size_t)rows * 7 * sizeof *action);
        if (r->own_history)
            run_head(head->head, rows, feature + (int64_t)t * rows * c->width, head->h, head->c, -1,
                     action);
        k = first_to_pass(r, action, done);
        s->mean_exit[e] += (double)k / n;
        s->mean_delta[e] += (double)value_at(r, action, done, 0) / n;
        s->loss += loss_at(r, action, c->demonstration + i * CACHE_ACTION, k);
        s->llm += (double)cost.exit[k].llm / 1e9;
        s->total += (double)cost.exit[k].total / 1e9;
        s->fraction[k]++;
        s->steps++;
        if (r->own_history) {
            float again[64 * CACHE_ACTION];

            run_head(head->head, rows, feature + (int64_t)t * rows * c->width, head->h, head->c,
                     k + 1, again);
        }
        /* Cached history is the deepest exit's there is. */
        memcpy(done, action + (r->own_history ? k + 1 : c->exits) * CACHE_ACTION, sizeof done);
    }
}

static void look(cache *c, const rule *r, sums *s)
{
    float *action = malloc((size_t)(1 + c->exits) * CACHE_ACTION * sizeof *action);
    recurrence head;

    *s = (sums){0};
    recurrence_new(&head);
    if (r->own_history)
        ok(cache_load_features(c, 0, c->about.shards, &err));
    for (int e = 0; e < c->about.episodes; e++) {
        deer_cost cost;

        if (!r->only || r->only[e])
            sum_episode(c, r, e, &head, action, s);
        price(c, c->episode[e].tokens, &cost);
        s->peak_llm = fmax(s->peak_llm, (double)cost.exit[r->max_exit].llm / 1e9);
        s->peak_total = fmax(s->peak_total, (double)cost.exit[r->max_exit].total / 1e9);
        s->memory = fmax(s->memory, (double)cost.exit[r->max_exit].memory_bytes);
    }
    s->loss /= s->steps;
    s->llm /= s->steps;
    s->total /= s->steps;
    for (int k = 0; k <= r->max_exit; k++)
        s->fraction[k] /= s->steps;
    recurrence_free(&head);
    free(action);
}

/* ---------------------------------------------------------------- the file ----------------- */

static const json_t *field(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    if (!value)
        fail_msg("no field %s", name);
    return value;
}

static double number(const json_t *json, const char *name)
{
    return json_number_value(field(json, name));
}

static void same(const char *what, double there, double here)
{
    if (!(fabs(there - here) <= near_enough * fmax(1e-3, fabs(here))))
        fail_msg("%s: the file says %.12g, plain loops %.12g", what, there, here);
}

static void read_tau(const json_t *json, rule *r)
{
    const json_t *tau = field(json, "tau");

    r->max_exit = (int)json_array_size(tau) - 1;
    for (int k = 0; k < r->max_exit; k++) {
        const json_t *one = json_array_get(tau, (size_t)k);

        r->tau[k] = json_is_number(one)                        ? json_number_value(one)
                    : !strcmp(json_string_value(one), "never") ? -INFINITY
                                                               : INFINITY;
    }
    assert_true(json_is_null(json_array_get(tau, (size_t)r->max_exit)));
}

static void same_expected(const json_t *expected, const sums *s, int max_exit)
{
    const json_t *fraction = field(expected, "exit_fraction");

    same("average_llm_gflops", number(expected, "average_llm_gflops"), s->llm);
    same("average_total_gflops", number(expected, "average_total_gflops"), s->total);
    same("peak_llm_gflops", number(expected, "peak_llm_gflops"), s->peak_llm);
    same("peak_total_gflops", number(expected, "peak_total_gflops"), s->peak_total);
    same("memory_bytes", number(expected, "memory_bytes"), s->memory);
    same("loss", number(expected, "loss"), s->loss);
    assert_int_equal(json_array_size(fraction), max_exit + 1);
    for (int k = 0; k <= max_exit; k++)
        same("exit_fraction", json_number_value(json_array_get(fraction, (size_t)k)),
             s->fraction[k]);
}

/* FNV-1a of a task's name. */
static uint32_t kind(const char *task)
{
    uint32_t hash = 2166136261u;

    for (; *task; task++)
        hash = (hash ^ (unsigned char)*task) * 16777619u;
    return hash;
}

/* Every `every`-th episode is there, in order. */
static void same_reference(const json_t *file, const cache *c, const sums *s, int every)
{
    const json_t *reference = field(file, "reference");
    size_t i = 0;

    for (int e = 0; e < c->about.episodes; e += every, i++) {
        same("mean_exit", json_number_value(json_array_get(field(reference, "mean_exit"), i)),
             s->mean_exit[e]);
        same("mean_delta", json_number_value(json_array_get(field(reference, "mean_delta"), i)),
             s->mean_delta[e]);
        assert_int_equal(json_integer_value(json_array_get(field(reference, "kind"), i)),
                         kind(c->episode[e].task));
    }
    assert_int_equal(json_array_size(field(reference, "mean_exit")), i);
    assert_int_equal(json_array_size(field(reference, "mean_delta")), i);
    assert_int_equal(json_array_size(field(reference, "kind")), i);
}

/* Every point of the dial: what its own thresholds do, within its own budget. */
static void same_dial(const json_t *file, cache *c, rule r, bool llm, int points)
{
    const json_t *dial = field(file, "dial");
    double before = 0;

    assert_int_equal(json_array_size(dial), points);
    for (int i = 0; i < points; i++) {
        const json_t *point = json_array_get(dial, (size_t)i);
        double budget = number(point, "average_gflops");
        sums s;

        read_tau(point, &r);
        look(c, &r, &s);
        same_expected(field(point, "expected"), &s, r.max_exit);
        assert_true((llm ? s.llm : s.total) <= budget * (1 + 1e-8));
        assert_true(budget > before);
        before = budget;
    }
}

static void same_origin(const json_t *file, const cache *c, const calibrate_spec *spec)
{
    const json_t *made = field(file, "calibration"), *layers = field(file, "exit_layers");

    assert_string_equal(json_string_value(field(file, "model_fingerprint")), c->about.model);
    assert_string_equal(json_string_value(field(file, "weights")), c->about.weights);
    assert_string_equal(json_string_value(field(file, "criterion")),
                        deer_criterion_name(spec->problem.criterion));
    assert_int_equal(json_integer_value(field(file, "steps_per_stage")), 1);
    assert_int_equal(json_array_size(layers), json_array_size(field(file, "tau")));
    for (size_t k = 0; k < json_array_size(layers); k++)
        assert_int_equal(json_integer_value(json_array_get(layers, k)),
                         c->about.config.exit_layers[k]);
    assert_int_equal(json_integer_value(field(made, "episodes")), c->about.episodes);
    assert_int_equal(json_integer_value(field(made, "steps")), c->steps);
    assert_int_equal(json_integer_value(field(made, "seed")), spec->solve.seed);
    assert_non_null(strstr(json_string_value(field(made, "solver")), "coordinate"));
    assert_string_equal(json_string_value(field(field(file, "budget"), "scope")),
                        spec->problem.scope_llm ? "llm" : "total");
}

/* ---------------------------------------------------------------- the pipeline ------------- */

static calibrate_spec a_spec(history_kind history, bool llm, double fraction)
{
    calibrate_spec spec = calibrate_default();

    spec.history = history;
    spec.problem.scope_llm = llm;
    spec.asked.fraction = fraction;
    spec.solve.method = SOLVE_COORDINATE;
    spec.solve.seed = 3;
    spec.threads = 2;
    return spec;
}

/* Runs the pipeline on a cache and reads what it writes. */
static json_t *delivered(const char *dir, const calibrate_spec *spec, calibrated **x)
{
    calibrate_source from = {.cache = dir};
    json_error_t why;
    json_t *file;

    ok(calibrate(&from, spec, x, &err));
    ok(deliver_file(out_path, *x, &err));
    file = json_load_file(out_path, 0, &why);
    assert_non_null(file);
    same_origin(file, (*x)->c, spec);
    return file;
}

static rule a_rule(const json_t *file, const calibrate_spec *spec)
{
    rule r = {.weight = spec->problem.gripper_weight,
              .demo = spec->problem.loss == LOSS_DEMO,
              .own_history = spec->history == HISTORY_ON_POLICY,
              .score = json_object_get(file, "score")};

    read_tau(file, &r);
    return r;
}

/* More than one exit is taken, so that the numbers compared can differ. */
static void several_exits(const sums *s)
{
    int taken = 0;

    for (int k = 0; k < DEER_MAX_EXITS; k++)
        taken += s->fraction[k] > 0.02;
    assert_true(taken > 1);
}

/* Compares what every file has. */
static void same_file(const json_t *file, const calibrate_spec *spec, cache *c, int every, sums *s)
{
    rule r = a_rule(file, spec);

    look(c, &r, s);
    several_exits(s);
    same_expected(field(file, "expected"), s, r.max_exit);
    same_reference(file, c, s, every);
}

/* Mean cost of always the deepest exit there is. */
static double full_cost(cache *c, bool llm)
{
    rule r = {.max_exit = c->exits - 1, .weight = 0.2};
    sums s;

    for (int k = 0; k < r.max_exit; k++)
        r.tau[k] = -INFINITY;
    look(c, &r, &s);
    return llm ? s.llm : s.total;
}

static void test_as_cached(void **unused)
{
    calibrate_spec spec = a_spec(HISTORY_FULL, true, 0.5);
    calibrated *x;
    json_t *file;
    sums s;

    (void)unused;
    spec.points = 6;
    file = delivered(cache_path[0], &spec, &x);
    same_file(file, &spec, cached, 1, &s);
    assert_int_equal(json_array_size(field(file, "tau")), cached->exits);
    same("budget", number(field(file, "budget"), "average_gflops"), 0.5 * full_cost(cached, true));
    assert_true(s.llm <= 0.5 * full_cost(cached, true) * (1 + 1e-9));
    assert_null(json_object_get(file, "guarantee"));
    same_dial(file, cached, a_rule(file, &spec), true, 6);
    json_decref(file);
    calibrated_free(x);
}

/* A deepest exit below the last, the demonstration as reference, another weight. */
static void test_peak_and_demonstration(void **unused)
{
    calibrate_spec spec = a_spec(HISTORY_FULL, false, 0.8);
    calibrated *x;
    json_t *file;
    deer_cost cost;
    sums s;

    (void)unused;
    price(cached, 12, &cost);
    spec.asked.peak = (double)cost.exit[3].total / 1e9 * 1.0001;
    spec.problem.loss = LOSS_DEMO;
    spec.problem.gripper_weight = 0.7;
    file = delivered(cache_path[0], &spec, &x);
    assert_int_equal(json_array_size(field(file, "tau")), 4);
    same_file(file, &spec, cached, 1, &s);
    assert_true(s.peak_total <= spec.asked.peak);
    assert_true(s.total <= 0.8 * full_cost(cached, false) * (1 + 1e-9));
    json_decref(file);
    calibrated_free(x);
}

/* The exits taken change what later ones say. */
static void test_own_history(void **unused)
{
    calibrate_spec spec = a_spec(HISTORY_ON_POLICY, true, 0.45);
    calibrated *x;
    json_t *file;
    sums s;

    (void)unused;
    spec.points = 3;
    file = delivered(cache_path[0], &spec, &x);
    same_file(file, &spec, cached, 1, &s);
    assert_true(s.llm <= 0.45 * full_cost(cached, true) * (1 + 1e-9));
    same_dial(file, cached, a_rule(file, &spec), true, 3);
    json_decref(file);
    calibrated_free(x);
}

static void test_combined(void **unused)
{
    calibrate_spec spec = a_spec(HISTORY_ON_POLICY, true, 0.6);
    calibrated *x;
    json_t *file;
    sums s;

    (void)unused;
    spec.problem.criterion = DEER_CRITERION_COMBINED;
    file = delivered(cache_path[0], &spec, &x);
    assert_int_equal(json_array_size(field(file, "score")), cached->exits - 1);
    same_file(file, &spec, cached, 1, &s);
    json_decref(file);
    calibrated_free(x);
}

/* A file holds 256 episodes of reference: of 300, every other one. */
static void test_more_episodes_than_fit(void **unused)
{
    calibrate_spec spec = a_spec(HISTORY_FULL, true, 0.5);
    calibrated *x;
    json_t *file;
    sums s;

    (void)unused;
    file = delivered(cache_path[1], &spec, &x);
    same_file(file, &spec, x->c, 2, &s);
    json_decref(file);
    calibrated_free(x);
}

/* ---------------------------------------------------------------- guaranteed --------------- */

/* Which episodes thresholds were solved on; the others tested them. */
static int tested(const calibrate_spec *spec, bool *for_solving, bool *for_testing)
{
    int stratum[EPISODES], n = 0;
    guarantee_spec g = spec->guarantee;

    for (int e = 0; e < EPISODES; e++) /* two episodes of each task in turn: kinds by their first */
        stratum[e] = e / 2 % TASKS * 2;
    g.stratum = stratum;
    ok(guarantee_split(&g, EPISODES, for_solving, &err));
    for (int e = 0; e < EPISODES; e++)
        n += for_testing[e] = !for_solving[e];
    return n;
}

static void same_guarantee(const json_t *file, const calibrate_spec *spec, const calibrated *x)
{
    const json_t *g = field(file, "guarantee");
    bool for_solving[EPISODES], for_testing[EPISODES];
    int n = tested(spec, for_solving, for_testing);
    rule r = a_rule(file, spec);
    sums s;

    same("confidence", number(g, "confidence"), spec->guarantee.confidence);
    assert_int_equal(json_integer_value(field(g, "tested_on_episodes")), n);
    assert_int_equal(json_integer_value(field(g, "solved_on_episodes")), EPISODES - n);
    assert_string_equal(json_string_value(field(g, "bound")), bound_name(spec->guarantee.bound));
    assert_string_equal(json_string_value(field(g, "statement")), x->o.guaranteed.statement);
    r.only = for_testing;
    look(cached, &r, &s);
    same("held-out cost", x->o.guaranteed.at.cost, spec->problem.scope_llm ? s.llm : s.total);
    same("held-out loss", x->o.guaranteed.at.loss, s.loss);
}

/* A share of full depth is of the episodes solved on. */
static double full_of_solved(const calibrate_spec *spec)
{
    bool solving[EPISODES], testing[EPISODES];
    rule never = {.max_exit = cached->exits - 1, .only = solving};
    sums full;

    tested(spec, solving, testing);
    for (int k = 0; k < never.max_exit; k++)
        never.tau[k] = -INFINITY;
    look(cached, &never, &full);
    return full.llm;
}

static void test_guaranteed_average(void **unused)
{
    calibrate_spec spec = a_spec(HISTORY_FULL, true, 0.7);
    calibrated *x;
    json_t *file;
    const json_t *g;
    double budget;
    sums s;

    (void)unused;
    spec.guarantee.confidence = 0.8;
    file = delivered(cache_path[0], &spec, &x);
    g = field(file, "guarantee");
    same_file(file, &spec, cached, 1, &s);
    same_guarantee(file, &spec, x);
    assert_true(json_is_null(field(g, "loss")));
    budget = 0.7 * full_of_solved(&spec);
    same("guaranteed average", number(g, "average_gflops"), budget);
    same("budget", number(field(file, "budget"), "average_gflops"), budget);
    assert_true(x->o.guaranteed.at.cost < budget);
    assert_int_equal(x->o.guaranteed.longest, 25);
    assert_non_null(strstr(x->o.guaranteed.statement, "(of up to 25 steps)"));
    assert_non_null(strstr(x->o.guaranteed.statement, "probability at most 0.2:"));
    json_decref(file);
    calibrated_free(x);
}

/* With a confidence the points of a dial have guarantees of their own, of at most their budget. */
static void test_guaranteed_dial(void **unused)
{
    calibrate_spec spec = a_spec(HISTORY_FULL, true, NAN);
    const json_t *dial;
    calibrated *x;
    json_t *file;
    int given = 0;

    (void)unused;
    spec.guarantee.confidence = 0.8;
    spec.points = 4;
    file = delivered(cache_path[0], &spec, &x);
    assert_null(json_object_get(file, "guarantee")); /* no budget of its own is asked for */
    dial = field(file, "dial");
    assert_int_equal(json_array_size(dial), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *point = json_array_get(dial, i), *g = json_object_get(point, "guarantee");

        assert_true(!!g == x->point_guarantee[i].given);
        if (!g)
            continue;
        given++;
        same("confidence", number(g, "confidence"), 0.8);
        assert_true(number(g, "average_gflops") <= number(point, "average_gflops"));
    }
    assert_true(given >= 3);
    json_decref(file);
    calibrated_free(x);
}

static void test_guaranteed_loss(void **unused)
{
    calibrate_spec spec = a_spec(HISTORY_FULL, false, NAN);
    calibrated *x;
    json_t *file;
    const json_t *g;
    sums s;

    (void)unused;
    spec.guarantee.confidence = 0.7;
    spec.guarantee.deviation = 0.15;
    spec.guarantee.bound = BOUND_T;
    file = delivered(cache_path[0], &spec, &x);
    g = field(file, "guarantee");
    same_file(file, &spec, cached, 1, &s);
    same_guarantee(file, &spec, x);
    assert_true(json_is_null(field(g, "average_gflops")));
    same("guaranteed loss", number(g, "loss"), 0.15);
    json_decref(file);
    calibrated_free(x);
}

/* ---------------------------------------------------------------- beside it ---------------- */

/* What is printed beside the thresholds: full depth, the official heuristic, the gap. */
static void test_outcome(void **unused)
{
    calibrate_spec spec = a_spec(HISTORY_FULL, true, 0.5);
    calibrate_source from = {.cache = cache_path[0]};
    calibrated *x;
    const operating_point *points[3];
    rule r = {.weight = spec.problem.gripper_weight};

    (void)unused;
    ok(calibrate(&from, &spec, &x, &err));
    assert_true(x->o.has_official);
    points[0] = &x->o.full;
    points[1] = &x->o.official;
    points[2] = &x->o.found;
    for (int i = 0; i < 3; i++) {
        sums s;

        r.max_exit = points[i]->max_exit;
        for (int k = 0; k < r.max_exit; k++)
            r.tau[k] = (double)points[i]->tau[k];
        look(cached, &r, &s);
        same("llm", points[i]->llm, s.llm);
        same("total", points[i]->total, s.total);
        same("peak", points[i]->peak_total, s.peak_total);
        same("memory", points[i]->memory, s.memory);
        same("loss", points[i]->loss, s.loss);
    }
    same("full", x->o.full_llm, full_cost(cached, true));
    same("full", x->o.full_total, full_cost(cached, false));
    assert_true(x->o.found.loss <= x->o.official.loss);
    assert_true(x->o.oracle_loss <= x->o.found.loss);
    same("gap", x->o.gap_closed,
         (x->o.official.loss - x->o.found.loss) / (x->o.official.loss - x->o.oracle_loss));
    calibrated_free(x);
}

/* Every criterion of the runtime has its line, under the name that files give it. */
static void test_criteria(void **unused)
{
    int n = 0;

    (void)unused;
    for (; criterion_at(n); n++) {
        const criterion *how = criterion_at(n);

        assert_int_equal(how->id, n);
        assert_string_not_equal(deer_criterion_name(how->id), "unknown");
        assert_ptr_equal(criterion_named(deer_criterion_name(how->id)), how);
        assert_ptr_equal(criterion_of(how->id), how);
        assert_int_equal(!!how->fit, how->id == DEER_CRITERION_COMBINED);
    }
    assert_int_equal(n, DEER_CRITERION_COMBINED + 1);
    assert_null(criterion_named("none"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_criteria),
        cmocka_unit_test(test_as_cached),
        cmocka_unit_test(test_peak_and_demonstration),
        cmocka_unit_test(test_own_history),
        cmocka_unit_test(test_combined),
        cmocka_unit_test(test_more_episodes_than_fit),
        cmocka_unit_test(test_guaranteed_average),
        cmocka_unit_test(test_guaranteed_dial),
        cmocka_unit_test(test_guaranteed_loss),
        cmocka_unit_test(test_outcome),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
