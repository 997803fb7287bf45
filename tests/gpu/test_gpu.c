/* SPDX-License-Identifier: MIT */
/* test_gpu.c - sessions on a GPU beside the processor, on Mesa's lavapipe: all types, ways to an
 * exit, NaN, thresholds that change, cameras that are used again.
 *
 *   test_gpu rehearse [TYPE]    a step in one command buffer, whole, then without each barrier in
 *                               turn: for the validation layer (test_gpu_validation.sh) */
#include "tests/gpu/matrix_driver.h"
#include "tests/gpu/pair.h"

#include "budgets/cost/stages.h"
#include "runtime/gpu/backend_gpu.h"
#include "runtime/import/model_file.h"
#include "runtime/kernels/isa.h"
#include "tests/base/unless_long.h"

#define POLICY "datasets/tabletop/policy.safetensors"

/* ---------------------------------------------------------------- two robots --------------- */

typedef struct {
    int steps, same, deep;
    double pose, gripper, value;
} comparison;

static void compare(const deer_action *a, const deer_action *b, comparison *c)
{
    c->steps++;
    c->deep += a->exit > 0;
    if (a->exit != b->exit)
        return;
    c->same++;
    for (int i = 0; i < DEER_POSE; i++)
        c->pose = fmax(c->pose, fabs((double)a->pose[i] - (double)b->pose[i]));
    c->gripper =
        fmax(c->gripper, fabs((double)a->gripper_probability - (double)b->gripper_probability));
    for (int k = 0; k <= a->exit; k++)
        c->value = fmax(c->value, fabs((double)a->delta[k] - (double)b->delta[k]));
    assert_int_equal(a->head_evaluations, b->head_evaluations);
    assert_int_equal(a->exit_layer, b->exit_layer);
}

static void step_plainly(pair *p, deer_action *a)
{
    const isa *list[ISA_MOST];
    const deer_observation o = seen(p);

    isa_use(list[isa_list(list) - 1]);
    ok(deer_step(p->plain, &o, a, &error));
    isa_list(list);
    isa_use(list[0]);
}

/* All forget after every `fresh` steps, so that they start alike. yard: the processor beside
 * itself; NULL: not wanted. */
static comparison play(pair *p, int steps, int fresh, comparison *yard)
{
    comparison c = {0};

    for (int s = 0; s < steps; s++) {
        deer_action a[2], plain;
        film(p, s);
        if (s % fresh == 0)
            ok(deer_session_reset(p->plain, &error));
        for (int i = 0; i < 2; i++) {
            if (s % fresh == 0)
                ok(deer_session_reset(p->on[i], &error));
            step(p, i, &a[i]);
        }
        compare(&a[0], &a[1], &c);
        if (yard) {
            step_plainly(p, &plain);
            compare(&a[0], &plain, yard);
        }
    }
    return c;
}

static void say(const char *what, const comparison *c)
{
    print_message("%s: %d of %d exits the same (%d not the first), pose %.1e, gripper %.1e, delta "
                  "%.1e\n",
                  what, c->same, c->steps, c->deep, c->pose, c->gripper, c->value);
}

static void test_tabletop_f32(void **state)
{
    comparison c;
    pair p;

    (void)state;
    pair_open(&p, POLICY);
    threshold_amid(&p, DEER_CRITERION_L2);
    c = play(&p, unless_long(12, 20), 4, NULL);
    say("f32", &c);
    assert_int_equal(c.same, c.steps);
    assert_true(c.deep > c.steps / 6);
    assert_true(c.pose <= 1e-6 && c.gripper <= 5e-6 && c.value <= 2e-6);
    pair_close(&p);
}

/* As near as the processor's instruction sets are to each other, and half as much again; `least` is
 * allowed where they are all alike, as in a build without optimisation. */
static void one_type(weight_dtype type, double least)
{
    char path[96];
    model_output to = {.path = path, .dtype = type};
    comparison c, yard = {0};
    pair p;

    snprintf(path, sizeof path, "%s/%s", small.folder, weight_dtype_name(type));
    ok(model_convert(POLICY, &to, &error));
    pair_open(&p, path);
    threshold_amid(&p, DEER_CRITERION_L2);
    c = play(&p, unless_long(8, 16), 2, &yard);
    say(weight_dtype_name(type), &c);
    say("  the processor's generic kernels", &yard);
    assert_true(c.same >= yard.same - 2);
    assert_true(c.pose <= fmax(1.5 * yard.pose, least));
    assert_true(c.gripper <= fmax(1.5 * yard.gripper, 10 * least));
    pair_close(&p);
}

static void test_tabletop_bf16(void **state)
{
    (void)state;
    one_type(WEIGHT_BF16, 1e-3);
}

static void test_tabletop_q8(void **state)
{
    (void)state;
    one_type(WEIGHT_Q8, 6e-3);
}

/* What a GPU is given: other workgroups, tiles of 64 by 64. */
static void test_as_on_a_gpu(void **state)
{
    comparison c;
    pair p;

    (void)state;
    gpu_plays_card = true;
    pair_open(&p, POLICY);
    gpu_plays_card = false;
    threshold_amid(&p, DEER_CRITERION_L2);
    c = play(&p, 2, 9, NULL);
    assert_int_equal(c.same, c.steps);
    assert_true(c.pose <= 1e-6);
    pair_close(&p);
}

/* The tabletop's policy with weights of a type on what is taken for a card, with matrix units or
 * without, after steps that reach the deepest exit. */
static deer_action on_a_card(const char *path, weight_dtype type, bool matrices)
{
    deer_action a;
    pair p;

    gpu_driver_of_tests = matrices ? matrix_driver() : NULL;
    gpu_plays_card = true;
    pair_open(&p, path);
    gpu_plays_card = false;
    assert_int_equal(((gpu_home *)p.model[GPU]->device)->gpu->matrix[type].rows > 0, matrices);
    for (int s = 0; s < 2; s++) {
        film(&p, s);
        step(&p, GPU, &a);
    }
    pair_close(&p);
    gpu_driver_of_tests = NULL;
    assert_true(!matrices || matrix_units.binds > 8); /* vision has nine such products */
    return a;
}

/* Sums of integers are the same; those of floats differ by their order, which bfloat16 inputs may
 * show in their last bit. */
static void test_on_matrix_units(void **state)
{
    (void)state;
    for (int type = WEIGHT_BF16; type < WEIGHT_DTYPES; type++) {
        char path[96];
        model_output to = {.path = path, .dtype = (weight_dtype)type};
        deer_action a[2];
        comparison c = {0};
        snprintf(path, sizeof path, "%s/card_%d", small.folder, type);
        ok(model_convert(POLICY, &to, &error));
        for (int on = 0; on < 2; on++)
            a[on] = on_a_card(path, (weight_dtype)type, on);
        compare(&a[0], &a[1], &c);
        say(weight_dtype_name((weight_dtype)type), &c);
        assert_true(c.same == 1 && c.pose <= 1e-3 && c.gripper <= 1e-2);
        if (type == WEIGHT_Q8)
            assert_memory_equal(&a[0], &a[1], sizeof a[0]);
        unlink(path);
    }
}

static void test_criteria(void **state)
{
    comparison c;
    pair p;

    (void)state;
    pair_open(&p, small.path);
    for (int criterion = 0; criterion <= DEER_CRITERION_COMBINED; criterion++) {
        threshold_amid(&p, (deer_criterion)criterion);
        c = play(&p, 8, 9, NULL);
        assert_int_equal(c.same, c.steps);
        assert_true(c.pose <= 1e-6 && c.value <= 5e-6);
    }
    pair_close(&p);
}

/* ---------------------------------------------------------------- what it costs ------------ */

static int dispatches_of(const gpu_program *p, int unit)
{
    return p->unit[unit].end - p->unit[unit].first;
}

/* What estimates for GPUs count is what is recorded. */
static void check_dispatches(const char *path, weight_dtype type)
{
    const deer_model_options o = {.size = sizeof o, .device = "cpu"};
    deer_model *model;
    gpu_program p;
    deer_stages s;
    const deer_config *c;

    ok(deer_model_open_with(path, DEER_ALL_EXITS, &o, &model, &error));
    c = deer_model_config(model);
    deer_stages_of(c, c->max_text, type, &s);
    ok(program_make(model, 1, 2, GPU_TASTE_OF_GPUS, &p, &error));
    assert_int_equal(dispatches_of(&p, UNIT_VISION), s.vision.dispatches);
    assert_int_equal(dispatches_of(&p, UNIT_RESAMPLER), s.resampler.dispatches);
    for (int i = 0; i < p.layers; i++)
        assert_int_equal(dispatches_of(&p, UNIT_LAYERS + i),
                         deer_stages_layer(c, &s, i)->dispatches);
    assert_int_equal(dispatches_of(&p, UNIT_TELL) + dispatches_of(&p, UNIT_BEGIN) +
                         dispatches_of(&p, UNIT_KEEP),
                     s.head_recurrent.dispatches);
    assert_int_equal(dispatches_of(&p, UNIT_POOL) + dispatches_of(&p, program_exit(&p, 0)),
                     s.head_first.dispatches);
    assert_int_equal(dispatches_of(&p, program_exit(&p, 1)), s.head_evaluation.dispatches);
    program_free(&p);
    deer_model_close(model);
}

static void test_dispatches_are_counted(void **state)
{
    (void)state;
    for (int type = 0; type < WEIGHT_DTYPES; type++) {
        const char *const from[] = {POLICY, small.path};
        char path[96];
        model_output to = {.path = path, .dtype = (weight_dtype)type};
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/counted_%d_%d", small.folder, type, i);
            ok(model_convert(from[i], &to, &error));
            check_dispatches(path, (weight_dtype)type);
            unlink(path);
        }
    }
}

/* ---------------------------------------------------------------- ways to an exit ---------- */
/* One by one, the processor asking, and ahead, the device deciding: the same bits, state included.
 */
static void test_ways(void **state)
{
    deer_profile profile = {0};
    deer_action way[2];
    pair p;
    size_t floats;

    (void)state;
    pair_open(&p, POLICY);
    floats = 2 * (size_t)deer_model_config(p.model[0])->lstm_hidden;
    film(&p, 1);
    for (int k = 0; k <= deer_model_max_exit(p.model[0]); k += k == 1 ? unless_long(4, 1) : 1) {
        float h[2][1024];
        assert_true(floats <= 1024);
        only(&p, k);
        for (int i = 0; i < 2; i++) {
            ok(deer_session_reset(p.on[GPU], &error));
            deer_session_profile(p.on[GPU], i ? NULL : &profile);
            step(&p, GPU, &way[i]);
            step(&p, GPU, &way[i]);
            memcpy(h[i], deer_session_lstm_h(p.on[GPU]), floats / 2 * sizeof(float));
            memcpy(h[i] + floats / 2, deer_session_lstm_c(p.on[GPU]), floats / 2 * sizeof(float));
        }
        assert_int_equal(way[0].exit, k);
        assert_memory_equal(&way[0], &way[1], sizeof way[0]);
        assert_memory_equal(h[0], h[1], floats * sizeof(float));
    }
    assert_true(profile.count[PROFILE_VISION] > 0 && profile.seconds[PROFILE_VISION] > 0);
    pair_close(&p);
}

/* Between decisions the exit is repeated, and thresholds may change in the middle. */
static void test_stages_and_new_thresholds(void **state)
{
    deer_action a[2];
    comparison c = {0};
    pair p;

    (void)state;
    pair_open(&p, small.path);
    threshold_amid(&p, DEER_CRITERION_L2);
    p.t.steps_per_stage = 3;
    adopt(&p);
    for (int s = 0; s < 9; s++) {
        film(&p, s);
        if (s == 4) {
            only(&p, 0);
            p.t.steps_per_stage = 2;
            adopt(&p);
        }
        for (int i = 0; i < 2; i++)
            step(&p, i, &a[i]);
        compare(&a[0], &a[1], &c);
        assert_int_equal(isnan(a[0].delta[0]), isnan(a[1].delta[0]));
    }
    assert_int_equal(c.same, c.steps);
    assert_true(c.pose <= 1e-6);
    pair_close(&p);
}

/* A NaN goes to the deepest exit and arrives; the step fails, and the state is as it was. */
static void test_nan(void **state)
{
    deer_action a;
    float before[256], *embedded, was;
    pair p;
    size_t bytes;

    (void)state;
    pair_open(&p, small.path);
    only(&p, 0);
    film(&p, 0);
    step(&p, GPU, &a);
    assert_int_equal(a.exit, 0);
    bytes = (size_t)deer_model_config(p.model[0])->lstm_layers *
            (size_t)deer_model_config(p.model[0])->lstm_hidden * sizeof *before;
    assert_true(bytes <= sizeof before);
    memcpy(before, deer_session_lstm_h(p.on[GPU]), bytes);
    embedded = p.on[GPU]->on->embedded(p.on[GPU]->work);
    was = embedded[3];
    embedded[3] = NAN;
    assert_int_equal(deer_step(p.on[GPU],
                               &(deer_observation){seen(&p).static_view, seen(&p).gripper_view}, &a,
                               &error),
                     DEER_FAILED);
    says("not finite");
    assert_int_equal(a.exit, deer_model_max_exit(p.model[0]));
    assert_true(isnan(a.delta[0]) && isnan(a.pose[0]));
    assert_memory_equal(before, deer_session_lstm_h(p.on[GPU]), bytes);
    embedded[3] = was;
    step(&p, GPU, &a);
    pair_close(&p);
}

/* One camera alone: the other's media stay, and what comes out is as if both were seen. */
static void test_one_camera(void **state)
{
    const deer_config *c;
    float *media[3];
    deer_action a[2];
    comparison d = {0};
    pair p;
    size_t size;

    (void)state;
    pair_open(&p, small.path);
    c = deer_model_config(p.model[0]);
    size = (size_t)c->resampler_latents * (size_t)c->vision_width;
    only(&p, 1);
    for (int s = 0; s < 4; s++) { /* both, gripper, static, given instead of seen */
        const unsigned views[] = {3, 2, 1, 0};
        deer_observation o = seen(&p);
        film(&p, s);
        for (int i = 0; i < 2; i++) {
            deer_session *one = p.on[i];
            image_view view[2];
            ok(image_pair_resize(one->plan, &o, view, &error));
            image_pair_normalise(view, views[s], c, one->on->pixels(one->work));
            one->on->see(one->work, 1, views[s], NULL);
            if (s == 3) {
                media[0] = malloc(size * 4);
                for (size_t n = 0; n < size; n++)
                    media[0][n] = (float)n / (float)size;
                one->on->give_media(one->work, 1, media[0]);
                free(media[0]);
            }
            session_start(one);
            ok(session_act(one, &a[i], &error));
        }
        compare(&a[0], &a[1], &d);
    }
    for (int i = 0; i < 2; i++) {
        media[i] = malloc(size * 4);
        p.on[GPU]->on->take_media(p.on[GPU]->work, i, media[i]);
    }
    assert_true(media[1][size - 1] == (float)(size - 1) / (float)size);
    assert_int_equal(d.same, 4);
    assert_true(d.pose <= 1e-6);
    free(media[0]), free(media[1]);
    pair_close(&p);
}
/* ---------------------------------------------------------------- rehearsals --------------- */

/* The units of a whole step in the order in which they are submitted. Returns how many. */
static int units_of_a_step(const gpu_program *p, int *units)
{
    const deer_config *c = &p->model->config;
    int n = 0, layer = 0;

    units[n++] = UNIT_VISION;
    units[n++] = UNIT_RESAMPLER;
    units[n++] = UNIT_TELL;
    units[n++] = UNIT_BEGIN;
    for (; layer < c->exit_layers[0]; layer++)
        units[n++] = UNIT_LAYERS + layer;
    units[n++] = UNIT_POOL;
    for (int k = 0; k < c->exits; k++) {
        for (; layer <= c->exit_layers[k]; layer++)
            units[n++] = UNIT_LAYERS + layer;
        units[n++] = program_exit(p, k);
    }
    units[n++] = UNIT_KEEP + 0;
    return n;
}

static int barriers_of(const gpu_program *p, int unit)
{
    int n = 0;

    for (int i = p->unit[unit].first; i < p->unit[unit].end; i++)
        n += p->list[i].barrier;
    return n;
}

/* A unit that leaves something for this one to wait for, as the layer can tell: it reports no two
 * writes by shaders. */
static int needs_to_wait_for(int unit)
{
    return unit == UNIT_RESAMPLER ? UNIT_TAKE
           : unit == UNIT_BEGIN   ? UNIT_KEEP
           : unit == UNIT_POOL    ? UNIT_TELL
                                  : unit;
}

/* Where the n-th barrier is the one that a unit begins with, whether or not this order of units
 * needs it: an order that does, and which barrier it is there. */
static int order_that_needs(const gpu_program *p, int *units, int count, int *n)
{
    int before = 0;

    for (int u = 0; u < count; before += barriers_of(p, units[u++]))
        if (before == *n) {
            units[1] = units[u];
            units[0] = needs_to_wait_for(units[1]);
            *n = barriers_of(p, units[0]);
            return 2;
        }
    return count;
}

static void rehearse_without(gpu_tape *tape, int skipped)
{
    int units[64], count = units_of_a_step(&tape->program, units);

    printf("without barrier %d\n", skipped);
    fflush(stdout);
    if (skipped >= 0)
        count = order_that_needs(&tape->program, units, count, &skipped);
    tape_skip_barrier = skipped;
    tape_rehearse(tape, units, count);
    tape_skip_barrier = -1;
    fflush(stdout);
}

/* Whole, then without each barrier in turn; a small model with weights of this type. */
static int rehearse(const char *type)
{
    model_output to = {.path = NULL};
    char path[96];
    pair p;
    gpu_tape *tape;
    int units[64], barriers = 0;

    assert_true(weight_dtype_from_name(type, &to.dtype));
    small_model_make(&small);
    snprintf(path, sizeof path, "%s/of_type", small.folder);
    to.path = path;
    ok(model_convert(small.path, &to, &error));
    pair_open(&p, path);
    film(&p, 0);
    step(&p, GPU, &(deer_action){0});
    tape = &((gpu_work *)p.on[GPU]->work)->tape;
    for (int u = units_of_a_step(&tape->program, units) - 1; u >= 0; u--)
        barriers += barriers_of(&tape->program, units[u]);
    for (int skipped = -1; skipped < barriers; skipped++)
        rehearse_without(tape, skipped);
    pair_close(&p);
    small_model_remove(&small);
    return 0;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tabletop_f32),
        cmocka_unit_test(test_tabletop_bf16),
        cmocka_unit_test(test_tabletop_q8),
        cmocka_unit_test(test_as_on_a_gpu),
        cmocka_unit_test(test_on_matrix_units),
        cmocka_unit_test(test_criteria),
        cmocka_unit_test(test_dispatches_are_counted),
        cmocka_unit_test(test_ways),
        cmocka_unit_test(test_stages_and_new_thresholds),
        cmocka_unit_test(test_nan),
        cmocka_unit_test(test_one_camera),
    };

    if (argc > 1 && !strcmp(argv[1], "rehearse"))
        return rehearse(argc > 2 ? argv[2] : "f32");
    keep_driver();
    return cmocka_run_group_tests(tests, pair_start, pair_end);
}
