/* SPDX-License-Identifier: MIT */
/* pipelines.c - kernels compiled for the device, each with its constants, once. */
#include <stdio.h>
#include <string.h>

#include "runtime/gpu/device.h"

enum { BINDINGS = GPU_VIEWS + 1 };

static VkResult make_layout(gpu_device *gpu, const gpu_kernel_form *form, gpu_pipeline *p)
{
    VkDescriptorSetLayoutBinding binding[BINDINGS];
    const VkDescriptorSetLayoutCreateInfo set = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
        .bindingCount = (uint32_t)form->views + 1,
        .pBindings = binding};
    const VkPushConstantRange range = {VK_SHADER_STAGE_COMPUTE_BIT, 0, 4 * (uint32_t)form->push};
    const VkPipelineLayoutCreateInfo layout = {.sType =
                                                   VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
                                               .setLayoutCount = 1,
                                               .pSetLayouts = &p->set,
                                               .pushConstantRangeCount = 1,
                                               .pPushConstantRanges = &range};
    VkResult result;

    for (uint32_t i = 0; i < BINDINGS; i++)
        binding[i] = (VkDescriptorSetLayoutBinding){i, VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 1,
                                                    VK_SHADER_STAGE_COMPUTE_BIT, NULL};
    result = gpu->vk.CreateDescriptorSetLayout(gpu->device, &set, NULL, &p->set);
    return result ? result : gpu->vk.CreatePipelineLayout(gpu->device, &layout, NULL, &p->layout);
}

static VkResult compile(gpu_device *gpu, const gpu_kernel_form *form, gpu_pipeline *p)
{
    VkSpecializationMapEntry entry[GPU_CONSTANTS];
    const VkSpecializationInfo constants = {(uint32_t)form->constants, entry, sizeof p->constants,
                                            p->constants};
    const VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                           .codeSize = p->dots ? *form->bytes_dots : *form->bytes,
                                           .pCode = p->dots ? form->code_dots : form->code};
    VkComputePipelineCreateInfo info = {
        .sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
        .stage = {.sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
                  .stage = VK_SHADER_STAGE_COMPUTE_BIT,
                  .pName = "main",
                  .pSpecializationInfo = &constants},
        .layout = p->layout};
    VkResult result;

    for (uint32_t i = 0; i < GPU_CONSTANTS; i++)
        entry[i] = (VkSpecializationMapEntry){i, i * 4, 4};
    result = gpu->vk.CreateShaderModule(gpu->device, &code, NULL, &info.stage.module);
    if (result)
        return result;
    result = gpu->vk.CreateComputePipelines(gpu->device, gpu->cache, 1, &info, NULL, &p->pipeline);
    gpu->vk.DestroyShaderModule(gpu->device, info.stage.module, NULL);
    return result;
}

static void take_back(gpu_device *gpu, gpu_pipeline *p)
{
    if (p->layout)
        gpu->vk.DestroyPipelineLayout(gpu->device, p->layout, NULL);
    if (p->set)
        gpu->vk.DestroyDescriptorSetLayout(gpu->device, p->set, NULL);
}

static deer_status find_or_make(gpu_device *gpu, gpu_kernel kernel, const uint32_t *constants,
                                const gpu_pipeline **pipeline, deer_error *err)
{
    const gpu_kernel_form *form = &gpu_kernels[kernel];
    gpu_pipeline made = {.kernel = kernel};
    VkResult result;
    char what[64];

    memcpy(made.constants, constants, (size_t)form->constants * sizeof *constants);
    made.dots = gpu->dots && form->code_dots && constants[0] == WEIGHT_Q8;
    for (int i = 0; i < gpu->pipelines; i++) {
        *pipeline = &gpu->pipeline[i];
        if ((*pipeline)->kernel == kernel && (*pipeline)->dots == made.dots &&
            !memcmp((*pipeline)->constants, made.constants, sizeof made.constants))
            return DEER_OK;
    }
    if (gpu->pipelines == GPU_PIPELINES)
        return deer_fail(err, "%s: more than %d kernels are needed", gpu->name, GPU_PIPELINES);
    result = make_layout(gpu, form, &made);
    if (!result)
        result = compile(gpu, form, &made);
    if (result) {
        take_back(gpu, &made);
        snprintf(what, sizeof what, "compiling the kernel %s", form->name);
        return gpu_fail(gpu, result, what, err);
    }
    gpu->pipeline[gpu->pipelines] = made;
    *pipeline = &gpu->pipeline[gpu->pipelines++];
    return DEER_OK;
}

deer_status gpu_pipeline_get(gpu_device *gpu, gpu_kernel kernel, const uint32_t *constants,
                             const gpu_pipeline **pipeline, deer_error *err)
{
    deer_status status;

    pthread_mutex_lock(&gpu->lock);
    status = find_or_make(gpu, kernel, constants, pipeline, err);
    pthread_mutex_unlock(&gpu->lock);
    return status;
}
