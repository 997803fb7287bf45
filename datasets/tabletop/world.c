/* SPDX-License-Identifier: MIT */
/* world.c - the physics of the tabletop: construction, control step, state queries. */
#include <stdlib.h>
#include <string.h>

#include "datasets/tabletop/world.h"

extern const char tabletop_scene_xml[];

static const int physics_steps = 20; /* of 5 ms: TABLETOP_CONTROL_HZ */
static const double open_finger = 0.036, closed_finger = -0.004;
static const double reach_low[3] = {-0.28, -0.24, 0.004}, reach_high[3] = {0.28, 0.30, 0.26};
static const double yaw_limit = 0.9;
static const double lamp_switch = -0.010; /* button travel that turns the lamp on, metres */

static double clamp(double x, double low, double high)
{
    return x < low ? low : x > high ? high : x;
}

/* ---------------------------------------------------------------- construction ------------- */

static mjModel *load_scene(deer_error *err)
{
    char message[400] = "";
    size_t size = strlen(tabletop_scene_xml);
    mjVFS *vfs = malloc(sizeof *vfs);
    mjModel *model = NULL;

    if (!vfs) {
        deer_fail(err, "out of memory loading the tabletop scene");
        return NULL;
    }
    mj_defaultVFS(vfs);
    if (mj_makeEmptyFileVFS(vfs, "scene.xml", (int)size) == 0) {
        memcpy(vfs->filedata[0], tabletop_scene_xml, size);
        model = mj_loadXML("scene.xml", vfs, message, sizeof message);
    }
    mj_deleteVFS(vfs);
    free(vfs);
    if (!model)
        deer_fail(err, "MuJoCo cannot load the tabletop scene: %s", message);
    return model;
}

static int joint_position(const mjModel *model, const char *joint)
{
    return model->jnt_qposadr[mj_name2id(model, mjOBJ_JOINT, joint)];
}

static const char *const tray_parts[WORLD_TRAY_PARTS] = {"tray_floor", "tray_left", "tray_right",
                                                         "tray_near", "tray_far"};

static void find_parts(tabletop *world)
{
    static const char *const names[WORLD_OBJECTS] = {"red", "green", "blue", "can", "brick"};
    const mjModel *m = world->model;

    for (int i = 0; i < WORLD_OBJECTS; i++)
        world->objects[i] = m->jnt_qposadr[m->body_jntadr[mj_name2id(m, mjOBJ_BODY, names[i])]];
    world->hand = joint_position(m, "hand_x");
    world->finger = joint_position(m, "finger_left");
    world->drawer = joint_position(m, "drawer");
    world->button = joint_position(m, "button");
    world->lamp_geom = mj_name2id(m, mjOBJ_GEOM, "lamp");
    world->light = mj_name2id(m, mjOBJ_LIGHT, "key");
    world->camera = mj_name2id(m, mjOBJ_CAMERA, "static");
    world->belt = mj_name2id(m, mjOBJ_GEOM, "belt");
    for (int i = 0; i < WORLD_TRAY_PARTS; i++)
        world->tray[i] = mj_name2id(m, mjOBJ_GEOM, tray_parts[i]);
    for (int i = 0; i < 3; i++) {
        world->light_diffuse[i] = m->light_diffuse[3 * world->light + i];
        world->headlight[i] = m->vis.headlight.diffuse[i];
        world->camera_pos[i] = m->cam_pos[3 * world->camera + i];
    }
    memcpy(world->camera_quat, m->cam_quat + 4 * world->camera, sizeof world->camera_quat);
}

deer_status world_new(tabletop **out, deer_error *err)
{
    tabletop *world = calloc(1, sizeof *world);

    *out = NULL;
    if (!world)
        return deer_fail(err, "out of memory for a tabletop world");
    world->model = load_scene(err);
    if (!world->model) {
        free(world);
        return DEER_FAILED;
    }
    world->data = mj_makeData(world->model);
    if (!world->data) {
        tabletop_free(world);
        return deer_fail(err, "out of memory for a tabletop world");
    }
    find_parts(world);
    *out = world;
    return DEER_OK;
}

/* A geom on the table, or out of sight; solid: and in the way of things. */
static void show(tabletop *world, int geom, bool there, double height, bool solid)
{
    mjModel *m = world->model;

    m->geom_pos[3 * geom + 2] = there ? height : -1;
    m->geom_rgba[4 * geom + 3] = there;
    m->geom_contype[geom] = m->geom_conaffinity[geom] = there && solid;
}

static void furnish(tabletop *world, bool belt, bool tray)
{
    show(world, world->belt, belt, 0.0004, false);
    for (int i = 0; i < WORLD_TRAY_PARTS; i++)
        show(world, world->tray[i], tray, i ? 0.004 : 0.0004, i > 0);
}

void world_furnish(tabletop *world, const task_spec *task)
{
    furnish(world, task->moving, task->family == FAMILY_PLACE);
}

void world_copy(tabletop *to, const tabletop *from)
{
    mjModel *model = to->model;
    mjData *data = to->data;

    *to = *from;
    to->model = model;
    to->data = mj_copyData(data, model, from->data);
    furnish(to, from->model->geom_rgba[4 * from->belt + 3] > 0,
            from->model->geom_rgba[4 * from->tray[0] + 3] > 0);
}

void tabletop_free(tabletop *world)
{
    if (!world)
        return;
    mj_deleteData(world->data);
    mj_deleteModel(world->model);
    free(world);
}

/* ---------------------------------------------------------------- motion ------------------- */

static void apply_targets(tabletop *world)
{
    static const double hand_weight = 1.01 * 9.81 / 4000; /* offset that holds the hand's weight */
    double *ctrl = world->data->ctrl;

    for (int i = 0; i < 4; i++)
        ctrl[i] = world->target[i];
    ctrl[2] += hand_weight;
    ctrl[4] = ctrl[5] = world->open ? open_finger : closed_finger;
}

/* The belt takes its block along, until fingers have it or its end is reached. */
static void ride(tabletop *world)
{
    double *x = world->data->qpos + world->objects[world->block];

    if (world_held(world) == world->block)
        world->riding = false;
    else if (*x < WORLD_BELT_END)
        *x += WORLD_BELT_SPEED / TABLETOP_CONTROL_HZ / physics_steps;
}

static void advance(tabletop *world)
{
    apply_targets(world);
    for (int i = 0; i < physics_steps; i++) {
        if (world->riding)
            ride(world);
        mj_step(world->model, world->data);
    }
    if (world->data->qpos[world->button] < lamp_switch)
        world->lamp = true;
}

static void colour_lamp(tabletop *world)
{
    float *rgba = world->model->geom_rgba + 4 * world->lamp_geom;

    rgba[0] = rgba[1] = world->lamp ? 1.0f : 0.3f;
    rgba[2] = world->lamp ? 0.2f : 0.3f;
}

void tabletop_step(tabletop *world, const float action[DEER_COMMAND])
{
    double move[4]; /* x, y, z, yaw */

    for (int i = 0; i < 4; i++) {
        double a = action[i < 3 ? i : 5];
        move[i] = isnan(a) ? 0 : clamp(a, -1, 1);
    }
    for (int i = 0; i < 3; i++)
        world->target[i] =
            clamp(world->target[i] + TABLETOP_METRES * move[i], reach_low[i], reach_high[i]);
    world->target[3] = clamp(world->target[3] + TABLETOP_RADIANS * move[3], -yaw_limit, yaw_limit);
    world->open = action[6] > 0;
    advance(world);
    colour_lamp(world);
}

/* Noise comes in kicks of a few steps with rest between them: a kick takes the hand off the path,
 * the rest shows how the expert comes back. Noise at every step would only make precise work
 * impossible. */
void tabletop_perturb(tabletop *world, double sigma, float action[DEER_COMMAND])
{
    static const int moving[4] = {0, 1, 2, 5};
    static const double kick_chance = 0.12;
    static const int kick_steps = 3;

    if (world->kick == 0 && random_uniform(&world->random, 0, 1) < kick_chance) {
        world->kick = kick_steps;
        for (int i = 0; i < 4; i++)
            world->noise[i] = sigma * random_normal(&world->random);
    }
    if (world->kick == 0)
        return;
    world->kick--;
    for (int i = 0; i < 4; i++)
        action[moving[i]] = (float)clamp(action[moving[i]] + world->noise[i], -1, 1);
}

/* ---------------------------------------------------------------- starting ----------------- */

void world_place_hand(tabletop *world, const double target[4])
{
    double *qpos = world->data->qpos;

    world->open = true;
    for (int i = 0; i < 4; i++)
        qpos[world->hand + i] = world->target[i] = target[i];
    qpos[world->finger] = qpos[world->finger + 1] = open_finger;
}

void world_settle(tabletop *world)
{
    advance(world);
    colour_lamp(world);
}

uint64_t tabletop_draw(tabletop *world)
{
    return random_next(&world->random);
}

/* ---------------------------------------------------------------- queries ------------------ */

int tabletop_task(const tabletop *world)
{
    return world->task;
}

const char *tabletop_instruction(const tabletop *world)
{
    return world->instruction;
}

const double *world_block(const tabletop *world, int block)
{
    return world->data->qpos + world->objects[block];
}

double world_block_yaw(const tabletop *world, int block)
{
    const double *q = world_block(world, block) + 3;
    double yaw = atan2(2 * (q[0] * q[3] + q[1] * q[2]), 1 - 2 * (q[2] * q[2] + q[3] * q[3]));

    return yaw - M_PI / 2 * round(yaw / (M_PI / 2));
}

const double *world_hand(const tabletop *world)
{
    return world->data->qpos + world->hand;
}

double world_width(const tabletop *world)
{
    return world->data->qpos[world->finger] + world->data->qpos[world->finger + 1];
}

double world_drawer(const tabletop *world)
{
    return world->data->qpos[world->drawer];
}

bool world_holds(const tabletop *world, int block)
{
    const double *b = world_block(world, block), *hand = world_hand(world);
    double x = b[0] - hand[0], y = b[1] - hand[1], z = b[2] - hand[2] - 0.01;

    return !world->open && x * x + y * y + z * z < 0.03 * 0.03 && world_width(world) > 0.028 &&
           world_width(world) < 0.056;
}

int world_held(const tabletop *world)
{
    for (int i = 0; i < TABLETOP_BLOCKS; i++)
        if (world_holds(world, i))
            return i;
    return -1;
}

bool world_stacked(const tabletop *world, int block, int other)
{
    const double *b = world_block(world, block), *o = world_block(world, other);

    return hypot(b[0] - o[0], b[1] - o[1]) < 0.02 && fabs(b[2] - o[2] - WORLD_BLOCK) < 0.006;
}

bool world_in_drawer(const tabletop *world, int block)
{
    const double *b = world_block(world, block);

    return fabs(b[0] - WORLD_DRAWER_X) < 0.075 &&
           fabs(b[1] - (WORLD_DRAWER_Y - world_drawer(world))) < 0.08 && b[2] > 0 && b[2] < 0.06;
}

bool world_in_tray(const tabletop *world, int block)
{
    const double *b = world_block(world, block);

    return fabs(b[0] - WORLD_TRAY_X) < 0.007 && fabs(b[1] - WORLD_TRAY_Y) < 0.007 && b[2] < 0.0225;
}
