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

static bool on_matrices(gpu_way way)
{
    return way == GPU_MATRIX_BF16 || way == GPU_MATRIX_Q8;
}

static VkResult make_module(gpu_device *gpu, const gpu_code *from, VkShaderModule *module)
{
    const VkShaderModuleCreateInfo code = {.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
                                           .codeSize = *from->bytes,
                                           .pCode = from->words};

    return gpu->vk.CreateShaderModule(gpu->device, &code, NULL, module);
}

/* Matrix units take whole subgroups, four to a workgroup. */
static VkResult compile(gpu_device *gpu, const gpu_kernel_form *form, gpu_pipeline *p)
{
    VkSpecializationMapEntry entry[GPU_CONSTANTS];
    const VkSpecializationInfo constants = {on_matrices(p->way) ? GPU_CONSTANTS
                                                                : (uint32_t)form->constants,
                                            entry, sizeof p->constants, p->constants};
    const VkPipelineShaderStageRequiredSubgroupSizeCreateInfo subgroups = {
        .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_REQUIRED_SUBGROUP_SIZE_CREATE_INFO,
        .requiredSubgroupSize = gpu->offered.subgroup};
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
    if (on_matrices(p->way)) {
        info.stage.flags = VK_PIPELINE_SHADER_STAGE_CREATE_REQUIRE_FULL_SUBGROUPS_BIT;
        info.stage.pNext = &subgroups;
    }
    result = make_module(gpu, &form->code[p->way], &info.stage.module);
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

/* How the device makes a product of this type best, and right; other kernels have one way. */
static gpu_way way_of(const gpu_device *gpu, const gpu_kernel_form *form, uint32_t type)
{
    gpu_way units = type == WEIGHT_Q8 ? GPU_MATRIX_Q8 : GPU_MATRIX_BF16;

    if (form->code[units].words && gpu->matrix[type].rows)
        return units;
    return form->code[GPU_DOTS].words && type == WEIGHT_Q8 && gpu->dots ? GPU_DOTS : GPU_PLAIN;
}

static void set_constants(const gpu_device *gpu, const gpu_kernel_form *form,
                          const uint32_t *constants, gpu_pipeline *p)
{
    gpu_shape shape;

    memcpy(p->constants, constants, (size_t)form->constants * sizeof *constants);
    p->way = way_of(gpu, form, constants[0]);
    if (!on_matrices(p->way))
        return;
    shape = gpu->matrix[constants[0]];
    p->constants[1] = MATRIX_SUBGROUPS * gpu->offered.subgroup;
    p->constants[2] = shape.rows;
    p->constants[3] = shape.outputs;
    p->constants[4] = shape.inputs;
}

static deer_status find_or_make(gpu_device *gpu, gpu_kernel kernel, const uint32_t *constants,
                                const gpu_pipeline **pipeline, deer_error *err)
{
    const gpu_kernel_form *form = &gpu_kernels[kernel];
    gpu_pipeline made = {.kernel = kernel};
    VkResult result;
    char what[64];

    set_constants(gpu, form, constants, &made);
    for (int i = 0; i < gpu->pipelines; i++) {
        *pipeline = &gpu->pipeline[i];
        if ((*pipeline)->kernel == kernel && (*pipeline)->way == made.way &&
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
