/* SPDX-License-Identifier: MIT */
/* session_entry.c - the public functions of a session: what they refuse, and whom they keep out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/options.h"
#include "runtime/base/threads/threads.h"
#include "runtime/policy/instruction.h"
#include "runtime/policy/session.h"

/* ---------------------------------------------------------------- doors -------------------- */

/* A thread comes in: its products go to the session's pool from here on. Until it has left, others
 * are refused. */
static deer_status enter(deer_session *s, deer_pool **before, deer_error *err)
{
    *before = NULL;
    if (!s)
        return deer_fail_with(DEER_USAGE, err, "no session is given");
    if (atomic_flag_test_and_set_explicit(&s->in_use, memory_order_acquire))
        return deer_fail_with(DEER_BUSY, err, "another thread is using this session");
    *before = threads_enter(s->pool);
    return DEER_OK;
}

static deer_status leave(deer_session *s, deer_pool *before, deer_status status)
{
    threads_leave(before);
    atomic_flag_clear_explicit(&s->in_use, memory_order_release);
    return status;
}

/* ---------------------------------------------------------------- life --------------------- */

/* Everything but the session's memory, which is there. */
static deer_status make(deer_session *s, const deer_session_options *o,
                        const deer_thresholds *thresholds, deer_error *err)
{
    deer_pool *before = threads_enter(o->pool);
    deer_status status = session_make(s, o, thresholds, err);

    threads_leave(before);
    if (!status)
        status = session_adopt(s, thresholds, err);
    if (!status)
        session_reset(s);
    return status;
}

deer_status deer_session_new(const deer_model *model, const deer_thresholds *thresholds,
                             const deer_session_options *options, deer_session **out,
                             deer_error *err)
{
    deer_session_options o;
    deer_session *s;
    deer_status status;

    if (!out)
        return deer_fail_with(DEER_USAGE, err, "deer_session_new has nowhere to put the session");
    *out = NULL;
    if (!model || !thresholds)
        return deer_fail_with(DEER_USAGE, err, "a session needs a model and thresholds");
    if (options_read("deer_session_options", &o, sizeof o, options, err))
        return DEER_USAGE;
    if (o.reserved)
        return deer_fail_with(DEER_USAGE, err, "deer_session_options.reserved must be 0");
    s = calloc(1, sizeof *s);
    if (!s)
        return deer_fail(err, "out of memory for a session");
    s->model = model;
    s->pool = o.pool;
    atomic_flag_clear(&s->in_use);
    status = make(s, &o, thresholds, err);
    if (status)
        deer_session_free(s);
    else
        *out = s;
    return status;
}

void deer_session_free(deer_session *s)
{
    if (!s)
        return;
    image_plan_free(&s->plan[0]);
    image_plan_free(&s->plan[1]);
    free(s->ids);
    deadline_free(&s->deadline);
    free(s->pictures);
    if (s->on)
        s->on->close(s->work);
    free(s);
}

/* ---------------------------------------------------------------- between steps ------------ */

deer_status deer_session_set_thresholds(deer_session *s, const deer_thresholds *t, deer_error *err)
{
    deer_pool *before;
    deer_status status = enter(s, &before, err);

    if (status)
        return status;
    if (!t)
        return leave(s, before, deer_fail_with(DEER_USAGE, err, "no thresholds are given"));
    status = session_adopt(s, t, err);
    if (!status)
        governor_end(&s->governor);
    return leave(s, before, status);
}

deer_status deer_session_set_budget(deer_session *s, double average_gflops, deer_error *err)
{
    deer_exit_rule before;
    deer_pool *pool;
    deer_status status = enter(s, &pool, err);

    if (status)
        return status;
    before = s->thresholds.rule;
    status = deer_thresholds_set_budget(&s->thresholds, average_gflops, err);
    session_rule_from(s, &before);
    if (!status)
        governor_end(&s->governor);
    return leave(s, pool, status);
}

deer_status deer_session_set_governor(deer_session *s, double average_gflops, int64_t horizon,
                                      deer_error *err)
{
    deer_pool *before;
    deer_status status = enter(s, &before, err);

    if (status)
        return status;
    status = governor_start(&s->governor, &s->thresholds, average_gflops, horizon, err);
    if (!status)
        session_price(s);
    return leave(s, before, status);
}

deer_status deer_session_set_deadline(deer_session *s, int64_t microseconds, deer_error *err)
{
    deer_pool *before;
    deer_status status = enter(s, &before, err);

    if (status)
        return status;
    if (microseconds < 0)
        return leave(s, before,
                     deer_fail_with(DEER_USAGE, err, "a deadline of %lld microseconds is none",
                                    (long long)microseconds));
    return leave(s, before,
                 deadline_set(&s->deadline, &s->model->config, 1e-6 * (double)microseconds, err));
}

deer_status deer_session_reset(deer_session *s, deer_error *err)
{
    deer_pool *before;
    deer_status status = enter(s, &before, err);

    if (status)
        return status;
    session_reset(s);
    return leave(s, before, DEER_OK);
}

deer_status deer_session_set_cameras(deer_session *s, const deer_camera *static_view,
                                     const deer_camera *gripper_view, deer_error *err)
{
    deer_pool *before;
    deer_status status = enter(s, &before, err);

    if (status)
        return status;
    if (!static_view || !gripper_view)
        return leave(s, before, deer_fail_with(DEER_USAGE, err, "two cameras are needed"));
    status =
        image_pair_prepare(s->plan, static_view, gripper_view, s->model->config.image_size, err);
    if (!status)
        camera_watch_reset(&s->watch); /* their pictures cannot be compared with those before */
    return leave(s, before, status);
}

deer_status deer_session_set_instruction(deer_session *s, const char *instruction, deer_error *err)
{
    deer_pool *before;
    deer_status status = enter(s, &before, err);

    if (status)
        return status;
    s->told = false;
    status = instruction_from_text(s->model, instruction, s->ids, &s->tokens,
                                   s->on->embedded(s->work), err);
    if (!status)
        session_reset(s);
    session_price(s);
    return leave(s, before, status);
}

deer_status deer_session_set_tokens(deer_session *s, const int32_t *ids, int32_t count,
                                    deer_error *err)
{
    deer_pool *before;
    deer_status status = enter(s, &before, err);

    if (status)
        return status;
    s->told = false;
    status = instruction_from_ids(s->model, ids, count, s->ids, &s->tokens,
                                  s->on->embedded(s->work), err);
    if (!status)
        session_reset(s);
    session_price(s);
    return leave(s, before, status);
}

/* ---------------------------------------------------------------- a step ------------------- */

deer_status deer_step(deer_session *s, const deer_observation *observation, deer_action *action,
                      deer_error *err)
{
    deer_pool *before;
    deer_status status;

    if (!action || !observation)
        return deer_fail_with(DEER_USAGE, err, "a step needs an observation and an action to fill");
    *action = (deer_action){0};
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        action->delta[k] = NAN;
    status = enter(s, &before, err);
    if (status)
        return status;
    status = session_see(s, observation, err);
    return leave(s, before, status ? status : session_act(s, action, err));
}

/* ---------------------------------------------------------------- looking ------------------ */

const deer_governor *deer_session_governor(const deer_session *s)
{
    return s && governor_is_on(&s->governor) ? &s->governor.now : NULL;
}

int32_t deer_session_tokens(const deer_session *s)
{
    return s ? s->tokens : 0;
}

const float *deer_session_lstm_h(const deer_session *s)
{
    return s ? s->on->state(s->work).h : NULL;
}

const float *deer_session_lstm_c(const deer_session *s)
{
    return s ? s->on->state(s->work).c : NULL;
}

uint64_t deer_session_bytes(const deer_session *s)
{
    return s ? sizeof *s + s->on->bytes(s->work) +
                   (size_t)s->model->config.max_text * sizeof *s->ids +
                   (s->pictures ? camera_watch_bytes(&s->model->config) : 0) +
                   deadline_bytes(&s->deadline) + image_plan_bytes(&s->plan[0]) +
                   image_plan_bytes(&s->plan[1])
             : 0;
}
