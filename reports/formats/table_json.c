/* SPDX-License-Identifier: MIT */
/* table_json.c - a table's frontier as JSON. */
#include "reports/formats/table_json.h"

#include <math.h>
#include <stdio.h>

#include "reports/formats/text.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/tau.h"

static json_t *real_or_null(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *pair(interval x)
{
    return json_pack("[o, o]", real_or_null(x.low), real_or_null(x.high));
}

static json_t *clean(const char *text)
{
    char copy[1024];

    text_copy_utf8(copy, sizeof copy, text);
    return json_string(copy);
}

static json_t *point_json(const sweep_point *x)
{
    json_t *json = json_object(), *tau = json_array(), *shares = json_array();

    for (int k = 0; k <= x->at.max_exit; k++) {
        json_push(shares, json_real(x->at.fraction[k]));
        json_push(tau, k == x->at.max_exit      ? json_null()
                       : tau_word(x->at.tau[k]) ? json_string(tau_word(x->at.tau[k]))
                                                : json_real((double)x->at.tau[k]));
    }
    json_put(json, "cost", real_or_null(x->at.cost));
    json_put(json, "loss", real_or_null(x->at.loss));
    json_put(json, "loss_95", pair(x->loss_95));
    json_put(json, "tau", tau);
    json_put(json, "exit_fractions", shares);
    return json;
}

static json_t *points_json(const sweep *w)
{
    json_t *list = json_array();

    for (int b = 0; b < w->budgets; b++) {
        const sweep_frontier *all = &w->frontier[w->exits - 1];
        json_t *json = point_json(&all->ours[b]);

        json_put(json, "budget", json_real(w->budget[b]));
        json_put(json, "oracle_loss", real_or_null(all->oracle[b]));
        json_put(json, "official", w->has_official[b] ? point_json(&w->official[b]) : json_null());
        json_push(list, json);
    }
    return list;
}

static json_t *exits_json(const table_report *r)
{
    json_t *list = json_array();

    for (int k = 0; k < r->w.exits; k++) {
        json_t *json = point_json(&r->w.fixed[k]);

        json_put(json, "exit", json_integer(k));
        json_put(json, "memory", r->table.has_memory ? json_real(r->table.memory[k]) : json_null());
        json_push(list, json);
    }
    return list;
}

/* The answer in a sentence. */
static json_t *verdict(const question *q, const table_report *r)
{
    const sweep_point *full = &r->w.fixed[r->w.exits - 1], *x;
    char text[400], digits[4][TEXT_DIGITS];

    if (r->recommended < 0) {
        snprintf(text, sizeof text, "No budget of these keeps a loss of %s.",
                 text_digits(digits[0], r->max_loss, ""));
        return json_string(text);
    }
    x = &r->w.frontier[r->w.exits - 1].ours[r->recommended];
    if (x->at.cost >= full->at.cost * (1 - 1e-9)) {
        snprintf(text, sizeof text,
                 "Nothing cheaper than full depth, %s %.40s a step, keeps a loss of %s.",
                 text_digits(digits[0], full->at.cost, ""), q->cost_unit,
                 text_digits(digits[1], r->max_loss, ""));
        return clean(text);
    }
    snprintf(text, sizeof text,
             "%.0f %% of full depth's cost keep a loss of %s: %s %.40s a step instead of %s.",
             100 * x->at.cost / full->at.cost, text_digits(digits[0], r->max_loss, ""),
             text_digits(digits[1], x->at.cost, ""), q->cost_unit,
             text_digits(digits[2], full->at.cost, ""));
    return clean(text);
}

json_t *table_report_json(const question *q, const table_report *r)
{
    json_t *json = json_object();

    json_put(json, "deer_table_report", json_integer(1));
    json_put(json, "table", clean(q->table));
    json_put(json, "unit", clean(q->cost_unit));
    json_put(json, "seed", json_integer((json_int_t)q->seed));
    json_put(json, "episodes", json_integer(r->p.s.episodes));
    json_put(json, "steps", json_integer(r->p.s.n));
    json_put(json, "max_loss", real_or_null(r->max_loss));
    json_put(json, "verdict", verdict(q, r));
    json_put(json, "recommended", json_integer(r->recommended));
    json_put(json, "exits", exits_json(r));
    json_put(json, "points", points_json(&r->w));
    return json;
}
