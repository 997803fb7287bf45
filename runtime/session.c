/* session.c - one robot, step by step. */
#include "runtime/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/exit_policy.h"
#include "runtime/half.h"
#include "runtime/kernels.h"

/* ---------------------------------------------------------------- life --------------------- */

static size_t padded(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

static deer_status make_arena(deer_session *s, deer_error *err)
{
    const deer_config *c = &s->model->config;
    size_t state = padded((size_t)c->lstm_layers * (size_t)c->lstm_hidden);
    size_t d = padded((size_t)c->d_model), backbone = backbone_layout(c, &s->backbone, NULL);
    size_t floats = 2 * state + d + backbone + head_layout(c, 1, &s->head, NULL);
    float *p;

    s->arena_bytes = floats * sizeof(float);
    s->arena = aligned_alloc(64, s->arena_bytes);
    s->ids = calloc((size_t)c->max_text, sizeof *s->ids);
    if (!s->arena || !s->ids)
        return deer_fail(err, "out of memory for a session of %s (%zu bytes)", c->name,
                         s->arena_bytes);
    memset(s->arena, 0, s->arena_bytes);
    p = s->arena;
    s->h = p, p += state;
    s->c = p, p += state;
    s->pooled = p, p += d;
    backbone_layout(c, &s->backbone, p);
    head_layout(c, 1, &s->head, p + backbone);
    return DEER_OK;
}

deer_status deer_session_new(const deer_model *model, const deer_thresholds *thresholds,
                             deer_session **out, deer_error *err)
{
    deer_session *s = calloc(1, sizeof *s);

    *out = NULL;
    if (!s)
        return deer_fail(err, "out of memory for a session");
    s->model = model;
    if (make_arena(s, err) || deer_session_set_thresholds(s, thresholds, err)) {
        deer_session_free(s);
        return DEER_FAILED;
    }
    deer_session_reset(s);
    *out = s;
    return DEER_OK;
}

void deer_session_free(deer_session *s)
{
    if (!s)
        return;
    image_plan_free(&s->plan[0]);
    image_plan_free(&s->plan[1]);
    free(s->ids);
    free(s->arena);
    free(s);
}

deer_status deer_session_set_thresholds(deer_session *s, const deer_thresholds *t, deer_error *err)
{
    if (strcmp(t->model_fingerprint, s->model->fingerprint))
        return deer_fail(err, "the thresholds are for another model (%.12s..., this is %.12s...)",
                         t->model_fingerprint, s->model->fingerprint);
    if (t->max_exit < 0 || t->max_exit > s->model->max_exit || t->steps_per_stage < 1)
        return deer_fail(err, "thresholds up to exit %d do not fit a model opened up to exit %d",
                         t->max_exit, s->model->max_exit);
    if ((unsigned)t->criterion > DEER_CRITERION_COMBINED)
        return deer_fail(err, "the thresholds name no criterion that exists");
    s->thresholds = *t;
    if (s->last_exit > t->max_exit)
        s->last_exit = t->max_exit; /* until the next decision: never deeper than allowed */
    return DEER_OK;
}

deer_status deer_session_set_budget(deer_session *s, double average_gflops, deer_error *err)
{
    return deer_thresholds_set_budget(&s->thresholds, average_gflops, err);
}

void deer_session_reset(deer_session *s)
{
    const deer_config *c = &s->model->config;
    size_t state = (size_t)c->lstm_layers * (size_t)c->lstm_hidden * sizeof(float);

    memset(s->h, 0, state);
    memset(s->c, 0, state);
    s->step = 0;
    s->last_exit = 0;
    memset(s->done, 0, sizeof s->done);
}

deer_status deer_session_set_instruction(deer_session *s, const char *instruction, deer_error *err)
{
    int count;

    if (!s->model->words)
        return deer_fail(err, "model %s holds no tokenizer; give it token ids",
                         s->model->config.name);
    count = tokenizer_prompt(s->model->words, instruction, s->ids, s->model->config.max_text, err);
    if (count < 0)
        return DEER_FAILED;
    s->tokens = count;
    deer_session_reset(s);
    return DEER_OK;
}

deer_status deer_session_set_tokens(deer_session *s, const int32_t *ids, int count, deer_error *err)
{
    const deer_config *c = &s->model->config;

    if (count < 1)
        return deer_fail(err, "an instruction needs at least one token");
    for (int i = 0; i < count; i++)
        if (ids[i] < 0 || ids[i] >= c->vocab)
            return deer_fail(err, "token id %d lies outside the vocabulary of %d", (int)ids[i],
                             c->vocab);
    s->tokens = count < c->max_text ? count : c->max_text;
    memcpy(s->ids, ids, (size_t)s->tokens * sizeof *s->ids);
    deer_session_reset(s);
    return DEER_OK;
}

int deer_session_tokens(const deer_session *s)
{
    return s->tokens;
}

const float *deer_session_lstm_h(const deer_session *s)
{
    return s->h;
}

const float *deer_session_lstm_c(const deer_session *s)
{
    return s->c;
}

size_t deer_session_bytes(const deer_session *s)
{
    return sizeof *s + s->arena_bytes + (size_t)s->model->config.max_text * sizeof *s->ids +
           image_plan_bytes(&s->plan[0]) + image_plan_bytes(&s->plan[1]);
}

/* ---------------------------------------------------------------- step --------------------- */

deer_status session_see(deer_session *s, const deer_observation *o, deer_error *err)
{
    const deer_config *c = &s->model->config;
    const deer_image *view[2] = {&o->static_view, &o->gripper_view};
    size_t pixels = 3 * (size_t)c->image_size * (size_t)c->image_size;

    if (s->tokens == 0)
        return deer_fail(err, "the session has no instruction yet");
    if (!view[0]->rgb || !view[1]->rgb)
        return deer_fail(err, "an observation lacks an image");
    for (int i = 0; i < 2; i++) {
        if (image_plan_prepare(&s->plan[i], view[i]->height, view[i]->width, c->image_size, err))
            return DEER_FAILED;
        image_preprocess(&s->plan[i], view[i], c->image_size, c->image_mean, c->image_std,
                         s->backbone.pixels + (size_t)i * pixels);
    }
    vision_run(s->model, &s->backbone);
    resampler_run(s->model, &s->backbone);
    decoder_start(s->model, &s->backbone, s->ids, s->tokens);
    return DEER_OK;
}

static void run_layer(deer_session *s, int layer)
{
    decoder_layer(s->model, &s->backbone, layer, s->ids, s->tokens);
    if (s->observe)
        s->observe(s->observe_context, layer, s->backbone.hidden);
}

/* The head on the present hidden state. */
static void evaluate(deer_session *s, deer_action *a, float pose[DEER_POSE])
{
    max_pool(s->pooled, s->backbone.hidden, s->tokens, s->model->config.d_model);
    head_run(s->model, &s->head, 1, s->pooled, s->c, pose, &a->gripper_probability);
    a->head_evaluations++;
}

/* Runs layers and compares exits until two agree; leaves the last evaluation in the head's scratch.
 */
static void decide(deer_session *s, deer_action *a)
{
    const deer_config *c = &s->model->config;
    const deer_thresholds *t = &s->thresholds;
    float pseudo[DEER_POSE];
    exit_trial trial;
    int layer = 0;

    for (; layer < c->exit_layers[0]; layer++)
        run_layer(s, layer);
    evaluate(s, a, pseudo); /* the pseudo exit: the layer before the first exit */
    exit_trial_begin(&trial, t->criterion, t->score, s->done, pseudo);
    for (int k = 0;; k++) {
        for (; layer <= c->exit_layers[k]; layer++)
            run_layer(s, layer);
        evaluate(s, a, a->pose);
        a->delta[k] = exit_trial_next(&trial, a->pose, a->gripper_probability);
        a->exit = k;
        if (exit_policy_stop(t, k, a->delta[k]))
            return;
    }
}

/* Between decisions: the exit of the last one, without a test. */
static void repeat_exit(deer_session *s, deer_action *a)
{
    a->exit = s->last_exit;
    for (int layer = 0; layer <= s->model->config.exit_layers[a->exit]; layer++)
        run_layer(s, layer);
    evaluate(s, a, a->pose);
}

/* The official code hands the robot float16 numbers. */
static void finish_action(const deer_config *c, deer_action *a)
{
    for (int i = 0; i < DEER_POSE; i++)
        a->command[i] = half_to_float(half_from_float(a->pose[i]));
    a->command[DEER_POSE] = a->gripper_probability > 0.5f ? 1 : -1;
    a->exit_layer = c->exit_layers[a->exit];
}

/* Finite weights can still overflow; a robot must not be sent there. */
static bool is_finite(const deer_action *a)
{
    bool finite = isfinite(a->gripper_probability);

    for (int i = 0; i < DEER_POSE; i++)
        finite = finite && isfinite(a->pose[i]);
    return finite;
}

deer_status deer_step(deer_session *s, const deer_observation *observation, deer_action *a,
                      deer_error *err)
{
    const deer_config *c = &s->model->config;
    size_t state = (size_t)c->lstm_layers * (size_t)c->lstm_hidden * sizeof(float);

    *a = (deer_action){0};
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        a->delta[k] = NAN;
    if (session_see(s, observation, err))
        return DEER_FAILED;
    head_begin(s->model, &s->head, 1, s->h);
    if (s->step % s->thresholds.steps_per_stage == 0)
        decide(s, a);
    else
        repeat_exit(s, a);
    if (!is_finite(a))
        return deer_fail(err, "the policy's action is not finite; its state is left as it was");
    /* The state kept is the one made by the exit's feature alone. */
    memcpy(s->h, s->head.h, state);
    memcpy(s->c, s->head.c, state);
    memcpy(s->done, a->pose, sizeof s->done);
    s->last_exit = a->exit;
    s->step++;
    finish_action(c, a);
    return DEER_OK;
}

deer_status deer_step_features(deer_session *s, const deer_observation *observation, float *pooled,
                               deer_error *err)
{
    const deer_config *c = &s->model->config;
    int last = s->model->max_exit, next = 0;

    if (session_see(s, observation, err))
        return DEER_FAILED;
    for (int layer = 0; layer <= c->exit_layers[last]; layer++) {
        run_layer(s, layer);
        if (layer != c->exit_layers[0] - 1 && layer != c->exit_layers[next])
            continue;
        max_pool(pooled, s->backbone.hidden, s->tokens, c->d_model);
        pooled += c->d_model;
        next += layer == c->exit_layers[next];
    }
    return DEER_OK;
}
