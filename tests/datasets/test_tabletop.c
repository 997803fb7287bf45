/* SPDX-License-Identifier: MIT */
/* test_tabletop.c - the simulator: reproducible, done by its expert, drawn without a display. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datasets/tabletop/chain.h"
#include "datasets/tabletop/parallel.h"
#include "datasets/tabletop/rollout.h"
#include "datasets/tabletop/world.h"
#include "tests/base/unless_long.h"

static deer_error error;

#define assert_ok(call) assert_ok_(call, #call)

static void assert_ok_(deer_status status, const char *call)
{
    if (status)
        fail_msg("%s: %s", call, error.message);
}

static tabletop *new_world(void)
{
    tabletop *world;

    assert_ok(tabletop_new(&world, &error));
    return world;
}

/* Lets the expert do what the world was asked for. */
static bool expert_does(tabletop *world, double noise)
{
    float action[DEER_COMMAND];

    for (int i = 0; i < TABLETOP_MAX_STEPS && !tabletop_succeeded(world); i++) {
        tabletop_expert(world, action);
        if (noise > 0)
            tabletop_perturb(world, noise, action);
        tabletop_step(world, action);
    }
    return tabletop_succeeded(world);
}

static bool expert_succeeds(tabletop *world, int task, uint64_t seed, double noise)
{
    tabletop_reset(world, seed, task, seed & 1 ? TABLETOP_SEEN : TABLETOP_UNSEEN);
    return expert_does(world, noise);
}

static void test_expert_does_every_task(void **state)
{
    tabletop *world = new_world();
    const int starts = unless_long(3, 12); /* the full 200 are run by `make bench-tools` */

    (void)state;
    for (int task = 0; task < tabletop_every_task(); task++) {
        int done = 0;
        for (int i = 0; i < starts; i++)
            done += expert_succeeds(world, task, rollout_seed(42, i), 0);
        if (done < starts)
            fail_msg("%s: %d of %d", tabletop_task_name(task), done, starts);
    }
    tabletop_free(world);
}

/* The expert is a function of the state: it finds its way back after it was pushed off the path. */
static void test_expert_recovers_from_kicks(void **state)
{
    tabletop *world = new_world();
    int done = 0, trials = 0;

    (void)state;
    for (int task = 0; task < tabletop_every_task(); task++)
        for (int i = 0; i < unless_long(1, 3); i++, trials++)
            done += expert_succeeds(world, task, rollout_seed(43, i), 0.7);
    assert_true(done >= trials * 95 / 100);
    tabletop_free(world);
}

/* How long the expert takes is found out beside the world, which stays as it was: also in the
 * middle of what somebody does. */
static void test_expert_steps_are_the_experts(void **state)
{
    tabletop *world = new_world(), *scratch = new_world();
    float action[DEER_COMMAND], before[TABLETOP_OBJECT_SIZE], after[TABLETOP_OBJECT_SIZE];

    (void)state;
    for (int task = 0; task < tabletop_every_task(); task += 5) {
        int expected, steps = 0;

        tabletop_reset(world, 11, task, TABLETOP_SEEN);
        for (int i = 0; i < 4; i++) {
            tabletop_expert(world, action);
            tabletop_perturb(world, 1, action);
            tabletop_step(world, action);
        }
        tabletop_objects(world, before);
        expected = tabletop_expert_steps(world, scratch);
        tabletop_objects(world, after);
        assert_memory_equal(before, after, sizeof before);
        for (; !tabletop_succeeded(world); steps++) {
            tabletop_expert(world, action);
            tabletop_step(world, action);
        }
        assert_int_equal(steps, expected);
        tabletop_objects(world, before);
        tabletop_objects(scratch, after);
        assert_memory_equal(before, after, sizeof before);
    }
    tabletop_free(world);
    tabletop_free(scratch);
}

static void test_time_allowed(void **state)
{
    (void)state;
    assert_int_equal(rollout_allowed(1.25, 20), 25);
    assert_int_equal(rollout_allowed(1.1, 30), 33); /* though 1.1 * 30 < 33 */
    assert_int_equal(rollout_allowed(1.25, 15), 18);
    assert_int_equal(rollout_allowed(1.25, 8), 12);
    assert_int_equal(rollout_allowed(3, 35), TABLETOP_MAX_STEPS);
    assert_int_equal(rollout_allowed(0, 8), TABLETOP_MAX_STEPS);
    assert_int_equal(rollout_allowed(1.25, 0), TABLETOP_MAX_STEPS);
}

/* The expert does what `asked` says, in a world that was begun for `begun`: what harm is done? */
static tabletop_harm harm_of(tabletop *world, const char *begun, const char *asked)
{
    tabletop_harm harm = TABLETOP_NO_HARM;

    tabletop_reset(world, 5, tabletop_task_find(asked), TABLETOP_SEEN);
    tabletop_ask(world, 5, tabletop_task_find(begun), TABLETOP_SEEN);
    for (int i = 0; i < TABLETOP_MAX_STEPS && !harm && !tabletop_succeeded(world); i++) {
        float action[DEER_COMMAND];

        world->task = tabletop_task_find(asked); /* another mind in the same hand */
        world->block = world_find(world, task_of(world->task)->subject);
        tabletop_expert(world, action);
        world->task = tabletop_task_find(begun);
        world->block = world_find(world, task_of(world->task)->subject);
        tabletop_step(world, action);
        harm = tabletop_harm_done(world);
    }
    return harm;
}

static void test_lifting_another_block_is_harm(void **state)
{
    tabletop *world = new_world();

    (void)state;
    assert_int_equal(harm_of(world, "lift_red", "lift_red"), TABLETOP_NO_HARM);
    assert_int_equal(harm_of(world, "lift_red", "lift_blue"), TABLETOP_LIFTED_OTHER);
    /* A block that was in the hand may be moved on. */
    tabletop_reset(world, 5, tabletop_task_find("lift_blue"), TABLETOP_SEEN);
    assert_true(expert_does(world, 0));
    tabletop_ask(world, 5, tabletop_task_find("lift_red"), TABLETOP_SEEN);
    for (int i = 0; i < TABLETOP_MAX_STEPS && !tabletop_succeeded(world); i++) {
        float action[DEER_COMMAND];

        tabletop_expert(world, action);
        tabletop_step(world, action);
        assert_int_equal(tabletop_harm_done(world), TABLETOP_NO_HARM);
    }
    tabletop_free(world);
}

static void test_falling_off_the_table_is_harm(void **state)
{
    tabletop *world = new_world();
    float still[DEER_COMMAND] = {0, 0, 0, 0, 0, 0, 1};

    (void)state;
    tabletop_reset(world, 5, tabletop_task_find("press_button"), TABLETOP_SEEN);
    world->data->qpos[world->objects[0]] = 0.5; /* beside the table */
    for (int i = 0; i < 3; i++)
        tabletop_step(world, still);
    assert_int_equal(tabletop_harm_done(world), TABLETOP_FELL);
    tabletop_free(world);
}

/* ---------------------------------------------------------------- tasks not learnt --------- */

/* What "the block left of the red one" means: in plain words, for every seed. */
static void test_references(void **state)
{
    static const char *const colours[] = {"red", "green", "blue"};
    tabletop *world = new_world();

    (void)state;
    for (int i = 0; i < 30; i++) {
        int of = i % 3, side = i % 2 ? 1 : -1, beside = 0, meant = -1;
        char name[40];

        snprintf(name, sizeof name, "lift_%s_of_%s", side > 0 ? "right" : "left", colours[of]);
        tabletop_reset(world, rollout_seed(6, i), tabletop_task_find(name), TABLETOP_SEEN);
        for (int b = 0; b < TABLETOP_BLOCKS; b++)
            if (b != of && side * (world_block(world, b)[0] - world_block(world, of)[0]) > 0) {
                meant = b;
                beside++;
            }
        assert_int_equal(beside, 1);
        assert_int_equal(world->block, meant);
    }
    tabletop_reset(world, 3, tabletop_task_find("lift_farthest"), TABLETOP_SEEN);
    for (int b = 0; b < TABLETOP_BLOCKS; b++)
        assert_true(hypot(world_block(world, b)[0] - WORLD_BUTTON_X,
                          world_block(world, b)[1] - WORLD_BUTTON_Y) <=
                    hypot(world_block(world, world->block)[0] - WORLD_BUTTON_X,
                          world_block(world, world->block)[1] - WORLD_BUTTON_Y) +
                        1e-12);
    tabletop_free(world);
}

/* The belt carries its block at its speed, the others stay; a hand that grasps where the block was
 * misses it. */
static void test_the_belt_moves(void **state)
{
    float still[DEER_COMMAND] = {0, 0, 0, 0, 0, 0, 1};
    tabletop *world = new_world();
    double before[3];

    (void)state;
    tabletop_reset(world, 8, tabletop_task_find("lift_moving_green"), TABLETOP_SEEN);
    for (int b = 0; b < 3; b++)
        before[b] = world_block(world, b)[0];
    for (int i = 0; i < 10; i++)
        tabletop_step(world, still);
    for (int b = 0; b < 3; b++)
        assert_true(fabs(world_block(world, b)[0] - before[b] - (b == 1 ? 0.025 : 0)) < 2e-3);
    for (int i = 0; i < 150; i++)
        tabletop_step(world, still);
    assert_true(world_block(world, 1)[0] < WORLD_BELT_END + 0.01); /* it stops on the table */
    tabletop_reset(world, 8, tabletop_task_find("lift_green"), TABLETOP_SEEN);
    before[1] = world_block(world, 1)[0];
    tabletop_step(world, still);
    assert_true(fabs(world_block(world, 1)[0] - before[1]) < 1e-3); /* a belt of that task alone */
    tabletop_free(world);
}

/* A block that is let go over the tray, off by so much: between the walls, or on one. */
static bool falls_into_tray(tabletop *world, double off)
{
    float still[DEER_COMMAND] = {0, 0, 0, 0, 0, 0, 1};
    double *q;

    tabletop_reset(world, 2, tabletop_task_find("place_red"), TABLETOP_SEEN);
    q = world->data->qpos + world->objects[0];
    q[0] = WORLD_TRAY_X + off;
    q[1] = WORLD_TRAY_Y;
    q[2] = 0.035;
    q[3] = 1;
    q[4] = q[5] = q[6] = 0;
    for (int i = 0; i < 5; i++)
        tabletop_step(world, still);
    return tabletop_succeeded(world);
}

static void test_the_tray_has_walls(void **state)
{
    tabletop *world = new_world();

    (void)state;
    assert_true(falls_into_tray(world, 0));
    assert_true(falls_into_tray(world, 0.003));
    assert_false(falls_into_tray(world, 0.012));
    assert_false(falls_into_tray(world, -0.02));
    tabletop_free(world);
}

static void test_tasks_and_families(void **state)
{
    static const char *const families[] = {"lift",  "push",     "drawer",    "button", "stack",
                                           "store", "relation", "reference", "tray",   "moving"};
    int of[10] = {0};

    (void)state;
    assert_int_equal(tabletop_tasks(), 29);
    assert_int_equal(tabletop_every_task(), 45);
    for (int task = 0; task < tabletop_every_task(); task++)
        for (int f = 0; f < 10; f++)
            if (!strcmp(tabletop_task_family(task), families[f])) {
                of[f]++;
                assert_int_equal(f >= 7, task >= tabletop_tasks());
            }
    for (int f = 0, sum = 0; f < 10; f++) {
        assert_true(of[f] > 0);
        sum += of[f];
        assert_true(f < 9 || sum == 45);
    }
}

/* Nothing succeeds by itself: a task starts undone, and doing nothing does not do it. */
static void test_nothing_is_done_by_doing_nothing(void **state)
{
    tabletop *world = new_world();
    float still[DEER_COMMAND] = {0, 0, 0, 0, 0, 0, 1};

    (void)state;
    for (int task = 0; task < tabletop_every_task(); task++) {
        tabletop_reset(world, 7, task, TABLETOP_SEEN);
        for (int i = 0; i < 10; i++) {
            assert_false(tabletop_succeeded(world));
            tabletop_step(world, still);
        }
    }
    tabletop_free(world);
}

static void test_hostile_actions_are_harmless(void **state)
{
    tabletop *world = new_world();
    float action[DEER_COMMAND] = {NAN, INFINITY, -INFINITY, NAN, NAN, 1e30f, NAN};
    float objects[TABLETOP_OBJECT_SIZE];

    (void)state;
    tabletop_reset(world, 1, 0, TABLETOP_SEEN);
    for (int i = 0; i < 20; i++)
        tabletop_step(world, action);
    tabletop_objects(world, objects);
    for (int i = 0; i < TABLETOP_OBJECT_SIZE; i++)
        assert_true(isfinite(objects[i]));
    tabletop_free(world);
}

static void record(rollout_stage *stage, int task, uint64_t seed, demo_episode *e)
{
    rollout_recording how = {0.7, 0};
    bool done;

    tabletop_reset(stage->world, seed, task, TABLETOP_SEEN);
    assert_ok(rollout_record(stage, seed, &how, e, &done, &error));
}

static void assert_same_episode(const demo_episode *a, const demo_episode *b)
{
    size_t pixels = (size_t)a->steps * TABLETOP_IMAGE * TABLETOP_IMAGE * 3;

    assert_int_equal(a->steps, b->steps);
    assert_string_equal(a->instruction, b->instruction);
    assert_memory_equal(a->actions, b->actions, (size_t)a->steps * DEMO_ACTION * sizeof(float));
    assert_memory_equal(a->static_rgb, b->static_rgb, pixels);
    assert_memory_equal(a->gripper_rgb, b->gripper_rgb, pixels);
}

/* The same seed gives the same episode bit for bit, whatever ran before it in the same world. */
static void test_a_seed_is_an_episode(void **state)
{
    rollout_stage one, two;
    demo_episode a, b, other;

    (void)state;
    assert_ok(rollout_stage_open(&one, NULL, NULL, &error));
    record(&one, 12, 99, &a);
    rollout_stage_close(&one);
    assert_ok(rollout_stage_open(&two, NULL, NULL, &error));
    record(&two, 3, 5, &other);
    record(&two, 12, 99, &b);
    assert_same_episode(&a, &b);
    demo_episode_free(&b);
    record(&two, 12, 100, &b);
    assert_memory_not_equal(a.static_rgb, b.static_rgb, TABLETOP_IMAGE * TABLETOP_IMAGE * 3);
    rollout_stage_close(&two);
    demo_episode_free(&a);
    demo_episode_free(&b);
    demo_episode_free(&other);
}

/* ---------------------------------------------------------------- exits from outside ------- */

enum { LOOKED_STEPS = 4 };

/* Steps of a rollout: what was seen, and the exit that was chosen. */
typedef struct {
    uint8_t pixels[LOOKED_STEPS][2][TABLETOP_IMAGE * TABLETOP_IMAGE * 3];
    float expert[LOOKED_STEPS][DEER_COMMAND];
    int exit[LOOKED_STEPS];
    char instruction[128];
} looked;

static deer_observation seen_at(const looked *l, int step)
{
    return (deer_observation){{l->pixels[step][0], sizeof l->pixels[step][0]},
                              {l->pixels[step][1], sizeof l->pixels[step][1]}};
}

static void step_at(rollout_stage *stage, const looked *l, int step, int exit, deer_action *action)
{
    deer_observation seen = seen_at(l, step);
    deer_thresholds *fixed;

    assert_ok(deer_thresholds_fixed(stage->model, exit, &fixed, &error));
    assert_ok(deer_session_set_thresholds(stage->session, fixed, &error));
    assert_ok(deer_step(stage->session, &seen, action, &error));
    deer_thresholds_free(fixed);
}

/* What exit k would do at a step, by doing everything before it once more. */
static void would_do(rollout_stage *stage, const looked *l, int step, int k, float *pose,
                     float *gripper)
{
    deer_action action;

    assert_ok(deer_session_set_instruction(stage->session, l->instruction, &error));
    for (int t = 0; t < step; t++)
        step_at(stage, l, t, l->exit[t], &action);
    step_at(stage, l, step, k, &action);
    memcpy(pose, action.pose, sizeof action.pose);
    *gripper = action.gripper_probability;
}

static void look_and_go(rollout_stage *stage, exits_chooser *chooser, looked *l)
{
    deer_action action;

    tabletop_reset(stage->world, 3, tabletop_task_find("lift_green"), TABLETOP_SEEN);
    snprintf(l->instruction, sizeof l->instruction, "%s", tabletop_instruction(stage->world));
    assert_ok(deer_session_set_instruction(stage->session, l->instruction, &error));
    assert_ok(exits_begin(chooser, l->instruction, 1, &error));
    for (int t = 0; t < LOOKED_STEPS; t++) {
        deer_observation seen = seen_at(l, t);

        for (int camera = 0; camera < 2; camera++)
            tabletop_render(stage->eye, stage->world, (tabletop_camera)camera, TABLETOP_IMAGE,
                            l->pixels[t][camera]);
        tabletop_expert(stage->world, l->expert[t]);
        assert_ok(exits_choose(chooser, stage->session, &seen, stage->world, &error));
        assert_ok(deer_step(stage->session, &seen, &action, &error));
        l->exit[t] = action.exit;
        tabletop_step(stage->world, action.command);
    }
}

/* The exit that a look chooses, in plain words: the first that is near the deepest, or the nearest
 * to the expert at its price. 2e-4: the distances of batch and session may differ by that much. */
static void assert_best(const exits_control *how, const deer_config *c, const looked *l, int t,
                        float pose[][DEER_POSE], const float *gripper)
{
    double loss[DEER_MAX_EXITS] = {0}, least = INFINITY;
    int last = c->exits - 1, exit = l->exit[t];

    for (int k = 0; k <= last; k++) {
        const float *to = how->kind == EXITS_ORACLE ? pose[last] : l->expert[t];
        bool open = how->kind == EXITS_ORACLE ? gripper[last] > 0.5f : l->expert[t][6] > 0;
        double sum = 0;

        for (int i = 0; i < DEER_POSE; i++)
            sum += pow((double)pose[k][i] - (double)to[i], 2);
        loss[k] = sqrt(sum / 6) + ((gripper[k] > 0.5f) == open ? 0 : 0.2);
        if (how->kind == EXITS_EXPERT)
            loss[k] += how->amount * (c->exit_layers[k] + 1) / (c->exit_layers[last] + 1);
        least = fmin(least, loss[k]);
    }
    if (how->kind == EXITS_EXPERT) {
        assert_true(loss[exit] < least + 2e-4);
        return;
    }
    assert_true(loss[exit] < how->amount + 2e-4);
    for (int k = 0; k < exit; k++)
        assert_true(loss[k] > how->amount - 2e-4);
}

static void test_who_looks_takes_the_best(void **state)
{
    static const exits_control controls[] = {{EXITS_ORACLE, .amount = 0.05},
                                             {EXITS_EXPERT, .amount = 0.02}};
    static looked l;
    deer_thresholds *deepest;
    exits_chooser *chooser;
    rollout_stage stage;
    deer_model *model;
    int shallow = 0;

    (void)state;
    assert_ok(
        deer_model_open("datasets/tabletop/policy.safetensors", DEER_ALL_EXITS, &model, &error));
    assert_ok(deer_thresholds_fixed(model, deer_model_max_exit(model), &deepest, &error));
    assert_ok(rollout_stage_open(&stage, model, deepest, &error));
    for (int i = 0; i < 2; i++) {
        assert_ok(exits_chooser_new(&controls[i], model, NULL, &chooser, &error));
        look_and_go(&stage, chooser, &l);
        for (int t = 0; t < LOOKED_STEPS; t++) {
            float pose[DEER_MAX_EXITS][DEER_POSE], gripper[DEER_MAX_EXITS];

            for (int k = 0; k <= deer_model_max_exit(model); k++)
                would_do(&stage, &l, t, k, pose[k], &gripper[k]);
            assert_best(&controls[i], deer_model_config(model), &l, t, pose, gripper);
            shallow += l.exit[t] < deer_model_max_exit(model);
        }
        exits_chooser_free(chooser);
    }
    assert_true(shallow > 0);
    rollout_stage_close(&stage);
    deer_thresholds_free(deepest);
    deer_model_close(model);
}

/* ---------------------------------------------------------------- rows and splits ---------- */

/* A row holds different tasks, is the same for the same seed, and the expert does all of it. */
static void test_rows_can_be_done(void **state)
{
    tabletop *world = new_world();
    chain row, again;

    (void)state;
    for (int i = 0; i < unless_long(4, 12); i++) {
        tabletop_split split = i & 1 ? TABLETOP_UNSEEN : TABLETOP_SEEN;
        chain_draw(world, rollout_seed(17, i), -1, TABLETOP_CHAIN, split, &row);
        chain_draw(world, rollout_seed(17, i), -1, TABLETOP_CHAIN, split, &again);
        assert_memory_equal(row.tasks, again.tasks, sizeof row.tasks);
        assert_true(row.seed == again.seed);
        for (int n = 0; n < row.length; n++) {
            for (int m = 0; m < n; m++)
                assert_int_not_equal(row.tasks[m], row.tasks[n]);
            chain_begin(world, &row, n);
            assert_false(tabletop_succeeded(world));
            if (!expert_does(world, 0))
                fail_msg("row %d: %s fails", i, tabletop_task_name(row.tasks[n]));
        }
    }
    tabletop_free(world);
}

static bool in_kept_place(const float *xy)
{
    return xy[0] > 0.068 && xy[0] < 0.132 && xy[1] > -0.092 && xy[1] < -0.028;
}

/* No block starts in the place kept back, except the one that an unseen layout is about. */
static void test_layouts_keep_to_their_split(void **state)
{
    tabletop *world = new_world();
    float objects[TABLETOP_OBJECT_SIZE];
    int lift = tabletop_task_find("lift_middle"), kept = 0;

    (void)state;
    for (int i = 0; i < 50; i++) {
        tabletop_reset(world, rollout_seed(3, i), lift, TABLETOP_UNSEEN);
        tabletop_objects(world, objects);
        assert_true(in_kept_place(objects + 17));
        tabletop_reset(world, rollout_seed(3, i), lift, TABLETOP_SEEN);
        tabletop_objects(world, objects);
        for (int b = 0; b < TABLETOP_BLOCKS; b++)
            kept += objects[3 * b] > 0.072 && objects[3 * b] < 0.128 &&
                    objects[3 * b + 1] > -0.088 && objects[3 * b + 1] < -0.032;
    }
    assert_int_equal(kept, 0);
    tabletop_free(world);
}

/* Every word of an instruction, marked in known (or looked up there). */
static bool words_known(const char *instruction, char *known, size_t size, bool learn)
{
    char copy[160], *save, *word;

    snprintf(copy, sizeof copy, "%s", instruction);
    for (word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        char entry[40];
        snprintf(entry, sizeof entry, "|%s|", word);
        if (strstr(known, entry))
            continue;
        if (!learn || strlen(known) + strlen(entry) >= size)
            return false;
        strcat(known, entry);
    }
    return true;
}

/* Unseen wordings are new sentences made of words that seen ones have. */
static void test_unseen_wordings_use_seen_words(void **state)
{
    static char known[2000], sentences[80000];
    tabletop *world = new_world();

    (void)state;
    for (int task = 0; task < tabletop_every_task(); task++) {
        tabletop_reset(world, 8, task, TABLETOP_SEEN);
        for (int i = 0; i < 24; i++) {
            tabletop_ask(world, rollout_seed(8, i), task, TABLETOP_SEEN);
            assert_true(words_known(tabletop_instruction(world), known, sizeof known, true));
            strcat(strcat(strcat(sentences, "|"), tabletop_instruction(world)), "|");
        }
    }
    for (int task = 0; task < tabletop_every_task(); task++) {
        tabletop_reset(world, 9, task, TABLETOP_UNSEEN);
        for (int i = 0; i < 8; i++) {
            char sentence[160];
            tabletop_ask(world, rollout_seed(9, i), task, TABLETOP_UNSEEN);
            snprintf(sentence, sizeof sentence, "|%s|", tabletop_instruction(world));
            assert_null(strstr(sentences, sentence));
            if (!words_known(tabletop_instruction(world), known, sizeof known, false))
                fail_msg("a word of '%s' is in no seen instruction", tabletop_instruction(world));
        }
    }
    tabletop_free(world);
}

/* ---------------------------------------------------------------- workers ------------------ */

static deer_status square(void *context, int i, parallel_result *out, deer_error *err)
{
    int value = i * i;

    if (i == *(int *)context)
        return deer_fail(err, "job %d does not want to", i);
    return parallel_append(out, &value, sizeof value, err);
}

static int collected;

static deer_status in_order(void *context, int i, const void *data, size_t size, deer_error *err)
{
    (void)context;
    if (i != collected || size != sizeof(int) || *(const int *)data != i * i)
        return deer_fail(err, "wrong result for %d", i);
    collected++;
    return DEER_OK;
}

static void test_workers_answer_in_order(void **state)
{
    int none = -1;

    (void)state;
    for (int workers = 1; workers <= 5; workers++) {
        collected = 0;
        assert_ok(parallel_run(17, workers, NULL, square, in_order, &none, &error));
        assert_int_equal(collected, 17);
    }
}

static void test_a_failing_job_ends_the_run(void **state)
{
    int bad = 5;

    (void)state;
    collected = 0;
    assert_int_equal(parallel_run(17, 3, NULL, square, in_order, &bad, &error), DEER_FAILED);
    assert_string_equal(error.message, "job 5 does not want to");
    assert_int_equal(collected, 5);
}

static deer_status die(void *context, int i, parallel_result *out, deer_error *err)
{
    (void)context, (void)out, (void)err;
    if (i == 3)
        _Exit(1);
    return DEER_OK;
}

static deer_status accept(void *context, int i, const void *data, size_t size, deer_error *err)
{
    (void)context, (void)i, (void)data, (void)size, (void)err;
    return DEER_OK;
}

static void test_a_dying_worker_is_noticed(void **state)
{
    (void)state;
    assert_int_equal(parallel_run(8, 2, NULL, die, accept, NULL, &error), DEER_FAILED);
    assert_non_null(strstr(error.message, "died"));
}

static void test_wilson_interval(void **state)
{
    double low, high;

    (void)state;
    wilson_interval(8, 10, &low, &high); /* textbook values: 0.490, 0.943 */
    assert_true(fabs(low - 0.4902) < 1e-3 && fabs(high - 0.9433) < 1e-3);
    wilson_interval(0, 10, &low, &high);
    assert_true(low < 1e-12 && fabs(high - 0.2775) < 1e-3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_expert_does_every_task),
        cmocka_unit_test(test_expert_recovers_from_kicks),
        cmocka_unit_test(test_expert_steps_are_the_experts),
        cmocka_unit_test(test_time_allowed),
        cmocka_unit_test(test_lifting_another_block_is_harm),
        cmocka_unit_test(test_falling_off_the_table_is_harm),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_the_belt_moves),
        cmocka_unit_test(test_the_tray_has_walls),
        cmocka_unit_test(test_tasks_and_families),
        cmocka_unit_test(test_nothing_is_done_by_doing_nothing),
        cmocka_unit_test(test_hostile_actions_are_harmless),
        cmocka_unit_test(test_a_seed_is_an_episode),
        cmocka_unit_test(test_who_looks_takes_the_best),
        cmocka_unit_test(test_rows_can_be_done),
        cmocka_unit_test(test_layouts_keep_to_their_split),
        cmocka_unit_test(test_unseen_wordings_use_seen_words),
        cmocka_unit_test(test_workers_answer_in_order),
        cmocka_unit_test(test_a_failing_job_ends_the_run),
        cmocka_unit_test(test_a_dying_worker_is_noticed),
        cmocka_unit_test(test_wilson_interval),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
