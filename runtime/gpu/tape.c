/* SPDX-License-Identifier: MIT */
/* tape.c - a program recorded. */
#include "runtime/gpu/tape.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/machine_failure.h"

enum { ALIGNED = 256, BINDINGS = GPU_VIEWS + 1 };

int tape_skip_barrier = -1;

/* ---------------------------------------------------------------- memory ------------------- */

static bool is_host(int slice)
{
    return slice >= SLICES_LOCAL;
}

static deer_status make_memory(gpu_tape *t, deer_error *err)
{
    gpu_device *gpu = t->home->gpu;
    size_t total[2] = {0, 0};

    for (int i = 0; i < SLICES; i++) {
        size_t bytes = t->program.size[i] * 4, *end = &total[is_host(i)];
        if (bytes > gpu->limits.maxStorageBufferRange)
            return deer_fail(err,
                             "%s: a step of %s needs %zu MB in one piece, and the device binds %u "
                             "MB; use fewer observations at a time",
                             gpu->name, t->program.model->config.name, bytes >> 20,
                             gpu->limits.maxStorageBufferRange >> 20);
        t->at[i] = *end;
        *end += (bytes + ALIGNED - 1) / ALIGNED * ALIGNED;
    }
    if (gpu_buffer_make(gpu, total[0], GPU_LOCAL, &t->local, err) ||
        gpu_buffer_make(gpu, total[1], GPU_HOST, &t->host, err))
        return DEER_FAILED;
    memset(t->host.mapped, 0, t->host.bytes);
    return DEER_OK;
}

void *tape_words(const gpu_tape *t, gpu_slice slice)
{
    return (char *)t->host.mapped + t->at[slice];
}

size_t tape_bytes(const gpu_tape *t)
{
    return t->local.bytes + t->host.bytes;
}

/* ---------------------------------------------------------------- views -------------------- */

/* Where a view lies; late: how many 64 bytes behind what could be bound. */
static VkDescriptorBufferInfo place(const gpu_tape *t, const gpu_view *v, uint32_t *late)
{
    size_t step = t->home->gpu->limits.minStorageBufferOffsetAlignment, at, over;
    const gpu_buffer *in = is_host(v->slice) ? &t->host : &t->local;

    at = t->at[v->slice] + v->offset * 4;
    for (int i = 0; v->weight && i < t->home->stretches; i++) {
        const gpu_stretch *s = &t->home->stretch[i];
        const char *weight = v->weight;
        if (weight >= s->begin && weight < s->begin + s->bytes) {
            in = &s->buffer;
            at = (size_t)(weight - s->begin);
        }
    }
    over = at % (step ? step : 1);
    *late = (uint32_t)(over / 64);
    return (VkDescriptorBufferInfo){in->handle, at - over, v->words * 4 + over};
}

static deer_status bind(gpu_tape *t, VkCommandBuffer to, const gpu_dispatch *d,
                        const gpu_pipeline *p, deer_error *err)
{
    gpu_device *gpu = t->home->gpu;
    const gpu_kernel_form *form = &gpu_kernels[d->kernel];
    const gpu_view orders = {.slice = SLICE_LIVE, .words = t->program.size[SLICE_LIVE]};
    const VkDescriptorSetAllocateInfo allocate = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
        .descriptorPool = t->descriptors,
        .descriptorSetCount = 1,
        .pSetLayouts = &p->set};
    VkDescriptorBufferInfo part[BINDINGS];
    VkWriteDescriptorSet write = {.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
                                  .descriptorCount = (uint32_t)form->views + 1,
                                  .descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
                                  .pBufferInfo = part};
    uint32_t push[GPU_PUSH], rest = 0, late;
    VkResult result;

    memcpy(push, d->push, sizeof push);
    part[0] = place(t, &orders, &late);
    for (int i = 0; i < form->views; i++) {
        part[i + 1] = place(t, &d->view[i], &late);
        if (form->weights && i >= form->weights)
            rest |= late << 8 * (i - form->weights);
        if (part[i + 1].range > gpu->limits.maxStorageBufferRange)
            return deer_fail(err, "%s: a matrix of %zu MB is larger than the device binds",
                             gpu->name, (size_t)part[i + 1].range >> 20);
    }
    if (form->weights)
        push[form->push - 1] = rest;
    result = gpu->vk.AllocateDescriptorSets(gpu->device, &allocate, &write.dstSet);
    if (result)
        return gpu_fail(gpu, result, "making room for views", err);
    gpu->vk.UpdateDescriptorSets(gpu->device, 1, &write, 0, NULL);
    gpu->vk.CmdBindPipeline(to, VK_PIPELINE_BIND_POINT_COMPUTE, p->pipeline);
    gpu->vk.CmdBindDescriptorSets(to, VK_PIPELINE_BIND_POINT_COMPUTE, p->layout, 0, 1,
                                  &write.dstSet, 0, NULL);
    gpu->vk.CmdPushConstants(to, p->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
                             4 * (uint32_t)form->push, push);
    return DEER_OK;
}

/* ---------------------------------------------------------------- recording ---------------- */

/* What was written before is seen by what follows, and what was read before may be written. */
static void barrier(const gpu_tape *t, VkCommandBuffer to)
{
    const VkPipelineStageFlags stages =
        VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT;
    const VkMemoryBarrier all = {
        .sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
        .srcAccessMask = VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
        .dstAccessMask = VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT |
                         VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT};

    if (tape_skip_barrier >= 0 && tape_skip_barrier-- == 0)
        return;
    t->home->gpu->vk.CmdPipelineBarrier(to, stages, stages, 0, 1, &all, 0, NULL, 0, NULL);
}

/* The processor sees what was written once the submission is done. */
static void show(const gpu_tape *t, VkCommandBuffer to)
{
    const VkMemoryBarrier all = {.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
                                 .srcAccessMask =
                                     VK_ACCESS_SHADER_WRITE_BIT | VK_ACCESS_TRANSFER_WRITE_BIT,
                                 .dstAccessMask = VK_ACCESS_HOST_READ_BIT};

    t->home->gpu->vk.CmdPipelineBarrier(
        to, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT | VK_PIPELINE_STAGE_TRANSFER_BIT,
        VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &all, 0, NULL, 0, NULL);
}

/* Of a slice; copies need no alignment. */
static VkBuffer buffer_of(const gpu_tape *t, const gpu_view *v, size_t *at)
{
    *at = t->at[v->slice] + v->offset * 4;
    return is_host(v->slice) ? t->host.handle : t->local.handle;
}

static void record_transfer(const gpu_tape *t, VkCommandBuffer to, const gpu_dispatch *d)
{
    gpu_device *gpu = t->home->gpu;
    size_t target_at, source_at, bytes = d->view[0].words * 4;
    VkBuffer target = buffer_of(t, &d->view[0], &target_at);
    VkBuffer source = buffer_of(t, &d->view[1], &source_at);

    if (d->kernel == GPU_ZERO)
        gpu->vk.CmdFillBuffer(to, target, target_at, bytes, d->push[0]);
    else
        gpu->vk.CmdCopyBuffer(to, source, target, 1, &(VkBufferCopy){source_at, target_at, bytes});
}

static deer_status record_one(gpu_tape *t, VkCommandBuffer to, const gpu_dispatch *d,
                              deer_error *err)
{
    gpu_device *gpu = t->home->gpu;
    const gpu_pipeline *pipeline;

    if (d->barrier)
        barrier(t, to);
    if (d->kernel >= GPU_KERNELS) {
        record_transfer(t, to, d);
        return DEER_OK;
    }
    if (gpu_pipeline_get(gpu, d->kernel, d->constants, &pipeline, err) ||
        bind(t, to, d, pipeline, err))
        return DEER_FAILED;
    gpu->vk.CmdDispatch(to, d->groups[0], d->groups[1], d->groups[2]);
    return DEER_OK;
}

static deer_status record_units(gpu_tape *t, VkCommandBuffer to, const int *units, int count,
                                deer_error *err)
{
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    gpu_device *gpu = t->home->gpu;
    deer_status status = DEER_OK;
    VkResult result = gpu->vk.BeginCommandBuffer(to, &begin);

    for (int u = 0; !result && u < count; u++)
        for (int i = t->program.unit[units[u]].first; !status && i < t->program.unit[units[u]].end;
             i++)
            status = record_one(t, to, &t->program.list[i], err);
    if (status)
        return status;
    if (!result) {
        show(t, to);
        result = gpu->vk.EndCommandBuffer(to);
    }
    return result ? gpu_fail(gpu, result, "recording", err) : DEER_OK;
}

static VkResult make_pools(gpu_tape *t, uint32_t sets, VkCommandBuffer *buffers, uint32_t count)
{
    gpu_device *gpu = t->home->gpu;
    const VkDescriptorPoolSize size = {VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, sets * BINDINGS};
    const VkDescriptorPoolCreateInfo descriptors = {
        .sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
        .maxSets = sets,
        .poolSizeCount = 1,
        .pPoolSizes = &size};
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .queueFamilyIndex = gpu->family};
    VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = count};
    VkResult result =
        gpu->vk.CreateDescriptorPool(gpu->device, &descriptors, NULL, &t->descriptors);

    if (!result)
        result = gpu->vk.CreateCommandPool(gpu->device, &pool, NULL, &t->pool);
    commands.commandPool = t->pool;
    return result ? result : gpu->vk.AllocateCommandBuffers(gpu->device, &commands, buffers);
}

static void free_pools(gpu_tape *t)
{
    gpu_device *gpu = t->home->gpu;

    if (t->pool)
        gpu->vk.DestroyCommandPool(gpu->device, t->pool, NULL);
    if (t->descriptors)
        gpu->vk.DestroyDescriptorPool(gpu->device, t->descriptors, NULL);
}

static deer_status record_all(gpu_tape *t, deer_error *err)
{
    int units = t->program.units;
    deer_status status = DEER_OK;
    VkResult result;

    t->unit = calloc((size_t)units, sizeof *t->unit);
    t->batch = calloc((size_t)units, sizeof *t->batch);
    t->submitted = calloc((size_t)units, sizeof *t->submitted);
    if (!t->unit || !t->batch || !t->submitted)
        return machine_fail(err, "out of memory for a session on %s", t->home->gpu->name);
    result = make_pools(t, (uint32_t)t->program.count, t->unit, (uint32_t)units);
    if (result)
        return gpu_fail(t->home->gpu, result, "making room for commands", err);
    for (int u = 0; !status && u < units; u++)
        status = record_units(t, t->unit[u], &u, 1, err);
    return status;
}

/* ---------------------------------------------------------------- running ------------------ */

deer_status tape_run(gpu_tape *t, const int *units, int count, deer_error *err)
{
    for (int i = 0; i < count; i++) {
        if (tape_wait_for(t, units[i], err)) /* a command buffer runs once at a time */
            return DEER_FAILED;
        t->batch[i] = t->unit[units[i]];
    }
    if (gpu_submit(t->home->gpu, &t->line, t->batch, count, err))
        return DEER_FAILED;
    for (int i = 0; i < count; i++)
        t->submitted[units[i]] = t->line.submitted;
    return DEER_OK;
}

deer_status tape_wait(gpu_tape *t, deer_error *err)
{
    return gpu_wait(t->home->gpu, &t->line, t->line.submitted, err);
}

deer_status tape_wait_for(gpu_tape *t, int unit, deer_error *err)
{
    return gpu_wait(t->home->gpu, &t->line, t->submitted[unit], err);
}

int tape_rehearse(gpu_tape *t, const int *units, int count)
{
    gpu_tape own = *t;
    uint32_t sets = 0;
    int barriers = 0;
    VkCommandBuffer commands;

    for (int u = 0; u < count; u++)
        for (int i = t->program.unit[units[u]].first; i < t->program.unit[units[u]].end;
             i++, sets++)
            barriers += t->program.list[i].barrier;
    own.pool = VK_NULL_HANDLE;
    own.descriptors = VK_NULL_HANDLE;
    if (!tape_wait(t, NULL) && !make_pools(&own, sets, &commands, 1) &&
        !record_units(&own, commands, units, count, NULL) &&
        !gpu_submit(t->home->gpu, &t->line, &commands, 1, NULL))
        tape_wait(t, NULL);
    free_pools(&own);
    return barriers;
}

/* ---------------------------------------------------------------- life --------------------- */

gpu_taste tape_taste(const gpu_device *gpu)
{
    return gpu->software && !gpu_plays_card ? GPU_TASTE_OF_SOFTWARE : GPU_TASTE_OF_GPUS;
}

deer_status tape_make(gpu_home *home, gpu_program *program, gpu_tape *t, deer_error *err)
{
    deer_status status;

    *t = (gpu_tape){.home = home, .program = *program};
    *program = (gpu_program){0};
    status = make_memory(t, err);
    if (!status)
        status = gpu_line_make(home->gpu, &t->line, err);
    if (!status)
        status = record_all(t, err);
    if (status)
        tape_free(t);
    return status;
}

void tape_free(gpu_tape *t)
{
    gpu_device *gpu = t->home->gpu;

    if (t->line.semaphore && !gpu_is_foreign(gpu))
        tape_wait(t, NULL);
    if (!gpu->stuck) { /* else it may still use them */
        free_pools(t);
        gpu_line_free(gpu, &t->line);
        gpu_buffer_free(gpu, &t->local);
        gpu_buffer_free(gpu, &t->host);
    }
    free(t->unit);
    free(t->batch);
    free(t->submitted);
    program_free(&t->program);
    *t = (gpu_tape){.home = t->home};
}
