/* SPDX-License-Identifier: MIT */
/* hardware_fit.h - from measured times of stages to a profile's efficiency.
 *
 *   static deer_hardware here;
 *   deer_hardware_init(&here, "here", "AMD EPYC, 2 threads", HARDWARE_CPU); // or load, to go on
 *   here.measured = true;
 *   here.bandwidth = deer_figure_measured(63e9, 65e9, 68e9, "deer-run bench", "2026-11-24");
 *   here.peak[0] = ...; here.cache = ...; here.cache_bandwidth = ...; here.memory = ...;
 *   for (each model that was measured: a large and a small one) {
 *       hardware_forget(&here, config->name, dtype);   // what an earlier run said of it
 *       deer_stages_of(config, tokens, dtype, &stages);
 *       hardware_add(&here, &(stage_sample){.kind = STAGE_VISION, .work = stages.vision, ...});
 *       ...                                            // resampler, layers, both parts of the head
 *   }
 *   hardware_fit(&here, "deer-run bench", "2026-11-24");
 *   here.step_overhead = deer_figure_measured(...);    // what of a step is no product, seconds
 *   deer_hardware_save("here.json", &here, &err);
 */
#ifndef BUDGETS_HARDWARE_FIT_H
#define BUDGETS_HARDWARE_FIT_H

#include "budgets/machines/hardware.h"

/* Adds a sample (copied); false when there is no room for more. */
bool hardware_add(deer_hardware *hardware, const stage_sample *sample);

/* Removes the samples of a model in a dtype. */
void hardware_forget(deer_hardware *hardware, const char *model, weight_dtype dtype);

/* Seconds that a stage takes when nothing is lost: the longer of its arithmetic at the peak of the
 * dtype and its bytes at the bandwidth of memory (or of the cache). NaN where those are unknown. */
double hardware_least_seconds(const deer_hardware *hardware, weight_dtype dtype,
                              const deer_work *work, bool cached);

/* Fits, for every kind of stage and dtype that has samples, time = least / fraction + products *
 * overhead (fraction in 0..1, overhead >= 0) by least squares of the relative errors, and writes
 * the fraction (as compute and bandwidth alike) and the overhead into hardware->efficiency. Samples
 * of one size cannot tell the two apart: give a large and a small model. Each model counts the
 * same, however many samples it has. Ranges are the samples' own spread. Needs the peak of the
 * dtype, the bandwidth and, for cached samples, the cache's; kinds without usable samples are left
 * as they are. */
void hardware_fit(deer_hardware *hardware, const char *source, const char *date);

#endif
