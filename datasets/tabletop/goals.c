/* SPDX-License-Identifier: MIT */
/* goals.c - when a task is done, and the state as numbers. */
#include "datasets/tabletop/world.h"

/* ---------------------------------------------------------------- success ------------------ */

static bool pushed(const tabletop *world)
{
    const double *b = world_block(world, world->block);

    return (b[0] - world->start[0]) * task_of(world->task)->direction > 0.07 &&
           fabs(b[1] - world->start[1]) < 0.06 && b[2] < 0.03;
}

static bool released(const tabletop *world)
{
    return world->open && world_width(world) > 0.06;
}

bool tabletop_succeeded(const tabletop *world)
{
    const task_spec *t = task_of(world->task);

    if (world->block < 0 && t->subject != NAMED_NOTHING)
        return false; /* it was not clear who is meant */
    switch (t->family) {
    case FAMILY_LIFT:
        return world_block(world, world->block)[2] > world->start[2] + 0.055;
    case FAMILY_PUSH:
        return pushed(world);
    case FAMILY_DRAWER:
        return t->direction > 0 ? world_drawer(world) > 0.13 : world_drawer(world) < 0.02;
    case FAMILY_BUTTON:
        return world->lamp;
    case FAMILY_STACK:
        return world_stacked(world, world->block, world->other) && released(world);
    case FAMILY_STORE:
        return world_in_drawer(world, world->block) && released(world);
    case FAMILY_PLACE:
        return world_in_tray(world, world->block) && released(world);
    }
    return false;
}

/* ---------------------------------------------------------------- harm --------------------- */

tabletop_harm tabletop_harm_done(const tabletop *world)
{
    static const double below = -0.03, lifted = 0.03; /* metres */

    for (int i = 0; i < WORLD_OBJECTS; i++) {
        double z = world_block(world, i)[2];

        if (world->height[i] > 0 && z < below)
            return TABLETOP_FELL;
        /* What a task before left in the hand has to be moved. */
        if (i != world->block && i != world->held && z > world->height[i] + lifted)
            return TABLETOP_LIFTED_OTHER;
    }
    return TABLETOP_NO_HARM;
}

const char *tabletop_harm_name(tabletop_harm harm)
{
    static const char *const names[] = {"none", "fell", "lifted"};

    return names[harm];
}

/* ---------------------------------------------------------------- state as numbers --------- */

static void subject_of(const tabletop *world, float xy[2])
{
    const task_spec *t = task_of(world->task);

    if (t->family == FAMILY_DRAWER) {
        xy[0] = WORLD_DRAWER_X;
        xy[1] = (float)(WORLD_DRAWER_Y - world_drawer(world) + WORLD_HANDLE_Y);
    } else if (t->family == FAMILY_BUTTON) {
        xy[0] = WORLD_BUTTON_X;
        xy[1] = WORLD_BUTTON_Y;
    } else {
        xy[0] = (float)world_block(world, world->block)[0];
        xy[1] = (float)world_block(world, world->block)[1];
    }
}

static void goal_of(const tabletop *world, const float subject[2], float xy[2])
{
    const task_spec *t = task_of(world->task);

    xy[0] = subject[0];
    xy[1] = subject[1];
    switch (t->family) {
    case FAMILY_PUSH:
        xy[0] = (float)(world->start[0] + 0.10 * t->direction);
        xy[1] = (float)world->start[1];
        break;
    case FAMILY_STACK:
        xy[0] = (float)world_block(world, world->other)[0];
        xy[1] = (float)world_block(world, world->other)[1];
        break;
    case FAMILY_STORE:
        xy[0] = WORLD_DRAWER_X;
        xy[1] = (float)(WORLD_DRAWER_Y - world_drawer(world));
        break;
    case FAMILY_PLACE:
        xy[0] = (float)WORLD_TRAY_X;
        xy[1] = (float)WORLD_TRAY_Y;
        break;
    case FAMILY_DRAWER:
        xy[1] =
            (float)(WORLD_DRAWER_Y + WORLD_HANDLE_Y - (t->direction > 0 ? WORLD_DRAWER_OPEN : 0));
        break;
    default:
        break;
    }
}

void tabletop_objects(const tabletop *world, float out[TABLETOP_OBJECT_SIZE])
{
    const double *hand = world_hand(world);

    for (int i = 0; i < TABLETOP_BLOCKS; i++)
        for (int c = 0; c < 3; c++)
            out[3 * i + c] = (float)world_block(world, i)[c];
    out[9] = (float)world_drawer(world);
    out[10] = world->lamp;
    for (int i = 0; i < 4; i++)
        out[11 + i] = (float)hand[i];
    out[15] = (float)world_width(world);
    out[16] = world->open ? 1 : -1;
    subject_of(world, out + 17);
    goal_of(world, out + 17, out + 19);
}

/* ---------------------------------------------------------------- phases ------------------- */

tabletop_phase tabletop_phase_of(const tabletop *world)
{
    static const double near = 0.05; /* metres, horizontally */
    const double *hand = world_hand(world);
    float subject[2], goal[2];

    subject_of(world, subject);
    goal_of(world, subject, goal);
    if (world->block >= 0 && world_holds(world, world->block))
        return hypot(hand[0] - goal[0], hand[1] - goal[1]) > near ? TABLETOP_CARRY : TABLETOP_PLACE;
    return hypot(hand[0] - subject[0], hand[1] - subject[1]) > near ? TABLETOP_REACH
                                                                    : TABLETOP_ENGAGE;
}

const char *tabletop_phase_name(tabletop_phase phase)
{
    static const char *const names[TABLETOP_PHASES] = {"reach", "engage", "carry", "place"};

    return names[phase];
}
