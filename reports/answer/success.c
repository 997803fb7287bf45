/* SPDX-License-Identifier: MIT */
/* success.c - success against cost, from rollouts. */
#include "reports/answer/success.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/answer/evaluation.h"
#include "reports/formats/text.h"

static bool share(const json_t *root, const char *key, double *value)
{
    const json_t *field = json_object_get(root, key);

    *value = json_number_value(field);
    return json_is_number(field) && *value >= 0 && *value <= 1;
}

/* Average cost of exit fractions that add up to one. */
static bool fractions_cost(const json_t *list, const double *fixed_cost, int exits, double *cost)
{
    double sum = 0;

    *cost = 0;
    if (!json_is_array(list) || json_array_size(list) != (size_t)exits)
        return false;
    for (int k = 0; k < exits; k++) {
        const json_t *item = json_array_get(list, (size_t)k);
        double value = json_number_value(item);

        if (!json_is_number(item) || !(value >= 0))
            return false;
        sum += value;
        *cost += value * fixed_cost[k];
    }
    return fabs(sum - 1) < 1e-3;
}

static deer_status read_row(const char *path, const json_t *root, const double *fixed_cost,
                            int exits, success_row *row, deer_error *err)
{
    const char *slash = strrchr(path, '/');
    const json_t *rollouts = json_object_get(root, "rollouts");

    text_copy_utf8(row->file, sizeof row->file, slash ? slash + 1 : path);
    row->rollouts = json_number_value(rollouts);
    if (!share(root, "success", &row->value) || !share(root, "low", &row->wilson_95.low) ||
        !share(root, "high", &row->wilson_95.high) || !json_is_number(rollouts))
        return deer_fail(err,
                         "%s has no success with low, high and rollouts; is it from deer-sim "
                         "eval --json?",
                         path);
    if (!fractions_cost(json_object_get(root, "exit_fractions"), fixed_cost, exits, &row->cost))
        return deer_fail(err,
                         "%s has no exit_fractions of %d exits that add up to 1; is it an "
                         "evaluation of this policy?",
                         path, exits);
    return DEER_OK;
}

/* The type of weights that was judged, -1 where the file does not say. */
static int judged_dtype(const json_t *root)
{
    const char *word = json_string_value(json_object_get(root, "weights"));
    weight_dtype dtype;

    return word && weight_dtype_from_name(word, &dtype) ? (int)dtype : -1;
}

/* Which policy was judged. */
static deer_status read_policy(const char *path, const json_t *root, success_curve *curve,
                               success_row *row, deer_error *err)
{
    const char *model = json_string_value(json_object_get(root, "model_fingerprint"));
    int dtype = judged_dtype(root);

    if (model)
        text_copy_utf8(row->model, sizeof row->model, model);
    if (curve->n == 1)
        curve->dtype = dtype;
    return dtype == curve->dtype
               ? DEER_OK
               : deer_fail(
                     err,
                     "%s judged other weights than the first evaluation: give those of one type",
                     path);
}

static int by_cost(const void *a, const void *b)
{
    const success_row *x = a, *y = b;

    return (x->cost > y->cost) - (x->cost < y->cost);
}

static deer_status check_files(char *const *files, int n, deer_error *err)
{
    if (n > SUCCESS_MOST)
        return deer_fail_with(DEER_USAGE, err, "more than %d evaluations", SUCCESS_MOST);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < i; j++)
            if (!strcmp(files[i], files[j]))
                return deer_fail_with(DEER_USAGE, err, "the evaluation %s is given twice",
                                      files[i]);
    return DEER_OK;
}

/* Adds the evaluation in files[i]; first is that in files[0]. */
static deer_status add_row(char *const *files, int i, const double *fixed_cost, int exits,
                           json_t **first, success_curve *curve, deer_error *err)
{
    json_t *root = evaluation_load(files[i], err);
    char how[128];
    deer_status status;

    if (!root)
        return DEER_FAILED;
    if (!*first)
        *first = json_incref(root);
    if (!*curve->warning && evaluation_differs(*first, root, how, sizeof how))
        snprintf(curve->warning, sizeof curve->warning,
                 "%.150s and %.150s do not compare: the first one judged %s", files[i], files[0],
                 how);
    status = read_row(files[i], root, fixed_cost, exits, &curve->row[curve->n++], err);
    if (!status)
        status = read_policy(files[i], root, curve, &curve->row[i], err);
    json_decref(root);
    return status;
}

deer_status success_load(char *const *files, int n, const double *fixed_cost, int exits,
                         success_curve *curve, deer_error *err)
{
    json_t *first = NULL;
    deer_status status = check_files(files, n, err);

    *curve = (success_curve){.n = 0, .dtype = -1};
    for (int i = 0; i < n && !status; i++)
        status = add_row(files, i, fixed_cost, exits, &first, curve, err);
    json_decref(first);
    qsort(curve->row, (size_t)curve->n, sizeof *curve->row, by_cost);
    return status;
}

deer_status success_check_policy(const success_curve *curve, const char *fingerprint,
                                 deer_error *err)
{
    for (const success_row *row = curve->row; row < curve->row + curve->n; row++)
        if (*row->model && strcmp(row->model, fingerprint))
            return deer_fail(err,
                             "%s judged the policy %.8s, the cache is of %.8s: give evaluations of "
                             "the policy in the cache",
                             row->file, row->model, fingerprint);
    return DEER_OK;
}

static double between(double a, double b, double share_of_b)
{
    return a + (b - a) * share_of_b;
}

void success_at(const success_curve *curve, double cost, double *value, interval *wilson_95)
{
    const success_row *a = curve->row, *b = a;
    double t = 0;

    *value = NAN;
    *wilson_95 = (interval){NAN, NAN};
    if (!curve->n || cost < a->cost * (1 - 1e-6))
        return;
    while (b + 1 < curve->row + curve->n && b->cost <= cost)
        a = b++;
    if (b->cost <= cost)
        a = b;
    if (a != b)
        t = fmax((cost - a->cost) / (b->cost - a->cost), 0);
    *value = between(a->value, b->value, t);
    wilson_95->low = between(a->wilson_95.low, b->wilson_95.low, t);
    wilson_95->high = between(a->wilson_95.high, b->wilson_95.high, t);
}
