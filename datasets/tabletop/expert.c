/* SPDX-License-Identifier: MIT */
/* expert.c - the scripted expert: where the hand should go next, from the present state alone.
 *
 * Each skill is a short list of "if the hand is here, go there" rules, most advanced stage first,
 * so that the expert picks up from any state, also one that somebody else made. */
#include <string.h>

#include "datasets/tabletop/world.h"

static const double gain = 0.75;   /* of the way to the goal in one step */
static const double travel = 0.10; /* height at which the hand moves about, metres */
static const double open_grip = 1, closed_grip = -1;

static double clamp1(double x)
{
    return x < -1 ? -1 : x > 1 ? 1 : x;
}

static void go(const tabletop *world, double x, double y, double z, double yaw, double grip,
               float *action)
{
    const double *t = world->target;

    memset(action, 0, DEER_COMMAND * sizeof *action);
    action[0] = (float)clamp1(gain * (x - t[0]) / TABLETOP_METRES);
    action[1] = (float)clamp1(gain * (y - t[1]) / TABLETOP_METRES);
    action[2] = (float)clamp1(gain * (z - t[2]) / TABLETOP_METRES);
    action[5] = (float)clamp1(gain * (yaw - t[3]) / TABLETOP_RADIANS);
    action[6] = (float)grip;
}

static double away(const tabletop *world, double x, double y)
{
    return hypot(world_hand(world)[0] - x, world_hand(world)[1] - y);
}

/* As go, for the way to where a skill begins: a hand that is low somewhere else rises first, with
 * its fingers as they are, so that it neither drags along nor knocks over what is around it. */
static void approach(const tabletop *world, double x, double y, double z, double yaw, double grip,
                     float *action)
{
    const double *hand = world_hand(world);

    if (hand[2] < 0.085 && away(world, x, y) > 0.03)
        go(world, hand[0], hand[1], 0.115, world->target[3], world->open ? open_grip : closed_grip,
           action);
    else
        go(world, x, y, z, yaw, grip, action);
}

/* How far a block on the belt gets in two steps, by which the hand follows what it aims at. */
static double ahead(const tabletop *world, int block)
{
    return world->riding && block == world->block && world_block(world, block)[0] < WORLD_BELT_END
               ? 2 * WORLD_BELT_SPEED / TABLETOP_CONTROL_HZ
               : 0;
}

/* Moves towards holding the block; true once it is held (action is then the caller's to choose). */
static bool grasp(const tabletop *world, int block, float *action)
{
    const double *at = world_block(world, block), *hand = world_hand(world);
    double b[3] = {at[0] + ahead(world, block), at[1], at[2]}; /* where it will be */
    double yaw = world_block_yaw(world, block), error = away(world, b[0], b[1]);
    double turn = fabs(hand[3] - yaw), low = fmax(b[2] - 0.010, 0.008);
    double tolerance = hand[2] < low + 0.06 ? 0.014 : 0.010;

    if (world_holds(world, block))
        return true;
    if (error < 0.009 && turn < 0.12 && hand[2] < low + 0.008 && world_width(world) > 0.036)
        go(world, b[0], b[1], low, yaw, closed_grip, action);
    else if (error < tolerance && turn < 0.15)
        go(world, b[0], b[1], low, yaw, open_grip, action);
    else if (error < 0.05)
        go(world, b[0], b[1], low + 0.08, yaw, open_grip, action);
    else
        approach(world, b[0], b[1], low + 0.09, yaw, open_grip, action);
    return false;
}

static void lift(const tabletop *world, float *action)
{
    if (grasp(world, world->block, action))
        go(world, world_hand(world)[0], world_hand(world)[1], 0.16, world->target[3], closed_grip,
           action);
}

/* Pushes with closed fingers from behind the block, along x. */
static void push(const tabletop *world, float *action)
{
    const double *b = world_block(world, world->block), *hand = world_hand(world);
    int direction = task_of(world->task)->direction;
    double behind = b[0] - 0.052 * direction, gap = (b[0] - hand[0]) * direction;

    if (hand[2] < 0.035 && gap > 0.025 && fabs(hand[1] - b[1]) < 0.014 && fabs(hand[3]) < 0.2)
        go(world, world->start[0] + 0.12 * direction, b[1], 0.016, 0, closed_grip, action);
    else if (away(world, behind, b[1]) < 0.012 && fabs(hand[3]) < 0.12)
        go(world, behind, b[1], 0.014, 0, closed_grip, action);
    else
        approach(world, behind, b[1], travel, 0, closed_grip, action);
}

/* Hooks the closed fingers between the drawer's front and its handle, and pulls. */
static void open_drawer(const tabletop *world, float *action)
{
    const double *hand = world_hand(world);
    double handle = WORLD_DRAWER_Y - world_drawer(world) + WORLD_HANDLE_Y, hook = handle + 0.027;

    if (hand[2] < 0.055 && hand[1] > handle + 0.010 && hand[1] < handle + 0.045 &&
        fabs(hand[0] - WORLD_DRAWER_X) < 0.035)
        go(world, WORLD_DRAWER_X, -0.11, 0.042, 0, closed_grip, action);
    else if (away(world, WORLD_DRAWER_X, hook) < 0.010 && fabs(hand[3]) < 0.15)
        go(world, WORLD_DRAWER_X, hook, 0.040, 0, closed_grip, action);
    else
        approach(world, WORLD_DRAWER_X, hook, 0.11, 0, closed_grip, action);
}

static void close_drawer(const tabletop *world, float *action)
{
    const double *hand = world_hand(world);
    double handle = WORLD_DRAWER_Y - world_drawer(world) + WORLD_HANDLE_Y, front = handle - 0.04;

    if (hand[2] < 0.06 && hand[1] < handle - 0.008 && fabs(hand[0] - WORLD_DRAWER_X) < 0.035)
        go(world, WORLD_DRAWER_X, 0.26, 0.042, 0, closed_grip, action);
    else if (away(world, WORLD_DRAWER_X, front) < 0.012)
        go(world, WORLD_DRAWER_X, front, 0.040, 0, closed_grip, action);
    else
        approach(world, WORLD_DRAWER_X, front, 0.11, 0, closed_grip, action);
}

static void press_button(const tabletop *world, float *action)
{
    double z = away(world, WORLD_BUTTON_X, WORLD_BUTTON_Y) < 0.012 ? 0.010 : 0.09;

    approach(world, WORLD_BUTTON_X, WORLD_BUTTON_Y, z, 0, closed_grip, action);
}

static void retreat(const tabletop *world, float *action)
{
    go(world, world_hand(world)[0], world_hand(world)[1], 0.16, world->target[3], open_grip,
       action);
}

static void store(const tabletop *world, float *action)
{
    const double *hand = world_hand(world);
    double y = WORLD_DRAWER_Y - world_drawer(world) - 0.010;
    double error = away(world, WORLD_DRAWER_X, y);

    if (world->open && world_in_drawer(world, world->block))
        retreat(world, action);
    else if (!grasp(world, world->block, action))
        return;
    else if (error < 0.02 && hand[2] < 0.075)
        go(world, WORLD_DRAWER_X, y, 0.07, world->target[3], open_grip, action);
    else if (error < 0.02)
        go(world, WORLD_DRAWER_X, y, 0.055, world->target[3], closed_grip, action);
    else if (error > 0.06 && hand[2] < 0.09)
        go(world, hand[0], hand[1], 0.14, world->target[3], closed_grip, action);
    else
        go(world, WORLD_DRAWER_X, y, 0.13, 0, closed_grip, action);
}

/* Between the walls of the tray, straight. */
static void place(const tabletop *world, float *action)
{
    const double *b = world_block(world, world->block), *hand = world_hand(world);
    double dx = WORLD_TRAY_X - b[0], dy = WORLD_TRAY_Y - b[1], error = hypot(dx, dy);
    double x = world->target[0] + dx, y = world->target[1] + dy;
    double turn = fabs(world_block_yaw(world, world->block));

    if (world->open && world_in_tray(world, world->block))
        retreat(world, action);
    else if (!grasp(world, world->block, action))
        return;
    else if (error < 0.005 && b[2] < 0.0235)
        go(world, world->target[0], world->target[1], world->target[2], world->target[3], open_grip,
           action);
    else if (error < 0.004 && turn < 0.06)
        go(world, x, y, 0.0205 - (b[2] - hand[2]), world->target[3], closed_grip, action);
    else if (error > 0.06 && b[2] < 0.05)
        go(world, hand[0], hand[1], 0.10, world->target[3], closed_grip, action);
    else
        go(world, x, y, error < 0.015 ? 0.06 : 0.09, 0, closed_grip, action);
}

static void stack(const tabletop *world, float *action)
{
    int block = world->block, other = world->other;
    const double *b = world_block(world, block), *o = world_block(world, other);
    const double *hand = world_hand(world);
    double dx = o[0] - b[0], dy = o[1] - b[1], error = hypot(dx, dy);
    double x = world->target[0] + dx, y = world->target[1] + dy;
    double yaw = world_block_yaw(world, other), rest = o[2] + WORLD_BLOCK;
    double grip_height = b[2] - hand[2]; /* how high in the fingers the block sits */

    if (world->open && world_stacked(world, block, other))
        retreat(world, action);
    else if (!grasp(world, block, action))
        return;
    else if (error < 0.009 && b[2] < rest + 0.0035)
        go(world, world->target[0], world->target[1], world->target[2], world->target[3], open_grip,
           action);
    else if (error < 0.009 && fabs(hand[3] - yaw) < 0.15)
        go(world, x, y, rest - grip_height - 0.001, yaw, closed_grip, action);
    else if (error > 0.06 && b[2] < rest + 0.03)
        go(world, hand[0], hand[1], 0.13, world->target[3], closed_grip, action);
    else
        go(world, x, y, error < 0.015 && b[2] < rest + 0.03 ? hand[2] : 0.105, yaw, closed_grip,
           action);
}

/* ---------------------------------------------------------------- what is left over -------- */

/* Nothing but what is held within reach of a block set down there. */
static bool is_free(const tabletop *world, double x, double y, int held)
{
    for (int i = 0; i < WORLD_OBJECTS; i++) {
        const double *o = world_block(world, i);
        if (i != held && o[2] > 0 && hypot(o[0] - x, o[1] - y) < 0.095)
            return false;
    }
    return true;
}

/* The free place nearest the hand to put a block down. */
static void free_place(const tabletop *world, int held, double *x, double *y)
{
    double nearest = INFINITY;

    *x = world_hand(world)[0];
    *y = world_hand(world)[1];
    for (int i = 0; i < 8; i++)
        for (int j = 0; j < 8; j++) {
            double px = -0.03 + 0.035 * i, py = -0.16 + 0.035 * j, d = away(world, px, py);
            if (d < nearest && is_free(world, px, py, held)) {
                nearest = d;
                *x = px;
                *y = py;
            }
        }
}

/* Puts down what a task before has left in the hand. */
static void put_down(const tabletop *world, int held, float *action)
{
    const double *hand = world_hand(world), *b = world_block(world, held);
    double x, y;

    free_place(world, held, &x, &y);
    if (away(world, x, y) > 0.02)
        go(world, b[2] < 0.09 ? hand[0] : x, b[2] < 0.09 ? hand[1] : y, 0.13, 0, closed_grip,
           action);
    else
        go(world, x, y, hand[2] - b[2] + WORLD_BLOCK / 2, 0, b[2] < 0.026 ? open_grip : closed_grip,
           action);
}

static bool wants_in_hand(const tabletop *world, int block)
{
    task_family family = task_of(world->task)->family;

    return block == world->block && (family == FAMILY_LIFT || family == FAMILY_STACK ||
                                     family == FAMILY_STORE || family == FAMILY_PLACE);
}

void tabletop_expert(const tabletop *world, float action[DEER_COMMAND])
{
    int held = world_held(world);

    if (held >= 0 && !wants_in_hand(world, held)) {
        put_down(world, held, action);
        return;
    }
    switch (task_of(world->task)->family) {
    case FAMILY_LIFT:
        lift(world, action);
        break;
    case FAMILY_PUSH:
        push(world, action);
        break;
    case FAMILY_DRAWER:
        if (task_of(world->task)->direction > 0)
            open_drawer(world, action);
        else
            close_drawer(world, action);
        break;
    case FAMILY_BUTTON:
        press_button(world, action);
        break;
    case FAMILY_STORE:
        store(world, action);
        break;
    case FAMILY_STACK:
        stack(world, action);
        break;
    case FAMILY_PLACE:
        place(world, action);
        break;
    }
}

int tabletop_expert_steps(const tabletop *world, tabletop *scratch)
{
    float action[DEER_COMMAND];
    int steps = 0;

    world_copy(scratch, world);
    for (; steps < TABLETOP_MAX_STEPS && !tabletop_succeeded(scratch); steps++) {
        tabletop_expert(scratch, action);
        tabletop_step(scratch, action);
    }
    return tabletop_succeeded(scratch) ? steps : 0;
}
