/* SPDX-License-Identifier: MIT */
/* machine_profile.c - what was measured here as a hardware profile. */
#include "budgets/measure/machine_profile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "budgets/machines/hardware_fit.h"
#include "budgets/machines/latency.h"
#include "budgets/measure/statistics.h"

/* Where the figures come from. */
typedef struct {
    char source[128], date[16];
} origin;

static origin origin_of(const machine_limits *l)
{
    origin o;
    time_t now = time(NULL);

    snprintf(o.source, sizeof o.source, "deer-run bench, deer %s, %d thread%s", DEER_VERSION,
             l->threads, l->threads == 1 ? "" : "s");
    strftime(o.date, sizeof o.date, "%Y-%m-%d", gmtime(&now));
    return o;
}

/* ---------------------------------------------------------------- the machine -------------- */

/* A line of /proc/meminfo. */
static double memory_line(const char *name)
{
    return proc_bytes("/proc/meminfo", name);
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

/* Replaces a figure by one that was measured; an unknown one stays as it was. */
static void set(deer_figure *f, double value, const char *source, const char *date)
{
    if (value > 0 && isfinite(value))
        *f = deer_figure_measured(value, value, value, source, date);
}

static void set_machine(deer_hardware *h, const machine_limits *l, const origin *o)
{
    double memory = memory_line("MemTotal"),
           peaks[] = {l->f32_gflops, l->bf16_gflops, l->int8_gops};

    title_of(l->threads, h->title);
    for (int d = 0; d < WEIGHT_DTYPES; d++)
        set(&h->peak[d], 1e9 * peaks[d], o->source, o->date);
    set(&h->bandwidth, 1e9 * l->read_gbs, o->source, o->date);
    set(&h->cache_bandwidth, 1e9 * l->cache_gbs, o->source, o->date);
    set(&h->cache, (double)l->cache_bytes, "the system's size of the last-level cache", o->date);
    set(&h->memory, memory, "MemTotal in /proc/meminfo", o->date);
    set(&h->reserved, memory - memory_line("MemAvailable"),
        "MemTotal - MemAvailable in /proc/meminfo", o->date);
}

/* ---------------------------------------------------------------- its stages --------------- */

static stage_kind kind_of(deer_stage stage)
{
    return stage >= PROFILE_LAYER       ? STAGE_LAYER
           : stage == PROFILE_VISION    ? STAGE_VISION
           : stage == PROFILE_RESAMPLER ? STAGE_RESAMPLER
                                        : STAGE_HEAD;
}

/* Layers of the same work are one sample: the row whose median is the middle one of theirs. */
static bool speaks_for_others(const machine_measured *m, const stage_row *r)
{
    int faster = 0, alike = 0;

    for (int i = 0; i < m->count; i++) {
        const stage_row *other = &m->rows[i];

        if (kind_of(other->stage) != kind_of(r->stage) || other->work.macs != r->work.macs)
            continue;
        faster += other->median < r->median || (other->median == r->median && other < r);
        alike++;
    }
    return faster == alike / 2;
}

static deer_status add_samples(deer_hardware *h, const machine_measured *m, deer_error *err)
{
    deer_stages stages;
    bool cached;

    deer_stages_of(m->config, m->config->max_text, m->dtype, &stages);
    cached = deer_stays_cached(h, m->config, &stages);
    hardware_forget(h, m->config->name, m->dtype);
    for (int i = 0; i < m->count; i++) {
        const stage_row *r = &m->rows[i];
        stage_sample s = {.dtype = m->dtype,
                          .kind = kind_of(r->stage),
                          .cached = cached,
                          .work = r->work,
                          .low = r->p10 / 1e3,
                          .median = r->median / 1e3,
                          .high = r->p90 / 1e3};

        if (!r->work.macs || !(r->p10 > 0) || !speaks_for_others(m, r))
            continue;
        snprintf(s.model, sizeof s.model, "%s", m->config->name);
        if (!hardware_add(h, &s))
            return deer_fail(err, "the profile has samples of too many models; begin a new file");
    }
    return DEER_OK;
}

/* What a step takes besides its products: resizing images, looking up tokens. Of several models the
 * smallest: what it takes whatever the images' size. */
static void set_step_overhead(deer_hardware *h, const machine_measured *m, const origin *o)
{
    double seconds = 0;

    for (int i = 0; i < m->count; i++)
        seconds += m->rows[i].work.macs ? 0 : m->rows[i].runs * m->rows[i].median / 1e3;
    if (!deer_figure_known(&h->step_overhead) || h->step_overhead.assumed ||
        seconds < h->step_overhead.value)
        set(&h->step_overhead, seconds, o->source, o->date);
}

/* ---------------------------------------------------------------- whole -------------------- */

/* What is at path: a measured profile to complete, or one of which nothing is known. */
static deer_status begin(const char *path, deer_hardware *h, deer_error *err)
{
    if (access(path, F_OK)) {
        deer_hardware_init(h, "here", "this machine", HARDWARE_CPU);
        h->measured = true;
        return DEER_OK;
    }
    if (!deer_hardware_load(path, h, err) && h->measured)
        return DEER_OK;
    return deer_fail(err, "%s is not a profile that deer-run bench wrote; give another name", path);
}

deer_status machine_profile_write(const char *path, const machine_measured *m, deer_error *err)
{
    static deer_hardware h;
    const origin o = origin_of(m->limits);

    if (begin(path, &h, err))
        return DEER_FAILED;
    set_machine(&h, m->limits, &o);
    if (add_samples(&h, m, err))
        return DEER_FAILED;
    hardware_fit(&h, o.source, o.date);
    set_step_overhead(&h, m, &o);
    return deer_hardware_save(path, &h, err);
}
