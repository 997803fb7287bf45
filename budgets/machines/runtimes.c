/* SPDX-License-Identifier: MIT */
/* runtimes.c - runtimes, with what was measured of them. */
#include "budgets/machines/runtimes.h"

#include <string.h>

/* ---------------------------------------------------------------- which there are ---------- */

static const struct {
    const char *name, *title;
} runtimes[RUNTIMES] = {
    [RUNTIME_DEER] = {"deer", "deer's own kernels"},
    [RUNTIME_TUNED] = {"tuned", "tuned for the machine (TensorRT, Triton, vLLM)"},
    [RUNTIME_GGML] = {"ggml", "ggml (llama.cpp, vla.cpp)"},
    [RUNTIME_PYTORCH] = {"pytorch", "PyTorch, eager"},
};

const char *runtime_name(runtime_kind runtime)
{
    return runtimes[runtime].name;
}

const char *runtime_title(runtime_kind runtime)
{
    return runtimes[runtime].title;
}

bool runtime_from_name(const char *name, runtime_kind *runtime)
{
    for (int i = 0; i < RUNTIMES; i++)
        if (!strcmp(name, runtimes[i].name)) {
            *runtime = (runtime_kind)i;
            return true;
        }
    return false;
}

/* ---------------------------------------------------------------- deer --------------------- */

/* There are kernels for every kind of machine: a processor's, and Vulkan's for GPUs. */
hardware_support deer_hardware_support(const deer_hardware *h)
{
    if (*h->cannot)
        return SUPPORT_CANNOT;
    if (h->measured)
        return SUPPORT_MEASURED;
    return *h->unsupported ? SUPPORT_OTHER : SUPPORT_RUNS;
}

const char *hardware_support_words(hardware_support support)
{
    static const char *const words[SUPPORTS] = {"measured with deer", "estimated, deer runs here",
                                                "estimated, another runtime would be needed",
                                                "cannot run this model"};

    return words[support];
}

const char *hardware_words(const deer_hardware *h)
{
    hardware_support support = deer_hardware_support(h);

    return support == SUPPORT_RUNS && h->kind != HARDWARE_CPU
               ? "estimated, deer runs here but was not measured on GPUs yet"
               : hardware_support_words(support);
}

/* ---------------------------------------------------------------- others ------------------- */

/* Time measured over time expected; the row behind the kinds is of all GPUs. */
enum { ALL_GPUS = HARDWARE_KINDS, ROWS };

static const struct {
    int measurements;
    deer_range factor;
} measured[RUNTIMES][ROWS] = {
    [RUNTIME_TUNED] =
        {[HARDWARE_EMBEDDED] = {27, {0.78, 0.90, 1.80}}, [HARDWARE_GPU] = {10, {0.48, 0.56, 1.06}}},
    [RUNTIME_GGML] = {[HARDWARE_EMBEDDED] = {8, {1.13, 3.79, 5.02}},
                      [HARDWARE_GPU] = {1, {0.99, 0.99, 0.99}},
                      [ALL_GPUS] = {9, {0.99, 3.74, 5.02}}},
    [RUNTIME_PYTORCH] =
        {[HARDWARE_GPU] = {3, {1.63, 5.26, 12.06}}, [ALL_GPUS] = {3, {1.63, 5.26, 12.06}}},
};

bool deer_runtime_spread(runtime_kind runtime, hardware_kind kind, runtime_spread *spread)
{
    bool own = measured[runtime][kind].measurements >= RUNTIME_LEAST;
    int row = own || kind == HARDWARE_CPU ? (int)kind : ALL_GPUS;

    *spread = (runtime_spread){measured[runtime][row].measurements, row == ALL_GPUS,
                               measured[runtime][row].factor};
    return spread->measurements >= RUNTIME_LEAST;
}

static void slow_down(deer_range *x, const deer_range *factor)
{
    *x = (deer_range){x->expected * factor->low, x->expected * factor->expected,
                      x->expected * factor->high};
}

/* Energy goes with time: the machine draws what it draws, working or waiting. */
static deer_range energy_of(const deer_exit_time *before, const deer_range *total)
{
    return (deer_range){before->joules.low * total->low / before->total.low,
                        before->joules.expected * total->expected / before->total.expected,
                        before->joules.high * total->high / before->total.high};
}

static void slow_exit(deer_exit_time *e, const deer_range *factor)
{
    const deer_exit_time before = *e;

    slow_down(&e->vision, factor);
    slow_down(&e->resampler, factor);
    slow_down(&e->one, factor);
    slow_down(&e->llm, factor);
    slow_down(&e->head, factor);
    slow_down(&e->overhead, factor);
    slow_down(&e->total, factor);
    e->joules = energy_of(&before, &e->total);
}

deer_status deer_runtime_latency(const deer_hardware *h, runtime_kind runtime, int mode,
                                 const deer_config *c, const deer_load *load, deer_latency *l,
                                 deer_error *err)
{
    static const char *const on[HARDWARE_KINDS] = {"processors", "embedded GPUs", "graphics cards"};
    runtime_spread spread;

    if (*h->cannot)
        return deer_fail(err, "%s: %s", h->name, h->cannot);
    if (runtime == RUNTIME_DEER && deer_hardware_support(h) == SUPPORT_OTHER)
        return deer_fail(err, "%s: %s", h->name, h->unsupported);
    if (runtime == RUNTIME_DEER)
        return deer_latency_of_own(h, mode, c, load, l, err);
    if (!deer_runtime_spread(runtime, h->kind, &spread))
        return deer_fail(err,
                         "%s: no time can be said, since fewer than %d measurements of %s on %s "
                         "are known",
                         h->name, RUNTIME_LEAST, runtime_name(runtime), on[h->kind]);
    if (deer_latency_of_load(h, mode, c, load, l, err))
        return DEER_FAILED;
    for (int k = 0; k < l->exits; k++)
        slow_exit(&l->exit[k], &spread.factor);
    return DEER_OK;
}
