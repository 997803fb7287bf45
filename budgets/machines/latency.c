/* SPDX-License-Identifier: MIT */
/* latency.c - time, energy and memory of a step on a machine described by a profile. */
#include "budgets/machines/latency.h"

#include <math.h>

#include "budgets/cost/dispatches.h"
#include "budgets/cost/weights.h"
#include "runtime/model/modules.h"

/* ---------------------------------------------------------------- ranges ------------------- */

enum { LOW, EXPECTED, HIGH, CASES }; /* of a time: everything at its best, as expected, at worst */

static const deer_range unknown = {NAN, NAN, NAN};

static double *end_of(deer_range *r, int end)
{
    return end == LOW ? &r->low : end == EXPECTED ? &r->expected : &r->high;
}

/* A figure that makes a step shorter the larger it is: at its high end in the best case. */
static double speed(const deer_figure *f, int end)
{
    return end == LOW ? f->high : end == EXPECTED ? f->value : f->low;
}

/* A figure that makes a step longer or dearer the larger it is. */
static double burden(const deer_figure *f, int end)
{
    return end == LOW ? f->low : end == EXPECTED ? f->value : f->high;
}

static deer_range range_of(const deer_figure *f)
{
    return (deer_range){f->low, f->value, f->high};
}

deer_range deer_range_add(deer_range a, deer_range b)
{
    return (deer_range){a.low + b.low, a.expected + b.expected, a.high + b.high};
}

deer_range deer_range_scale(deer_range a, double factor)
{
    return (deer_range){factor * a.low, factor * a.expected, factor * a.high};
}

/* ---------------------------------------------------------------- what is needed ----------- */

/* Arithmetic in the best, expected or worst case, FLOP/s. 8-bit weights may be multiplied as
 * integers or widened to 16 bits first. Unless it was measured, which of them a runtime does is not
 * known: integers at best. */
static double rate_of(const deer_hardware *h, weight_dtype dtype, int end)
{
    double own = speed(hardware_peak(h, dtype), end), wide;

    if (dtype != WEIGHT_Q8 || h->measured)
        return own;
    wide = speed(hardware_peak(h, WEIGHT_BF16), end);
    return end == LOW && own > wide ? own : wide;
}

/* Whether the mode exists and every figure that is needed is known; own: by deer's own kernels,
 * which need the peak of f32 whatever the type. */
static deer_status check_setting(const deer_hardware *h, int mode, weight_dtype dtype, bool own,
                                 deer_error *err)
{
    const char *missing = NULL;

    if (mode < 0 || mode >= h->modes)
        return deer_fail(err, "%s has no power mode %d", h->name, mode);
    if (!deer_figure_known(&h->bandwidth))
        missing = "memory bandwidth (bandwidth)";
    if (!deer_figure_known(hardware_peak(h, own ? WEIGHT_F32 : dtype)))
        missing = "peak arithmetic (peak.f32)";
    return missing ? deer_fail(err, "%s: no time can be said, since its %s is unknown", h->name,
                               missing)
                   : DEER_OK;
}

/* ---------------------------------------------------------------- times -------------------- */

/* What a computation runs on: the machine and its mode. */
typedef struct {
    const deer_hardware *machine;
    const hardware_mode *mode;
    bool cached; /* every weight of the step stays on chip */
    bool own;    /* by deer's own kernels on a GPU that was not measured with them */
} setting;

/* Of those: bytes are multiplied four at a time at best, else like numbers. */
static double own_rate(const deer_hardware *h, weight_dtype dtype, int end)
{
    double plain = speed(&h->peak[WEIGHT_F32], end);

    return dtype == WEIGHT_Q8 && end == LOW ? 4 * plain : plain;
}

static deer_stage_speed speed_of(const setting *s, weight_dtype dtype, stage_kind kind)
{
    const deer_hardware *h = s->machine;
    const stage_efficiency *e = &h->efficiency[kind][dtype];
    bool known = deer_figure_known(&h->cache_bandwidth);
    deer_stage_speed x;

    for (int end = 0; end < CASES; end++) {
        double share = speed(s->own ? &h->own_bandwidth : &e->bandwidth, end);
        double rate = s->own ? own_rate(h, dtype, end) : rate_of(h, dtype, end);

        *end_of(&x.flops, end) = rate * speed(&s->mode->compute, end) *
                                 speed(s->own ? &h->own_compute[kind] : &e->compute, end);
        *end_of(&x.bytes, end) =
            speed(&h->bandwidth, end) * speed(&s->mode->bandwidth, end) * share;
        *end_of(&x.cached, end) = known ? speed(&h->cache_bandwidth, end) * share : NAN;
        *end_of(&x.overhead, end) = burden(s->own ? &h->dispatch : &e->overhead, end);
    }
    return x;
}

static deer_stage_time stage_time(const setting *s, weight_dtype dtype, stage_kind kind,
                                  const deer_work *w)
{
    deer_stage_speed x = speed_of(s, dtype, kind);
    deer_range *rate = s->cached && !isnan(x.cached.expected) ? &x.cached : &x.bytes;
    double bytes = (double)(w->weight_bytes + w->activation_bytes);
    deer_stage_time t;

    for (int end = 0; end < CASES; end++) {
        double arithmetic = deer_hardware_flops(w->macs) / *end_of(&x.flops, end);
        double traffic = bytes / *end_of(rate, end);
        double overhead = (s->own ? w->dispatches : w->products) * *end_of(&x.overhead, end);

        *end_of(&t.arithmetic, end) = arithmetic;
        *end_of(&t.traffic, end) = traffic;
        *end_of(&t.overhead, end) = overhead;
        *end_of(&t.total, end) = fmax(arithmetic, traffic) + overhead;
    }
    t.memory_bound = t.traffic.expected > t.arithmetic.expected;
    return t;
}

static deer_status check_parts(const setting *s, int mode, const deer_load *l, deer_error *err)
{
    const deer_hardware *h = s->machine;

    return check_setting(h, mode, l->vision, s->own, err) ||
                   check_setting(h, mode, l->resampler, s->own, err) ||
                   check_setting(h, mode, l->decoder, s->own, err) ||
                   check_setting(h, mode, l->head, s->own, err)
               ? DEER_FAILED
               : DEER_OK;
}

static deer_status speed_in(setting s, int mode, weight_dtype dtype, stage_kind kind,
                            deer_stage_speed *speed, deer_error *err)
{
    if (check_setting(s.machine, mode, dtype, s.own, err))
        return DEER_FAILED;
    s.mode = &s.machine->mode[mode];
    *speed = speed_of(&s, dtype, kind);
    return DEER_OK;
}

deer_status deer_stage_speed_of(const deer_hardware *h, int mode, weight_dtype dtype,
                                stage_kind kind, deer_stage_speed *speed, deer_error *err)
{
    return speed_in((setting){.machine = h}, mode, dtype, kind, speed, err);
}

bool deer_own_differs(const deer_hardware *h)
{
    return h->kind != HARDWARE_CPU && !h->measured;
}

deer_status deer_own_speed_of(const deer_hardware *h, int mode, weight_dtype dtype, stage_kind kind,
                              deer_stage_speed *speed, deer_error *err)
{
    return speed_in((setting){.machine = h, .own = deer_own_differs(h)}, mode, dtype, kind, speed,
                    err);
}

deer_range deer_own_submissions(int exit, bool last)
{
    return (deer_range){2, 2, submissions_of_step(exit, last)};
}

deer_status deer_work_time(const deer_hardware *h, int mode, weight_dtype dtype, stage_kind kind,
                           const deer_work *work, deer_stage_time *time, deer_error *err)
{
    setting s = {.machine = h};

    if (check_setting(h, mode, dtype, false, err))
        return DEER_FAILED;
    s.mode = &h->mode[mode];
    *time = stage_time(&s, dtype, kind, work);
    return DEER_OK;
}

/* Decoder layers 0..last. */
static deer_range llm_time(const deer_config *c, const deer_latency *l, int last)
{
    deer_range sum = {0, 0, 0};

    for (int i = 0; i <= last; i++)
        sum = deer_range_add(sum, arch_has_cross(c, i) ? l->layer_with_cross.total
                                                       : l->layer_without_cross.total);
    return sum;
}

/* ---------------------------------------------------------------- energy ------------------- */

static double work_flops(const deer_work *w)
{
    return deer_hardware_flops(w->macs);
}

static double work_bytes(const deer_work *w)
{
    return (double)(w->weight_bytes + w->activation_bytes);
}

/* A sum over the stages of a step that leaves at exit k. */
static double step_sum(const deer_config *c, const deer_stages *s, int k,
                       double (*of)(const deer_work *))
{
    double sum = of(&s->vision) + of(&s->resampler) + of(&s->head_recurrent) + of(&s->head_first) +
                 k * of(&s->head_evaluation);

    for (int i = 0; i <= c->exit_layers[k]; i++)
        sum += of(deer_stages_layer(c, s, i));
    return sum;
}

/* Energy of a step by what it computes and moves, on top of what the machine draws when idle. */
static deer_range energy_by_work(const deer_hardware *h, double flops, double bytes,
                                 deer_range seconds)
{
    deer_range joules;

    for (int end = 0; end < CASES; end++)
        *end_of(&joules, end) = burden(&h->idle_watts, end) * *end_of(&seconds, end) +
                                burden(&h->joules_per_flop, end) * flops +
                                burden(&h->joules_per_byte, end) * bytes;
    return joules;
}

/* Energy of a step by the mode's power. */
static deer_range energy_by_power(const setting *s, deer_range seconds)
{
    deer_range joules;

    for (int end = 0; end < CASES; end++)
        *end_of(&joules, end) =
            burden(&s->mode->watts, end) * burden(&s->machine->load, end) * *end_of(&seconds, end);
    return joules;
}

static deer_range energy(const setting *s, const deer_config *c, const deer_stages *stages, int k,
                         deer_range seconds)
{
    const deer_hardware *h = s->machine;

    if (deer_figure_known(&h->joules_per_flop) && deer_figure_known(&h->joules_per_byte) &&
        deer_figure_known(&h->idle_watts))
        return energy_by_work(h, step_sum(c, stages, k, work_flops),
                              step_sum(c, stages, k, work_bytes), seconds);
    return deer_figure_known(&s->mode->watts) ? energy_by_power(s, seconds) : unknown;
}

deer_range deer_power_at(const deer_hardware *h, double rate, deer_range seconds, deer_range joules)
{
    deer_range watts;

    for (int end = 0; end < CASES; end++) {
        double busy = *end_of(&seconds, end), period = fmax(1 / rate, busy);

        *end_of(&watts, end) =
            (*end_of(&joules, end) + burden(&h->idle_watts, end) * (period - busy)) / period;
    }
    return watts;
}

/* ---------------------------------------------------------------- a step ------------------- */

static deer_range submissions_time(const deer_hardware *h, int k, int exits)
{
    deer_range n = deer_own_submissions(k, k == exits - 1), seconds;

    for (int end = 0; end < CASES; end++)
        *end_of(&seconds, end) = *end_of(&n, end) * burden(&h->submission, end);
    return seconds;
}

static void exit_time(const setting *s, const deer_config *c, const deer_stages *stages, int k,
                      deer_latency *l)
{
    deer_exit_time *e = &l->exit[k];

    e->vision = l->vision.total;
    e->resampler = l->resampler.total;
    e->one = deer_range_add(l->vision_one.total, l->resampler_one.total);
    e->llm = llm_time(c, l, c->exit_layers[k]);
    e->head = deer_range_add(deer_range_add(l->head_recurrent.total, l->head_first.total),
                             deer_range_scale(l->head_evaluation.total, k));
    e->overhead = l->step_overhead;
    if (s->own)
        e->overhead = deer_range_add(e->overhead, submissions_time(s->machine, k, l->exits));
    e->total = deer_range_add(deer_range_add(e->vision, e->resampler),
                              deer_range_add(deer_range_add(e->llm, e->head), e->overhead));
    e->joules = energy(s, c, stages, k, e->total);
}

bool deer_stays_cached(const deer_hardware *h, const deer_config *c, const deer_stages *s)
{
    double bytes = (double)(s->vision.weight_bytes + s->resampler.weight_bytes +
                            s->head_recurrent.weight_bytes + s->head_evaluation.weight_bytes);

    for (int i = 0; i <= c->exit_layers[c->exits - 1]; i++)
        bytes += (double)deer_stages_layer(c, s, i)->weight_bytes;
    return deer_figure_known(&h->cache) && bytes <= h->cache.value;
}

static deer_status latency_in(setting s, int mode, const deer_config *c, const deer_load *load,
                              deer_latency *l, deer_error *err)
{
    const deer_hardware *h = s.machine;
    deer_stages w;

    if (check_parts(&s, mode, load, err))
        return DEER_FAILED;
    s.mode = &h->mode[mode];
    deer_stages_of_load(c, load, &w);
    s.cached = deer_stays_cached(h, c, &w);
    l->vision = stage_time(&s, load->vision, STAGE_VISION, &w.vision);
    l->resampler = stage_time(&s, load->resampler, STAGE_RESAMPLER, &w.resampler);
    l->vision_one = stage_time(&s, load->vision, STAGE_VISION, &w.vision_one);
    l->resampler_one = stage_time(&s, load->resampler, STAGE_RESAMPLER, &w.resampler_one);
    l->layer_with_cross = stage_time(&s, load->decoder, STAGE_LAYER, &w.layer_with_cross);
    l->layer_without_cross = stage_time(&s, load->decoder, STAGE_LAYER, &w.layer_without_cross);
    l->head_recurrent = stage_time(&s, load->head, STAGE_HEAD, &w.head_recurrent);
    l->head_first = stage_time(&s, load->head, STAGE_HEAD, &w.head_first);
    l->head_evaluation = stage_time(&s, load->head, STAGE_HEAD, &w.head_evaluation);
    l->step_overhead = range_of(&h->step_overhead);
    l->exits = c->exits;
    for (int k = 0; k < c->exits; k++)
        exit_time(&s, c, &w, k, l);
    return DEER_OK;
}

deer_status deer_latency_of_load(const deer_hardware *h, int mode, const deer_config *c,
                                 const deer_load *load, deer_latency *l, deer_error *err)
{
    return latency_in((setting){.machine = h}, mode, c, load, l, err);
}

deer_status deer_latency_of_own(const deer_hardware *h, int mode, const deer_config *c,
                                const deer_load *load, deer_latency *l, deer_error *err)
{
    return latency_in((setting){.machine = h, .own = deer_own_differs(h)}, mode, c, load, l, err);
}

deer_status deer_latency_of(const deer_hardware *h, int mode, const deer_config *c, int tokens,
                            weight_dtype dtype, deer_latency *l, deer_error *err)
{
    deer_load load = deer_load_of(tokens, dtype);

    return deer_latency_of_load(h, mode, c, &load, l, err);
}

deer_range deer_latency_step(const deer_latency *l, int encodings, int exit)
{
    const deer_exit_time *e = &l->exit[exit];
    deer_range rest = deer_range_add(deer_range_add(e->llm, e->head), e->overhead);

    if (encodings == 2)
        return e->total;
    return encodings == 0 ? rest : deer_range_add(rest, e->one);
}

deer_range deer_latency_mean(const deer_latency *l, const deer_step_mix *mix)
{
    deer_range sum = {0, 0, 0};

    for (int n = 0; n < 3; n++)
        for (int k = 0; k < l->exits; k++)
            if (mix->share[n][k] > 0)
                sum = deer_range_add(
                    sum, deer_range_scale(deer_latency_step(l, n, k), mix->share[n][k]));
    return sum;
}

/* Of the steps that take longer than one, the share. */
static double longer_than(const deer_latency *l, const deer_step_mix *mix, double seconds)
{
    double share = 0;

    for (int n = 0; n < 3; n++)
        for (int k = 0; k < l->exits; k++)
            if (deer_latency_step(l, n, k).expected > seconds)
                share += mix->share[n][k];
    return share;
}

deer_range deer_latency_p99(const deer_latency *l, const deer_step_mix *mix)
{
    deer_range least = {INFINITY, INFINITY, INFINITY};

    for (int n = 0; n < 3; n++)
        for (int k = 0; k < l->exits; k++) {
            deer_range t = deer_latency_step(l, n, k);
            if (longer_than(l, mix, t.expected) <= 0.01 + 1e-9 && t.expected < least.expected)
                least = t;
        }
    return least;
}

/* ---------------------------------------------------------------- memory ------------------- */

/* Bytes of all that a step to decoder layer `last` needs. */
static uint64_t weights_of_parts(const deer_config *c, const deer_load *l, int last)
{
    uint64_t layer = weights_bytes(weights_of(c, ARCH_DECODER), l->decoder);
    uint64_t cross = weights_bytes(weights_of(c, ARCH_CROSS), l->decoder);
    uint64_t bytes = weights_bytes(weights_of(c, ARCH_VISION), l->vision) +
                     weights_bytes(weights_of(c, ARCH_RESAMPLER), l->resampler) +
                     weights_bytes(weights_of(c, ARCH_HEAD), l->head);

    for (int i = 0; i <= last; i++)
        bytes += layer + (arch_has_cross(c, i) ? cross : 0);
    return bytes;
}

/* The session's scratch and state do not depend on the weights' type, and are those of two cameras.
 */
void deer_memory_of_load(const deer_hardware *h, const deer_config *c, const deer_load *load,
                         int exit, deer_memory *m)
{
    deer_cost cost;
    double own;

    deer_cost_of(c, c->max_text, load->decoder, &cost);
    m->weights = weights_of_parts(c, load, c->exit_layers[exit]);
    m->activations = cost.exit[exit].activation_bytes;
    own = (double)(m->weights + m->activations);
    m->reserved = range_of(&h->reserved);
    m->total = deer_range_add(m->reserved, (deer_range){own, own, own});
    m->available = h->memory.value;
}

void deer_memory_of(const deer_hardware *h, const deer_config *c, weight_dtype dtype, int exit,
                    deer_memory *m)
{
    deer_load load = deer_load_of(c->max_text, dtype);

    deer_memory_of_load(h, c, &load, exit, m);
}

/* ---------------------------------------------------------------- assumptions -------------- */

const char *const *deer_latency_assumptions(int *count)
{
    static const char *const sentences[] = {
        "A stage takes the longer of its arithmetic and its memory traffic, then a fixed time for "
        "each of its matrix products.",
        "Weights are read from memory once each time a stage runs; the images that a step "
        "encodes go through vision and resampler as one batch; attention scores stay on chip.",
        "Weights that all fit into the last-level cache stay there from step to step, where the "
        "profile states its size and speed.",
        "A step that leaves at exit k reads the head k + 1 times: once for the pseudo exit and the "
        "first exit together, once for each exit behind it; W_hh h is multiplied once.",
        "8-bit weights compute at the 16-bit rate (widened as they are read); only the optimistic "
        "end uses the machine's integer rate, unless it was measured.",
        "deer's own kernels on a GPU where nobody measured them use no matrix units: they multiply "
        "at "
        "a fraction of the f32 rate (four bytes at a time at best), and each dispatch and "
        "submission "
        "takes its time.",
        "Peaks are dense: structured sparsity, deep-learning accelerators beside the GPU, and TF32 "
        "in place of f32 are left out.",
        "Energy is the power of the mode times the fraction of it that a step draws, times the "
        "step's time; between steps the machine idles.",
        "Ranges take every figure at its best and every figure at its worst together; they are "
        "wider than an interval of some probability.",
    };

    *count = (int)(sizeof sentences / sizeof *sentences);
    return sentences;
}
