/* SPDX-License-Identifier: MIT */
/* batch.c - features of many observations at once. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/threads.h"
#include "runtime/policy/backbone.h"
#include "runtime/policy/image.h"
#include "runtime/policy/instruction.h"

enum { MOST = 4096 }; /* frames; products count rows in ints */

struct deer_batch {
    const deer_model *model;
    int room, count; /* frames */
    int32_t *words;  /* [max_text] the instruction of the frames that come next */
    int word_count;
    float *embedded;    /* [max_text, d] its embeddings */
    int32_t *ids;       /* [room * max_text] of the frames that wait, one behind the other */
    int *tokens;        /* [room] */
    int rows;           /* sum of tokens */
    image_plan plan[2]; /* static, gripper */
    backbone_scratch scratch;
    float *arena;
};

static deer_status make_room(deer_batch *b, deer_error *err)
{
    const deer_config *c = &b->model->config;
    size_t text = (size_t)c->max_text, room = (size_t)b->room;
    size_t floats = backbone_layout(c, threads_count(), b->room, &b->scratch, NULL);

    b->words = calloc(text, sizeof *b->words);
    b->embedded = calloc(text * (size_t)c->d_model, sizeof *b->embedded);
    b->ids = calloc(room * text, sizeof *b->ids);
    b->tokens = calloc(room, sizeof *b->tokens);
    b->arena = aligned_alloc(64, floats * sizeof *b->arena);
    if (!b->words || !b->embedded || !b->ids || !b->tokens || !b->arena)
        return deer_fail(err, "out of memory for a batch of %d observations of %s (%zu bytes)",
                         b->room, c->name, floats * sizeof *b->arena);
    backbone_layout(c, threads_count(), b->room, &b->scratch, b->arena);
    return DEER_OK;
}

deer_status deer_batch_new(const deer_model *model, int room, deer_batch **out, deer_error *err)
{
    deer_batch *b = calloc(1, sizeof *b);

    *out = NULL;
    if (!b || room < 1 || room > MOST) {
        free(b);
        return deer_fail(err, "cannot make a batch of %d observations (1 to %d)", room, MOST);
    }
    b->model = model;
    b->room = room;
    if (make_room(b, err)) {
        deer_batch_free(b);
        return DEER_FAILED;
    }
    *out = b;
    return DEER_OK;
}

void deer_batch_free(deer_batch *b)
{
    if (!b)
        return;
    image_plan_free(&b->plan[0]);
    image_plan_free(&b->plan[1]);
    free(b->arena);
    free(b->tokens);
    free(b->ids);
    free(b->embedded);
    free(b->words);
    free(b);
}

deer_status deer_batch_set_instruction(deer_batch *b, const char *instruction, deer_error *err)
{
    return instruction_from_text(b->model, instruction, b->words, &b->word_count, b->embedded, err);
}

deer_status deer_batch_set_tokens(deer_batch *b, const int32_t *ids, int count, deer_error *err)
{
    return instruction_from_ids(b->model, ids, count, b->words, &b->word_count, b->embedded, err);
}

int deer_batch_tokens(const deer_batch *b)
{
    return b->word_count;
}

int deer_batch_count(const deer_batch *b)
{
    return b->count;
}

deer_status deer_batch_add(deer_batch *b, const deer_observation *seen, deer_error *err)
{
    const deer_config *c = &b->model->config;
    size_t n = (size_t)b->word_count, d = (size_t)c->d_model;
    size_t pixels = 2 * 3 * (size_t)c->image_size * (size_t)c->image_size;

    if (b->count == b->room)
        return deer_fail(err, "the batch is full with %d observations", b->room);
    if (n == 0)
        return deer_fail(err, "the batch has no instruction yet");
    if (image_pair_preprocess(b->plan, seen, c, b->scratch.pixels + (size_t)b->count * pixels, err))
        return DEER_FAILED;
    memcpy(b->ids + b->rows, b->words, n * sizeof *b->ids);
    memcpy(b->scratch.embedded + (size_t)b->rows * d, b->embedded, n * d * sizeof(float));
    b->tokens[b->count++] = b->word_count;
    b->rows += b->word_count;
    return DEER_OK;
}

/* Features of the present hidden states as row `row` of each frame's. */
static void pool(const deer_batch *b, float *pooled, int row)
{
    size_t d = (size_t)b->model->config.d_model, each = (size_t)(2 + b->model->max_exit) * d;
    const float *hidden = b->scratch.hidden;

    for (int f = 0; f < b->count; f++) {
        max_pool(pooled + (size_t)f * each + (size_t)row * d, hidden, b->tokens[f], (int)d);
        hidden += (size_t)b->tokens[f] * d;
    }
}

int deer_batch_run(deer_batch *b, float *pooled)
{
    const deer_config *c = &b->model->config;
    const backbone_text text = {b->count, b->tokens, b->ids, b->rows};
    int count = b->count, next = 0;

    if (count == 0)
        return 0;
    vision_run(b->model, &b->scratch, count);
    resampler_run(b->model, &b->scratch, count);
    decoder_start(b->model, &b->scratch, &text);
    for (int layer = 0; layer <= c->exit_layers[b->model->max_exit]; layer++) {
        decoder_layer(b->model, &b->scratch, layer, &text);
        if (layer == c->exit_layers[0] - 1)
            pool(b, pooled, 0);
        if (layer == c->exit_layers[next])
            pool(b, pooled, ++next);
    }
    b->count = 0;
    b->rows = 0;
    return count;
}
