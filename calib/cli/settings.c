/* SPDX-License-Identifier: MIT */
/* settings.c - words of the command line. */
#include "calib/cli/settings.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calib/criterion/criteria.h"

enum { MOST_WORDS = 16 };

static const char *const losses[] = {"deepest", "demo", NULL};
static const char *const histories[] = {"full", "on-policy", "random", NULL};
static const char *const scopes[] = {"total", "llm", NULL};

/* Index of word in a list that ends with NULL; -1 and an error that lists them if it is not there.
 */
static int choose(const char *option, const char *const *words, const char *word, deer_error *err)
{
    char list[128] = "";
    size_t used = 0;

    for (int i = 0; words[i]; i++)
        if (!strcmp(words[i], word))
            return i;
    for (int i = 0; words[i] && used < sizeof list; i++)
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", words[i]);
    deer_fail(err, "'%s' is no value for --%s; there are: %s", word, option, list);
    return -1;
}

deer_status settings_criterion(const char *word, deer_criterion *value, deer_error *err)
{
    const criterion *how = criterion_named(word);
    const char *names[MOST_WORDS] = {NULL};

    *value = how ? how->id : DEER_CRITERION_L2;
    for (int i = 0; i < MOST_WORDS - 1 && criterion_at(i); i++)
        names[i] = deer_criterion_name(criterion_at(i)->id);
    return !how && choose("criterion", names, word, err) ? DEER_USAGE : DEER_OK;
}

deer_status settings_loss(const char *word, loss_reference *value, deer_error *err)
{
    int i = choose("loss", losses, word, err);

    *value = (loss_reference)(i < 0 ? 0 : i);
    return i < 0 ? DEER_USAGE : DEER_OK;
}

deer_status settings_history(const char *word, history_kind *value, deer_error *err)
{
    int i = choose("history", histories, word, err);

    *value = (history_kind)(i < 0 ? 0 : i);
    return i < 0 ? DEER_USAGE : DEER_OK;
}

deer_status settings_scope(const char *word, bool *llm, deer_error *err)
{
    int i = choose("scope", scopes, word, err);

    *llm = i == 1;
    return i < 0 ? DEER_USAGE : DEER_OK;
}

deer_status settings_method(const char *word, solve_method *value, deer_error *err)
{
    const char *names[MOST_WORDS] = {NULL};
    int i;

    for (int m = 0; m < MOST_WORDS - 1 && solve_method_name((solve_method)m); m++)
        names[m] = solve_method_name((solve_method)m);
    i = choose("method", names, word, err);
    *value = (solve_method)(i < 0 ? 0 : i);
    return i < 0 ? DEER_USAGE : DEER_OK;
}

const char *settings_history_name(history_kind history)
{
    return histories[history];
}

const char *settings_loss_name(loss_reference loss)
{
    return losses[loss];
}

deer_status settings_part(const char *word, int *part, int *parts, deer_error *err)
{
    char tail;

    if (sscanf(word, "%d/%d%c", part, parts, &tail) != 2 || *parts < 1 || *part < 0 ||
        *part >= *parts)
        return deer_fail_with(DEER_USAGE, err, "'%s' is no value for --part; say 0/4 .. 3/4", word);
    return DEER_OK;
}

/* Reads "1,2,4" up to `end`; false when it is nothing of the kind. */
static bool read_ages(const char *text, char end, int *ages, int age[CACHE_AGES], const char **rest)
{
    age[0] = 0;
    for (*ages = 1;; text++) {
        char *behind;
        long number = strtol(text, &behind, 10);

        if (behind == text || *ages == CACHE_AGES || number <= age[*ages - 1] ||
            number > CACHE_OLDEST)
            return false;
        age[(*ages)++] = (int)number;
        text = behind;
        if (*text != ',')
            break;
    }
    *rest = text + 1;
    return *text == end;
}

deer_status settings_ages(const char *text, int ages[2], int age[2][CACHE_AGES], deer_error *err)
{
    const char *rest;

    if (read_ages(text, ':', &ages[0], age[0], &rest) &&
        read_ages(rest, '\0', &ages[1], age[1], &rest))
        return DEER_OK;
    return deer_fail_with(DEER_USAGE, err,
                          "--ages takes up to %d ascending ages of 1 to %d steps for each camera, "
                          "as in 1,2,4:1,2, not '%s'",
                          CACHE_AGES - 1, CACHE_OLDEST, text);
}

/* Reads "9/0.6" up to a comma or the end; false when it is nothing of the kind. */
static bool read_rule(const char *text, deer_camera_rule *rule, const char **rest)
{
    char *behind;
    long age = strtol(text, &behind, 10);
    double rho = INFINITY;

    if (behind == text || age < 0 || age > DEER_MOST_AGE)
        return false;
    if (*behind == '/') {
        text = behind + 1;
        rho = strtod(text, &behind);
        if (behind == text || !(rho >= 0))
            return false;
    }
    *rule = (deer_camera_rule){(int32_t)age, age ? (float)rho : 0};
    *rest = *behind == ',' ? behind + 1 : behind;
    return !*behind || *behind == ',';
}

deer_status settings_cameras(const char *text, deer_camera_rules *rules, deer_error *err)
{
    const char *rest = text;

    *rules = (deer_camera_rules){.stagger = 0};
    if (read_rule(text, &rules->static_view, &rest) &&
        read_rule(rest, &rules->gripper_view, &rest)) {
        rules->stagger = !strcmp(rest, "stagger");
        if ((!*rest || rules->stagger) &&
            (!rules->stagger || (rules->static_view.age && rules->gripper_view.age)))
            return DEER_OK;
    }
    return deer_fail_with(DEER_USAGE, err,
                          "--cameras takes an age, and perhaps /rho, for each camera, as in "
                          "9/0.6,2 (and ,stagger with ages of 1 or more), not '%s'",
                          text);
}
