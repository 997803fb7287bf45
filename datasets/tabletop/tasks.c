/* SPDX-License-Identifier: MIT */
/* tasks.c - what can be asked for, and in which words. */
#include <stdio.h>
#include <string.h>

#include "datasets/tabletop/world.h"

static const task_spec tasks[] = {
    {FAMILY_LIFT, NAMED_RED, NAMED_NOTHING, 0, "lift_red"},
    {FAMILY_LIFT, NAMED_GREEN, NAMED_NOTHING, 0, "lift_green"},
    {FAMILY_LIFT, NAMED_BLUE, NAMED_NOTHING, 0, "lift_blue"},
    {FAMILY_PUSH, NAMED_RED, NAMED_NOTHING, -1, "push_red_left"},
    {FAMILY_PUSH, NAMED_RED, NAMED_NOTHING, +1, "push_red_right"},
    {FAMILY_PUSH, NAMED_GREEN, NAMED_NOTHING, -1, "push_green_left"},
    {FAMILY_PUSH, NAMED_GREEN, NAMED_NOTHING, +1, "push_green_right"},
    {FAMILY_PUSH, NAMED_BLUE, NAMED_NOTHING, -1, "push_blue_left"},
    {FAMILY_PUSH, NAMED_BLUE, NAMED_NOTHING, +1, "push_blue_right"},
    {FAMILY_DRAWER, NAMED_NOTHING, NAMED_NOTHING, +1, "open_drawer"},
    {FAMILY_DRAWER, NAMED_NOTHING, NAMED_NOTHING, -1, "close_drawer"},
    {FAMILY_BUTTON, NAMED_NOTHING, NAMED_NOTHING, 0, "press_button"},
    {FAMILY_STACK, NAMED_RED, NAMED_GREEN, 0, "stack_red_on_green"},
    {FAMILY_STACK, NAMED_RED, NAMED_BLUE, 0, "stack_red_on_blue"},
    {FAMILY_STACK, NAMED_GREEN, NAMED_RED, 0, "stack_green_on_red"},
    {FAMILY_STACK, NAMED_GREEN, NAMED_BLUE, 0, "stack_green_on_blue"},
    {FAMILY_STACK, NAMED_BLUE, NAMED_RED, 0, "stack_blue_on_red"},
    {FAMILY_STACK, NAMED_BLUE, NAMED_GREEN, 0, "stack_blue_on_green"},
    {FAMILY_STORE, NAMED_RED, NAMED_NOTHING, 0, "store_red"},
    {FAMILY_STORE, NAMED_GREEN, NAMED_NOTHING, 0, "store_green"},
    {FAMILY_STORE, NAMED_BLUE, NAMED_NOTHING, 0, "store_blue"},
    {FAMILY_LIFT, NAMED_LEFTMOST, NAMED_NOTHING, 0, "lift_leftmost"},
    {FAMILY_LIFT, NAMED_MIDDLE, NAMED_NOTHING, 0, "lift_middle"},
    {FAMILY_LIFT, NAMED_RIGHTMOST, NAMED_NOTHING, 0, "lift_rightmost"},
    {FAMILY_PUSH, NAMED_NEAREST, NAMED_NOTHING, -1, "push_nearest_left"},
    {FAMILY_PUSH, NAMED_NEAREST, NAMED_NOTHING, +1, "push_nearest_right"},
    {FAMILY_STACK, NAMED_LEFTMOST, NAMED_RIGHTMOST, 0, "stack_leftmost_on_rightmost"},
    {FAMILY_STACK, NAMED_RIGHTMOST, NAMED_LEFTMOST, 0, "stack_rightmost_on_leftmost"},
    {FAMILY_STORE, NAMED_NEAREST, NAMED_NOTHING, 0, "store_nearest"},
    /* Those that the shipped policy has not learnt. */
    {FAMILY_LIFT, NAMED_LEFT_OF_RED, NAMED_NOTHING, 0, "lift_left_of_red"},
    {FAMILY_LIFT, NAMED_LEFT_OF_GREEN, NAMED_NOTHING, 0, "lift_left_of_green"},
    {FAMILY_LIFT, NAMED_LEFT_OF_BLUE, NAMED_NOTHING, 0, "lift_left_of_blue"},
    {FAMILY_LIFT, NAMED_RIGHT_OF_RED, NAMED_NOTHING, 0, "lift_right_of_red"},
    {FAMILY_LIFT, NAMED_RIGHT_OF_GREEN, NAMED_NOTHING, 0, "lift_right_of_green"},
    {FAMILY_LIFT, NAMED_RIGHT_OF_BLUE, NAMED_NOTHING, 0, "lift_right_of_blue"},
    {FAMILY_LIFT, NAMED_FARTHEST, NAMED_NOTHING, 0, "lift_farthest"},
    {FAMILY_STORE, NAMED_FARTHEST, NAMED_NOTHING, 0, "store_farthest"},
    {FAMILY_STORE, NAMED_LEFT_OF_RED, NAMED_NOTHING, 0, "store_left_of_red"},
    {FAMILY_PLACE, NAMED_RED, NAMED_NOTHING, 0, "place_red"},
    {FAMILY_PLACE, NAMED_GREEN, NAMED_NOTHING, 0, "place_green"},
    {FAMILY_PLACE, NAMED_BLUE, NAMED_NOTHING, 0, "place_blue"},
    {FAMILY_PLACE, NAMED_MIDDLE, NAMED_NOTHING, 0, "place_middle"},
    {FAMILY_LIFT, NAMED_RED, NAMED_NOTHING, 0, "lift_moving_red", true},
    {FAMILY_LIFT, NAMED_GREEN, NAMED_NOTHING, 0, "lift_moving_green", true},
    {FAMILY_LIFT, NAMED_BLUE, NAMED_NOTHING, 0, "lift_moving_blue", true},
};

enum { N_EVERY = sizeof tasks / sizeof *tasks, N_TASKS = 29 };

static const char *const family_names[] = {
    [FAMILY_LIFT] = "lift",     [FAMILY_PUSH] = "push",   [FAMILY_DRAWER] = "drawer",
    [FAMILY_BUTTON] = "button", [FAMILY_STACK] = "stack", [FAMILY_STORE] = "store",
    [FAMILY_PLACE] = "tray",
};

int tabletop_tasks(void)
{
    return N_TASKS;
}

int tabletop_every_task(void)
{
    return N_EVERY;
}

const char *tabletop_task_name(int task)
{
    return tasks[task].name;
}

const char *tabletop_task_family(int task)
{
    const task_spec *t = &tasks[task];

    if (t->moving)
        return "moving";
    if (t->family == FAMILY_PLACE || t->subject <= NAMED_BLUE || t->subject == NAMED_NOTHING)
        return family_names[t->family];
    return t->subject <= NAMED_NEAREST ? "relation" : "reference";
}

int tabletop_task_find(const char *name)
{
    for (int i = 0; i < N_EVERY; i++)
        if (!strcmp(tasks[i].name, name))
            return i;
    return -1;
}

const task_spec *task_of(int task)
{
    return &tasks[task];
}

/* ---------------------------------------------------------------- wording ------------------ */

/* Words of each skill, up to three seen in demonstrations and two kept back (made of the same
 * words). @ is the block, & the other block, > the side. */
typedef struct {
    const char *seen[3], *unseen[2];
} wording;

static const wording skill_words[] = {
    [FAMILY_LIFT] = {{"lift the @", "pick up the @", "grasp the @ and lift it"},
                     {"pick the @ up", "grasp the @ and pick it up"}},
    [FAMILY_PUSH] = {{"push the @ to the >", "slide the @ to the >", "move the @ >"},
                     {"push the @ >", "move the @ to the >"}},
    [FAMILY_BUTTON] = {{"press the button", "turn on the lamp",
                        "press the button and turn on the lamp"},
                       {"turn the lamp on", "push the button"}},
    [FAMILY_STACK] = {{"stack the @ on the &", "put the @ on top of the &", "place the @ on the &"},
                      {"put the @ on the &", "pick up the @ and place it on top of the &"}},
    [FAMILY_STORE] = {{"put the @ in the drawer", "place the @ in the drawer",
                       "store the @ in the drawer"},
                      {"pick up the @ and put it in the drawer", "move the @ in the drawer"}},
    [FAMILY_PLACE] = {{"put the @ in the tray", "place the @ in the tray", "set the @ in the tray"},
                      {"pick up the @ and put it in the tray", "move the @ in the tray"}},
};
static const wording moving_words = {
    {"lift the moving @", "pick up the moving @", "grasp the moving @ and lift it"},
    {"pick the moving @ up", "grasp the moving @ and pick it up"}};
static const wording open_words = {
    {"open the drawer", "pull the drawer open", "pull the drawer to open it"},
    {"pull open the drawer", "slide the drawer open"}};
static const wording close_words = {
    {"close the drawer", "push the drawer closed", "push the drawer to close it"},
    {"slide the drawer closed", "slide the drawer to close it"}};

static const char *const block_words[] = {
    [NAMED_RED] = "red block",
    [NAMED_GREEN] = "green block",
    [NAMED_BLUE] = "blue block",
    [NAMED_LEFTMOST] = "leftmost block",
    [NAMED_MIDDLE] = "middle block",
    [NAMED_RIGHTMOST] = "rightmost block",
    [NAMED_NEAREST] = "block nearest the button",
    [NAMED_FARTHEST] = "block farthest from the button",
    [NAMED_LEFT_OF_RED] = "block left of the red one",
    [NAMED_LEFT_OF_GREEN] = "block left of the green one",
    [NAMED_LEFT_OF_BLUE] = "block left of the blue one",
    [NAMED_RIGHT_OF_RED] = "block right of the red one",
    [NAMED_RIGHT_OF_GREEN] = "block right of the green one",
    [NAMED_RIGHT_OF_BLUE] = "block right of the blue one",
    [NAMED_NOTHING] = "",
};

static const wording *words_of(const task_spec *t)
{
    if (t->family == FAMILY_DRAWER)
        return t->direction > 0 ? &open_words : &close_words;
    if (t->moving)
        return &moving_words;
    return &skill_words[t->family];
}

static void word_instruction(tabletop *world, tabletop_split split)
{
    const task_spec *t = task_of(world->task);
    const wording *words = words_of(t);
    const char *pattern = split == TABLETOP_SEEN ? words->seen[random_below(&world->random, 3)]
                                                 : words->unseen[random_below(&world->random, 2)];
    char *s = world->instruction, *end = s + sizeof world->instruction;

    for (; *pattern; pattern++) {
        const char one[2] = {*pattern, 0};
        const char *part = *pattern == '@'   ? block_words[t->subject]
                           : *pattern == '&' ? block_words[t->other]
                           : *pattern == '>' ? (t->direction > 0 ? "right" : "left")
                                             : one;
        s += snprintf(s, (size_t)(end - s), "%s", part);
    }
}

/* ---------------------------------------------------------------- whom it means ------------ */

static const double clear = 0.03; /* by which one must be further than another, metres */

/* Blocks that stand on the table, by what is asked of them: smallest first. */
static int find_by_order(const tabletop *world, block_name name)
{
    bool by_button = name == NAMED_NEAREST || name == NAMED_FARTHEST;
    int order[TABLETOP_BLOCKS] = {0, 1, 2};
    double key[TABLETOP_BLOCKS];

    for (int i = 0; i < TABLETOP_BLOCKS; i++) {
        const double *b = world_block(world, i);
        if (b[2] > 0.03 || world_in_drawer(world, i) || world_held(world) == i)
            return -1;
        key[i] = by_button ? hypot(b[0] - WORLD_BUTTON_X, b[1] - WORLD_BUTTON_Y) : b[0];
    }
    for (int i = 1; i < TABLETOP_BLOCKS; i++)
        for (int j = i; j > 0 && key[order[j]] < key[order[j - 1]]; j--) {
            int swap = order[j];
            order[j] = order[j - 1];
            order[j - 1] = swap;
        }
    if ((name != NAMED_FARTHEST && key[order[1]] - key[order[0]] < clear) ||
        (name != NAMED_NEAREST && key[order[2]] - key[order[1]] < clear))
        return -1;
    return name == NAMED_MIDDLE                                ? order[1]
           : name == NAMED_RIGHTMOST || name == NAMED_FARTHEST ? order[2]
                                                               : order[0];
}

/* The only block beside that of a colour on one side, where it is clear for both others. */
static int find_beside(const tabletop *world, block_name name)
{
    int side = name >= NAMED_RIGHT_OF_RED ? 1 : -1, found = -1;
    int of = name - (side > 0 ? NAMED_RIGHT_OF_RED : NAMED_LEFT_OF_RED);

    if (find_by_order(world, NAMED_MIDDLE) < 0) /* all three apart, on the table */
        return -1;
    for (int i = 0; i < TABLETOP_BLOCKS; i++) {
        double away = (world_block(world, i)[0] - world_block(world, of)[0]) * side;

        if (i == of || away <= 0)
            continue;
        if (found >= 0)
            return -1; /* two */
        found = i;
    }
    return found;
}

int world_find(const tabletop *world, block_name name)
{
    if (name == NAMED_NOTHING)
        return -1;
    if (name >= NAMED_LEFT_OF_RED)
        return find_beside(world, name);
    return name <= NAMED_BLUE ? (int)name : find_by_order(world, name);
}

void task_begin(tabletop *world, int task, tabletop_split split)
{
    world->task = task;
    world->block = world_find(world, tasks[task].subject);
    world->other = world_find(world, tasks[task].other);
    if (world->block >= 0)
        memcpy(world->start, world_block(world, world->block), sizeof world->start);
    for (int i = 0; i < WORLD_OBJECTS; i++)
        world->height[i] = world_block(world, i)[2];
    world->held = world_held(world);
    world->riding = tasks[task].moving && world->block >= 0;
    word_instruction(world, split);
}
