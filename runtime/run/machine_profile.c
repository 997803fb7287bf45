/* machine_profile.c - what was measured here as a hardware profile. */
#include "runtime/run/machine_profile.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "budgets/hardware.h"
#include "runtime/file.h"

enum { MAX_PROFILE = 1 << 20 };

/* Below this part of a stage's time, reading and arithmetic say nothing about the machine. */
static const double enough = 0.2;

/* ---------------------------------------------------------------- figures ------------------ */

/* Four digits are more than any of these measurements has. */
static double rounded(double x)
{
    char text[32];

    snprintf(text, sizeof text, "%.4g", x);
    return strtod(text, NULL);
}

/* A figure; source and note may be NULL. Unknown values give null. */
static json_t *figure(double value, const char *unit, const char *source, const char *note)
{
    if (!isfinite(value) || value <= 0)
        return json_null();
    return json_pack("{s:f, s:s, s:s*, s:s*}", "value", rounded(value), "unit", unit, "source",
                     source, "note", note);
}

static json_t *ranged(double value, double low, double high, const char *unit)
{
    return json_pack("{s:f, s:f, s:f, s:s}", "value", rounded(value), "low",
                     fmin(rounded(low), rounded(value)), "high",
                     fmax(rounded(high), rounded(value)), "unit", unit);
}

/* A line "Name:  123 kB" of /proc/meminfo, in bytes; NaN where there is none. */
static double memory_line(const char *name)
{
    FILE *f = fopen("/proc/meminfo", "re");
    char line[256];
    double bytes = NAN;
    size_t n = strlen(name);
    long kilobytes;

    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, name, n) && sscanf(line + n, ": %ld", &kilobytes) == 1)
            bytes = 1024 * (double)kilobytes;
    if (f)
        fclose(f);
    return bytes;
}

/* "AMD EPYC, 2 threads" */
static void title_of(int threads, char title[96])
{
    FILE *f = fopen("/proc/cpuinfo", "re");
    char line[256], name[64] = "this machine";

    while (f && fgets(line, sizeof line, f))
        if (sscanf(line, "model name : %63[^\n]", name) == 1)
            break;
    if (f)
        fclose(f);
    snprintf(title, 96, "%s, %d thread%s", name, threads, threads == 1 ? "" : "s");
}

/* ---------------------------------------------------------------- efficiency --------------- */

static const char *kind_of(deer_stage stage)
{
    if (stage >= PROFILE_LAYER)
        return stage_kind_name(STAGE_LAYER);
    return stage == PROFILE_VISION      ? stage_kind_name(STAGE_VISION)
           : stage == PROFILE_RESAMPLER ? stage_kind_name(STAGE_RESAMPLER)
                                        : stage_kind_name(STAGE_HEAD);
}

/* The fraction that binds, with the range its times give; or, of a stage too small for that, what
 * each of its products costs besides. */
static json_t *efficiency_of(const stage_row *r, double of_read, json_t *known)
{
    bool reading = of_read >= r->of_peak;
    double part = reading ? of_read : r->of_peak, ms = r->median;
    json_t *e = json_is_object(known) ? json_incref(known) : json_object();

    if (part >= enough)
        json_object_set_new(e, reading ? "bandwidth" : "compute",
                            ranged(fmin(part, 1), fmin(part * ms / r->p90, 1),
                                   fmin(part * ms / r->p10, 1), "fraction"));
    else
        json_object_set_new(e, "overhead",
                            ranged(1e3 * (ms - part * ms) / r->work.products,
                                   1e3 * fmax(r->p10 - part * ms, 0) / r->work.products,
                                   1e3 * fmax(r->p90 - part * ms, 0) / r->work.products, "us"));
    return e;
}

/* The object under key, made when it is not there. */
static json_t *within(json_t *object, const char *key)
{
    if (!json_is_object(json_object_get(object, key)))
        json_object_set_new(object, key, json_object());
    return json_object_get(object, key);
}

/* What reads are measured against: the memory, or the cache where all weights of a step stay there
 * (budgets/latency.h assumes the same), as a factor of row.of_read. */
static double of_memory(const machine_measured *m)
{
    const machine_limits *l = m->limits;
    double bytes = 0;

    for (int i = 0; i < m->count; i++)
        bytes += (double)m->rows[i].work.weight_bytes;
    return bytes <= (double)l->cache_bytes && isfinite(l->cache_gbs) ? l->read_gbs / l->cache_gbs
                                                                     : 1;
}

/* Of several decoder layers the middle one speaks for all; of the head, an evaluation. */
static void add_efficiency(json_t *efficiency, const machine_measured *m)
{
    int layers = 0, layer = 0;
    double reads = of_memory(m);

    for (int i = 0; i < m->count; i++)
        layers += m->rows[i].stage >= PROFILE_LAYER;
    for (int i = 0; i < m->count; i++) {
        const stage_row *r = &m->rows[i];
        const char *dtype = hardware_dtype_name(m->dtype);
        json_t *kind;

        if (!r->work.macs || r->stage == PROFILE_HEAD_BEGIN ||
            (r->stage >= PROFILE_LAYER && layer++ != layers / 2))
            continue;
        kind = within(efficiency, kind_of(r->stage));
        json_object_set_new(kind, dtype,
                            efficiency_of(r, reads * r->of_read, json_object_get(kind, dtype)));
    }
}

/* A step's time besides its stages, resizing the images included. */
static double step_overhead(const machine_measured *m)
{
    double computing = 0;

    for (int i = 0; i < m->count; i++)
        computing += m->rows[i].work.macs ? m->rows[i].runs * m->rows[i].median : 0;
    return fmax(1e3 * (m->step_ms - computing), 1);
}

/* ---------------------------------------------------------------- whole -------------------- */

static void set_machine(json_t *p, const machine_measured *m)
{
    const machine_limits *l = m->limits;
    double memory = memory_line("MemTotal"), free_now = memory_line("MemAvailable");
    char title[96], source[128], date[16];
    time_t now = time(NULL);

    title_of(l->threads, title);
    snprintf(source, sizeof source, "deer-run bench, deer %s, %d threads", DEER_VERSION,
             l->threads);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
    json_object_set_new(p, "deer_hardware", json_integer(HARDWARE_VERSION));
    json_object_set_new(p, "name", json_string("here"));
    json_object_set_new(p, "title", json_string(title));
    json_object_set_new(p, "kind", json_string(hardware_kind_name(HARDWARE_CPU)));
    json_object_set_new(p, "measured", json_true());
    json_object_set_new(p, "source", json_string(source));
    json_object_set_new(p, "date", json_string(date));
    json_object_set_new(p, "peak",
                        json_pack("{s:o, s:o, s:o}", "f32",
                                  figure(l->f32_gflops, "GFLOP/s", NULL, "on registers"), "bf16",
                                  figure(l->bf16_gflops, "GFLOP/s", NULL, "on registers"), "q8",
                                  figure(l->int8_gops, "GFLOP/s", NULL, "on registers")));
    json_object_set_new(p, "memory",
                        figure(memory / (1 << 30), "GiB", "MemTotal in /proc/meminfo", NULL));
    json_object_set_new(p, "reserved",
                        figure((memory - free_now) / (1 << 30), "GiB",
                               "MemTotal - MemAvailable in /proc/meminfo", NULL));
    json_object_set_new(p, "bandwidth", figure(l->read_gbs, "GB/s", NULL, NULL));
    json_object_set_new(p, "cache",
                        figure((double)l->cache_bytes / (1 << 20), "MiB",
                               "the system's size of the last-level cache", NULL));
    json_object_set_new(p, "cache_bandwidth", figure(l->cache_gbs, "GB/s", NULL, NULL));
    json_object_set_new(p, "step_overhead", figure(step_overhead(m), "us", NULL, NULL));
    json_object_set_new(p, "modes", json_pack("[{s:s, s:n}]", "name", "all", "watts"));
}

/* What is at path: a measured profile to complete, or a new object where there is nothing. */
static deer_status read_old(const char *path, json_t **old, deer_error *err)
{
    json_error_t problem;
    char *text;
    size_t size;

    *old = NULL;
    if (access(path, F_OK)) {
        *old = json_object();
        return *old ? DEER_OK : deer_fail(err, "out of memory writing %s", path);
    }
    if (file_read(path, MAX_PROFILE, &text, &size, err))
        return DEER_FAILED;
    *old = json_loadb(text, size, JSON_REJECT_DUPLICATES, &problem);
    free(text);
    if (json_is_true(json_object_get(*old, "measured")) && json_object_get(*old, "deer_hardware"))
        return DEER_OK;
    json_decref(*old);
    *old = NULL;
    return deer_fail(err, "%s is not a profile that deer-run bench wrote; give another name", path);
}

deer_status machine_profile_write(const char *path, const machine_measured *m, deer_error *err)
{
    static deer_hardware checked;
    json_t *profile;
    char *text;
    deer_status status;

    if (read_old(path, &profile, err))
        return DEER_FAILED;
    set_machine(profile, m);
    add_efficiency(within(profile, "efficiency"), m);
    text = json_dumps(profile, JSON_INDENT(1) | JSON_REAL_PRECISION(6));
    json_decref(profile);
    if (!text)
        return deer_fail(err, "out of memory writing %s", path);
    status = deer_hardware_parse(text, strlen(text), path, &checked, err);
    if (!status)
        status = file_write(path, text, strlen(text), err);
    free(text);
    return status;
}
