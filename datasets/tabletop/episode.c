/* SPDX-License-Identifier: MIT */
/* episode.c - where an episode begins: how the table looks, where things stand, what is asked. */
#include "datasets/tabletop/world.h"

/* Lighting within 25%, camera within 4 mm and 0.4 degrees: enough that pixels alone do not repeat.
 */
static void vary_appearance(tabletop *world)
{
    mjModel *m = world->model;
    double light = random_uniform(&world->random, 0.75, 1.25);
    double turn[4] = {1, 0, 0, 0};

    for (int i = 0; i < 3; i++) {
        double tint = light * random_uniform(&world->random, 0.95, 1.05);
        m->light_diffuse[3 * world->light + i] = (float)(world->light_diffuse[i] * tint);
        m->vis.headlight.diffuse[i] = (float)(world->headlight[i] * tint);
        m->cam_pos[3 * world->camera + i] =
            world->camera_pos[i] + random_uniform(&world->random, -0.004, 0.004);
        turn[1 + i] = random_uniform(&world->random, -0.0035, 0.0035);
    }
    mju_normalize4(turn);
    mju_mulQuat(m->cam_quat + 4 * world->camera, world->camera_quat, turn);
}

static void draw_hand(tabletop *world)
{
    static const double low[4] = {-0.08, -0.10, 0.14, -0.3}, high[4] = {0.18, 0.10, 0.20, 0.3};
    double target[4];

    for (int i = 0; i < 4; i++)
        target[i] = random_uniform(&world->random, low[i], high[i]);
    world_place_hand(world, target);
}

void tabletop_reset(tabletop *world, uint64_t seed, int task, tabletop_split split)
{
    uint64_t mix = (uint64_t)task;

    world->random = seed ^ random_next(&mix);
    world->kick = 0;
    world->riding = false;
    mj_resetData(world->model, world->data);
    world_furnish(world, task_of(task));
    vary_appearance(world);
    draw_hand(world);
    layout_draw(world, task, split);
    world_settle(world);
    task_begin(world, task, split);
}

void tabletop_ask(tabletop *world, uint64_t seed, int task, tabletop_split split)
{
    world->random = seed;
    world->kick = 0;
    task_begin(world, task, split);
}

deer_status tabletop_new(tabletop **out, deer_error *err)
{
    deer_status status = world_new(out, err);

    if (!status)
        tabletop_reset(*out, 0, 0, TABLETOP_SEEN);
    return status;
}
