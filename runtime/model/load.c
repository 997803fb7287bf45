/* SPDX-License-Identifier: MIT */
/* load.c - from the mapped file into the memory that the kernels read.
 *
 * Weights are copied once, packed on the way. Large pages make the copy worth it: a step streams
 * through all of it, and with small pages spends a third of that time on finding them. */
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "runtime/base/file.h"
#include "runtime/base/threads.h"
#include "runtime/model/bind.h"
#include "runtime/model/model.h"

enum { LARGE_PAGE = 2 << 20, SMALL_PAGE = 4096 };

/* ---------------------------------------------------------------- arena -------------------- */

static size_t page_for(size_t bytes)
{
    return bytes >= 4 * (size_t)LARGE_PAGE ? LARGE_PAGE : SMALL_PAGE;
}

size_t model_arena_bytes(size_t bytes)
{
    return (bytes + page_for(bytes) - 1) / page_for(bytes) * page_for(bytes);
}

static deer_status make_arena(deer_model *model, size_t bytes, deer_error *err)
{
    size_t page = page_for(bytes);

    model->arena_bytes = model_arena_bytes(bytes);
    model->arena = aligned_alloc(page, model->arena_bytes);
    if (!model->arena)
        return deer_fail(err, "out of memory for %s: its weights need %zu MB", model->file.path,
                         bytes >> 20);
    if (page == LARGE_PAGE)
        madvise(model->arena, model->arena_bytes, MADV_HUGEPAGE); /* a wish */
    return DEER_OK;
}

void model_unload(deer_model *model)
{
    free(model->arena);
    model->arena = NULL;
    model->arena_bytes = 0;
}

/* ---------------------------------------------------------------- copies ------------------- */

static bool copy_vector(const model_copy *copy, const void *from)
{
    float *to = copy->to;
    int room = (copy->columns + 15) / 16 * 16, bad = 0;

    memcpy(to, from, (size_t)copy->columns * sizeof *to);
    memset(to + copy->columns, 0, (size_t)(room - copy->columns) * sizeof *to);
    for (int i = 0; i < copy->columns; i++)
        bad |= !isfinite(to[i]);
    return !bad;
}

static bool copy_matrix(const model_copy *copy, const void *from)
{
    weight_dtype type;

    return weight_dtype_from_number(copy->from->type, &type) &&
           matrix_pack(copy->to, from, type, copy->n, copy->k, 0, (copy->n + 15) / 16);
}

typedef struct {
    deer_model *model;
    size_t first_exit_end;
    const model_copy *copy;
    size_t count;
    atomic_size_t next, bad; /* bad: the first tensor that is not finite */
} loading;

static void copy_some(void *context, int part, int parts)
{
    loading *l = context;
    size_t i;

    if (part == parts - 1) /* the last thread, or the only one */
        model_fingerprint(&l->model->file, l->first_exit_end, l->model->fingerprint);
    while ((i = atomic_fetch_add(&l->next, 1)) < l->count) {
        const model_copy *copy = &l->copy[i];
        const safetensors *file = &l->model->file;
        const void *from = file->data + copy->from->begin;
        size_t bad = atomic_load(&l->bad);
        if (!(copy->n ? copy_matrix : copy_vector)(copy, from))
            while (i < bad && !atomic_compare_exchange_weak(&l->bad, &bad, i))
                continue;
        file_forget(file->mapping, file->mapping_size, from,
                    copy->from->end - copy->from->begin); /* once in memory is enough */
    }
}

deer_status model_load(deer_model *model, const match *m, size_t first_exit_end, deer_error *err)
{
    loading l = {.model = model, .first_exit_end = first_exit_end};
    model_copy *copies = calloc(2 * m->count + 1, sizeof *copies); /* a matrix may have scales */
    deer_status status;

    if (!copies)
        return deer_fail(err, "out of memory opening %s", model->file.path);
    status = make_arena(model, bind_bytes(m), err);
    if (!status) {
        l.copy = copies;
        l.count = bind_weights(m, model->arena, &model->weights, copies);
        atomic_store(&l.bad, l.count);
        threads_run(copy_some, &l, threads_count());
        if (l.bad < l.count)
            status = deer_fail(err, "%s: tensor %s holds values that are not finite",
                               model->file.path, copies[l.bad].from->name);
    }
    free(copies);
    return status;
}
