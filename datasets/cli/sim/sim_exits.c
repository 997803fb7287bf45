/* SPDX-License-Identifier: MIT */
/* sim_exits.c - controls by name. */
#include "datasets/cli/sim/sim_exits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/json/json_file.h"

enum { MOST_BYTES = 16 << 20 };

/* ---------------------------------------------------------------- shares of files ---------- */

/* List of n numbers, not negative, brought to sum 1; false where it is none, or all are 0. More may
 * follow, of exits that are not loaded: zeros. */
static bool read_shares(const json_t *list, int n, double *share)
{
    int size = (int)json_array_size(list);
    double sum = 0;

    for (int k = 0; k < size; k++) {
        const json_t *item = json_array_get(list, (size_t)k);
        double x = json_number_value(item);

        if (!json_is_number(item) || !(x >= 0) || (k >= n && x > 0))
            return false;
        if (k < n)
            sum += share[k] = x;
    }
    for (int k = 0; k < n && size >= n; k++)
        share[k] /= sum;
    return size >= n && sum > 0 && isfinite(sum);
}

static deer_status read_random(const json_t *root, int n, exits_control *control)
{
    return read_shares(json_object_get(root, "exit_fractions"), n, control->first) ? DEER_OK
                                                                                   : DEER_FAILED;
}

/* An exit that nothing followed is followed as the first step is chosen. */
static deer_status read_markov(const json_t *root, int n, exits_control *control)
{
    const json_t *rows = json_object_get(root, "exit_follows");

    if (!read_shares(json_object_get(root, "first_exits"), n, control->first) ||
        json_array_size(rows) < (size_t)n)
        return DEER_FAILED;
    for (int k = 0; k < n; k++) {
        const json_t *row = json_array_get(rows, (size_t)k);

        if (json_array_size(row) < (size_t)n)
            return DEER_FAILED;
        if (!read_shares(row, n, control->next[k]))
            memcpy(control->next[k], control->first, sizeof control->next[k]);
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- values ------------------- */

/* Exits between commas. */
static deer_status read_pattern(const char *text, int n, exits_control *control, deer_error *err)
{
    const char *p = text;
    char *end;

    for (control->length = 0; control->length < EXITS_MOST_PATTERN; p = end + 1) {
        long exit = strtol(p, &end, 10);

        if (end == p || exit < 0 || exit >= n || (*end && *end != ','))
            break;
        control->pattern[control->length++] = (int)exit;
        if (!*end)
            return DEER_OK;
    }
    return deer_fail_with(DEER_USAGE, err, "'%s' is not up to %d exits of 0 to %d between commas",
                          text, EXITS_MOST_PATTERN, n - 1);
}

static deer_status read_amount(const char *text, exits_control *control, deer_error *err)
{
    char *end;

    control->amount = strtod(text, &end);
    if (end == text || *end || !isfinite(control->amount) || control->amount < 0)
        return deer_fail_with(DEER_USAGE, err, "'%s' is no number of 0 or more", text);
    return DEER_OK;
}

/* ---------------------------------------------------------------- kinds -------------------- */

typedef enum { OF_FILE, OF_PATTERN, OF_AMOUNT } value_type;

static const struct {
    const char *name;
    exits_kind kind;
    value_type value;
    deer_status (*read)(const json_t *root, int n, exits_control *control); /* OF_FILE */
} kinds[] = {
    {"random", EXITS_RANDOM, OF_FILE, read_random}, {"markov", EXITS_MARKOV, OF_FILE, read_markov},
    {"periodic", EXITS_PERIODIC, OF_PATTERN, NULL}, {"fixed", EXITS_PERIODIC, OF_PATTERN, NULL},
    {"oracle", EXITS_ORACLE, OF_AMOUNT, NULL},      {"expert", EXITS_EXPERT, OF_AMOUNT, NULL},
};

static deer_status read_file(size_t i, const char *path, int n, exits_control *control,
                             deer_error *err)
{
    json_t *root = json_file_read(path, MOST_BYTES, err);
    deer_status status = root ? kinds[i].read(root, n, control) : DEER_FAILED;

    if (root && status)
        deer_fail(err,
                  "%s does not say which of %d exits were taken, and what followed; is it from "
                  "this version's deer-sim eval --json?",
                  path, n);
    json_decref(root);
    return status;
}

deer_status sim_exits_read(const char *text, int n, exits_control *control, deer_error *err)
{
    size_t length = strcspn(text, ":"), i = 0;
    const char *value = text + length + 1;

    *control = (exits_control){EXITS_RANDOM};
    while (i < sizeof kinds / sizeof *kinds &&
           (strlen(kinds[i].name) != length || strncmp(text, kinds[i].name, length) != 0))
        i++;
    if (i == sizeof kinds / sizeof *kinds || !text[length])
        return deer_fail_with(DEER_USAGE, err,
                              "--exits is random:FILE, markov:FILE, periodic:K,K.., fixed:K, "
                              "oracle:EPS or expert:PRICE, not '%s'",
                              text);
    control->kind = kinds[i].kind;
    if (kinds[i].value == OF_FILE)
        return read_file(i, value, n, control, err);
    if (kinds[i].value == OF_AMOUNT)
        return read_amount(value, control, err);
    if (!strcmp(kinds[i].name, "fixed") && strchr(value, ','))
        return deer_fail_with(DEER_USAGE, err, "fixed: takes one exit, not '%s'", value);
    return read_pattern(value, n, control, err);
}
