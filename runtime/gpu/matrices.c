/* SPDX-License-Identifier: MIT */
/* matrices.c - which matrix units a device offers. */
#include "runtime/gpu/matrices.h"

#include "runtime/base/machine_failure.h"
#include "runtime/gpu/device.h"

enum { LIST = 64, STEP_BYTES = 64 }; /* bytes of inputs that the kernel has in shared memory */

/* ---------------------------------------------------------------- features ----------------- */

/* All of them, in front of `next`; bfloat16 only where it is known. */
static void *chain(gpu_matrix_features *f, bool halves, void *next)
{
    *f = (gpu_matrix_features){
        .matrix = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR,
                   .pNext = &f->model},
        .model = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_MEMORY_MODEL_FEATURES,
                  .pNext = &f->bytes},
        .bytes = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_FLOAT16_INT8_FEATURES,
                  .pNext = &f->size},
        .size = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES,
                 .pNext = halves ? &f->halves : next},
        .halves = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR,
                   .pNext = next}};
    return f;
}

void *matrices_ask(const gpu_matrices *m, gpu_matrix_features *f, void *next)
{
    bool halves = m->shape[WEIGHT_BF16].rows > 0;

    chain(f, halves, next);
    f->matrix.cooperativeMatrix = VK_TRUE;
    f->model.vulkanMemoryModel = VK_TRUE;
    f->bytes.shaderInt8 = m->shape[WEIGHT_Q8].rows > 0;
    f->size.subgroupSizeControl = f->size.computeFullSubgroups = VK_TRUE;
    f->halves.shaderBFloat16Type = f->halves.shaderBFloat16CooperativeMatrix = halves;
    return &f->matrix;
}

uint32_t matrices_extensions(const gpu_matrices *m, const char **names)
{
    uint32_t n = 0;

    names[n++] = VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME;
    names[n++] = VK_KHR_VULKAN_MEMORY_MODEL_EXTENSION_NAME;
    names[n++] = VK_KHR_SHADER_FLOAT16_INT8_EXTENSION_NAME;
    names[n++] = VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME;
    if (m->shape[WEIGHT_BF16].rows)
        names[n++] = VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME;
    return n;
}

/* For which types of weights the device has what it takes besides shapes. */
static void types_possible(const gpu_device *gpu, VkPhysicalDevice physical,
                           bool possible[WEIGHT_DTYPES])
{
    bool halves = gpu_has_extension(gpu, physical, VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME), all;
    gpu_matrix_features f;
    VkPhysicalDeviceFeatures2 features = {.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
                                          .pNext = chain(&f, halves, NULL)};

    gpu->vk.GetPhysicalDeviceFeatures2(physical, &features);
    all = f.matrix.cooperativeMatrix && f.model.vulkanMemoryModel && f.size.subgroupSizeControl &&
          f.size.computeFullSubgroups;
    possible[WEIGHT_F32] = false;
    possible[WEIGHT_BF16] =
        all && f.halves.shaderBFloat16Type && f.halves.shaderBFloat16CooperativeMatrix;
    possible[WEIGHT_Q8] = all && f.bytes.shaderInt8;
}

static bool has_extensions(const gpu_device *gpu, VkPhysicalDevice physical)
{
    const char *names[MATRIX_EXTENSIONS];
    uint32_t n = matrices_extensions(&(gpu_matrices){.subgroup = 0}, names);

    for (uint32_t i = 0; i < n; i++)
        if (!gpu_has_extension(gpu, physical, names[i]))
            return false;
    return gpu->vk.GetPhysicalDeviceCooperativeMatrixPropertiesKHR;
}

/* ---------------------------------------------------------------- shapes ------------------- */

/* Invocations of a subgroup, where a workgroup of four can be asked for; else 0. */
static uint32_t subgroup_of(const gpu_device *gpu, VkPhysicalDevice physical)
{
    VkPhysicalDeviceSubgroupSizeControlProperties size = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES};
    VkPhysicalDeviceSubgroupProperties subgroup = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_PROPERTIES, .pNext = &size};
    VkPhysicalDeviceProperties2 properties = {
        .sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &subgroup};
    uint32_t n;

    gpu->vk.GetPhysicalDeviceProperties2(physical, &properties);
    n = subgroup.subgroupSize;
    return size.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT && n >= 8 && n <= 64 &&
                   !(n & (n - 1)) && size.maxComputeWorkgroupSubgroups >= MATRIX_SUBGROUPS
               ? n
               : 0;
}

static bool divides(uint32_t side, uint32_t most)
{
    return side >= 8 && side <= most && !(side & (side - 1));
}

/* Bytes that are added up in integers, or bfloat16 in float32, by a subgroup, in a shape that fills
 * its 32 by 32 sums and the steps of inputs; rows of an operand are then multiples of 16 bytes. */
static bool suits(const VkCooperativeMatrixPropertiesKHR *p, weight_dtype type)
{
    bool q8 = type == WEIGHT_Q8;
    int64_t in = q8 ? VK_COMPONENT_TYPE_SINT8_KHR : VK_COMPONENT_TYPE_BFLOAT16_KHR;
    int64_t out = q8 ? VK_COMPONENT_TYPE_SINT32_KHR : VK_COMPONENT_TYPE_FLOAT32_KHR;
    uint32_t bytes = p->KSize * (q8 ? 1 : 2);

    return p->AType == in && p->BType == in && p->CType == out && p->ResultType == out &&
           !p->saturatingAccumulation && p->scope == VK_SCOPE_SUBGROUP_KHR &&
           divides(p->MSize, 32) && divides(p->NSize, 32) && divides(bytes, STEP_BYTES) &&
           bytes >= 16;
}

/* Of those that suit the first: devices begin with what they prefer. */
static gpu_shape shape_for(const VkCooperativeMatrixPropertiesKHR *list, uint32_t count,
                           weight_dtype type)
{
    for (uint32_t i = 0; i < count; i++)
        if (suits(&list[i], type))
            return (gpu_shape){list[i].MSize, list[i].NSize, list[i].KSize};
    return (gpu_shape){0};
}

gpu_matrices matrices_offered(const gpu_device *gpu, VkPhysicalDevice physical)
{
    VkCooperativeMatrixPropertiesKHR list[LIST] = {{0}};
    gpu_matrices m = {.subgroup = 0};
    bool possible[WEIGHT_DTYPES], any = false;
    uint32_t count = LIST;
    VkResult result;

    if (!has_extensions(gpu, physical))
        return m;
    for (int i = 0; i < LIST; i++)
        list[i].sType = VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR;
    types_possible(gpu, physical, possible);
    result = gpu->vk.GetPhysicalDeviceCooperativeMatrixPropertiesKHR(physical, &count, list);
    if (!machine_gave(result != VK_ERROR_OUT_OF_HOST_MEMORY) || result < 0)
        return m;
    for (int type = 0; type < WEIGHT_DTYPES; type++) {
        if (possible[type])
            m.shape[type] = shape_for(list, count, (weight_dtype)type);
        any = any || m.shape[type].rows;
    }
    m.subgroup = any ? subgroup_of(gpu, physical) : 0;
    return m.subgroup ? m : (gpu_matrices){.subgroup = 0};
}
