/* SPDX-License-Identifier: MIT */
/* thresholds.c - thresholds in memory: life, a fixed exit, what is refused, the budget dial. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/tau.h"
#include "runtime/thresholds/criterion.h"
#include "runtime/thresholds/exit_rule.h"
#include "runtime/thresholds/thresholds_format.h"

/* ---------------------------------------------------------------- life --------------------- */

/* Room for thresholds; NULL, and an error, where there is none. */
static deer_thresholds *make(deer_thresholds **out, deer_error *err)
{
    deer_thresholds *t;

    if (!out) {
        deer_fail(err, "there is nowhere to put the thresholds");
        return NULL;
    }
    *out = NULL;
    t = calloc(1, sizeof *t);
    if (!t)
        deer_fail(err, "out of memory for thresholds");
    return t;
}

static deer_status made(deer_thresholds *t, deer_status status, deer_thresholds **out)
{
    if (status)
        free(t);
    else
        *out = t;
    return status;
}

deer_status deer_thresholds_fixed(const deer_model *model, int32_t exit, deer_thresholds **out,
                                  deer_error *err)
{
    deer_thresholds *t = make(out, err);

    if (!t)
        return out ? DEER_FAILED : DEER_USAGE;
    return made(t, thresholds_fix(model, exit, t, err), out);
}

deer_status deer_thresholds_load(const char *path, const deer_model *model, deer_thresholds **out,
                                 deer_error *err)
{
    deer_thresholds *t = make(out, err);

    if (!t)
        return out ? DEER_FAILED : DEER_USAGE;
    return made(t, thresholds_read(path, model, t, err), out);
}

deer_status deer_thresholds_copy(const deer_thresholds *from, deer_thresholds **out,
                                 deer_error *err)
{
    deer_thresholds *t = make(out, err);

    if (!t)
        return out ? DEER_FAILED : DEER_USAGE;
    if (!from)
        return made(t, deer_fail_with(DEER_USAGE, err, "there are no thresholds to copy"), out);
    *t = *from;
    return made(t, DEER_OK, out);
}

void deer_thresholds_free(deer_thresholds *t)
{
    free(t);
}

deer_status thresholds_fix(const deer_model *model, int exit, deer_thresholds *t, deer_error *err)
{
    memset(t, 0, sizeof *t);
    if (!model)
        return deer_fail_with(DEER_USAGE, err, "a fixed exit needs a model");
    if (exit < 0 || exit > deer_model_max_exit(model))
        return deer_fail_with(DEER_USAGE, err, "the model is opened with exits 0 to %d, not %d",
                              deer_model_max_exit(model), exit);
    strcpy(t->model_fingerprint, deer_model_fingerprint(model));
    strcpy(t->weights, deer_model_type(model));
    strcpy(t->sums, deer_model_sums(model));
    t->exits = exit + 1;
    t->max_exit = exit;
    t->steps_per_stage = 1;
    tau_never(exit, t->tau);
    t->expected = (deer_expected){NAN, NAN, NAN, NAN, NAN, NAN, {0}};
    for (int k = 0; k < DEER_MAX_EXITS; k++)
        t->expected.exit_fraction[k] = k == exit;
    t->guarantee.budget_gflops = t->guarantee.loss = NAN;
    strcpy(t->solver, "fixed");
    t->budget_gflops = NAN;
    return DEER_OK;
}

/* ---------------------------------------------------------------- what is refused ---------- */

static bool finite_score(const deer_score *score)
{
    bool finite = isfinite(score->constant);

    for (int j = 0; j < DEER_SIGNALS; j++)
        finite = finite && isfinite(score->weight[j]);
    return finite;
}

/* The first threshold that is not a number, or -1. */
static int find_nan(const float *tau, int n)
{
    for (int k = 0; k < n; k++)
        if (isnan(tau[k]))
            return k;
    return -1;
}

static deer_status check_counts(const char *name, const deer_thresholds *t, deer_error *err)
{
    if (t->max_exit < 0 || t->max_exit >= DEER_MAX_EXITS || t->exits != t->max_exit + 1)
        return deer_fail_with(DEER_USAGE, err, "%s: %d thresholds up to exit %d (at most %d)", name,
                              t->exits, t->max_exit, DEER_MAX_EXITS);
    if (!exit_criterion_of(t->criterion) || t->steps_per_stage < 1)
        return deer_fail_with(DEER_USAGE, err, "%s: criterion or steps_per_stage out of range",
                              name);
    if (t->points < 0 || t->points > DEER_MAX_POINTS || t->reference.episodes < 0 ||
        t->reference.episodes > DEER_MAX_REFERENCE)
        return deer_fail_with(DEER_USAGE, err, "%s: %d points, %d reference episodes", name,
                              t->points, t->reference.episodes);
    return DEER_OK;
}

static bool sound_rule(const deer_camera_rule *r, bool stagger)
{
    return r->age >= stagger && r->age <= DEER_MOST_AGE && r->rho >= 0; /* not a NaN */
}

/* What is wrong with them, or NULL. */
static const char *cameras_fault(const deer_camera_rules *r)
{
    bool stagger = r->stagger != 0;

    if (r->stagger > 1)
        return "stagger is neither 0 nor 1";
    if (!sound_rule(&r->static_view, stagger) || !sound_rule(&r->gripper_view, stagger))
        return stagger ? "staggered cameras need ages of 1 to 1000 steps, and a rho of 0 or more"
                       : "a camera needs an age of 0 to 1000 steps, and a rho of 0 or more";
    return NULL;
}

static deer_status check_cameras(const char *name, const deer_thresholds *t, deer_error *err)
{
    const char *fault = cameras_fault(&t->cameras);

    for (int i = 0; i < t->points && !fault; i++)
        fault = cameras_fault(&t->point[i].cameras);
    return fault ? deer_fail_with(DEER_USAGE, err, "%s: %s", name, fault) : DEER_OK;
}

static deer_status check_rules(const char *name, const deer_thresholds *t, deer_error *err)
{
    const char *fault = exit_rule_fault(&t->rule, t->max_exit, t->steps_per_stage);

    for (int i = 0; i < t->points && !fault; i++)
        fault = exit_rule_fault(&t->point[i].rule, t->max_exit, t->steps_per_stage);
    return fault ? deer_fail_with(DEER_USAGE, err, "%s: %s", name, fault) : DEER_OK;
}

deer_status thresholds_check(const char *name, const deer_thresholds *t, deer_error *err)
{
    bool scored;
    int bad;

    if (check_counts(name, t, err))
        return DEER_USAGE;
    scored = exit_criterion_of(t->criterion)->needs & CRITERION_NEEDS_SCORE;
    bad = find_nan(t->tau, t->max_exit);
    if (bad >= 0)
        return deer_fail_with(DEER_USAGE, err, "%s: threshold %d is not a number", name, bad);
    for (int i = 0; i < t->points; i++)
        if (!isfinite(t->point[i].budget_gflops) || find_nan(t->point[i].tau, t->max_exit) >= 0)
            return deer_fail_with(DEER_USAGE, err, "%s: point %d is not of numbers", name, i);
    for (int k = 0; scored && k < t->max_exit; k++)
        if (!finite_score(&t->score[k]))
            return deer_fail_with(DEER_USAGE, err, "%s: score %d is not finite", name, k);
    return check_cameras(name, t, err) ? DEER_USAGE : check_rules(name, t, err);
}

/* ---------------------------------------------------------------- dial --------------------- */

deer_status deer_thresholds_set_budget(deer_thresholds *t, double average_gflops, deer_error *err)
{
    int i;

    if (!t)
        return deer_fail_with(DEER_USAGE, err, "no thresholds are given");
    if (isnan(average_gflops))
        return deer_fail_with(DEER_USAGE, err, "the budget is not a number");
    if (check_counts("these thresholds", t, err))
        return DEER_USAGE;
    if (t->points < 1)
        return deer_fail_with(DEER_USAGE, err,
                              "these thresholds have no dial; solve with --frontier");
    i = t->points - 1;
    while (i >= 0 && !(t->point[i].budget_gflops <= average_gflops))
        i--;
    if (i < 0)
        return deer_fail_with(
            DEER_INFEASIBLE, err, "an average of %.6g GFLOPs (%s) is below the dial's least, %.6g",
            average_gflops, t->budget_is_llm ? "llm" : "total", t->point[0].budget_gflops);
    thresholds_take_point(t, i);
    return DEER_OK;
}

void thresholds_take_point(deer_thresholds *t, int i)
{
    memcpy(t->tau, t->point[i].tau, sizeof t->tau);
    t->cameras = t->point[i].cameras;
    t->rule = t->point[i].rule;
    t->expected = t->point[i].expected;
    t->budget_gflops = t->point[i].budget_gflops;
    t->guarantee = t->point_guarantee[i];
    if (!(t->guarantee.confidence > 0))
        t->guarantee = (deer_guarantee){.budget_gflops = NAN, .loss = NAN};
    t->reference.episodes = 0;
}

/* ---------------------------------------------------------------- what they say ------------ */

int32_t deer_thresholds_max_exit(const deer_thresholds *t)
{
    return t ? t->max_exit : -1;
}

float deer_thresholds_tau(const deer_thresholds *t, int32_t exit)
{
    return t && exit >= 0 && exit <= t->max_exit && exit < DEER_MAX_EXITS ? t->tau[exit] : NAN;
}

deer_criterion deer_thresholds_criterion(const deer_thresholds *t)
{
    return t ? t->criterion : DEER_CRITERION_L2;
}

int32_t deer_thresholds_steps_per_stage(const deer_thresholds *t)
{
    return t ? t->steps_per_stage : -1;
}

const char *deer_thresholds_model(const deer_thresholds *t)
{
    return t ? t->model_fingerprint : "";
}

const char *deer_thresholds_solver(const deer_thresholds *t)
{
    return t ? t->solver : "";
}

double deer_thresholds_budget(const deer_thresholds *t)
{
    return t ? t->budget_gflops : NAN;
}

bool deer_thresholds_budget_is_llm(const deer_thresholds *t)
{
    return t && t->budget_is_llm;
}

const deer_expected *deer_thresholds_expected(const deer_thresholds *t)
{
    return t ? &t->expected : NULL;
}

const deer_guarantee *deer_thresholds_guarantee(const deer_thresholds *t)
{
    return t ? &t->guarantee : NULL;
}

const deer_camera_rules *deer_thresholds_cameras(const deer_thresholds *t)
{
    return t ? &t->cameras : NULL;
}

const deer_exit_rule *deer_thresholds_rule(const deer_thresholds *t)
{
    return t ? &t->rule : NULL;
}

int32_t deer_thresholds_points(const deer_thresholds *t)
{
    return t ? t->points : 0;
}

const deer_point *deer_thresholds_point(const deer_thresholds *t, int32_t point)
{
    return t && point >= 0 && point < t->points && point < DEER_MAX_POINTS ? &t->point[point]
                                                                           : NULL;
}
