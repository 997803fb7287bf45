/* SPDX-License-Identifier: MIT */
/* device.c - finding and opening a device. */
#include "runtime/gpu/device.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "runtime/base/file.h"
#include "runtime/base/machine_failure.h"

enum {
    DEVICES = 16,
    FAMILIES = 16,
    EXTENSIONS = 3 + MATRIX_EXTENSIONS,
    CACHE_MOST = 64 << 20,
    SECONDS_PATIENT = 60
};

PFN_vkGetInstanceProcAddr gpu_driver_of_tests;
bool gpu_plays_card;

/* ---------------------------------------------------------------- words -------------------- */

static const char *meaning(VkResult result)
{
    switch (result) {
    case VK_ERROR_OUT_OF_HOST_MEMORY:
        return "out of memory";
    case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        return "the device is out of memory; open the model up to an earlier exit, or use another "
               "type of weights";
    case VK_ERROR_DEVICE_LOST:
        return "the device was lost; open the model again";
    case VK_ERROR_INCOMPATIBLE_DRIVER:
        return "no driver is installed";
    case VK_TIMEOUT:
        return "it does not answer; open the model again";
    default:
        return NULL;
    }
}

deer_status gpu_fail(const gpu_device *gpu, VkResult result, const char *what, deer_error *err)
{
    const char *name = gpu && gpu->name[0] ? gpu->name : "GPU", *why = meaning(result);

    if (result == VK_ERROR_OUT_OF_HOST_MEMORY)
        machine_failed();
    return why ? deer_fail(err, "%s: %s: %s", name, what, why)
               : deer_fail(err, "%s: %s failed (Vulkan error %d)", name, what, (int)result);
}

/* ---------------------------------------------------------------- the loader --------------- */

static deer_status find_entry(gpu_device *gpu, PFN_vkGetInstanceProcAddr *entry, deer_error *err)
{
    const char *why;

    if ((*entry = gpu_driver_of_tests))
        return DEER_OK;
    gpu->loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!gpu->loader) {
        why = dlerror();
        why = why ? why : "out of memory";
        machine_gave(!strstr(why, "out of memory") && !strstr(why, strerror(ENOMEM)));
        return deer_fail(err, "no GPU can be used: %s (on Debian: apt-get install libvulkan1)",
                         why);
    }
    *(void **)entry = dlsym(gpu->loader, "vkGetInstanceProcAddr");
    return *entry ? DEER_OK : deer_fail(err, "no GPU can be used: libvulkan.so.1 is no loader");
}

static deer_status make_instance(gpu_device *gpu, deer_error *err)
{
    const VkApplicationInfo app = {.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
                                   .pApplicationName = "deer",
                                   .apiVersion = VK_API_VERSION_1_2};
    const VkInstanceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
                                       .pApplicationInfo = &app};
    PFN_vkGetInstanceProcAddr entry;
    PFN_vkCreateInstance create;
    VkResult result;

    if (find_entry(gpu, &entry, err))
        return DEER_FAILED;
    create = (PFN_vkCreateInstance)entry(NULL, "vkCreateInstance");
    result = create ? create(&info, NULL, &gpu->instance) : VK_ERROR_INITIALIZATION_FAILED;
    if (result)
        return gpu_fail(gpu, result, "starting Vulkan", err);
#define LOAD(name) gpu->vk.name = (PFN_vk##name)entry(gpu->instance, "vk" #name);
    GPU_INSTANCE_FUNCTIONS(LOAD)
    GPU_OFFERED_INSTANCE_FUNCTIONS(LOAD)
#undef LOAD
    return DEER_OK;
}

/* ---------------------------------------------------------------- what there is ------------ */

static const char *kind_of(VkPhysicalDeviceType type)
{
    switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU:
        return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU:
        return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU:
        return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU:
        return "software";
    default:
        return "other";
    }
}

static bool has_timeline(const gpu_device *gpu, VkPhysicalDevice physical, uint32_t version)
{
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &timeline};

    if (version < VK_API_VERSION_1_2 &&
        !gpu_has_extension(gpu, physical, VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME))
        return false;
    gpu->vk.GetPhysicalDeviceFeatures2(physical, &features);
    return timeline.timelineSemaphore;
}

/* Products of 4 bytes in one instruction. */
static bool has_dots(const gpu_device *gpu, VkPhysicalDevice physical)
{
    VkPhysicalDeviceShaderIntegerDotProductFeatures dots = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES};
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = &dots};

    if (!gpu_has_extension(gpu, physical, VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME))
        return false;
    gpu->vk.GetPhysicalDeviceFeatures2(physical, &features);
    return dots.shaderIntegerDotProduct;
}

/* In multiples of how many bytes the device takes the processor's memory as its own; 0: not at all.
 */
static size_t imports(const gpu_device *gpu, VkPhysicalDevice physical)
{
    VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &host};

    if (!gpu_has_extension(gpu, physical, VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME))
        return 0;
    gpu->vk.GetPhysicalDeviceProperties2(physical, &properties);
    return host.minImportedHostPointerAlignment;
}

static bool is_unified(VkPhysicalDeviceType type)
{
    return type == VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU || type == VK_PHYSICAL_DEVICE_TYPE_CPU;
}

static bool compute_family(const gpu_device *gpu, VkPhysicalDevice physical, uint32_t *family)
{
    VkQueueFamilyProperties families[FAMILIES];
    uint32_t count = FAMILIES;

    gpu->vk.GetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
    for (*family = 0; *family < count; ++*family)
        if (families[*family].queueFlags & VK_QUEUE_COMPUTE_BIT)
            return true;
    return false;
}

/* What keeps a device from being used, or "". */
static const char *missing(const gpu_device *gpu, VkPhysicalDevice physical,
                           const VkPhysicalDeviceProperties *p)
{
    uint32_t family;

    if (p->apiVersion < VK_API_VERSION_1_1)
        return "Vulkan 1.1";
    if (!has_timeline(gpu, physical, p->apiVersion))
        return "timeline semaphores";
    if (!compute_family(gpu, physical, &family))
        return "a queue that computes";
    if (p->limits.maxComputeWorkGroupInvocations < 256 ||
        p->limits.maxComputeWorkGroupSize[0] < 256)
        return "256 invocations a workgroup";
    return "";
}

static const char *matrices_said(const gpu_device *gpu, VkPhysicalDevice physical)
{
    gpu_matrices m = matrices_offered(gpu, physical);
    bool bf16 = m.shape[WEIGHT_BF16].rows, q8 = m.shape[WEIGHT_Q8].rows;

    return bf16 && q8 ? "matrix units for bf16 and q8 weights, "
           : bf16     ? "matrix units for bf16 weights, "
           : q8       ? "matrix units for q8 weights, "
                      : "";
}

static void describe(const gpu_device *gpu, VkPhysicalDevice physical, gpu_about *about)
{
    VkPhysicalDeviceProperties2 properties = {.sType =
                                                  VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2};
    const VkPhysicalDeviceProperties *p = &properties.properties;
    VkPhysicalDeviceMemoryProperties memory;

    gpu->vk.GetPhysicalDeviceProperties2(physical, &properties);
    gpu->vk.GetPhysicalDeviceMemoryProperties(physical, &memory);
    *about = (gpu_about){0};
    snprintf(about->name, sizeof about->name, "%s", p->deviceName);
    snprintf(about->kind, sizeof about->kind, "%s", kind_of(p->deviceType));
    snprintf(about->driver, sizeof about->driver, "Vulkan %u.%u.%u, driver %u.%u.%u",
             VK_API_VERSION_MAJOR(p->apiVersion), VK_API_VERSION_MINOR(p->apiVersion),
             VK_API_VERSION_PATCH(p->apiVersion), VK_API_VERSION_MAJOR(p->driverVersion),
             VK_API_VERSION_MINOR(p->driverVersion), VK_API_VERSION_PATCH(p->driverVersion));
    for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
        if (memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT &&
            memory.memoryHeaps[i].size > about->memory)
            about->memory = memory.memoryHeaps[i].size;
    snprintf(about->missing, sizeof about->missing, "%s", missing(gpu, physical, p));
    about->usable = !about->missing[0];
    snprintf(about->uses, sizeof about->uses, "float32 arithmetic, %s%s%s",
             matrices_said(gpu, physical),
             has_dots(gpu, physical) ? "products of 4 bytes" : "integers of 32 bits",
             !is_unified(p->deviceType) ? ""
             : imports(gpu, physical)   ? ", weights where they are loaded"
                                        : ", memory of the processor");
}

static deer_status enumerate(gpu_device *gpu, VkPhysicalDevice list[DEVICES], uint32_t *count,
                             deer_error *err)
{
    VkResult result;

    *count = DEVICES;
    result = gpu->vk.EnumeratePhysicalDevices(gpu->instance, count, list);
    return result < 0 ? gpu_fail(gpu, result, "looking for devices", err) : DEER_OK;
}

deer_status gpu_list(gpu_about *list, int room, int *count, deer_error *err)
{
    gpu_device *gpu = calloc(1, sizeof *gpu);
    VkPhysicalDevice devices[DEVICES];
    uint32_t found = 0;
    unsigned before = machine_failures();
    deer_status status = gpu ? make_instance(gpu, err) : machine_fail(err, "out of memory");

    *count = 0;
    if (gpu)
        gpu->owner = (int)getpid();
    if (!status)
        status = enumerate(gpu, devices, &found, err);
    for (uint32_t i = 0; !status && i < found; i++, ++*count)
        if ((int)i < room)
            describe(gpu, devices[i], &list[i]);
    if (!status && machine_failures() != before)
        status = deer_fail(err, "out of memory looking at the GPUs");
    gpu_close(gpu);
    return status;
}

/* ---------------------------------------------------------------- choosing ----------------- */

static bool contains(const char *text, const char *part)
{
    size_t n = strlen(part);

    for (; *text; text++)
        if (!strncasecmp(text, part, n))
            return true;
    return false;
}

bool gpu_named(const gpu_about *about, const char *wish)
{
    if (!strcasecmp(wish, "gpu"))
        return about->usable && strcmp(about->kind, "software") != 0;
    return contains(about->name, wish);
}

/* A card before what is built in: it has more memory bandwidth. */
static int preference(const gpu_about *about)
{
    return !about->usable ? 0 : !strcmp(about->kind, "discrete") ? 2 : 1;
}

static deer_status choose(gpu_device *gpu, const char *wish, deer_error *err)
{
    VkPhysicalDevice devices[DEVICES];
    gpu_about about, best = {0};
    unsigned before = machine_failures();
    uint32_t count;
    int rank = -1;

    if (enumerate(gpu, devices, &count, err))
        return DEER_FAILED;
    for (uint32_t i = 0; i < count; i++) {
        describe(gpu, devices[i], &about);
        if (gpu_named(&about, wish) && preference(&about) > rank) {
            rank = preference(&about);
            best = about;
            gpu->physical = devices[i];
        }
    }
    if (machine_failures() != before)
        return deer_fail(err, "out of memory looking at the GPUs");
    if (rank < 0)
        return deer_fail(err, "there is no device '%s'; deer-run devices lists those there are%s",
                         wish,
                         strcasecmp(wish, "gpu") ? "" : " (software drivers only by their name)");
    if (!best.usable)
        return deer_fail(err, "%s cannot be used: it lacks %s", best.name, best.missing);
    snprintf(gpu->name, sizeof gpu->name, "%s", best.name);
    return DEER_OK;
}

/* ---------------------------------------------------------------- opening ------------------ */

static void note_limits(gpu_device *gpu, VkPhysicalDeviceProperties *p)
{
    VkPhysicalDeviceMaintenance3Properties most = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_MAINTENANCE_3_PROPERTIES};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &most};

    gpu->vk.GetPhysicalDeviceProperties2(gpu->physical, &properties);
    gpu->vk.GetPhysicalDeviceMemoryProperties(gpu->physical, &gpu->memory);
    *p = properties.properties;
    gpu->limits = p->limits;
    gpu->largest = most.maxMemoryAllocationSize;
    gpu->unified = is_unified(p->deviceType) && !gpu_plays_card;
    gpu->imports = gpu->unified ? imports(gpu, gpu->physical) : 0;
    gpu->dots = has_dots(gpu, gpu->physical);
    gpu->offered = matrices_offered(gpu, gpu->physical);
    gpu->software = p->deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
    gpu->timeout = (uint64_t)SECONDS_PATIENT * 1000000000u;
}

/* What is asked for besides the minimum, where it is offered. */
static uint32_t list_extensions(const gpu_device *gpu, bool old, const char *names[EXTENSIONS])
{
    uint32_t n = 0;

    if (old)
        names[n++] = VK_KHR_TIMELINE_SEMAPHORE_EXTENSION_NAME;
    if (gpu->dots)
        names[n++] = VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME;
    if (gpu->imports)
        names[n++] = VK_EXT_EXTERNAL_MEMORY_HOST_EXTENSION_NAME;
    if (gpu->offered.subgroup)
        n += matrices_extensions(&gpu->offered, names + n);
    return n;
}

static void load_functions(gpu_device *gpu)
{
#define LOAD(name) gpu->vk.name = (PFN_vk##name)gpu->vk.GetDeviceProcAddr(gpu->device, "vk" #name);
    GPU_DEVICE_FUNCTIONS(LOAD)
    GPU_TIMELINE_FUNCTIONS(LOAD)
    GPU_OFFERED_FUNCTIONS(LOAD)
#undef LOAD
    if (!gpu->vk.WaitSemaphores)
        gpu->vk.WaitSemaphores =
            (PFN_vkWaitSemaphores)gpu->vk.GetDeviceProcAddr(gpu->device, "vkWaitSemaphoresKHR");
}

static deer_status make_device(gpu_device *gpu, const VkPhysicalDeviceProperties *p,
                               deer_error *err)
{
    const float priority = 1;
    const char *names[EXTENSIONS];
    gpu_matrix_features matrices;
    VkPhysicalDeviceShaderIntegerDotProductFeatures dots = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES,
        .shaderIntegerDotProduct = VK_TRUE};
    VkPhysicalDeviceTimelineSemaphoreFeatures timeline = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
        .pNext = gpu->dots ? &dots : NULL,
        .timelineSemaphore = VK_TRUE};
    VkDeviceQueueCreateInfo queue = {.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
                                     .queueCount = 1,
                                     .pQueuePriorities = &priority};
    VkDeviceCreateInfo info = {.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
                               .pNext = &timeline,
                               .queueCreateInfoCount = 1,
                               .pQueueCreateInfos = &queue,
                               .enabledExtensionCount =
                                   list_extensions(gpu, p->apiVersion < VK_API_VERSION_1_2, names),
                               .ppEnabledExtensionNames = names};
    VkResult result;

    if (gpu->offered.subgroup)
        info.pNext = matrices_ask(&gpu->offered, &matrices, &timeline);
    compute_family(gpu, gpu->physical, &gpu->family);
    queue.queueFamilyIndex = gpu->family;
    result = gpu->vk.CreateDevice(gpu->physical, &info, NULL, &gpu->device);
    if (result)
        return gpu_fail(gpu, result, "opening it", err);
    load_functions(gpu);
    gpu->vk.GetDeviceQueue(gpu->device, gpu->family, 0, &gpu->queue);
    return DEER_OK;
}

/* A cache of another device or driver is no use; the driver looks at what it is given itself. */
static deer_status make_cache(gpu_device *gpu, const char *path, deer_error *err)
{
    VkPipelineCacheCreateInfo info = {.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO};
    char *data = NULL;
    VkResult result;

    if (path) {
        gpu->cache_path = strdup(path);
        if (!file_read(path, CACHE_MOST, &data, &gpu->cache_loaded, NULL)) {
            info.initialDataSize = gpu->cache_loaded;
            info.pInitialData = data;
        }
    }
    result = gpu->vk.CreatePipelineCache(gpu->device, &info, NULL, &gpu->cache);
    free(data);
    return result ? gpu_fail(gpu, result, "making a cache of kernels", err) : DEER_OK;
}

static deer_status open_chosen(gpu_device *gpu, const char *wish, const char *cache,
                               deer_error *err)
{
    VkPhysicalDeviceProperties p;
    unsigned before = machine_failures();

    if (make_instance(gpu, err) || choose(gpu, wish, err))
        return DEER_FAILED;
    note_limits(gpu, &p);
    if (machine_failures() != before)
        return deer_fail(err, "out of memory looking at what %s offers", gpu->name);
    return make_device(gpu, &p, err) ? DEER_FAILED : make_cache(gpu, cache, err);
}

deer_status gpu_open(const char *wish, const char *cache, gpu_device **out, deer_error *err)
{
    gpu_device *gpu = calloc(1, sizeof *gpu);
    deer_status status;

    *out = NULL;
    if (!gpu)
        return deer_fail(err, "out of memory for a GPU");
    pthread_mutex_init(&gpu->lock, NULL);
    gpu->owner = (int)getpid();
    status = open_chosen(gpu, wish, cache, err);
    if (status)
        gpu_close(gpu);
    else
        *out = gpu;
    return status;
}

/* ---------------------------------------------------------------- closing ------------------ */

/* What was compiled anew goes to the file; where it cannot, the next run compiles again. */
static void save_cache(gpu_device *gpu)
{
    size_t size = 0;
    void *data;

    if (!gpu->cache_path || !gpu->cache ||
        gpu->vk.GetPipelineCacheData(gpu->device, gpu->cache, &size, NULL) ||
        size == gpu->cache_loaded)
        return;
    data = malloc(size + 1);
    if (data && !gpu->vk.GetPipelineCacheData(gpu->device, gpu->cache, &size, data))
        file_write(gpu->cache_path, data, size, NULL);
    free(data);
}

static void close_device(gpu_device *gpu)
{
    save_cache(gpu);
    for (int i = 0; i < gpu->pipelines; i++) {
        gpu->vk.DestroyPipeline(gpu->device, gpu->pipeline[i].pipeline, NULL);
        gpu->vk.DestroyPipelineLayout(gpu->device, gpu->pipeline[i].layout, NULL);
        gpu->vk.DestroyDescriptorSetLayout(gpu->device, gpu->pipeline[i].set, NULL);
    }
    if (gpu->cache)
        gpu->vk.DestroyPipelineCache(gpu->device, gpu->cache, NULL);
    gpu->vk.DestroyDevice(gpu->device, NULL);
}

bool gpu_is_foreign(gpu_device *gpu)
{
    if (gpu->owner != (int)getpid())
        gpu->stuck = true;
    return gpu->owner != (int)getpid();
}

void gpu_close(gpu_device *gpu)
{
    if (!gpu)
        return;
    gpu_is_foreign(gpu);
    if (gpu->stuck) {
        free(gpu->cache_path);
        return; /* threads of the driver may be in the rest */
    }
    if (gpu->device && gpu->vk.DestroyDevice)
        close_device(gpu);
    if (gpu->instance && gpu->vk.DestroyInstance)
        gpu->vk.DestroyInstance(gpu->instance, NULL);
    if (gpu->loader)
        dlclose(gpu->loader);
    pthread_mutex_destroy(&gpu->lock);
    free(gpu->cache_path);
    free(gpu);
}
