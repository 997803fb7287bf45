/* SPDX-License-Identifier: MIT */
/* rules.c - judging and choosing rules of exits on recorded episodes. */
#include "calib/pipeline/rules.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/cost/cost.h"
#include "calib/replay/history.h"
#include "runtime/base/tau.h"

/* ---------------------------------------------------------------- judging ------------------ */

/* Columns of the episode that is being read, and sums over those before. */
typedef struct {
    const cache *c;
    const calibration_actions *a;
    int max_exit, n, episode;
    int64_t from; /* row of the episode's first step */
    float *lost, *astray, (*off)[3], (*demonstrated)[3], (*moved)[3];
    int tokens; /* of the instruction that cost is of */
    deer_cost cost;
    deer_cost_kept kept; /* of the episode's steps so far */
    rule_verdict *v;
} reading;

static void end_episode(reading *r)
{
    const episode_steps e = {r->n,
                             r->lost,
                             r->astray,
                             (const float(*)[3])r->off,
                             (const float(*)[3])r->demonstrated,
                             (const float(*)[3])r->moved};

    if (!r->n)
        return;
    for (int i = 0; i < EPISODE_LOSSES; i++)
        r->v->loss[i] += episode_losses[i].of(&e);
    r->v->episodes++;
    r->n = 0;
}

static void read_motion(reading *r, int64_t i, int64_t row, int exit)
{
    const float *all = r->a->action + i * (1 + r->c->exits) * CACHE_ACTION;
    const float *taken = all + (exit + 1) * CACHE_ACTION;
    const float *last = all + (r->max_exit + 1) * CACHE_ACTION;
    const float *demo = r->c->demonstration + row * CACHE_ACTION;

    for (int d = 0; d < 3; d++) {
        r->off[r->n][d] = taken[d] - last[d];
        r->moved[r->n][d] = taken[d];
        r->demonstrated[r->n][d] = demo[d];
    }
}

/* A step takes what it really takes: cameras that keep their encoding, and their media, save that.
 */
static void read_cost(reading *r, const calibration_step *step, int exit)
{
    int tokens = r->c->episode[step->episode].tokens;
    unsigned views = r->c->eyes ? r->c->eyes->views[step->row] : DEER_BOTH_VIEWS;
    deer_cost_saved saved;

    if (tokens != r->tokens)
        deer_cost_of(&r->c->about.config, tokens, WEIGHT_F32, &r->cost);
    r->tokens = tokens;
    saved = deer_cost_reuse(&r->cost, views, exit, &r->kept);
    r->v->llm += deer_gflops(r->cost.exit[exit].llm - saved.llm);
    r->v->total += deer_gflops(deer_cost_step(&r->cost, exit, r->a->heads[step->i]) - saved.total);
    r->v->fraction[exit]++;
    r->v->share[(views & 1) + (views >> 1)][exit]++;
    r->v->steps++;
}

static void read_step(void *context, const calibration_step *step)
{
    reading *r = context;
    int exit = r->a->exit[step->i];

    if (step->episode != r->episode) {
        end_episode(r);
        r->from = step->i;
        r->kept = (deer_cost_kept){{0}};
    }
    r->episode = step->episode;
    read_cost(r, step, exit);
    read_motion(r, step->i, step->row, exit);
    r->lost[r->n++] = step->loss[exit];
}

/* The same steps once more for the loss against what was demonstrated. */
static void read_astray(void *context, const calibration_step *step)
{
    reading *r = context;

    r->astray[step->i] = step->loss[r->a->exit[step->i]];
}

/* Means of what was summed up. */
static void finish(rule_verdict *v)
{
    double n = (double)v->steps;

    v->llm /= n;
    v->total /= n;
    for (int k = 0; k < DEER_MAX_EXITS; k++) {
        v->fraction[k] /= n;
        for (int encoded = 0; encoded < 3; encoded++)
            v->share[encoded][k] /= n;
    }
    for (int i = 0; i < EPISODE_LOSSES; i++)
        v->loss[i] /= v->episodes;
}

static deer_status sum_up(const cache *c, const calibration_spec *problem,
                          const calibration_actions *a, rule_verdict *v, deer_error *err)
{
    calibration_spec deepest = *problem, demo = *problem;
    size_t n = (size_t)a->n;
    float *memory = malloc(11 * n * sizeof *memory), *astray = memory;
    reading r = {
        .c = c, .a = a, .max_exit = problem->max_exit, .episode = -1, .tokens = -1, .v = v};

    if (!memory)
        return deer_fail(err, "out of memory for the losses of %lld steps", (long long)a->n);
    deepest.loss = LOSS_DEEPEST;
    demo.loss = LOSS_DEMO;
    r.astray = astray;
    r.lost = memory + n;
    r.off = (float(*)[3])(void *)(memory + 2 * n);
    r.demonstrated = (float(*)[3])(void *)(memory + 5 * n);
    r.moved = (float(*)[3])(void *)(memory + 8 * n);
    calibration_walk(c, &demo, a, read_astray, &r);
    calibration_walk(c, &deepest, a, read_step, &r);
    end_episode(&r);
    finish(v);
    free(memory);
    return DEER_OK;
}

deer_status rule_judge(cache *c, const deer_model *model, const calibration_spec *problem,
                       const rule_candidate *x, const bool *some, int threads, rule_verdict *v,
                       deer_error *err)
{
    history_rule rule = {.kind = HISTORY_ON_POLICY,
                         .tau = x->tau,
                         .max_exit = problem->max_exit,
                         .criterion = problem->criterion,
                         .score = problem->score,
                         .exits = &x->rule,
                         .episodes = some};
    calibration_actions a;
    deer_status status;

    *v = (rule_verdict){0};
    if (history_replay(c, model, &rule, threads, &a, err))
        return DEER_FAILED;
    status = sum_up(c, problem, &a, v, err);
    calibration_actions_free(&a);
    return status;
}

/* ---------------------------------------------------------------- names -------------------- */

const char *rules_name(int kind)
{
    return kind == DEER_RULE_NONE ? "delta" : deer_rule_name((deer_rule_kind)kind);
}

/* The kind of that name, -1 for "auto", -2 for what is none. */
static int kind_named(const char *rule)
{
    if (!strcmp(rule, "auto"))
        return -1;
    for (int kind = 0; kind < RULE_KINDS; kind++)
        if (!strcmp(rules_name(kind), rule))
            return kind;
    return -2;
}

bool rules_named(const char *rule)
{
    return kind_named(rule) >= -1;
}

void rules_describe(const deer_exit_rule *rule, char *text, size_t size)
{
    int at = snprintf(text, size, "%s", rules_name(rule->kind));

    if (rule->kind == DEER_RULE_REFRESH)
        snprintf(text + at, size - (size_t)at, ", deep %d, steps %d", rule->deep, rule->steps);
    else if (rule->kind == DEER_RULE_DEBT || rule->kind == DEER_RULE_SPEED)
        snprintf(text + at, size - (size_t)at, ", deep %d, limit %.3g", rule->deep,
                 (double)rule->limit);
    for (int i = 0; rule->kind == DEER_RULE_SCHEDULE && i < rule->steps && (size_t)at < size; i++)
        at += snprintf(text + at, size - (size_t)at, "%s%d", i ? ", " : " ", rule->pattern[i]);
}

/* ---------------------------------------------------------------- choosing ----------------- */

enum { SCALINGS = 9, MOST_PATTERN = 4, MOST_DEEP = 3 };

/* What a search works with. */
typedef struct {
    cache *c;
    const deer_model *model;
    const onpolicy_spec *how;
    const bool *half; /* the episodes that it looks at */
    rule_candidate plain;
    double best[RULE_KINDS]; /* loss of choice->best there */
    rule_choice *choice;
} search;

static double cost_of(const search *s, const rule_verdict *v)
{
    return s->how->problem.scope_llm ? v->llm : v->total;
}

static deer_status judge_here(search *s, const rule_candidate *x, rule_verdict *v, deer_error *err)
{
    s->choice->tried++;
    return rule_judge(s->c, s->model, &s->how->problem, x, s->half, s->how->threads, v, err);
}

/* Keeps the candidate when it is the best of its kind that keeps the budget. */
static void offer(search *s, const rule_candidate *x, const rule_verdict *v)
{
    int kind = x->rule.kind;
    double loss = v->loss[EPISODE_LOSS_CHOSEN];

    if (cost_of(s, v) > s->how->solve.budget * (1 + 1e-9) ||
        (s->choice->found[kind] && loss >= s->best[kind]))
        return;
    s->choice->found[kind] = true;
    s->choice->best[kind] = *x;
    s->best[kind] = loss;
}

static void scale(const rule_candidate *plain, double factor, rule_candidate *x)
{
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        x->tau[k] = plain->tau[k] * (float)factor; /* keeps infinities */
}

/* A rule that sends steps deeper leaves less for the others: thresholds in proportion to the plain
 * ones, as strict as the budget allows. */
static deer_status try_rule(search *s, const deer_exit_rule *rule, deer_error *err)
{
    double low = -4, high = 6; /* powers of 2 */
    rule_candidate x = {.rule = *rule};

    for (int i = 0; i < SCALINGS; i++) {
        double middle = i ? (low + high) / 2 : high;
        rule_verdict v;

        scale(&s->plain, exp2(middle), &x);
        if (judge_here(s, &x, &v, err))
            return DEER_FAILED;
        offer(s, &x, &v);
        if (cost_of(s, &v) <= s->how->solve.budget)
            high = middle;
        else if (!i)
            return DEER_OK; /* too dear, however loose the thresholds are */
        else
            low = middle;
    }
    return DEER_OK;
}

static deer_status try_kind(search *s, int kind, deer_error *err)
{
    static const float limits[2][4] = {{0.02f, 0.05f, 0.1f, 0.2f}, {0.1f, 0.2f, 0.4f, 0.8f}};
    int last = s->how->problem.max_exit, deepest = last < MOST_DEEP ? last : MOST_DEEP;
    deer_status status = DEER_OK;

    for (int deep = 1; deep <= deepest; deep++)
        for (int i = 0; i < 4 && !status; i++) {
            deer_exit_rule rule = {.kind = kind, .deep = deep};

            if (kind == DEER_RULE_REFRESH)
                rule.steps = i + 1;
            else
                rule.limit = limits[kind == DEER_RULE_SPEED][i];
            status = try_rule(s, &rule, err);
        }
    return status;
}

/* Whether a pattern is the least of its rotations: the others are the same but for where they
 * begin. That matters where cameras have a rhythm, too: going deep at the steps that have a new
 * picture is not going deep at the others. */
static bool is_first_rotation(const deer_exit_rule *rule)
{
    for (int turn = 1; turn < rule->steps; turn++)
        for (int i = 0; i < rule->steps; i++) {
            int there = rule->pattern[(i + turn) % rule->steps];

            if (there < rule->pattern[i])
                return false;
            if (there > rule->pattern[i])
                break;
        }
    return true;
}

/* Every pattern of up to four of the first four exits. */
static deer_status try_schedules(search *s, deer_error *err)
{
    int last = s->how->problem.max_exit, exits = (last < MOST_DEEP ? last : MOST_DEEP) + 1;
    deer_status status = DEER_OK;

    for (int n = 1, patterns = exits; n <= MOST_PATTERN && !status; n++, patterns *= exits)
        for (int code = 0; code < patterns && !status; code++) {
            rule_candidate x = s->plain;
            rule_verdict v;

            x.rule = (deer_exit_rule){.kind = DEER_RULE_SCHEDULE, .steps = n};
            for (int i = 0, rest = code; i < n; i++, rest /= exits)
                x.rule.pattern[i] = (uint8_t)(rest % exits);
            if (!s->c->eyes && !is_first_rotation(&x.rule))
                continue;
            status = judge_here(s, &x, &v, err);
            if (!status)
                offer(s, &x, &v);
        }
    return status;
}

/* Plain thresholds, solved on the half. */
static deer_status solve_plain(search *s, deer_error *err)
{
    onpolicy_spec how = *s->how;
    onpolicy_result r;
    rule_verdict v;
    deer_status status;

    how.episodes = s->half;
    status = onpolicy_solve(s->c, s->model, &how, &r, err);
    if (status)
        return status;
    memcpy(s->plain.tau, r.x.at.tau, sizeof s->plain.tau);
    onpolicy_free(&r);
    if (judge_here(s, &s->plain, &v, err))
        return DEER_FAILED;
    offer(s, &s->plain, &v);
    return DEER_OK;
}

static deer_status search_all(search *s, int only, deer_error *err)
{
    deer_status status = solve_plain(s, err);

    for (int kind = 1; kind < RULE_KINDS && !status; kind++)
        if (only == kind || only < 0)
            status = kind == DEER_RULE_SCHEDULE ? try_schedules(s, err) : try_kind(s, kind, err);
    return status;
}

/* What is found, on the other half; the choice. */
static deer_status decide(search *s, int only, const bool *others, deer_error *err)
{
    rule_choice *x = s->choice;
    double least = INFINITY;

    x->chosen = -1;
    for (int kind = 0; kind < RULE_KINDS; kind++) {
        double loss;

        if (!x->found[kind])
            continue;
        if (rule_judge(s->c, s->model, &s->how->problem, &x->best[kind], others, s->how->threads,
                       &x->held_out[kind], err))
            return DEER_FAILED;
        loss = x->held_out[kind].loss[EPISODE_LOSS_CHOSEN];
        if ((only < 0 && loss < least) || only == kind) {
            x->chosen = kind;
            least = loss;
        }
    }
    if (x->chosen < 0)
        return deer_fail_with(DEER_INFEASIBLE, err,
                              "no rule of that kind keeps an average of %.6g GFLOPs a step",
                              s->how->solve.budget);
    return rule_judge(s->c, s->model, &s->how->problem, &x->best[x->chosen], NULL, s->how->threads,
                      &x->all, err);
}

deer_status rules_choose(cache *c, const deer_model *model, const onpolicy_spec *how,
                         const char *rule, rule_choice *choice, deer_error *err)
{
    int episodes = c->about.episodes, only = kind_named(rule);
    bool *half = malloc(2 * (size_t)episodes * sizeof *half), *others = half + episodes;
    search s = {.c = c, .model = model, .how = how, .half = half, .choice = choice};
    deer_status status;

    *choice = (rule_choice){.chosen = -1};
    if (!half)
        return deer_fail(err, "out of memory for %d episodes", episodes);
    for (int e = 0; e < episodes; e++) {
        half[e] = e % 2 == 0;
        others[e] = !half[e];
    }
    status = search_all(&s, only, err);
    if (!status)
        status = decide(&s, only, others, err);
    free(half);
    return status;
}
