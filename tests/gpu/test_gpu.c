/* SPDX-License-Identifier: MIT */
/* test_gpu.c - policies on a GPU beside the processor, on Mesa's lavapipe: all types, ways to an
 * exit, NaN, thresholds that change, cameras that are used again, batches, threads, growth, and a
 * driver that fails on purpose.
 *
 *   test_gpu rehearse [N]    a step in one command buffer, without its N-th barrier: for the
 *                            validation layer (test_gpu_validation.sh) */
#include "tests/gpu/keep_driver.h"
#include "tests/runtime/small_model.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>

#include "runtime/gpu/backend_gpu.h"
#include "runtime/import/model_file.h"
#include "runtime/kernels/isa.h"
#include "runtime/policy/session.h"
#include "runtime/thresholds/thresholds_format.h"

#define DEVICE "llvmpipe"
#define POLICY "datasets/tabletop/policy.safetensors"

static small_model small;

static int start(void **state)
{
    (void)state;
    small_model_make(&small);
    return 0;
}

static int end(void **state)
{
    (void)state;
    small_model_remove(&small);
    return 0;
}

/* ---------------------------------------------------------------- two robots --------------- */

static deer_model *open_on(const char *path, const char *device)
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

static void film(pair *p, int step)
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

static deer_observation seen(const pair *p)
{
    size_t bytes = 3 * (size_t)p->side * (size_t)p->side;

    return (deer_observation){{p->rgb[0], bytes}, {p->rgb[1], bytes}};
}

static void pair_open(pair *p, const char *path)
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

static void pair_close(pair *p)
{
    deer_session_free(p->plain);
    for (int i = 0; i < 2; i++) {
        deer_session_free(p->on[i]);
        deer_model_close(p->model[i]);
        free(p->rgb[i]);
    }
}

static void adopt(pair *p)
{
    for (int i = 0; i < 2; i++)
        ok(deer_session_set_thresholds(p->on[i], &p->t, &error));
    ok(deer_session_set_thresholds(p->plain, &p->t, &error));
}

static void step(pair *p, int i, deer_action *a)
{
    const deer_observation o = seen(p);

    ok(deer_step(p->on[i], &o, a, &error));
}

/* Thresholds amid what the criterion takes at each exit. */
static void threshold_amid(pair *p, deer_criterion criterion)
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

typedef struct {
    int steps, same, deep;
    double pose, gripper, value;
} comparison;

static void compare(const deer_action *a, const deer_action *b, comparison *c)
{
    c->steps++;
    c->deep += a->exit > 0;
    if (a->exit != b->exit)
        return;
    c->same++;
    for (int i = 0; i < DEER_POSE; i++)
        c->pose = fmax(c->pose, fabs((double)a->pose[i] - (double)b->pose[i]));
    c->gripper =
        fmax(c->gripper, fabs((double)a->gripper_probability - (double)b->gripper_probability));
    for (int k = 0; k <= a->exit; k++)
        c->value = fmax(c->value, fabs((double)a->delta[k] - (double)b->delta[k]));
    assert_int_equal(a->head_evaluations, b->head_evaluations);
    assert_int_equal(a->exit_layer, b->exit_layer);
}

static void step_plainly(pair *p, deer_action *a)
{
    const isa *list[ISA_MOST];
    const deer_observation o = seen(p);

    isa_use(list[isa_list(list) - 1]);
    ok(deer_step(p->plain, &o, a, &error));
    isa_list(list);
    isa_use(list[0]);
}

/* All forget after every `fresh` steps, so that they start alike. yard: the processor beside
 * itself; NULL: not wanted. */
static comparison play(pair *p, int steps, int fresh, comparison *yard)
{
    comparison c = {0};

    for (int s = 0; s < steps; s++) {
        deer_action a[2], plain;
        film(p, s);
        if (s % fresh == 0)
            ok(deer_session_reset(p->plain, &error));
        for (int i = 0; i < 2; i++) {
            if (s % fresh == 0)
                ok(deer_session_reset(p->on[i], &error));
            step(p, i, &a[i]);
        }
        compare(&a[0], &a[1], &c);
        if (yard) {
            step_plainly(p, &plain);
            compare(&a[0], &plain, yard);
        }
    }
    return c;
}

static void say(const char *what, const comparison *c)
{
    print_message("%s: %d of %d exits the same (%d not the first), pose %.1e, gripper %.1e, delta "
                  "%.1e\n",
                  what, c->same, c->steps, c->deep, c->pose, c->gripper, c->value);
}

static void test_tabletop_f32(void **state)
{
    comparison c;
    pair p;

    (void)state;
    pair_open(&p, POLICY);
    threshold_amid(&p, DEER_CRITERION_L2);
    c = play(&p, 20, 4, NULL);
    say("f32", &c);
    assert_int_equal(c.same, c.steps);
    assert_true(c.deep > 3);
    assert_true(c.pose <= 1e-6 && c.gripper <= 5e-6 && c.value <= 2e-6);
    pair_close(&p);
}

/* As near as the processor's instruction sets are to each other, and half as much again; `least` is
 * allowed where they are all alike, as in a build without optimisation. */
static void one_type(weight_dtype type, double least)
{
    char path[96];
    model_output to = {.path = path, .dtype = type};
    comparison c, yard = {0};
    pair p;

    snprintf(path, sizeof path, "%s/%s", small.folder, weight_dtype_name(type));
    ok(model_convert(POLICY, &to, &error));
    pair_open(&p, path);
    threshold_amid(&p, DEER_CRITERION_L2);
    c = play(&p, 16, 2, &yard);
    say(weight_dtype_name(type), &c);
    say("  the processor's generic kernels", &yard);
    assert_true(c.same >= yard.same - 2);
    assert_true(c.pose <= fmax(1.5 * yard.pose, least));
    assert_true(c.gripper <= fmax(1.5 * yard.gripper, 10 * least));
    pair_close(&p);
}

static void test_tabletop_bf16(void **state)
{
    (void)state;
    one_type(WEIGHT_BF16, 1e-3);
}

static void test_tabletop_q8(void **state)
{
    (void)state;
    one_type(WEIGHT_Q8, 6e-3);
}

/* What a GPU is given: other workgroups, tiles of 64 by 64. */
static void test_as_on_a_gpu(void **state)
{
    comparison c;
    pair p;

    (void)state;
    tape_plays_gpu = true;
    pair_open(&p, POLICY);
    tape_plays_gpu = false;
    threshold_amid(&p, DEER_CRITERION_L2);
    c = play(&p, 2, 9, NULL);
    assert_int_equal(c.same, c.steps);
    assert_true(c.pose <= 1e-6);
    pair_close(&p);
}

static void test_criteria(void **state)
{
    comparison c;
    pair p;

    (void)state;
    pair_open(&p, small.path);
    for (int criterion = 0; criterion <= DEER_CRITERION_COMBINED; criterion++) {
        threshold_amid(&p, (deer_criterion)criterion);
        c = play(&p, 8, 9, NULL);
        assert_int_equal(c.same, c.steps);
        assert_true(c.pose <= 1e-6 && c.value <= 5e-6);
    }
    pair_close(&p);
}

/* ---------------------------------------------------------------- ways to an exit ---------- */

/* Exit k and no other stops. */
static void only(pair *p, int k)
{
    int last = deer_model_max_exit(p->model[0]);

    thresholds_fix(p->model[0], last, &p->t, NULL);
    for (int i = 0; i < last; i++)
        p->t.tau[i] = i == k ? INFINITY : -INFINITY;
    adopt(p);
}

/* One by one, the processor asking, and ahead, the device deciding: the same bits, state included.
 */
static void test_ways(void **state)
{
    deer_profile profile = {0};
    deer_action way[2];
    pair p;
    size_t floats;

    (void)state;
    pair_open(&p, POLICY);
    floats = 2 * (size_t)deer_model_config(p.model[0])->lstm_hidden;
    film(&p, 1);
    for (int k = 0; k <= deer_model_max_exit(p.model[0]); k++) {
        float h[2][1024];
        assert_true(floats <= 1024);
        only(&p, k);
        for (int i = 0; i < 2; i++) {
            ok(deer_session_reset(p.on[GPU], &error));
            deer_session_profile(p.on[GPU], i ? NULL : &profile);
            step(&p, GPU, &way[i]);
            step(&p, GPU, &way[i]);
            memcpy(h[i], deer_session_lstm_h(p.on[GPU]), floats / 2 * sizeof(float));
            memcpy(h[i] + floats / 2, deer_session_lstm_c(p.on[GPU]), floats / 2 * sizeof(float));
        }
        assert_int_equal(way[0].exit, k);
        assert_memory_equal(&way[0], &way[1], sizeof way[0]);
        assert_memory_equal(h[0], h[1], floats * sizeof(float));
    }
    assert_true(profile.count[PROFILE_VISION] > 0 && profile.seconds[PROFILE_VISION] > 0);
    pair_close(&p);
}

/* Between decisions the exit is repeated, and thresholds may change in the middle. */
static void test_stages_and_new_thresholds(void **state)
{
    deer_action a[2];
    comparison c = {0};
    pair p;

    (void)state;
    pair_open(&p, small.path);
    threshold_amid(&p, DEER_CRITERION_L2);
    p.t.steps_per_stage = 3;
    adopt(&p);
    for (int s = 0; s < 9; s++) {
        film(&p, s);
        if (s == 4) {
            only(&p, 0);
            p.t.steps_per_stage = 2;
            adopt(&p);
        }
        for (int i = 0; i < 2; i++)
            step(&p, i, &a[i]);
        compare(&a[0], &a[1], &c);
        assert_int_equal(isnan(a[0].delta[0]), isnan(a[1].delta[0]));
    }
    assert_int_equal(c.same, c.steps);
    assert_true(c.pose <= 1e-6);
    pair_close(&p);
}

/* A NaN goes to the deepest exit and arrives; the step fails, and the state is as it was. */
static void test_nan(void **state)
{
    deer_action a;
    float before[256], *embedded, was;
    pair p;
    size_t bytes;

    (void)state;
    pair_open(&p, small.path);
    only(&p, 0);
    film(&p, 0);
    step(&p, GPU, &a);
    assert_int_equal(a.exit, 0);
    bytes = (size_t)deer_model_config(p.model[0])->lstm_layers *
            (size_t)deer_model_config(p.model[0])->lstm_hidden * sizeof *before;
    assert_true(bytes <= sizeof before);
    memcpy(before, deer_session_lstm_h(p.on[GPU]), bytes);
    embedded = p.on[GPU]->on->embedded(p.on[GPU]->work);
    was = embedded[3];
    embedded[3] = NAN;
    assert_int_equal(deer_step(p.on[GPU],
                               &(deer_observation){seen(&p).static_view, seen(&p).gripper_view}, &a,
                               &error),
                     DEER_FAILED);
    says("not finite");
    assert_int_equal(a.exit, deer_model_max_exit(p.model[0]));
    assert_true(isnan(a.delta[0]) && isnan(a.pose[0]));
    assert_memory_equal(before, deer_session_lstm_h(p.on[GPU]), bytes);
    embedded[3] = was;
    step(&p, GPU, &a);
    pair_close(&p);
}

/* One camera alone: the other's media stay, and what comes out is as if both were seen. */
static void test_one_camera(void **state)
{
    const deer_config *c;
    float *media[3];
    deer_action a[2];
    comparison d = {0};
    pair p;
    size_t size;

    (void)state;
    pair_open(&p, small.path);
    c = deer_model_config(p.model[0]);
    size = (size_t)c->resampler_latents * (size_t)c->vision_width;
    only(&p, 1);
    for (int s = 0; s < 4; s++) { /* both, gripper, static, given instead of seen */
        const unsigned views[] = {3, 2, 1, 0};
        deer_observation o = seen(&p);
        film(&p, s);
        for (int i = 0; i < 2; i++) {
            deer_session *one = p.on[i];
            image_view view[2];
            ok(image_pair_resize(one->plan, &o, view, &error));
            image_pair_normalise(view, views[s], c, one->on->pixels(one->work));
            one->on->see(one->work, 1, views[s], NULL);
            if (s == 3) {
                media[0] = malloc(size * 4);
                for (size_t n = 0; n < size; n++)
                    media[0][n] = (float)n / (float)size;
                one->on->give_media(one->work, 1, media[0]);
                free(media[0]);
            }
            session_start(one);
            ok(session_act(one, &a[i], &error));
        }
        compare(&a[0], &a[1], &d);
    }
    for (int i = 0; i < 2; i++) {
        media[i] = malloc(size * 4);
        p.on[GPU]->on->take_media(p.on[GPU]->work, i, media[i]);
    }
    assert_true(media[1][size - 1] == (float)(size - 1) / (float)size);
    assert_int_equal(d.same, 4);
    assert_true(d.pose <= 1e-6);
    free(media[0]), free(media[1]);
    pair_close(&p);
}

/* ---------------------------------------------------------------- batches ------------------ */

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

/* ---------------------------------------------------------------- a driver of tests -------- */

/* Fails the n-th call of one function; counts calls of all that are watched. */
static struct {
    const char *fails;
    int at; /* which call, from 0 */
    VkResult with;
    long allocated, recorded, submitted, calls;
    bool no_devices;
    PFN_vkGetInstanceProcAddr real;
    PFN_vkGetDeviceProcAddr real_device;
    void *loader;
} driver;

static bool fails(const char *name)
{
    return driver.fails && !strcmp(driver.fails, name) && driver.calls++ == driver.at;
}

#define REAL(name) ((PFN_vk##name)real_##name)
#define WATCHED(X)                                                                                 \
    X(AllocateMemory)                                                                              \
    X(BeginCommandBuffer)                                                                          \
    X(QueueSubmit)                                                                                 \
    X(WaitSemaphores)                                                                              \
    X(CreateDevice)                                                                                \
    X(CreateComputePipelines)                                                                      \
    X(CreateBuffer) X(CreateDescriptorPool) X(EnumeratePhysicalDevices) X(CreateInstance)
#define DECLARE_REAL(name) static PFN_vkVoidFunction real_##name;
WATCHED(DECLARE_REAL)

static VkResult my_AllocateMemory(VkDevice d, const VkMemoryAllocateInfo *i,
                                  const VkAllocationCallbacks *a, VkDeviceMemory *m)
{
    driver.allocated++;
    return fails("AllocateMemory") ? driver.with : REAL(AllocateMemory)(d, i, a, m);
}
static VkResult my_CreateBuffer(VkDevice d, const VkBufferCreateInfo *i,
                                const VkAllocationCallbacks *a, VkBuffer *b)
{
    return fails("CreateBuffer") ? driver.with : REAL(CreateBuffer)(d, i, a, b);
}
static VkResult my_CreateDescriptorPool(VkDevice d, const VkDescriptorPoolCreateInfo *i,
                                        const VkAllocationCallbacks *a, VkDescriptorPool *p)
{
    return fails("CreateDescriptorPool") ? driver.with : REAL(CreateDescriptorPool)(d, i, a, p);
}
static VkResult my_BeginCommandBuffer(VkCommandBuffer c, const VkCommandBufferBeginInfo *i)
{
    driver.recorded++;
    return fails("BeginCommandBuffer") ? driver.with : REAL(BeginCommandBuffer)(c, i);
}
static VkResult my_QueueSubmit(VkQueue q, uint32_t n, const VkSubmitInfo *s, VkFence f)
{
    driver.submitted++;
    return fails("QueueSubmit") ? driver.with : REAL(QueueSubmit)(q, n, s, f);
}
static VkResult my_WaitSemaphores(VkDevice d, const VkSemaphoreWaitInfo *i, uint64_t timeout)
{
    assert_true(timeout < (uint64_t)1000 * 1000000000u); /* nothing waits for ever */
    return fails("WaitSemaphores") ? driver.with : REAL(WaitSemaphores)(d, i, timeout);
}
static VkResult my_CreateDevice(VkPhysicalDevice p, const VkDeviceCreateInfo *i,
                                const VkAllocationCallbacks *a, VkDevice *d)
{
    return fails("CreateDevice") ? driver.with : REAL(CreateDevice)(p, i, a, d);
}
static VkResult my_CreateComputePipelines(VkDevice d, VkPipelineCache c, uint32_t n,
                                          const VkComputePipelineCreateInfo *i,
                                          const VkAllocationCallbacks *a, VkPipeline *p)
{
    return fails("CreateComputePipelines") ? driver.with
                                           : REAL(CreateComputePipelines)(d, c, n, i, a, p);
}
static VkResult my_EnumeratePhysicalDevices(VkInstance i, uint32_t *n, VkPhysicalDevice *p)
{
    if (driver.no_devices) {
        *n = 0;
        return VK_SUCCESS;
    }
    return REAL(EnumeratePhysicalDevices)(i, n, p);
}
static VkResult my_CreateInstance(const VkInstanceCreateInfo *i, const VkAllocationCallbacks *a,
                                  VkInstance *to)
{
    return fails("CreateInstance") ? driver.with : REAL(CreateInstance)(i, a, to);
}

static PFN_vkVoidFunction instead(const char *name, PFN_vkVoidFunction real)
{
#define CATCH(watched)                                                                             \
    if (!strcmp(name, "vk" #watched)) {                                                            \
        real_##watched = real;                                                                     \
        return (PFN_vkVoidFunction)my_##watched;                                                   \
    }
    WATCHED(CATCH)
    return real;
}

static PFN_vkVoidFunction my_device_proc(VkDevice d, const char *name)
{
    return instead(name, driver.real_device(d, name));
}

static PFN_vkVoidFunction my_proc(VkInstance i, const char *name)
{
    PFN_vkVoidFunction real = driver.real(i, name);

    if (!strcmp(name, "vkGetDeviceProcAddr")) {
        driver.real_device = (PFN_vkGetDeviceProcAddr)real;
        return (PFN_vkVoidFunction)my_device_proc;
    }
    return instead(name, real);
}

static int drive_tests(void **state)
{
    (void)state;
    memset(&driver, 0, sizeof driver);
    driver.loader = dlopen("libvulkan.so.1", RTLD_NOW);
    assert_non_null(driver.loader);
    *(void **)&driver.real = dlsym(driver.loader, "vkGetInstanceProcAddr");
    gpu_driver_of_tests = my_proc;
    return 0;
}

static int drive_no_more(void **state)
{
    (void)state;
    gpu_driver_of_tests = NULL;
    dlclose(driver.loader);
    return 0;
}

static void fail_at(const char *function, int at, VkResult with)
{
    driver.fails = function;
    driver.at = at;
    driver.calls = 0;
    driver.with = with;
}

/* Whatever can fail when a model is opened and a session made: one line, nothing left behind (the
 * sanitizers look), and the processor still does it. */
static void test_failures_to_open(void **state)
{
    static const struct {
        const char *function;
        VkResult with;
        const char *says;
    } cases[] = {
        {"CreateInstance", VK_ERROR_INCOMPATIBLE_DRIVER, "no driver is installed"},
        {"CreateDevice", VK_ERROR_INITIALIZATION_FAILED, "opening it failed (Vulkan error -3)"},
        {"AllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY, "the device is out of memory"},
        {"CreateBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory"},
        {"CreateComputePipelines", VK_ERROR_OUT_OF_HOST_MEMORY, "compiling the kernel"},
        {"CreateDescriptorPool", VK_ERROR_OUT_OF_DEVICE_MEMORY, "room for commands"},
        {"BeginCommandBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, "recording"},
        {"QueueSubmit", VK_ERROR_DEVICE_LOST, "the device was lost; open the model again"},
        {"WaitSemaphores", VK_ERROR_DEVICE_LOST, "the device was lost; open the model again"},
    };
    const deer_model_options o = {.size = sizeof o, .device = DEVICE};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int at = 0;; at++) {
            deer_model *model = NULL;
            deer_session *session = NULL;
            deer_thresholds t;
            deer_status status;
            fail_at(cases[i].function, at, cases[i].with);
            status = deer_model_open_with(small.path, DEER_ALL_EXITS, &o, &model, &error);
            if (!status) {
                thresholds_fix(model, 0, &t, NULL);
                status = deer_session_new(model, &t, NULL, &session, &error);
                assert_true(status || session);
            }
            deer_session_free(session);
            deer_model_close(model);
            if (!status) { /* there are not so many calls */
                assert_true(at > 0);
                break;
            }
            says(cases[i].says);
            if (at == 3)
                at = 8; /* some of many */
        }
    fail_at(NULL, 0, VK_SUCCESS);
    driver.no_devices = true;
    assert_int_equal(deer_model_open_with(small.path, 0, &o, &(deer_model *){NULL}, &error),
                     DEER_FAILED);
    says("there is no device 'llvmpipe'");
    driver.no_devices = false;
    deer_model_close(open_on(small.path, "cpu"));
}

/* In the middle of an episode. */
static void test_lost_in_a_step(void **state)
{
    static const struct {
        const char *function;
        VkResult with;
        const char *says;
    } cases[] = {
        {"QueueSubmit", VK_ERROR_DEVICE_LOST, "the device was lost"},
        {"WaitSemaphores", VK_ERROR_DEVICE_LOST, "the device was lost"},
        {"WaitSemaphores", VK_TIMEOUT, "it does not answer"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        deer_action a;
        deer_observation o;
        pair p;
        fail_at(NULL, 0, VK_SUCCESS);
        pair_open(&p, small.path);
        step(&p, GPU, &a);
        o = seen(&p);
        fail_at(cases[i].function, 0, cases[i].with);
        assert_int_equal(deer_step(p.on[GPU], &o, &a, &error), DEER_FAILED);
        says(cases[i].says);
        if (cases[i].with == VK_TIMEOUT) { /* it stays so, at once */
            assert_int_equal(deer_step(p.on[GPU], &o, &a, &error), DEER_FAILED);
            says("it does not answer");
        }
        pair_close(&p);
    }
    fail_at(NULL, 0, VK_SUCCESS);
}

/* After the session is made nothing is allocated or recorded, whatever changes. */
static void test_steady(void **state)
{
    const int32_t ids[] = {SMALL_IMAGE, 9, 8};
    deer_action a;
    pair p;
    long allocated, recorded, submitted;

    (void)state;
    fail_at(NULL, 0, VK_SUCCESS);
    pair_open(&p, small.path);
    threshold_amid(&p, DEER_CRITERION_L2);
    step(&p, GPU, &a);
    allocated = driver.allocated;
    recorded = driver.recorded;
    for (int i = 0; i < 200; i++) {
        if (i % 50 == 10)
            ok(deer_session_set_tokens(p.on[GPU], ids, 2 + i / 100, &error));
        if (i % 50 == 20)
            only(&p, i / 50 % 2);
        step(&p, GPU, &a);
    }
    assert_int_equal(driver.allocated, allocated);
    assert_int_equal(driver.recorded, recorded);
    /* stopping at exit 0 of two: vision, exit 0, the one ahead, the state */
    only(&p, 0);
    step(&p, GPU, &a);
    submitted = driver.submitted;
    step(&p, GPU, &a);
    assert_int_equal(driver.submitted - submitted, 4);
    pair_close(&p);
}

/* ---------------------------------------------------------------- rehearsals --------------- */

/* Whether the n-th barrier is one that a unit begins with whether or not it is needed there. */
static bool begins_unit(const gpu_program *p, const int *units, int count, int n)
{
    for (int u = 0; u < count; u++)
        for (int i = p->unit[units[u]].first; i < p->unit[units[u]].end; i++)
            if (p->list[i].barrier && n-- == 0)
                return i == p->unit[units[u]].first;
    return false;
}

/* A whole step, in the order in which it is submitted, in one command buffer; prints how many
 * barriers that has. */
static int rehearse(int skipped)
{
    pair p;
    gpu_work *w;
    int units[64], n = 0, layer = 0;
    const deer_config *c;

    small_model_make(&small);
    pair_open(&p, small.path);
    film(&p, 0);
    w = p.on[GPU]->work;
    c = deer_model_config(p.model[GPU]);
    step(&p, GPU, &(deer_action){0});
    units[n++] = UNIT_VISION;
    units[n++] = UNIT_RESAMPLER;
    units[n++] = UNIT_TELL;
    units[n++] = UNIT_BEGIN;
    for (; layer < c->exit_layers[0]; layer++)
        units[n++] = UNIT_LAYERS + layer;
    units[n++] = UNIT_POOL;
    for (int k = 0; k < c->exits; k++) {
        for (; layer <= c->exit_layers[k]; layer++)
            units[n++] = UNIT_LAYERS + layer;
        units[n++] = program_exit(&w->tape.program, k);
    }
    units[n++] = UNIT_KEEP + 0;
    printf("rehearsal without barrier %d%s\n", skipped,
           begins_unit(&w->tape.program, units, n, skipped) ? ", the first of a unit" : "");
    fflush(stdout);
    tape_skip_barrier = skipped;
    n = tape_rehearse(&w->tape, units, n);
    tape_skip_barrier = -1;
    printf("%d barriers\n", n);
    fflush(stdout);
    pair_close(&p);
    small_model_remove(&small);
    return 0;
}

int main(int argc, char **argv)
{
#define DRIVEN(test) cmocka_unit_test_setup_teardown(test, drive_tests, drive_no_more)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tabletop_f32),
        cmocka_unit_test(test_tabletop_bf16),
        cmocka_unit_test(test_tabletop_q8),
        cmocka_unit_test(test_as_on_a_gpu),
        cmocka_unit_test(test_criteria),
        cmocka_unit_test(test_ways),
        cmocka_unit_test(test_stages_and_new_thresholds),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_one_camera),
        cmocka_unit_test(test_batch),
        cmocka_unit_test(test_two_threads),
        DRIVEN(test_failures_to_open),
        DRIVEN(test_lost_in_a_step),
        DRIVEN(test_steady),
    };

    if (argc > 1 && !strcmp(argv[1], "rehearse"))
        return rehearse(argc > 2 ? atoi(argv[2]) : -1);
    keep_driver();
    return cmocka_run_group_tests(tests, start, end);
}
