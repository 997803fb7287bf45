/* SPDX-License-Identifier: MIT */
/* session.c - one robot, step by step. */
#include "runtime/policy/session.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/half.h"
#include "runtime/base/threads/threads.h"
#include "runtime/policy/exit_policy.h"
#include "runtime/thresholds/thresholds_format.h"

/* ---------------------------------------------------------------- life --------------------- */

uint64_t deer_session_need(const deer_config *c, int32_t threads)
{
    if (!c || threads < 1)
        return 0;
    return sizeof(deer_session) + backend_cpu.need(c, 1, SESSION_ROWS, false, threads) +
           (size_t)c->max_text * sizeof(int32_t);
}

uint64_t deer_session_need_reuse(const deer_config *c)
{
    return c ? backend_cpu.need(c, 1, SESSION_ROWS, true, 1) -
                   backend_cpu.need(c, 1, SESSION_ROWS, false, 1) + camera_watch_bytes(c)
             : 0;
}

/* Whether these thresholds, or any point of their dial, may use an encoding again. */
static bool reuses(const deer_thresholds *t)
{
    bool any = camera_rules_reuse(&t->cameras);

    for (int i = 0; i < t->points && i < DEER_MAX_POINTS; i++)
        any = any || camera_rules_reuse(&t->point[i].cameras);
    return any;
}

deer_status session_make(deer_session *s, const deer_session_options *o, const deer_thresholds *t,
                         deer_error *err)
{
    const deer_config *c = &s->model->config;
    deer_status status =
        image_pair_prepare(s->plan, &o->static_view, &o->gripper_view, c->image_size, err);

    s->on = s->model->on ? s->model->on : &backend_cpu;
    if (!status)
        status = s->on->open(s->model, 1, SESSION_ROWS, reuses(t), &s->work, err);
    if (!status) {
        s->ids = calloc((size_t)c->max_text, sizeof *s->ids);
        status = s->ids ? DEER_OK : deer_fail(err, "out of memory for a session of %s", c->name);
    }
    threads_start(); /* not in the first step */
    return status;
}

/* Memory for pictures, from the first thresholds on that have rules for cameras. */
static deer_status watch_cameras(deer_session *s, deer_error *err)
{
    const deer_config *c = &s->model->config;

    if (s->pictures)
        return DEER_OK;
    s->pictures = calloc(1, camera_watch_bytes(c));
    if (!s->pictures)
        return deer_fail(err, "out of memory for the pictures of a session of %s", c->name);
    camera_watch_init(&s->watch, c, s->pictures);
    return DEER_OK;
}

void session_rule_from(deer_session *s, const deer_exit_rule *next)
{
    if (memcmp(&s->thresholds.rule, next, sizeof *next) != 0)
        s->memory = (deer_rule_memory){0};
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
    if (reuses(t) && watch_cameras(s, err))
        return DEER_FAILED;
    session_rule_from(s, &t->rule);
    s->thresholds = *t;
    s->deepest = t->max_exit;
    if (s->last_exit > t->max_exit)
        s->last_exit = t->max_exit; /* until the next decision: never deeper than allowed */
    return DEER_OK;
}

void session_reset(deer_session *s)
{
    s->on->reset(s->work);
    camera_watch_reset(&s->watch);
    s->step = 0;
    s->last_exit = 0;
    memset(s->done, 0, sizeof s->done);
    s->memory = (deer_rule_memory){0};
}

/* ---------------------------------------------------------------- budget ------------------- */

void session_price(deer_session *s)
{
    if (governor_is_on(&s->governor) && s->tokens)
        step_cost_of(&s->model->config, s->tokens, &s->cost);
}

/* Turns the dial, and says how deep this step may go if it encodes both cameras. */
static void choose_depth(deer_session *s)
{
    deer_exit_rule before = s->thresholds.rule;
    double cost[DEER_MAX_EXITS];

    s->deepest = s->thresholds.max_exit;
    if (!governor_is_on(&s->governor))
        return;
    for (int k = 0; k <= s->thresholds.max_exit; k++) {
        const step_work work = {.fresh = {true, true}, .exit = k, .head_evaluations = k + 2};
        cost[k] = step_cost_gflops(&s->cost, &s->kept, &work, s->thresholds.budget_is_llm);
    }
    s->deepest = governor_turn(&s->governor, cost, &s->thresholds);
    session_rule_from(s, &before);
}

/* Where cameras are staggered, a step that encodes both all the same, as the first one must, goes
 * no deeper than the first exit: what a robot can afford at one step is then never exceeded. */
static void limit_depth(deer_session *s, uint32_t due)
{
    if (s->thresholds.cameras.stagger && due == DEER_BOTH_VIEWS)
        s->deepest = 0;
}

/* For what the step computed; what it kept of the cameras is known for the next one. */
static void pay(deer_session *s, const deer_action *a)
{
    const step_work work = {.fresh = {s->watch.age[0] == 0, s->watch.age[1] == 0},
                            .exit = a->exit,
                            .head_evaluations = a->head_evaluations};

    if (governor_is_on(&s->governor))
        governor_pay(&s->governor,
                     step_cost_gflops(&s->cost, &s->kept, &work, s->thresholds.budget_is_llm));
    step_keep(&s->kept, &work);
}

/* ---------------------------------------------------------------- step --------------------- */

/* A stage has ended, also where the device runs behind. */
static void mark(deer_session *s, deer_stage stage)
{
    if (s->on->wait && (s->profile || s->deadline.limit > 0))
        s->on->wait(s->work);
    profile_mark(s->profile, stage);
}

deer_status session_see(deer_session *s, const deer_observation *o, deer_error *err)
{
    image_view view[2];
    uint32_t due;

    if (s->tokens == 0)
        return deer_fail_with(DEER_USAGE, err, "the session has no instruction yet");
    profile_start(s->profile);
    deadline_start(&s->deadline);
    if (image_pair_resize(s->plan, o, view, err))
        return DEER_USAGE;
    choose_depth(s);
    due = camera_watch_step(&s->watch, &s->thresholds.cameras, view);
    limit_depth(s, due);
    image_pair_normalise(view, due, &s->model->config, s->on->pixels(s->work));
    profile_mark(s->profile, PROFILE_PREPROCESS);
    s->on->see(s->work, 1, due, s->profile);
    session_start(s);
    mark(s, PROFILE_EMBEDDING);
    return DEER_OK;
}

void session_start(deer_session *s)
{
    s->on->tell(
        s->work,
        &(backend_text){
            .frames = 1, .again = s->told, .tokens = &s->tokens, .ids = s->ids, .rows = s->tokens});
    s->told = true;
}

void session_layer(deer_session *s, int layer)
{
    s->on->advance(s->work, layer);
    mark(s, profile_layer(layer));
    if (s->observe)
        s->observe(s->observe_context, layer, s->on->hidden(s->work));
}

/* The head on `rows` pooled rows; the last one's action becomes a's. Returns that row. */
static int evaluate(deer_session *s, int rows, deer_action *a, float pose[SESSION_ROWS][DEER_POSE])
{
    float gripper[SESSION_ROWS];

    s->on->act(s->work, rows, pose[0], gripper);
    memcpy(a->pose, pose[rows - 1], sizeof a->pose);
    a->gripper_probability = gripper[rows - 1];
    a->head_evaluations += rows;
    profile_mark(s->profile, PROFILE_HEAD);
    return rows - 1;
}

/* Runs the layers up to an exit, or to the last one before it that comes in time: that one. */
static int reach(deer_session *s, int exit)
{
    const int32_t *exit_layer = s->model->config.exit_layers;

    for (int k = 0, layer = 0;; k++) {
        for (; layer <= exit_layer[k]; layer++)
            session_layer(s, layer);
        if (k == exit || !deadline_fits(&s->deadline, k + 1))
            return k;
    }
}

/* An exit without a test. */
static int take_exit(deer_session *s, int exit, deer_action *a)
{
    float pose[SESSION_ROWS][DEER_POSE];

    a->exit = reach(s, exit);
    s->on->pool(s->work, 0);
    return evaluate(s, 1, a, pose);
}

/* Runs layers and compares exits, from `least` on, until two agree. The exit before (for the first
 * one the pseudo exit, the layer before it) and that one are needed whatever happens: the head
 * takes them together. Returns the row of the exit taken. */
static int test_from(deer_session *s, int least, deer_action *a)
{
    const deer_config *c = &s->model->config;
    const deer_thresholds *t = &s->thresholds;
    int before = least ? c->exit_layers[least - 1] : c->exit_layers[0] - 1;
    float pose[SESSION_ROWS][DEER_POSE];
    deer_exit_trial trial;
    int layer = before + 1, row;

    if (least) {
        a->exit = reach(s, least - 1);
        s->on->pool(s->work, 0);
        if (a->exit < least - 1 || !deadline_fits(&s->deadline, least))
            return evaluate(s, 1, a, pose);
        deadline_passed(&s->deadline);
    } else {
        for (int i = 0; i <= before; i++)
            session_layer(s, i);
        s->on->pool(s->work, 0);
    }
    for (int k = least;; k++) {
        for (; layer <= c->exit_layers[k]; layer++)
            session_layer(s, layer);
        s->on->pool(s->work, k == least);
        row = evaluate(s, k > least ? 1 : 2, a, pose);
        if (k == least) {
            deer_exit_trial_begin(&trial, t->criterion, t->score, s->done, pose[0]);
            trial.exit = least;
        }
        a->delta[k] = deer_exit_trial_next(&trial, a->pose, a->gripper_probability);
        a->exit = k;
        deadline_tested(&s->deadline, k);
        if (k >= s->deepest || exit_policy_stop(t, k, a->delta[k]) ||
            !deadline_fits(&s->deadline, k + 1))
            return row;
    }
}

/* The same from the first exit on, where the device decides by itself. */
static int test_there(deer_session *s, deer_action *a)
{
    backend_decision d = {.exit = 0};

    s->on->decide(s->work, &(backend_orders){&s->thresholds, s->deepest, s->done}, &d);
    memcpy(a->pose, d.pose, sizeof a->pose);
    a->gripper_probability = d.gripper;
    a->exit = d.exit;
    a->head_evaluations = d.evaluations;
    memcpy(a->delta, d.value, (size_t)(d.exit + 1) * sizeof *a->delta);
    return d.row;
}

/* An exit, or the deepest that this step may take. */
static int no_deeper(const deer_session *s, int exit)
{
    return exit < s->deepest ? exit : s->deepest;
}

static int decide(deer_session *s, deer_action *a)
{
    const deer_thresholds *t = &s->thresholds;
    int least = no_deeper(s, deer_rule_least(&t->rule, &s->memory, t->max_exit));
    bool looks = s->profile || s->observe || s->deadline.limit > 0; /* at what comes in between */
    bool there = s->on->decide && least == 0 && !looks;

    if (deer_rule_untested(&t->rule, least, t->max_exit))
        return take_exit(s, least, a);
    return there ? test_there(s, a) : test_from(s, least, a);
}

/* The official code hands the robot float16 numbers. */
static void finish_action(const deer_config *c, deer_action *a)
{
    for (int i = 0; i < DEER_POSE; i++)
        a->command[i] = half_to_float(half_from_float(a->pose[i]));
    a->command[DEER_POSE] = a->gripper_probability > 0.5f ? 1 : -1;
    a->exit_layer = c->exit_layers[a->exit];
}

/* How old what the action came from is. */
static void say_ages(const camera_watch *w, deer_action *a)
{
    a->static_age = w->age[0];
    a->gripper_age = w->age[1];
    a->static_change = w->change[0];
    a->gripper_change = w->change[1];
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
    int row;

    *a = (deer_action){0};
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        a->delta[k] = NAN;
    deadline_layers(&s->deadline);
    s->on->begin(s->work);
    mark(s, PROFILE_HEAD_BEGIN);
    if (s->step % s->thresholds.steps_per_stage == 0)
        row = decide(s, a);
    else
        row = take_exit(s, no_deeper(s, s->last_exit), a); /* between decisions */
    if (s->on->trouble && s->on->trouble(s->work, err))
        return DEER_FAILED;
    if (!is_finite(a))
        return deer_fail(err, "the policy's action is not finite; its state is left as it was");
    /* The state kept is the one made by the exit's feature alone. */
    s->on->keep(s->work, row);
    memcpy(s->done, a->pose, sizeof s->done);
    deer_rule_note(&s->thresholds.rule, &s->memory, a->exit, a->delta[a->exit], a->pose);
    s->last_exit = a->exit;
    s->step++;
    pay(s, a);
    finish_action(c, a);
    say_ages(&s->watch, a);
    a->late = deadline_end(&s->deadline);
    return DEER_OK;
}
