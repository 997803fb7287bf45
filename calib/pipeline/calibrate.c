/* SPDX-License-Identifier: MIT */
/* calibrate.c - budgets, guarantee, thresholds, and what stands beside them. */
#include "calib/pipeline/calibrate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/cost/cost.h"
#include "calib/cluster/cluster.h"
#include "calib/criterion/criteria.h"
#include "calib/pipeline/cameras.h"
#include "calib/pipeline/kinds.h"
#include "calib/pipeline/temporary.h"
#include "calib/solve/frontier.h"

/* What one calibration works with. */
typedef struct {
    const calibrate_spec *spec;
    calibrated *x;
    const char *unit;        /* behind a budget in messages */
    char (*task)[DEMO_TASK]; /* [episodes] names, of a guarantee */
    task_kinds kinds;        /* their numbers, and */
    bool *for_solving;       /* [episodes]; NULL: all */
    calibration whole;       /* as cached, up to the deepest exit allowed */
    onpolicy_result found, official;
    bool has_official;
    onpolicy_result *dial;    /* [spec->points] of a guaranteed dial */
    guarantee_spec guarantee; /* spec's, with budget, unit and kinds decided */
    const float *tau;         /* of the answer: as found, or as guaranteed */
    limits asked;             /* spec's; with rules for cameras a fraction is a number */
    camera_choice choice[2 * CAMERA_CHOICES];
    int choices; /* 0: fresh cameras */
    deer_camera_rules cameras;
} job;

calibrate_spec calibrate_default(void)
{
    return (calibrate_spec){
        .problem = {.gripper_weight = LOSS_GRIPPER_WEIGHT},
        .solve = {.seed = 1},
        .history = HISTORY_ON_POLICY,
        .threads = 1,
        .asked = {.average = NAN, .fraction = NAN, .peak = INFINITY, .memory = INFINITY},
        .guarantee = {
            .deviation = INFINITY, .largest_loss = NAN, .share = GUARANTEE_SHARE, .seed = 1}};
}

/* ---------------------------------------------------------------- budgets ------------------ */

/* The steps of the episodes to solve on, of p; p's own where that is all. */
static deer_status steps_to_solve(const job *j, const calibration *p, steps *part, deer_error *err)
{
    if (j->for_solving)
        return steps_select(&p->s, j->for_solving, part, err);
    *part = p->s;
    return DEER_OK;
}

/* Decides the deepest exit and the average budget, on a problem of every exit there is. */
static deer_status choose_budgets(job *j, const calibration *every, deer_error *err)
{
    const limits *asked = &j->asked;
    bool llm = j->spec->problem.scope_llm;
    int last = every->s.exits - 1, deepest = last;
    steps part = {0};
    deer_status status;

    if (!j->choices) {
        j->x->o.full_llm = calibration_fixed_cost(every, every->llm, last);
        j->x->o.full_total = calibration_fixed_cost(every, every->total, last);
    }
    status = limits_deepest(asked, j->unit, llm ? every->peak_llm : every->peak_total,
                            every->memory, every->s.exits, &deepest, err);
    if (!status)
        status = steps_to_solve(j, every, &part, err);
    if (!status)
        status = limits_average(asked, j->unit, &part, &j->x->how.solve.budget, err);
    if (j->for_solving)
        steps_free(&part);
    j->x->how.problem.max_exit = j->x->how.solve.max_exit = deepest;
    return status;
}

/* Where a loss is asked for and no average: the least average that keeps it. */
static deer_status budget_for_loss(job *j, deer_error *err)
{
    double limit = j->spec->guarantee.deviation;
    onpolicy_spec *how = &j->x->how;
    steps part = {0};
    deer_status status;

    if (!isfinite(limit) || isfinite(how->solve.budget))
        return DEER_OK;
    status = steps_to_solve(j, &j->whole, &part, err);
    if (!status)
        status = frontier_budget_for_loss(&part, &how->solve, limit, &how->solve.budget, err);
    if (j->for_solving)
        steps_free(&part);
    return status;
}

static deer_status decide_budgets(job *j, deer_error *err)
{
    calibration_spec problem = j->spec->problem;
    int last = j->x->c->exits - 1;
    deer_status status;

    problem.max_exit = last;
    if (calibration_make(j->x->c, &problem, NULL, &j->whole, err))
        return DEER_FAILED;
    status = choose_budgets(j, &j->whole, err);
    if (!status && j->x->how.problem.max_exit != last) {
        calibration_free(&j->whole);
        status = calibration_make(j->x->c, &j->x->how.problem, NULL, &j->whole, err);
    }
    return status ? status : budget_for_loss(j, err);
}

/* The cache is seen through these rules from here on. */
static void see_through(job *j, const deer_camera_rules *rules)
{
    j->cameras = *rules;
    eyes_follow(j->x->c, rules, &j->x->eyes, &j->x->o.eyes);
    j->x->c->eyes = &j->x->eyes;
}

/* ---------------------------------------------------------------- guarantee ---------------- */

static deer_status judge(void *context, const float *tau, const bool *some, episode_sums *sums,
                         deer_error *err)
{
    job *j = context;
    const onpolicy_spec *how = &j->x->how;
    calibration own;

    if (onpolicy_judge_some(j->x->c, j->x->model, &how->problem, tau, some, how->threads, &own,
                            err))
        return DEER_FAILED;
    guarantee_sum(&own.s, tau, how->problem.max_exit, sums);
    calibration_free(&own);
    return DEER_OK;
}

/* Episodes of one task are one kind. */
static deer_status name_tasks(job *j, deer_error *err)
{
    const cache *c = j->x->c;
    int episodes = c->about.episodes;
    const char **names = malloc((size_t)episodes * sizeof *names);
    deer_status status;

    j->task = calloc((size_t)episodes, sizeof *j->task);
    if (!names || !j->task) {
        free(names);
        return deer_fail(err, "out of memory for %d episodes", episodes);
    }
    for (int e = c->from; e < c->to; e++)
        memcpy(j->task[e], c->episode[e].task, sizeof *j->task);
    if (c->spread)
        cluster_place(j->task, sizeof *j->task, c->from, c->to - c->from);
    for (int e = 0; e < episodes; e++)
        names[e] = j->task[e];
    status = task_kinds_make(names, episodes, j->spec->mix, &j->kinds, err);
    free(names);
    return status;
}

static deer_status split(job *j, deer_error *err)
{
    int episodes = j->x->c->about.episodes;
    deer_status status = name_tasks(j, err);

    if (status)
        return status;
    task_kinds_tell(&j->kinds, &j->guarantee);
    j->guarantee.unit = j->unit;
    if (!j->guarantee.longest)
        j->guarantee.longest = cache_longest(&j->x->c->about);
    j->guarantee.deepest_is_reference = j->spec->problem.loss == LOSS_DEEPEST;
    if (isnan(j->guarantee.largest_loss)) /* poses lie in -1..1 */
        j->guarantee.largest_loss = 2 + j->spec->problem.gripper_weight;
    j->for_solving = calloc((size_t)episodes, sizeof *j->for_solving);
    if (!j->for_solving)
        return deer_fail(err, "out of memory for %d episodes", episodes);
    return guarantee_split(&j->guarantee, episodes, j->for_solving, err);
}

static deer_status solve_guaranteed(job *j, deer_error *err)
{
    guarantee_spec *g = &j->guarantee;
    onpolicy_spec part = j->x->how;
    deer_status status;

    part.episodes = j->for_solving;
    g->budget = limits_have_average(&j->asked) ? part.solve.budget : INFINITY;
    status = onpolicy_solve(j->x->c, j->x->model, &part, &j->found, err);
    if (!status)
        status = guarantee_choose(g, &j->found.problem.s, &j->found.x.at, j->x->c->about.episodes,
                                  j->for_solving, judge, j, &j->x->o.guaranteed, err);
    j->tau = j->x->o.guaranteed.at.tau;
    return status;
}

/* ---------------------------------------------------------------- solving ------------------ */

/* On the part that is for solving: a guarantee knows nothing of the others. */
static deer_status fit_score(job *j, deer_error *err)
{
    calibrated *x = j->x;
    const criterion *how = criterion_of(x->how.problem.criterion);
    combined_spec spec = {.problem = x->how.problem,
                          .episodes = j->for_solving,
                          .seed = x->how.solve.seed,
                          .threads = x->how.threads};

    if (!how->fit)
        return DEER_OK;
    x->how.problem.score = x->score;
    return how->fit(x->c, x->model, &spec, x->score, err);
}

static deer_status solve_plainly(job *j, deer_error *err)
{
    j->tau = j->found.x.at.tau;
    return onpolicy_solve(j->x->c, j->x->model, &j->x->how, &j->found, err);
}

/* The steps that are shown: all episodes under the chosen thresholds' own history. Random history,
 * which no robot has, is shown as it was solved on. */
static deer_status show_on(job *j, deer_error *err)
{
    const onpolicy_spec *how = &j->x->how;

    if (how->history == HISTORY_RANDOM && !j->x->o.guaranteed.given) {
        j->x->p = j->found.problem;
        j->found.problem = (calibration){0};
        return DEER_OK;
    }
    return onpolicy_judge(j->x->c, j->x->model, &how->problem, j->tau, how->threads, &j->x->p, err);
}

/* The best official heuristic at the cost the answer really has. */
static deer_status solve_officially(job *j, deer_error *err)
{
    onpolicy_spec official = j->x->how;
    evaluation here;
    deer_status status;

    if (criterion_of(official.problem.criterion)->needs & CRITERION_NEEDS_DEER)
        official.problem.criterion = DEER_CRITERION_L2;
    steps_evaluate(&j->x->p.s, j->tau, official.problem.max_exit, &here);
    official.official_best = true;
    if (j->x->o.guaranteed.given)
        official.solve.budget = here.cost;
    if (!isfinite(official.solve.budget))
        return DEER_OK;
    status = onpolicy_solve(j->x->c, j->x->model, &official, &j->official, err);
    j->has_official = !status;
    return status == DEER_INFEASIBLE ? DEER_OK : status; /* of the heuristic alone */
}

/* Of the deepest exit allowed with fresh cameras: both images of every step, all keys and values.
 */
static double fresh_cost(const job *j)
{
    const cache *c = j->x->c;
    double sum = 0;

    for (int e = c->from; e < c->to; e++) {
        deer_cost cost;
        deer_cost_of(&c->about.config, c->episode[e].tokens, WEIGHT_F32, &cost);
        sum += c->episode[e].steps * deer_gflops(cost.exit[j->x->how.problem.max_exit].total);
    }
    if (c->spread) /* but for rounding: it is printed where cameras have rules alone */
        cluster_sum(&sum, 1);
    return sum / (double)c->all;
}

static deer_status describe(job *j, deer_error *err)
{
    outcome *o = &j->x->o;
    const onpolicy_spec *how = &j->x->how;

    o->episodes = j->x->c->about.episodes;
    o->exits = j->x->c->exits;
    o->steps = j->x->p.s.all;
    o->has_scopes = true;
    o->scope_llm = how->problem.scope_llm;
    o->budget = how->solve.budget;
    o->problem = how->problem;
    o->history = (outcome_history){.kind = how->history,
                                   .rounds = j->found.rounds,
                                   .converged = j->found.converged,
                                   .expected = j->found.expected,
                                   .used = j->found.first};
    outcome_describe(o, &j->x->p, &j->found.x, j->tau, &j->official.problem,
                     j->has_official ? &j->official.x : NULL, how->solve.method);
    o->found.cameras = o->full.cameras = o->official.cameras = j->cameras;
    o->fresh_gflops = fresh_cost(j);
    if (j->choices)
        strcpy(o->full.name, "cameras alone");
    return outcome_judge(o, &j->x->p.s, err);
}

static deer_status solve_all(job *j, deer_error *err)
{
    bool limited = limits_have_average(&j->asked) || isfinite(j->guarantee.deviation);
    deer_status status = guarantee_asked(&j->guarantee) && limited ? solve_guaranteed(j, err)
                                                                   : solve_plainly(j, err);

    if (!status)
        status = show_on(j, err);
    if (!status)
        status = solve_officially(j, err);
    if (!status)
        status = describe(j, err);
    j->x->has_outcome = !status;
    return status;
}

/* ---------------------------------------------------------------- dial --------------------- */

static deer_status solve_here(job *j, double budget, operating_point *x, deer_error *err)
{
    onpolicy_spec how = j->x->how;
    onpolicy_result r;
    deer_status status;

    how.solve.budget = budget;
    status = onpolicy_solve(j->x->c, j->x->model, &how, &r, err);
    if (!status)
        calibration_describe(&r.problem, r.x.at.name, r.x.at.tau, how.problem.max_exit, x);
    x->cameras = j->cameras;
    onpolicy_free(&r);
    return status;
}

/* Every point has the rules that are best at its budget; peak and memory stay those of the file. */
static deer_status solve_for(void *context, double budget, operating_point *x, deer_error *err)
{
    job *j = context;
    const deer_camera_rules own = j->cameras;
    deer_status status = solve_here(j, budget, x, err);
    bool found = !status;

    for (int i = 0; i < j->choices && (!status || status == DEER_INFEASIBLE); i++) {
        operating_point other;

        if (j->choice[i].rules.stagger != own.stagger)
            continue;
        see_through(j, &j->choice[i].rules);
        status = solve_here(j, budget, &other, err);
        if (!status && (!found || other.loss < x->loss))
            *x = other;
        found = found || !status;
    }
    if (j->choices)
        see_through(j, &own);
    return found && status == DEER_INFEASIBLE ? DEER_OK : status;
}

static deer_status solve_part(void *context, int i, guarantee_point *x, deer_error *err)
{
    job *j = context;
    onpolicy_spec part = j->x->how;
    onpolicy_result *r = &j->dial[i];
    deer_status status;

    part.episodes = j->for_solving;
    part.solve.budget = x->budget;
    status = onpolicy_solve(j->x->c, j->x->model, &part, r, err);
    x->solving = &r->problem.s;
    x->found = &r->x.at;
    return status;
}

static deer_status describe_point(void *context, const float *tau, operating_point *x,
                                  deer_error *err)
{
    job *j = context;
    const onpolicy_spec *how = &j->x->how;
    calibration own;

    if (onpolicy_judge(j->x->c, j->x->model, &how->problem, tau, how->threads, &own, err))
        return DEER_FAILED;
    calibration_describe(&own, solve_method_name(how->solve.method), tau, how->problem.max_exit, x);
    x->cameras = j->cameras;
    calibration_free(&own);
    return DEER_OK;
}

static deer_status make_guaranteed_dial(job *j, deer_error *err)
{
    int points = j->spec->points;
    steps part = {0};
    dial_promises d = {.points = points,
                       .max_exit = j->x->how.problem.max_exit,
                       .episodes = j->x->c->about.episodes,
                       .part = &part,
                       .for_solving = j->for_solving,
                       .guarantee = &j->guarantee,
                       .judge = judge,
                       .solve = solve_part,
                       .describe = describe_point,
                       .context = j};
    deer_status status;

    j->dial = calloc((size_t)points, sizeof *j->dial);
    j->x->point_guarantee = calloc((size_t)points, sizeof *j->x->point_guarantee);
    if (!j->dial || !j->x->point_guarantee)
        return deer_fail(err, "out of memory for %d budgets", points);
    status = steps_select(&j->whole.s, j->for_solving, &part, err);
    if (!status)
        status = dial_guarantee(&d, &j->spec->progress, j->x->point, j->x->point_guarantee, err);
    steps_free(&part);
    return status;
}

static deer_status make_dial(job *j, deer_error *err)
{
    const calibrate_spec *spec = j->spec;

    if (!spec->points)
        return DEER_OK;
    j->x->point = calloc((size_t)spec->points, sizeof *j->x->point);
    if (!j->x->point)
        return deer_fail(err, "out of memory for %d budgets", spec->points);
    j->x->points = spec->points;
    if (guarantee_asked_together(&j->guarantee))
        return make_guaranteed_dial(j, err);
    return dial_make(spec->points, &j->whole.s, j->x->how.solve.max_exit, solve_for, j,
                     &spec->progress, j->x->point, err);
}

/* ---------------------------------------------------------------- cameras ------------------ */

/* Whether rules for cameras are to be found: in the total scope, of a cache that has ages, under a
 * budget that says what a step may cost. */
static bool search_cameras(const job *j)
{
    const calibrate_spec *spec = j->spec;

    return !spec->fresh_cameras && !spec->problem.scope_llm && cache_pairs(&j->x->c->about) &&
           spec->history == HISTORY_ON_POLICY && !criterion_of(spec->problem.criterion)->fit &&
           (limits_have_average(&spec->asked) || isfinite(spec->asked.peak));
}

/* Budgets mean what they do without rules: full depth is that of fresh cameras. */
static deer_status fresh_budgets(job *j, deer_error *err)
{
    calibration_spec problem = j->spec->problem;
    calibration fresh;

    problem.max_exit = j->x->c->exits - 1;
    if (calibration_make(j->x->c, &problem, NULL, &fresh, err))
        return DEER_FAILED;
    j->x->o.full_llm = calibration_fixed_cost(&fresh, fresh.llm, problem.max_exit);
    j->x->o.full_total = calibration_fixed_cost(&fresh, fresh.total, problem.max_exit);
    if (!isnan(j->asked.fraction))
        j->asked.average = j->asked.fraction * j->x->o.full_total;
    j->asked.fraction = NAN;
    calibration_free(&fresh);
    return DEER_OK;
}

static deer_status propose(job *j, deer_error *err)
{
    onpolicy_spec how = j->x->how;
    const deer_camera_rules *given = j->spec->cameras;
    int n = 0;
    deer_status status;

    if (given) {
        j->choice[j->choices++] = (camera_choice){.rules = *given};
        return eyes_can_follow(j->x->c, given)
                   ? DEER_OK
                   : deer_fail_with(DEER_USAGE, err,
                                    "the cache %s has no ages as old as the rules given",
                                    j->x->c->dir);
    }
    how.problem.max_exit = j->x->c->exits - 1;
    how.episodes = j->for_solving;
    for (int stagger = 0; stagger <= isfinite(j->asked.peak); stagger++) {
        status = cameras_propose(j->x->c, j->x->model, &how, stagger, &j->x->eyes,
                                 j->choice + j->choices, &n, err);
        if (status)
            return status;
        j->choices += n;
    }
    return DEER_OK;
}

/* What thresholds lose at best under these rules; infinity where nothing keeps the budgets. */
static deer_status try_rules(job *j, const deer_camera_rules *rules, double *loss, deer_error *err)
{
    onpolicy_spec part;
    onpolicy_result r;
    deer_status status;

    *loss = INFINITY;
    see_through(j, rules);
    status = decide_budgets(j, err);
    calibration_free(&j->whole);
    if (!status) {
        part = j->x->how;
        part.episodes = j->for_solving;
        status = onpolicy_solve(j->x->c, j->x->model, &part, &r, err);
        *loss = status ? INFINITY : r.x.at.loss;
        onpolicy_free(&r);
    }
    return status == DEER_INFEASIBLE ? DEER_OK : status;
}

/* Ages, rho and thresholds together: the rules under which thresholds lose least, of those that
 * leave the deepest exit within the peak, for losses against another exit say nothing. What is
 * solved behind this is seen through them. */
static deer_status choose_cameras(job *j, deer_error *err)
{
    double least = INFINITY, loss;
    int best = 0, deepest = -1;
    deer_status status = eyes_open(j->x->c, &j->x->eyes, err);

    if (!status)
        status = fresh_budgets(j, err);
    if (!status)
        status = propose(j, err);
    for (int i = 0; i < j->choices && !status; i++) {
        status = try_rules(j, &j->choice[i].rules, &loss, err);
        int exit = isfinite(loss) ? j->x->how.problem.max_exit : -1;
        if (exit > deepest || (exit == deepest && loss < least)) {
            best = i;
            least = loss;
            deepest = exit;
        }
    }
    if (status)
        return status;
    j->x->o.choices = j->choices;
    see_through(j, &j->choice[best].rules); /* none keeps the budgets: the cheapest one's message */
    if (j->cameras.static_view.age || j->cameras.gripper_view.age)
        j->guarantee.deepest_is_reference = false; /* that is one with fresh cameras */
    return DEER_OK;
}

/* ---------------------------------------------------------------- the whole way ------------ */

/* Replays where that is asked for, and opens the cache. */
static deer_status open_source(const calibrate_source *from, calibrated *x, deer_error *err)
{
    const char *folder = from->cache ? from->cache : x->temporary;
    replay_report report;
    replay_spec spec;

    if (!from->cache && temporary_folder(x->temporary, sizeof x->temporary, err)) {
        *x->temporary = 0;
        return DEER_FAILED;
    }
    if (from->replay) {
        spec = *from->replay;
        spec.cache = folder;
        if (replay(&spec, &report, err))
            return DEER_FAILED;
        if (from->replayed)
            from->replayed(from->context, &spec, &report);
    }
    return cache_open_spread(folder, &x->c, err);
}

static deer_status run(job *j, const char *model, deer_error *err)
{
    const calibrate_spec *spec = j->spec;
    bool only_dial;
    deer_status status = guarantee_asked(&spec->guarantee) ? split(j, err) : DEER_OK;

    if (!status && search_cameras(j) && j->x->c->spread)
        return deer_fail_with(DEER_USAGE, err,
                              "rules for cameras are searched for by one process: run without "
                              "mpirun, or add --fresh-cameras");
    if (!status && search_cameras(j))
        status = cache_open_model(j->x->c, model, &j->x->model, err);
    if (!status && j->x->model)
        status = choose_cameras(j, err);
    if (!status)
        status = decide_budgets(j, err);
    only_dial = spec->only_dial && !isfinite(j->x->how.solve.budget);
    if (!status && spec->history != HISTORY_FULL && !j->x->model)
        status = cache_open_model(j->x->c, model, &j->x->model, err);
    if (!status)
        status = fit_score(j, err);
    if (!status)
        status = make_dial(j, err);
    return status || only_dial ? status : solve_all(j, err);
}

static void free_job(job *j)
{
    calibration_free(&j->whole);
    onpolicy_free(&j->found);
    onpolicy_free(&j->official);
    for (int i = 0; i < j->spec->points && j->dial; i++)
        onpolicy_free(&j->dial[i]);
    free(j->dial);
    free(j->for_solving);
    task_kinds_free(&j->kinds);
    free(j->task);
}

static deer_status choose_rule(job *j, deer_error *err)
{
    calibrated *x = j->x;

    x->rules = malloc(sizeof *x->rules);
    if (!x->rules)
        return deer_fail(err, "out of memory");
    return rules_choose(x->c, x->model, &x->how, j->spec->rule, x->rules, err);
}

/* What one rank alone can do is not done by many, each for its own share. */
static deer_status check_ranks(const calibrate_source *from, const calibrate_spec *spec,
                               deer_error *err)
{
    if (cluster_size() == 1)
        return DEER_OK;
    if (spec->rule || criterion_of(spec->problem.criterion)->fit)
        return deer_fail_with(DEER_USAGE, err,
                              "--rule and --criterion combined are for one process: run without "
                              "mpirun");
    if (!from->cache)
        return deer_fail_with(DEER_USAGE, err, "several ranks need a --cache that all of them see");
    return DEER_OK;
}

deer_status calibrate(const calibrate_source *from, const calibrate_spec *spec, calibrated **found,
                      deer_error *err)
{
    calibrated *x = calloc(1, sizeof *x);
    job j = {.spec = spec,
             .x = x,
             .unit = spec->problem.scope_llm ? " GFLOPs (llm)" : " GFLOPs (total)",
             .guarantee = spec->guarantee,
             .asked = spec->asked};
    deer_status status;

    *found = NULL;
    if (!x)
        return deer_fail(err, "out of memory");
    x->how = (onpolicy_spec){.problem = spec->problem,
                             .solve = spec->solve,
                             .history = spec->history,
                             .threads = spec->threads};
    status = check_ranks(from, spec, err);
    if (!status)
        status = open_source(from, x, err);
    if (!status)
        status = run(&j, from->model, err);
    if (!status && spec->rule)
        status = choose_rule(&j, err);
    free_job(&j);
    if (status)
        calibrated_free(x);
    else
        *found = x;
    return status;
}

void calibrated_free(calibrated *x)
{
    if (!x)
        return;
    calibration_free(&x->p);
    free(x->point);
    free(x->point_guarantee);
    free(x->rules);
    eyes_close(&x->eyes);
    deer_model_close(x->model);
    cache_close(x->c);
    if (*x->temporary)
        temporary_remove(x->temporary);
    free(x);
}
