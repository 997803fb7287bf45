/* SPDX-License-Identifier: MIT */
/* report_json.c - a report as one JSON object. */
#include "reports/formats/report_json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reports/answer/assumptions.h"
#include "reports/answer/sentence.h"
#include "reports/formats/text.h"
#include "reports/formats/work_json.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/tau.h"

/* ---------------------------------------------------------------- small pieces ------------- */

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static void set_real(json_t *object, const char *key, double value)
{
    json_put(object, key, real_or_null(value));
}

static void set_integer(json_t *object, const char *key, int64_t value)
{
    json_put(object, key, json_integer(value));
}

static void set_bool(json_t *object, const char *key, bool value)
{
    json_put(object, key, json_boolean(value));
}

/* Text from files may be any bytes. */
static void set_text(json_t *object, const char *key, const char *text)
{
    char clean[1024];

    text_copy_utf8(clean, sizeof clean, text);
    json_put(object, key, json_string(clean));
}

static json_t *reals(const double *value, int n)
{
    json_t *list = json_array();

    for (int i = 0; i < n; i++)
        json_push(list, real_or_null(value[i]));
    return list;
}

static json_t *interval_json(interval x)
{
    return reals((double[]){x.low, x.high}, 2);
}

/* [low, expected, high] in another unit. */
static json_t *range_json(deer_range x, double factor)
{
    return reals((double[]){factor * x.low, factor * x.expected, factor * x.high}, 3);
}

/* ---------------------------------------------------------------- what was asked ----------- */

static json_t *cache_json(const report *r)
{
    json_t *json = json_object();

    set_text(json, "folder", r->q->cache);
    set_text(json, "policy", r->model_name);
    set_text(json, "policy_fingerprint", r->c->about.model);
    set_text(json, "demonstrations_fingerprint", r->c->about.demos);
    set_integer(json, "episodes", r->c->about.episodes);
    set_integer(json, "steps", r->c->steps);
    return json;
}

/* Metres and radians that a pose of 1 stands for. */
static json_t *action_scale_json(const report *r)
{
    json_t *list = json_array();

    for (int i = 0; i < DEER_POSE; i++)
        json_push(list, json_real((double)r->config.action_scale[i]));
    return list;
}

static json_t *shape_json(const report *r)
{
    json_t *json = json_object(), *layers = json_array();

    for (int k = 0; k < r->config.exits; k++)
        json_push(layers, json_integer(r->config.exit_layers[k]));
    set_text(json, "name", r->config.name);
    set_bool(json, "published_shape", r->mapped);
    json_put(json, "exit_layers", layers);
    json_put(json, "action_scale", action_scale_json(r));
    set_integer(json, "tokens_mean", r->tokens);
    set_integer(json, "tokens_longest", r->longest);
    return json;
}

static json_t *demands_json(const report *r)
{
    static const char *const weights[WEIGHTS_OF_BUYERS] = {"price", "watts", "time"};
    const question *q = r->q;
    json_t *json = json_object(), *dtypes = json_array(), *classes = json_array();

    for (int c = 0; c < HARDWARE_CLASSES; c++)
        if (q->classes[c])
            json_push(classes, json_string(hardware_class_name((hardware_class)c)));
    for (int d = 0; d < q->dtypes; d++)
        json_push(dtypes, json_string(weight_dtype_name(q->dtype[d])));
    json_put(json, "rates_hz", reals(q->rate, q->rates));
    json_put(json, "dtypes", dtypes);
    json_put(json, "classes", classes);
    json_put(json, "runtime", json_string(runtime_name(q->runtime)));
    json_put(json, "weight", json_string(weights[q->weight]));
    set_real(json, "max_loss", r->f.max_loss);
    set_bool(json, "max_loss_is_default", r->f.default_loss);
    set_real(json, "min_success", q->min_success);
    set_real(json, "max_watts", q->watts);
    set_real(json, "max_memory_bytes", q->memory);
    set_real(json, "host_price_usd", q->host_price);
    set_real(json, "host_watts", q->host_watts);
    set_integer(json, "robots", q->robots);
    set_real(json, "deadline_ms", q->deadline > 0 ? 1e3 * q->deadline : NAN);
    json_put(json, "load", work_load_json(r));
    return json;
}

/* ---------------------------------------------------------------- frontier ----------------- */

/* null at the last exit, "never" where an exit is never taken. */
static json_t *tau_json(const sweep_point *x)
{
    json_t *list = json_array();

    for (int k = 0; k < x->at.max_exit; k++)
        json_push(list, tau_word(x->at.tau[k]) ? json_string(tau_word(x->at.tau[k]))
                                               : json_real((double)x->at.tau[k]));
    json_push(list, json_null());
    return list;
}

/* Shares of the steps that encode no, one or both cameras, each by exit. */
static json_t *mix_json(const sweep_point *x)
{
    json_t *list = json_array();

    for (int n = 0; n < 3; n++)
        json_push(list, reals(x->mix.share[n], x->at.max_exit + 1));
    return list;
}

static json_t *point_json(const report *r, const sweep_point *x)
{
    json_t *json = json_object();
    interval wilson;
    double success;

    success_at(&r->success, x->at.cost, &success, &wilson);
    set_real(json, "cost_gflops", x->at.cost);
    json_put(json, "cost_95", interval_json(x->cost_95));
    set_real(json, "llm_gflops", x->at.llm);
    set_real(json, "total_gflops", x->at.total);
    set_real(json, "loss", x->at.loss);
    json_put(json, "loss_95", interval_json(x->loss_95));
    if (r->success.n) {
        set_real(json, "success", success);
        json_put(json, "success_95", interval_json(wilson));
    }
    json_put(json, "tau", tau_json(x));
    json_put(json, "exit_fractions", reals(x->at.fraction, x->at.max_exit + 1));
    if (r->w.reuses)
        json_put(json, "mix", mix_json(x));
    return json;
}

/* Steps leaving at each exit, task by task. */
static json_t *counts_json(const report *r, int budget)
{
    const task_sums *sums = report_sums(r, budget);
    json_t *list = json_array();

    for (int t = 0; t < r->t.n; t++) {
        json_t *row = json_array();

        for (int k = 0; k < r->w.exits; k++)
            json_push(row, json_integer(sums[t].count[k]));
        json_push(list, row);
    }
    return list;
}

static json_t *frontier_json(const report *r, int deepest)
{
    json_t *json = json_object(), *points = json_array();

    for (int b = 0; b < r->w.budgets; b++) {
        json_t *point = point_json(r, &r->w.frontier[deepest].ours[b]);

        if (deepest == r->w.exits - 1)
            json_put(point, "task_counts", counts_json(r, b));
        json_push(points, point);
    }
    set_integer(json, "deepest_exit", deepest);
    json_put(json, "oracle_loss", reals(r->w.frontier[deepest].oracle, r->w.budgets));
    json_put(json, "points", points);
    return json;
}

static json_t *frontiers_json(const report *r)
{
    json_t *list = json_array();

    for (int k = 0; k < r->w.exits; k++)
        json_push(list, frontier_json(r, k));
    return list;
}

static json_t *official_json(const report *r)
{
    json_t *list = json_array();

    for (int b = 0; b < r->w.budgets; b++)
        json_push(list, r->w.has_official[b] ? point_json(r, &r->w.official[b]) : json_null());
    return list;
}

static json_t *exits_json(const report *r)
{
    json_t *list = json_array();

    for (int k = 0; k < r->w.exits; k++) {
        json_t *json = point_json(r, &r->w.fixed[k]);

        set_integer(json, "exit", k);
        set_integer(json, "layer", r->config.exit_layers[k]);
        set_real(json, "peak_llm_gflops", r->p.peak_llm[k]);
        set_real(json, "peak_total_gflops", r->p.peak_total[k]);
        json_push(list, json);
    }
    return list;
}

static json_t *rollouts_json(const report *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->success.n; i++) {
        const success_row *row = &r->success.row[i];
        json_t *json = json_object();

        set_text(json, "file", row->file);
        set_real(json, "cost_gflops", row->cost);
        set_real(json, "success", row->value);
        json_put(json, "success_95", interval_json(row->wilson_95));
        set_real(json, "rollouts", row->rollouts);
        json_push(list, json);
    }
    return list;
}

/* ---------------------------------------------------------------- thresholds file ---------- */

static json_t *rule_json(const deer_camera_rule *rule)
{
    json_t *json = json_object();

    set_integer(json, "age", rule->age);
    set_real(json, "rho", (double)rule->rho);
    return json;
}

/* When cameras are encoded: null where always. */
static json_t *cameras_json(const report *r)
{
    json_t *json = json_object();

    if (!r->given.reuses) {
        json_decref(json);
        return json_null();
    }
    json_put(json, "static", rule_json(&r->given.file->cameras.static_view));
    json_put(json, "gripper", rule_json(&r->given.file->cameras.gripper_view));
    set_bool(json, "stagger", r->given.file->cameras.stagger);
    json_put(json, "encoded", reals(r->given.seen.encoded, 2));
    set_real(json, "older", r->given.seen.older);
    set_integer(json, "most_at_a_step", r->w.encodings);
    return json;
}

static json_t *given_json(const report *r)
{
    json_t *json = json_object();

    if (!r->given.file) {
        json_decref(json);
        return json_null();
    }
    set_text(json, "file", r->q->thresholds);
    set_text(json, "solver", r->given.file->solver);
    set_integer(json, "deepest_exit", r->given.file->max_exit);
    set_bool(json, "rule_of_exits", r->given.file->rule.kind != 0);
    set_bool(json, "own_history", r->given.own_history);
    json_put(json, "point", point_json(r, &r->given.point));
    return json;
}

/* ---------------------------------------------------------------- machines ----------------- */

static json_t *figure_json(const deer_figure *x, const char *unit, double factor)
{
    json_t *json = json_object();

    set_real(json, "value", x->value * factor);
    set_real(json, "low", x->low * factor);
    set_real(json, "high", x->high * factor);
    json_put(json, "unit", json_string(unit));
    set_bool(json, "assumed", x->assumed);
    set_text(json, "source", x->source);
    set_text(json, "date", x->date);
    set_text(json, "note", x->note);
    return json;
}

/* W that the machine draws in a step, without what stands around it: energy over time. */
static deer_range busy_watts(const deer_exit_time *t)
{
    return (deer_range){t->joules.low / t->total.low, t->joules.expected / t->total.expected,
                        t->joules.high / t->total.high};
}

/* A step to exit k: what the machine allows, stage by stage as expected, and what the runtime
 * takes. */
static json_t *exit_time_json(const report *r, const deer_hardware *hardware,
                              const fleet_costs *costs, int k)
{
    const deer_exit_time *t = &costs->latency.exit[k], *allowed = &costs->allowed.exit[k];
    json_t *json = json_object();

    json_put(json, "ms", costs->known ? range_json(t->total, 1e3) : json_null());
    json_put(json, "joules",
             costs->known ? range_json(fleet_joules(r->q, hardware, t), 1) : json_null());
    json_put(json, "allowed_ms", range_json(allowed->total, 1e3));
    json_put(json, "busy_watts", range_json(busy_watts(allowed), 1));
    set_real(json, "vision_ms", 1e3 * allowed->vision.expected);
    set_real(json, "resampler_ms", 1e3 * allowed->resampler.expected);
    set_real(json, "llm_ms", 1e3 * allowed->llm.expected);
    set_real(json, "head_ms", 1e3 * allowed->head.expected);
    set_real(json, "overhead_ms", 1e3 * allowed->overhead.expected);
    json_put(json, "longest_ms", costs->known ? range_json(costs->longest[k], 1e3) : json_null());
    return json;
}

static json_t *memory_json(const deer_memory *m)
{
    json_t *json = json_object();

    set_real(json, "weights_bytes", (double)m->weights);
    set_real(json, "activations_bytes", (double)m->activations);
    set_real(json, "with_system_bytes", m->total.expected);
    set_real(json, "with_system_high_bytes", m->total.high);
    return json;
}

static json_t *costs_json(const report *r, const deer_hardware *hardware, int mode,
                          const fleet_costs *costs, int dtype)
{
    json_t *json = json_object(), *exits = json_array(), *memory = json_array();

    for (int k = 0; k < r->w.exits; k++) {
        if (costs->allowed_known)
            json_push(exits, exit_time_json(r, hardware, costs, k));
        json_push(memory, memory_json(&costs->memory[k]));
    }
    json_put(json, "dtype", json_string(weight_dtype_name(r->q->dtype[dtype])));
    if (costs->known)
        json_put(json, "unknown", json_null());
    else
        set_text(json, "unknown", costs->unknown);
    json_put(json, "exits", exits);
    json_put(json, "speeds",
             costs->allowed_known ? work_speeds_json(r, hardware, mode, dtype, false)
                                  : json_null());
    json_put(json, "own_speeds",
             costs->allowed_known && deer_own_differs(hardware)
                 ? work_speeds_json(r, hardware, mode, dtype, true)
                 : json_null());
    json_put(json, "memory", memory);
    set_real(json, "available_bytes", costs->memory[0].available);
    return json;
}

static json_t *option_json(const report *r, const fleet_option *o)
{
    const deer_hardware *hardware = &r->f.machine[o->machine];
    json_t *json = json_object(), *costs = json_array();

    for (int d = 0; d < r->q->dtypes; d++)
        json_push(costs, costs_json(r, hardware, o->mode, &o->costs[d], d));
    set_integer(json, "machine", o->machine);
    set_text(json, "mode", hardware->mode[o->mode].name);
    set_real(json, "mode_watts", hardware->mode[o->mode].watts.value);
    json_put(json, "dtypes", costs);
    return json;
}

static json_t *span_json(const form_span *s)
{
    return reals((double[]){s->low, s->value, s->high}, 3);
}

/* What is assumed to stand around a machine. */
static json_t *around_json(const question *q, const deer_hardware *h)
{
    hardware_form_facts around = fleet_around(q, h);
    json_t *json = json_object();

    json_put(json, "what", around.around ? json_string(around.around) : json_null());
    json_put(json, "price_usd", span_json(&around.price));
    json_put(json, "watts", span_json(&around.watts));
    set_real(json, "supply", around.supply);
    return json;
}

static void add_support(json_t *json, const deer_hardware *h)
{
    static const char *const keys[SUPPORTS] = {"measured", "runs", "other", "cannot"};
    hardware_support support = deer_hardware_support(h);

    json_put(json, "support", json_string(keys[support]));
    set_text(json, "support_words", hardware_words(h));
    set_text(json, "unsupported", h->unsupported);
    set_text(json, "cannot", h->cannot);
}

static json_t *modes_json(const deer_hardware *h)
{
    json_t *list = json_array();

    for (int m = 0; m < h->modes; m++) {
        json_t *json = json_object();

        set_text(json, "name", h->mode[m].name);
        json_put(json, "watts", figure_json(&h->mode[m].watts, "W", 1));
        json_push(list, json);
    }
    return list;
}

/* Names of the figures whose source was not looked up again, which it says at its end. */
static json_t *unchecked_json(const json_t *figures)
{
    static const char mark[] = "not re-checked";
    json_t *list = json_array(), *figure;
    const char *name;

    json_object_foreach((json_t *)(uintptr_t)figures, name, figure)
    {
        const char *source = json_string_value(json_object_get(figure, "source"));
        size_t n = source ? strlen(source) : 0;

        if (n >= sizeof mark - 1 && !strcmp(source + n - (sizeof mark - 1), mark))
            json_push(list, json_string(name));
    }
    return list;
}

static json_t *machine_json(const question *q, const deer_hardware *h)
{
    const hardware_form_facts *form = hardware_form_of(h->form);
    json_t *json = json_object(), *figures = json_object();

    for (int d = 0; d < WEIGHT_DTYPES; d++) {
        char key[32];

        snprintf(key, sizeof key, "peak_%s", weight_dtype_name((weight_dtype)d));
        json_put(figures, key, figure_json(&h->peak[d], "GFLOP/s", 1e-9));
    }
    json_put(figures, "bandwidth", figure_json(&h->bandwidth, "GB/s", 1e-9));
    json_put(figures, "memory", figure_json(&h->memory, "GB", 1e-9));
    json_put(figures, "reserved", figure_json(&h->reserved, "GB", 1e-9));
    json_put(figures, "idle", figure_json(&h->idle_watts, "W", 1));
    json_put(figures, "cache", figure_json(&h->cache, "MB", 1e-6));
    json_put(figures, "step_overhead", figure_json(&h->step_overhead, "ms", 1e3));
    if (h->kind != HARDWARE_CPU) {
        json_put(figures, "dispatch", figure_json(&h->dispatch, "us", 1e6));
        json_put(figures, "submission", figure_json(&h->submission, "us", 1e6));
    }
    json_put(figures, "price", figure_json(&h->price, "USD", 1));
    set_text(json, "name", h->name);
    set_text(json, "title", h->title);
    json_put(json, "kind", json_string(hardware_kind_name(h->kind)));
    json_put(json, "form", json_string(form->name));
    json_put(json, "class", json_string(hardware_class_name(form->class)));
    add_support(json, h);
    json_put(json, "price_usd", range_json(fleet_price(q, h), 1));
    json_put(json, "around", around_json(q, h));
    set_bool(json, "measured", h->measured);
    set_text(json, "note", h->note);
    json_put(json, "not_rechecked", unchecked_json(figures));
    json_put(json, "figures", figures);
    json_put(json, "modes", modes_json(h));
    return json;
}

/* What the thresholds file does on an answer's machine. */
static json_t *given_answer_json(const report *r, const fleet_answer *a)
{
    fleet_budget b = fleet_of(r->q, &r->w, &r->success, &r->f, a, &r->given.point);
    json_t *json = json_object();

    json_put(json, "verdict", json_string(fleet_verdict_name(b.verdict)));
    set_bool(json, "sure", b.sure);
    json_put(json, "ms", range_json(b.at.seconds, 1e3));
    json_put(json, "p99_ms", range_json(b.at.p99, 1e3));
    json_put(json, "joules", range_json(b.at.joules, 1));
    json_put(json, "watts", range_json(b.at.watts, 1));
    return json;
}

static const char *verdict_words(const fleet_answer *a)
{
    if (a->verdict == FLEET_MEETS)
        return a->sure ? "yes, also at worst" : "as expected";
    return a->verdict >= FLEET_RUNTIME ? "left out" : "no";
}

static json_t *answer_json(const report *r, const fleet_answer *a)
{
    json_t *json = json_object();

    set_integer(json, "option", a->option);
    json_put(json, "dtype", json_string(weight_dtype_name(r->q->dtype[a->dtype])));
    set_real(json, "rate_hz", r->q->rate[a->rate]);
    json_put(json, "verdict", json_string(fleet_verdict_name(a->verdict)));
    set_bool(json, "sure", a->verdict == FLEET_MEETS && a->sure);
    json_put(json, "in_words", json_string(verdict_words(a)));
    set_text(json, "reason", a->reason);
    set_integer(json, "deepest_exit", a->deepest);
    set_integer(json, "budget_index", a->budget);
    if (r->given.file)
        json_put(json, "thresholds", given_answer_json(r, a));
    if (a->budget < 0)
        return json;
    set_real(json, "loss", r->w.frontier[a->deepest].ours[a->budget].at.loss);
    set_real(json, "success", a->success);
    json_put(json, "ms", range_json(a->at.seconds, 1e3));
    json_put(json, "p99_ms", range_json(a->at.p99, 1e3));
    set_real(json, "sustained_hz", 1 / a->at.seconds.expected);
    json_put(json, "joules", range_json(a->at.joules, 1));
    json_put(json, "watts", range_json(a->at.watts, 1));
    return json;
}

static json_t *choice_json(const report *r, int rate)
{
    const fleet_choice *c = &r->f.choice[rate];
    json_t *json = json_object(), *order = json_array();
    char text[SENTENCE_LENGTH];

    for (int i = 0; i < r->f.machines; i++)
        json_push(order, json_integer(r->f.ranked[rate * r->f.machines + i]));
    set_real(json, "rate_hz", r->q->rate[rate]);
    sentence_verdict(r, rate, text);
    set_text(json, "verdict", text);
    sentence_more(r, rate, text);
    set_text(json, "more", text);
    json_put(json, "ranking", order);
    set_integer(json, "machines", c->machines);
    set_integer(json, "machines_sure", c->sure);
    set_integer(json, "best", c->best);
    set_integer(json, "runner_up", c->runner_up);
    set_integer(json, "cheapest", c->cheapest);
    set_integer(json, "lowest_power", c->lowest_power);
    set_integer(json, "fastest", c->fastest);
    set_integer(json, "nearest", c->nearest);
    return json;
}

static json_t *verdicts_json(void)
{
    json_t *list = json_array();

    for (int v = 0; v < FLEET_VERDICTS; v++)
        json_push(list, json_string(fleet_verdict_name((fleet_verdict)v)));
    return list;
}

/* Measured over expected times, by kind of machine; null where too few were measured. */
static json_t *spreads_json(runtime_kind runtime)
{
    json_t *json = json_object();

    for (int k = 0; k < HARDWARE_KINDS; k++) {
        runtime_spread s;
        json_t *spread = json_null();

        if (runtime != RUNTIME_DEER && deer_runtime_spread(runtime, (hardware_kind)k, &s)) {
            spread = json_object();
            set_integer(spread, "measurements", s.measurements);
            set_bool(spread, "all_gpus", s.all_gpus);
            json_put(spread, "factor", range_json(s.factor, 1));
        }
        json_put(json, hardware_kind_name((hardware_kind)k), spread);
    }
    return json;
}

static json_t *runtimes_json(void)
{
    json_t *list = json_array();

    for (int i = 0; i < RUNTIMES; i++) {
        json_t *json = json_object();

        json_put(json, "name", json_string(runtime_name((runtime_kind)i)));
        json_put(json, "title", json_string(runtime_title((runtime_kind)i)));
        json_put(json, "spreads", spreads_json((runtime_kind)i));
        json_push(list, json);
    }
    return list;
}

/* Machines that ship and were not asked for, by class. */
static json_t *unasked_json(const fleet *f)
{
    json_t *list = json_array();

    for (int c = 0; c < HARDWARE_CLASSES; c++) {
        json_t *json;

        if (!f->unasked[c])
            continue;
        json = json_object();
        set_text(json, "class", hardware_class_name((hardware_class)c));
        set_integer(json, "machines", f->unasked[c]);
        json_push(list, json);
    }
    return list;
}

static void add_fleet(const report *r, json_t *json)
{
    json_t *machines = json_array(), *options = json_array(), *answers = json_array(),
           *choices = json_array();

    for (int i = 0; i < r->f.machines; i++)
        json_push(machines, machine_json(r->q, &r->f.machine[i]));
    for (int i = 0; i < r->f.options; i++)
        json_push(options, option_json(r, &r->f.option[i]));
    for (int i = 0; i < r->f.answers; i++)
        json_push(answers, answer_json(r, &r->f.answer[i]));
    for (int i = 0; i < r->q->rates; i++)
        json_push(choices, choice_json(r, i));
    json_put(json, "runtimes", runtimes_json());
    set_integer(json, "left_out", r->f.left_out);
    set_integer(json, "cannot", r->f.cannot);
    json_put(json, "unasked", unasked_json(&r->f));
    json_put(json, "machines", machines);
    json_put(json, "options", options);
    json_put(json, "verdicts", verdicts_json());
    json_put(json, "answers", answers);
    json_put(json, "choices", choices);
}

/* ---------------------------------------------------------------- tasks and trust ---------- */

static json_t *tasks_json(const report *r)
{
    json_t *list = json_array();

    for (int t = 0; t < r->t.n; t++) {
        json_t *json = json_object();

        set_text(json, "name", r->t.row[t].name);
        set_integer(json, "episodes", r->t.row[t].episodes);
        set_integer(json, "steps", r->t.row[t].steps);
        json_push(list, json);
    }
    return list;
}

static json_t *moments_json(const report *r)
{
    json_t *list = json_array();

    for (int i = 0; i < r->moments; i++) {
        const task_moment *m = &r->moment[i];
        json_t *json = json_object();

        set_text(json, "demonstration", m->name);
        set_text(json, "task", m->task);
        set_text(json, "instruction", m->instruction);
        set_integer(json, "step", m->step);
        set_integer(json, "steps", m->steps);
        set_integer(json, "exit", m->exit);
        set_real(json, "loss_at_first_exit", m->loss_first);
        json_push(list, json);
    }
    return list;
}

static void add_note(json_t *list, const char *name, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void add_note(json_t *list, const char *name, const char *format, ...)
{
    json_t *json = json_object();
    char text[1000];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    set_text(json, "name", name);
    set_text(json, "text", text);
    json_push(list, json);
}

static void add_own_history(const report *r, json_t *notes)
{
    const sweep_point *x = &r->w.frontier[r->w.exits - 1].ours[r->recommended];
    char text[4][TEXT_DIGITS];

    if (r->trust.on_policy)
        add_note(
            notes, "Its own history",
            "Under the history they make themselves, the recommended thresholds cost %s GFLOPs "
            "(predicted %s) at a loss of %s (predicted %s).",
            text_digits(text[0], r->trust.own_cost, ""), text_digits(text[1], x->at.cost, ""),
            text_digits(text[2], r->trust.own_loss, ""), text_digits(text[3], x->at.loss, ""));
    else
        add_note(notes, "Its own history",
                 "Not looked at: give the policy with --model, or let deer-calib solve settle it.");
}

/* How far the numbers can be trusted, for people. */
static json_t *notes_json(const report *r)
{
    json_t *notes = json_array();

    add_note(notes, "Data", "%d episodes of %d %s, %lld steps; policy %.8s, demonstrations %.8s.",
             r->c->about.episodes, r->t.n, r->t.n == 1 ? "task" : "tasks", (long long)r->c->steps,
             r->c->about.model, r->c->about.demos);
    add_note(
        notes, "Times",
        "Of %s. A range, not an interval: with deer every figure of a machine at its best and at "
        "its worst; with another runtime the fastest and the slowest of its measurements.",
        runtime_title(r->q->runtime));
    add_note(
        notes, "Intervals",
        "95%%, from %d bootstrap draws of whole episodes (seed %llu). Thresholds stay the same "
        "in every draw, though they were chosen on these episodes: for them it is the spread "
        "over episodes, and on others their loss is above it more often than one time in 40.",
        r->w.draws, (unsigned long long)r->q->seed);
    add_note(notes, "Guarantee", "%s%s",
             r->trust.guaranteed ? "Budget and thresholds that a quarter of the episodes ask for, "
                                   "tested on the others (as cached): "
                                 : "None: ",
             r->trust.statement);
    add_own_history(r, notes);
    add_note(
        notes, "Drift",
        "All this is about episodes like those recorded. Thresholds files of deer-calib solve "
        "carry what the drift watch of the runtime compares new episodes with; deer-run episode "
        "--all prints it.");
    return notes;
}

static json_t *trust_json(const report *r)
{
    json_t *json = json_object(), *list = json_array();
    char sentence[ASSUMPTIONS_MOST][ASSUMPTION_LENGTH];
    int n = assumptions_list(r, sentence);

    set_integer(json, "bootstrap_draws", r->w.draws);
    set_real(json, "confidence", r->q->confidence);
    set_bool(json, "guaranteed", r->trust.guaranteed);
    set_text(json, "statement", r->trust.statement);
    if (r->trust.on_policy) {
        set_real(json, "own_history_cost_gflops", r->trust.own_cost);
        set_real(json, "own_history_loss", r->trust.own_loss);
    }
    json_put(json, "notes", notes_json(r));
    for (int i = 0; i < n; i++)
        json_push(list, json_string(sentence[i]));
    json_put(json, "assumptions", list);
    return json;
}

/* ---------------------------------------------------------------- whole -------------------- */

json_t *report_json(const report *r)
{
    json_t *json = json_object();

    set_integer(json, "deer_report", 2);
    set_text(json, "deer", DEER_VERSION);
    set_integer(json, "seed", (int64_t)r->q->seed);
    set_text(json, "scope", r->q->scope);
    set_text(json, "flops", "one multiply-add counts as one FLOP");
    json_put(json, "cache", cache_json(r));
    json_put(json, "model", shape_json(r));
    json_put(json, "demands", demands_json(r));
    json_put(json, "budgets_gflops", reals(r->w.budget, r->w.budgets));
    set_integer(json, "recommended_budget", r->recommended);
    json_put(json, "shapes", work_shapes_json(r));
    json_put(json, "cameras", cameras_json(r));
    json_put(json, "thresholds", given_json(r));
    json_put(json, "exits", exits_json(r));
    json_put(json, "frontiers", frontiers_json(r));
    json_put(json, "official", official_json(r));
    json_put(json, "rollouts", rollouts_json(r));
    json_put(json, "success_dtype",
             r->success.n && r->success.dtype >= 0
                 ? json_string(weight_dtype_name((weight_dtype)r->success.dtype))
                 : json_null());
    add_fleet(r, json);
    json_put(json, "tasks", tasks_json(r));
    json_put(json, "moments", moments_json(r));
    json_put(json, "trust", trust_json(r));
    return json;
}

char *report_json_text(const report *r, bool indented)
{
    return json_text(report_json(r), JSON_REAL_PRECISION(6) | (indented ? (size_t)JSON_INDENT(1)
                                                                        : (size_t)JSON_COMPACT));
}
