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
#include "runtime/policy/instruction.h"
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

size_t deer_session_need(const deer_config *c, int threads)
{
    deer_session s;

    return sizeof s + lay_out(&s, c, threads, NULL) * sizeof(float) +
           (size_t)c->max_text * sizeof *s.ids;
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
    if (thresholds_check_model("these thresholds", t, s->model, err))
        return DEER_FAILED;
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
    deer_status status =
        instruction_from_text(s->model, instruction, s->ids, &s->tokens, s->backbone.embedded, err);

    if (!status)
        deer_session_reset(s);
    return status;
}

deer_status deer_session_set_tokens(deer_session *s, const int32_t *ids, int count, deer_error *err)
{
    deer_status status =
        instruction_from_ids(s->model, ids, count, s->ids, &s->tokens, s->backbone.embedded, err);

    if (!status)
        deer_session_reset(s);
    return status;
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

    if (s->tokens == 0)
        return deer_fail(err, "the session has no instruction yet");
    profile_start(s->profile);
    if (image_pair_preprocess(s->plan, o, c, s->backbone.pixels, err))
        return DEER_FAILED;
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
    exit_trial trial;
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
            exit_trial_begin(&trial, t->criterion, t->score, s->done, pose[0]);
        a->delta[k] = exit_trial_next(&trial, a->pose, a->gripper_probability);
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

static void clear(deer_action *a)
{
    *a = (deer_action){0};
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        a->delta[k] = NAN;
}

deer_status session_act(deer_session *s, deer_action *a, deer_error *err)
{
    const deer_config *c = &s->model->config;
    size_t state = (size_t)c->lstm_layers * (size_t)c->lstm_hidden * sizeof(float);
    head_state after;

    clear(a);
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

deer_status deer_step(deer_session *s, const deer_observation *observation, deer_action *a,
                      deer_error *err)
{
    clear(a);
    return session_see(s, observation, err) ? DEER_FAILED : session_act(s, a, err);
}
