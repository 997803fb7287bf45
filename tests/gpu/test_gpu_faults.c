/* SPDX-License-Identifier: MIT */
/* test_gpu_faults.c - a driver that fails on purpose, on Mesa's lavapipe, and one that counts what
 * a steady session asks of it: nothing new (LONG=1: over 10,000 steps). */
#include "tests/gpu/matrix_driver.h"
#include "tests/gpu/pair.h"

#include <dlfcn.h>
#include <malloc.h>

#include "runtime/gpu/backend_gpu.h"
#include "runtime/import/model_file.h"
#include "tests/base/unless_long.h"

/* Bytes that are no leak: what the driver's threads have in hand. */
enum { GROWTH = 16384 };

/* ---------------------------------------------------------------- a driver of tests -------- */

/* Fails the n-th call of one function; counts calls of all that are watched. */
static struct {
    const char *fails;
    int at; /* which call, from 0 */
    VkResult with;
    long made, recorded, submitted, calls; /* made: anything that takes memory */
    bool no_devices;
    const char *hides; /* an extension that it does not offer */
    bool wrong_dots;   /* products of signed bytes are of unsigned ones */
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
    X(AllocateDescriptorSets)                                                                      \
    X(AllocateCommandBuffers)                                                                      \
    X(CreateSemaphore)                                                                             \
    X(BeginCommandBuffer)                                                                          \
    X(QueueSubmit)                                                                                 \
    X(WaitSemaphores)                                                                              \
    X(CreateDevice)                                                                                \
    X(CreateComputePipelines)                                                                      \
    X(CreateShaderModule)                                                                          \
    X(CreateBuffer)                                                                                \
    X(CreateDescriptorPool)                                                                        \
    X(EnumeratePhysicalDevices) X(EnumerateDeviceExtensionProperties) X(CreateInstance)
#define DECLARE_REAL(name) static PFN_vkVoidFunction real_##name;
WATCHED(DECLARE_REAL)

static VkResult my_AllocateMemory(VkDevice d, const VkMemoryAllocateInfo *i,
                                  const VkAllocationCallbacks *a, VkDeviceMemory *m)
{
    driver.made++;
    return fails("AllocateMemory") ? driver.with : REAL(AllocateMemory)(d, i, a, m);
}
static VkResult my_AllocateDescriptorSets(VkDevice d, const VkDescriptorSetAllocateInfo *i,
                                          VkDescriptorSet *s)
{
    driver.made++;
    return fails("AllocateDescriptorSets") ? driver.with : REAL(AllocateDescriptorSets)(d, i, s);
}
static VkResult my_AllocateCommandBuffers(VkDevice d, const VkCommandBufferAllocateInfo *i,
                                          VkCommandBuffer *c)
{
    driver.made++;
    return fails("AllocateCommandBuffers") ? driver.with : REAL(AllocateCommandBuffers)(d, i, c);
}
static VkResult my_CreateSemaphore(VkDevice d, const VkSemaphoreCreateInfo *i,
                                   const VkAllocationCallbacks *a, VkSemaphore *s)
{
    driver.made++;
    return fails("CreateSemaphore") ? driver.with : REAL(CreateSemaphore)(d, i, a, s);
}
static VkResult my_CreateBuffer(VkDevice d, const VkBufferCreateInfo *i,
                                const VkAllocationCallbacks *a, VkBuffer *b)
{
    driver.made++;
    return fails("CreateBuffer") ? driver.with : REAL(CreateBuffer)(d, i, a, b);
}
static VkResult my_CreateDescriptorPool(VkDevice d, const VkDescriptorPoolCreateInfo *i,
                                        const VkAllocationCallbacks *a, VkDescriptorPool *p)
{
    driver.made++;
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
    driver.made++;
    return fails("CreateComputePipelines") ? driver.with
                                           : REAL(CreateComputePipelines)(d, c, n, i, a, p);
}
static VkResult my_CreateShaderModule(VkDevice d, const VkShaderModuleCreateInfo *i,
                                      const VkAllocationCallbacks *a, VkShaderModule *m)
{
    enum { HEADER = 5, SIGNED_DOT = 4450, UNSIGNED_DOT = 4451 };
    VkShaderModuleCreateInfo own = *i;
    size_t words = i->codeSize / 4;
    uint32_t *code = malloc(i->codeSize);
    VkResult result;

    memcpy(code, i->pCode, i->codeSize);
    for (size_t at = HEADER; driver.wrong_dots && at < words; at += code[at] >> 16)
        if ((code[at] & 0xffff) == SIGNED_DOT)
            code[at] += UNSIGNED_DOT - SIGNED_DOT;
    own.pCode = code;
    result = REAL(CreateShaderModule)(d, &own, a, m);
    free(code);
    return result;
}
static VkResult my_EnumeratePhysicalDevices(VkInstance i, uint32_t *n, VkPhysicalDevice *p)
{
    if (driver.no_devices) {
        *n = 0;
        return VK_SUCCESS;
    }
    return REAL(EnumeratePhysicalDevices)(i, n, p);
}
static VkResult my_EnumerateDeviceExtensionProperties(VkPhysicalDevice p, const char *layer,
                                                      uint32_t *n, VkExtensionProperties *list)
{
    VkResult result = fails("EnumerateDeviceExtensionProperties")
                          ? driver.with
                          : REAL(EnumerateDeviceExtensionProperties)(p, layer, n, list);

    for (uint32_t i = 0; list && driver.hides && i < *n; i++)
        if (!strcmp(list[i].extensionName, driver.hides))
            strcpy(list[i].extensionName, "VK_DEER_none");
    return result;
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
        {"EnumerateDeviceExtensionProperties", VK_ERROR_OUT_OF_HOST_MEMORY,
         "out of memory looking"},
        {"CreateDevice", VK_ERROR_INITIALIZATION_FAILED, "opening it failed (Vulkan error -3)"},
        {"AllocateMemory", VK_ERROR_OUT_OF_DEVICE_MEMORY, "the device is out of memory"},
        {"CreateBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, "out of memory"},
        {"CreateComputePipelines", VK_ERROR_OUT_OF_HOST_MEMORY, "compiling the kernel"},
        {"CreateDescriptorPool", VK_ERROR_OUT_OF_DEVICE_MEMORY, "room for commands"},
        {"AllocateCommandBuffers", VK_ERROR_OUT_OF_HOST_MEMORY, "room for commands"},
        {"AllocateDescriptorSets", VK_ERROR_OUT_OF_DEVICE_MEMORY, "room for views"},
        {"CreateSemaphore", VK_ERROR_OUT_OF_HOST_MEMORY, "making a semaphore"},
        {"BeginCommandBuffer", VK_ERROR_OUT_OF_HOST_MEMORY, "recording"},
        {"QueueSubmit", VK_ERROR_DEVICE_LOST, "the device was lost; open the model again"},
        {"WaitSemaphores", VK_ERROR_DEVICE_LOST, "the device was lost; open the model again"},
    };
    const deer_model_options o = {.size = sizeof o, .device = DEVICE};

    (void)state;
    driver.hides = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME; /* what fails there is no failure */
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int at = 0;; at += at < 4 ? 1 : at) { /* some of many */
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
        }
    fail_at(NULL, 0, VK_SUCCESS);
    driver.no_devices = true;
    assert_int_equal(deer_model_open_with(small.path, 0, &o, &(deer_model *){NULL}, &error),
                     DEER_FAILED);
    says("there is no device 'llvmpipe'");
    driver.no_devices = false;
    deer_model_close(open_on(small.path, "cpu"));
}

/* The processor stands in for a GPU that is not there, not for one that there was no memory to
 * find. */
static void test_auto(void **state)
{
    static const char *const looked_with[] = {"CreateInstance",
                                              "EnumerateDeviceExtensionProperties"};
    const deer_model_options o = {.size = sizeof o, .device = "auto"};
    deer_model *model;

    (void)state;
    for (int i = 0; i < 2; i++) {
        fail_at(looked_with[i], 0, VK_ERROR_OUT_OF_HOST_MEMORY);
        assert_int_equal(deer_model_open_with(small.path, 0, &o, &model, &error), DEER_FAILED);
        says("out of memory");
    }
    fail_at("CreateInstance", 0, VK_ERROR_INCOMPATIBLE_DRIVER);
    assert_int_equal(deer_model_open_with(small.path, 0, &o, &model, &error), DEER_OK);
    assert_null(model->device);
    deer_model_close(model);
    fail_at(NULL, 0, VK_SUCCESS);
}

/* What a device was like. */
typedef struct {
    bool dots;
    gpu_shape matrix[WEIGHT_DTYPES];
    char note[160]; /* "": none */
} traits;

static traits traits_of(const deer_model *model)
{
    const gpu_device *gpu = ((gpu_home *)model->device)->gpu;
    const char *note = gpu_note(model);
    traits t = {.dots = gpu->dots};

    memcpy(t.matrix, gpu->matrix, sizeof t.matrix);
    snprintf(t.note, sizeof t.note, "%s", note ? note : "");
    return t;
}

/* A few steps, and what the device was like. */
static gpu_home play_at_home(const char *path, traits *t, deer_action *last)
{
    gpu_home home;
    pair p;

    pair_open(&p, path);
    home = *(gpu_home *)p.model[GPU]->device;
    *t = traits_of(p.model[GPU]);
    threshold_amid(&p, DEER_CRITERION_L2);
    for (int s = 0; s < 3; s++) {
        film(&p, s);
        step(&p, GPU, last);
    }
    pair_close(&p);
    return home;
}

static void same_action(const deer_action *a, const deer_action *b)
{
    assert_int_equal(a->exit, b->exit);
    for (int i = 0; i < DEER_POSE; i++)
        assert_float_equal(a->pose[i], b->pose[i], 1e-6);
}

/* Weights where they were loaded, copied where both see them, and carried over by staging. */
static void test_ways_home(void **state)
{
    deer_action in_place, copied, refused, carried;
    gpu_home home;
    traits t;

    (void)state;
    fail_at(NULL, 0, VK_SUCCESS);
    home = play_at_home(small.path, &t, &in_place);
    assert_true(home.in_place && home.stretches > 1);
    driver.hides = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
    home = play_at_home(small.path, &t, &copied);
    assert_true(!home.in_place && home.stretch[0].buffer.mapped);
    driver.hides = NULL;
    fail_at("AllocateMemory", 1, VK_ERROR_INVALID_EXTERNAL_HANDLE); /* the second stretch */
    home = play_at_home(small.path, &t, &refused);
    assert_true(!home.in_place && home.stretch[0].buffer.mapped);
    fail_at(NULL, 0, VK_SUCCESS);
    gpu_plays_card = true;
    home = play_at_home(small.path, &t, &carried);
    gpu_plays_card = false;
    assert_true(!home.in_place && !home.stretch[0].buffer.mapped);
    assert_memory_equal(&in_place, &copied, sizeof copied);
    assert_memory_equal(&in_place, &refused, sizeof refused);
    same_action(&in_place, &carried); /* which adds up in another order */
}

/* Bytes are multiplied four at a time where the device has that, and where what it gives is right;
 * the same bits in any case. */
static void test_ways_to_multiply_bytes(void **state)
{
    char path[96];
    const model_output to = {.path = path, .dtype = WEIGHT_Q8};
    deer_action in_fours, one_by_one, wrong;
    traits t;

    (void)state;
    fail_at(NULL, 0, VK_SUCCESS);
    snprintf(path, sizeof path, "%s/q8", small.folder);
    ok(model_convert(small.path, &to, &error));
    play_at_home(path, &t, &in_fours);
    assert_true(t.dots);
    driver.hides = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    play_at_home(path, &t, &one_by_one);
    assert_false(t.dots);
    driver.hides = NULL;
    driver.wrong_dots = true;
    play_at_home(path, &t, &wrong);
    assert_false(t.dots);
    driver.wrong_dots = false;
    assert_memory_equal(&in_fours, &one_by_one, sizeof in_fours);
    assert_memory_equal(&in_fours, &wrong, sizeof in_fours);
}

/* A model on matrix units, on units that are wrong, on those that its compiler does not take, and
 * without any. */
static void play_on_matrices(weight_dtype type)
{
    char path[96];
    const model_output to = {.path = path, .dtype = type};
    deer_action on, wrong, refused, without;
    traits t;

    snprintf(path, sizeof path, "%s/on_matrices", small.folder);
    ok(model_convert(small.path, &to, &error));
    play_at_home(path, &t, &on);
    assert_true(t.matrix[type].rows > 0);
    assert_string_equal(t.note, "");
    matrix_units.wrong = true;
    play_at_home(path, &t, &wrong);
    matrix_units.wrong = false;
    assert_int_equal(t.matrix[type].rows, 0);
    assert_true(type != WEIGHT_Q8 || t.dots);
    assert_non_null(strstr(t.note, "matrix units do not multiply"));
    assert_non_null(strstr(t.note, weight_dtype_name(type)));
    fail_at("CreateComputePipelines", 1, VK_ERROR_UNKNOWN);
    play_at_home(path, &t, &refused);
    fail_at(NULL, 0, VK_SUCCESS);
    assert_int_equal(t.matrix[type].rows, 0);
    assert_string_not_equal(t.note, "");
    driver.hides = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
    play_at_home(path, &t, &without);
    driver.hides = NULL;
    assert_int_equal(t.matrix[type].rows, 0);
    assert_string_equal(t.note, "");
    assert_memory_equal(&wrong, &without, sizeof wrong);
    assert_memory_equal(&refused, &without, sizeof refused);
    same_action(&on, &without);
    unlink(path);
}

static void test_ways_with_matrices(void **state)
{
    (void)state;
    fail_at(NULL, 0, VK_SUCCESS);
    driver.real = matrix_driver();
    play_on_matrices(WEIGHT_Q8);
    play_on_matrices(WEIGHT_BF16);
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

/* Bytes of the heap in use, the driver's included; 0 where that cannot be asked (sanitizers). */
static size_t heap_in_use(void)
{
    return mallinfo2().uordblks;
}

/* Steps with new instructions, thresholds and exits among them. */
static void act_on(pair *p, int steps)
{
    const int32_t ids[] = {SMALL_IMAGE, 9, 8};
    deer_action a;

    for (int i = 0; i < steps; i++) {
        if (i % 20 == 4)
            ok(deer_session_set_tokens(p->on[GPU], ids, 2 + i / 40 % 2, &error));
        if (i % 20 == 8)
            only(p, i / 20 % 2);
        step(p, GPU, &a);
    }
}

/* After the session is made nothing is allocated or recorded, whatever changes, and the driver's
 * own memory does not grow either. */
static void test_steady(void **state)
{
    int steps = unless_long(80, 10000);
    deer_action a;
    pair p;
    long made, recorded, submitted;
    size_t heap[2];

    (void)state;
    fail_at(NULL, 0, VK_SUCCESS);
    pair_open(&p, small.path);
    threshold_amid(&p, DEER_CRITERION_L2);
    step(&p, GPU, &a);
    made = driver.made;
    recorded = driver.recorded;
    act_on(&p, steps / 2);
    heap[0] = heap_in_use();
    act_on(&p, steps - steps / 2);
    heap[1] = heap_in_use();
    assert_int_equal(driver.made, made);
    assert_int_equal(driver.recorded, recorded);
    print_message("%d steps: %ld bytes more in the second half\n", steps,
                  (long)(heap[1] - heap[0]));
    assert_true(heap[1] <= heap[0] + GROWTH);
    /* stopping at exit 0 of two: vision, exit 0, the one ahead, the state */
    only(&p, 0);
    step(&p, GPU, &a);
    submitted = driver.submitted;
    step(&p, GPU, &a);
    assert_int_equal(driver.submitted - submitted, 4);
    pair_close(&p);
}

int main(void)
{
#define DRIVEN(test) cmocka_unit_test_setup_teardown(test, drive_tests, drive_no_more)
    const struct CMUnitTest tests[] = {
        DRIVEN(test_failures_to_open),
        DRIVEN(test_auto),
        DRIVEN(test_ways_home),
        DRIVEN(test_ways_to_multiply_bytes),
        DRIVEN(test_ways_with_matrices),
        DRIVEN(test_lost_in_a_step),
        DRIVEN(test_steady),
    };

    keep_driver();
    return cmocka_run_group_tests(tests, pair_start, pair_end);
}
