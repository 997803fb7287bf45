/* SPDX-License-Identifier: MIT */
/* hardware.h - profiles of machines: what they can do, what they take, and how we know.
 *
 *   static deer_hardware machine;                     // plain data, some 70 kB
 *   deer_error err;
 *
 *   for (int i = 0; i < deer_hardware_count(); i++)   // the profiles that ship
 *       puts(deer_hardware_name(i));
 *   if (deer_hardware_load("orin-nano-8", &machine, &err))  // a shipped name, or "here.json"
 *       fail(err.message);
 *   printf("%s: %.0f GB/s\n", machine.title, machine.bandwidth.value);
 *
 * A profile is a JSON file (docs/hardware.md is its schema). The shipped ones are part of the
 * program. Every figure carries where it comes from and when; one that nobody knows is NaN, and
 * what depends on it says so instead of guessing. latency.h turns a profile and a model into times.
 */
#ifndef BUDGETS_HARDWARE_H
#define BUDGETS_HARDWARE_H

#include "budgets/cost/stages.h"
#include "budgets/machines/hardware_form.h"

#define HARDWARE_VERSION 1   /* of the file format: "deer_hardware" */
#define HARDWARE_MAX_MODES 8 /* power modes of a machine */
#define HARDWARE_MAX_SAMPLES 256

/* A number with its range and its origin. Known: low <= value <= high. Unknown: all three NaN. */
typedef struct {
    double value, low, high; /* in the unit stated where the figure is declared */
    bool assumed;            /* not stated by the profile: our assumption for its kind of machine */
    char source[200];        /* document or page title, or how it was measured; empty if unknown */
    char date[16];           /* of the source: YYYY, YYYY-MM or YYYY-MM-DD */
    char note[240];          /* what to know about it, or why it is unknown; may be empty */
} deer_figure;

/* What kind of machine: decides the assumptions about what a profile does not state. */
typedef enum {
    HARDWARE_CPU,      /* runs on the cores of a processor */
    HARDWARE_EMBEDDED, /* a GPU that shares its memory with the processor (Jetson) */
    HARDWARE_GPU,      /* a graphics card with its own memory */
    HARDWARE_KINDS
} hardware_kind;

/* Stages that use a machine differently. */
typedef enum {
    STAGE_VISION,    /* many rows at once: arithmetic */
    STAGE_RESAMPLER, /* some hundred rows */
    STAGE_LAYER,     /* a decoder layer: as many rows as the instruction has tokens */
    STAGE_HEAD,      /* one row: memory */
    STAGE_KINDS
} stage_kind;

/* How much of the peaks a stage reaches in a dtype, and what each of its products costs besides. */
typedef struct {
    deer_figure compute;   /* fraction of peak arithmetic, 0..1 */
    deer_figure bandwidth; /* fraction of peak bandwidth, 0..1 */
    deer_figure overhead;  /* seconds a matrix product takes whatever its size: launches, norms */
} stage_efficiency;

/* One run of a stage as it was measured: seconds, 10th percentile, median, 90th. */
typedef struct {
    char model[64]; /* which model ran */
    weight_dtype dtype;
    stage_kind kind;
    bool cached;    /* every weight of the step fits into the machine's cache */
    deer_work work; /* as deer_stages_of says */
    double low, median, high;
} stage_sample;

/* A setting of the machine's clocks. modes[0] is the one the profile's figures are for. */
typedef struct {
    char name[32];         /* "15W", "MAXN" */
    deer_figure watts;     /* W: cap or typical board power under load */
    deer_figure compute;   /* fraction of the profile's peak arithmetic */
    deer_figure bandwidth; /* fraction of the profile's peak bandwidth */
} hardware_mode;

typedef struct {
    char name[48];  /* "orin-nano-8" */
    char title[96]; /* "NVIDIA Jetson Orin Nano 8 GB" */
    hardware_kind kind;
    hardware_form form;    /* in which it is bought; not stated: kit, box or card, by kind */
    char unsupported[240]; /* why deer does not run there, whatever kernels there are; mostly empty
                            */
    char cannot[240];      /* why this kind of model cannot run there at all; mostly empty */
    bool measured;         /* from deer-run bench on the machine itself */
    bool half_is_f16;      /* its 16-bit type is f16: figures called bf16 are f16's, as stand-in */
    char note[240];        /* may be empty */
    char loaded_from[256]; /* "built in", or the file's path */

    deer_figure peak[WEIGHT_DTYPES]; /* FLOP/s as data sheets count: 2 per multiply-add; dense */
    deer_figure memory;              /* bytes */
    deer_figure reserved;            /* bytes that the system takes before the policy gets any */
    deer_figure bandwidth;           /* bytes/s, peak */
    deer_figure cache;               /* bytes that stay on chip from step to step */
    deer_figure cache_bandwidth;     /* bytes/s from there */
    deer_figure idle_watts;          /* W, of the whole board between steps */
    deer_figure load;                /* fraction of a mode's watts that a step draws */
    deer_figure joules_per_flop; /* dynamic energy; with joules_per_byte it replaces watts x time */
    deer_figure joules_per_byte;
    deer_figure price;         /* USD, in its form */
    deer_figure step_overhead; /* seconds a step takes whatever it computes: images, copies */
    deer_figure dispatch; /* of a GPU: seconds a dispatch takes that waits for the one before */
    deer_figure
        submission; /* of a GPU: seconds from handing work over to hearing that it is done */
    stage_efficiency efficiency[STAGE_KINDS][WEIGHT_DTYPES];

    /* What deer's own kernels are assumed to reach on a GPU, of the peak of f32, since they use no
     * matrix units, and of the bandwidth; not of the profile. */
    deer_figure own_compute[STAGE_KINDS], own_bandwidth;

    int modes; /* at least 1 */
    hardware_mode mode[HARDWARE_MAX_MODES];

    int samples; /* what efficiency was fitted to (hardware_fit.h); 0 where nothing was measured */
    stage_sample sample[HARDWARE_MAX_SAMPLES];
} deer_hardware;

const char *hardware_kind_name(hardware_kind kind); /* "cpu", "embedded", "gpu" */
const char *stage_kind_name(stage_kind stage);      /* "vision", "resampler", "layer", "head" */

/* The profiles that ship, by name in alphabetical order. The name of profile i, 0 <= i < count. */
int deer_hardware_count(void);
const char *deer_hardware_name(int i);

/* Reads the shipped profile of that name or, when the name ends in ".json", the file. What the
 * profile leaves out of efficiency, overheads and idle power is filled in from the assumptions for
 * its kind and marked assumed. Refuses, by file and key: what is not JSON, another version, keys it
 * does not know, a wrong unit, numbers that are negative, not finite or out of their range, a
 * figure without a source, a range that does not hold its value. */
deer_status deer_hardware_load(const char *name, deer_hardware *hardware, deer_error *err);

/* The same from text in memory; `from` names it in messages. */
deer_status deer_hardware_parse(const char *text, size_t size, const char *from,
                                deer_hardware *hardware, deer_error *err);

/* Writes a profile atomically, in the schema; figures that are unknown or assumed become null. */
deer_status deer_hardware_save(const char *path, const deer_hardware *hardware, deer_error *err);

/* A profile of a machine about which nothing is known yet, with one mode; texts are cut to fit. */
void deer_hardware_init(deer_hardware *hardware, const char *name, const char *title,
                        hardware_kind kind);

/* A figure with its range (widened to hold the value) and origin. */
deer_figure deer_figure_measured(double low, double value, double high, const char *source,
                                 const char *date);

/* The figure for the arithmetic of a dtype: its own or, where that is unknown, the next wider
 * one's, since weights can be widened as they are read. May be unknown. */
const deer_figure *hardware_peak(const deer_hardware *hardware, weight_dtype dtype);

/* The mode of that name (case does not matter), -1 if there is none. */
int deer_hardware_mode(const deer_hardware *hardware, const char *name);

/* True when the figure has a value. */
bool deer_figure_known(const deer_figure *figure);

#endif
