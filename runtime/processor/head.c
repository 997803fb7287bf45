/* SPDX-License-Identifier: MIT */
/* head.c - the action head, and the batched stand-alone head for replaying features. */
#include "runtime/processor/head.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/threads/threads.h"
#include "runtime/deer_replay.h"
#include "runtime/kernels/kernels.h"

static int widest_mlp(const deer_config *c)
{
    int widest = c->lstm_hidden > DEER_POSE ? c->lstm_hidden : DEER_POSE;

    for (int i = 0; i < c->head_mlp_layers; i++)
        widest = c->head_mlp[i] > widest ? c->head_mlp[i] : widest;
    return widest;
}

size_t head_layout(const deer_config *c, int rows, int threads, head_scratch *s, float *base)
{
    size_t n = (size_t)rows, h = (size_t)c->lstm_hidden, layers = (size_t)c->lstm_layers, total = 0;
    size_t mlp = n * (size_t)widest_mlp(c);
    size_t sizes[8] = {layers * n * 4 * h, n * 4 * h, n * h, n * layers * h,
                       n * layers * h,     mlp,       mlp,   0};
    float *workspace_base, **slices[8] = {&s->recurrent, &s->gates,  &s->out,    &s->h,
                                          &s->c,         &s->mlp[0], &s->mlp[1], &workspace_base};

    s->ws.parts = threads;
    s->ws.bytes = (workspace_linear(rows) + 63) / 64 * 64;
    sizes[7] = (size_t)threads * s->ws.bytes / sizeof(float);
    for (int i = 0; i < 8; i++) {
        *slices[i] = base ? base + total : NULL;
        total += (sizes[i] + 15) / 16 * 16;
    }
    s->ws.base = (char *)workspace_base;
    return total;
}

void head_begin(const deer_model *model, head_scratch *s, int n, const float *h)
{
    const deer_config *c = &model->config;
    int hidden = c->lstm_hidden, layers = c->lstm_layers;

    for (int l = 0; l < layers; l++) {
        const lstm_weights *w = &model->weights.head.lstm[l];
        float *to = s->recurrent + (size_t)l * (size_t)n * 4 * (size_t)hidden;
        linear_run(&s->ws, &(linear_job){.y = to,
                                         .x = h + (size_t)l * (size_t)hidden,
                                         .x_stride = (long)layers * hidden,
                                         .layer = &w->hh,
                                         .m = n});
        for (int i = 0; i < n; i++, to += 4 * hidden)
            for (int j = 0; j < 4 * hidden; j++)
                to[j] += w->ih.b[j];
    }
}

static void lstm_layer(const deer_model *model, head_scratch *s, int n, int states, int l,
                       const float *in, const float *c)
{
    const lstm_weights *w = &model->weights.head.lstm[l];
    size_t hidden = (size_t)model->config.lstm_hidden, layers = (size_t)model->config.lstm_layers;
    size_t gates = 4 * hidden;
    linear_layer ih = {.w = w->ih.w}; /* its bias is in the recurrent part */

    for (size_t i = 0; i < (size_t)n; i++)
        memcpy(s->gates + i * gates,
               s->recurrent + ((size_t)l * (size_t)states + (states > 1 ? i : 0)) * gates,
               gates * sizeof *s->gates);
    linear_add(&s->ws, s->gates, in, &ih, n);
    for (size_t i = 0; i < (size_t)n; i++) {
        size_t at = (i * layers + (size_t)l) * hidden;
        size_t before = ((states > 1 ? i : 0) * layers + (size_t)l) * hidden;
        lstm_cell(s->gates + i * gates, c + before, s->c + at, s->h + at, (int)hidden);
        memcpy(s->out + i * hidden, s->h + at, hidden * sizeof *s->out);
    }
    if (w->norm.w)
        layer_norm(s->out, s->out, w->norm.w, w->norm.b, n, (int)hidden);
}

static float sigmoid(float x)
{
    return 1 / (1 + expf(-x));
}

/* ReLU follows every hidden layer; where there are LayerNorms it follows them. */
static const float *mlp_run(const deer_config *c, const mlp_weights *m, head_scratch *s, int n)
{
    const float *in = s->out;
    int width;

    for (int i = 0; i < c->head_mlp_layers; i++) {
        float *to = s->mlp[i & 1];
        linear(&s->ws, to, in, &m->linear[i], n);
        width = c->head_mlp[i];
        if (c->head_mlp_layernorm)
            layer_norm(to, to, m->norm[i].w, m->norm[i].b, n, width);
        relu(to, n * width);
        in = to;
    }
    linear(&s->ws, s->mlp[c->head_mlp_layers & 1], in, &m->linear[c->head_mlp_layers], n);
    return s->mlp[c->head_mlp_layers & 1];
}

void head_run(const deer_model *model, head_scratch *s, int n, int states, const float *pooled,
              const float *c, float *pose, float *gripper)
{
    const deer_config *config = &model->config;
    const float *y;

    for (int l = 0; l < config->lstm_layers; l++)
        lstm_layer(model, s, n, states, l, l ? s->out : pooled, c);
    y = mlp_run(config, &model->weights.head.pose, s, n);
    for (int i = 0; i < n * DEER_POSE; i++)
        pose[i] = tanhf(y[i]);
    y = mlp_run(config, &model->weights.head.gripper, s, n);
    for (int i = 0; i < n; i++)
        gripper[i] = sigmoid(y[i]);
}

/* ---------------------------------------------------------------- stand-alone -------------- */

struct deer_head {
    const deer_model *model;
    deer_pool *pool; /* the caller's, or NULL */
    int batch;
    head_scratch scratch;
    float *arena;
};

static deer_status make_arena(deer_head *head, deer_error *err)
{
    const deer_config *c = &head->model->config;
    deer_pool *before = threads_enter(head->pool);
    int threads = threads_count();
    size_t floats = head_layout(c, head->batch, threads, &head->scratch, NULL);

    threads_leave(before);
    head->arena = aligned_alloc(64, floats * sizeof(float));
    if (!head->arena)
        return deer_fail(err, "out of memory for an action head of %d rows", head->batch);
    head_layout(c, head->batch, threads, &head->scratch, head->arena);
    return DEER_OK;
}

deer_status deer_head_new(const deer_model *model, int32_t batch, deer_pool *pool, deer_head **out,
                          deer_error *err)
{
    deer_head *head;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_head_new has nowhere to put the head");
    *out = NULL;
    if (!model || batch < 1 || batch > INT_MAX / (4 * widest_mlp(&model->config)))
        return deer_fail_with(DEER_USAGE, err, "cannot make an action head for %d rows%s", batch,
                              model ? "" : " without a model");
    head = calloc(1, sizeof *head);
    if (!head)
        return deer_fail(err, "out of memory for an action head");
    head->model = model;
    head->pool = pool;
    head->batch = batch;
    if (make_arena(head, err)) {
        free(head);
        return DEER_FAILED;
    }
    *out = head;
    return DEER_OK;
}

void deer_head_free(deer_head *head)
{
    if (head)
        free(head->arena);
    free(head);
}

deer_status deer_head_evaluate(deer_head *head, int32_t n, const float *pooled, const float *h,
                               const float *c, float *h_next, float *c_next, float *pose,
                               float *gripper, deer_error *err)
{
    const deer_config *config;
    deer_pool *before;
    size_t state;

    if (!head || !pooled || !h || !c || !pose || !gripper)
        return deer_fail_with(DEER_USAGE, err, "an evaluation of the head lacks an argument");
    if (n < 1 || n > head->batch)
        return deer_fail_with(DEER_USAGE, err, "%d rows for a head made for 1 to %d", n,
                              head->batch);
    config = &head->model->config;
    state = (size_t)n * (size_t)config->lstm_layers * (size_t)config->lstm_hidden;
    before = threads_enter(head->pool);
    head_begin(head->model, &head->scratch, n, h);
    head_run(head->model, &head->scratch, n, n, pooled, c, pose, gripper);
    threads_leave(before);
    if (h_next)
        memcpy(h_next, head->scratch.h, state * sizeof *h_next);
    if (c_next)
        memcpy(c_next, head->scratch.c, state * sizeof *c_next);
    return DEER_OK;
}
