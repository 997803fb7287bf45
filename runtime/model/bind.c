/* SPDX-License-Identifier: MIT */
/* bind.c - the arena: tensor by tensor in order of execution, each at whole cache lines. */
#include "runtime/model/bind.h"

typedef struct {
    char *arena; /* NULL: only how many bytes */
    size_t bytes;
    model_weights *weights;
    model_copy *copy;
    size_t copies;
} binder;

/* The next place in the arena, for what a copy brings there. */
static void *place(binder *b, size_t bytes, model_copy copy)
{
    char *to = b->arena ? b->arena + b->bytes : NULL;

    b->bytes += (bytes + 63) / 64 * 64;
    copy.to = to;
    if (b->arena)
        b->copy[b->copies++] = copy;
    return to;
}

/* A vector, or a matrix that is not multiplied; room for a multiple of 16 numbers. */
static const float *place_floats(binder *b, const safetensor *t, size_t n)
{
    return place(b, (n + 15) / 16 * 16 * sizeof(float), (model_copy){.from = t, .columns = (int)n});
}

static matrix place_matrix(binder *b, const matched_tensor *t)
{
    matrix m = {.type = t->type,
                .n = (int)arch_matrix_rows(&t->want),
                .k = (int)arch_matrix_columns(&t->want)};

    m.panels = place(b, matrix_panel_words(m.type, m.n, m.k) * sizeof(uint32_t),
                     (model_copy){.from = t->is, .n = m.n, .k = m.k});
    if (t->scale)
        m.scale = place_floats(b, t->scale, (size_t)m.n);
    return m;
}

/* The struct that a tensor's field is of. */
static char *part_of(model_weights *w, const arch_tensor *t)
{
    switch (t->part) {
    case ARCH_VISION:
        return t->layer < 0 ? (char *)&w->vision : (char *)&w->vision.block[t->layer];
    case ARCH_RESAMPLER:
        return t->layer < 0 ? (char *)&w->resampler : (char *)&w->resampler.layer[t->layer];
    case ARCH_HEAD:
        return t->layer < 0 ? (char *)&w->head : (char *)&w->head.lstm[t->layer];
    case ARCH_CROSS:
        return (char *)&w->decoder[t->layer].cross;
    default:
        return (char *)&w->decoder[t->layer];
    }
}

static void bind_tensor(binder *b, const matched_tensor *t)
{
    size_t n = arch_matrix_rows(&t->want) * arch_matrix_columns(&t->want);
    const float *vector = NULL;
    matrix m = {.n = 0};
    void *field;

    if (t->want.part == ARCH_EMBEDDING)
        return;
    if (t->want.role == ARCH_ADDED)
        vector = place_floats(b, t->is, n);
    else
        m = place_matrix(b, t);
    if (!b->weights)
        return;
    field = part_of(b->weights, &t->want) + t->want.field;
    if (t->want.role == ARCH_ADDED)
        *(const float **)field = vector;
    else
        *(matrix *)field = m;
    if (t->want.part == ARCH_CROSS)
        b->weights->decoder[t->want.layer].has_cross = true;
}

size_t bind_bytes(const match *m)
{
    binder b = {.arena = NULL};

    for (size_t i = 0; i < m->count; i++)
        bind_tensor(&b, &m->tensor[i]);
    return b.bytes;
}

size_t bind_weights(const match *m, char *arena, model_weights *weights, model_copy *copies)
{
    binder b = {.arena = arena, .weights = weights, .copy = copies};

    for (size_t i = 0; i < m->count; i++)
        bind_tensor(&b, &m->tensor[i]);
    return b.copies;
}
