/* SPDX-License-Identifier: MIT */
/* hardware_write.c - writing a hardware profile; docs/hardware.md is the schema. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "budgets/machines/hardware_internal.h"
#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/text.h"

/* A number as it stands in the file; low and high only where they differ from the value. */
static void put_number(json_t *json, const char *key, double number, double value, double factor)
{
    if (number != value || !strcmp(key, "value"))
        json_put(json, key, json_real(number / factor));
}

static void put_text(json_t *json, const char *key, const char *text)
{
    if (text[0])
        json_put(json, key, json_string(text));
}

/* A figure in `unit`, of which one is `factor` in SI. Null where it is unknown or our assumption:
 * reading it back assumes the same. */
static json_t *figure_json(const deer_figure *f, const char *unit, double factor)
{
    json_t *json;

    if (!deer_figure_known(f) || f->assumed)
        return json_null();
    json = json_object();
    put_number(json, "value", f->value, f->value, factor);
    put_number(json, "low", f->low, f->value, factor);
    put_number(json, "high", f->high, f->value, factor);
    put_text(json, "unit", unit);
    put_text(json, "source", f->source);
    put_text(json, "date", f->date);
    put_text(json, "note", f->note);
    return json;
}

static json_t *peaks_json(const deer_hardware *h)
{
    json_t *json = json_object();

    for (int d = 0; d < WEIGHT_DTYPES; d++)
        json_put(json, weight_dtype_name((weight_dtype)d),
                 figure_json(&h->peak[d], "GFLOP/s", 1e9));
    return json;
}

static json_t *stage_json(const stage_efficiency *e)
{
    return json_pack("{s:o, s:o, s:o}", "compute", figure_json(&e->compute, "fraction", 1),
                     "bandwidth", figure_json(&e->bandwidth, "fraction", 1), "overhead",
                     figure_json(&e->overhead, "us", 1e-6));
}

static json_t *efficiency_json(const deer_hardware *h)
{
    json_t *json = json_object();

    for (int s = 0; s < STAGE_KINDS; s++) {
        json_t *stage = json_object();

        for (int d = 0; d < WEIGHT_DTYPES; d++)
            json_put(stage, weight_dtype_name((weight_dtype)d), stage_json(&h->efficiency[s][d]));
        json_put(json, stage_kind_name((stage_kind)s), stage);
    }
    return json;
}

static json_t *modes_json(const deer_hardware *h)
{
    json_t *json = json_array();

    for (int i = 0; i < h->modes; i++) {
        const hardware_mode *m = &h->mode[i];

        json_push(json, json_pack("{s:s, s:o, s:o, s:o}", "name", m->name, "watts",
                                  figure_json(&m->watts, "W", 1), "compute",
                                  figure_json(&m->compute, "fraction", 1), "bandwidth",
                                  figure_json(&m->bandwidth, "fraction", 1)));
    }
    return json;
}

static json_t *samples_json(const deer_hardware *h)
{
    json_t *json = json_array();

    for (int i = 0; i < h->samples; i++) {
        const stage_sample *s = &h->sample[i];

        json_push(json,
                  json_pack("{s:s, s:s, s:s, s:b, s:I, s:I, s:I, s:i, s:[f, f, f]}", "model",
                            s->model, "dtype", weight_dtype_name(s->dtype), "stage",
                            stage_kind_name(s->kind), "cached", s->cached, "macs",
                            (json_int_t)s->work.macs, "weight_bytes",
                            (json_int_t)s->work.weight_bytes, "activation_bytes",
                            (json_int_t)s->work.activation_bytes, "products", s->work.products,
                            "ms", 1e3 * s->low, 1e3 * s->median, 1e3 * s->high));
    }
    return json;
}

static json_t *hardware_json(const deer_hardware *h)
{
    const struct {
        const char *key;
        const deer_figure *figure;
        const char *unit;
        double factor;
    } figures[] = {{"memory", &h->memory, "GB", 1e9},
                   {"reserved", &h->reserved, "GB", 1e9},
                   {"bandwidth", &h->bandwidth, "GB/s", 1e9},
                   {"cache", &h->cache, "MB", 1e6},
                   {"cache_bandwidth", &h->cache_bandwidth, "GB/s", 1e9},
                   {"idle", &h->idle_watts, "W", 1},
                   {"load", &h->load, "fraction", 1},
                   {"energy_per_flop", &h->joules_per_flop, "pJ/FLOP", 1e-12},
                   {"energy_per_byte", &h->joules_per_byte, "pJ/byte", 1e-12},
                   {"price", &h->price, "USD", 1},
                   {"step_overhead", &h->step_overhead, "us", 1e-6},
                   {"dispatch", &h->dispatch, "us", 1e-6},
                   {"submission", &h->submission, "us", 1e-6}};
    json_t *json =
        json_pack("{s:i, s:s, s:s, s:s, s:b, s:s, s:o}", "deer_hardware", HARDWARE_VERSION, "name",
                  h->name, "title", h->title, "kind", hardware_kind_name(h->kind), "measured",
                  h->measured, "half", h->half_is_f16 ? "f16" : "bf16", "peak", peaks_json(h));

    put_text(json, "form", hardware_form_of(h->form)->name);
    put_text(json, "unsupported", h->unsupported);
    put_text(json, "cannot", h->cannot);
    put_text(json, "note", h->note);
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        json_put(json, figures[i].key,
                 figure_json(figures[i].figure, figures[i].unit, figures[i].factor));
    json_put(json, "efficiency", efficiency_json(h));
    json_put(json, "modes", modes_json(h));
    if (h->samples)
        json_put(json, "samples", samples_json(h));
    return json;
}

deer_status deer_hardware_save(const char *path, const deer_hardware *h, deer_error *err)
{
    return json_write(path, hardware_json(h), JSON_INDENT(1) | JSON_REAL_PRECISION(6), err);
}

/* ---------------------------------------------------------------- filling one -------------- */

deer_figure deer_figure_measured(double low, double value, double high, const char *source,
                                 const char *date)
{
    deer_figure f = {.low = fmin(low, value), .value = value, .high = fmax(high, value)};

    text_copy(f.source, sizeof f.source, source);
    text_copy(f.date, sizeof f.date, date);
    return f;
}

void deer_hardware_init(deer_hardware *h, const char *name, const char *title, hardware_kind kind)
{
    const deer_figure unknown = {.low = NAN, .value = NAN, .high = NAN};

    memset(h, 0, sizeof *h);
    text_copy(h->name, sizeof h->name, name);
    text_copy(h->title, sizeof h->title, title);
    h->kind = kind;
    h->form = kind == HARDWARE_CPU ? FORM_BOX : kind == HARDWARE_EMBEDDED ? FORM_KIT : FORM_CARD;
    h->memory = h->reserved = h->bandwidth = h->cache = h->cache_bandwidth = unknown;
    h->idle_watts = h->load = h->joules_per_flop = h->joules_per_byte = unknown;
    h->price = h->step_overhead = h->dispatch = h->submission = unknown;
    for (int d = 0; d < WEIGHT_DTYPES; d++)
        h->peak[d] = unknown;
    for (int s = 0; s < STAGE_KINDS; s++)
        for (int d = 0; d < WEIGHT_DTYPES; d++)
            h->efficiency[s][d] = (stage_efficiency){unknown, unknown, unknown};
    h->modes = 1;
    strcpy(h->mode[0].name, "as measured");
    h->mode[0].watts = h->mode[0].compute = h->mode[0].bandwidth = unknown;
}
