/* SPDX-License-Identifier: MIT */
/* check.c - deer-calib check: what a thresholds file does on a cache, against what is expected of
 * it. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "calib/cli/commands.h"
#include "calib/cli/official_values.h"
#include "calib/cli/print_rules.h"
#include "calib/cli/settings.h"
#include "calib/cli/table.h"
#include "calib/pipeline/calibrate.h"
#include "calib/replay/eyes.h"
#include "calib/solve/oracle.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/tau.h"
#include "runtime/cli/tool.h"
#include "runtime/deer_replay.h"

typedef struct {
    cache *c;
    deer_model *model;
    deer_thresholds *t;
    calibration_spec spec;
    calibration p;
    operating_point row;
    rule_verdict together; /* what episodes lose; with on-policy history */
    double oracle_loss;
    cache_eyes eyes; /* of thresholds with rules for cameras */
    eyes_view seen;
    double worst_episode; /* highest mean cost of an episode, GFLOPs of the budget's scope */
} job;

static double highest_episode_cost(const job *j)
{
    const steps *s = &j->p.s;
    double worst = 0, sum = 0;
    long n = 0;

    for (int64_t i = 0; i < s->n; i++) {
        int k = tau_exit(s->delta + i, s->n, j->t->tau, j->t->max_exit);

        sum += s->cost[s->group[i] * s->exits + k];
        n++;
        if (i + 1 == s->n || s->episode[i + 1] != s->episode[i]) {
            worst = fmax(worst, sum / (double)n);
            sum = 0;
            n = 0;
        }
    }
    return worst;
}

static double found_cost(const job *j)
{
    return j->t->budget_is_llm ? j->row.llm : j->row.total;
}

static const char *weights_of(const char *type)
{
    return *type ? type : "weights unknown";
}

/* Cameras as the thresholds have them. */
static deer_status open_eyes(job *j, const char *thresholds, deer_error *err)
{
    const deer_camera_rules *rules = &j->t->cameras;

    if (!rules->static_view.age && !rules->gripper_view.age)
        return DEER_OK;
    if (!j->model || !cache_pairs(&j->c->about) || !eyes_can_follow(j->c, rules))
        return deer_fail(err,
                         "%s uses encodings up to %d and %d steps old: judging it takes on-policy "
                         "history and a cache of such ages (deer-calib replay --ages)",
                         thresholds, rules->static_view.age, rules->gripper_view.age);
    if (eyes_open(j->c, &j->eyes, err))
        return DEER_FAILED;
    eyes_follow(j->c, rules, &j->eyes, &j->seen);
    j->c->eyes = &j->eyes;
    return DEER_OK;
}

/* With the exits that the thresholds take themselves, and their rule, if they have one. */
static deer_status judge_together(job *j, const char *thresholds, int threads, deer_error *err)
{
    rule_candidate x = {.rule = j->t->rule};

    if (x.rule.kind && !j->model)
        return deer_fail(err, "%s has a rule of exits: judging it takes on-policy history",
                         thresholds);
    if (!j->model)
        return DEER_OK;
    memcpy(x.tau, j->t->tau, sizeof x.tau);
    if (rule_judge(j->c, j->model, &j->spec, &x, NULL, threads, &j->together, err))
        return DEER_FAILED;
    if (!x.rule.kind)
        return DEER_OK;
    j->row.llm = j->together.llm;
    j->row.total = j->together.total;
    j->row.cost = found_cost(j);
    j->row.loss = j->together.loss[0];
    memcpy(j->row.fraction, j->together.fraction, sizeof j->row.fraction);
    j->worst_episode = j->oracle_loss = NAN; /* of other exits */
    return DEER_OK;
}

static deer_status judge(job *j, const char *thresholds, int threads, deer_error *err)
{
    if (deer_thresholds_load(thresholds, j->model, &j->t, err))
        return DEER_FAILED;
    if (strcmp(j->t->model_fingerprint, j->c->about.model))
        return deer_fail(err, "%s is for another model (%s %.8s) than the cache %s (%s %.8s)",
                         thresholds, weights_of(j->t->weights), j->t->model_fingerprint, j->c->dir,
                         weights_of(j->c->about.weights), j->c->about.model);
    if (j->t->max_exit >= j->c->exits)
        return deer_fail(err, "%s has %d exits, the cache %s %d", thresholds, j->t->max_exit + 1,
                         j->c->dir, j->c->exits);
    if (open_eyes(j, thresholds, err))
        return DEER_FAILED;
    j->spec.max_exit = j->t->max_exit;
    j->spec.criterion = j->t->criterion;
    j->spec.score = j->t->score;
    j->spec.scope_llm = j->t->budget_is_llm;
    if (onpolicy_judge(j->c, j->model, &j->spec, j->t->tau, threads, &j->p, err))
        return DEER_FAILED;
    calibration_describe(&j->p, "found", j->t->tau, j->t->max_exit, &j->row);
    j->worst_episode = highest_episode_cost(j);
    j->oracle_loss = oracle_solve(&j->p.s, j->t->max_exit, found_cost(j)).loss;
    return judge_together(j, thresholds, threads, err);
}

/* ---------------------------------------------------------------- output ------------------- */

static void expected_row(const job *j, operating_point *row)
{
    const deer_expected *p = &j->t->expected;

    *row = (operating_point){.name = "expected",
                             .max_exit = j->t->max_exit,
                             .llm = p->average_llm_gflops,
                             .total = p->average_total_gflops,
                             .peak_llm = p->peak_llm_gflops,
                             .peak_total = p->peak_total_gflops,
                             .loss = p->loss};
    row->cost = operating_point_cost(row, j->t->budget_is_llm);
    memcpy(row->fraction, p->exit_fraction, sizeof row->fraction);
    memcpy(row->tau, j->t->tau, sizeof row->tau);
}

/* Files of earlier versions have nine digits of a budget. */
static bool breaks_budget(const job *j)
{
    return isfinite(j->t->budget_gflops) && found_cost(j) > j->t->budget_gflops * (1 + 1e-8);
}

static deer_status verdict(const job *j, const char *thresholds, deer_error *err)
{
    if (!breaks_budget(j))
        return DEER_OK;
    return deer_fail_with(DEER_INFEASIBLE, err,
                          "%s breaks its budget on %s: %.6g GFLOPs (%s) a step, not %.6g; solve "
                          "again with such episodes, or for a smaller budget",
                          thresholds, j->c->dir, found_cost(j),
                          j->t->budget_is_llm ? "llm" : "total", j->t->budget_gflops);
}

static void print_people(const job *j, const char *thresholds)
{
    operating_point rows[2];
    int last = j->c->exits - 1;
    double cost = found_cost(j), budget = j->t->budget_gflops;

    expected_row(j, &rows[0]);
    rows[1] = j->row;
    printf("%s (%s) on %s: %d episodes, %lld steps; made by %s\n\n", thresholds,
           weights_of(j->t->weights), j->c->dir, j->c->about.episodes, (long long)j->p.s.n,
           j->t->solver);
    table_print(stdout, rows, 2, last + 1, calibration_fixed_cost(&j->p, j->p.llm, j->t->max_exit),
                calibration_fixed_cost(&j->p, j->p.total, j->t->max_exit),
                j->t->budget_is_llm ? "llm" : "total");
    if (isfinite(j->oracle_loss))
        printf(
            "\nper-step oracle at this cost: loss %.5f; most expensive episode %.6g GFLOPs a step "
            "(%s)\n",
            j->oracle_loss, j->worst_episode, j->t->budget_is_llm ? "llm" : "total");
    if (isfinite(budget))
        printf("budget %.6g GFLOPs (%s): %s, %.1f%% of it used\n", budget,
               j->t->budget_is_llm ? "llm" : "total", breaks_budget(j) ? "exceeded" : "kept",
               100 * cost / budget);
}

static json_t *number_or_null(double x)
{
    return isfinite(x) ? json_real(x) : json_null();
}

static deer_status print_machines(const job *j, deer_error *err)
{
    operating_point expected;
    json_t *json = table_json(&j->row);
    double budget = j->t->budget_gflops;

    expected_row(j, &expected);
    json_put(json, "expected", table_json(&expected));
    json_put(json, "weights", *j->t->weights ? json_string(j->t->weights) : json_null());
    json_put(json, "scope", json_string(j->t->budget_is_llm ? "llm" : "total"));
    json_put(json, "budget_gflops", isfinite(budget) ? json_real(budget) : json_null());
    json_put(json, "budget_kept", isfinite(budget) ? json_boolean(!breaks_budget(j)) : json_null());
    json_put(json, "worst_episode_gflops", number_or_null(j->worst_episode));
    json_put(json, "oracle_loss", number_or_null(j->oracle_loss));
    if (j->together.episodes)
        json_put(json, "episode_losses", episode_losses_json(&j->together));
    json_put(json, "episodes", json_integer(j->c->about.episodes));
    json_put(json, "steps", json_integer((json_int_t)j->p.s.n));
    return json_print(json, JSON_INDENT(2) | JSON_REAL_PRECISION(12), err);
}

/* ---------------------------------------------------------------- command ------------------ */

/* As given on the command line. */
typedef struct {
    const char *cache, *official, *thresholds, *model, *history, *loss;
    double gripper_weight;
    long threads;
    bool json;
} request;

/* The values in a checkpoint under thresholds that are numbers. */
static int check_official(const tool_command *self, const request *r)
{
    const official_request values = {.path = r->official,
                                     .average = NAN,
                                     .fraction = NAN,
                                     .thresholds = r->thresholds,
                                     .json = r->json};
    deer_error err;
    deer_status status = official_values(&values, &err);

    return status == DEER_USAGE ? tool_usage(self, "%s", err.message)
           : status             ? tool_fail(self, status, &err)
                                : TOOL_DONE;
}

/* Fills what the options say; another status than TOOL_DONE after a message. */
static int understand(const tool_command *self, const request *r, job *j, history_kind *kind)
{
    deer_error err;

    if (settings_history(r->history, kind, &err) || settings_loss(r->loss, &j->spec.loss, &err))
        return tool_usage(self, "%s", err.message);
    if (tool_outside(self, "threads", r->threads, 1, TOOL_MOST_THREADS))
        return TOOL_USAGE;
    if (*kind == HISTORY_RANDOM || r->gripper_weight < 0)
        return tool_usage(self, "--history is on-policy or full; numbers must not be negative");
    j->spec.gripper_weight = r->gripper_weight;
    return TOOL_DONE;
}

static deer_status run(const request *r, history_kind kind, job *j, deer_error *err)
{
    deer_status status = cache_open(r->cache, &j->c, err);

    if (!status && kind == HISTORY_ON_POLICY)
        status = cache_open_model(j->c, r->model, &j->model, err);
    if (!status)
        status = judge(j, r->thresholds, (int)r->threads, err);
    if (!status && r->json)
        status = print_machines(j, err);
    else if (!status)
        print_people(j, r->thresholds);
    return status ? status : verdict(j, r->thresholds, err);
}

static void close_job(job *j)
{
    calibration_free(&j->p);
    eyes_close(&j->eyes);
    deer_thresholds_free(j->t);
    deer_model_close(j->model);
    cache_close(j->c);
}

int calib_check_main(int argc, char **argv)
{
    request r = {.history = "on-policy",
                 .loss = "deepest",
                 .gripper_weight = LOSS_GRIPPER_WEIGHT,
                 .threads = tool_cores()};
    const tool_option options[] = {
        {"cache", TOOL_STRING, &r.cache, "DIR", "feature cache, of other episodes say"},
        {"thresholds", TOOL_STRING, &r.thresholds, "FILE", "thresholds file to judge (required)"},
        {"official", TOOL_STRING, &r.official, "FILE",
         "instead of a cache: the values in a DeeR checkpoint; --thresholds are numbers then"},
        {"model", TOOL_STRING, &r.model, "FILE",
         "the cache's policy, when it is no longer where it was"},
        {"history", TOOL_STRING, &r.history, "H", "on-policy (default) or full"},
        {"loss", TOOL_STRING, &r.loss, "L", "deviation from: deepest (default) exit, or demo"},
        {"gripper-weight", TOOL_DOUBLE, &r.gripper_weight, "W",
         "loss of a wrong gripper (default 0.2)"},
        {"threads", TOOL_INT, &r.threads, "N", "threads (default one per core)"},
        {"json", TOOL_FLAG, &r.json, NULL, "print JSON on standard output"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-calib check", "judges a thresholds file on a cache, against what is expected of it",
        "--cache DIR --thresholds FILE [options]", options,
        "deer-calib check --cache held-out --thresholds thresholds.json\n"
        "deer-calib check --official deer.pth --thresholds \"0.02 0.01 100000\""};
    job j = {.c = NULL};
    history_kind kind;
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!r.cache == !r.official || !r.thresholds)
        return tool_usage(&self, "--cache (or --official) and --thresholds are required");
    if (r.official)
        return check_official(&self, &r);
    ended = understand(&self, &r, &j, &kind);
    if (ended)
        return ended;
    status = run(&r, kind, &j, &err);
    close_job(&j);
    return status ? tool_fail(&self, status, &err) : TOOL_DONE;
}
