/* SPDX-License-Identifier: MIT */
/* test_reuse.c - what is kept between steps is what computing it again would give, bit for bit. */
#include "tests/runtime/small_model.h"

#include "runtime/base/threads.h"
#include "runtime/import/model_file.h"
#include "runtime/model/model.h"
#include "runtime/policy/backend.h"

enum { TOKENS = 4, ROUNDS = 12 };

static uint64_t drawn = 1;

static float draw(void)
{
    drawn = drawn * 6364136223846793005u + 1442695040888963407u;
    return (float)(drawn >> 40) / (1 << 23) - 1;
}

static void fill(float *to, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = draw();
}

/* One observation of a model: a work that goes on from step to step, and one made anew. */
typedef struct {
    const deer_model *model;
    size_t pixels, text, media; /* floats of both images, of the instruction, of an image's media */
    float *seen;                /* pixels of the images whose media are in use */
    float *told;
    int32_t ids[TOKENS];
    int tokens;
} world;

static void world_open(world *w, const deer_model *model)
{
    const deer_config *c = &model->config;

    *w = (world){.model = model, .tokens = TOKENS};
    w->pixels = 2 * 3 * (size_t)c->image_size * (size_t)c->image_size;
    w->text = TOKENS * (size_t)c->d_model;
    w->media = (size_t)c->resampler_latents * (size_t)c->vision_width;
    w->seen = calloc(w->pixels + w->text, sizeof *w->seen);
    assert_non_null(w->seen);
    w->told = w->seen + w->pixels;
    w->ids[0] = c->media_token;
}

/* The layers up to `last`; what comes out of each goes to out. */
static void decode(const world *w, void *work, bool again, int last, float *out)
{
    const backend_text text = {
        .frames = 1, .again = again, .tokens = &w->tokens, .ids = w->ids, .rows = TOKENS};

    backend_cpu.tell(work, &text);
    for (int i = 0; i <= last; i++, out += w->text) {
        backend_cpu.advance(work, i);
        memcpy(out, backend_cpu.hidden(work), w->text * sizeof *out);
    }
}

/* The same from nothing, without a session's memory of what was. */
static void decode_fresh(const world *w, int last, float *out)
{
    void *work;

    ok(backend_cpu.open(w->model, 1, 0, &work, &error));
    memcpy(backend_cpu.pixels(work), w->seen, w->pixels * sizeof *w->seen);
    memcpy(backend_cpu.embedded(work), w->told, w->text * sizeof *w->told);
    backend_cpu.see(work, 1, BACKEND_BOTH, NULL);
    decode(w, work, false, last, out);
    backend_cpu.close(work);
}

/* Other pictures come from some cameras, other words now and then, and steps end at any layer. */
static void play(const deer_model *model)
{
    int layers = arch_layers(&model->config, model->max_exit);
    size_t half;
    float *kept, *fresh;
    void *work;
    world w;

    world_open(&w, model);
    half = w.pixels / 2;
    kept = calloc(2 * (size_t)layers * w.text, sizeof *kept);
    assert_non_null(kept);
    fresh = kept + (size_t)layers * w.text;
    ok(backend_cpu.open(model, 1, 2, &work, &error));
    for (int round = 0; round < ROUNDS; round++) {
        unsigned views = round ? (unsigned)round * 7 % 4 : BACKEND_BOTH;
        bool again = round % 5 != 0;
        int last = (round * 5 + layers - 1) % layers;

        for (unsigned i = 0; i < 2; i++)
            if (views >> i & 1)
                fill(w.seen + i * half, half);
        fill(backend_cpu.pixels(work), w.pixels); /* of cameras that are not due: not looked at */
        for (unsigned i = 0; i < 2; i++)
            if (views >> i & 1)
                memcpy(backend_cpu.pixels(work) + i * half, w.seen + i * half,
                       half * sizeof(float));
        if (!again)
            fill(w.told, w.text);
        memcpy(backend_cpu.embedded(work), w.told, w.text * sizeof(float));
        backend_cpu.see(work, 1, views, NULL);
        decode(&w, work, again, last, kept);
        decode_fresh(&w, last, fresh);
        assert_memory_equal(kept, fresh, (size_t)(last + 1) * w.text * sizeof *kept);
    }
    backend_cpu.close(work);
    free(kept);
    free(w.seen);
}

/* Cross-attention before every layer and before every fourth, weights of every type. */
static void test_kept_equals_computed(void **state)
{
    static const char *const models[] = {"tests/data/golden_b", "tests/data/golden_c"};
    char folder[] = "/tmp/deer-test-XXXXXX", from[64], path[64];
    deer_model *model;

    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(from, sizeof from, "%s/from", folder);
    snprintf(path, sizeof path, "%s/model", folder);
    for (int i = 0; i < 2; i++) {
        ok(official_import_folder(models[i], from, &error));
        for (int type = 0; type < WEIGHT_DTYPES; type++) {
            ok(model_convert(from, &(model_output){.path = path, .dtype = (weight_dtype)type},
                             &error));
            ok(deer_model_open(path, DEER_ALL_EXITS, &model, &error));
            play(model);
            deer_model_close(model);
        }
    }
    unlink(from);
    unlink(path);
    rmdir(folder);
}

/* Media that were taken out act as the pictures they were made of. */
static void test_media_taken_and_given(void **state)
{
    size_t size;
    float *fresh, *given;
    small_model small;
    deer_model *model;
    void *work;
    world w;
    int last;

    (void)state;
    small_model_make(&small);
    model = small_model_open(&small, DEER_ALL_EXITS);
    last = arch_layers(&model->config, model->max_exit) - 1;
    world_open(&w, model);
    size = (size_t)(last + 1) * w.text;
    fresh = calloc(2 * size + 2 * w.media, sizeof *fresh);
    assert_non_null(fresh);
    given = fresh + size;
    fill(w.seen, w.pixels + w.text);
    ok(backend_cpu.open(model, 1, 2, &work, &error));
    memcpy(backend_cpu.pixels(work), w.seen, w.pixels * sizeof(float));
    memcpy(backend_cpu.embedded(work), w.told, w.text * sizeof(float));
    backend_cpu.see(work, 1, BACKEND_BOTH, NULL);
    decode(&w, work, false, last, fresh);
    for (int i = 0; i < 2; i++)
        backend_cpu.take_media(work, i, given + size + (size_t)i * w.media);
    fill(backend_cpu.pixels(work), w.pixels);
    backend_cpu.see(work, 1, BACKEND_BOTH, NULL);
    decode(&w, work, true, last, given);
    assert_memory_not_equal(given, fresh, size * sizeof *fresh);
    for (int i = 0; i < 2; i++)
        backend_cpu.give_media(work, i, given + size + (size_t)i * w.media);
    decode(&w, work, true, last, given);
    assert_memory_equal(given, fresh, size * sizeof *fresh);
    backend_cpu.close(work);
    deer_model_close(model);
    small_model_remove(&small);
    free(fresh);
    free(w.seen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_kept_equals_computed),
                                       cmocka_unit_test(test_media_taken_and_given)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
