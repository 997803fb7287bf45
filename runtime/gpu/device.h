/* SPDX-License-Identifier: MIT */
/* device.h - one open device: its queue, memory, kernels.
 *
 *   gpu_device *gpu;
 *   gpu_open("gpu", NULL, &gpu, &err);
 *   gpu_buffer b;
 *   gpu_buffer_make(gpu, bytes, GPU_LOCAL, &b, &err);
 *   gpu_kernel_get(gpu, kernel, constants, &pipeline, &err);
 *   gpu_close(gpu);
 *
 * Every wait has an end: what takes longer than `timeout` counts as lost. */
#ifndef RUNTIME_GPU_DEVICE_H
#define RUNTIME_GPU_DEVICE_H

#include <pthread.h>

#include "runtime/gpu/gpu.h"
#include "runtime/gpu/kernels.h"
#include "runtime/gpu/matrices.h"

typedef struct {
    VkPipeline pipeline;
    VkPipelineLayout layout;
    VkDescriptorSetLayout set;
    gpu_kernel kernel;
    uint32_t constants[GPU_CONSTANTS];
    gpu_way way; /* with the code for that */
} gpu_pipeline;

typedef struct gpu_device {
    void *loader;
    gpu_functions vk;
    VkInstance instance;
    VkPhysicalDevice physical;
    VkDevice device;
    VkQueue queue;
    uint32_t family;
    VkPhysicalDeviceLimits limits;
    VkPhysicalDeviceMemoryProperties memory;
    size_t largest; /* bytes of one allocation */
    bool unified;   /* the processor's memory is the device's */
    bool software;
    size_t imports; /* takes the processor's memory as it is, in multiples of this; 0: does not */
    bool dots;      /* products of 4 bytes in one instruction */
    gpu_matrices offered;            /* matrix units: what there is, */
    gpu_shape matrix[WEIGHT_DTYPES]; /* and what of it proved right */
    char note[160];                  /* what of it did not, or "" */
    int owner;                       /* the process that opened it */
    bool stuck; /* it did not answer in time: what it may still use must stay */
    char name[256];
    uint64_t timeout;     /* nanoseconds */
    pthread_mutex_t lock; /* of the queue and the pipelines */
    char *cache_path;     /* or NULL */
    VkPipelineCache cache;
    size_t cache_loaded; /* bytes that the file had */
    gpu_pipeline pipeline[GPU_PIPELINES];
    int pipelines;
} gpu_device;

/* Opens the device that `wish` means. */
deer_status gpu_open(const char *wish, const char *cache, gpu_device **gpu, deer_error *err);

bool gpu_has_extension(const gpu_device *gpu, VkPhysicalDevice physical, const char *name);

/* For tests: a software driver is taken for a card. Weights go through staging, and it is given the
 * workgroups of a GPU. */
extern bool gpu_plays_card;

/* Frees it and everything on it but buffers and what others made. NULL: nothing. */
void gpu_close(gpu_device *gpu);

/* Whether this is another process than the one that opened it, which must leave it alone. */
bool gpu_is_foreign(gpu_device *gpu);

/* DEER_FAILED with what result means, while doing `what` ("waiting for the GPU"). */
deer_status gpu_fail(const gpu_device *gpu, VkResult result, const char *what, deer_error *err);

/* The pipeline of a kernel with these constants, compiled on first use. */
deer_status gpu_pipeline_get(gpu_device *gpu, gpu_kernel kernel, const uint32_t *constants,
                             const gpu_pipeline **pipeline, deer_error *err);

/* ---------------------------------------------------------------- memory ------------------- */

typedef enum {
    GPU_LOCAL, /* the device's; mapped where that is the processor's as well, and only there */
    GPU_HOST,  /* the processor's, which the device sees: mapped, coherent */
} gpu_place;

typedef struct {
    VkBuffer handle;
    VkDeviceMemory memory;
    size_t bytes;
    void *mapped; /* or NULL */
} gpu_buffer;

deer_status gpu_buffer_make(gpu_device *gpu, size_t bytes, gpu_place place, gpu_buffer *buffer,
                            deer_error *err);

/* The processor's memory as a buffer, where the device `imports`: both ends at multiples of that.
 * It stays the caller's, and must stay while the buffer does. */
deer_status gpu_buffer_import(gpu_device *gpu, void *memory, size_t bytes, gpu_buffer *buffer,
                              deer_error *err);
void gpu_buffer_free(gpu_device *gpu, gpu_buffer *buffer);

/* ---------------------------------------------------------------- the queue ---------------- */

/* A line of submissions: value n is reached when the n-th is done. */
typedef struct {
    VkSemaphore semaphore;
    uint64_t submitted, done; /* done: as far as anyone waited */
} gpu_line;

deer_status gpu_line_make(gpu_device *gpu, gpu_line *line, deer_error *err);
void gpu_line_free(gpu_device *gpu, gpu_line *line);

/* Command buffers, one after the other, as the next submission. */
deer_status gpu_submit(gpu_device *gpu, gpu_line *line, const VkCommandBuffer *commands, int count,
                       deer_error *err);

/* Until submission `value` is done. */
deer_status gpu_wait(gpu_device *gpu, gpu_line *line, uint64_t value, deer_error *err);

#endif
