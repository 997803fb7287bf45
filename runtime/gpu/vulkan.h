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

/* NULL where the device does not offer them. */
#define GPU_OFFERED_FUNCTIONS(X) X(GetMemoryHostPointerPropertiesEXT)

#define GPU_MEMBER(name) PFN_vk##name name;
typedef struct {
    GPU_INSTANCE_FUNCTIONS(GPU_MEMBER)
    GPU_DEVICE_FUNCTIONS(GPU_MEMBER)
    GPU_TIMELINE_FUNCTIONS(GPU_MEMBER)
    GPU_OFFERED_FUNCTIONS(GPU_MEMBER)
} gpu_functions;
#undef GPU_MEMBER

/* Where functions come from instead of libvulkan.so.1: tests have drivers of their own. NULL: the
 * loader. Not while a device is open. */
extern PFN_vkGetInstanceProcAddr gpu_driver_of_tests;

#endif
