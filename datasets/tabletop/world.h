/* SPDX-License-Identifier: MIT */
/* world.h - inside a world: the simulator's data and the geometry that tasks and expert ask about.
 */
#ifndef TABLETOP_WORLD_H
#define TABLETOP_WORLD_H

#include <mujoco/mujoco.h>

#include "datasets/tabletop/tabletop.h"
#include "runtime/base/random.h"

/* Where things stand (scene.xml), metres. */
#define WORLD_DRAWER_X (-0.17)
#define WORLD_DRAWER_Y 0.26
#define WORLD_DRAWER_OPEN 0.155 /* slide position counted as fully open */
#define WORLD_HANDLE_Y (-0.148) /* handle bar, relative to the drawer's centre */
#define WORLD_BUTTON_X 0.20
#define WORLD_BUTTON_Y 0.20
#define WORLD_BLOCK 0.04 /* edge of a block */
#define WORLD_TRAY_X (-0.15)
#define WORLD_TRAY_Y (-0.10)
#define WORLD_TRAY_PARTS 5     /* its floor and four walls */
#define WORLD_BELT_SPEED 0.025 /* to the right, metres a second */
#define WORLD_BELT_END 0.23    /* x at which a block stops */

#define WORLD_OBJECTS (TABLETOP_BLOCKS + 2) /* the blocks, then the distractors */

typedef enum {
    FAMILY_LIFT,
    FAMILY_PUSH,
    FAMILY_DRAWER,
    FAMILY_BUTTON,
    FAMILY_STACK,
    FAMILY_STORE,
    FAMILY_PLACE /* in the tray */
} task_family;

/* How an instruction names a block: by its colour, or by where it is among the others. */
typedef enum {
    NAMED_RED,
    NAMED_GREEN,
    NAMED_BLUE,
    NAMED_LEFTMOST,
    NAMED_MIDDLE,
    NAMED_RIGHTMOST,
    NAMED_NEAREST, /* to the button */
    NAMED_FARTHEST,
    NAMED_LEFT_OF_RED, /* the only one on that side of it */
    NAMED_LEFT_OF_GREEN,
    NAMED_LEFT_OF_BLUE,
    NAMED_RIGHT_OF_RED,
    NAMED_RIGHT_OF_GREEN,
    NAMED_RIGHT_OF_BLUE,
    NAMED_NOTHING
} block_name;

typedef struct {
    task_family family;
    block_name subject; /* the block it is about */
    block_name other;   /* stack: the block below */
    int direction;      /* push: -1 left, +1 right; drawer: +1 open, -1 close */
    char name[32];
    bool moving; /* the block comes on the belt */
} task_spec;

struct tabletop {
    mjModel *model; /* own copy: lighting, camera and colours vary by episode */
    mjData *data;
    uint64_t random;
    int task;
    int block;                    /* the block the instruction means, -1 if none */
    int other;                    /* stack: the block below, else -1 */
    double start[3];              /* where `block` stood when the instruction was given */
    double height[WORLD_OBJECTS]; /* of every object's centre then */
    int held;                     /* block in the hand then, -1 if none */
    double target[4];             /* commanded hand x y z yaw */
    double noise[4];              /* of the present kick: x y z yaw */
    int kick;                     /* steps it still lasts */
    bool riding;                  /* `block` is on the moving belt */
    bool open;                    /* gripper command */
    bool lamp;
    char instruction[128];

    int hand;   /* qpos index of x, y, z, yaw */
    int finger; /* qpos index of the two fingers */
    int drawer, button;
    int objects[WORLD_OBJECTS]; /* qpos index of each */
    int lamp_geom, light, camera;
    int belt, tray[WORLD_TRAY_PARTS];                                     /* geoms */
    double light_diffuse[3], headlight[3], camera_pos[3], camera_quat[4]; /* as in scene.xml */
};

const task_spec *task_of(int task);

/* xyz of a block (or, from TABLETOP_BLOCKS on, a distractor): a pointer into the state. */
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
/* The block that the hand holds, -1 if none. */
int world_held(const tabletop *world);
/* Whether block stands on other, released or not. */
bool world_stacked(const tabletop *world, int block, int other);
/* Whether the block lies flat between the walls of the tray. */
bool world_in_tray(const tabletop *world, int block);
/* Brings belt and tray where the task has them, and away where it has not. */
void world_furnish(tabletop *world, const task_spec *task);
/* Whether the block lies inside the drawer. */
bool world_in_drawer(const tabletop *world, int block);

/* A world in which no episode has begun yet. */
deer_status world_new(tabletop **world, deer_error *err);

/* Brings a world into the state of another, except for how it looks: what follows is the same, bit
 * for bit. */
void world_copy(tabletop *to, const tabletop *from);

/* Before an episode: the open hand at x y z yaw; time for everything to come to rest. */
void world_place_hand(tabletop *world, const double target[4]);
void world_settle(tabletop *world);

/* The block that a name means in the present state; -1 where it is not clear which (within 3 cm).
 */
int world_find(const tabletop *world, block_name name);

/* Gives the world its next task in the present state: who is meant, and the wording (tasks.c). */
void task_begin(tabletop *world, int task, tabletop_split split);

/* Draws where everything stands so that the task is possible (layout.c). */
void layout_draw(tabletop *world, int task, tabletop_split split);

#endif
