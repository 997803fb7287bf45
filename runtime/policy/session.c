/* SPDX-License-Identifier: MIT */
/* session.c - one robot, step by step. */
#include "runtime/policy/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/half.h"
#include "runtime/base/threads.h"
#include "runtime/kernels/kernels.h"
#include "runtime/policy/exit_policy.h"
#include "runtime/thresholds/thresholds_format.h"

/* ---------------------------------------------------------------- life --------------------- */

static size_t padded(size_t floats)
{
    return (floats + 15) / 16 * 16;
}

/* Points the session's slices into p and returns how many floats they take; p may be NULL. */
static size_t lay_out(deer_session *s, const deer_config *c, int threads, float *p)
{
    size_t state = padded((size_t)c->lstm_layers * (size_t)c->lstm_hidden);
    size_t pooled = padded(HEAD_ROWS * (size_t)c->d_model), own = 2 * state + pooled, backbone;

    if (p) {
        s->h = p;
        s->c = p + state;
        s->pooled = p + 2 * state;
    }
    backbone = backbone_layout(c, threads, 1, &s->backbone, p ? p + own : NULL);
    own += backbone + head_layout(c, HEAD_ROWS, 0, &s->head, p ? p + own + backbone : NULL);
    s->head.ws = s->backbone.ws;
    return own;
}

static deer_status make_arena(deer_session *s, deer_error *err)
{
    const deer_config *c = &s->model->config;
    int threads = threads_count();

    s->arena_bytes = lay_out(s, c, threads, NULL) * sizeof(float);
    s->arena = aligned_alloc(64, s->arena_bytes);
    s->ids = calloc((size_t)c->max_text, sizeof *s->ids);
    if (!s->arena || !s->ids)
        return deer_fail(err, "out of memory for a session of %s (%zu bytes)", c->name,
                         s->arena_bytes);
    memset(s->arena, 0, s->arena_bytes);
    lay_out(s, c, threads, s->arena);
    return DEER_OK;
}

uint64_t deer_session_need(const deer_config *c, int32_t threads)
{
    deer_session s;

    if (!c || threads < 1)
        return 0;
    return sizeof s + lay_out(&s, c, threads, NULL) * sizeof(float) +
           (size_t)c->max_text * sizeof *s.ids;
}

deer_status session_make(deer_session *s, const deer_session_options *o, deer_error *err)
{
    deer_status status = image_pair_prepare(s->plan, &o->static_view, &o->gripper_view,
                                            s->model->config.image_size, err);

    if (!status)
        status = make_arena(s, err);
    threads_start(); /* not in the first step */
    return status;
}

deer_status session_adopt(deer_session *s, const deer_thresholds *t, deer_error *err)
{
    if (thresholds_check("these thresholds", t, err))
        return DEER_USAGE;
    if (thresholds_check_model("these thresholds", t, s->model, err))
        return DEER_FAILED;
    if (t->max_exit > s->model->max_exit)
        return deer_fail(err, "thresholds up to exit %d do not fit a model opened up to exit %d",
                         t->max_exit, s->model->max_exit);
    s->thresholds = *t;
    if (s->last_exit > t->max_exit)
        s->last_exit = t->max_exit; /* until the next decision: never deeper than allowed */
    return DEER_OK;
}

void session_reset(deer_session *s)
{
    const deer_config *c = &s->model->config;
    size_t state = (size_t)c->lstm_layers * (size_t)c->lstm_hidden * sizeof(float);

    memset(s->h, 0, state);
    memset(s->c, 0, state);
    s->step = 0;
    s->last_exit = 0;
    memset(s->done, 0, sizeof s->done);
}

/* ---------------------------------------------------------------- step --------------------- */

deer_status session_see(deer_session *s, const deer_observation *o, deer_error *err)
{
    const deer_config *c = &s->model->config;

    if (s->tokens == 0)
        return deer_fail_with(DEER_USAGE, err, "the session has no instruction yet");
    profile_start(s->profile);
    if (image_pair_preprocess(s->plan, o, c, s->backbone.pixels, err))
        return DEER_USAGE;
    profile_mark(s->profile, PROFILE_PREPROCESS);
    vision_run(s->model, &s->backbone, 1);
    profile_mark(s->profile, PROFILE_VISION);
    resampler_run(s->model, &s->backbone, 1);
    profile_mark(s->profile, PROFILE_RESAMPLER);
    session_start(s);
    profile_mark(s->profile, PROFILE_EMBEDDING);
    return DEER_OK;
}

/* The recurrent state that an evaluation left. */
typedef struct {
    const float *h, *c;
} head_state;

void session_start(deer_session *s)
{
    decoder_start(s->model, &s->backbone, &(backbone_text){1, &s->tokens, s->ids, s->tokens});
}

void session_layer(deer_session *s, int layer)
{
    decoder_layer(s->model, &s->backbone, layer,
                  &(backbone_text){1, &s->tokens, s->ids, s->tokens});
    profile_mark(s->profile, profile_layer(layer));
    if (s->observe)
        s->observe(s->observe_context, layer, s->backbone.hidden);
}

/* The feature of the present hidden state, into a row of pooled. */
static void pool(deer_session *s, int row)
{
    int d = s->model->config.d_model;

    max_pool(s->pooled + (long)row * d, s->backbone.hidden, s->tokens, d);
}

/* The head on `rows` rows of pooled; the last one's action becomes a's. Returns the state after it.
 */
static head_state evaluate(deer_session *s, int rows, deer_action *a,
                           float pose[HEAD_ROWS][DEER_POSE])
{
    const deer_config *c = &s->model->config;
    size_t state = (size_t)(rows - 1) * (size_t)c->lstm_layers * (size_t)c->lstm_hidden;
    float gripper[HEAD_ROWS];

    head_run(s->model, &s->head, rows, 1, s->pooled, s->c, pose[0], gripper);
    memcpy(a->pose, pose[rows - 1], sizeof a->pose);
    a->gripper_probability = gripper[rows - 1];
    a->head_evaluations += rows;
    profile_mark(s->profile, PROFILE_HEAD);
    return (head_state){s->head.h + state, s->head.c + state};
}

/* Runs layers and compares exits until two agree. The pseudo exit (the layer before the first exit)
 * and the first exit are needed whatever happens: the head takes them together. */
static head_state decide(deer_session *s, deer_action *a)
{
    const deer_config *c = &s->model->config;
    const deer_thresholds *t = &s->thresholds;
    float pose[HEAD_ROWS][DEER_POSE];
    deer_exit_trial trial;
    head_state after;
    int layer = 0;

    for (; layer < c->exit_layers[0]; layer++)
        session_layer(s, layer);
    pool(s, 0);
    for (int k = 0;; k++) {
        for (; layer <= c->exit_layers[k]; layer++)
            session_layer(s, layer);
        pool(s, k == 0);
        after = evaluate(s, k ? 1 : 2, a, pose);
        if (k == 0)
            deer_exit_trial_begin(&trial, t->criterion, t->score, s->done, pose[0]);
        a->delta[k] = deer_exit_trial_next(&trial, a->pose, a->gripper_probability);
        a->exit = k;
        if (exit_policy_stop(t, k, a->delta[k]))
            return after;
    }
}

/* Between decisions: the exit of the last one, without a test. */
static head_state repeat_exit(deer_session *s, deer_action *a)
{
    float pose[HEAD_ROWS][DEER_POSE];

    a->exit = s->last_exit;
    for (int layer = 0; layer <= s->model->config.exit_layers[a->exit]; layer++)
        session_layer(s, layer);
    pool(s, 0);
    return evaluate(s, 1, a, pose);
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

deer_status session_act(deer_session *s, deer_action *a, deer_error *err)
{
    const deer_config *c = &s->model->config;
    size_t state = (size_t)c->lstm_layers * (size_t)c->lstm_hidden * sizeof(float);
    head_state after;

    *a = (deer_action){0};
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        a->delta[k] = NAN;
    head_begin(s->model, &s->head, 1, s->h);
    profile_mark(s->profile, PROFILE_HEAD_BEGIN);
    if (s->step % s->thresholds.steps_per_stage == 0)
        after = decide(s, a);
    else
        after = repeat_exit(s, a);
    if (!is_finite(a))
        return deer_fail(err, "the policy's action is not finite; its state is left as it was");
    /* The state kept is the one made by the exit's feature alone. */
    memcpy(s->h, after.h, state);
    memcpy(s->c, after.c, state);
    memcpy(s->done, a->pose, sizeof s->done);
    s->last_exit = a->exit;
    s->step++;
    finish_action(c, a);
    return DEER_OK;
}
