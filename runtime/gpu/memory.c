/* SPDX-License-Identifier: MIT */
/* memory.c - buffers, submissions and waits. */
#include <stdio.h>
#include <string.h>

#include "runtime/gpu/device.h"

/* ---------------------------------------------------------------- buffers ------------------ */

static bool memory_type(const gpu_device *gpu, uint32_t allowed, VkMemoryPropertyFlags wanted,
                        uint32_t *type)
{
    for (*type = 0; *type < gpu->memory.memoryTypeCount; ++*type)
        if (allowed >> *type & 1 &&
            (gpu->memory.memoryTypes[*type].propertyFlags & wanted) == wanted)
            return true;
    return false;
}

/* The first of these wishes that the device has. */
static bool type_for(const gpu_device *gpu, uint32_t allowed, gpu_place place, uint32_t *type)
{
    enum {
        LOCAL = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT,
        SEEN = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
        CACHED = VK_MEMORY_PROPERTY_HOST_CACHED_BIT
    };

    if (place == GPU_HOST)
        return memory_type(gpu, allowed, SEEN | CACHED, type) ||
               memory_type(gpu, allowed, SEEN, type);
    return (gpu->unified && memory_type(gpu, allowed, LOCAL | SEEN, type)) ||
           memory_type(gpu, allowed, LOCAL, type) || memory_type(gpu, allowed, 0, type);
}

static VkResult allocate(gpu_device *gpu, gpu_place place, gpu_buffer *b)
{
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO};
    VkMemoryRequirements needs;
    VkResult result;

    gpu->vk.GetBufferMemoryRequirements(gpu->device, b->handle, &needs);
    info.allocationSize = needs.size;
    if (needs.size > gpu->largest ||
        !type_for(gpu, needs.memoryTypeBits, place, &info.memoryTypeIndex))
        return VK_ERROR_OUT_OF_DEVICE_MEMORY;
    result = gpu->vk.AllocateMemory(gpu->device, &info, NULL, &b->memory);
    if (!result)
        result = gpu->vk.BindBufferMemory(gpu->device, b->handle, b->memory, 0);
    if (!result && (place == GPU_HOST || gpu->unified) &&
        gpu->memory.memoryTypes[info.memoryTypeIndex].propertyFlags &
            VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT)
        result = gpu->vk.MapMemory(gpu->device, b->memory, 0, VK_WHOLE_SIZE, 0, &b->mapped);
    return result;
}

/* The buffer alone, without memory. */
static VkResult make_buffer(gpu_device *gpu, const void *more, gpu_buffer *b)
{
    const VkBufferCreateInfo info = {.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
                                     .pNext = more,
                                     .size = b->bytes,
                                     .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
                                              VK_BUFFER_USAGE_TRANSFER_SRC_BIT |
                                              VK_BUFFER_USAGE_TRANSFER_DST_BIT};

    return gpu->vk.CreateBuffer(gpu->device, &info, NULL, &b->handle);
}

deer_status gpu_buffer_make(gpu_device *gpu, size_t bytes, gpu_place place, gpu_buffer *b,
                            deer_error *err)
{
    char what[64];
    VkResult result;

    *b = (gpu_buffer){.bytes = bytes};
    result = make_buffer(gpu, NULL, b);
    if (!result)
        result = allocate(gpu, place, b);
    if (!result)
        return DEER_OK;
    gpu_buffer_free(gpu, b);
    snprintf(what, sizeof what, "memory for %zu MB", (bytes + (1 << 20) - 1) >> 20);
    return gpu_fail(gpu, result, what, err);
}

static VkResult import(gpu_device *gpu, void *memory, gpu_buffer *b)
{
    const VkExternalMemoryHandleTypeFlagBits kind =
        VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
    const VkExternalMemoryBufferCreateInfo external = {
        .sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO, .handleTypes = kind};
    const VkImportMemoryHostPointerInfoEXT from = {
        .sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
        .handleType = kind,
        .pHostPointer = memory};
    VkMemoryAllocateInfo info = {.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
                                 .pNext = &from,
                                 .allocationSize = b->bytes};
    VkMemoryHostPointerPropertiesEXT fits = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT};
    VkMemoryRequirements needs;
    VkResult result = make_buffer(gpu, &external, b);

    if (!result)
        result = gpu->vk.GetMemoryHostPointerPropertiesEXT(gpu->device, kind, memory, &fits);
    if (result)
        return result;
    gpu->vk.GetBufferMemoryRequirements(gpu->device, b->handle, &needs);
    if (needs.size > b->bytes || b->bytes > gpu->largest ||
        !memory_type(gpu, needs.memoryTypeBits & fits.memoryTypeBits,
                     VK_MEMORY_PROPERTY_HOST_COHERENT_BIT, &info.memoryTypeIndex))
        return VK_ERROR_INVALID_EXTERNAL_HANDLE;
    result = gpu->vk.AllocateMemory(gpu->device, &info, NULL, &b->memory);
    return result ? result : gpu->vk.BindBufferMemory(gpu->device, b->handle, b->memory, 0);
}

deer_status gpu_buffer_import(gpu_device *gpu, void *memory, size_t bytes, gpu_buffer *b,
                              deer_error *err)
{
    VkResult result;

    *b = (gpu_buffer){.bytes = bytes};
    result = import(gpu, memory, b);
    if (!result)
        return DEER_OK;
    gpu_buffer_free(gpu, b);
    return gpu_fail(gpu, result, "taking memory as it is", err);
}

void gpu_buffer_free(gpu_device *gpu, gpu_buffer *b)
{
    if (b->handle)
        gpu->vk.DestroyBuffer(gpu->device, b->handle, NULL);
    if (b->memory)
        gpu->vk.FreeMemory(gpu->device, b->memory, NULL);
    memset(b, 0, sizeof *b);
}

/* ---------------------------------------------------------------- the queue ---------------- */

deer_status gpu_line_make(gpu_device *gpu, gpu_line *line, deer_error *err)
{
    const VkSemaphoreTypeCreateInfo timeline = {.sType =
                                                    VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
                                                .semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE};
    const VkSemaphoreCreateInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
                                        .pNext = &timeline};
    VkResult result;

    *line = (gpu_line){0};
    result = gpu->vk.CreateSemaphore(gpu->device, &info, NULL, &line->semaphore);
    return result ? gpu_fail(gpu, result, "making a semaphore", err) : DEER_OK;
}

void gpu_line_free(gpu_device *gpu, gpu_line *line)
{
    if (line->semaphore)
        gpu->vk.DestroySemaphore(gpu->device, line->semaphore, NULL);
    line->semaphore = VK_NULL_HANDLE;
}

deer_status gpu_submit(gpu_device *gpu, gpu_line *line, const VkCommandBuffer *commands, int count,
                       deer_error *err)
{
    uint64_t value = line->submitted + 1;
    const VkTimelineSemaphoreSubmitInfo timeline = {
        .sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
        .signalSemaphoreValueCount = 1,
        .pSignalSemaphoreValues = &value};
    const VkSubmitInfo info = {.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
                               .pNext = &timeline,
                               .commandBufferCount = (uint32_t)count,
                               .pCommandBuffers = commands,
                               .signalSemaphoreCount = 1,
                               .pSignalSemaphores = &line->semaphore};
    VkResult result;

    if (gpu_is_foreign(gpu))
        return deer_fail(err, "%s was opened by another process: open the model in this one",
                         gpu->name);
    pthread_mutex_lock(&gpu->lock);
    result = gpu->vk.QueueSubmit(gpu->queue, 1, &info, VK_NULL_HANDLE);
    pthread_mutex_unlock(&gpu->lock);
    if (result)
        return gpu_fail(gpu, result, "handing work over", err);
    line->submitted = value;
    return DEER_OK;
}

deer_status gpu_wait(gpu_device *gpu, gpu_line *line, uint64_t value, deer_error *err)
{
    const VkSemaphoreWaitInfo info = {.sType = VK_STRUCTURE_TYPE_SEMAPHORE_WAIT_INFO,
                                      .semaphoreCount = 1,
                                      .pSemaphores = &line->semaphore,
                                      .pValues = &value};
    VkResult result;

    if (value <= line->done)
        return DEER_OK;
    if (gpu_is_foreign(gpu) || gpu->stuck)
        return gpu_fail(gpu, VK_TIMEOUT, "waiting for it", err);
    result = gpu->vk.WaitSemaphores(gpu->device, &info, gpu->timeout);
    gpu->stuck = result == VK_TIMEOUT;
    if (result)
        return gpu_fail(gpu, result, "waiting for it", err);
    line->done = value;
    return DEER_OK;
}
