/* SPDX-License-Identifier: MIT */
/* match.c - goes through the architecture beside a file, and notes everything that is wrong. */
#include "runtime/model/match.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---------------------------------------------------------------- problems ----------------- */

void match_complain(match *m, const char *name, const char *problem)
{
    size_t used, room = sizeof m->said.message - 32;

    if (!m->status) {
        m->status = deer_fail(&m->said, "%s: tensor %s %s", m->file->path, name, problem);
        return;
    }
    used = strlen(m->said.message);
    if (used + strlen(name) + strlen(problem) + 3 < room)
        snprintf(m->said.message + used, room - used, "; %s %s", name, problem);
    else
        m->unsaid++;
}

deer_status match_verdict(const match *m, deer_error *err)
{
    if (!m->status)
        return DEER_OK;
    return m->unsaid ? deer_fail(err, "%s; and %d more", m->said.message, m->unsaid)
                     : deer_fail(err, "%s", m->said.message);
}

/* ---------------------------------------------------------------- one tensor --------------- */

/* The tensor of that name, complained about when it is missing or of another shape. */
static const safetensor *find(match *m, const char *name, int rank, const int64_t *shape)
{
    const safetensor *t = safetensors_find(m->file, name);

    if (!t)
        match_complain(m, name, "is missing");
    else if (t->rank != rank || memcmp(t->shape, shape, (size_t)rank * sizeof *shape))
        match_complain(m, name, "does not have the shape the configuration says");
    return t;
}

static const safetensor *find_scale(match *m, const safetensor *of)
{
    char name[256];
    const safetensor *t;

    snprintf(name, sizeof name, "%s_scale", of->name);
    t = find(m, name, 1, of->shape);
    if (t && !safetensors_is_f32(t))
        match_complain(m, t->name, "is not float32");
    return t;
}

/* The type of weights that are multiplied by or looked up. */
static void take_type(match *m, matched_tensor *t)
{
    bool known = t->is->readable && weight_dtype_from_number(t->is->type, &t->type);

    if (t->want.part == ARCH_EMBEDDING && (!known || t->type == WEIGHT_Q8))
        match_complain(m, t->is->name, "is neither float32 nor bfloat16");
    else if (!known)
        match_complain(m, t->is->name, "is not float32, bfloat16 or 8-bit");
    else if (t->type == WEIGHT_Q8)
        t->scale = find_scale(m, t->is);
}

static void take(void *context, const arch_tensor *want)
{
    match *m = context;
    matched_tensor *t;

    if (m->count == m->room) {
        size_t room = m->room ? 2 * m->room : 512;
        matched_tensor *grown = realloc(m->tensor, room * sizeof *grown);

        if (!grown) {
            m->no_memory = true;
            return;
        }
        m->tensor = grown;
        m->room = room;
    }
    t = &m->tensor[m->count++];
    *t = (matched_tensor){.want = *want, .is = find(m, want->name, want->rank, want->shape)};
    t->want.name = t->is ? t->is->name : NULL;
    if (!t->is)
        return;
    if (want->role != ARCH_ADDED)
        take_type(m, t);
    else if (!safetensors_is_f32(t->is))
        match_complain(m, t->is->name, "is not float32");
}

/* The next place of a Sequential that has a weight; it must be of this rank. */
static int next_index(void *context, const char *prefix, int rank, int at)
{
    match *m = context;

    for (; at < 64; at++) {
        char name[192];
        const safetensor *t;

        snprintf(name, sizeof name, "%s%d.weight", prefix, at);
        t = safetensors_find(m->file, name);
        if (t && t->rank == rank)
            return at;
        if (t)
            break;
    }
    match_complain(m, prefix, rank == 2 ? "lacks a linear layer" : "lacks a LayerNorm");
    return at;
}

/* ---------------------------------------------------------------- all ---------------------- */

deer_status match_tensors(const safetensors *file, const deer_config *config, int layers, match *m,
                          deer_error *err)
{
    *m = (match){.file = file};
    arch_visit(config, layers, &(arch_visitor){.tensor = take, .index = next_index, .context = m});
    return m->no_memory ? deer_fail(err, "out of memory for the tensors of %s", file->path)
                        : DEER_OK;
}

void match_free(match *m)
{
    free(m->tensor);
    m->tensor = NULL;
}

size_t match_end(const match *m, int layers)
{
    size_t end = 0;

    for (size_t i = 0; i < m->count; i++) {
        const matched_tensor *t = &m->tensor[i];
        bool of_layer = t->want.part == ARCH_CROSS || t->want.part == ARCH_DECODER;

        if (of_layer && t->want.layer >= layers)
            continue;
        if (t->is && t->is->end > end)
            end = t->is->end;
        if (t->scale && t->scale->end > end)
            end = t->scale->end;
    }
    return end;
}
