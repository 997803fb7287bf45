/* SPDX-License-Identifier: MIT */
/* runtimes.h - which programs run on a machine, and how far behind the machine they stay.
 *
 *   deer_latency t;
 *   if (deer_runtime_latency(&machine, RUNTIME_GGML, mode, config, &load, &t, &err))
 *       puts(err.message);          // or names what nobody has measured
 *
 * latency.h says what a machine allows. A runtime is slower, by a factor that was measured:
 * published times over what latency.h expects, of every published measurement of that kind of
 * runtime (tests/budgets/test_latency_published.c has them and holds the factors here to them). A
 * kind of runtime that was measured fewer than RUNTIME_LEAST times on a kind of machine takes the
 * factors of all GPUs; one that was not measured often enough there either is not estimated.
 */
#ifndef BUDGETS_RUNTIMES_H
#define BUDGETS_RUNTIMES_H

#include "budgets/machines/latency.h"

#define RUNTIME_LEAST 3 /* measurements that a spread needs */

typedef enum {
    RUNTIME_DEER,    /* deer-run */
    RUNTIME_TUNED,   /* compiled for the machine: TensorRT, Triton kernels, vLLM's graphs */
    RUNTIME_GGML,    /* llama.cpp and what is built on it */
    RUNTIME_PYTORCH, /* eager: a processor launches every operation */
    RUNTIMES
} runtime_kind;

const char *runtime_name(runtime_kind runtime);  /* "deer", "tuned", "ggml", "pytorch" */
const char *runtime_title(runtime_kind runtime); /* for people */
bool runtime_from_name(const char *name, runtime_kind *runtime);

/* Smallest, median and largest measured time over the expected one. */
typedef struct {
    int measurements; /* 0: not measured */
    bool all_gpus;    /* of GPUs of every kind */
    deer_range factor;
} runtime_spread;

/* Not of RUNTIME_DEER, whose kernels the profiles' own ranges are of. False when it was not
 * measured often enough. */
bool deer_runtime_spread(runtime_kind runtime, hardware_kind kind, runtime_spread *spread);

/* What is known about deer on a machine. */
typedef enum {
    SUPPORT_MEASURED, /* deer-run bench wrote the profile there */
    SUPPORT_RUNS,     /* deer has kernels for it; its times are estimated */
    SUPPORT_OTHER,    /* another runtime would be needed: the profile says why */
    SUPPORT_CANNOT,   /* cannot run this kind of model at all: the profile says why */
    SUPPORTS
} hardware_support;

hardware_support deer_hardware_support(const deer_hardware *hardware);

/* "measured with deer", "estimated, deer runs here", "estimated, another runtime would be needed",
 * "cannot run this model" */
const char *hardware_support_words(hardware_support support);

/* The same of a machine; of GPUs that deer runs on, that it was measured on none. */
const char *hardware_words(const deer_hardware *hardware);

/* What a runtime takes there, energy included. DEER_FAILED with the reason when that runtime does
 * not run there, nobody has measured it, or a figure is unknown. */
deer_status deer_runtime_latency(const deer_hardware *hardware, runtime_kind runtime, int mode,
                                 const deer_config *config, const deer_load *load,
                                 deer_latency *latency, deer_error *err);

#endif
