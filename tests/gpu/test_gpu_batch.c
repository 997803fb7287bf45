/* SPDX-License-Identifier: MIT */
/* test_gpu_batch.c - batches on a GPU beside the processor's, and sessions of one model in several
 * threads, on Mesa's lavapipe. */
#include "tests/gpu/pair.h"

#include <pthread.h>

enum { FRAMES = 3 };

/* The media of the batch that ran, given instead of pictures, make the same features. */
static void give_back(pair *p, deer_batch *b, const float *pooled, size_t n)
{
    size_t size = (size_t)deer_media_size(deer_model_config(p->model[0]));
    float *media = malloc(2 * FRAMES * size * sizeof *media), *again = malloc(n * sizeof *again);
    int32_t count;

    ok(deer_batch_media(b, media, &error));
    for (size_t f = 0; f < FRAMES; f++) {
        const int32_t ids[] = {SMALL_IMAGE, 3, 4, 5, 6 + (int32_t)f, 7};
        ok(deer_batch_set_tokens(b, ids, 4 + (int32_t)f, &error));
        ok(deer_batch_add_media(b, media + 2 * f * size, media + (2 * f + 1) * size, &error));
    }
    ok(deer_batch_run(b, again, &count, &error));
    assert_memory_equal(again, pooled, n * sizeof *again);
    free(media);
    free(again);
}

static void test_batch(void **state)
{
    pair p;
    float *pooled[2], most = 0;
    size_t n;
    int32_t count;

    (void)state;
    pair_open(&p, small.path);
    n = FRAMES * (size_t)(2 + deer_model_max_exit(p.model[0])) *
        (size_t)deer_model_config(p.model[0])->d_model;
    for (int i = 0; i < 2; i++) {
        deer_batch *b;
        pooled[i] = malloc(n * sizeof(float));
        ok(deer_batch_new(p.model[i], FRAMES, NULL, &b, &error));
        for (int again = 0; again < 2; again++) {
            for (int f = 0; f < FRAMES; f++) {
                const int32_t ids[] = {SMALL_IMAGE, 3, 4, 5, 6 + f, 7};
                deer_observation o = seen(&p);
                film(&p, f);
                ok(deer_batch_set_tokens(b, ids, 4 + f, &error));
                ok(deer_batch_add(b, &o, &error));
            }
            p.seed = 0;
            ok(deer_batch_run(b, pooled[i], &count, &error));
            assert_int_equal(count, FRAMES);
        }
        give_back(&p, b, pooled[i], n);
        deer_batch_free(b);
        p.seed = 0;
    }
    for (size_t i = 0; i < n; i++)
        most = fmaxf(most, fabsf(pooled[0][i] - pooled[1][i]));
    assert_true(most <= 3e-5f);
    free(pooled[0]), free(pooled[1]);
    pair_close(&p);
}

/* ---------------------------------------------------------------- threads ------------------ */

enum { THREAD_STEPS = 6 };

typedef struct {
    pair *p;
    deer_session *session;
    deer_action last[THREAD_STEPS];
} robot;

static void *drive(void *context)
{
    robot *r = context;
    deer_observation o = seen(r->p);

    for (int i = 0; i < THREAD_STEPS; i++)
        if (deer_step(r->session, &o, &r->last[i], NULL))
            r->last[i].exit = -1;
    return NULL;
}

static void test_two_threads(void **state)
{
    const int32_t ids[] = {SMALL_IMAGE, 5, 6, 7};
    robot r[3];
    pthread_t thread[2];
    pair p;

    (void)state;
    pair_open(&p, small.path);
    threshold_amid(&p, DEER_CRITERION_L2);
    film(&p, 2);
    for (int i = 0; i < 3; i++) {
        r[i] = (robot){.p = &p};
        ok(deer_session_new(p.model[GPU], &p.t, NULL, &r[i].session, &error));
        ok(deer_session_set_tokens(r[i].session, ids, 4, &error));
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, drive, &r[i]), 0);
    for (int i = 0; i < 2; i++)
        pthread_join(thread[i], NULL);
    drive(&r[2]);
    for (int i = 0; i < 2; i++)
        assert_memory_equal(r[i].last, r[2].last, sizeof r[i].last);
    for (int i = 0; i < 3; i++)
        deer_session_free(r[i].session);
    pair_close(&p);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_two_threads),
    };

    keep_driver();
    return cmocka_run_group_tests(tests, pair_start, pair_end);
}
