/* SPDX-License-Identifier: MIT */
/* paired.c - evaluations from the same starts, start by start. */
#include "reports/answer/paired.h"

#include <math.h>
#include <string.h>

#include "reports/answer/evaluation.h"

/* ---------------------------------------------------------------- reading ------------------ */

static const double least_allowed = 12; /* ROLLOUT_LEAST_ALLOWED */

/* Whether it was done within so many times the expert's steps, and did no harm: as deer-sim eval
 * --strict judges (datasets/tabletop/rollout.h). */
static bool in_time(const json_t *o, double within)
{
    double expert = json_number_value(json_object_get(o, "expert_steps"));
    double allowed = expert > 0 ? fmax(least_allowed, floor(within * expert + 1e-9)) : INFINITY;

    return json_number_value(json_object_get(o, "steps")) <= allowed &&
           !json_is_string(json_object_get(o, "harm"));
}

/* What a rollout was worth, and took. */
static deer_status read_outcome(const char *path, const json_t *o, double within,
                                paired_side *rollout, deer_error *err)
{
    const json_t *steps = json_object_get(o, "steps"), *success = json_object_get(o, "success");

    *rollout = (paired_side){.worth = json_is_true(success) && (within <= 0 || in_time(o, within)),
                             .steps = json_number_value(steps),
                             .llm = json_number_value(json_object_get(o, "llm_gflops")),
                             .total = json_number_value(json_object_get(o, "total_gflops"))};
    if (json_is_boolean(success) && json_is_integer(steps) && json_integer_value(steps) >= 0)
        return DEER_OK;
    return deer_fail(err, "%s has an outcome without success or steps", path);
}

static void join(paired_side *sum, const paired_side *more)
{
    sum->worth += more->worth;
    sum->steps += more->steps;
    sum->llm += more->llm;
    sum->total += more->total;
}

/* The outcomes of one file, start by start. */
typedef struct {
    const char *path;
    const json_t *list;
    size_t at;
    bool rows;
    double within;
} reader;

static const json_t *number_of(const json_t *outcome, bool rows)
{
    return json_object_get(outcome, rows ? "row" : "number");
}

/* Sums up the next start: a rollout, or all of a row. */
static deer_status next_start(reader *r, paired_side *sum, deer_error *err)
{
    const json_t *first = json_array_get(r->list, r->at), *o = first;

    *sum = (paired_side){0};
    do {
        paired_side one;

        if (read_outcome(r->path, o, r->within, &one, err))
            return DEER_FAILED;
        join(sum, &one);
        o = json_array_get(r->list, ++r->at);
    } while (r->rows && o && json_equal(number_of(o, true), number_of(first, true)));
    return DEER_OK;
}

/* ---------------------------------------------------------------- whether they share ------- */

static bool at_end(const reader *r)
{
    return r->at >= json_array_size(r->list);
}

/* Both at the same start, or both at their end. */
static bool at_same(const reader *a, const reader *b)
{
    const json_t *x = json_array_get(a->list, a->at), *y = json_array_get(b->list, b->at);

    if (at_end(a) || at_end(b))
        return at_end(a) && at_end(b);
    return json_equal(json_object_get(x, "task"), json_object_get(y, "task")) &&
           json_is_integer(number_of(x, a->rows)) &&
           json_equal(number_of(x, a->rows), number_of(y, b->rows));
}

static deer_status check_file(const char *path, const json_t *root, deer_error *err)
{
    if (!json_array_size(json_object_get(root, "outcomes")) ||
        !json_is_integer(json_object_get(root, "seed")) ||
        !json_is_string(json_object_get(root, "split")))
        return deer_fail(
            err,
            "%s does not say how each rollout went; is it from this version's deer-sim "
            "eval --json?",
            path);
    return DEER_OK;
}

/* Files whose rollouts ended before the time asked for cannot say. */
static deer_status check_within(const char *path, const json_t *root, double within,
                                deer_error *err)
{
    const json_t *strict = json_object_get(root, "strict");

    if (within <= 0 || (json_is_null(strict) && !json_object_get(root, "chains")) ||
        (json_number_value(strict) >= within && !json_object_get(root, "chains")))
        return DEER_OK;
    return deer_fail(err, "%s cannot be judged within %g times the expert's steps: %s", path,
                     within,
                     json_object_get(root, "chains") ? "it has rows of instructions"
                                                     : "its rollouts ended before");
}

static deer_status check_pair(const char *first, const json_t *a, const char *second,
                              const json_t *b, deer_error *err)
{
    char how[128];

    if (check_file(first, a, err) || check_file(second, b, err))
        return DEER_FAILED;
    if (evaluation_differs(a, b, how, sizeof how))
        return deer_fail(err, "%s does not share the starts of %s: it judged %s", second, first,
                         how);
    if (!json_equal(json_object_get(a, "strict"), json_object_get(b, "strict")))
        return deer_fail(err, "%s and %s were not judged alike: give both the same --strict", first,
                         second);
    return DEER_OK;
}

/* ---------------------------------------------------------------- sums --------------------- */

static void add_pair(const paired_side one[2], paired *pair)
{
    double difference = one[1].worth - one[0].worth;

    pair->pairs++;
    pair->first += difference < 0;
    pair->second += difference > 0;
    pair->equal += difference == 0;
    pair->squares += difference * difference;
    join(&pair->side[0], &one[0]);
    join(&pair->side[1], &one[1]);
}

static deer_status add_all(reader *a, reader *b, paired *pair, deer_error *err)
{
    paired_side one[2];

    while (at_same(a, b) && !at_end(a)) {
        if (next_start(a, &one[0], err) || next_start(b, &one[1], err))
            return DEER_FAILED;
        add_pair(one, pair);
    }
    if (!at_end(a) || !at_end(b))
        return deer_fail(err, "%s does not share the starts of %s: they differ from the %d. on",
                         b->path, a->path, pair->pairs + 1);
    return DEER_OK;
}

deer_status paired_add(const char *first, const char *second, paired *pair, deer_error *err)
{
    json_t *a = evaluation_load(first, err), *b = a ? evaluation_load(second, err) : NULL;
    deer_status status = b ? check_pair(first, a, second, b, err) : DEER_FAILED;

    if (!status)
        status = check_within(first, a, pair->within, err);
    if (!status)
        status = check_within(second, b, pair->within, err);

    if (!status) {
        bool rows = json_object_get(a, "chains");
        reader from = {first, json_object_get(a, "outcomes"), 0, rows, pair->within};
        reader to = {second, json_object_get(b, "outcomes"), 0, rows, pair->within};

        if (pair->pairs && pair->rows != rows)
            status = deer_fail(err, "%s has %s, the files before have not", first,
                               rows ? "chains" : "single tasks");
        pair->rows = rows;
        if (!status)
            status = add_all(&from, &to, pair, err);
    }
    json_decref(a);
    json_decref(b);
    return status;
}

/* ---------------------------------------------------------------- what follows ------------- */

double paired_sign_test(int heads, int n)
{
    int fewer = heads < n - heads ? heads : n - heads;
    double tail = 0;

    for (int i = 0; i <= fewer; i++)
        tail += exp(lgamma(n + 1.0) - lgamma(i + 1.0) - lgamma(n - i + 1.0) - n * M_LN2);
    return fmin(1, 2 * tail);
}

void paired_finish(paired *pair)
{
    const double z = 1.959964;
    double n = pair->pairs, sum = pair->side[1].worth - pair->side[0].worth;
    double mean = sum / (n + 2), variance = (pair->squares + 1) / (n + 2) - mean * mean;
    double half = z * sqrt(variance / (n + 2));

    pair->difference = n > 0 ? sum / n : NAN;
    pair->low = mean - half;
    pair->high = mean + half;
    pair->p_value = paired_sign_test(pair->first, pair->first + pair->second);
}
