/* SPDX-License-Identifier: MIT */
/* thresholds_read.c - reading the thresholds file (docs/thresholds-file.md). */
#include <float.h>
#include <math.h>
#include <string.h>

#include "runtime/base/dtype.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/tau.h"
#include "runtime/base/text.h"
#include "runtime/thresholds/criterion.h"
#include "runtime/thresholds/exit_rule.h"
#include "runtime/thresholds/thresholds_format.h"

enum { MAX_FILE = 16 << 20 };

static double finite_or_nan(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double number_of(const json_t *json, const char *name)
{
    return finite_or_nan(json_object_get(json, name));
}

/* The largest float, written with nine digits, is a little more than itself. */
static const double largest = (double)FLT_MAX * (1 + 1e-8);

/* One threshold; false when it is nothing of the kind. */
static bool read_threshold(const json_t *value, float *tau)
{
    const char *word = json_string_value(value);
    double number = json_number_value(value);

    *tau = word ? (strcmp(word, "never") ? TAU_ALWAYS : TAU_NEVER) : (float)number;
    return word ? !strcmp(word, "never") || !strcmp(word, "always")
                : json_is_number(value) && fabs(number) < largest;
}

/* A list of thresholds that ends in null; how many there are, 0 when it is nothing of the kind. */
static int read_tau_list(const json_t *list, float *tau)
{
    size_t n = json_array_size(list);

    if (n < 1 || n > DEER_MAX_EXITS || !json_is_null(json_array_get(list, n - 1)))
        return 0;
    for (size_t k = 0; k + 1 < n; k++)
        if (!read_threshold(json_array_get(list, k), &tau[k]))
            return 0;
    tau[n - 1] = TAU_ALWAYS;
    return (int)n;
}

static deer_status read_tau(const char *path, const json_t *json, deer_thresholds *t,
                            deer_error *err)
{
    t->exits = read_tau_list(json_object_get(json, "tau"), t->tau);
    t->max_exit = t->exits - 1;
    if (!t->exits)
        return deer_fail(
            err,
            "%s: tau must be a list of up to %d numbers (or \"never\", \"always\"), the "
            "last null",
            path, DEER_MAX_EXITS);
    return DEER_OK;
}

static deer_status read_exits(const char *path, const json_t *json, const deer_model *model,
                              const deer_thresholds *t, deer_error *err)
{
    const json_t *layers = json_object_get(json, "exit_layers");
    const deer_config *c = model ? deer_model_config(model) : NULL;

    if (json_array_size(layers) != (size_t)t->exits)
        return deer_fail(err, "%s: exit_layers and tau differ in length", path);
    if (!model)
        return DEER_OK;
    if (thresholds_check_model(path, t, model, err))
        return DEER_FAILED;
    if (t->max_exit > deer_model_max_exit(model))
        return deer_fail(err, "%s needs exit %d; the model is opened up to exit %d", path,
                         t->max_exit, deer_model_max_exit(model));
    for (int k = 0; k < t->exits; k++)
        if (json_integer_value(json_array_get(layers, (size_t)k)) != c->exit_layers[k])
            return deer_fail(err, "%s: exit layers differ from the model's", path);
    return DEER_OK;
}

/* Files of earlier versions do not say it. */
static deer_status read_weights(const char *path, const json_t *json, deer_thresholds *t,
                                deer_error *err)
{
    const json_t *value = json_object_get(json, "weights");
    const char *name = json_string_value(value);
    weight_dtype dtype;

    if (value && (!name || !weight_dtype_from_name(name, &dtype)))
        return deer_fail(err, "%s: weights must be \"f32\", \"bf16\" or \"q8\"", path);
    if (value)
        strcpy(t->weights, weight_dtype_name(dtype));
    return DEER_OK;
}

/* Of most files there are none. */
static deer_status read_sums(const char *path, const json_t *json, deer_thresholds *t,
                             deer_error *err)
{
    const json_t *value = json_object_get(json, "sums");
    const char *name = json_string_value(value);

    if (value && (!name || !*name || strlen(name) >= sizeof t->sums))
        return deer_fail(err, "%s: sums must name an instruction set", path);
    if (value)
        strcpy(t->sums, name);
    return DEER_OK;
}

static deer_status read_criterion(const char *path, const json_t *json, deer_thresholds *t,
                                  deer_error *err)
{
    const char *name = json_string_value(json_object_get(json, "criterion"));

    if (exit_criterion_named(name, &t->criterion))
        return DEER_OK;
    return deer_fail(err, "%s: unknown criterion '%s'", path, name ? name : "(none)");
}

/* A weight, or 0 where it is not named; false when it is no number a float can hold. */
static bool read_weight(const json_t *from, const char *name, float *weight)
{
    const json_t *value = json_object_get(from, name);
    double number = value ? finite_or_nan(value) : 0;

    *weight = (float)number;
    return fabs(number) < largest; /* not a NaN */
}

/* One exit's score; false when it is nothing of the kind, or names signals there are not. */
static bool read_score(const json_t *from, deer_score *score)
{
    size_t known = 0;

    if (!json_object_get(from, "constant") || !read_weight(from, "constant", &score->constant))
        return false;
    for (int j = 0; j < DEER_SIGNALS; j++) {
        const char *name = deer_signal_name((deer_signal)j);
        if (!read_weight(from, name, &score->weight[j]))
            return false;
        known += json_object_get(from, name) != NULL;
    }
    return json_object_size(from) == 1 + known;
}

static deer_status read_scores(const char *path, const json_t *json, deer_thresholds *t,
                               deer_error *err)
{
    const json_t *list = json_object_get(json, "score");

    if (!(exit_criterion_of(t->criterion)->needs & CRITERION_NEEDS_SCORE))
        return DEER_OK;
    if (!json_is_array(list) || json_array_size(list) != (size_t)t->max_exit)
        return deer_fail(err, "%s: the %s criterion needs a score for each of %d exits", path,
                         deer_criterion_name(t->criterion), t->max_exit);
    for (int k = 0; k < t->max_exit; k++)
        if (!read_score(json_array_get(list, (size_t)k), &t->score[k]))
            return deer_fail(err,
                             "%s: score %d must have a constant, and weights of signals that "
                             "this program knows, all numbers",
                             path, k);
    return DEER_OK;
}

/* What is expected; earlier files call it a promise. */
static void read_expected(const json_t *json, int exits, deer_expected *expected)
{
    const json_t *named = json_object_get(json, "expected");
    const json_t *p = named ? named : json_object_get(json, "promise");
    const json_t *fractions = json_object_get(p, "exit_fraction");

    expected->average_llm_gflops = number_of(p, "average_llm_gflops");
    expected->average_total_gflops = number_of(p, "average_total_gflops");
    expected->peak_llm_gflops = number_of(p, "peak_llm_gflops");
    expected->peak_total_gflops = number_of(p, "peak_total_gflops");
    expected->memory_bytes = number_of(p, "memory_bytes");
    expected->loss = number_of(p, "loss");
    for (int k = 0; k < exits; k++)
        expected->exit_fraction[k] = finite_or_nan(json_array_get(fractions, (size_t)k));
}

static void read_text(const json_t *json, const char *name, char *text, size_t size)
{
    const char *value = json_string_value(json_object_get(json, name));

    text_copy(text, size, value ? value : "");
}

static deer_status read_guarantee(const char *path, const json_t *json, deer_guarantee *g,
                                  deer_error *err)
{
    const json_t *from = json_object_get(json, "guarantee");

    g->budget_gflops = number_of(from, "average_gflops");
    g->loss = number_of(from, "loss");
    if (!from)
        return DEER_OK;
    g->confidence = number_of(from, "confidence");
    if (!(g->confidence > 0 && g->confidence < 1))
        return deer_fail(err, "%s: the guarantee's confidence must lie between 0 and 1", path);
    g->solved_on = (long)json_integer_value(json_object_get(from, "solved_on_episodes"));
    g->tested_on = (long)json_integer_value(json_object_get(from, "tested_on_episodes"));
    read_text(from, "bound", g->bound, sizeof g->bound);
    read_text(from, "statement", g->statement, sizeof g->statement);
    return DEER_OK;
}

/* A camera's rule; false when it is nothing of the kind. Without a rho, age alone decides. */
static bool read_camera(const json_t *from, deer_camera_rule *rule)
{
    const json_t *age = json_object_get(from, "age"), *rho = json_object_get(from, "rho");
    json_int_t steps = json_integer_value(age);
    double number = rho ? finite_or_nan(rho) : 0;

    *rule = (deer_camera_rule){(int32_t)steps, rho ? (float)number : INFINITY};
    return json_is_integer(age) && steps >= 0 && steps <= DEER_MOST_AGE && number >= 0 &&
           number < largest && json_object_size(from) == 1 + (rho != NULL);
}

/* Where there is none, every camera is encoded at every step. */
static deer_status read_cameras(const char *path, const json_t *json, deer_camera_rules *rules,
                                deer_error *err)
{
    const json_t *from = json_object_get(json, "cameras");
    const json_t *stagger = json_object_get(from, "stagger");

    *rules = (deer_camera_rules){.stagger = json_is_true(stagger)};
    if (!from)
        return DEER_OK;
    if (!read_camera(json_object_get(from, "static"), &rules->static_view) ||
        !read_camera(json_object_get(from, "gripper"), &rules->gripper_view) ||
        (stagger && !json_is_boolean(stagger)) || json_object_size(from) != 2 + (stagger != NULL))
        return deer_fail(err,
                         "%s: cameras must have a rule for \"static\" and \"gripper\", each with "
                         "an age of 0 to %d steps and perhaps a rho of 0 or more, and perhaps "
                         "\"stagger\", true or false",
                         path, DEER_MOST_AGE);
    if (rules->stagger && (rules->static_view.age < 1 || rules->gripper_view.age < 1))
        return deer_fail(err, "%s: staggered cameras need ages of 1 step or more", path);
    return DEER_OK;
}

/* A whole number within an int, or -1. */
static int32_t read_count(const json_t *value)
{
    json_int_t number = json_integer_value(value);

    return json_is_integer(value) && number >= 0 && number <= INT32_MAX ? (int32_t)number : -1;
}

/* A list of exits; false when it is nothing of the kind. */
static bool read_pattern(const json_t *list, deer_exit_rule *rule)
{
    size_t n = json_array_size(list);

    if (n < 1 || n > DEER_MAX_PATTERN)
        return false;
    for (size_t i = 0; i < n; i++) {
        int32_t exit = read_count(json_array_get(list, i));

        if (exit < 0 || exit >= DEER_MAX_EXITS)
            return false;
        rule->pattern[i] = (uint8_t)exit;
    }
    rule->steps = (int32_t)n;
    return true;
}

/* What a kind of rule needs, and nothing else: besides the kind, so many fields. */
static bool read_rule_fields(const json_t *from, deer_exit_rule *rule)
{
    const json_t *limit = json_object_get(from, "limit");

    if (rule->kind == DEER_RULE_SCHEDULE)
        return json_object_size(from) == 2 && read_pattern(json_object_get(from, "pattern"), rule);
    rule->deep = read_count(json_object_get(from, "deep"));
    if (rule->kind == DEER_RULE_REFRESH)
        rule->steps = read_count(json_object_get(from, "steps"));
    else
        rule->limit = (float)finite_or_nan(limit);
    return json_object_size(from) == 3 && rule->deep >= 0 && rule->steps >= 0 &&
           isfinite(rule->limit);
}

/* Where there is none, each step is decided on its own. */
static deer_status read_rule(const char *path, const json_t *json, const deer_thresholds *t,
                             deer_exit_rule *rule, deer_error *err)
{
    const json_t *from = json_object_get(json, "rule");
    const char *kind = json_string_value(json_object_get(from, "kind")), *fault;

    *rule = (deer_exit_rule){.kind = DEER_RULE_NONE};
    if (!from)
        return DEER_OK;
    if (!exit_rule_named(kind, &rule->kind) || !rule->kind)
        return deer_fail(err, "%s: unknown kind of rule '%s'", path, kind ? kind : "(none)");
    if (!read_rule_fields(from, rule))
        return deer_fail(err, "%s: a rule of kind %s needs %s, all numbers, and nothing else", path,
                         kind,
                         rule->kind == DEER_RULE_SCHEDULE  ? "a \"pattern\" of exits"
                         : rule->kind == DEER_RULE_REFRESH ? "\"deep\" and \"steps\""
                                                           : "\"deep\" and \"limit\"");
    fault = exit_rule_fault(rule, t->max_exit, t->steps_per_stage);
    return fault ? deer_fail(err, "%s: %s", path, fault) : DEER_OK;
}

static deer_status read_dial(const char *path, const json_t *json, deer_thresholds *t,
                             deer_error *err)
{
    const json_t *list = json_object_get(json, "dial");

    if (!list)
        return DEER_OK;
    if (!json_is_array(list) || json_array_size(list) > DEER_MAX_POINTS)
        return deer_fail(err, "%s: the dial must be a list of up to %d points", path,
                         DEER_MAX_POINTS);
    t->points = (int)json_array_size(list);
    for (int i = 0; i < t->points; i++) {
        const json_t *from = json_array_get(list, (size_t)i);
        deer_point *p = &t->point[i];
        p->budget_gflops = number_of(from, "average_gflops");
        if (read_tau_list(json_object_get(from, "tau"), p->tau) != t->exits ||
            !(p->budget_gflops > (i ? t->point[i - 1].budget_gflops : 0)))
            return deer_fail(err,
                             "%s: point %d of the dial needs %d thresholds and a budget above the "
                             "one before",
                             path, i, t->exits);
        read_expected(from, t->exits, &p->expected);
        if (read_cameras(path, from, &p->cameras, err) || read_rule(path, from, t, &p->rule, err) ||
            read_guarantee(path, from, &t->point_guarantee[i], err))
            return DEER_FAILED;
    }
    return DEER_OK;
}

static deer_status read_reference(const char *path, const json_t *json, deer_reference *r,
                                  deer_error *err)
{
    const json_t *from = json_object_get(json, "reference");
    const json_t *exits = json_object_get(from, "mean_exit");
    const json_t *deltas = json_object_get(from, "mean_delta");
    const json_t *kinds = json_object_get(from, "kind");
    size_t n = json_array_size(exits);

    if (!from)
        return DEER_OK;
    if (!n || n > DEER_MAX_REFERENCE || json_array_size(deltas) != n || json_array_size(kinds) != n)
        return deer_fail(err, "%s: reference must have 1 to %d episodes", path, DEER_MAX_REFERENCE);
    r->episodes = (int)n;
    for (size_t i = 0; i < n; i++) {
        r->kind[i] = (uint32_t)json_integer_value(json_array_get(kinds, i));
        r->mean_exit[i] = (float)finite_or_nan(json_array_get(exits, i));
        r->mean_delta[i] = (float)finite_or_nan(json_array_get(deltas, i));
        if (!isfinite(r->mean_exit[i]) || !isfinite(r->mean_delta[i]))
            return deer_fail(err, "%s: reference episode %zu is not a number", path, i);
    }
    return DEER_OK;
}

static void read_origin(const json_t *json, deer_thresholds *t)
{
    const json_t *budget = json_object_get(json, "budget");
    const json_t *origin = json_object_get(json, "calibration");
    const char *scope = json_string_value(json_object_get(budget, "scope"));

    t->budget_gflops = number_of(budget, "average_gflops");
    t->budget_is_llm = scope && !strcmp(scope, "llm");
    read_text(origin, "solver", t->solver, sizeof t->solver);
    t->calibration_episodes = (long)json_integer_value(json_object_get(origin, "episodes"));
    t->calibration_steps = (long)json_integer_value(json_object_get(origin, "steps"));
    t->seed = (unsigned long)json_integer_value(json_object_get(origin, "seed"));
}

static deer_status read_all(const char *path, const json_t *json, const deer_model *model,
                            deer_thresholds *t, deer_error *err)
{
    const char *fingerprint = json_string_value(json_object_get(json, "model_fingerprint"));
    const json_t *version = json_object_get(json, "deer_thresholds");
    json_int_t stage = json_integer_value(json_object_get(json, "steps_per_stage"));

    if (!json_is_integer(version))
        return deer_fail(err, "%s is not a thresholds file", path);
    if (json_integer_value(version) != THRESHOLDS_VERSION)
        return deer_fail(err, "%s has format version %lld; this program reads version %d", path,
                         (long long)json_integer_value(version), THRESHOLDS_VERSION);
    if (!fingerprint || strlen(fingerprint) != DEER_FINGERPRINT - 1)
        return deer_fail(err, "%s: model_fingerprint is missing or malformed", path);
    strcpy(t->model_fingerprint, fingerprint);
    if (stage < 1 || stage > 1000000)
        return deer_fail(err, "%s: steps_per_stage must be 1 or more", path);
    t->steps_per_stage = (int)stage;
    if (read_weights(path, json, t, err) || read_sums(path, json, t, err) ||
        read_criterion(path, json, t, err) || read_tau(path, json, t, err) ||
        read_exits(path, json, model, t, err) || read_scores(path, json, t, err))
        return DEER_FAILED;
    read_expected(json, t->exits, &t->expected);
    read_origin(json, t);
    if (read_cameras(path, json, &t->cameras, err) || read_rule(path, json, t, &t->rule, err) ||
        read_guarantee(path, json, &t->guarantee, err) || read_dial(path, json, t, err) ||
        read_reference(path, json, &t->reference, err))
        return DEER_FAILED;
    return DEER_OK;
}

deer_status thresholds_read(const char *path, const deer_model *model, deer_thresholds *t,
                            deer_error *err)
{
    json_t *json;
    deer_status status;

    memset(t, 0, sizeof *t);
    if (!path)
        return deer_fail_with(DEER_USAGE, err, "which thresholds file?");
    json = json_file_read(path, MAX_FILE, err);
    if (!json)
        return DEER_FAILED;
    status = read_all(path, json, model, t, err);
    json_decref(json);
    return status;
}
