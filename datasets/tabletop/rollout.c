/* SPDX-License-Identifier: MIT */
/* rollout.c - one episode at a time: recording and judging. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "datasets/tabletop/rollout.h"
#include "runtime/base/clock.h"
#include "runtime/base/random.h"
#include "runtime/base/threads/threads.h"

enum { PIXELS = TABLETOP_IMAGE * TABLETOP_IMAGE * 3 };

deer_status rollout_session(const deer_model *model, const deer_thresholds *thresholds,
                            deer_session **session, deer_error *err)
{
    const deer_camera camera = {.width = TABLETOP_IMAGE, .height = TABLETOP_IMAGE};
    const deer_session_options options = {.size = sizeof options,
                                          .pool = threads_single(), /* stages run side by side */
                                          .static_view = camera,
                                          .gripper_view = camera};

    return deer_session_new(model, thresholds, &options, session, err);
}

deer_status rollout_stage_open(rollout_stage *stage, const deer_model *model,
                               const deer_thresholds *thresholds, deer_error *err)
{
    memset(stage, 0, sizeof *stage);
    stage->model = model;
    if (tabletop_new(&stage->world, err) || tabletop_renderer_new(stage->world, &stage->eye, err) ||
        (model && rollout_session(model, thresholds, &stage->session, err))) {
        rollout_stage_close(stage);
        return DEER_FAILED;
    }
    return DEER_OK;
}

void rollout_stage_close(rollout_stage *stage)
{
    if (stage->session)
        deer_session_free(stage->session);
    exits_chooser_free(stage->chooser);
    tabletop_renderer_free(stage->eye);
    tabletop_free(stage->scratch);
    tabletop_free(stage->world);
    memset(stage, 0, sizeof *stage);
}

uint64_t rollout_seed(uint64_t seed, int number)
{
    uint64_t mix = seed;

    mix = random_next(&mix) + (uint64_t)number;
    return random_next(&mix);
}

static void dim(uint8_t *rgb, double light)
{
    for (int i = 0; i < PIXELS; i++)
        rgb[i] = (uint8_t)(light * rgb[i]);
}

static void look(rollout_stage *stage)
{
    tabletop_render(stage->eye, stage->world, TABLETOP_STATIC, TABLETOP_IMAGE, stage->static_rgb);
    tabletop_render(stage->eye, stage->world, TABLETOP_GRIPPER, TABLETOP_IMAGE, stage->gripper_rgb);
    if (stage->light > 0) {
        dim(stage->static_rgb, stage->light);
        dim(stage->gripper_rgb, stage->light);
    }
}

static deer_observation observation(const rollout_stage *stage)
{
    return (deer_observation){{stage->static_rgb, PIXELS}, {stage->gripper_rgb, PIXELS}};
}

static deer_status act(rollout_stage *stage, deer_action *action, deer_error *err)
{
    deer_observation seen = observation(stage);

    return stage->remote ? stage->remote->act(stage->remote->context, &seen, action, err)
                         : deer_step(stage->session, &seen, action, err);
}

deer_status rollout_act(rollout_stage *stage, deer_action *action, deer_error *err)
{
    look(stage);
    return act(stage, action, err);
}

/* ---------------------------------------------------------------- recording ---------------- */

static deer_status episode_allocate(demo_episode *e, deer_error *err)
{
    e->static_height = e->static_width = e->gripper_height = e->gripper_width = TABLETOP_IMAGE;
    e->object_size = TABLETOP_OBJECT_SIZE;
    e->static_rgb = malloc((size_t)TABLETOP_MAX_STEPS * PIXELS);
    e->gripper_rgb = malloc((size_t)TABLETOP_MAX_STEPS * PIXELS);
    e->actions = malloc(TABLETOP_MAX_STEPS * DEMO_ACTION * sizeof *e->actions);
    e->object = malloc(TABLETOP_MAX_STEPS * TABLETOP_OBJECT_SIZE * sizeof *e->object);
    if (e->static_rgb && e->gripper_rgb && e->actions && e->object)
        return DEER_OK;
    demo_episode_free(e);
    return deer_fail(err, "out of memory for an episode");
}

static deer_status record_step(rollout_stage *stage, double noise, demo_episode *e, deer_error *err)
{
    size_t t = (size_t)e->steps++;
    float executed[DEER_COMMAND];
    deer_action action;

    look(stage);
    memcpy(e->static_rgb + t * PIXELS, stage->static_rgb, PIXELS);
    memcpy(e->gripper_rgb + t * PIXELS, stage->gripper_rgb, PIXELS);
    tabletop_objects(stage->world, e->object + t * TABLETOP_OBJECT_SIZE);
    tabletop_expert(stage->world, e->actions + t * DEMO_ACTION);
    memcpy(executed, e->actions + t * DEMO_ACTION, sizeof executed);
    if (stage->session) {
        if (act(stage, &action, err))
            return DEER_FAILED;
        memcpy(executed, action.command, sizeof executed);
    }
    if (noise > 0)
        tabletop_perturb(stage->world, noise, executed);
    tabletop_step(stage->world, executed);
    return DEER_OK;
}

deer_status rollout_record(rollout_stage *stage, uint64_t seed, const rollout_recording *how,
                           demo_episode *e, bool *succeeded, deer_error *err)
{
    static const double levels[3] = {0, 0.5, 1};
    /* Of the task, too: episodes of one number share their seed, and should have nothing else in
     * common. */
    uint64_t draw = rollout_seed(seed, tabletop_task(stage->world));
    double noise = how->noise * levels[random_below(&draw, 3)];
    int limit = how->keep_steps > 0 ? how->keep_steps : TABLETOP_MAX_STEPS;

    memset(e, 0, sizeof *e);
    *succeeded = false;
    if (episode_allocate(e, err))
        return DEER_FAILED;
    strncpy(e->instruction, tabletop_instruction(stage->world), sizeof e->instruction - 1);
    strncpy(e->task, tabletop_task_name(tabletop_task(stage->world)), sizeof e->task - 1);
    e->seed = seed;
    if (stage->session && deer_session_set_instruction(stage->session, e->instruction, err)) {
        demo_episode_free(e);
        return DEER_FAILED;
    }
    while (!*succeeded && e->steps < limit && e->steps < TABLETOP_MAX_STEPS) {
        if (record_step(stage, noise, e, err)) {
            demo_episode_free(e);
            return DEER_FAILED;
        }
        *succeeded = tabletop_succeeded(stage->world);
    }
    return DEER_OK;
}

/* ---------------------------------------------------------------- judging ------------------ */

/* Whether a camera's share says that it is encoded at this step. */
static bool draw_view(rollout_stage *stage, int view, bool first)
{
    bool due;

    if (!stage->evenly)
        return random_uniform(&stage->random, 0, 1) < stage->encode[view];
    stage->owed[view] += stage->encode[view];
    due = first || stage->owed[view] >= 1;
    stage->owed[view] -= due;
    return due;
}

/* Which cameras are encoded. At the first step both are, whatever is drawn. */
static deer_status draw_views(rollout_stage *stage, bool first, deer_error *err)
{
    unsigned views = 0;

    for (int i = 0; i < 2; i++)
        views |= (unsigned)draw_view(stage, i, first) << i;
    return deer_session_set_thresholds(stage->session, stage->by_views[views], err);
}

int rollout_allowed(double factor, int expert_steps)
{
    int steps = (int)fmin(factor * expert_steps + 1e-9, TABLETOP_MAX_STEPS);

    if (factor <= 0 || expert_steps <= 0)
        return TABLETOP_MAX_STEPS;
    return steps < ROLLOUT_LEAST_ALLOWED ? ROLLOUT_LEAST_ALLOWED : steps;
}

/* Notes what a step did; last: the exit of the one before, -1 at the first step. */
static void note_step(const rollout_stage *stage, const deer_action *a, int last,
                      rollout_outcome *outcome)
{
    outcome->exits[tabletop_phase_of(stage->world)][a->exit]++;
    outcome->step[outcome->steps] =
        (rollout_step){(uint8_t)a->exit, (uint8_t)a->head_evaluations,
                       (uint8_t)((a->static_age == 0) | (a->gripper_age == 0) << 1)};
    if (last >= 0)
        outcome->follows[last][a->exit]++;
    else
        outcome->first = a->exit;
}

static deer_status choose_exit(rollout_stage *stage, deer_error *err)
{
    deer_observation seen = observation(stage);

    return stage->chooser ? exits_choose(stage->chooser, stage->session, &seen, stage->world, err)
                          : DEER_OK;
}

/* *exit: taken at the step before, and then at this one. */
static deer_status judge_step(rollout_stage *stage, int *exit, rollout_outcome *outcome,
                              deer_error *err)
{
    deer_action action = {{0}};
    double started;

    if (stage->session || stage->remote) {
        look(stage);
        if (choose_exit(stage, err))
            return DEER_FAILED;
        if (stage->by_views && draw_views(stage, *exit < 0, err))
            return DEER_FAILED;
        started = clock_seconds();
        if (act(stage, &action, err))
            return DEER_FAILED;
        outcome->policy_seconds += clock_seconds() - started;
        note_step(stage, &action, *exit, outcome);
        *exit = action.exit;
    } else {
        tabletop_expert(stage->world, action.command);
    }
    if (stage->noise > 0)
        tabletop_perturb(stage->world, stage->noise, action.command);
    tabletop_step(stage->world, action.command);
    outcome->steps++;
    outcome->succeeded = tabletop_succeeded(stage->world);
    if (!outcome->harm)
        outcome->harm = tabletop_harm_done(stage->world);
    return DEER_OK;
}

/* Before the first step. */
static deer_status begin_judging(rollout_stage *stage, rollout_outcome *outcome, deer_error *err)
{
    uint64_t seed = tabletop_draw(stage->world);

    memset(outcome, 0, sizeof *outcome);
    if (!stage->scratch && tabletop_new(&stage->scratch, err))
        return DEER_FAILED;
    outcome->task = tabletop_task(stage->world);
    outcome->expert_steps = tabletop_expert_steps(stage->world, stage->scratch);
    stage->random = seed;
    stage->owed[0] = stage->owed[1] = 0;
    if (stage->chooser &&
        exits_begin(stage->chooser, tabletop_instruction(stage->world), seed, err))
        return DEER_FAILED;
    if (stage->session) {
        if (deer_session_set_instruction(stage->session, tabletop_instruction(stage->world), err))
            return DEER_FAILED;
        outcome->tokens = deer_session_tokens(stage->session);
    }
    if (stage->remote)
        return stage->remote->begin(stage->remote->context, tabletop_instruction(stage->world),
                                    tabletop_task_name(outcome->task), err);
    return DEER_OK;
}

deer_status rollout_judge(rollout_stage *stage, double strict, rollout_outcome *outcome,
                          deer_error *err)
{
    int allowed, exit = -1;

    if (begin_judging(stage, outcome, err))
        return DEER_FAILED;
    allowed = rollout_allowed(strict, outcome->expert_steps);
    while (!outcome->succeeded && outcome->steps < allowed && !(strict > 0 && outcome->harm))
        if (judge_step(stage, &exit, outcome, err))
            return DEER_FAILED;
    if (strict > 0 && outcome->harm)
        outcome->succeeded = false;
    return DEER_OK;
}

void wilson_interval(int successes, int trials, double *low, double *high)
{
    const double z = 1.959964;
    double n = trials, p = successes / n, scale = 1 + z * z / n;
    double centre = (p + z * z / (2 * n)) / scale;
    double half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / scale;

    *low = trials ? fmax(0, centre - half) : 0;
    *high = trials ? fmin(1, centre + half) : 1;
}
