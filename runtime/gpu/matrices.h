/* SPDX-License-Identifier: MIT */
/* matrices.h - matrix units (VK_KHR_cooperative_matrix), as far as a product of many rows can use
 * them (shaders/linear_matrix.comp).
 *
 *   gpu_matrices m = matrices_offered(gpu, physical);
 *   if (m.subgroup)                                   // there are some: open the device with them
 *       next = matrices_ask(&m, &features, next), n += matrices_extensions(&m, names + n);
 */
#ifndef RUNTIME_GPU_MATRICES_H
#define RUNTIME_GPU_MATRICES_H

#include "runtime/base/dtype.h"
#include "runtime/gpu/vulkan.h"

enum { MATRIX_SUBGROUPS = 4, MATRIX_EXTENSIONS = 5 }; /* of a workgroup; most that they need */

/* Of one multiply-add. rows 0: none. */
typedef struct {
    uint32_t rows, outputs, inputs;
} gpu_shape;

typedef struct {
    gpu_shape shape[WEIGHT_DTYPES];
    uint32_t subgroup; /* invocations of one; 0: there are no matrix units */
} gpu_matrices;

typedef struct {
    VkPhysicalDeviceCooperativeMatrixFeaturesKHR matrix;
    VkPhysicalDeviceVulkanMemoryModelFeatures model;
    VkPhysicalDeviceShaderFloat16Int8Features bytes;
    VkPhysicalDeviceSubgroupSizeControlFeatures size;
    VkPhysicalDeviceShaderBfloat16FeaturesKHR halves;
} gpu_matrix_features;

struct gpu_device;

gpu_matrices matrices_offered(const struct gpu_device *gpu, VkPhysicalDevice physical);

/* The features that they need, in front of `next`, for a device to be opened with. */
void *matrices_ask(const gpu_matrices *matrices, gpu_matrix_features *features, void *next);

/* Names of extensions that they need; returns how many. */
uint32_t matrices_extensions(const gpu_matrices *matrices, const char **names);

#endif
