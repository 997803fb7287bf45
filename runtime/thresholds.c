/* thresholds.c - the thresholds file (docs/thresholds-file.md). */
#include <float.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/deer.h"
#include "runtime/file.h"

enum { FORMAT_VERSION = 1, MAX_FILE = 16 << 20 };

void deer_thresholds_fixed(const deer_model *model, int exit, deer_thresholds *t)
{
    memset(t, 0, sizeof *t);
    strcpy(t->model_fingerprint, deer_model_fingerprint(model));
    t->exits = exit + 1;
    t->max_exit = exit;
    t->steps_per_stage = 1;
    for (int k = 0; k < exit; k++)
        t->tau[k] = -INFINITY;
    t->tau[exit] = INFINITY;
    t->promise = (deer_promise){NAN, NAN, NAN, NAN, NAN, NAN, {0}};
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        t->promise.exit_fraction[k] = k == exit;
    strcpy(t->solver, "fixed");
    t->budget_gflops = NAN;
}

/* ---------------------------------------------------------------- writing ------------------ */

/* NaN (not known) is null. */
static json_t *number_json(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* JSON has no infinities; the official code writes -1e8 for an exit that is never taken. */
static json_t *tau_json(const deer_thresholds *t)
{
    json_t *list = json_array();

    for (int k = 0; k <= t->max_exit; k++)
        json_array_append_new(list, k == t->max_exit    ? json_null()
                                    : t->tau[k] < -1e7f ? json_string("never")
                                    : isinf(t->tau[k])  ? json_string("always")
                                                        : json_real((double)t->tau[k]));
    return list;
}

/* What the caller filled in by hand may not make a file that nothing can read. */
static deer_status check(const char *path, const deer_config *config, const deer_thresholds *t,
                         deer_error *err)
{
    if (t->max_exit < 0 || t->max_exit >= config->exits || t->exits != t->max_exit + 1)
        return deer_fail(err, "cannot write %s: thresholds up to exit %d of %d", path, t->max_exit,
                         config->exits);
    if ((unsigned)t->criterion > DEER_CRITERION_COSINE || t->steps_per_stage < 1)
        return deer_fail(err, "cannot write %s: criterion or steps_per_stage out of range", path);
    for (int k = 0; k < t->max_exit; k++)
        if (isnan(t->tau[k]))
            return deer_fail(err, "cannot write %s: threshold %d is not a number", path, k);
    return DEER_OK;
}

static json_t *promise_json(const deer_thresholds *t)
{
    const deer_promise *p = &t->promise;
    json_t *json = json_object(), *fractions = json_array();

    for (int k = 0; k <= t->max_exit; k++)
        json_array_append_new(fractions, number_json(p->exit_fraction[k]));
    json_object_set_new(json, "average_llm_gflops", number_json(p->average_llm_gflops));
    json_object_set_new(json, "average_total_gflops", number_json(p->average_total_gflops));
    json_object_set_new(json, "peak_llm_gflops", number_json(p->peak_llm_gflops));
    json_object_set_new(json, "peak_total_gflops", number_json(p->peak_total_gflops));
    json_object_set_new(json, "memory_bytes", number_json(p->memory_bytes));
    json_object_set_new(json, "loss", number_json(p->loss));
    json_object_set_new(json, "exit_fraction", fractions);
    return json;
}

static json_t *thresholds_json(const deer_config *config, const deer_thresholds *t)
{
    json_t *json = json_object(), *layers = json_array();

    for (int k = 0; k <= t->max_exit; k++)
        json_array_append_new(layers, json_integer(config->exit_layers[k]));
    json_object_set_new(json, "deer_thresholds", json_integer(FORMAT_VERSION));
    json_object_set_new(json, "model_fingerprint", json_string(t->model_fingerprint));
    json_object_set_new(json, "criterion", json_string(deer_criterion_name(t->criterion)));
    json_object_set_new(json, "exit_layers", layers);
    json_object_set_new(json, "tau", tau_json(t));
    json_object_set_new(json, "steps_per_stage", json_integer(t->steps_per_stage));
    json_object_set_new(json, "promise", promise_json(t));
    json_object_set_new(json, "budget",
                        json_pack("{s:o, s:s}", "average_gflops", number_json(t->budget_gflops),
                                  "scope", t->budget_is_llm ? "llm" : "total"));
    json_object_set_new(json, "calibration",
                        json_pack("{s:I, s:I, s:s, s:I, s:s}", "episodes",
                                  (json_int_t)t->calibration_episodes, "steps",
                                  (json_int_t)t->calibration_steps, "solver", t->solver, "seed",
                                  (json_int_t)t->seed, "deer", DEER_VERSION));
    return json;
}

deer_status deer_thresholds_save(const char *path, const deer_config *config,
                                 const deer_thresholds *t, deer_error *err)
{
    json_t *json;
    char *text;
    deer_status status;

    if (check(path, config, t, err))
        return DEER_FAILED;
    json = thresholds_json(config, t);
    text = json_dumps(json, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    status = text ? file_write(path, text, strlen(text), err)
                  : deer_fail(err, "out of memory writing %s", path);
    free(text);
    json_decref(json);
    return status;
}

/* ---------------------------------------------------------------- reading ------------------ */

static double finite_or_nan(const json_t *value)
{
    return json_is_number(value) ? json_number_value(value) : NAN;
}

static double number_of(const json_t *json, const char *name)
{
    return finite_or_nan(json_object_get(json, name));
}

/* One threshold; false when it is nothing of the kind. */
static bool read_threshold(const json_t *value, float *tau)
{
    const char *word = json_string_value(value);
    double number = json_number_value(value);

    *tau = word ? (strcmp(word, "never") ? INFINITY : -INFINITY) : (float)number;
    return word ? !strcmp(word, "never") || !strcmp(word, "always")
                : json_is_number(value) && fabs(number) < FLT_MAX;
}

static deer_status read_tau(const char *path, const json_t *json, deer_thresholds *t,
                            deer_error *err)
{
    const json_t *list = json_object_get(json, "tau");
    size_t n = json_array_size(list);

    if (n < 1 || n > DEER_MAX_EXITS || !json_is_null(json_array_get(list, n - 1)))
        return deer_fail(err, "%s: tau must be a list of 1 to %d entries that ends in null", path,
                         DEER_MAX_EXITS);
    t->exits = (int)n;
    t->max_exit = (int)n - 1;
    t->tau[t->max_exit] = INFINITY;
    for (int k = 0; k < t->max_exit; k++)
        if (!read_threshold(json_array_get(list, (size_t)k), &t->tau[k]))
            return deer_fail(err, "%s: threshold %d is neither a number nor \"never\"", path, k);
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
    if (strcmp(t->model_fingerprint, deer_model_fingerprint(model)))
        return deer_fail(err,
                         "%s is for another model (%.12s..., this is %.12s...); calibrate anew",
                         path, t->model_fingerprint, deer_model_fingerprint(model));
    if (t->max_exit > deer_model_max_exit(model))
        return deer_fail(err, "%s needs exit %d; the model is opened up to exit %d", path,
                         t->max_exit, deer_model_max_exit(model));
    for (int k = 0; k < t->exits; k++)
        if (json_integer_value(json_array_get(layers, (size_t)k)) != c->exit_layers[k])
            return deer_fail(err, "%s: exit layers differ from the model's", path);
    return DEER_OK;
}

static deer_status read_criterion(const char *path, const json_t *json, deer_thresholds *t,
                                  deer_error *err)
{
    const char *name = json_string_value(json_object_get(json, "criterion"));

    for (int i = 0; name && i <= DEER_CRITERION_COSINE; i++)
        if (!strcmp(name, deer_criterion_name((deer_criterion)i))) {
            t->criterion = (deer_criterion)i;
            return DEER_OK;
        }
    return deer_fail(err, "%s: unknown criterion '%s'", path, name ? name : "(none)");
}

static void read_promise(const json_t *json, deer_thresholds *t)
{
    const json_t *p = json_object_get(json, "promise");
    const json_t *fractions = json_object_get(p, "exit_fraction");

    t->promise.average_llm_gflops = number_of(p, "average_llm_gflops");
    t->promise.average_total_gflops = number_of(p, "average_total_gflops");
    t->promise.peak_llm_gflops = number_of(p, "peak_llm_gflops");
    t->promise.peak_total_gflops = number_of(p, "peak_total_gflops");
    t->promise.memory_bytes = number_of(p, "memory_bytes");
    t->promise.loss = number_of(p, "loss");
    for (int k = 0; k < t->exits; k++)
        t->promise.exit_fraction[k] = finite_or_nan(json_array_get(fractions, (size_t)k));
}

static void read_origin(const json_t *json, deer_thresholds *t)
{
    const json_t *budget = json_object_get(json, "budget");
    const json_t *origin = json_object_get(json, "calibration");
    const char *scope = json_string_value(json_object_get(budget, "scope"));
    const char *solver = json_string_value(json_object_get(origin, "solver"));

    t->budget_gflops = number_of(budget, "average_gflops");
    t->budget_is_llm = scope && !strcmp(scope, "llm");
    strncpy(t->solver, solver ? solver : "", sizeof t->solver - 1);
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
    if (json_integer_value(version) != FORMAT_VERSION)
        return deer_fail(err, "%s has format version %lld; this program reads version %d", path,
                         (long long)json_integer_value(version), FORMAT_VERSION);
    if (!fingerprint || strlen(fingerprint) != DEER_FINGERPRINT - 1)
        return deer_fail(err, "%s: model_fingerprint is missing or malformed", path);
    strcpy(t->model_fingerprint, fingerprint);
    if (stage < 1 || stage > 1000000)
        return deer_fail(err, "%s: steps_per_stage must be 1 or more", path);
    t->steps_per_stage = (int)stage;
    if (read_criterion(path, json, t, err) || read_tau(path, json, t, err) ||
        read_exits(path, json, model, t, err))
        return DEER_FAILED;
    read_promise(json, t);
    read_origin(json, t);
    return DEER_OK;
}

deer_status deer_thresholds_load(const char *path, const deer_model *model, deer_thresholds *t,
                                 deer_error *err)
{
    char *text;
    size_t size;
    json_error_t problem;
    json_t *json;
    deer_status status;

    memset(t, 0, sizeof *t);
    if (file_read(path, MAX_FILE, &text, &size, err))
        return DEER_FAILED;
    json = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    free(text);
    if (!json)
        return deer_fail(err, "%s is not JSON: %s (line %d)", path, problem.text, problem.line);
    status = read_all(path, json, model, t, err);
    json_decref(json);
    return status;
}
