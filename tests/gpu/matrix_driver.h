/* SPDX-License-Identifier: MIT */
/* matrix_driver.h - a driver that offers matrix units, over Mesa's lavapipe, which has none. Where
 * it is given code for them it takes code that does the same in plain integers and floats, of the
 * same source (runtime/gpu/shaders/linear_matrix.comp with EMULATED).
 *
 *   gpu_driver_of_tests = matrix_driver();
 *   ... open, use, close ...
 *   gpu_driver_of_tests = NULL;
 */
#ifndef TESTS_MATRIX_DRIVER_H
#define TESTS_MATRIX_DRIVER_H

#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/gpu/device.h"

extern const uint32_t emulated_q8[], emulated_bf16[];
extern const size_t emulated_q8_bytes, emulated_bf16_bytes;

static struct {
    bool wrong; /* multiplies signed bytes as unsigned ones, takes floats off */
    bool no_bfloat16;
    int binds;               /* of pipelines with code for matrix units */
    VkShaderModule module;   /* the last that was replaced */
    VkPipeline pipeline[16]; /* made of such */
    int pipelines;
    PFN_vkGetInstanceProcAddr real;
    PFN_vkGetDeviceProcAddr real_device;
} matrix_units;

enum { MATRIX_SUBGROUP = 32 };

#define MATRIX_CAUGHT(X)                                                                           \
    X(EnumerateDeviceExtensionProperties)                                                          \
    X(GetPhysicalDeviceFeatures2)                                                                  \
    X(GetPhysicalDeviceProperties2)                                                                \
    X(CreateDevice)                                                                                \
    X(CreateShaderModule)                                                                          \
    X(CreateComputePipelines)                                                                      \
    X(CmdBindPipeline)
#define MATRIX_DECLARE(name) static PFN_vk##name under_##name;
MATRIX_CAUGHT(MATRIX_DECLARE)

/* ---------------------------------------------------------------- what is offered ---------- */

static inline VkResult matrix_EnumerateDeviceExtensionProperties(VkPhysicalDevice p,
                                                                 const char *layer, uint32_t *n,
                                                                 VkExtensionProperties *list)
{
    VkResult result;
    uint32_t room = *n;

    *n = list ? room - 2 : 0;
    result = under_EnumerateDeviceExtensionProperties(p, layer, n, list);
    if (list) {
        strcpy(list[*n].extensionName, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME);
        strcpy(list[*n + 1].extensionName, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME);
    }
    *n += 2;
    return result;
}

static inline void matrix_GetPhysicalDeviceFeatures2(VkPhysicalDevice p,
                                                     VkPhysicalDeviceFeatures2 *features)
{
    under_GetPhysicalDeviceFeatures2(p, features);
    for (VkBaseOutStructure *s = features->pNext; s; s = s->pNext)
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR) {
            ((VkPhysicalDeviceCooperativeMatrixFeaturesKHR *)s)->cooperativeMatrix = VK_TRUE;
        } else if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR) {
            VkPhysicalDeviceShaderBfloat16FeaturesKHR *f = (void *)s;
            f->shaderBFloat16Type = f->shaderBFloat16CooperativeMatrix = !matrix_units.no_bfloat16;
        }
}

static inline void matrix_GetPhysicalDeviceProperties2(VkPhysicalDevice p,
                                                       VkPhysicalDeviceProperties2 *properties)
{
    under_GetPhysicalDeviceProperties2(p, properties);
    for (VkBaseOutStructure *s = properties->pNext; s; s = s->pNext)
        if (s->sType == VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES)
            ((VkPhysicalDeviceSubgroupProperties *)s)->subgroupSize = MATRIX_SUBGROUP;
}

/* Some that nobody can use here, then one of each type. */
static inline VkResult matrix_properties(VkPhysicalDevice p, uint32_t *n,
                                         VkCooperativeMatrixPropertiesKHR *list)
{
    enum { F32 = 1, S8 = 3, S32 = 5, U8 = 7, U32 = 9, BF16 = 1000141000, WORKGROUP = 2, SUB = 3 };
    static const VkCooperativeMatrixPropertiesKHR all[] = {
        {0, NULL, 16, 16, 16, 0, 0, F32, F32, 0, SUB},
        {0, NULL, 16, 16, 32, U8, U8, U32, U32, 0, SUB},
        {0, NULL, 16, 16, 32, S8, S8, S32, S32, 1, SUB},
        {0, NULL, 16, 16, 32, S8, S8, S32, S32, 0, WORKGROUP},
        {0, NULL, 24, 16, 32, S8, S8, S32, S32, 0, SUB},
        {0, NULL, 16, 16, 8, S8, S8, S32, S32, 0, SUB},
        {0, NULL, 16, 8, 32, S8, S8, S32, S32, 0, SUB},
        {0, NULL, 16, 16, 16, BF16, BF16, BF16, BF16, 0, SUB},
        {0, NULL, 8, 16, 16, BF16, BF16, F32, F32, 0, SUB},
    };
    uint32_t count = sizeof all / sizeof *all;

    (void)p;
    for (uint32_t i = 0; list && i < *n && i < count; i++) {
        VkCooperativeMatrixPropertiesKHR one = all[i];
        one.sType = list[i].sType;
        list[i] = one;
    }
    *n = count;
    return VK_SUCCESS;
}

/* ---------------------------------------------------------------- what is taken ------------ */

static inline bool matrix_unknown(const char *extension)
{
    return !strcmp(extension, VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME) ||
           !strcmp(extension, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME);
}

/* What only code for matrix units needs is kept from the driver below. */
static inline VkResult matrix_CreateDevice(VkPhysicalDevice p, const VkDeviceCreateInfo *i,
                                           const VkAllocationCallbacks *a, VkDevice *d)
{
    const char *names[32];
    VkDeviceCreateInfo own = *i;
    const VkBaseInStructure *next = i->pNext;

    own.ppEnabledExtensionNames = names;
    own.enabledExtensionCount = 0;
    for (uint32_t n = 0; n < i->enabledExtensionCount; n++)
        if (!matrix_unknown(i->ppEnabledExtensionNames[n]))
            names[own.enabledExtensionCount++] = i->ppEnabledExtensionNames[n];
    while (next && next->sType != VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES)
        next = next->pNext;
    own.pNext = next;
    return under_CreateDevice(p, &own, a, d);
}

static inline bool matrix_has(const VkShaderModuleCreateInfo *i, uint32_t capability)
{
    enum { HEADER = 5, CAPABILITY = 17 };

    for (size_t at = HEADER; at < i->codeSize / 4; at += i->pCode[at] >> 16)
        if ((i->pCode[at] & 0xffff) == CAPABILITY && i->pCode[at + 1] == capability)
            return true;
    return false;
}

static inline void matrix_make_wrong(uint32_t *code, size_t words)
{
    enum { HEADER = 5, ADD = 129, SUBTRACT = 131, SIGNED_DOT = 4450, UNSIGNED_DOT = 4451 };

    for (size_t at = HEADER; at < words; at += code[at] >> 16)
        if ((code[at] & 0xffff) == SIGNED_DOT)
            code[at] += UNSIGNED_DOT - SIGNED_DOT;
        else if ((code[at] & 0xffff) == ADD)
            code[at] += SUBTRACT - ADD;
}

static inline VkResult matrix_CreateShaderModule(VkDevice d, const VkShaderModuleCreateInfo *i,
                                                 const VkAllocationCallbacks *a, VkShaderModule *m)
{
    enum { MATRICES = 6022, BFLOAT16_MATRICES = 5118 };
    bool halves = matrix_has(i, BFLOAT16_MATRICES);
    VkShaderModuleCreateInfo own = *i;
    uint32_t *code;
    VkResult result;

    if (!matrix_has(i, MATRICES))
        return under_CreateShaderModule(d, i, a, m);
    own.codeSize = halves ? emulated_bf16_bytes : emulated_q8_bytes;
    own.pCode = code = malloc(own.codeSize);
    memcpy(code, halves ? emulated_bf16 : emulated_q8, own.codeSize);
    if (matrix_units.wrong)
        matrix_make_wrong(code, own.codeSize / 4);
    result = under_CreateShaderModule(d, &own, a, m);
    free(code);
    matrix_units.module = *m;
    return result;
}

/* Code for matrix units asks for full subgroups of a size, and a workgroup of four; other code for
 * none. Neither is wanted below. */
static inline bool matrix_asks_rightly(const VkPipelineShaderStageCreateInfo *stage)
{
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo *size = stage->pNext;
    const uint32_t *constants = stage->pSpecializationInfo->pData;

    if (stage->module != matrix_units.module || !stage->flags)
        return !stage->flags && !size;
    return stage->flags == VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT && size &&
           size->sType ==
               VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO &&
           constants[1] == 4 * size->requiredSubgroupSize;
}

static inline VkResult matrix_CreateComputePipelines(VkDevice d, VkPipelineCache c, uint32_t n,
                                                     const VkComputePipelineCreateInfo *i,
                                                     const VkAllocationCallbacks *a, VkPipeline *p)
{
    VkComputePipelineCreateInfo own = *i;
    VkResult result;

    if (!matrix_asks_rightly(&i->stage))
        return VK_ERROR_UNKNOWN;
    own.stage.flags = 0;
    own.stage.pNext = NULL;
    result = under_CreateComputePipelines(d, c, n, &own, a, p);
    if (!result && i->stage.flags && matrix_units.pipelines < 16)
        matrix_units.pipeline[matrix_units.pipelines++] = *p;
    return result;
}

static inline void matrix_CmdBindPipeline(VkCommandBuffer b, VkPipelineBindPoint at, VkPipeline p)
{
    for (int i = 0; i < matrix_units.pipelines; i++)
        matrix_units.binds += matrix_units.pipeline[i] == p;
    under_CmdBindPipeline(b, at, p);
}

/* ---------------------------------------------------------------- in between --------------- */

static inline PFN_vkVoidFunction matrix_instead(const char *name, PFN_vkVoidFunction real)
{
#define MATRIX_CATCH(caught)                                                                       \
    if (!strcmp(name, "vk" #caught)) {                                                             \
        under_##caught = (PFN_vk##caught)real;                                                     \
        return (PFN_vkVoidFunction)matrix_##caught;                                                \
    }
    MATRIX_CAUGHT(MATRIX_CATCH)
    return real;
}

static inline PFN_vkVoidFunction matrix_device_proc(VkDevice d, const char *name)
{
    return matrix_instead(name, matrix_units.real_device(d, name));
}

static inline PFN_vkVoidFunction matrix_proc(VkInstance i, const char *name)
{
    PFN_vkVoidFunction real = matrix_units.real(i, name);

    if (!strcmp(name, "vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR"))
        return (PFN_vkVoidFunction)matrix_properties;
    if (!strcmp(name, "vkGetDeviceProcAddr")) {
        matrix_units.real_device = (PFN_vkGetDeviceProcAddr)real;
        return (PFN_vkVoidFunction)matrix_device_proc;
    }
    return matrix_instead(name, real);
}

/* Over the loader's; without a loader NULL. */
static inline PFN_vkGetInstanceProcAddr matrix_driver(void)
{
    void *loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_NODELETE);

    memset(&matrix_units, 0, sizeof matrix_units);
    if (!loader)
        return NULL;
    *(void **)&matrix_units.real = dlsym(loader, "vkGetInstanceProcAddr");
    return matrix_proc;
}

#endif
