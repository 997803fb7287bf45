/* SPDX-License-Identifier: MIT */
/* hardware_read.c - reading a hardware profile; docs/hardware.md is the schema.
 *
 * A profile may come from anywhere: nothing in it is believed before it was checked, and every
 * refusal names the file and the key. */
#include <ctype.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "budgets/machines/hardware_internal.h"
#include "runtime/base/json/json_file.h"

enum { MAX_UNITS = 4 };

/* What a figure may be: its units with their factors to SI, and its bounds in SI. */
typedef struct {
    struct {
        const char *name;
        double factor;
    } unit[MAX_UNITS];
    double least, most;
} quantity;

static const quantity a_rate = {{{"GFLOP/s", 1e9}}, 1e6, 1e18};
static const quantity a_size = {
    {{"GB", 1e9}, {"GiB", 1073741824.0}, {"MB", 1e6}, {"MiB", 1048576.0}}, 0, 1e16};
static const quantity a_bandwidth = {{{"GB/s", 1e9}}, 1e6, 1e16};
static const quantity a_power = {{{"W", 1}}, 0, 1e6};
static const quantity flop_energy = {{{"pJ/FLOP", 1e-12}}, 0, 1e-6};
static const quantity byte_energy = {{{"pJ/byte", 1e-12}}, 0, 1e-6};
static const quantity an_amount = {{{"USD", 1}}, 0, 1e9};
static const quantity a_time = {{{"us", 1e-6}}, 0, 60};
static const quantity a_fraction = {{{"fraction", 1}}, 1e-6, 1};

/* A profile being read. */
typedef struct {
    const char *from;          /* named in messages */
    const char *source, *date; /* of figures that name none; NULL if there are none */
    deer_error *err;
} reader;

/* ---------------------------------------------------------------- objects and text --------- */

/* Whether an object has only the keys of a list that ends in NULL. */
static deer_status check_keys(const reader *r, const char *where, const json_t *object,
                              const char *const *known)
{
    const char *key;
    json_t *value;

    if (!json_is_object(object))
        return deer_fail(r->err, "%s: %s must be an object", r->from, where);
    json_object_foreach((json_t *)object, key, value)
    {
        int i = 0;
        while (known[i] && strcmp(known[i], key))
            i++;
        if (!known[i])
            return deer_fail(r->err, "%s: unknown key '%.40s' in %s", r->from, key, where);
    }
    return DEER_OK;
}

/* Copies a text, "" when it is not there. */
static deer_status read_text(const reader *r, const char *where, const char *key,
                             const json_t *value, char *text, size_t size)
{
    const char *string = json_string_value(value);

    text[0] = 0;
    if (!value || json_is_null(value))
        return DEER_OK;
    if (!string || json_string_length(value) != strlen(string) || strlen(string) >= size)
        return deer_fail(r->err, "%s: %s of %s must be a text of less than %zu bytes", r->from, key,
                         where, size);
    for (const char *c = string; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 127)
            return deer_fail(r->err, "%s: %s of %s has a control character", r->from, key, where);
    strcpy(text, string);
    return DEER_OK;
}

/* YYYY, YYYY-MM or YYYY-MM-DD. */
static bool is_date(const char *text)
{
    const char *const shapes[] = {"dddd", "dddd-dd", "dddd-dd-dd"};

    for (int s = 0; s < 3; s++) {
        size_t i = 0, n = strlen(shapes[s]);

        if (strlen(text) != n)
            continue;
        while (i < n && (shapes[s][i] == 'd' ? isdigit((unsigned char)text[i]) : text[i] == '-'))
            i++;
        if (i == n)
            return true;
    }
    return false;
}

/* ---------------------------------------------------------------- figures ------------------ */

static const deer_figure unknown_figure = {NAN, NAN, NAN, false, "", "", ""};

/* Index of the figure's unit; -1 when it is none of the quantity's. */
static int find_unit(const json_t *unit, const quantity *q)
{
    const char *name = json_string_value(unit);

    for (int i = 0; name && i < MAX_UNITS && q->unit[i].name; i++)
        if (!strcmp(name, q->unit[i].name))
            return i;
    return -1;
}

/* One number of a figure, in SI; `otherwise` when it is not there. */
static deer_status read_number(const reader *r, const char *where, const json_t *json,
                               const char *key, const quantity *q, double otherwise, double *number)
{
    const json_t *value = json_object_get(json, key);
    int unit = find_unit(json_object_get(json, "unit"), q);

    *number = otherwise;
    if (!value || json_is_null(value))
        return DEER_OK;
    if (unit < 0)
        return deer_fail(r->err, "%s: the unit of %s must be %s%s%s", r->from, where,
                         q->unit[0].name, q->unit[1].name ? " or " : "",
                         q->unit[1].name ? q->unit[1].name : "");
    *number = q->unit[unit].factor * json_number_value(value);
    if (!json_is_number(value) || !(*number >= q->least && *number <= q->most))
        return deer_fail(r->err, "%s: %s of %s must be a number from %g to %g %s", r->from, key,
                         where, q->least / q->unit[unit].factor, q->most / q->unit[unit].factor,
                         q->unit[unit].name);
    return DEER_OK;
}

/* Where a figure comes from: its own words or the profile's. */
static deer_status read_origin(const reader *r, const char *where, const json_t *json,
                               deer_figure *f)
{
    if (read_text(r, where, "source", json_object_get(json, "source"), f->source,
                  sizeof f->source) ||
        read_text(r, where, "date", json_object_get(json, "date"), f->date, sizeof f->date) ||
        read_text(r, where, "note", json_object_get(json, "note"), f->note, sizeof f->note))
        return DEER_FAILED;
    if (!deer_figure_known(f))
        return DEER_OK;
    if (!f->source[0] && r->source)
        strcpy(f->source, r->source);
    if (!f->date[0] && r->date)
        strcpy(f->date, r->date);
    if (!f->source[0])
        return deer_fail(r->err, "%s: %s has no source", r->from, where);
    if (!is_date(f->date))
        return deer_fail(r->err, "%s: %s needs a date YYYY, YYYY-MM or YYYY-MM-DD", r->from, where);
    return DEER_OK;
}

static deer_status read_figure(const reader *r, const char *where, const json_t *json,
                               const quantity *q, deer_figure *f)
{
    static const char *const known[] = {"value",  "low",  "high", "unit",
                                        "source", "date", "note", NULL};
    *f = unknown_figure;
    if (!json || json_is_null(json))
        return DEER_OK;
    if (check_keys(r, where, json, known) ||
        read_number(r, where, json, "value", q, NAN, &f->value) ||
        read_number(r, where, json, "low", q, f->value, &f->low) ||
        read_number(r, where, json, "high", q, f->value, &f->high))
        return DEER_FAILED;
    if (deer_figure_known(f) ? !(f->low <= f->value && f->value <= f->high)
                             : !isnan(f->low) || !isnan(f->high))
        return deer_fail(r->err, "%s: low and high of %s do not hold its value", r->from, where);
    return read_origin(r, where, json, f);
}

/* ---------------------------------------------------------------- parts -------------------- */

static deer_status read_peaks(const reader *r, const json_t *json, deer_hardware *h)
{
    char where[48];

    for (int d = 0; d < WEIGHT_DTYPES; d++)
        h->peak[d] = unknown_figure;
    if (!json || json_is_null(json))
        return DEER_OK;
    if (check_keys(r, "peak", json, weight_dtype_names))
        return DEER_FAILED;
    for (int d = 0; d < WEIGHT_DTYPES; d++) {
        const char *name = weight_dtype_names[d];

        snprintf(where, sizeof where, "peak.%s", name);
        if (read_figure(r, where, json_object_get(json, name), &a_rate, &h->peak[d]))
            return DEER_FAILED;
    }
    return DEER_OK;
}

/* The figures that stand at the profile's top. */
static deer_status read_figures(const reader *r, const json_t *json, deer_hardware *h)
{
    const struct {
        const char *key;
        const quantity *q;
        deer_figure *to;
    } figures[] = {{"memory", &a_size, &h->memory},
                   {"reserved", &a_size, &h->reserved},
                   {"bandwidth", &a_bandwidth, &h->bandwidth},
                   {"cache", &a_size, &h->cache},
                   {"cache_bandwidth", &a_bandwidth, &h->cache_bandwidth},
                   {"idle", &a_power, &h->idle_watts},
                   {"load", &a_fraction, &h->load},
                   {"energy_per_flop", &flop_energy, &h->joules_per_flop},
                   {"energy_per_byte", &byte_energy, &h->joules_per_byte},
                   {"price", &an_amount, &h->price},
                   {"step_overhead", &a_time, &h->step_overhead},
                   {"dispatch", &a_time, &h->dispatch},
                   {"submission", &a_time, &h->submission}};

    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        if (read_figure(r, figures[i].key, json_object_get(json, figures[i].key), figures[i].q,
                        figures[i].to))
            return DEER_FAILED;
    return DEER_OK;
}

/* The figure `name` of the object at `where`. */
static deer_status read_member(const reader *r, const char *where, const json_t *json,
                               const char *name, const quantity *kind, deer_figure *figure)
{
    char key[80];

    snprintf(key, sizeof key, "%s.%s", where, name);
    return read_figure(r, key, json_object_get(json, name), kind, figure);
}

static deer_status read_stage_efficiency(const reader *r, const char *where, const json_t *json,
                                         stage_efficiency *e)
{
    static const char *const known[] = {"compute", "bandwidth", "overhead", NULL};

    *e = (stage_efficiency){unknown_figure, unknown_figure, unknown_figure};
    if (!json || json_is_null(json))
        return DEER_OK;
    if (check_keys(r, where, json, known))
        return DEER_FAILED;
    if (read_member(r, where, json, "compute", &a_fraction, &e->compute) ||
        read_member(r, where, json, "bandwidth", &a_fraction, &e->bandwidth))
        return DEER_FAILED;
    return read_member(r, where, json, "overhead", &a_time, &e->overhead);
}

static deer_status read_efficiency(const reader *r, const json_t *json, deer_hardware *h)
{
    const char *const *stages = stage_kind_names, *const *dtypes = weight_dtype_names;
    char where[48];

    if (json && !json_is_null(json) && check_keys(r, "efficiency", json, stages))
        return DEER_FAILED;
    for (int s = 0; s < STAGE_KINDS; s++) {
        const json_t *stage = json_object_get(json, stages[s]);

        snprintf(where, sizeof where, "efficiency.%s", stages[s]);
        if (stage && !json_is_null(stage) && check_keys(r, where, stage, dtypes))
            return DEER_FAILED;
        for (int d = 0; d < WEIGHT_DTYPES; d++) {
            snprintf(where, sizeof where, "efficiency.%s.%s", stages[s], dtypes[d]);
            if (read_stage_efficiency(r, where, json_object_get(stage, dtypes[d]),
                                      &h->efficiency[s][d]))
                return DEER_FAILED;
        }
    }
    return DEER_OK;
}

static deer_status read_mode(const reader *r, const json_t *json, int i, hardware_mode *mode)
{
    static const char *const known[] = {"name", "watts", "compute", "bandwidth", NULL};
    char where[16];

    snprintf(where, sizeof where, "modes[%d]", i);
    if (check_keys(r, where, json, known) ||
        read_text(r, where, "name", json_object_get(json, "name"), mode->name, sizeof mode->name))
        return DEER_FAILED;
    if (!mode->name[0])
        return deer_fail(r->err, "%s: %s has no name", r->from, where);
    if (read_member(r, where, json, "watts", &a_power, &mode->watts) ||
        read_member(r, where, json, "compute", &a_fraction, &mode->compute))
        return DEER_FAILED;
    return read_member(r, where, json, "bandwidth", &a_fraction, &mode->bandwidth);
}

static deer_status read_modes(const reader *r, const json_t *json, deer_hardware *h)
{
    size_t n = json_array_size(json);

    if (n < 1 || n > HARDWARE_MAX_MODES)
        return deer_fail(r->err, "%s: modes must be a list of 1 to %d", r->from,
                         HARDWARE_MAX_MODES);
    for (size_t i = 0; i < n; i++) {
        if (read_mode(r, json_array_get(json, i), (int)i, &h->mode[i]))
            return DEER_FAILED;
        h->modes = (int)i; /* the modes before this one */
        if (deer_hardware_mode(h, h->mode[i].name) >= 0)
            return deer_fail(r->err, "%s: two modes are called '%s'", r->from, h->mode[i].name);
    }
    h->modes = (int)n;
    return DEER_OK;
}

/* ---------------------------------------------------------------- samples ------------------ */

/* A count of a sample; -1 when it is none. */
static long long count_of(const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);
    json_int_t count = json_integer_value(value);

    return json_is_integer(value) && count >= 0 && count <= 1000000000000000000 ? count : -1;
}

/* Index of a text in a list, -1 when it is not there. */
static int find_word(const json_t *word, const char *const *words)
{
    const char *text = json_string_value(word);

    for (int i = 0; text && words[i]; i++)
        if (!strcmp(text, words[i]))
            return i;
    return -1;
}

/* Three positive times that ascend, milliseconds. */
static bool read_times(const json_t *ms, stage_sample *s)
{
    double *const to[] = {&s->low, &s->median, &s->high};

    if (json_array_size(ms) != 3)
        return false;
    for (size_t i = 0; i < 3; i++) {
        if (!json_is_number(json_array_get(ms, i)))
            return false;
        *to[i] = json_number_value(json_array_get(ms, i)) / 1e3;
    }
    return s->low > 0 && s->low <= s->median && s->median <= s->high && s->high < 1e6;
}

static deer_status read_sample(const reader *r, const json_t *json, int i, stage_sample *s)
{
    static const char *const known[] = {
        "model",        "dtype",    "stage", "cached",           "macs",
        "weight_bytes", "products", "ms",    "activation_bytes", NULL};
    const json_t *cached = json_object_get(json, "cached");
    long long macs = count_of(json, "macs"), weights = count_of(json, "weight_bytes");
    long long moved = count_of(json, "activation_bytes"), products = count_of(json, "products");
    int dtype = find_word(json_object_get(json, "dtype"), weight_dtype_names);
    int kind = find_word(json_object_get(json, "stage"), stage_kind_names);
    char where[24];

    snprintf(where, sizeof where, "samples[%d]", i);
    if (check_keys(r, where, json, known) ||
        read_text(r, where, "model", json_object_get(json, "model"), s->model, sizeof s->model))
        return DEER_FAILED;
    if (dtype < 0 || kind < 0 || macs < 0 || weights < 0 || moved < 0 || products < 0 ||
        products > 1000000 || !json_is_boolean(cached) ||
        !read_times(json_object_get(json, "ms"), s))
        return deer_fail(r->err,
                         "%s: %s needs a dtype, a stage, cached, counts, and ms [10th percentile, "
                         "median, 90th]",
                         r->from, where);
    s->dtype = (weight_dtype)dtype;
    s->kind = (stage_kind)kind;
    s->cached = json_is_true(cached);
    s->work = (deer_work){.macs = (uint64_t)macs,
                          .weight_bytes = (uint64_t)weights,
                          .activation_bytes = (uint64_t)moved,
                          .products = (int)products};
    return DEER_OK;
}

static deer_status read_samples(const reader *r, const json_t *json, deer_hardware *h)
{
    size_t n = json_array_size(json);

    if (!json || json_is_null(json))
        return DEER_OK;
    if (!json_is_array(json) || n > HARDWARE_MAX_SAMPLES)
        return deer_fail(r->err, "%s: samples must be a list of up to %d", r->from,
                         HARDWARE_MAX_SAMPLES);
    for (size_t i = 0; i < n; i++)
        if (read_sample(r, json_array_get(json, i), (int)i, &h->sample[i]))
            return DEER_FAILED;
    h->samples = (int)n;
    return DEER_OK;
}

/* ---------------------------------------------------------------- the whole ---------------- */

static deer_status read_kind(const reader *r, const json_t *json, deer_hardware *h)
{
    const char *name = json_string_value(json_object_get(json, "kind"));

    for (int k = 0; name && k < HARDWARE_KINDS; k++)
        if (!strcmp(name, hardware_kind_name((hardware_kind)k))) {
            h->kind = (hardware_kind)k;
            return DEER_OK;
        }
    return deer_fail(r->err, "%s: kind must be cpu, embedded or gpu", r->from);
}

/* What is bought; where the profile does not say, what machines of its kind mostly are. */
static deer_status read_form(const reader *r, const json_t *json, deer_hardware *h)
{
    static const hardware_form usual[HARDWARE_KINDS] = {FORM_BOX, FORM_KIT, FORM_CARD};
    const json_t *form = json_object_get(json, "form");
    const char *name = json_string_value(form);

    h->form = usual[h->kind];
    if (!form)
        return DEER_OK;
    for (int i = 0; name && i < HARDWARE_FORMS; i++)
        if (!strcmp(name, hardware_form_of((hardware_form)i)->name)) {
            h->form = (hardware_form)i;
            return DEER_OK;
        }
    return deer_fail(r->err, "%s: form must be kit, module, board, box, card, server or part",
                     r->from);
}

static deer_status read_flags(const reader *r, const json_t *json, deer_hardware *h)
{
    const json_t *measured = json_object_get(json, "measured");
    const json_t *half = json_object_get(json, "half");
    const char *name = json_string_value(half);

    if (measured && !json_is_boolean(measured))
        return deer_fail(r->err, "%s: measured must be true or false", r->from);
    if (half && (!name || (strcmp(name, "bf16") && strcmp(name, "f16"))))
        return deer_fail(r->err, "%s: half must be bf16 or f16", r->from);
    h->measured = json_is_true(measured);
    h->half_is_f16 = name && !strcmp(name, "f16");
    return DEER_OK;
}

static deer_status read_names(const reader *r, const json_t *json, deer_hardware *h)
{
    if (read_text(r, "the profile", "name", json_object_get(json, "name"), h->name,
                  sizeof h->name) ||
        read_text(r, "the profile", "title", json_object_get(json, "title"), h->title,
                  sizeof h->title) ||
        read_text(r, "the profile", "note", json_object_get(json, "note"), h->note,
                  sizeof h->note) ||
        read_text(r, "the profile", "unsupported", json_object_get(json, "unsupported"),
                  h->unsupported, sizeof h->unsupported) ||
        read_text(r, "the profile", "cannot", json_object_get(json, "cannot"), h->cannot,
                  sizeof h->cannot))
        return DEER_FAILED;
    for (const char *c = h->name; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '.')
            return deer_fail(r->err, "%s: a name has letters, digits, '-' and '.'", r->from);
    if (!h->name[0] || !h->title[0])
        return deer_fail(r->err, "%s: the profile needs a name and a title", r->from);
    return DEER_OK;
}

/* The source and the date of figures that name none. */
static deer_status read_defaults(reader *r, const json_t *json)
{
    deer_figure probe;

    if (read_text(r, "the profile", "source", json_object_get(json, "source"), probe.source,
                  sizeof probe.source) ||
        read_text(r, "the profile", "date", json_object_get(json, "date"), probe.date,
                  sizeof probe.date))
        return DEER_FAILED;
    r->source = json_string_value(json_object_get(json, "source"));
    r->date = json_string_value(json_object_get(json, "date"));
    return DEER_OK;
}

static deer_status read_profile(reader *r, const json_t *json, deer_hardware *h)
{
    static const char *const known[] = {"deer_hardware",
                                        "name",
                                        "title",
                                        "kind",
                                        "form",
                                        "unsupported",
                                        "cannot",
                                        "measured",
                                        "half",
                                        "note",
                                        "source",
                                        "date",
                                        "peak",
                                        "memory",
                                        "reserved",
                                        "bandwidth",
                                        "cache",
                                        "cache_bandwidth",
                                        "idle",
                                        "load",
                                        "energy_per_flop",
                                        "energy_per_byte",
                                        "price",
                                        "step_overhead",
                                        "dispatch",
                                        "submission",
                                        "efficiency",
                                        "modes",
                                        "samples",
                                        NULL};
    const json_t *version = json_object_get(json, "deer_hardware");

    if (!json_is_integer(version))
        return deer_fail(r->err, "%s is not a hardware profile", r->from);
    if (json_integer_value(version) != HARDWARE_VERSION)
        return deer_fail(r->err, "%s has format version %lld; this program reads version %d",
                         r->from, (long long)json_integer_value(version), HARDWARE_VERSION);
    if (check_keys(r, "the profile", json, known) || read_names(r, json, h) ||
        read_kind(r, json, h) || read_form(r, json, h) || read_flags(r, json, h) ||
        read_defaults(r, json) || read_peaks(r, json_object_get(json, "peak"), h) ||
        read_figures(r, json, h) || read_efficiency(r, json_object_get(json, "efficiency"), h) ||
        read_modes(r, json_object_get(json, "modes"), h) ||
        read_samples(r, json_object_get(json, "samples"), h))
        return DEER_FAILED;
    hardware_assume(h);
    return DEER_OK;
}

deer_status deer_hardware_parse(const char *text, size_t size, const char *from, deer_hardware *h,
                                deer_error *err)
{
    reader r = {.from = from ? from : "a built-in profile", .err = err};
    json_error_t problem;
    json_t *json = json_parse(text, size, JSON_REJECT_DUPLICATES, &problem);
    deer_status status;

    memset(h, 0, sizeof *h);
    if (!json)
        return deer_fail(err, "%s is not JSON: %s (line %d)", r.from, problem.text, problem.line);
    snprintf(h->loaded_from, sizeof h->loaded_from, "%s", from ? from : "built in");
    status = read_profile(&r, json, h);
    json_decref(json);
    return status;
}
