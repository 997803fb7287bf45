/* SPDX-License-Identifier: MIT */
/* latency.h - time, energy and memory of a step on a machine described by a profile.
 *
 *   deer_latency t;
 *   deer_memory m;
 *
 *   if (deer_latency_of(&machine, 0, config, tokens, WEIGHT_BF16, &t, &err))
 *       puts(err.message);                            // names the figure that is unknown
 *   printf("exit 2: %.1f ms (%.1f to %.1f)\n", 1e3 * t.exit[2].total.expected,
 *          1e3 * t.exit[2].total.low, 1e3 * t.exit[2].total.high);
 *   deer_memory_of(&machine, config, WEIGHT_BF16, 2, &m);
 *
 * A stage takes the longer of its arithmetic and its memory traffic, and a fixed time for each of
 * its products:
 *
 *   max(2 MACs / (compute * peak), bytes / (bandwidth factor * bandwidth)) + products * overhead
 *
 * with stages.h's counts and the profile's figures. The low end of a range takes every figure at
 * its best, the high end every figure at its worst; ranges are therefore wider than an interval of
 * some probability. Pure arithmetic: no I/O, nothing allocated.
 */
#ifndef BUDGETS_LATENCY_H
#define BUDGETS_LATENCY_H

#include "budgets/cost/stages.h"
#include "budgets/machines/hardware.h"

/* Optimistic, expected, pessimistic: low <= expected <= high. All NaN where unknown. */
typedef struct {
    double low, expected, high;
} deer_range;

/* One run of a stage, seconds. */
typedef struct {
    deer_range arithmetic, traffic, overhead;
    deer_range total;  /* max(arithmetic, traffic) + overhead */
    bool memory_bound; /* as expected, traffic takes longer than arithmetic */
} deer_stage_time;

/* A step that leaves at an exit. */
typedef struct {
    deer_range vision, resampler, llm, head, overhead; /* seconds */
    deer_range one;                                    /* vision and resampler of one image alone */
    deer_range total;                                  /* seconds; their sum */
    deer_range joules; /* of the machine during the step; NaN where its power is unknown */
} deer_exit_time;

typedef struct {
    deer_stage_time vision, resampler;         /* both images */
    deer_stage_time vision_one, resampler_one; /* one image */
    deer_stage_time layer_with_cross, layer_without_cross;
    deer_stage_time head_recurrent, head_first, head_evaluation;
    deer_range step_overhead;
    int exits;
    deer_exit_time exit[DEER_MAX_EXITS];
} deer_latency;

/* Times of a step at each exit, with the machine in a mode (index into hardware->mode; 0 is always
 * there). DEER_FAILED, with a message that names the machine and the figure, when a figure that is
 * needed is unknown. A dtype whose peak is unknown computes at the rate of the next wider one
 * (weights are widened as they are read) and still moves fewer bytes. */
deer_status deer_latency_of(const deer_hardware *hardware, int mode, const deer_config *config,
                            int tokens, weight_dtype dtype, deer_latency *latency, deer_error *err);

/* The same of another load: other cameras, parts of different types. */
deer_status deer_latency_of_load(const deer_hardware *hardware, int mode, const deer_config *config,
                                 const deer_load *load, deer_latency *latency, deer_error *err);

/* What deer's own kernels take: the same on a processor, and on a machine that was measured with
 * them. On a GPU that was not, they use no matrix units, reach what is assumed of them, and each
 * dispatch takes its time (deer_hardware.dispatch), as does each submission. */
deer_status deer_latency_of_own(const deer_hardware *hardware, int mode, const deer_config *config,
                                const deer_load *load, deer_latency *latency, deer_error *err);

/* Whether that is another rule than what the machine allows. */
bool deer_own_differs(const deer_hardware *hardware);

/* What one kind of stage gets of a machine, low: at its best. */
typedef struct {
    deer_range flops;    /* FLOP/s, two a multiply-add */
    deer_range bytes;    /* byte/s, from memory */
    deer_range cached;   /* byte/s, of weights that stay on chip; NaN where it is unknown */
    deer_range overhead; /* seconds a product; of deer's own kernels on a GPU, a dispatch */
} deer_stage_speed;

/* Errors as of deer_latency_of. */
deer_status deer_stage_speed_of(const deer_hardware *hardware, int mode, weight_dtype dtype,
                                stage_kind kind, deer_stage_speed *speed, deer_error *err);

/* What deer's own kernels get of it. */
deer_status deer_own_speed_of(const deer_hardware *hardware, int mode, weight_dtype dtype,
                              stage_kind kind, deer_stage_speed *speed, deer_error *err);

/* Submissions that a step waits for, low, expected and high, when it leaves at exit k: the images'
 * and its own exit's, since the others run while the device works; at worst all of them. */
deer_range deer_own_submissions(int exit, bool last);

/* How often steps encode so many cameras (0, 1, 2) and leave at an exit: shares of all steps. */
typedef struct {
    double share[3][DEER_MAX_EXITS];
} deer_step_mix;

/* Seconds of a step that encodes so many cameras, 0 to 2, and leaves at an exit. Keys and values of
 * media that are kept are counted as computed: they are a small part of a layer. */
deer_range deer_latency_step(const deer_latency *latency, int encodings, int exit);

/* The mean over a mix, and the time that 99% of its steps do not exceed, as expected; its range is
 * that step's. */
deer_range deer_latency_mean(const deer_latency *latency, const deer_step_mix *mix);
deer_range deer_latency_p99(const deer_latency *latency, const deer_step_mix *mix);

/* Whether the weights of a step that leaves at the last exit stay in the machine's cache from step
 * to step: then they are read from there. False where the profile does not state the cache. */
bool deer_stays_cached(const deer_hardware *hardware, const deer_config *config,
                       const deer_stages *stages);

/* The time of any work of a kind, of this architecture or another. Errors as above. */
deer_status deer_work_time(const deer_hardware *hardware, int mode, weight_dtype dtype,
                           stage_kind kind, const deer_work *work, deer_stage_time *time,
                           deer_error *err);

/* Memory when `exit` is the deepest allowed, bytes. */
typedef struct {
    uint64_t weights;     /* exact */
    uint64_t activations; /* scratch and state of a session */
    deer_range reserved;  /* what the system takes */
    deer_range total;     /* all three; NaN where `reserved` is unknown */
    double available;     /* the machine's memory; NaN if unknown */
} deer_memory;

void deer_memory_of(const deer_hardware *hardware, const deer_config *config, weight_dtype dtype,
                    int exit, deer_memory *memory);

/* The same of another load. */
void deer_memory_of_load(const deer_hardware *hardware, const deer_config *config,
                         const deer_load *load, int exit, deer_memory *memory);

/* Average power in watts at `rate` steps a second that take `seconds` and `joules` each: idle
 * between steps. NaN where power is unknown; a step that takes longer than 1 / rate runs back to
 * back. */
deer_range deer_power_at(const deer_hardware *hardware, double rate, deer_range seconds,
                         deer_range joules);

/* Sum and multiple of ranges, for averages over exits; factor >= 0. */
deer_range deer_range_add(deer_range a, deer_range b);
deer_range deer_range_scale(deer_range a, double factor);

/* What the model assumes whatever the machine, one sentence each; entry `count` does not exist. */
const char *const *deer_latency_assumptions(int *count);

#endif
