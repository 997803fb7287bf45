/* SPDX-License-Identifier: MIT */
/* robot.c - messages to steps. */
#include "runtime/serve/robot.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/cost/cost.h"
#include "runtime/base/clock.h"

/* Steps of an episode that the drift watch is told of; longer ones are cut. */
enum { MOST_NOTED = 4096 };

/* What the drift watch wants to know of a step. Robots take turns, and the watch sees one episode
 * after the other: so an episode is told when it has ended. */
typedef struct {
    int32_t exit;
    float delta;
} noted_step;

struct robot {
    fleet *all;
    uint64_t number;
    deer_session *session; /* NULL until the first message */
    deer_camera camera[2]; /* the session's */
    protocol_request now;
    char prompt[PROTOCOL_TEXT], task[PROTOCOL_TEXT]; /* of the running episode */
    long episode, step;
    deer_cost cost; /* of steps under this prompt */
    deer_cost_kept kept;
    image_store store[2];
    noted_step *noted;
    int n_noted;
};

robot *robot_new(fleet *all, uint64_t number)
{
    robot *r = calloc(1, sizeof *r);

    if (r)
        *r = (robot){.all = all, .number = number};
    return r;
}

/* ---------------------------------------------------------------- episodes ----------------- */

/* The episode that ran, if one did, has ended. */
static void end_episode(robot *r)
{
    fleet *all = r->all;
    deer_drift_report report;
    deer_action action = {0};

    if (!r->n_noted)
        return;
    pthread_mutex_lock(&all->drifts);
    for (int i = 0; i < r->n_noted; i++) {
        action.exit = r->noted[i].exit;
        action.delta[0] = r->noted[i].delta;
        deer_drift_step(all->drift, &action, NULL);
    }
    if (!deer_drift_end_episode(all->drift, deer_drift_kind(r->task), &report, NULL))
        metrics_count_drift(all->counts, &report);
    pthread_mutex_unlock(&all->drifts);
    r->n_noted = 0;
}

/* Without memory for it the watch sees less. */
static void note_step(robot *r, const deer_action *a)
{
    if (!r->all->drift || r->n_noted == MOST_NOTED)
        return;
    if (!r->noted)
        r->noted = malloc(MOST_NOTED * sizeof *r->noted);
    if (r->noted)
        r->noted[r->n_noted++] = (noted_step){a->exit, a->delta[0]};
}

void robot_free(robot *r)
{
    if (!r)
        return;
    end_episode(r);
    deer_session_free(r->session);
    image_store_free(&r->store[0]);
    image_store_free(&r->store[1]);
    free(r->noted);
    free(r);
}

/* ---------------------------------------------------------------- a message ---------------- */

/* What the robot is told where the fault is not its own; why, the operator reads, on one line. */
static deer_status inside(const robot *r, const char *what, deer_error *why, deer_error *err)
{
    protocol_tidy(why->message);
    fprintf(stderr, "deer-run serve: robot %llu: %s: %s\n", (unsigned long long)r->number, what,
            why->message);
    return deer_fail(err, "%s", what);
}

/* The robot's session; its account of a governed budget lasts as long as it does. */
static deer_status open_session(robot *r, deer_error *err)
{
    const fleet *all = r->all;
    const deer_session_options options = {.size = sizeof options,
                                          .static_view = r->now.static_view,
                                          .gripper_view = r->now.gripper_view};
    deer_status status = deer_session_new(all->model, all->thresholds, &options, &r->session, err);

    if (status || isnan(all->govern))
        return status;
    status = deer_session_set_governor(r->session, all->govern, all->horizon, err);
    if (status) {
        deer_session_free(r->session); /* a robot without its budget does not move */
        r->session = NULL;
    }
    return status;
}

static bool is_same_camera(const deer_camera *a, const deer_camera *b)
{
    return a->width == b->width && a->height == b->height;
}

/* Only where they are others: the session forgets what it has encoded of the cameras before. */
static deer_status change_cameras(robot *r, deer_error *err)
{
    if (is_same_camera(&r->now.static_view, &r->camera[0]) &&
        is_same_camera(&r->now.gripper_view, &r->camera[1]))
        return DEER_OK;
    return deer_session_set_cameras(r->session, &r->now.static_view, &r->now.gripper_view, err);
}

/* A session and its cameras as this message's images are. */
static deer_status prepare(robot *r, deer_error *err)
{
    deer_error why;
    deer_status status = r->session ? change_cameras(r, &why) : open_session(r, &why);

    if (status == DEER_USAGE)
        return deer_fail_with(DEER_USAGE, err, "%s", why.message);
    if (status)
        return inside(r, "the server has no room for these images", &why, err);
    r->camera[0] = r->now.static_view;
    r->camera[1] = r->now.gripper_view;
    return DEER_OK;
}

/* A new prompt, or a request for it, begins an episode. */
static deer_status begin(robot *r, deer_error *err)
{
    deer_error why;

    if (*r->prompt && !strcmp(r->prompt, r->now.prompt) && !r->now.reset)
        return DEER_OK;
    end_episode(r);
    *r->prompt = 0;
    if (!*r->now.prompt)
        return deer_fail_with(DEER_USAGE, err, "the prompt is empty");
    if (deer_session_set_instruction(r->session, r->now.prompt, &why))
        return inside(r, "the prompt cannot be used", &why, err);
    memcpy(r->prompt, r->now.prompt, sizeof r->prompt);
    memcpy(r->task, r->now.task, sizeof r->task);
    deer_cost_of(deer_model_config(r->all->model), deer_session_tokens(r->session),
                 deer_dtype_of(r->all->model), &r->cost);
    r->kept = (deer_cost_kept){{0, 0}};
    r->episode++;
    r->step = 0;
    return DEER_OK;
}

static void log_step(robot *r, const deer_action *a, const metrics_step *s, double total)
{
    char episode[64];
    step_log_about about = {.episode = episode,
                            .instruction = r->prompt,
                            .step = r->step,
                            .llm_gflops = s->llm_gflops,
                            .total_gflops = total,
                            .ms = 1e3 * s->step_seconds};
    deer_error err;

    if (!r->all->log)
        return;
    snprintf(episode, sizeof episode, "robot %llu, episode %ld", (unsigned long long)r->number,
             r->episode);
    step_log_write(r->all->log, &about, a, &err); /* closing the log says what was lost */
}

/* What the step cost: less where a camera was not encoded again. */
static double price(robot *r, const deer_action *a, double *llm)
{
    unsigned views = (a->static_age == 0) | (unsigned)(a->gripper_age == 0) << 1;
    deer_cost_saved saved = deer_cost_reuse(&r->cost, views, a->exit, &r->kept);

    *llm = deer_gflops(r->cost.exit[a->exit].llm - saved.llm);
    return deer_gflops(deer_cost_step(&r->cost, a->exit, a->head_evaluations) - saved.total);
}

/* What the step was, to the robot and to whoever counts. */
static void report(robot *r, const robot_request *request, deer_action *a, double started,
                   double seconds, msgpack_buffer *answer)
{
    const fleet *all = r->all;
    double llm, total = price(r, a, &llm), taken = clock_seconds() - request->arrived;
    bool late = all->rate > 0 && taken > 1 / all->rate; /* waiting for its turn counts, too */
    metrics_step step = {.exit = a->exit,
                         .llm_gflops = llm,
                         .step_seconds = seconds,
                         .request_seconds = taken,
                         .late = late};
    protocol_answer out = {.exit = a->exit,
                           .delta = (double)a->delta[a->exit],
                           .gflops = total,
                           .late = late,
                           .infer_ms = 1e3 * seconds,
                           .queue_ms = 1e3 * (started - request->arrived),
                           .prev_total_ms = request->prev_total_ms};

    if (deer_session_governor(r->session))
        out.account = *deer_session_governor(r->session);
    step.ahead_gflops = out.account.ahead_gflops;
    step.budget_gflops = deer_thresholds_budget_is_llm(all->thresholds) ? step.llm_gflops : total;
    memcpy(out.command, a->command, sizeof out.command);
    a->late = late;
    protocol_write_answer(answer, &out);
    metrics_count_step(all->counts, &step);
    note_step(r, a);
    log_step(r, a, &step, total);
}

/* At a rate the step has what is left of its period. */
static deer_status hurry(robot *r, const robot_request *request, deer_error *err)
{
    deer_error why;
    double left = r->all->rate > 0 ? 1 / r->all->rate - (clock_seconds() - request->arrived) : 0;

    if (!(r->all->rate > 0))
        return DEER_OK;
    return deer_session_set_deadline(r->session, left > 1e-6 ? (int64_t)(1e6 * left) : 1, &why)
               ? inside(r, "the server is out of memory", &why, err)
               : DEER_OK;
}

deer_status robot_answer(robot *r, const robot_request *request, msgpack_buffer *answer,
                         deer_error *err)
{
    double taken = clock_seconds(), started;
    deer_action action;
    deer_error why;
    deer_status status = protocol_read_request(request->message, request->size, &r->all->keys,
                                               r->store, &r->now, err);

    if (!status)
        status = prepare(r, err);
    if (!status)
        status = begin(r, err);
    if (!status)
        status = hurry(r, request, err);
    if (status)
        return status;
    started = clock_seconds();
    if (deer_step(r->session, &r->now.seen, &action, &why))
        return inside(r, "the policy found no action", &why, err);
    report(r, request, &action, taken, clock_seconds() - started, answer);
    r->step++;
    return answer->failed ? deer_fail(err, "the server is out of memory") : DEER_OK;
}
