/* SPDX-License-Identifier: MIT */
/* layout.c - where things stand at the start of an episode, and what is possible in a state. */
#include "datasets/tabletop/world.h"

typedef struct {
    double x, y;
} point;

/* The place kept back for the unseen split: a square of the table where in seen layouts no block
 * starts. */
static const point kept_low = {0.07, -0.09}, kept_high = {0.13, -0.03};

static const double apart = 0.075; /* between centres, so that open fingers fit around a block */
static const double drawer_usable = 0.12; /* opening from which the drawer counts as open */

/* ---------------------------------------------------------------- possible ----------------- */

static double distance(const double *a, const double *b)
{
    return hypot(a[0] - b[0], a[1] - b[1]);
}

static bool covered(const tabletop *world, int block)
{
    const double *b = world_block(world, block);

    for (int i = 0; i < WORLD_OBJECTS; i++)
        if (i != block && distance(world_block(world, i), b) < 0.04 &&
            world_block(world, i)[2] > b[2] + 0.02)
            return true;
    return false;
}

/* Nothing at the block's own height within `room`, `except` aside. */
static bool has_room(const tabletop *world, int block, int except, double room)
{
    const double *b = world_block(world, block);

    for (int i = 0; i < WORLD_OBJECTS; i++)
        if (i != block && i != except && distance(world_block(world, i), b) < room &&
            fabs(world_block(world, i)[2] - b[2]) < 0.03)
            return false;
    return true;
}

static bool within_reach(const tabletop *world, int block)
{
    const double *b = world_block(world, block), button[2] = {WORLD_BUTTON_X, WORLD_BUTTON_Y};

    /* Beside the open drawer there is no room for the left finger. */
    if (b[0] < -0.033 && b[1] > -0.10 && world_drawer(world) > 0.02)
        return false;
    return b[0] > -0.065 && b[0] < 0.26 && b[1] > -0.19 && b[1] < 0.13 && b[2] > 0 &&
           distance(b, button) > 0.075 && !world_in_drawer(world, block);
}

static bool can_grasp(const tabletop *world, int block)
{
    return world_held(world) != block && within_reach(world, block) && !covered(world, block) &&
           world_block(world, block)[2] < 0.065 && has_room(world, block, -1, apart);
}

/* Room behind for the hand, nothing in the way, and the end still on the work space. */
static bool can_push(const tabletop *world, int block, int direction)
{
    const double *b = world_block(world, block);
    double end = b[0] + 0.10 * direction, behind = b[0] - 0.052 * direction;

    if (b[2] > 0.03 || fmin(end, behind) < -0.065 || fmax(end, behind) > 0.26)
        return false;
    for (int i = 0; i < WORLD_OBJECTS; i++) {
        const double *o = world_block(world, i);
        double ahead = (o[0] - b[0]) * direction;
        if (i != block && o[2] > 0 && fabs(o[1] - b[1]) < 0.07 && ahead > -0.12 && ahead < 0.19)
            return false;
    }
    return true;
}

static bool can_open(const tabletop *world)
{
    for (int i = 0; i < WORLD_OBJECTS; i++) {
        const double *o = world_block(world, i);
        if (o[2] > 0 && !world_in_drawer(world, i) && o[0] < -0.065 && o[1] > -0.16)
            return false;
    }
    return world_drawer(world) < 0.02;
}

static bool can_store(const tabletop *world)
{
    for (int i = 0; i < WORLD_OBJECTS; i++)
        if (world_in_drawer(world, i))
            return false;
    return world_drawer(world) > drawer_usable;
}

static bool can_press(const tabletop *world)
{
    const double button[2] = {WORLD_BUTTON_X, WORLD_BUTTON_Y};

    for (int i = 0; i < WORLD_OBJECTS; i++)
        if (world_block(world, i)[2] > 0 && distance(world_block(world, i), button) < 0.07)
            return false;
    return !world->lamp;
}

static bool can_stack(const tabletop *world, int block, int other)
{
    return other >= 0 && other != block && within_reach(world, other) && !covered(world, other) &&
           world_block(world, other)[2] < 0.03 && has_room(world, other, block, apart) &&
           world_held(world) != other;
}

bool tabletop_possible(const tabletop *world, int task)
{
    const task_spec *t = task_of(task);
    int block = world_find(world, t->subject), other = world_find(world, t->other);
    bool in_hand;

    if (t->subject != NAMED_NOTHING && block < 0)
        return false;
    in_hand = block >= 0 && (world_held(world) == block || can_grasp(world, block));
    switch (t->family) {
    case FAMILY_LIFT: /* one on the belt needs the way that it will be carried */
        return can_grasp(world, block) && (!t->moving || can_push(world, block, 1));
    case FAMILY_PUSH:
        return can_grasp(world, block) && can_push(world, block, t->direction);
    case FAMILY_DRAWER:
        return t->direction > 0 ? can_open(world) : world_drawer(world) > drawer_usable;
    case FAMILY_BUTTON:
        return can_press(world);
    case FAMILY_STACK:
        return in_hand && can_stack(world, block, other);
    case FAMILY_STORE:
        return in_hand && can_store(world);
    case FAMILY_PLACE:
        return in_hand && world_drawer(world) < 0.02;
    }
    return false;
}

/* ---------------------------------------------------------------- layouts ------------------ */

static bool in_kept_place(const double *b)
{
    return b[0] > kept_low.x && b[0] < kept_high.x && b[1] > kept_low.y && b[1] < kept_high.y;
}

/* Seen: no block in the place kept back. Unseen: the block that is meant is there. */
static bool fits_split(const tabletop *world, int task, tabletop_split split)
{
    int block = world_find(world, task_of(task)->subject);

    if (split == TABLETOP_UNSEEN)
        return block < 0 || in_kept_place(world_block(world, block));
    for (int i = 0; i < TABLETOP_BLOCKS; i++)
        if (in_kept_place(world_block(world, i)))
            return false;
    return true;
}

static bool all_apart(const tabletop *world)
{
    for (int i = 0; i < WORLD_OBJECTS; i++)
        if (world_block(world, i)[2] > 0 && !has_room(world, i, -1, 0.085))
            return false;
    return true;
}

static void put(tabletop *world, int object, double x, double y, double yaw)
{
    double *q = world->data->qpos + world->objects[object];

    q[0] = x;
    q[1] = y;
    q[2] = WORLD_BLOCK / 2 + 3e-3;
    q[3] = cos(yaw / 2);
    q[4] = q[5] = 0;
    q[6] = sin(yaw / 2);
}

/* Each distractor is on the table half of the time; else it stays where the scene has it, out of
 * sight. */
static void draw_positions(tabletop *world, const bool *present)
{
    uint64_t *random = &world->random;

    for (int i = 0; i < WORLD_OBJECTS; i++)
        if (present[i])
            put(world, i, random_uniform(random, -0.05, 0.23), random_uniform(random, -0.18, 0.11),
                random_uniform(random, -0.4, 0.4));
}

static double drawer_start(tabletop *world, const task_spec *t)
{
    if (t->family == FAMILY_STORE)
        return WORLD_DRAWER_OPEN;
    if (t->family == FAMILY_PLACE)
        return 0;
    if (t->family == FAMILY_DRAWER)
        return t->direction > 0 ? 0 : WORLD_DRAWER_OPEN;
    return random_uniform(&world->random, 0, 1) < 0.35 ? WORLD_DRAWER_OPEN : 0;
}

void layout_draw(tabletop *world, int task, tabletop_split split)
{
    const task_spec *t = task_of(task);
    bool present[WORLD_OBJECTS];

    world->data->qpos[world->drawer] = drawer_start(world, t);
    world->lamp = t->family != FAMILY_BUTTON && random_uniform(&world->random, 0, 1) < 0.3;
    for (int i = 0; i < WORLD_OBJECTS; i++)
        present[i] = i < TABLETOP_BLOCKS || random_uniform(&world->random, 0, 1) < 0.5;
    do {
        draw_positions(world, present);
    } while (!all_apart(world) || !fits_split(world, task, split) ||
             !tabletop_possible(world, task));
    if (t->moving)
        world->model->geom_pos[3 * world->belt + 1] =
            world_block(world, world_find(world, t->subject))[1];
}
