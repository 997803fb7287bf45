/* SPDX-License-Identifier: MIT */
/* batch.c - features of many observations at once. */
#include <stdlib.h>
#include <string.h>

#include "runtime/base/threads/threads.h"
#include "runtime/deer_replay.h"
#include "runtime/model/arch.h"
#include "runtime/model/model.h"
#include "runtime/policy/backend.h"
#include "runtime/policy/image.h"
#include "runtime/policy/instruction.h"

enum { MOST = 4096 }; /* frames; products count rows in ints */

struct deer_batch {
    const deer_model *model;
    deer_pool *pool; /* the caller's, or NULL */
    int room, count; /* frames */
    int ran;         /* of the last run, whose media are still there */
    bool given;      /* the frames that wait came as media */
    int32_t *words;  /* [max_text] the instruction of the frames that come next */
    int word_count;
    float *embedded;    /* [max_text, d] its embeddings */
    int32_t *ids;       /* [room * max_text] of the frames that wait, one behind the other */
    int *tokens;        /* [room] */
    int rows;           /* sum of tokens */
    image_plan plan[2]; /* static, gripper */
    const backend *on;
    void *work; /* its memory */
};

static deer_status make_room(deer_batch *b, deer_error *err)
{
    const deer_config *c = &b->model->config;
    size_t text = (size_t)c->max_text, room = (size_t)b->room;

    b->words = calloc(text, sizeof *b->words);
    b->embedded = calloc(text * (size_t)c->d_model, sizeof *b->embedded);
    b->ids = calloc(room * text, sizeof *b->ids);
    b->tokens = calloc(room, sizeof *b->tokens);
    if (!b->words || !b->embedded || !b->ids || !b->tokens)
        return deer_fail(err, "out of memory for a batch of %d observations of %s", b->room,
                         c->name);
    b->on = b->model->on ? b->model->on : &backend_cpu;
    return b->on->open(b->model, b->room, 0, false, &b->work, err);
}

static deer_status make(deer_batch *b, deer_error *err)
{
    static const deer_camera own = {0};
    deer_pool *before = threads_enter(b->pool);
    deer_status status = make_room(b, err);

    threads_leave(before);
    return status ? status
                  : image_pair_prepare(b->plan, &own, &own, b->model->config.image_size, err);
}

deer_status deer_batch_new(const deer_model *model, int32_t room, deer_pool *pool, deer_batch **out,
                           deer_error *err)
{
    deer_batch *b;
    deer_status status;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_batch_new has nowhere to put the batch");
    *out = NULL;
    if (!model || room < 1 || room > MOST)
        return deer_fail_with(DEER_USAGE, err, "cannot make a batch of %d observations (1 to %d)%s",
                              room, MOST, model ? "" : " without a model");
    b = calloc(1, sizeof *b);
    if (!b)
        return deer_fail(err, "out of memory for a batch");
    b->model = model;
    b->pool = pool;
    b->room = room;
    status = make(b, err);
    if (status)
        deer_batch_free(b);
    else
        *out = b;
    return status;
}

void deer_batch_free(deer_batch *b)
{
    if (!b)
        return;
    image_plan_free(&b->plan[0]);
    image_plan_free(&b->plan[1]);
    if (b->on)
        b->on->close(b->work);
    free(b->tokens);
    free(b->ids);
    free(b->embedded);
    free(b->words);
    free(b);
}

static deer_status no_batch(deer_error *err)
{
    return deer_fail_with(DEER_USAGE, err, "no batch is given");
}

deer_status deer_batch_set_instruction(deer_batch *b, const char *instruction, deer_error *err)
{
    return b ? instruction_from_text(b->model, instruction, b->words, &b->word_count, b->embedded,
                                     err)
             : no_batch(err);
}

deer_status deer_batch_set_tokens(deer_batch *b, const int32_t *ids, int32_t count, deer_error *err)
{
    return b ? instruction_from_ids(b->model, ids, count, b->words, &b->word_count, b->embedded,
                                    err)
             : no_batch(err);
}

deer_status deer_batch_set_cameras(deer_batch *b, const deer_camera *static_view,
                                   const deer_camera *gripper_view, deer_error *err)
{
    if (!b)
        return no_batch(err);
    if (!static_view || !gripper_view)
        return deer_fail_with(DEER_USAGE, err, "two cameras are needed");
    return image_pair_prepare(b->plan, static_view, gripper_view, b->model->config.image_size, err);
}

int32_t deer_batch_tokens(const deer_batch *b)
{
    return b ? b->word_count : 0;
}

int32_t deer_batch_count(const deer_batch *b)
{
    return b ? b->count : 0;
}

/* The images, where the next frame's pixels belong. */
static deer_status see(deer_batch *b, const deer_observation *seen, deer_error *err)
{
    const deer_config *c = &b->model->config;
    size_t pixels = 2 * 3 * (size_t)c->image_size * (size_t)c->image_size;
    deer_pool *before = threads_enter(b->pool);
    image_view view[2];
    deer_status status = image_pair_resize(b->plan, seen, view, err);

    if (!status)
        image_pair_normalise(view, BACKEND_BOTH, c,
                             b->on->pixels(b->work) + (size_t)b->count * pixels);
    threads_leave(before);
    return status;
}

/* Whether a frame may come next; given: as media. */
static deer_status may_add(deer_batch *b, bool given, deer_error *err)
{
    if (!b)
        return no_batch(err);
    if (b->count == b->room)
        return deer_fail_with(DEER_USAGE, err, "the batch is full with %d observations", b->room);
    if (b->word_count == 0)
        return deer_fail_with(DEER_USAGE, err, "the batch has no instruction yet");
    if (b->count && b->given != given)
        return deer_fail_with(DEER_USAGE, err, "a batch is of images or of media, not of both");
    b->given = given;
    return DEER_OK;
}

/* The present instruction, as the next frame's. */
static void add_text(deer_batch *b)
{
    size_t n = (size_t)b->word_count, d = (size_t)b->model->config.d_model;

    memcpy(b->ids + b->rows, b->words, n * sizeof *b->ids);
    memcpy(b->on->embedded(b->work) + (size_t)b->rows * d, b->embedded, n * d * sizeof(float));
    b->tokens[b->count++] = b->word_count;
    b->rows += b->word_count;
}

deer_status deer_batch_add(deer_batch *b, const deer_observation *seen, deer_error *err)
{
    if (b && !seen)
        return deer_fail_with(DEER_USAGE, err, "no observation is given");
    if (may_add(b, false, err))
        return DEER_USAGE;
    if (see(b, seen, err))
        return DEER_USAGE;
    add_text(b);
    return DEER_OK;
}

uint64_t deer_media_size(const deer_config *c)
{
    return c ? (uint64_t)c->resampler_latents * (uint64_t)c->vision_width : 0;
}

deer_status deer_batch_media(const deer_batch *b, float *media, deer_error *err)
{
    size_t size;

    if (!b || !media)
        return deer_fail_with(DEER_USAGE, err, "media need a batch and room for them");
    size = (size_t)deer_media_size(&b->model->config);
    if (b->count || !b->ran)
        return deer_fail_with(DEER_USAGE, err, "a batch has media between its run and its next");
    for (int i = 0; i < ARCH_VIEWS * b->ran; i++)
        b->on->take_media(b->work, i, media + (size_t)i * size);
    return DEER_OK;
}

deer_status deer_batch_add_media(deer_batch *b, const float *static_media,
                                 const float *gripper_media, deer_error *err)
{
    if (b && (!static_media || !gripper_media))
        return deer_fail_with(DEER_USAGE, err, "media of two cameras are needed");
    if (may_add(b, true, err))
        return DEER_USAGE;
    b->on->give_media(b->work, ARCH_VIEWS * b->count, static_media);
    b->on->give_media(b->work, ARCH_VIEWS * b->count + 1, gripper_media);
    add_text(b);
    return DEER_OK;
}

/* Features of the present hidden states as row `row` of each frame's. */
static void pool(const deer_batch *b, float *pooled, int row)
{
    size_t d = (size_t)b->model->config.d_model;

    b->on->features(b->work, pooled + (size_t)row * d, (size_t)(2 + b->model->max_exit) * d);
}

static void run(deer_batch *b, float *pooled)
{
    const deer_config *c = &b->model->config;
    int next = 0;

    if (!b->given)
        b->on->see(b->work, b->count, BACKEND_BOTH, NULL);
    b->on->tell(
        b->work,
        &(backend_text){.frames = b->count, .tokens = b->tokens, .ids = b->ids, .rows = b->rows});
    for (int layer = 0; layer <= c->exit_layers[b->model->max_exit]; layer++) {
        b->on->advance(b->work, layer);
        if (layer == c->exit_layers[0] - 1)
            pool(b, pooled, 0);
        if (layer == c->exit_layers[next])
            pool(b, pooled, ++next);
    }
}

deer_status deer_batch_run(deer_batch *b, float *pooled, int32_t *count, deer_error *err)
{
    deer_pool *before;

    if (count)
        *count = 0;
    if (!b)
        return no_batch(err);
    if (!count || (!pooled && b->count))
        return deer_fail_with(DEER_USAGE, err, "a batch needs room for its features and count");
    if (b->count == 0)
        return DEER_OK;
    before = threads_enter(b->pool);
    run(b, pooled);
    threads_leave(before);
    if (b->on->trouble && b->on->trouble(b->work, err))
        return DEER_FAILED;
    *count = b->ran = b->count;
    b->count = 0;
    b->rows = 0;
    return DEER_OK;
}
