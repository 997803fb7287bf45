/* SPDX-License-Identifier: MIT */
/* backend_gpu.c - a step on a GPU.
 *
 * What is asked for is collected and submitted together when its result is needed, or, where the
 * device decides about exits, exit by exit with the next one always on its way: the processor looks
 * at an exit while the device is at the one behind, which stops by itself if it was not needed. */
#include "runtime/gpu/backend_gpu.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/model/arch.h"

/* ---------------------------------------------------------------- submitting --------------- */

static void note(gpu_work *w, deer_status status, const deer_error *err)
{
    if (!status || w->status)
        return;
    w->status = status;
    w->said = *err;
}

/* Submits what was asked for. */
static void flush(gpu_work *w)
{
    deer_error err;

    if (w->pendings && !w->status)
        note(w, tape_run(&w->tape, w->pending, w->pendings, &err), &err);
    w->pendings = 0;
}

static void ask(gpu_work *w, int unit)
{
    if (w->pendings == WORK_PENDING)
        flush(w);
    w->pending[w->pendings++] = unit;
}

static void finish(gpu_work *w)
{
    deer_error err;

    flush(w);
    if (!w->status)
        note(w, tape_wait(&w->tape, &err), &err);
}

/* Before the processor writes what a unit reads. */
static void wait_for(gpu_work *w, int unit)
{
    deer_error err;

    if (!w->status)
        note(w, tape_wait_for(&w->tape, unit, &err), &err);
}

static deer_status trouble(void *work, deer_error *err)
{
    gpu_work *w = work;
    deer_status status = w->status;

    if (!status)
        return DEER_OK;
    w->status = DEER_OK; /* the next step tries again, and fails again where that is no use */
    w->pendings = 0;
    return deer_fail_with(status, err, "%s", w->said.message);
}

static void wait_work(void *work)
{
    finish(work);
}

/* ---------------------------------------------------------------- orders ------------------- */

static uint32_t *orders_of(const gpu_work *w)
{
    return tape_words(&w->tape, SLICE_TELL_IN);
}

static void put_pair(uint32_t *words, int at, size_t first, size_t count)
{
    words[at] = (uint32_t)first;
    words[at + 1] = (uint32_t)count;
}

static void put_sequence(uint32_t *words, int table, int i, size_t q, size_t tq, size_t k,
                         size_t tk)
{
    put_pair(words, table + 4 * i, q, tq);
    put_pair(words, table + 4 * i + 2, k, tk);
}

static size_t patches_of(const deer_config *c)
{
    size_t grid = (size_t)(c->image_size / c->patch_size);

    return grid * grid;
}

/* Images `first` up to `first + count` are to be seen. */
static void order_images(const gpu_work *w, size_t first, size_t count)
{
    const deer_config *c = &w->model->config;
    uint32_t *words = tape_words(&w->tape, SLICE_SEE_IN);
    size_t p = patches_of(c), l = (size_t)c->resampler_latents;
    const size_t each[] = {1, p, p + 1, l, p + l};

    for (int i = 0; i < 5; i++)
        put_pair(words, ORDERS_IMAGES + 2 * i, first * each[i], count * each[i]);
}

/* What never changes: where images begin. */
static void order_tables(const gpu_work *w)
{
    const deer_config *c = &w->model->config;
    const orders_layout *at = &w->tape.program.at;
    uint32_t *words = orders_of(w);
    size_t p = patches_of(c), l = (size_t)c->resampler_latents;

    put_pair(words, ORDERS_ONE, 0, 1);
    put_pair(words, ORDERS_TWO, 0, 2);
    for (int i = 0; i < ARCH_VIEWS * w->tape.program.frames; i++) {
        size_t n = (size_t)i;
        put_sequence(words, at->vision, i, n * (p + 1), p + 1, n * (p + 1), p + 1);
        put_sequence(words, at->resampler, i, n * l, l, n * (p + l), p + l);
    }
}

static void order_visible(const gpu_work *w, const backend_text *text)
{
    uint32_t *visible = orders_of(w) + w->tape.program.at.visible;
    const int32_t *ids = text->ids;

    for (int f = 0; f < text->frames; f++) {
        int images = 0;
        for (int i = 0; i < text->tokens[f]; i++) {
            images += *ids++ == w->model->config.media_token;
            *visible++ = images < 2 ? (uint32_t)images : 2;
        }
    }
}

static void order_text(const gpu_work *w, const backend_text *text)
{
    const orders_layout *at = &w->tape.program.at;
    size_t media = ARCH_VIEWS * (size_t)w->model->config.resampler_latents, row = 0;
    uint32_t *words = orders_of(w);

    put_pair(words, ORDERS_TEXT, 0, (size_t)text->rows);
    put_pair(words, ORDERS_FRAMES, 0, (size_t)text->frames);
    for (int f = 0; f < text->frames; f++) {
        size_t n = (size_t)text->tokens[f];
        put_sequence(words, at->text, f, row, n, row, n);
        put_sequence(words, at->cross, f, row, n, (size_t)f * media, media);
        row += n;
    }
    order_visible(w, text);
}

/* Keys and values of media that each cross-attention has to compute. */
static void order_media(const gpu_work *w, int frames)
{
    size_t l = (size_t)w->model->config.resampler_latents;
    uint32_t *words = orders_of(w);

    for (int i = 0; i < orders_crosses(&w->model->config); i++) {
        unsigned due = w->kept ? BACKEND_BOTH & ~w->kept[i] : BACKEND_BOTH;
        size_t first = due == BACKEND_GRIPPER ? l : 0,
               count = due == BACKEND_BOTH ? ARCH_VIEWS * l * (size_t)frames : l;
        put_pair(words, ORDERS_MEDIA + 2 * i, first, due ? count : 0);
    }
}

static void order_decision(const gpu_work *w, const backend_orders *o)
{
    const deer_thresholds *t = o->thresholds;
    uint32_t *words = orders_of(w);

    words[ORDERS_CRITERION] = (uint32_t)t->criterion;
    words[ORDERS_LAST] = (uint32_t)o->deepest;
    memcpy(words + ORDERS_DONE, o->done, DEER_POSE * sizeof *o->done);
    memcpy(words + ORDERS_TAU, t->tau, sizeof t->tau);
    memcpy(words + ORDERS_SCORE, t->score, sizeof t->score);
}

/* ---------------------------------------------------------------- life --------------------- */

static size_t need(const deer_config *config, int frames, int head_rows, bool keeps, int threads)
{
    (void)config, (void)frames, (void)head_rows, (void)keeps, (void)threads;
    return 0; /* known once the device is: bytes says it */
}

static void close_work(void *work)
{
    gpu_work *w = work;

    if (!w)
        return;
    if (w->tape.home)
        tape_free(&w->tape);
    free(w->kept);
    free(w->frame_tokens);
    free(w);
}

static deer_status make(gpu_work *w, int frames, int head_rows, deer_error *err)
{
    const deer_config *c = &w->model->config;
    gpu_home *home = w->model->device;
    gpu_program program;

    w->frame_tokens = calloc((size_t)frames, sizeof *w->frame_tokens);
    if (head_rows)
        w->kept = calloc((size_t)orders_crosses(c) + 1, sizeof *w->kept);
    if (!w->frame_tokens || (head_rows && !w->kept))
        return deer_fail(err, "out of memory for a session on the GPU");
    if (program_make(w->model, frames, head_rows, tape_taste(home->gpu), &program, err)) {
        program_free(&program);
        return DEER_FAILED;
    }
    if (tape_make(home, &program, &w->tape, err))
        return DEER_FAILED;
    memcpy(tape_words(&w->tape, SLICE_SLOPES_IN), w->model->slopes,
           (size_t)c->heads * sizeof *w->model->slopes);
    order_tables(w);
    ask(w, UNIT_OPEN);
    if (head_rows)
        ask(w, UNIT_RESET);
    finish(w);
    return trouble(w, err);
}

/* A session always keeps keys and values: on a device they lie there anyway. */
static deer_status open_work(const deer_model *model, int frames, int head_rows, bool keeps,
                             void **work, deer_error *err)
{
    gpu_work *w = calloc(1, sizeof *w);
    deer_status status;

    (void)keeps;
    *work = NULL;
    if (!w)
        return deer_fail(err, "out of memory for a session on the GPU");
    w->model = model;
    status = make(w, frames, head_rows, err);
    if (status)
        close_work(w);
    else
        *work = w;
    return status;
}

static size_t bytes(const void *work)
{
    const gpu_work *w = work;

    return sizeof *w + tape_bytes(&w->tape);
}

/* ---------------------------------------------------------------- backbone ----------------- */

static float *pixels(void *work)
{
    wait_for(work, UNIT_VISION);
    return tape_floats(&((gpu_work *)work)->tape, SLICE_PIXELS_IN);
}

static float *embedded(void *work)
{
    wait_for(work, UNIT_TELL);
    return tape_floats(&((gpu_work *)work)->tape, SLICE_EMBEDDED_IN);
}

/* Some images, one behind the other. */
static void see_some(gpu_work *w, size_t first, size_t count, deer_profile *profile)
{
    flush(w);
    wait_for(w, UNIT_VISION);
    order_images(w, first, count);
    w->media_shown = false;
    ask(w, UNIT_VISION);
    if (profile)
        finish(w);
    profile_mark(profile, PROFILE_VISION);
    ask(w, UNIT_RESAMPLER);
    flush(w); /* it begins while the processor goes on */
    if (profile)
        finish(w);
    profile_mark(profile, PROFILE_RESAMPLER);
}

/* The media of these cameras are others now. */
static void forget(gpu_work *w, unsigned views)
{
    for (int i = 0; w->kept && i < orders_crosses(&w->model->config); i++)
        w->kept[i] &= ~views;
}

static void see(void *work, int frames, unsigned views, deer_profile *profile)
{
    size_t images = ARCH_VIEWS * (size_t)frames;

    if (views == BACKEND_BOTH)
        see_some(work, 0, images, profile);
    for (size_t i = 0; views != BACKEND_BOTH && i < images; i++)
        if (views >> i % ARCH_VIEWS & 1)
            see_some(work, i, 1, profile);
    forget(work, views);
}

static size_t media_size(const deer_config *c)
{
    return (size_t)c->resampler_latents * (size_t)c->vision_width;
}

static void take_media(const void *work, int image, float *to)
{
    gpu_work *w = (gpu_work *)(uintptr_t)work; /* what it holds does not change for the caller */
    size_t size = media_size(&w->model->config);

    if (!w->media_shown)
        ask(w, UNIT_TAKE);
    finish(w);
    w->media_shown = true;
    memcpy(to, tape_floats(&w->tape, SLICE_MEDIA_OUT) + (size_t)image * size, size * sizeof *to);
}

/* A session's at once, a batch's all together, before its text is told. */
static void give_media(void *work, int image, const float *from)
{
    gpu_work *w = work;
    bool robot = w->tape.program.head_rows;
    size_t size = media_size(&w->model->config);

    flush(w);
    wait_for(w, UNIT_GIVE + (robot ? image : 0));
    memcpy(tape_floats(&w->tape, SLICE_MEDIA_IN) + (size_t)image * size, from, size * sizeof *from);
    w->media_shown = false;
    w->given = !robot;
    if (robot) {
        ask(w, UNIT_GIVE + image);
        flush(w);
        forget(w, 1u << image);
    }
}

static void tell(void *work, const backend_text *text)
{
    gpu_work *w = work;

    flush(w);
    wait_for(w, UNIT_TELL);
    w->frames = text->frames;
    w->rows = text->rows;
    memcpy(w->frame_tokens, text->tokens, (size_t)text->frames * sizeof *text->tokens);
    order_text(w, text);
    order_media(w, text->frames);
    if (w->given)
        ask(w, UNIT_GIVE);
    w->given = false;
    ask(w, UNIT_TELL);
}

/* Decoder layer `layer` has run. */
static void note_layer(gpu_work *w, int layer)
{
    if (w->kept && arch_has_cross(&w->model->config, layer))
        w->kept[layer / w->model->config.cross_every] = BACKEND_BOTH;
}

static void advance(void *work, int layer)
{
    ask(work, UNIT_LAYERS + layer);
    note_layer(work, layer);
}

static void features(void *work, float *to, size_t apart)
{
    gpu_work *w = work;
    size_t d = (size_t)w->model->config.d_model;
    const float *from = tape_floats(&w->tape, SLICE_FEATURES_OUT);

    ask(w, UNIT_FEATURES);
    finish(w);
    for (int f = 0; f < w->frames; f++)
        memcpy(to + (size_t)f * apart, from + (size_t)f * d, d * sizeof *to);
}

static const float *hidden(const void *work)
{
    gpu_work *w = (gpu_work *)(uintptr_t)work; /* what it holds does not change for the caller */

    ask(w, UNIT_HIDDEN);
    finish(w);
    return tape_floats(&w->tape, SLICE_HIDDEN_OUT);
}

/* ---------------------------------------------------------------- head --------------------- */

static void pool(void *work, int row)
{
    ask(work, UNIT_POOL + row);
}

static void begin(void *work)
{
    ask(work, UNIT_BEGIN);
}

static const float *result_of(const gpu_work *w, int exit)
{
    return tape_floats(&w->tape, SLICE_RESULT) + (size_t)exit * RESULT_SLOT;
}

static void act(void *work, int rows, float *pose, float *gripper)
{
    gpu_work *w = work;
    const float *shown = result_of(w, DEER_MAX_EXITS);

    ask(w, UNIT_ACT + rows - 1);
    finish(w);
    for (int r = 0; r < rows; r++, shown += 8) {
        memcpy(pose + r * DEER_POSE, shown, DEER_POSE * sizeof *pose);
        gripper[r] = w->status ? NAN : shown[DEER_POSE];
    }
}

static void keep(void *work, int row)
{
    ask(work, UNIT_KEEP + row);
    flush(work);
}

static void reset(void *work)
{
    ask(work, UNIT_RESET);
    flush(work);
}

static backend_state state_of(const void *work)
{
    gpu_work *w = (gpu_work *)(uintptr_t)work;
    const float *h = tape_floats(&w->tape, SLICE_STATE_OUT);

    finish(w);
    return (backend_state){h, h + w->tape.program.size[SLICE_H]};
}

/* ---------------------------------------------------------------- a whole step ------------- */

/* Submits the layers up to exit k and its end. */
static void ask_exit(gpu_work *w, int k)
{
    const int32_t *exits = w->model->config.exit_layers;

    if (k == 0) {
        for (int i = 0; i < exits[0]; i++)
            ask(w, UNIT_LAYERS + i);
        ask(w, UNIT_POOL); /* the pseudo exit's */
    }
    for (int i = k ? exits[k - 1] + 1 : exits[0]; i <= exits[k]; i++)
        ask(w, UNIT_LAYERS + i);
    ask(w, program_exit(&w->tape.program, k));
    flush(w);
}

static bool stops(gpu_work *w, int k)
{
    uint32_t stopped;

    wait_for(w, program_exit(&w->tape.program, k));
    memcpy(&stopped, result_of(w, k) + RESULT_STOPS, sizeof stopped);
    return w->status || stopped;
}

static void read_decision(const gpu_work *w, int exit, backend_decision *d)
{
    const float *r = result_of(w, exit);

    d->exit = exit;
    d->row = exit == 0;
    d->evaluations = exit + 2;
    memcpy(d->pose, r, sizeof d->pose);
    d->gripper = r[DEER_POSE];
    for (int k = 0; k <= exit; k++)
        d->value[k] = result_of(w, k)[RESULT_VALUE];
}

static void decide(void *work, const backend_orders *orders, backend_decision *decision)
{
    gpu_work *w = work;
    int last = orders->deepest, k = 0;

    order_decision(w, orders); /* they go with the text, which is not submitted yet */
    ask_exit(w, 0);
    for (; !w->status; k++) {
        if (k < last)
            ask_exit(w, k + 1); /* ahead */
        if (stops(w, k) || k == last)
            break;
    }
    read_decision(w, k, decision);
    for (int i = 0; i <= w->model->config.exit_layers[k]; i++)
        note_layer(w, i);
}

const backend backend_gpu = {
    .name = "gpu",
    .need = need,
    .open = open_work,
    .close = close_work,
    .bytes = bytes,
    .pixels = pixels,
    .embedded = embedded,
    .see = see,
    .take_media = take_media,
    .give_media = give_media,
    .tell = tell,
    .advance = advance,
    .pool = pool,
    .features = features,
    .begin = begin,
    .act = act,
    .keep = keep,
    .reset = reset,
    .state = state_of,
    .hidden = hidden,
    .decide = decide,
    .wait = wait_work,
    .trouble = trouble,
};
