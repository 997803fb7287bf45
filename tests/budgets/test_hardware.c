/* SPDX-License-Identifier: MIT */
/* Hardware profiles: the shipped ones are whole, and what is wrong in a file is refused by name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <math.h>

#include "budgets/machines/hardware_fit.h"
#include "budgets/machines/runtimes.h"

static deer_hardware machine;
static deer_error error;

/* ---------------------------------------------------------------- a small profile ---------- */

/* A whole profile. */
static const char small[] =
    "{\"deer_hardware\": 1, \"name\": \"box\", \"title\": \"A box\", \"kind\": \"cpu\",\n"
    " \"source\": \"a bench\", \"date\": \"2026-11-24\",\n"
    " \"peak\": {\"f32\": {\"value\": 100, \"low\": 90, \"unit\": \"GFLOP/s\"}},\n"
    " \"memory\": {\"value\": 2, \"unit\": \"GiB\"}, \"bandwidth\": {\"value\": 10, \"unit\": "
    "\"GB/s\"},\n"
    " \"efficiency\": {\"head\": {\"bf16\": {\"bandwidth\": {\"value\": 0.5, \"unit\": "
    "\"fraction\"}}}},\n"
    " \"modes\": [{\"name\": \"full\", \"watts\": {\"value\": 20, \"unit\": \"W\"}}, {\"name\": "
    "\"slow\"}],\n"
    " \"samples\": [{\"model\": \"m\", \"dtype\": \"q8\", \"stage\": \"head\", \"cached\": true, "
    "\"macs\": 5, \"weight_bytes\": 6, \"activation_bytes\": 7, \"products\": 8, \"ms\": [1, 2, "
    "3]}]}\n";

/* The small profile with the first `from` replaced by `to`; the caller frees. */
static char *changed(const char *from, const char *to)
{
    const char *at = strstr(small, from);
    char *text = malloc(sizeof small + strlen(to));

    assert_non_null(at);
    sprintf(text, "%.*s%s%s", (int)(at - small), small, to, at + strlen(from));
    return text;
}

static deer_status parse(const char *text)
{
    return deer_hardware_parse(text, strlen(text), "box.json", &machine, &error);
}

/* ---------------------------------------------------------------- what is read ------------- */

static void assert_figure(const deer_figure *f, double low, double value, double high)
{
    if (f->low != low || f->value != value || f->high != high)
        fail_msg("%g %g %g where %g %g %g is expected", f->low, f->value, f->high, low, value,
                 high);
}

static void test_figures_are_read_in_si_units(void **state)
{
    (void)state;
    assert_int_equal(parse(small), DEER_OK);
    assert_string_equal(machine.name, "box");
    assert_int_equal(machine.kind, HARDWARE_CPU);
    assert_false(machine.measured || machine.half_is_f16);
    assert_figure(&machine.peak[0], 90e9, 100e9, 100e9);
    assert_figure(&machine.memory, 2147483648.0, 2147483648.0, 2147483648.0);
    assert_figure(&machine.bandwidth, 10e9, 10e9, 10e9);
    assert_string_equal(machine.memory.source, "a bench");
    assert_string_equal(machine.memory.date, "2026-11-24");
    assert_int_equal(machine.modes, 2);
    assert_int_equal(machine.samples, 1);
    assert_int_equal(machine.sample[0].dtype, WEIGHT_Q8);
    assert_int_equal(machine.sample[0].work.products, 8);
    assert_true(machine.sample[0].cached && machine.sample[0].median == 0.002);
    assert_int_equal(deer_hardware_mode(&machine, "SLOW"), 1);
    assert_int_equal(deer_hardware_mode(&machine, "fast"), -1);
}

/* What the profile does not state is unknown, or assumed and marked. */
static void test_gaps_stay_unknown_or_are_assumed(void **state)
{
    const stage_efficiency *head;

    (void)state;
    assert_int_equal(parse(small), DEER_OK);
    assert_false(deer_figure_known(&machine.price) || deer_figure_known(&machine.reserved) ||
                 deer_figure_known(&machine.peak[1]) || deer_figure_known(&machine.cache));
    assert_true(isnan(machine.price.low) && isnan(machine.price.high));
    head = &machine.efficiency[STAGE_HEAD][1];
    assert_figure(&head->bandwidth, 0.5, 0.5, 0.5);
    assert_false(head->bandwidth.assumed);
    assert_true(head->compute.assumed && head->overhead.assumed && machine.step_overhead.assumed);
    assert_true(machine.idle_watts.assumed && machine.idle_watts.high < 20);
    assert_figure(&machine.mode[1].compute, 1, 1, 1);
    assert_false(deer_figure_known(&machine.mode[1].watts));
}

/* Everything assumed is a fraction or a time that makes sense, for each kind of machine. */
static void test_assumptions_are_ordered(void **state)
{
    const char *const kinds[] = {"\"cpu\"", "\"embedded\"", "\"gpu\""};

    (void)state;
    for (int k = 0; k < 3; k++) {
        char *text = changed("\"cpu\"", kinds[k]);
        assert_int_equal(parse(text), DEER_OK);
        assert_string_equal(hardware_kind_name(machine.kind), k == 0   ? "cpu"
                                                              : k == 1 ? "embedded"
                                                                       : "gpu");
        for (int s = 0; s < STAGE_KINDS; s++)
            for (int d = 0; d < WEIGHT_DTYPES; d++) {
                const stage_efficiency *e = &machine.efficiency[s][d];
                assert_true(e->compute.low > 0 && e->compute.low < e->compute.value &&
                            e->compute.value < e->compute.high && e->compute.high <= 1);
                assert_true(e->bandwidth.low > 0 && e->bandwidth.high <= 1);
                assert_true(e->overhead.low > 0 && e->overhead.high < 1e-3);
            }
        free(text);
    }
}

/* ---------------------------------------------------------------- what is refused ---------- */

static void test_mistakes_are_refused_by_name(void **state)
{
    static const struct {
        const char *from, *to, *says;
    } cases[] = {
        {"{\"deer_hardware\": 1,", "", "not JSON"},
        {"\"deer_hardware\": 1", "\"deer_hardware\": 2", "version 2"},
        {"\"deer_hardware\": 1", "\"deer_hardware\": \"1\"", "not a hardware profile"},
        {"\"deer_hardware\": 1", "\"deer_hardware\": 1, \"bandwith\": null", "'bandwith'"},
        {"\"deer_hardware\": 1", "\"deer_hardware\": 1, \"deer_hardware\": 1", "not JSON"},
        {"\"name\": \"box\"", "\"name\": \"../box\"", "letters, digits"},
        {"\"name\": \"box\"", "\"name\": \"\"", "needs a name"},
        {"\"name\": \"box\"", "\"name\": 7", "name of the profile"},
        {"\"title\": \"A box\"", "\"title\": \"A\\u001bbox\"", "control character"},
        {"\"title\": \"A box\"", "\"title\": \"A\\u0000box\"", "not JSON"},
        {"\"cpu\"", "\"tpu\"", "kind"},
        {"\"cpu\"", "\"cpu\", \"measured\": 1", "measured"},
        {"\"cpu\"", "\"cpu\", \"half\": \"f8\"", "half"},
        {"\"cpu\"", "\"cpu\", \"form\": \"desk\"", "form must be kit"},
        {"\"cpu\"", "\"cpu\", \"cannot\": 1", "cannot of the profile"},
        {"\"value\": 100", "\"value\": -100", "value of peak.f32"},
        {"\"value\": 100", "\"value\": 0", "value of peak.f32"},
        {"\"value\": 100", "\"value\": \"100\"", "value of peak.f32"},
        {"\"value\": 100", "\"value\": 1e300", "value of peak.f32"},
        {"\"value\": 100", "\"value\": NaN", "not JSON"},
        {"\"value\": 100", "\"value\": 1e999", "not JSON"},
        {"\"value\": 100", "\"value\": 80", "do not hold"},
        {"\"value\": 100", "\"value\": null", "do not hold"},
        {"\"value\": 100", "\"vlaue\": 100", "'vlaue' in peak.f32"},
        {"\"low\": 90", "\"low\": true", "low of peak.f32"},
        {"\"low\": 90", "\"high\": 99", "do not hold"},
        {"\"GFLOP/s\"", "\"TFLOP/s\"", "unit of peak.f32 must be GFLOP/s"},
        {"\"unit\": \"GiB\"", "\"unit\": \"W\"", "unit of memory"},
        {"{\"value\": 2, \"unit\": \"GiB\"}", "2", "memory must be an object"},
        {"\"f32\":", "\"f64\":", "'f64' in peak"},
        {"\"source\": \"a bench\",", "", "has no source"},
        {"\"date\": \"2026-11-24\"", "\"date\": \"today\"", "needs a date"},
        {"\"date\": \"2026-11-24\"", "\"date\": null", "needs a date"},
        {"\"head\"", "\"tail\"", "'tail' in efficiency"},
        {"\"value\": 0.5", "\"value\": 1.5", "efficiency.head.bf16.bandwidth"},
        {"\"value\": 0.5", "\"value\": 0", "efficiency.head.bf16.bandwidth"},
        {"{\"value\": 0.5, \"unit\": \"fraction\"}", "[]", "must be an object"},
        {"\"slow\"", "\"Full\"", "two modes"},
        {"\"q8\"", "\"q4\"", "samples[0]"},
        {"\"stage\": \"head\"", "\"stage\": \"tail\"", "samples[0]"},
        {"\"cached\": true", "\"cached\": 1", "samples[0]"},
        {"\"macs\": 5", "\"macs\": -5", "samples[0]"},
        {"\"weight_bytes\": 6", "\"weight_bytes\": 6.5", "samples[0]"},
        {"\"products\": 8", "\"products\": 8000000", "samples[0]"},
        {"\"products\": 8", "\"product\": 8", "'product' in samples[0]"},
        {"[1, 2, 3]", "[1, 3, 2]", "samples[0]"},
        {"[1, 2, 3]", "[0, 2, 3]", "samples[0]"},
        {"[1, 2, 3]", "[1, 2]", "samples[0]"},
        {"[{\"model\"", "{\"model\"", "not JSON"},
        {"{\"name\": \"slow\"}", "{}", "modes[1] has no name"},
        {"{\"name\": \"slow\"}", "{\"name\": \"slow\", \"watt\": 3}", "'watt' in modes[1]"},
        {"\"modes\"", "\"modes\": [], \"efficiency\"", "not JSON"},
        {"[{\"name\": \"full\"", "{\"name\": \"full\"", "not JSON"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = changed(cases[i].from, cases[i].to);
        error.message[0] = 0;
        if (!parse(text))
            fail_msg("%s was accepted", cases[i].to);
        if (!strstr(error.message, cases[i].says) || !strstr(error.message, "box.json"))
            fail_msg("'%s' does not say '%s'", error.message, cases[i].says);
        free(text);
    }
}

static void test_modes_are_a_list_of_one_to_eight(void **state)
{
    static const char *const lists[] = {"[]", "{}", "null",
                                        "[{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\"}, "
                                        "{\"name\": \"d\"}, {\"name\": \"e\"}, {\"name\": \"f\"}, "
                                        "{\"name\": \"g\"}, {\"name\": \"h\"}, {\"name\": \"i\"}]"};

    (void)state;
    for (int i = 0; i < 4; i++) {
        char *text = changed("[{\"name\": \"full\"", lists[i]);
        char *end = strstr(text, lists[i]) + strlen(lists[i]);
        strcpy(end, "}");
        assert_int_equal(parse(text), DEER_FAILED);
        assert_non_null(strstr(error.message, "modes must be a list"));
        free(text);
    }
}

/* Every truncation is refused, and no change of a byte makes it crash. */
static void test_damage_is_survived(void **state)
{
    char text[sizeof small];
    unsigned random = 1;

    (void)state;
    for (size_t n = 0; n + 2 < sizeof small; n++)
        assert_int_equal(deer_hardware_parse(small, n, "cut", &machine, &error), DEER_FAILED);
    for (int i = 0; i < 20000; i++) {
        memcpy(text, small, sizeof small);
        for (int changes = 0; changes < 3; changes++) {
            random = random * 1664525u + 1013904223u;
            text[(random >> 8) % (sizeof small - 1)] = (char)(random >> 24);
        }
        deer_hardware_parse(text, sizeof small - 1, "damaged", &machine, &error);
    }
}

/* ---------------------------------------------------------------- forms and support -------- */

/* The form decides who buys a machine; what is not stated is as usual for its kind. */
static void test_forms(void **state)
{
    hardware_class class;
    char *text;

    (void)state;
    assert_int_equal(parse(small), DEER_OK);
    assert_int_equal(machine.form, FORM_BOX);
    assert_float_equal(hardware_form_of(machine.form)->supply, 1, 0);
    text = changed("\"cpu\"", "\"gpu\"");
    assert_int_equal(parse(text), DEER_OK);
    assert_int_equal(machine.form, FORM_CARD);
    free(text);
    text = changed("\"cpu\"", "\"gpu\", \"form\": \"server\"");
    assert_int_equal(parse(text), DEER_OK);
    assert_int_equal(hardware_form_of(machine.form)->class, CLASS_SERVER);
    free(text);
    for (int c = 0; c < HARDWARE_CLASSES; c++) {
        assert_true(hardware_class_from_name(hardware_class_name((hardware_class)c), &class));
        assert_int_equal(class, c);
    }
    assert_false(hardware_class_from_name("car", &class));
}

/* What deer runs on today: processors and GPUs, of which it was measured on none. */
static void test_support(void **state)
{
    static const struct {
        const char *from, *to;
        hardware_support support;
        const char *words;
    } cases[] = {
        {"\"cpu\"", "\"cpu\"", SUPPORT_RUNS, "estimated, deer runs here"},
        {"\"cpu\"", "\"cpu\", \"measured\": true", SUPPORT_MEASURED, "measured with deer"},
        {"\"cpu\"", "\"gpu\", \"measured\": true", SUPPORT_MEASURED, "measured with deer"},
        {"\"cpu\"", "\"cpu\", \"unsupported\": \"no Linux\"", SUPPORT_OTHER,
         "estimated, another runtime would be needed"},
        {"\"cpu\"", "\"embedded\"", SUPPORT_RUNS,
         "estimated, deer runs here but was not measured on GPUs yet"},
        {"\"cpu\"", "\"gpu\"", SUPPORT_RUNS,
         "estimated, deer runs here but was not measured on GPUs yet"},
        {"\"cpu\"", "\"gpu\", \"cannot\": \"too small\"", SUPPORT_CANNOT, "cannot run this model"}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *text = changed(cases[i].from, cases[i].to);

        assert_int_equal(parse(text), DEER_OK);
        assert_int_equal(deer_hardware_support(&machine), cases[i].support);
        assert_string_equal(hardware_words(&machine), cases[i].words);
        free(text);
    }
}

/* ---------------------------------------------------------------- by name ------------------ */

static void test_unknown_machines_are_named_with_what_there_is(void **state)
{
    (void)state;
    assert_int_equal(deer_hardware_load("orin-nono", &machine, &error), DEER_USAGE);
    assert_non_null(strstr(error.message, "orin-nono"));
    assert_non_null(strstr(error.message, "orin-nano-8"));
    assert_int_equal(deer_hardware_load("/nowhere/at/all.json", &machine, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "/nowhere/at/all.json"));
}

static void test_a_file_works_like_a_name(void **state)
{
    char path[] = "/tmp/test_hardware.XXXXXX.json";
    int file = mkstemps(path, 5);

    (void)state;
    assert_int_equal(write(file, small, sizeof small - 1), sizeof small - 1);
    close(file);
    assert_int_equal(deer_hardware_load(path, &machine, &error), DEER_OK);
    assert_string_equal(machine.loaded_from, path);
    unlink(path);
}

/* ---------------------------------------------------------------- what ships --------------- */

/* Known figures say where they come from. */
static void check_origin(const deer_figure *f, const char *what)
{
    if (deer_figure_known(f) && (!f->source[0] || (!f->assumed && !f->date[0])))
        fail_msg("%s: %s has no source or date", machine.name, what);
}

/* What every report needs of a machine is there and of a plausible size. */
static void check_shipped(void)
{
    check_origin(&machine.price, "price");
    if (*machine.cannot || *machine.unsupported) /* named so that nobody buys it */
        return;
    assert_true(deer_figure_known(&machine.peak[0]) && deer_figure_known(&machine.bandwidth));
    assert_true(deer_figure_known(&machine.memory) && deer_figure_known(&machine.reserved));
    assert_true(machine.reserved.high < machine.memory.value);
    assert_true(machine.peak[0].value <= machine.peak[1].value);
    for (int d = 0; d < WEIGHT_DTYPES; d++)
        check_origin(&machine.peak[d], "peak");
    check_origin(&machine.memory, "memory");
    check_origin(&machine.bandwidth, "bandwidth");
    for (int m = 0; m < machine.modes; m++) {
        check_origin(&machine.mode[m].watts, machine.mode[m].name);
        assert_true(machine.measured || deer_figure_known(&machine.mode[m].watts));
    }
    assert_int_equal(machine.mode[0].compute.value, 1);
    assert_int_equal(machine.mode[0].bandwidth.value, 1);
}

static void test_shipped_profiles_are_whole(void **state)
{
    static const char *const needed[] = {"orin-nano-4",
                                         "orin-nano-8",
                                         "rtx-5060",
                                         "rtx-5090",
                                         "orin-nx-8",
                                         "orin-nx-16",
                                         "agx-orin-32",
                                         "agx-orin-64",
                                         "xavier-nx",
                                         "agx-xavier",
                                         "agx-thor",
                                         "intel-n100",
                                         "rtx-4060",
                                         "raspberry-pi-5",
                                         "rtx-4090",
                                         "laptop-ryzen-ai-370",
                                         "v100",
                                         "a100",
                                         "h100",
                                         "raspberry-pi-5-16",
                                         "intel-n150",
                                         "core-ultra-155h",
                                         "ryzen-ai-max-395",
                                         "apple-m4",
                                         "hailo-8",
                                         "hailo-10h",
                                         "coral-edge-tpu"};

    (void)state;
    for (size_t i = 0; i < sizeof needed / sizeof *needed; i++)
        assert_int_equal(deer_hardware_load(needed[i], &machine, &error), DEER_OK);
    for (int i = 0; i < deer_hardware_count(); i++) {
        if (deer_hardware_load(deer_hardware_name(i), &machine, &error))
            fail_msg("%s: %s", deer_hardware_name(i), error.message);
        assert_string_equal(machine.name, deer_hardware_name(i));
        assert_string_equal(machine.loaded_from, "built in");
        check_shipped();
    }
}

/* A measured profile is what hardware_fit makes of its samples. */
static void test_measured_profile_is_its_fit(void **state)
{
    static deer_hardware shipped;

    (void)state;
    assert_int_equal(deer_hardware_load("epyc-1-thread", &shipped, &error), DEER_OK);
    assert_true(shipped.measured && shipped.samples == 30);
    machine = shipped;
    hardware_fit(&machine, "a test", "2026");
    for (int s = 0; s < STAGE_KINDS; s++)
        for (int d = 0; d < WEIGHT_DTYPES; d++) {
            const stage_efficiency *was = &shipped.efficiency[s][d];
            const stage_efficiency *is = &machine.efficiency[s][d];

            assert_false(was->compute.assumed || was->overhead.assumed);
            assert_true(fabs(is->compute.value / was->compute.value - 1) < 1e-3);
            assert_true(fabs(is->overhead.value - was->overhead.value) < 1e-8);
        }
}

/* Volta has no bf16: its figures stand for f16 and say so. */
static void test_machines_without_bf16_say_so(void **state)
{
    static const char *const volta[] = {"v100", "xavier-nx", "agx-xavier"};

    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(deer_hardware_load(volta[i], &machine, &error), DEER_OK);
        assert_true(machine.half_is_f16);
    }
    assert_int_equal(deer_hardware_load("a100", &machine, &error), DEER_OK);
    assert_false(machine.half_is_f16);
}

static void test_dtypes_have_names(void **state)
{
    weight_dtype dtype;

    (void)state;
    for (int i = 0; i < WEIGHT_DTYPES; i++) {
        assert_true(weight_dtype_from_name(weight_dtype_name((weight_dtype)i), &dtype));
        assert_int_equal(dtype, (weight_dtype)i);
    }
    assert_false(weight_dtype_from_name("f16", &dtype));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_figures_are_read_in_si_units),
        cmocka_unit_test(test_gaps_stay_unknown_or_are_assumed),
        cmocka_unit_test(test_assumptions_are_ordered),
        cmocka_unit_test(test_mistakes_are_refused_by_name),
        cmocka_unit_test(test_modes_are_a_list_of_one_to_eight),
        cmocka_unit_test(test_damage_is_survived),
        cmocka_unit_test(test_forms),
        cmocka_unit_test(test_support),
        cmocka_unit_test(test_unknown_machines_are_named_with_what_there_is),
        cmocka_unit_test(test_a_file_works_like_a_name),
        cmocka_unit_test(test_shipped_profiles_are_whole),
        cmocka_unit_test(test_measured_profile_is_its_fit),
        cmocka_unit_test(test_machines_without_bf16_say_so),
        cmocka_unit_test(test_dtypes_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
