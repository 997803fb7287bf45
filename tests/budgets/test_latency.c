/* SPDX-License-Identifier: MIT */
/* Time, energy and memory of a step on a described machine, against hand-computed cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <math.h>

#include "budgets/cost/weights.h"
#include "budgets/machines/hardware_fit.h"
#include "budgets/machines/latency.h"
#include "budgets/machines/runtimes.h"

static deer_hardware machine;
static deer_latency latency;
static deer_error error;

/* ---------------------------------------------------------------- a machine ---------------- */

/* A figure without a range. */
static deer_figure exactly(double value)
{
    return deer_figure_measured(value, value, value, "made up", "2026");
}

/* 100 GFLOP/s, 10 GB/s; half of the arithmetic, four fifths of the bandwidth, 10 us a product. */
static void make_machine(void)
{
    deer_hardware_init(&machine, "box", "A box", HARDWARE_CPU);
    machine.measured = true;
    machine.peak[0] = exactly(100e9);
    machine.bandwidth = exactly(10e9);
    machine.memory = exactly(4e9);
    machine.reserved = deer_figure_measured(1e8, 2e8, 4e8, "made up", "2026");
    machine.idle_watts = exactly(5);
    machine.load = exactly(0.75);
    machine.step_overhead = exactly(1e-3);
    machine.mode[0].watts = exactly(20);
    machine.mode[0].compute = machine.mode[0].bandwidth = exactly(1);
    for (int s = 0; s < STAGE_KINDS; s++)
        for (int d = 0; d < WEIGHT_DTYPES; d++)
            machine.efficiency[s][d] =
                (stage_efficiency){exactly(0.5), exactly(0.8), exactly(10e-6)};
}

static void published(const char *name, deer_config *config)
{
    assert_true(deer_config_published(name, config));
}

static void assert_close(double value, double reference)
{
    if (!(fabs(value - reference) <= 1e-9 * fabs(reference)))
        fail_msg("%.12g where %.12g is expected", value, reference);
}

static void assert_range(deer_range r, double low, double expected, double high)
{
    assert_close(r.low, low);
    assert_close(r.expected, expected);
    assert_close(r.high, high);
}

/* ---------------------------------------------------------------- the work of a step ------- */

/* What the stages add up to is what deer_cost_of counts. */
static void test_stages_add_up_to_the_cost(void **state)
{
    const char *const names[] = {"3b", "9b"};
    const weight_dtype dtypes[] = {WEIGHT_F32, WEIGHT_BF16, WEIGHT_Q8};
    deer_config c;
    deer_cost cost;
    deer_stages s;

    (void)state;
    for (int m = 0; m < 2; m++)
        for (int d = 0; d < 3; d++) {
            published(names[m], &c);
            deer_cost_of(&c, 14, dtypes[d], &cost);
            deer_stages_of(&c, 14, dtypes[d], &s);
            assert_int_equal(s.vision.macs, cost.exit[0].vision);
            assert_int_equal(s.resampler.macs, cost.exit[0].resampler);
            assert_int_equal(s.layer_with_cross.macs, cost.layer_with_cross);
            assert_int_equal(s.layer_without_cross.macs, cost.layer_without_cross);
            assert_int_equal(s.head_recurrent.macs, cost.head_recurrent);
            assert_int_equal(s.head_evaluation.macs, cost.head_evaluation - cost.head_recurrent);
            assert_int_equal(s.head_first.macs, 2 * s.head_evaluation.macs);
            assert_int_equal(s.head_first.weight_bytes, s.head_evaluation.weight_bytes);
            for (int k = 1; k < c.exits; k++)
                assert_int_equal(cost.exit[k].weight_bytes - cost.exit[k - 1].weight_bytes,
                                 deer_stages_layer(&c, &s, c.exit_layers[k] - 1)->weight_bytes +
                                     deer_stages_layer(&c, &s, c.exit_layers[k])->weight_bytes);
        }
}

/* Products and activations of the 3B decoder layer at 14 tokens and of its head, by hand. */
static void test_products_and_activations_by_hand(void **state)
{
    const uint64_t t = 14, d = 2048, inner = 512, media = 128;
    const uint64_t decoder = t * (d + 3 * d) + 4 * t * d + t * 2 * d + 2 * t * (d + 4 * d);
    const uint64_t cross = t * (d + inner) + media * (1024 + 2 * inner) +
                           (2 * t + 2 * media) * inner + t * (inner + d) + 2 * t * (d + 4 * d);
    deer_config c;
    deer_stages f32, bf16;

    (void)state;
    published("3b", &c);
    deer_stages_of(&c, 14, WEIGHT_F32, &f32);
    deer_stages_of(&c, 14, WEIGHT_BF16, &bf16);
    assert_int_equal(f32.layer_without_cross.products, 6);
    assert_int_equal(f32.layer_with_cross.products, 6 + 7);
    assert_int_equal(f32.vision.products, 1 + 24 * 6);
    assert_int_equal(f32.resampler.products, 6 * 7);
    assert_int_equal(f32.head_recurrent.products, 4);
    assert_int_equal(f32.head_evaluation.products, 4 + 2 * 3);
    assert_int_equal(f32.layer_without_cross.activation_bytes, 4 * decoder);
    assert_int_equal(f32.layer_with_cross.activation_bytes, 4 * (decoder + cross));
    assert_int_equal(bf16.layer_with_cross.activation_bytes, 2 * (decoder + cross));
}

/* ---------------------------------------------------------------- time --------------------- */

/* 2 GFLOP at half of 100 GFLOP/s: 40 ms; 100 MB at 8 GB/s: 12.5 ms; 3 products: 30 us. */
static void test_a_stage_by_hand(void **state)
{
    deer_work work = {
        .macs = 1000000000, .weight_bytes = 60000000, .activation_bytes = 40000000, .products = 3};
    deer_stage_time t;

    (void)state;
    make_machine();
    assert_int_equal(deer_work_time(&machine, 0, WEIGHT_F32, STAGE_LAYER, &work, &t, &error),
                     DEER_OK);
    assert_range(t.arithmetic, 0.04, 0.04, 0.04);
    assert_range(t.traffic, 0.0125, 0.0125, 0.0125);
    assert_range(t.overhead, 30e-6, 30e-6, 30e-6);
    assert_range(t.total, 0.04003, 0.04003, 0.04003);
    assert_false(t.memory_bound);
    work.macs /= 10;
    deer_work_time(&machine, 0, WEIGHT_F32, STAGE_LAYER, &work, &t, &error);
    assert_range(t.total, 0.01253, 0.01253, 0.01253);
    assert_true(t.memory_bound);
}

/* The low end takes the fastest of every figure, the high end the slowest. */
static void test_ranges_are_carried_through(void **state)
{
    const deer_work work = {.macs = 1000000000, .products = 2};
    deer_stage_time t;

    (void)state;
    make_machine();
    machine.peak[0] = deer_figure_measured(80e9, 100e9, 200e9, "made up", "2026");
    machine.efficiency[STAGE_LAYER][0].compute =
        deer_figure_measured(0.25, 0.5, 1, "made up", "2026");
    machine.efficiency[STAGE_LAYER][0].overhead =
        deer_figure_measured(1e-3, 2e-3, 5e-3, "made up", "2026");
    deer_work_time(&machine, 0, WEIGHT_F32, STAGE_LAYER, &work, &t, &error);
    assert_range(t.total, 2e9 / 200e9 + 2e-3, 2e9 / 50e9 + 4e-3, 2e9 / 20e9 + 10e-3);
}

/* The whole step of the smallest machine, summed by hand from its stages. */
static void test_a_step_is_the_sum_of_its_stages(void **state)
{
    deer_config c;
    const deer_exit_time *e;
    double llm;

    (void)state;
    make_machine();
    published("9b", &c);
    assert_int_equal(deer_latency_of(&machine, 0, &c, 14, WEIGHT_F32, &latency, &error), DEER_OK);
    assert_int_equal(latency.exits, c.exits);
    for (int k = 0; k < c.exits; k++) {
        int crossed = (c.exit_layers[k] + 1) / 4; /* cross-attention in every fourth layer */

        e = &latency.exit[k];
        llm = crossed * latency.layer_with_cross.total.expected +
              (c.exit_layers[k] + 1 - crossed) * latency.layer_without_cross.total.expected;
        assert_close(e->llm.expected, llm);
        assert_close(e->head.expected, latency.head_recurrent.total.expected +
                                           latency.head_first.total.expected +
                                           k * latency.head_evaluation.total.expected);
        assert_close(e->total.expected,
                     e->vision.expected + e->resampler.expected + llm + e->head.expected + 1e-3);
        assert_true(!k || e->total.expected > e[-1].total.expected);
    }
}

/* Every shipped machine gives every dtype of both shapes an ordered, finite range. */
static void test_shipped_machines_give_ordered_ranges(void **state)
{
    deer_config c;

    (void)state;
    for (int i = 0; i < deer_hardware_count() * 6; i++) {
        assert_int_equal(deer_hardware_load(deer_hardware_name(i / 6), &machine, &error), DEER_OK);
        published(i % 2 ? "3b" : "9b", &c);
        for (int m = 0; m < machine.modes && !*machine.cannot && !*machine.unsupported; m++) {
            deer_range t;

            if (deer_latency_of(&machine, m, &c, 14, (weight_dtype)(i / 2 % 3), &latency, &error))
                fail_msg("%s", error.message);
            t = latency.exit[c.exits - 1].total;
            assert_true(t.low > 0 && t.low < t.expected && t.expected < t.high && t.high < 1e3);
            t = latency.exit[c.exits - 1].joules;
            assert_true(machine.measured ? isnan(t.expected)
                                         : t.low > 0 && t.low < t.expected && t.expected < t.high);
            assert_true(m == 0 || machine.mode[m].watts.value <= machine.mode[0].watts.value);
        }
    }
}

/* ---------------------------------------------------------------- runtimes ----------------- */

/* What a runtime takes on the machine, 14 tokens. */
static deer_status taken(runtime_kind runtime, const deer_config *c, weight_dtype dtype)
{
    const deer_load load = deer_load_of(14, dtype);

    return deer_runtime_latency(&machine, runtime, 0, c, &load, &latency, &error);
}

/* Every time and energy is what the machine allows times the runtime's factors. */
static void test_a_runtime_multiplies_what_the_machine_allows(void **state)
{
    deer_latency allowed;
    runtime_spread s;
    deer_config c;

    (void)state;
    published("3b", &c);
    assert_int_equal(deer_hardware_load("agx-orin-64", &machine, &error), DEER_OK);
    assert_int_equal(deer_latency_of(&machine, 0, &c, 14, WEIGHT_BF16, &allowed, &error), DEER_OK);
    assert_true(deer_runtime_spread(RUNTIME_GGML, machine.kind, &s) && !s.all_gpus);
    assert_int_equal(taken(RUNTIME_GGML, &c, WEIGHT_BF16), DEER_OK);
    for (int k = 0; k < c.exits; k++) {
        const deer_exit_time *e = &latency.exit[k], *was = &allowed.exit[k];

        assert_close(e->total.low, s.factor.low * was->total.expected);
        assert_close(e->total.high, s.factor.high * was->total.expected);
        assert_close(e->vision.expected, s.factor.expected * was->vision.expected);
        assert_close(e->joules.expected, s.factor.expected * was->joules.expected);
    }
    assert_true(deer_runtime_spread(RUNTIME_PYTORCH, machine.kind, &s) && s.all_gpus);
}

/* deer keeps the rule's ranges on processors; what nobody measured is not estimated. */
static void test_a_runtime_that_is_not_known(void **state)
{
    deer_latency before;
    deer_config c;

    (void)state;
    published("3b", &c);
    assert_int_equal(deer_hardware_load("apple-m4", &machine, &error), DEER_OK);
    assert_int_equal(taken(RUNTIME_DEER, &c, WEIGHT_Q8), DEER_FAILED);
    assert_non_null(strstr(error.message, "Linux"));
    assert_int_equal(deer_hardware_load("hailo-8", &machine, &error), DEER_OK);
    assert_int_equal(taken(RUNTIME_TUNED, &c, WEIGHT_Q8), DEER_FAILED);
    assert_non_null(strstr(error.message, "no memory of its own"));
    assert_int_equal(deer_hardware_load("raspberry-pi-5", &machine, &error), DEER_OK);
    assert_int_equal(deer_latency_of(&machine, 0, &c, 14, WEIGHT_Q8, &before, &error), DEER_OK);
    assert_int_equal(taken(RUNTIME_DEER, &c, WEIGHT_Q8), DEER_OK);
    assert_memory_equal(latency.exit, before.exit, (size_t)c.exits * sizeof *before.exit);
    assert_int_equal(taken(RUNTIME_GGML, &c, WEIGHT_Q8), DEER_FAILED);
    assert_non_null(strstr(error.message, "fewer than 3 measurements of ggml on processors"));
}

/* On a GPU that nobody measured deer's own kernels multiply at the rate of f32 in every type, and
 * take their own dispatches' time and their submissions'. */
static void test_own_kernels_on_a_gpu(void **state)
{
    deer_stages w;
    deer_latency ideal;
    deer_config c;
    double launch, compute;

    (void)state;
    published("3b", &c);
    deer_stages_of(&c, 14, WEIGHT_BF16, &w);
    assert_int_equal(deer_hardware_load("agx-orin-64", &machine, &error), DEER_OK);
    assert_int_equal(deer_hardware_support(&machine), SUPPORT_RUNS);
    launch = machine.dispatch.value;
    compute = machine.peak[WEIGHT_F32].value * machine.own_compute[STAGE_VISION].value;
    assert_true(launch > 0 && machine.dispatch.assumed && machine.own_bandwidth.assumed);
    assert_int_equal(taken(RUNTIME_DEER, &c, WEIGHT_BF16), DEER_OK);
    assert_close(latency.vision.arithmetic.expected, 2.0 * (double)w.vision.macs / compute);
    assert_close(latency.vision.overhead.expected, w.vision.dispatches * launch);
    assert_close(latency.layer_with_cross.overhead.high,
                 w.layer_with_cross.dispatches * machine.dispatch.high);
    assert_close(latency.exit[1].overhead.expected,
                 machine.step_overhead.value + 2 * machine.submission.value);
    assert_close(latency.exit[1].overhead.high, /* images, exits 0 and 1, the one ahead, state */
                 machine.step_overhead.high + 5 * machine.submission.high);
    assert_int_equal(deer_latency_of(&machine, 0, &c, 14, WEIGHT_BF16, &ideal, &error), DEER_OK);
    assert_true(latency.exit[1].total.expected > 2 * ideal.exit[1].total.expected);
    machine.measured = true; /* then its own times count */
    assert_int_equal(taken(RUNTIME_DEER, &c, WEIGHT_BF16), DEER_OK);
    assert_memory_equal(latency.exit, ideal.exit, (size_t)c.exits * sizeof *ideal.exit);
    machine.measured = false;
    machine.peak[WEIGHT_F32] = (deer_figure){.value = NAN, .low = NAN, .high = NAN};
    assert_int_equal(taken(RUNTIME_DEER, &c, WEIGHT_BF16), DEER_FAILED);
    assert_non_null(strstr(error.message, "peak.f32"));
}

/* ---------------------------------------------------------------- types and modes ---------- */

/* Without bf16 arithmetic, weights are widened: the f32 rate, half the bytes. */
static void test_unknown_types_use_the_wider_rate(void **state)
{
    const deer_work work = {.macs = 1000000000, .weight_bytes = 1000000};
    deer_stage_time f32, bf16;

    (void)state;
    make_machine();
    deer_work_time(&machine, 0, WEIGHT_F32, STAGE_LAYER, &work, &f32, &error);
    deer_work_time(&machine, 0, WEIGHT_BF16, STAGE_LAYER, &work, &bf16, &error);
    assert_close(bf16.arithmetic.expected, f32.arithmetic.expected);
    machine.peak[1] = exactly(200e9);
    deer_work_time(&machine, 0, WEIGHT_BF16, STAGE_LAYER, &work, &bf16, &error);
    assert_close(2 * bf16.arithmetic.expected, f32.arithmetic.expected);
}

/* 8-bit weights compute at the 16-bit rate, as integers only in the best case or when measured. */
static void test_q8_is_fast_only_where_measured(void **state)
{
    const deer_work work = {.macs = 1000000000};
    deer_stage_time t;

    (void)state;
    make_machine();
    machine.peak[1] = exactly(200e9);
    machine.peak[2] = exactly(800e9);
    deer_work_time(&machine, 0, WEIGHT_Q8, STAGE_LAYER, &work, &t, &error);
    assert_range(t.arithmetic, 0.005, 0.005, 0.005);
    machine.measured = false;
    deer_work_time(&machine, 0, WEIGHT_Q8, STAGE_LAYER, &work, &t, &error);
    assert_range(t.arithmetic, 0.005, 0.02, 0.02);
    machine.peak[2] = exactly(50e9); /* slow integers: a runtime would not use them */
    deer_work_time(&machine, 0, WEIGHT_Q8, STAGE_LAYER, &work, &t, &error);
    assert_range(t.arithmetic, 0.02, 0.02, 0.02);
}

static void test_modes_scale_arithmetic_and_bandwidth(void **state)
{
    const deer_work work = {.macs = 1000000000, .weight_bytes = 100000000};
    deer_stage_time full, slow;

    (void)state;
    make_machine();
    machine.modes = 2;
    machine.mode[1] = machine.mode[0];
    machine.mode[1].compute = exactly(0.5);
    machine.mode[1].bandwidth = exactly(0.25);
    deer_work_time(&machine, 0, WEIGHT_F32, STAGE_HEAD, &work, &full, &error);
    deer_work_time(&machine, 1, WEIGHT_F32, STAGE_HEAD, &work, &slow, &error);
    assert_close(slow.arithmetic.expected, 2 * full.arithmetic.expected);
    assert_close(slow.traffic.expected, 4 * full.traffic.expected);
    assert_int_equal(deer_work_time(&machine, 2, WEIGHT_F32, STAGE_HEAD, &work, &slow, &error),
                     DEER_FAILED);
    assert_non_null(strstr(error.message, "box has no power mode 2"));
}

static void test_missing_figures_are_named(void **state)
{
    deer_config c;

    (void)state;
    published("3b", &c);
    make_machine();
    machine.bandwidth.value = NAN;
    assert_int_equal(deer_latency_of(&machine, 0, &c, 14, WEIGHT_F32, &latency, &error),
                     DEER_FAILED);
    assert_non_null(strstr(error.message, "box: no time can be said"));
    assert_non_null(strstr(error.message, "bandwidth"));
    make_machine();
    machine.peak[0].value = NAN;
    assert_int_equal(deer_latency_of(&machine, 0, &c, 14, WEIGHT_Q8, &latency, &error),
                     DEER_FAILED);
    assert_non_null(strstr(error.message, "peak.f32"));
}

/* A model that stays in the cache reads from there; a larger one does not. */
static void test_small_models_stay_in_the_cache(void **state)
{
    deer_config c;
    double from_memory;

    (void)state;
    make_machine();
    published("3b", &c);
    deer_latency_of(&machine, 0, &c, 14, WEIGHT_BF16, &latency, &error);
    from_memory = latency.head_evaluation.traffic.expected;
    machine.cache = exactly(2.5e9);
    machine.cache_bandwidth = exactly(40e9);
    deer_latency_of(&machine, 0, &c, 14, WEIGHT_F32, &latency, &error);
    assert_true(latency.head_evaluation.traffic.expected > 1.9 * from_memory); /* 5.8 GB */
    deer_latency_of(&machine, 0, &c, 14, WEIGHT_Q8, &latency, &error);
    assert_true(latency.head_evaluation.traffic.expected < 0.2 * from_memory); /* 1.6 GB */
}

/* ---------------------------------------------------------------- energy, memory ----------- */

static void test_energy_by_power_and_by_work(void **state)
{
    const deer_exit_time *e = &latency.exit[1];
    deer_config c;
    deer_stages s;
    const struct {
        int times;
        const deer_work *work;
    } run[] = {{1, &s.vision},         {1, &s.resampler},  {4, &s.layer_with_cross},
               {1, &s.head_recurrent}, {1, &s.head_first}, {1, &s.head_evaluation}};
    double flops = 0, bytes = 0;

    (void)state;
    make_machine();
    published("3b", &c);
    deer_latency_of(&machine, 0, &c, 14, WEIGHT_F32, &latency, &error);
    assert_close(e->joules.expected, 20 * 0.75 * e->total.expected);

    machine.joules_per_flop = exactly(2e-12);
    machine.joules_per_byte = exactly(50e-12);
    deer_latency_of(&machine, 0, &c, 14, WEIGHT_F32, &latency, &error);
    deer_stages_of(&c, 14, WEIGHT_F32, &s);
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) {
        flops += 2.0 * run[i].times * (double)run[i].work->macs;
        bytes += run[i].times * (double)(run[i].work->weight_bytes + run[i].work->activation_bytes);
    }
    assert_close(e->joules.expected, 5 * e->total.expected + 2e-12 * flops + 50e-12 * bytes);

    make_machine();
    machine.mode[0].watts.value = NAN;
    deer_latency_of(&machine, 0, &c, 14, WEIGHT_F32, &latency, &error);
    assert_true(isnan(e->joules.expected) && e->total.expected > 0);
}

/* 10 steps a second of 40 ms and 0.6 J, 5 W between them: 6 J + 5 W x 0.6 s in every second. */
static void test_power_at_a_control_rate(void **state)
{
    const deer_range seconds = {0.03, 0.04, 0.2}, joules = {0.5, 0.6, 3};
    deer_range watts;

    (void)state;
    make_machine();
    watts = deer_power_at(&machine, 10, seconds, joules);
    assert_close(watts.expected, 10 * 0.6 + 5 * 0.6);
    assert_close(watts.high, 3 / 0.2); /* too slow for 10 Hz: back to back, never idle */
    machine.idle_watts.value = NAN;
    assert_true(isnan(deer_power_at(&machine, 10, seconds, joules).expected));
}

static void test_memory_is_weights_session_and_system(void **state)
{
    deer_config c;
    deer_cost cost;
    deer_memory m;
    double own;

    (void)state;
    make_machine();
    published("3b", &c);
    deer_cost_of(&c, 14, WEIGHT_BF16, &cost);
    deer_memory_of(&machine, &c, WEIGHT_BF16, 3, &m);
    own = (double)cost.exit[3].memory_bytes;
    assert_int_equal(m.weights, cost.exit[3].weight_bytes);
    assert_int_equal(m.activations, cost.exit[3].activation_bytes);
    assert_range(m.total, own + 1e8, own + 2e8, own + 4e8);
    assert_close(m.available, 4e9);
}

/* ---------------------------------------------------------------- fitting ------------------ */

static deer_stages stages;

/* A stage that takes 1/fraction of the least time and overhead a product, within 10%. */
static stage_sample sample(stage_kind kind, const deer_work *w, double fraction, double overhead)
{
    double t =
        hardware_least_seconds(&machine, WEIGHT_F32, w, false) / fraction + w->products * overhead;

    return (stage_sample){"a model", WEIGHT_F32, kind, false, *w, 0.9 * t, t, 1.1 * t};
}

/* A large and a small model together give back what the times were made of, also when one of them
 * has many more samples. */
static void test_fit_recovers_fraction_and_overhead(void **state)
{
    const deer_work small = {.macs = 100000, .weight_bytes = 10000, .products = 13};
    const stage_efficiency *e = &machine.efficiency[STAGE_LAYER][0];
    stage_sample s;
    deer_config c;

    (void)state;
    make_machine();
    published("3b", &c);
    deer_stages_of(&c, 14, WEIGHT_F32, &stages);
    s = sample(STAGE_LAYER, &stages.layer_with_cross, 0.6, 4e-6);
    for (int i = 0; i < 12; i++)
        assert_true(hardware_add(&machine, &s));
    s = sample(STAGE_LAYER, &small, 0.6, 4e-6);
    strcpy(s.model, "a small one");
    assert_true(hardware_add(&machine, &s));
    hardware_fit(&machine, "a test", "2026");
    assert_true(fabs(e->compute.value - 0.6) < 1e-6 && fabs(e->bandwidth.value - 0.6) < 1e-6);
    assert_true(fabs(e->overhead.value - 4e-6) < 1e-11);
    assert_true(fabs(e->compute.low - 0.6 / 1.1) < 1e-6);
    assert_true(fabs(e->compute.high - 0.6 / 0.9) < 1e-6);
    assert_close(machine.efficiency[STAGE_VISION][0].compute.value, 0.5); /* no samples */
    assert_close(machine.efficiency[STAGE_LAYER][1].compute.value, 0.5);  /* another dtype */
    hardware_forget(&machine, "a model", WEIGHT_BF16);
    assert_int_equal(machine.samples, 13);
    hardware_forget(&machine, "a model", WEIGHT_F32);
    assert_int_equal(machine.samples, 1);
    assert_string_equal(machine.sample[0].model, "a small one");
}

/* Alone in a machine. */
static void fit_one(stage_sample s)
{
    make_machine();
    assert_true(hardware_add(&machine, &s));
    hardware_fit(&machine, "a test", "2026");
}

/* One size explains all of its time by the fraction; times below the least are cut to it. */
static void test_fit_stays_within_bounds(void **state)
{
    const stage_efficiency *e = &machine.efficiency[STAGE_HEAD][0];
    stage_sample s;
    deer_config c;

    (void)state;
    make_machine();
    published("3b", &c);
    deer_stages_of(&c, 14, WEIGHT_F32, &stages);
    fit_one(sample(STAGE_HEAD, &stages.head_evaluation, 0.5, 0));
    assert_true(fabs(e->compute.value - 0.5) < 1e-6);
    assert_true(e->overhead.value == 0);
    s = sample(STAGE_HEAD, &stages.head_evaluation, 2, 0);
    fit_one(s);
    assert_true(e->compute.value <= 1 && e->compute.high <= 1);
    s.median = 0;
    fit_one(s);
    assert_close(e->compute.value, 0.5); /* a stage that did not run says nothing */
}

static void test_samples_are_limited(void **state)
{
    const stage_sample s = {.model = "a model"};

    (void)state;
    make_machine();
    for (int i = 0; i < HARDWARE_MAX_SAMPLES; i++)
        assert_true(hardware_add(&machine, &s));
    assert_false(hardware_add(&machine, &s));
}

/* What is written is read back, and predicts the same. */
static void test_profiles_survive_writing(void **state)
{
    char path[] = "/tmp/test_latency.XXXXXX.json";
    static deer_hardware read;
    static deer_latency again;
    stage_sample wrote;
    deer_config c;

    (void)state;
    close(mkstemps(path, 5));
    make_machine();
    machine.peak[1] = deer_figure_measured(150e9, 200e9, 210e9, "a \"bench\"", "2026-11-24");
    machine.efficiency[STAGE_VISION][1].compute.assumed = true;
    published("3b", &c);
    deer_stages_of(&c, 14, WEIGHT_F32, &stages);
    wrote = sample(STAGE_LAYER, &stages.layer_with_cross, 0.6, 4e-6);
    wrote.work.dispatches = 0; /* not kept */
    assert_true(hardware_add(&machine, &wrote));
    assert_int_equal(deer_hardware_save(path, &machine, &error), DEER_OK);
    if (deer_hardware_load(path, &read, &error))
        fail_msg("%s", error.message);
    unlink(path);
    assert_true(read.measured && read.kind == HARDWARE_CPU);
    assert_close(read.peak[1].low, 150e9);
    assert_string_equal(read.peak[1].source, "a \"bench\"");
    assert_true(read.efficiency[STAGE_VISION][1].compute.assumed); /* null, assumed again */
    assert_false(deer_figure_known(&read.price));
    assert_int_equal(read.samples, 1);
    assert_string_equal(read.sample[0].model, "a model");
    assert_int_equal(read.sample[0].kind, STAGE_LAYER);
    assert_memory_equal(&read.sample[0].work, &wrote.work, sizeof wrote.work);
    assert_true(fabs(read.sample[0].median / wrote.median - 1) < 1e-5);
    deer_latency_of(&machine, 0, &c, 14, WEIGHT_F32, &latency, &error);
    deer_latency_of(&read, 0, &c, 14, WEIGHT_F32, &again, &error);
    assert_true(fabs(again.exit[3].total.expected / latency.exit[3].total.expected - 1) < 1e-5);
}

/* A step with one encoding or none lacks just these; the mean and the p99 of a mix, by hand. */
static void test_steps_that_encode_less(void **state)
{
    deer_step_mix mix = {.share = {{0.5}, {0.25, 0.24}, {0, 0, 0.005, 0.005}}};
    deer_config config;
    deer_stages s;
    deer_range mean, p99;

    (void)state;
    make_machine();
    published("3b", &config);
    assert_int_equal(deer_latency_of(&machine, 0, &config, 14, WEIGHT_F32, &latency, &error),
                     DEER_OK);
    deer_stages_of(&config, 14, WEIGHT_F32, &s);
    assert_int_equal(2 * s.vision_one.macs, s.vision.macs);
    assert_int_equal(s.vision_one.weight_bytes, s.vision.weight_bytes);
    for (int k = 0; k < latency.exits; k++) {
        const deer_exit_time *e = &latency.exit[k];
        double rest = e->llm.expected + e->head.expected + e->overhead.expected;

        assert_close(deer_latency_step(&latency, 2, k).expected, e->total.expected);
        assert_close(deer_latency_step(&latency, 0, k).expected, rest);
        assert_close(deer_latency_step(&latency, 1, k).expected,
                     rest + latency.vision_one.total.expected +
                         latency.resampler_one.total.expected);
        assert_true(deer_latency_step(&latency, 1, k).expected <
                    deer_latency_step(&latency, 2, k).expected);
    }
    mean = deer_latency_mean(&latency, &mix);
    assert_close(mean.expected, 0.5 * deer_latency_step(&latency, 0, 0).expected +
                                    0.25 * deer_latency_step(&latency, 1, 0).expected +
                                    0.24 * deer_latency_step(&latency, 1, 1).expected +
                                    0.005 * latency.exit[2].total.expected +
                                    0.005 * latency.exit[3].total.expected);
    p99 = deer_latency_p99(&latency, &mix);
    assert_close(p99.expected, deer_latency_step(&latency, 1, 1).expected);
    mix.share[2][2] = 0.01;
    p99 = deer_latency_p99(&latency, &mix);
    assert_close(p99.expected, latency.exit[2].total.expected);
}

/* Three cameras encode three times as much and are attended to; parts of other types take what
 * those types take. */
static void test_other_loads(void **state)
{
    static deer_latency bf16, q8, f32, mixed, three;
    deer_load load = deer_load_of(14, WEIGHT_BF16);
    deer_config config;
    deer_stages two, more;
    deer_memory whole, parts;
    uint64_t own;

    (void)state;
    make_machine();
    published("3b", &config);
    load.cameras = 3;
    deer_stages_of(&config, 14, WEIGHT_BF16, &two);
    deer_stages_of_load(&config, &load, &more);
    assert_int_equal(2 * more.vision.macs, 3 * two.vision.macs);
    assert_int_equal(more.layer_without_cross.macs, two.layer_without_cross.macs);
    /* Keys and values of 64 latents of width 1024, and both products of 14 queries with 64 keys,
     * all 512 wide: of one image more. */
    assert_int_equal(more.layer_with_cross.macs - two.layer_with_cross.macs,
                     64 * 1024 * 2 * 512 + 2 * 14 * 64 * 512);
    assert_int_equal(deer_latency_of_load(&machine, 0, &config, &load, &three, &error), DEER_OK);
    deer_latency_of(&machine, 0, &config, 14, WEIGHT_BF16, &bf16, &error);
    deer_latency_of(&machine, 0, &config, 14, WEIGHT_Q8, &q8, &error);
    deer_latency_of(&machine, 0, &config, 14, WEIGHT_F32, &f32, &error);
    assert_true(three.exit[5].vision.expected > 1.4 * bf16.exit[5].vision.expected);

    load = deer_load_of(14, WEIGHT_BF16);
    load.vision = load.resampler = WEIGHT_Q8;
    load.head = WEIGHT_F32;
    assert_int_equal(deer_latency_of_load(&machine, 0, &config, &load, &mixed, &error), DEER_OK);
    assert_close(mixed.exit[5].vision.expected, q8.exit[5].vision.expected);
    assert_close(mixed.exit[5].resampler.high, q8.exit[5].resampler.high);
    assert_close(mixed.exit[5].llm.low, bf16.exit[5].llm.low);
    assert_close(mixed.exit[5].head.expected, f32.exit[5].head.expected);
    deer_memory_of_load(&machine, &config, &load, 5, &parts);
    deer_memory_of(&machine, &config, WEIGHT_BF16, 5, &whole);
    own = weights_bytes(weights_of(&config, ARCH_HEAD), WEIGHT_F32) -
          weights_bytes(weights_of(&config, ARCH_HEAD), WEIGHT_BF16);
    for (int part = 0; part < 2; part++) {
        arch_part of = part ? ARCH_VISION : ARCH_RESAMPLER;

        own += weights_bytes(weights_of(&config, of), WEIGHT_Q8) -
               weights_bytes(weights_of(&config, of), WEIGHT_BF16);
    }
    assert_int_equal(parts.weights, whole.weights + own);
}

static void test_assumptions_are_told(void **state)
{
    int count;
    const char *const *sentences = deer_latency_assumptions(&count);

    (void)state;
    assert_true(count > 5);
    for (int i = 0; i < count; i++)
        assert_int_equal(sentences[i][strlen(sentences[i]) - 1], '.');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stages_add_up_to_the_cost),
        cmocka_unit_test(test_products_and_activations_by_hand),
        cmocka_unit_test(test_a_stage_by_hand),
        cmocka_unit_test(test_ranges_are_carried_through),
        cmocka_unit_test(test_a_step_is_the_sum_of_its_stages),
        cmocka_unit_test(test_shipped_machines_give_ordered_ranges),
        cmocka_unit_test(test_a_runtime_multiplies_what_the_machine_allows),
        cmocka_unit_test(test_a_runtime_that_is_not_known),
        cmocka_unit_test(test_own_kernels_on_a_gpu),
        cmocka_unit_test(test_unknown_types_use_the_wider_rate),
        cmocka_unit_test(test_q8_is_fast_only_where_measured),
        cmocka_unit_test(test_modes_scale_arithmetic_and_bandwidth),
        cmocka_unit_test(test_missing_figures_are_named),
        cmocka_unit_test(test_small_models_stay_in_the_cache),
        cmocka_unit_test(test_energy_by_power_and_by_work),
        cmocka_unit_test(test_power_at_a_control_rate),
        cmocka_unit_test(test_memory_is_weights_session_and_system),
        cmocka_unit_test(test_fit_recovers_fraction_and_overhead),
        cmocka_unit_test(test_fit_stays_within_bounds),
        cmocka_unit_test(test_samples_are_limited),
        cmocka_unit_test(test_profiles_survive_writing),
        cmocka_unit_test(test_steps_that_encode_less),
        cmocka_unit_test(test_other_loads),
        cmocka_unit_test(test_assumptions_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
