/* SPDX-License-Identifier: MIT */
/* vulkan.h - the functions of Vulkan that deer uses, by name from the loader: nothing is linked.
 *
 *   gpu_functions vk;
 *   vk.CreateBuffer(device, &info, NULL, &buffer);
 */
#ifndef RUNTIME_GPU_VULKAN_H
#define RUNTIME_GPU_VULKAN_H

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

/* What Debian 12's headers do not have yet: VK_KHR_cooperative_matrix and VK_KHR_shader_bfloat16.
 */
#ifndef VK_KHR_cooperative_matrix
#define VK_KHR_COOPERATIVE_MATRIX_EXTENSION_NAME "VK_KHR_cooperative_matrix"
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_KHR                          \
    ((VkStructureType)1000506000)
#define VK_STRUCTURE_TYPE_COOPERATIVE_MATRIX_PROPERTIES_KHR ((VkStructureType)1000506001)
#define VK_COMPONENT_TYPE_FLOAT32_KHR 1
#define VK_COMPONENT_TYPE_SINT8_KHR 3
#define VK_COMPONENT_TYPE_SINT32_KHR 5
#define VK_SCOPE_SUBGROUP_KHR 3
typedef struct {
    VkStructureType sType;
    void *pNext;
    VkBool32 cooperativeMatrix, cooperativeMatrixRobustBufferAccess;
} VkPhysicalDeviceCooperativeMatrixFeaturesKHR;
typedef struct {
    VkStructureType sType;
    void *pNext;
    uint32_t MSize, NSize, KSize;
    int32_t AType, BType, CType, ResultType;
    VkBool32 saturatingAccumulation;
    int32_t scope;
} VkCooperativeMatrixPropertiesKHR;
typedef VkResult(VKAPI_PTR *PFN_vkGetPhysicalDeviceCooperativeMatrixPropertiesKHR)(
    VkPhysicalDevice, uint32_t *, VkCooperativeMatrixPropertiesKHR *);
#endif
#ifndef VK_KHR_shader_bfloat16
#define VK_KHR_SHADER_BFLOAT16_EXTENSION_NAME "VK_KHR_shader_bfloat16"
#define VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_BFLOAT16_FEATURES_KHR ((VkStructureType)1000141000)
#define VK_COMPONENT_TYPE_BFLOAT16_KHR 1000141000
typedef struct {
    VkStructureType sType;
    void *pNext;
    VkBool32 shaderBFloat16Type, shaderBFloat16DotProduct, shaderBFloat16CooperativeMatrix;
} VkPhysicalDeviceShaderBfloat16FeaturesKHR;
#endif

#define GPU_INSTANCE_FUNCTIONS(X)                                                                  \
    X(DestroyInstance)                                                                             \
    X(EnumeratePhysicalDevices)                                                                    \
    X(GetPhysicalDeviceProperties2)                                                                \
    X(GetPhysicalDeviceFeatures2)                                                                  \
    X(GetPhysicalDeviceMemoryProperties)                                                           \
    X(GetPhysicalDeviceQueueFamilyProperties)                                                      \
    X(EnumerateDeviceExtensionProperties)                                                          \
    X(CreateDevice)                                                                                \
    X(GetDeviceProcAddr)

#define GPU_DEVICE_FUNCTIONS(X)                                                                    \
    X(DestroyDevice)                                                                               \
    X(GetDeviceQueue)                                                                              \
    X(CreateBuffer)                                                                                \
    X(DestroyBuffer)                                                                               \
    X(GetBufferMemoryRequirements)                                                                 \
    X(AllocateMemory)                                                                              \
    X(FreeMemory)                                                                                  \
    X(BindBufferMemory)                                                                            \
    X(MapMemory)                                                                                   \
    X(CreateShaderModule)                                                                          \
    X(DestroyShaderModule)                                                                         \
    X(CreateDescriptorSetLayout)                                                                   \
    X(DestroyDescriptorSetLayout)                                                                  \
    X(CreatePipelineLayout)                                                                        \
    X(DestroyPipelineLayout)                                                                       \
    X(CreateComputePipelines)                                                                      \
    X(DestroyPipeline)                                                                             \
    X(CreatePipelineCache)                                                                         \
    X(DestroyPipelineCache)                                                                        \
    X(GetPipelineCacheData)                                                                        \
    X(CreateDescriptorPool)                                                                        \
    X(DestroyDescriptorPool)                                                                       \
    X(AllocateDescriptorSets)                                                                      \
    X(UpdateDescriptorSets)                                                                        \
    X(CreateCommandPool)                                                                           \
    X(DestroyCommandPool)                                                                          \
    X(AllocateCommandBuffers)                                                                      \
    X(BeginCommandBuffer)                                                                          \
    X(EndCommandBuffer)                                                                            \
    X(CmdBindPipeline)                                                                             \
    X(CmdBindDescriptorSets)                                                                       \
    X(CmdPushConstants)                                                                            \
    X(CmdDispatch)                                                                                 \
    X(CmdPipelineBarrier)                                                                          \
    X(CmdCopyBuffer)                                                                               \
    X(CmdFillBuffer)                                                                               \
    X(CreateSemaphore)                                                                             \
    X(DestroySemaphore)                                                                            \
    X(QueueSubmit)

/* Core in Vulkan 1.2, an extension before. */
#define GPU_TIMELINE_FUNCTIONS(X) X(WaitSemaphores)

/* NULL where the device, or no device, offers them. */
#define GPU_OFFERED_FUNCTIONS(X) X(GetMemoryHostPointerPropertiesEXT)
#define GPU_OFFERED_INSTANCE_FUNCTIONS(X) X(GetPhysicalDeviceCooperativeMatrixPropertiesKHR)

#define GPU_MEMBER(name) PFN_vk##name name;
typedef struct {
    GPU_INSTANCE_FUNCTIONS(GPU_MEMBER)
    GPU_OFFERED_INSTANCE_FUNCTIONS(GPU_MEMBER)
    GPU_DEVICE_FUNCTIONS(GPU_MEMBER)
    GPU_TIMELINE_FUNCTIONS(GPU_MEMBER)
    GPU_OFFERED_FUNCTIONS(GPU_MEMBER)
} gpu_functions;
#undef GPU_MEMBER

/* Where functions come from instead of libvulkan.so.1: tests have drivers of their own. NULL: the
 * loader. Not while a device is open. */
extern PFN_vkGetInstanceProcAddr gpu_driver_of_tests;

#endif
