/* SPDX-License-Identifier: MIT */
/* pair.h - one policy on a GPU and on the processor, for tests, on Mesa's lavapipe.
 *
 *   cmocka_run_group_tests(tests, pair_start, pair_end);    // makes small: a model in a folder
 *   pair_open(&p, small.path);
 *   threshold_amid(&p, DEER_CRITERION_L2);
 *   film(&p, 0);                                            // pictures, by number
 *   step(&p, GPU, &action);
 *   pair_close(&p);
 */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

#include "tests/gpu/keep_driver.h"
#include "tests/runtime/small_model.h"

#include <math.h>

#include "runtime/policy/session.h"
#include "runtime/thresholds/thresholds_format.h"

#define DEVICE "llvmpipe"

static small_model small;

static inline int pair_start(void **state)
{
    (void)state;
    small_model_make(&small);
    return 0;
}

static inline int pair_end(void **state)
{
    (void)state;
    small_model_remove(&small);
    return 0;
}

static inline deer_model *open_on(const char *path, const char *device)
{
    const deer_model_options o = {.size = sizeof o, .device = device};
    deer_model *model;

    ok(deer_model_open_with(path, DEER_ALL_EXITS, &o, &model, &error));
    return model;
}

/* The same policy on both, with pictures that drift. */
typedef struct {
    deer_model *model[2];        /* processor, GPU */
    deer_session *on[2], *plain; /* plain: the processor by its generic kernels, a yardstick */
    deer_thresholds t;
    int side;
    uint8_t *rgb[2];
    uint32_t seed;
} pair;

enum { CPU, GPU };

static inline void film(pair *p, int step)
{
    for (int view = 0; view < 2; view++)
        for (int i = 0; i < 3 * p->side * p->side; i++) {
            p->seed = p->seed * 1664525u + 1013904223u;
            p->rgb[view][i] =
                (uint8_t)(128 +
                          100 * sin((double)(i % 97) * 0.07 * (1 + view) + 0.3 * step + i / 1000) +
                          (double)(p->seed >> 24) / 12);
        }
}

static inline deer_observation seen(const pair *p)
{
    size_t bytes = 3 * (size_t)p->side * (size_t)p->side;

    return (deer_observation){{p->rgb[0], bytes}, {p->rgb[1], bytes}};
}

static inline void pair_open(pair *p, const char *path)
{
    int32_t ids[9] = {0, 5, 6, 7, 8, 9, 10, 11, 12};

    *p = (pair){.model = {open_on(path, "cpu"), open_on(path, DEVICE)}};
    ids[0] = deer_model_config(p->model[0])->media_token;
    p->side = deer_model_config(p->model[0])->image_size;
    thresholds_fix(p->model[0], deer_model_max_exit(p->model[0]), &p->t, NULL);
    for (int i = 0; i < 2; i++) {
        p->rgb[i] = calloc(3, (size_t)p->side * (size_t)p->side);
        ok(deer_session_new(p->model[i], &p->t, NULL, &p->on[i], &error));
        ok(deer_session_set_tokens(p->on[i], ids, 9, &error));
    }
    ok(deer_session_new(p->model[CPU], &p->t, NULL, &p->plain, &error));
    ok(deer_session_set_tokens(p->plain, ids, 9, &error));
    assert_string_equal(deer_model_device(p->model[CPU]), "cpu");
    assert_non_null(strstr(deer_model_device(p->model[GPU]), DEVICE));
}

static inline void pair_close(pair *p)
{
    deer_session_free(p->plain);
    for (int i = 0; i < 2; i++) {
        deer_session_free(p->on[i]);
        deer_model_close(p->model[i]);
        free(p->rgb[i]);
    }
}

static inline void adopt(pair *p)
{
    for (int i = 0; i < 2; i++)
        ok(deer_session_set_thresholds(p->on[i], &p->t, &error));
    ok(deer_session_set_thresholds(p->plain, &p->t, &error));
}

static inline void step(pair *p, int i, deer_action *a)
{
    const deer_observation o = seen(p);

    ok(deer_step(p->on[i], &o, a, &error));
}

/* Thresholds amid what the criterion takes at each exit. */
static inline void threshold_amid(pair *p, deer_criterion criterion)
{
    enum { STEPS = 5 };
    float values[DEER_MAX_EXITS][STEPS];
    int last = deer_model_max_exit(p->model[0]);

    thresholds_fix(p->model[0], last, &p->t, NULL);
    p->t.criterion = criterion;
    for (int k = 0; criterion == DEER_CRITERION_COMBINED && k < last; k++)
        p->t.score[k] = (deer_score){-1, {0.6f, 0.1f, -0.2f}};
    ok(deer_session_set_thresholds(p->on[CPU], &p->t, &error));
    for (int s = 0; s < STEPS; s++) {
        deer_action a;
        film(p, 50 + s);
        step(p, CPU, &a);
        for (int k = 0; k < last; k++)
            values[k][s] = a.delta[k];
    }
    for (int k = 0; k < last; k++) {
        float *v = values[k];
        for (int i = 1; i < STEPS; i++)
            for (int j = i; j > 0 && v[j] < v[j - 1]; j--) {
                float larger = v[j - 1];
                v[j - 1] = v[j];
                v[j] = larger;
            }
        p->t.tau[k] = (v[1] + v[2]) / 2; /* two of five stop */
    }
    adopt(p);
    for (int i = 0; i < 2; i++)
        ok(deer_session_reset(p->on[i], &error));
}

/* Exit k and no other stops. */
static inline void only(pair *p, int k)
{
    int last = deer_model_max_exit(p->model[0]);

    thresholds_fix(p->model[0], last, &p->t, NULL);
    for (int i = 0; i < last; i++)
        p->t.tau[i] = i == k ? INFINITY : -INFINITY;
    adopt(p);
}

#endif
