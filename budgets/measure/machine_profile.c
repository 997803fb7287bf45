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

    if (l->device[0])
        snprintf(o.source, sizeof o.source, "deer-run bench, deer %s, Vulkan", DEER_VERSION);
    else
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
static void title_of(const machine_limits *l, char title[96])
{
    int threads = l->threads;
    FILE *f = l->device[0] ? NULL : fopen("/proc/cpuinfo", "re");
    char line[256], name[64] = "this machine";

    snprintf(title, 96, "%s", l->device);
    if (l->device[0])
        return;

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

/* A card's memory is its own, and what the system takes of it is estimated, as in the profiles that
 * ship; any other device has the processor's. */
static void set_memory(deer_hardware *h, const machine_limits *l, const origin *o)
{
    double memory = memory_line("MemTotal");

    if (l->card) {
        set(&h->memory, (double)l->device_bytes, "the largest heap on the device", o->date);
        h->reserved = deer_figure_measured(
            0.3e9, 0.6e9, 1.5e9, "the driver's share, at most a desktop's: our estimate", o->date);
        return;
    }
    set(&h->memory, memory, "MemTotal in /proc/meminfo", o->date);
    set(&h->reserved, memory - memory_line("MemAvailable"),
        "MemTotal - MemAvailable in /proc/meminfo", o->date);
}

static void set_machine(deer_hardware *h, const machine_limits *l, const origin *o)
{
    double peaks[] = {l->f32_gflops, l->bf16_gflops, l->int8_gops};

    title_of(l, h->title);
    for (int d = 0; d < WEIGHT_DTYPES; d++)
        set(&h->peak[d], 1e9 * peaks[d], o->source, o->date);
    set(&h->bandwidth, 1e9 * l->read_gbs, o->source, o->date);
    set(&h->cache_bandwidth, 1e9 * l->cache_gbs, o->source, o->date);
    set(&h->cache, (double)l->cache_bytes, "the system's size of the last-level cache", o->date);
    set(&h->dispatch, l->dispatch_seconds, o->source, o->date);
    set(&h->submission, l->submission_seconds, o->source, o->date);
    set_memory(h, l, o);
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

static hardware_kind kind_of_machine(const machine_limits *l)
{
    return !l->device[0] ? HARDWARE_CPU : l->card ? HARDWARE_GPU : HARDWARE_EMBEDDED;
}

/* What is at path: a measured profile to complete, or one of which nothing is known. A processor's
 * is not completed by a GPU's times, nor one GPU's by another's. */
static deer_status begin(const char *path, const machine_limits *l, deer_hardware *h,
                         deer_error *err)
{
    hardware_kind kind = kind_of_machine(l);

    if (access(path, F_OK)) {
        deer_hardware_init(h, "here", "this machine", kind);
        h->measured = true;
        return DEER_OK;
    }
    if (deer_hardware_load(path, h, err) || !h->measured)
        return deer_fail(err, "%s is not a profile that deer-run bench wrote; give another name",
                         path);
    if (h->kind != kind || (l->device[0] && strcmp(h->title, l->device)))
        return deer_fail(err, "%s is the profile of %s, not of %s; give another name", path,
                         h->title, l->device[0] ? l->device : "this processor");
    return DEER_OK;
}

deer_status machine_profile_write(const char *path, const machine_measured *m, deer_error *err)
{
    static deer_hardware h;
    const origin o = origin_of(m->limits);

    if (begin(path, m->limits, &h, err))
        return DEER_FAILED;
    set_machine(&h, m->limits, &o);
    if (add_samples(&h, m, err))
        return DEER_FAILED;
    hardware_fit(&h, o.source, o.date);
    set_step_overhead(&h, m, &o);
    return deer_hardware_save(path, &h, err);
}
