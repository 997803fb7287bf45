/* SPDX-License-Identifier: MIT */
/* backend_cpu.c - a step on the processor, from the parts in backbone.h and head.h. */
#include "runtime/processor/backend_cpu.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/threads/threads.h"
#include "runtime/kernels/kernels.h"
#include "runtime/model/arch.h"

/* ---------------------------------------------------------------- memory ------------------- */

/* Whole cache lines. */
static size_t padded(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

static size_t state_size(const deer_config *c)
{
    return (size_t)c->lstm_layers * (size_t)c->lstm_hidden;
}

/* A thread's workspace: the most that a product or an attention of the model needs. */
typedef struct {
    const deer_config *c;
    arch_load products, attention; /* attentions see one image, one instruction at a time */
    size_t bytes;
} most_room;

static void room_for_product(void *context, const arch_tensor *t)
{
    most_room *m = context;

    if (t->what)
        m->bytes =
            larger(m->bytes, workspace_linear((int)arch_vectors(m->c, t->rows, &m->products)));
}

static void room_for_attention(void *context, const arch_attention *a)
{
    most_room *m = context;
    int keys = (int)arch_vectors(m->c, a->keys, &m->attention);

    m->bytes = larger(m->bytes, workspace_attention(keys, a->width / a->heads));
}

static size_t workspace_bytes(const deer_config *c, int frames, int rows)
{
    most_room m = {.c = c,
                   .products = {ARCH_VIEWS * frames, frames * c->max_text, rows},
                   .attention = {1, c->max_text, rows}};
    const arch_visitor visitor = {.tensor = room_for_product,
                                  .attention = room_for_attention,
                                  .context = &m,
                                  .nameless = true};

    for (arch_part part = 0; part < ARCH_PARTS; part++)
        arch_visit_part(c, part, 0, &visitor);
    return (m.bytes + 63) / 64 * 64;
}

/* Points the slices of the backbone into p and returns how many floats they take; p may be NULL. */
static size_t lay_out_backbone(const deer_config *c, int frames, int rows, bool keeps, int threads,
                               backbone_scratch *s, float *p)
{
    image_room image = vision_room(c);
    text_room text = decoder_room(c);
    size_t f = (size_t)frames, images = ARCH_VIEWS * f, total = 0;
    size_t workspace_of_one = workspace_bytes(c, frames, rows);
    kept_room kept = keeps ? decoder_kept_room(c) : (kept_room){0};
    float *base, *views;
    const struct {
        float **slice;
        size_t floats;
    } slices[] = {{&s->pixels, images * image.pixels},
                  {&s->patches, images * image.patches},
                  {&s->tokens, images * image.tokens},
                  {&s->media, images * image.media},
                  {&s->embedded, f * text.embedded},
                  {&s->hidden, f * text.hidden},
                  {&s->normed, larger(images * image.normed, f * text.normed)},
                  {&s->wide, larger(images * image.wide, f * text.wide)},
                  {&s->mixed, larger(images * image.mixed, f * text.mixed)},
                  {&base, (size_t)threads * workspace_of_one / sizeof(float)},
                  {&s->kept_kv, kept.kv},
                  {&views, kept.views},
                  {&s->kept_text, kept.text},
                  {&s->kept_q, kept.q}};

    for (size_t i = 0; i < sizeof slices / sizeof *slices; i++) {
        *slices[i].slice = p && slices[i].floats ? p + total : NULL;
        total += padded(slices[i].floats);
    }
    s->ws = (workspace){threads, workspace_of_one, (char *)base};
    s->kept_views = (uint32_t *)(void *)views; /* zeros, as all of it: nothing is up to date */
    return total;
}

/* The same of everything. */
static size_t lay_out(cpu_work *w, const deer_config *c, int frames, int rows, bool keeps,
                      int threads, float *p)
{
    size_t state = padded(state_size(c)), own, backbone;

    if (rows == 0)
        return lay_out_backbone(c, frames, rows, keeps, threads, &w->backbone, p);
    if (p) {
        w->h = p;
        w->c = p + state;
        w->pooled = p + 2 * state;
    }
    own = 2 * state + padded((size_t)rows * (size_t)c->d_model);
    backbone = lay_out_backbone(c, frames, rows, keeps, threads, &w->backbone, p ? p + own : NULL);
    own += backbone + head_layout(c, rows, 0, &w->head, p ? p + own + backbone : NULL);
    w->head.ws = w->backbone.ws;
    return own;
}

static size_t need(const deer_config *config, int frames, int head_rows, bool keeps, int threads)
{
    cpu_work w;

    return sizeof w + lay_out(&w, config, frames, head_rows, keeps, threads, NULL) * sizeof(float);
}

static void close_work(void *work)
{
    cpu_work *w = work;

    if (w)
        free(w->arena);
    free(w);
}

static deer_status open_work(const deer_model *model, int frames, int head_rows, bool keeps,
                             void **work, deer_error *err)
{
    const deer_config *c = &model->config;
    int threads = threads_count();
    cpu_work *w = calloc(1, sizeof *w);

    *work = NULL;
    if (w) {
        w->model = model;
        w->arena_bytes = lay_out(w, c, frames, head_rows, keeps, threads, NULL) * sizeof *w->arena;
        w->arena = aligned_alloc(64, w->arena_bytes);
    }
    if (!w || !w->arena) {
        deer_fail(err, "out of memory for %d observation%s of %s at a time (%zu bytes)", frames,
                  frames == 1 ? "" : "s", c->name, w ? w->arena_bytes : sizeof *w);
        close_work(w);
        return DEER_FAILED;
    }
    if (head_rows)
        memset(w->arena, 0, w->arena_bytes); /* and so no step meets a page for the first time */
    lay_out(w, c, frames, head_rows, keeps, threads, w->arena);
    *work = w;
    return DEER_OK;
}

static size_t bytes(const void *work)
{
    const cpu_work *w = work;

    return sizeof *w + w->arena_bytes;
}

/* ---------------------------------------------------------------- backbone ----------------- */

static float *pixels(void *work)
{
    return ((cpu_work *)work)->backbone.pixels;
}

static float *embedded(void *work)
{
    return ((cpu_work *)work)->backbone.embedded;
}

typedef void images_job(const deer_model *model, backbone_scratch *s, int first, int images);

/* All images as one batch, or those of one camera one by one. */
static void on_images(cpu_work *w, int frames, unsigned views, images_job *job)
{
    if (views == BACKEND_BOTH) {
        job(w->model, &w->backbone, 0, ARCH_VIEWS * frames);
        return;
    }
    for (int i = 0; i < ARCH_VIEWS * frames; i++)
        if (views >> i % ARCH_VIEWS & 1)
            job(w->model, &w->backbone, i, 1);
}

static void see(void *work, int frames, unsigned views, deer_profile *profile)
{
    cpu_work *w = work;

    if (!views)
        return;
    on_images(w, frames, views, vision_run);
    profile_mark(profile, PROFILE_VISION);
    on_images(w, frames, views, resampler_run);
    profile_mark(profile, PROFILE_RESAMPLER);
    decoder_forget(&w->model->config, &w->backbone, views);
}

static size_t media_size(const deer_config *c)
{
    return (size_t)c->resampler_latents * (size_t)c->vision_width;
}

static void take_media(const void *work, int image, float *to)
{
    const cpu_work *w = work;
    size_t size = media_size(&w->model->config);

    memcpy(to, w->backbone.media + (size_t)image * size, size * sizeof *to);
}

static void give_media(void *work, int image, const float *from)
{
    cpu_work *w = work;
    size_t size = media_size(&w->model->config);

    memcpy(w->backbone.media + (size_t)image * size, from, size * sizeof *from);
    decoder_forget(&w->model->config, &w->backbone, 1u << image % ARCH_VIEWS);
}

static void tell(void *work, const backend_text *text)
{
    cpu_work *w = work;

    w->text = *text;
    decoder_start(w->model, &w->backbone, &w->text);
}

static void advance(void *work, int layer)
{
    cpu_work *w = work;

    decoder_layer(w->model, &w->backbone, layer, &w->text);
}

static void features(void *work, float *to, size_t apart)
{
    const cpu_work *w = work;
    int d = w->model->config.d_model;
    const float *hidden = w->backbone.hidden;

    for (int f = 0; f < w->text.frames; f++) {
        max_pool(to + (size_t)f * apart, hidden, w->text.tokens[f], d);
        hidden += (size_t)w->text.tokens[f] * (size_t)d;
    }
}

static const float *hidden(const void *work)
{
    return ((const cpu_work *)work)->backbone.hidden;
}

/* ---------------------------------------------------------------- head --------------------- */

static void pool(void *work, int row)
{
    cpu_work *w = work;

    features(work, w->pooled + (size_t)row * (size_t)w->model->config.d_model, 0);
}

static void begin(void *work)
{
    cpu_work *w = work;

    head_begin(w->model, &w->head, 1, w->h);
}

static void act(void *work, int rows, float *pose, float *gripper)
{
    cpu_work *w = work;

    head_run(w->model, &w->head, rows, 1, w->pooled, w->c, pose, gripper);
}

static void keep(void *work, int row)
{
    cpu_work *w = work;
    size_t state = state_size(&w->model->config), at = (size_t)row * state;

    memcpy(w->h, w->head.h + at, state * sizeof *w->h);
    memcpy(w->c, w->head.c + at, state * sizeof *w->c);
}

static void reset(void *work)
{
    cpu_work *w = work;
    size_t state = state_size(&w->model->config) * sizeof *w->h;

    memset(w->h, 0, state);
    memset(w->c, 0, state);
}

static backend_state state_of(const void *work)
{
    const cpu_work *w = work;

    return (backend_state){w->h, w->c};
}

const backend backend_cpu = {
    .name = "cpu",
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
};
