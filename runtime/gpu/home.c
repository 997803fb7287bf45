/* SPDX-License-Identifier: MIT */
/* home.c - a model's weights on a device.
 *
 * Where memory is unified and the device takes the processor's as it is, they stay where they were
 * loaded. Elsewhere they are copied as they are, panels and all, in order of execution, and then
 * let go by the processor, but for the head's: calibration evaluates it there
 * (deer_head_evaluate). */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/gpu/backend_gpu.h"

enum { PIECE = 32 << 20, PAGE = 4096 };

/* ---------------------------------------------------------------- stretches ---------------- */

static const char *layer_begin(const deer_model *model, int layer)
{
    const decoder_weights *l = &model->weights.decoder[layer];

    return l->has_cross ? (const char *)l->cross.attn_gate : (const char *)l->norm_1.w;
}

/* Where each stretch begins, and behind the last one the end. Returns how many there are. */
static int stretches_of(const deer_model *model, const char *at[DEER_MAX_EXITS + 3])
{
    const int32_t *exit = model->config.exit_layers;
    int n = 0;

    at[n++] = model->arena;
    at[n++] = layer_begin(model, 0);
    for (int k = 0; k < model->max_exit; k++)
        at[n++] = layer_begin(model, exit[k] + 1);
    at[n] = (const char *)model->arena + model->arena_bytes;
    return n;
}

/* ---------------------------------------------------------------- bringing ----------------- */

/* The rest of a buffer that the processor does not see, through one that it does. */
typedef struct {
    gpu_device *gpu;
    gpu_buffer staging;
    gpu_line line;
    VkCommandPool pool;
    VkCommandBuffer commands;
} ferry;

static deer_status ferry_open(gpu_device *gpu, ferry *f, deer_error *err)
{
    const VkCommandPoolCreateInfo pool = {.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
                                          .flags = VK_COMMAND_POOL_CREATE_RESET_COMMAND_BUFFER_BIT,
                                          .queueFamilyIndex = gpu->family};
    VkCommandBufferAllocateInfo commands = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
                                            .level = VK_COMMAND_BUFFER_LEVEL_PRIMARY,
                                            .commandBufferCount = 1};
    VkResult result;

    *f = (ferry){.gpu = gpu};
    if (gpu_buffer_make(gpu, PIECE, GPU_HOST, &f->staging, err) ||
        gpu_line_make(gpu, &f->line, err))
        return DEER_FAILED;
    result = gpu->vk.CreateCommandPool(gpu->device, &pool, NULL, &f->pool);
    commands.commandPool = f->pool;
    if (!result)
        result = gpu->vk.AllocateCommandBuffers(gpu->device, &commands, &f->commands);
    return result ? gpu_fail(gpu, result, "making room for commands", err) : DEER_OK;
}

static void ferry_close(ferry *f)
{
    if (f->gpu->stuck)
        return;
    if (f->pool)
        f->gpu->vk.DestroyCommandPool(f->gpu->device, f->pool, NULL);
    gpu_line_free(f->gpu, &f->line);
    gpu_buffer_free(f->gpu, &f->staging);
}

static deer_status ferry_piece(ferry *f, const char *from, const gpu_buffer *to, size_t at,
                               size_t bytes, deer_error *err)
{
    const VkCommandBufferBeginInfo begin = {.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO};
    VkResult result;

    memcpy(f->staging.mapped, from, bytes);
    result = f->gpu->vk.BeginCommandBuffer(f->commands, &begin);
    if (!result) {
        f->gpu->vk.CmdCopyBuffer(f->commands, f->staging.handle, to->handle, 1,
                                 &(VkBufferCopy){0, at, bytes});
        result = f->gpu->vk.EndCommandBuffer(f->commands);
    }
    if (result)
        return gpu_fail(f->gpu, result, "recording", err);
    return gpu_submit(f->gpu, &f->line, &f->commands, 1, err)
               ? DEER_FAILED
               : gpu_wait(f->gpu, &f->line, f->line.submitted, err);
}

static deer_status carry(gpu_device *gpu, const gpu_stretch *s, deer_error *err)
{
    ferry f;
    deer_status status = ferry_open(gpu, &f, err);

    for (size_t at = 0; !status && at < s->bytes; at += PIECE)
        status = ferry_piece(&f, s->begin + at, &s->buffer, at,
                             s->bytes - at < PIECE ? s->bytes - at : PIECE, err);
    ferry_close(&f);
    return status;
}

deer_status home_fill(gpu_device *gpu, const gpu_stretch *s, deer_error *err)
{
    if (!s->buffer.mapped)
        return carry(gpu, s, err);
    memcpy(s->buffer.mapped, s->begin, s->bytes);
    return DEER_OK;
}

/* Whole pages from `begin` up to `end` are zeros from now on and take no memory. */
static void let_go(const char *begin, const char *end)
{
    uintptr_t first = ((uintptr_t)begin + PAGE - 1) / PAGE * PAGE,
              last = (uintptr_t)end / PAGE * PAGE;

    if (last > first)
        madvise((void *)first, last - first, MADV_DONTNEED);
}

static void free_stretches(gpu_home *home)
{
    for (int i = 0; i < home->stretches; i++)
        gpu_buffer_free(home->gpu, &home->stretch[i].buffer);
    home->stretches = 0;
}

/* The arena as it is, in pieces that the device can hold: those of the stretches, from page to
 * page, so that neighbours share one. False where the device does not take it. */
static bool stay(gpu_home *home, const deer_model *model)
{
    const char *at[DEER_MAX_EXITS + 3];
    int n = stretches_of(model, at);
    uintptr_t page = home->gpu->imports, first = (uintptr_t)at[0], end = (uintptr_t)at[n];

    if (!page || first % page || end % page)
        return false;
    for (int i = 0; i < n; i++) {
        gpu_stretch *s = &home->stretch[i];
        uintptr_t from = (uintptr_t)at[i] / page * page;
        s->begin = (const char *)from;
        s->bytes = ((uintptr_t)at[i + 1] + page - 1) / page * page - from;
        if (gpu_buffer_import(home->gpu, (void *)from, s->bytes, &s->buffer, NULL)) {
            free_stretches(home);
            return false;
        }
        home->stretches = i + 1;
    }
    return true;
}

static deer_status copy(gpu_home *home, const deer_model *model, deer_error *err)
{
    const char *at[DEER_MAX_EXITS + 3];
    int n = stretches_of(model, at);

    for (int i = 0; i < n; i++) {
        gpu_stretch *s = &home->stretch[i];
        s->begin = at[i];
        s->bytes = (size_t)(at[i + 1] - at[i]);
        if (gpu_buffer_make(home->gpu, s->bytes, GPU_LOCAL, &s->buffer, err))
            return DEER_FAILED;
        home->stretches = i + 1;
        if (home_fill(home->gpu, s, err))
            return DEER_FAILED;
    }
    return DEER_OK;
}

/* Only once all of it is on the device: before, a failure leaves the model as it was. */
static void let_weights_go(const deer_model *model)
{
    const char *arena = model->arena;

    let_go(arena, (const char *)model->weights.head.lstm[0].ih.w.panels);
    let_go(layer_begin(model, 0), arena + model->arena_bytes);
}

static deer_status bring(gpu_home *home, deer_model *model, deer_error *err)
{
    home->model = model;
    if (products_prove(home, model->type, err))
        return DEER_FAILED;
    home->in_place = stay(home, model);
    if (home->in_place)
        return DEER_OK;
    if (copy(home, model, err))
        return DEER_FAILED;
    let_weights_go(model);
    return DEER_OK;
}

static void leave(void *home)
{
    gpu_home *h = home;

    gpu_is_foreign(h->gpu);
    if (!h->gpu->stuck)
        free_stretches(h);
    else if (h->in_place)
        h->model->arena = NULL; /* the device may still read it */
    gpu_close(h->gpu);
    free(h);
}

const char *gpu_note(const deer_model *model)
{
    const gpu_home *home = model->on == &backend_gpu ? model->device : NULL;

    return home && home->gpu->note[0] ? home->gpu->note : NULL;
}

deer_status gpu_bring(deer_model *model, const char *wish, const char *cache, deer_error *err)
{
    gpu_home *home = calloc(1, sizeof *home);
    deer_status status;

    if (!home)
        return deer_fail(err, "out of memory for a GPU");
    status = gpu_open(wish, cache, &home->gpu, err);
    if (status) {
        free(home);
        return status;
    }
    status = bring(home, model, err);
    if (status) {
        leave(home);
        return status;
    }
    model->on = &backend_gpu;
    model->device = home;
    model->device_name = home->gpu->name;
    model->leave_device = leave;
    return DEER_OK;
}
