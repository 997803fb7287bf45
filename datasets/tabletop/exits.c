/* SPDX-License-Identifier: MIT */
/* exits.c - exits chosen from outside. */
#include "datasets/tabletop/exits.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/random.h"
#include "runtime/base/threads/threads.h"
#include "runtime/deer_replay.h"

struct exits_chooser {
    exits_control control;
    const deer_model *model;
    int exits;
    deer_thresholds *fixed[DEER_MAX_EXITS];
    uint64_t random;
    int step, last; /* exit of the step before */

    /* Of those who look: features of an observation, and the head for every exit at once. */
    deer_batch *batch;
    deer_head *head;
    float *pooled; /* [1 + exits, d_model] */
    float *h, *c;  /* [exits, state] */
};

/* ---------------------------------------------------------------- life --------------------- */

bool exits_look(const exits_control *control)
{
    return control->kind == EXITS_ORACLE || control->kind == EXITS_EXPERT;
}

static size_t state_size(const deer_config *c)
{
    return (size_t)c->lstm_layers * (size_t)c->lstm_hidden;
}

static deer_status make_eyes(exits_chooser *x, deer_error *err)
{
    const deer_camera camera = {.width = TABLETOP_IMAGE, .height = TABLETOP_IMAGE};
    const deer_config *c = deer_model_config(x->model);
    size_t n = (size_t)x->exits;

    x->pooled = malloc((1 + n) * (size_t)c->d_model * sizeof *x->pooled);
    x->h = malloc(n * state_size(c) * sizeof *x->h);
    x->c = malloc(n * state_size(c) * sizeof *x->c);
    if (!x->pooled || !x->h || !x->c)
        return deer_fail(err, "out of memory for the actions of %d exits", x->exits);
    if (deer_batch_new(x->model, 1, threads_single(), &x->batch, err) ||
        deer_batch_set_cameras(x->batch, &camera, &camera, err))
        return DEER_FAILED;
    return deer_head_new(x->model, x->exits, threads_single(), &x->head, err);
}

deer_status exits_chooser_new(const exits_control *control, const deer_model *model,
                              const deer_camera_rules *cameras, exits_chooser **out,
                              deer_error *err)
{
    exits_chooser *x = calloc(1, sizeof *x);
    deer_status status = DEER_OK;

    *out = NULL;
    if (!x)
        return deer_fail(err, "out of memory for a choice of exits");
    x->control = *control;
    x->model = model;
    x->exits = deer_model_max_exit(model) + 1;
    for (int k = 0; k < x->exits && !status; k++) {
        status = deer_thresholds_fixed(model, k, &x->fixed[k], err);
        if (!status && !exits_look(control)) /* who is blind tests nothing */
            x->fixed[k]->rule =
                (deer_exit_rule){.kind = DEER_RULE_SCHEDULE, .steps = 1, .pattern = {(uint8_t)k}};
        if (!status && cameras)
            x->fixed[k]->cameras = *cameras;
    }
    if (!status && exits_look(control))
        status = make_eyes(x, err);
    if (status)
        exits_chooser_free(x);
    else
        *out = x;
    return status;
}

void exits_chooser_free(exits_chooser *x)
{
    if (!x)
        return;
    for (int k = 0; k < x->exits; k++)
        deer_thresholds_free(x->fixed[k]);
    deer_batch_free(x->batch);
    deer_head_free(x->head);
    free(x->pooled);
    free(x->h);
    free(x->c);
    free(x);
}

deer_status exits_begin(exits_chooser *x, const char *instruction, uint64_t seed, deer_error *err)
{
    x->random = seed;
    x->step = 0;
    return x->batch ? deer_batch_set_instruction(x->batch, instruction, err) : DEER_OK;
}

/* ---------------------------------------------------------------- blind -------------------- */

/* One of n by their probabilities, which sum to 1. */
static int draw(const double *probability, int n, uint64_t *random)
{
    double x = random_unit(random);
    int i = 0;

    while (i < n - 1 && x >= probability[i])
        x -= probability[i++];
    return i;
}

/* ---------------------------------------------------------------- looking ------------------ */

double exits_distance(const float pose[DEER_POSE], float gripper, const float other[DEER_COMMAND])
{
    static const double gripper_weight = 0.2;
    double sum = 0;

    for (int i = 0; i < DEER_POSE; i++)
        sum += ((double)pose[i] - (double)other[i]) * ((double)pose[i] - (double)other[i]);
    return sqrt(sum / DEER_POSE) +
           ((gripper > 0.5f) != (other[DEER_POSE] > 0) ? gripper_weight : 0);
}

static int first_near(const exits_control *control, int exits, const float *pose,
                      const float *gripper)
{
    float deepest[DEER_COMMAND];
    int k = 0;

    memcpy(deepest, pose + (exits - 1) * DEER_POSE, DEER_POSE * sizeof *deepest);
    deepest[DEER_POSE] = gripper[exits - 1] > 0.5f ? 1 : -1;
    while (k < exits - 1 &&
           !(exits_distance(pose + k * DEER_POSE, gripper[k], deepest) <= control->amount))
        k++;
    return k;
}

int exits_best(const exits_control *control, const deer_model *model, const float *pose,
               const float *gripper, const float expert[DEER_COMMAND])
{
    const int32_t *layer = deer_model_config(model)->exit_layers;
    int exits = deer_model_max_exit(model) + 1, best = 0;
    double least = INFINITY;

    if (control->kind == EXITS_ORACLE)
        return first_near(control, exits, pose, gripper);
    for (int k = 0; k < exits; k++) {
        double depth = (layer[k] + 1.0) / (layer[exits - 1] + 1.0);
        double loss = exits_distance(pose + k * DEER_POSE, gripper[k], expert);

        if (loss + control->amount * depth < least) {
            least = loss + control->amount * depth;
            best = k;
        }
    }
    return best;
}

/* Every exit's action from the session's state. */
static deer_status look(exits_chooser *x, const deer_session *session, const deer_observation *seen,
                        float *pose, float *gripper, deer_error *err)
{
    const deer_config *config = deer_model_config(x->model);
    size_t state = state_size(config);
    int32_t count;

    for (int k = 0; k < x->exits; k++) {
        memcpy(x->h + (size_t)k * state, deer_session_lstm_h(session), state * sizeof *x->h);
        memcpy(x->c + (size_t)k * state, deer_session_lstm_c(session), state * sizeof *x->c);
    }
    if (deer_batch_add(x->batch, seen, err) || deer_batch_run(x->batch, x->pooled, &count, err))
        return DEER_FAILED;
    return deer_head_evaluate(x->head, x->exits, x->pooled + config->d_model, x->h, x->c, NULL,
                              NULL, pose, gripper, err);
}

static deer_status choose_by_look(exits_chooser *x, const deer_session *session,
                                  const deer_observation *seen, const tabletop *world, int *exit,
                                  deer_error *err)
{
    float pose[DEER_MAX_EXITS * DEER_POSE], gripper[DEER_MAX_EXITS], expert[DEER_COMMAND];

    if (look(x, session, seen, pose, gripper, err))
        return DEER_FAILED;
    tabletop_expert(world, expert);
    *exit = exits_best(&x->control, x->model, pose, gripper, expert);
    return DEER_OK;
}

/* ---------------------------------------------------------------- choosing ----------------- */

deer_status exits_choose(exits_chooser *x, deer_session *session, const deer_observation *seen,
                         const tabletop *world, deer_error *err)
{
    const exits_control *how = &x->control;
    int exit = 0;

    if (how->kind == EXITS_PERIODIC)
        exit = how->pattern[x->step % how->length];
    else if (how->kind == EXITS_MARKOV && x->step > 0)
        exit = draw(how->next[x->last], x->exits, &x->random);
    else if (!exits_look(how))
        exit = draw(how->first, x->exits, &x->random);
    else if (choose_by_look(x, session, seen, world, &exit, err))
        return DEER_FAILED;
    x->step++;
    x->last = exit;
    return deer_session_set_thresholds(session, x->fixed[exit], err);
}
