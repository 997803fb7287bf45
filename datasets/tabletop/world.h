/* world.h - inside a world: the simulator's data and the geometry that tasks and expert ask about. */
#ifndef TABLETOP_WORLD_H
#define TABLETOP_WORLD_H

#include <mujoco/mujoco.h>

#include "datasets/tabletop/random.h"
#include "datasets/tabletop/tabletop.h"

/* Where things stand (scene.xml), metres. */
#define WORLD_DRAWER_X (-0.17)
#define WORLD_DRAWER_Y 0.26
#define WORLD_DRAWER_OPEN 0.155 /* slide position counted as fully open */
#define WORLD_HANDLE_Y (-0.148) /* handle bar, relative to the drawer's centre */
#define WORLD_BUTTON_X 0.20
#define WORLD_BUTTON_Y 0.20
#define WORLD_BLOCK 0.04 /* edge of a block */

typedef enum { FAMILY_LIFT, FAMILY_PUSH, FAMILY_DRAWER, FAMILY_BUTTON, FAMILY_STACK, FAMILY_STORE,
               FAMILY_PUSH_NEAREST } task_family;

typedef struct {
    task_family family;
    int         block;     /* the block it is about, -1: none, or found by a relation */
    int         other;     /* stack: the block below */
    int         direction; /* push: -1 left, +1 right; drawer: +1 open, -1 close */
    char        name[32];
} task_spec;

struct tabletop {
    mjModel *model; /* own copy: lighting, camera and colours vary by episode */
    mjData  *data;
    uint64_t random;
    int      task;
    int      block; /* the block the instruction means, resolved at reset; -1 if none */
    double   start[3]; /* where that block stood at reset */
    double   target[4]; /* commanded hand x y z yaw */
    double   noise[4]; /* of the present kick: x y z yaw */
    int      kick;     /* steps it still lasts */
    bool     open;      /* gripper command */
    bool     lamp;
    char     instruction[128];

    int hand;   /* qpos index of x, y, z, yaw */
    int finger; /* qpos index of the two fingers */
    int drawer, button;
    int blocks[TABLETOP_BLOCKS];
    int lamp_geom, light, camera;
    double light_diffuse[3], headlight[3], camera_pos[3], camera_quat[4]; /* as in scene.xml */
};

const task_spec *task_of(const tabletop *world);

/* xyz of a block: a pointer into the state. */
const double *world_block(const tabletop *world, int block);
/* Yaw of a block folded into -45..45 degrees: the fingers fit either way. */
double world_block_yaw(const tabletop *world, int block);
/* x, y, z (finger tips), yaw of the hand. */
const double *world_hand(const tabletop *world);
/* Opening between the fingers, metres. */
double world_width(const tabletop *world);
double world_drawer(const tabletop *world);
/* Whether the closed gripper holds the block. */
bool world_holds(const tabletop *world, int block);
/* Whether block stands on other, released or not. */
bool world_stacked(const tabletop *world, int block, int other);
/* Whether the block lies inside the drawer. */
bool world_in_drawer(const tabletop *world, int block);

/* Sets up the state in which the task of `world` starts, and its instruction (tasks.c). */
void task_start(tabletop *world);

#endif
