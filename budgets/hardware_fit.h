/* hardware_fit.h - from measured times of stages to a profile's efficiency.
 *
 *   static deer_hardware here;
 *   deer_hardware_init(&here, "here", "AMD EPYC, 2 threads", HARDWARE_CPU);
 *   here.measured = true;
 *   here.bandwidth = deer_figure_measured(63e9, 65e9, 68e9, "deer-run bench", "2026-11-24");
 *   here.peak[0] = ...; here.cache = ...; here.memory = ...;
 *   n = 0;
 *   for (each model that was measured, of one dtype) {            // a large and a small one
 *       deer_stages_of(config, tokens, dtype, &stages);
 *       samples[n++] = (stage_sample){STAGE_VISION, stages.vision, cached, p10, median, p90};
 *       ...                                        // resampler, layers, both parts of the head
 *   }
 *   hardware_fit(&here, dtype, samples, n, "deer-run bench", "2026-11-24");
 *   here.step_overhead = deer_figure_measured(...);   // a step less its stages, seconds
 *   deer_hardware_save("here.json", &here, &err);
 */
#ifndef BUDGETS_HARDWARE_FIT_H
#define BUDGETS_HARDWARE_FIT_H

#include "budgets/hardware.h"
#include "budgets/stages.h"

/* One run of a stage as it was measured: seconds, 10th percentile, median, 90th. */
typedef struct {
    stage_kind kind;
    deer_work work; /* as deer_stages_of says */
    bool cached;    /* every weight of the step fits into the machine's cache */
    double low, median, high;
} stage_sample;

/* Seconds that a stage takes when nothing is lost: the longer of its arithmetic at the peak of the
 * dtype and its bytes at the bandwidth of memory (or of the cache). NaN where those are unknown. */
double hardware_least_seconds(const deer_hardware *hardware, deer_dtype dtype,
                              const deer_work *work, bool cached);

/* Fits, for every kind of stage that has samples, time = least / fraction + products * overhead
 * (fraction in 0..1, overhead >= 0) by least squares of the relative errors, and writes the
 * fraction (as compute and bandwidth alike) and the overhead into hardware->efficiency for the
 * dtype. Samples of one size cannot tell the two apart; give a large and a small model. Ranges are
 * the samples' own spread. Needs the peak of the dtype, the bandwidth and, for cached samples, the
 * cache's; kinds without usable samples are left as they are. */
void hardware_fit(deer_hardware *hardware, deer_dtype dtype, const stage_sample *samples, int count,
                  const char *source, const char *date);

#endif
