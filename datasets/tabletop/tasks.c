/* tasks.c - what can be asked for: the tasks, how they start, how they are worded, when they are done. */
#include <stdio.h>
#include <string.h>

#include "datasets/tabletop/world.h"

static const char *const colours[TABLETOP_BLOCKS] = {"red", "green", "blue"};

static const task_spec tasks[] = {
    {FAMILY_LIFT, 0, -1, 0, "lift_red"},
    {FAMILY_LIFT, 1, -1, 0, "lift_green"},
    {FAMILY_LIFT, 2, -1, 0, "lift_blue"},
    {FAMILY_PUSH, 0, -1, -1, "push_red_left"},
    {FAMILY_PUSH, 0, -1, +1, "push_red_right"},
    {FAMILY_PUSH, 1, -1, -1, "push_green_left"},
    {FAMILY_PUSH, 1, -1, +1, "push_green_right"},
    {FAMILY_PUSH, 2, -1, -1, "push_blue_left"},
    {FAMILY_PUSH, 2, -1, +1, "push_blue_right"},
    {FAMILY_DRAWER, -1, -1, +1, "open_drawer"},
    {FAMILY_DRAWER, -1, -1, -1, "close_drawer"},
    {FAMILY_BUTTON, -1, -1, 0, "press_button"},
    {FAMILY_STACK, 0, 1, 0, "stack_red_on_green"},
    {FAMILY_STACK, 0, 2, 0, "stack_red_on_blue"},
    {FAMILY_STACK, 1, 0, 0, "stack_green_on_red"},
    {FAMILY_STACK, 1, 2, 0, "stack_green_on_blue"},
    {FAMILY_STACK, 2, 0, 0, "stack_blue_on_red"},
    {FAMILY_STACK, 2, 1, 0, "stack_blue_on_green"},
    {FAMILY_STORE, 0, -1, 0, "store_red"},
    {FAMILY_STORE, 1, -1, 0, "store_green"},
    {FAMILY_STORE, 2, -1, 0, "store_blue"},
    {FAMILY_PUSH_NEAREST, -1, -1, -1, "push_nearest_left"},
    {FAMILY_PUSH_NEAREST, -1, -1, +1, "push_nearest_right"},
};

enum { N_TASKS = sizeof tasks / sizeof *tasks };

static const char *const family_names[] = {
    [FAMILY_LIFT] = "lift",     [FAMILY_PUSH] = "push",   [FAMILY_DRAWER] = "drawer",
    [FAMILY_BUTTON] = "button", [FAMILY_STACK] = "stack", [FAMILY_STORE] = "store",
    [FAMILY_PUSH_NEAREST] = "push_nearest",
};

int tabletop_tasks(void)
{
    return N_TASKS;
}

const char *tabletop_task_name(int task)
{
    return tasks[task].name;
}

const char *tabletop_task_family(int task)
{
    return family_names[tasks[task].family];
}

int tabletop_task_find(const char *name)
{
    for (int i = 0; i < N_TASKS; i++)
        if (!strcmp(tasks[i].name, name))
            return i;
    return -1;
}

const task_spec *task_of(const tabletop *world)
{
    return &tasks[world->task];
}

/* ---------------------------------------------------------------- wording ------------------ */

static void word_instruction(tabletop *world)
{
    static const char *const drawer_words[2][2] = {{"open the drawer", "pull the drawer open"},
                                                   {"close the drawer", "push the drawer closed"}};
    static const char *const button_words[2] = {"press the button", "turn on the lamp"};
    const task_spec         *t = task_of(world);
    int                      way = random_below(&world->random, 2);
    const char              *side = t->direction > 0 ? "right" : "left";
    char                    *s = world->instruction;
    size_t                   n = sizeof world->instruction;

    switch (t->family) {
    case FAMILY_LIFT:
        snprintf(s, n, "%s the %s block", way ? "lift" : "pick up", colours[t->block]);
        break;
    case FAMILY_PUSH:
        snprintf(s, n, "%s the %s block to the %s", way ? "push" : "slide", colours[t->block], side);
        break;
    case FAMILY_DRAWER:
        snprintf(s, n, "%s", drawer_words[t->direction < 0][way]);
        break;
    case FAMILY_BUTTON:
        snprintf(s, n, "%s", button_words[way]);
        break;
    case FAMILY_STACK:
        snprintf(s, n, "%s the %s block on the %s block", way ? "stack" : "put", colours[t->block],
                 colours[t->other]);
        break;
    case FAMILY_STORE:
        snprintf(s, n, "%s the %s block in the drawer", way ? "place" : "put", colours[t->block]);
        break;
    case FAMILY_PUSH_NEAREST:
        snprintf(s, n, "%s the block nearest the button to the %s", way ? "push" : "slide", side);
        break;
    }
}

/* ---------------------------------------------------------------- start -------------------- */

typedef struct {
    double x, y;
} point;

static double distance(point a, point b)
{
    return hypot(a.x - b.x, a.y - b.y);
}

static int nearest_button(const point *p)
{
    const point button = {WORLD_BUTTON_X, WORLD_BUTTON_Y};
    int         best = 0;

    for (int i = 1; i < TABLETOP_BLOCKS; i++)
        if (distance(p[i], button) < distance(p[best], button))
            best = i;
    return best;
}

static bool clearly_nearest(const point *p, int block)
{
    const point button = {WORLD_BUTTON_X, WORLD_BUTTON_Y};

    for (int i = 0; i < TABLETOP_BLOCKS; i++)
        if (i != block && distance(p[i], button) < distance(p[block], button) + 0.03)
            return false;
    return true;
}

/* Whether the block can be pushed 10 cm: room behind for the hand, nothing in the way, and the end
 * still on the work space. */
static bool push_possible(const point *p, int block, int direction)
{
    double end = p[block].x + 0.10 * direction, behind = p[block].x - 0.052 * direction;

    if (fmin(end, behind) < -0.065 || fmax(end, behind) > 0.26)
        return false;
    for (int i = 0; i < TABLETOP_BLOCKS; i++) {
        double ahead = (p[i].x - p[block].x) * direction;
        if (i != block && fabs(p[i].y - p[block].y) < 0.07 && ahead > -0.12 && ahead < 0.19)
            return false;
    }
    return true;
}

static bool apart(const point *p)
{
    for (int i = 0; i < TABLETOP_BLOCKS; i++)
        for (int j = 0; j < i; j++)
            if (distance(p[i], p[j]) < 0.085)
                return false;
    return true;
}

/* Draws block positions until the task can be done with them; resolves relations. */
static void draw_positions(tabletop *world, point *p)
{
    const task_spec *t = task_of(world);
    bool             fits;

    do {
        for (int i = 0; i < TABLETOP_BLOCKS; i++) {
            p[i].x = random_uniform(&world->random, -0.04, 0.22);
            p[i].y = random_uniform(&world->random, -0.17, 0.10);
        }
        fits = apart(p);
        world->block = t->block;
        if (t->family == FAMILY_PUSH_NEAREST) {
            world->block = nearest_button(p);
            fits = fits && clearly_nearest(p, world->block);
        }
        if (t->family == FAMILY_PUSH || t->family == FAMILY_PUSH_NEAREST)
            fits = fits && push_possible(p, world->block, t->direction);
    } while (!fits);
}

static double drawer_start(tabletop *world)
{
    const task_spec *t = task_of(world);

    if (t->family == FAMILY_STORE)
        return WORLD_DRAWER_OPEN;
    if (t->family == FAMILY_DRAWER)
        return t->direction > 0 ? 0 : WORLD_DRAWER_OPEN;
    return random_uniform(&world->random, 0, 1) < 0.35 ? WORLD_DRAWER_OPEN : 0;
}

void task_start(tabletop *world)
{
    double *qpos = world->data->qpos;
    point   p[TABLETOP_BLOCKS];

    draw_positions(world, p);
    for (int i = 0; i < TABLETOP_BLOCKS; i++) {
        double *q = qpos + world->blocks[i], yaw = random_uniform(&world->random, -0.4, 0.4);
        q[0] = p[i].x;
        q[1] = p[i].y;
        q[2] = WORLD_BLOCK / 2 + 1e-4;
        q[3] = cos(yaw / 2);
        q[4] = q[5] = 0;
        q[6] = sin(yaw / 2);
    }
    qpos[world->drawer] = drawer_start(world);
    world->lamp =
        task_of(world)->family != FAMILY_BUTTON && random_uniform(&world->random, 0, 1) < 0.3;
    word_instruction(world);
}

/* ---------------------------------------------------------------- success ------------------ */

static bool pushed(const tabletop *world)
{
    const double *b = world_block(world, world->block);

    return (b[0] - world->start[0]) * task_of(world)->direction > 0.07 &&
           fabs(b[1] - world->start[1]) < 0.06 && b[2] < 0.03;
}

static bool released(const tabletop *world)
{
    return world->open && world_width(world) > 0.06;
}

bool tabletop_succeeded(const tabletop *world)
{
    const task_spec *t = task_of(world);

    switch (t->family) {
    case FAMILY_LIFT:
        return world_block(world, world->block)[2] > 0.075;
    case FAMILY_PUSH:
    case FAMILY_PUSH_NEAREST:
        return pushed(world);
    case FAMILY_DRAWER:
        return t->direction > 0 ? world_drawer(world) > 0.13 : world_drawer(world) < 0.02;
    case FAMILY_BUTTON:
        return world->lamp;
    case FAMILY_STACK:
        return world_stacked(world, world->block, t->other) && released(world);
    case FAMILY_STORE:
        return world_in_drawer(world, world->block) && released(world);
    }
    return false;
}

/* ---------------------------------------------------------------- state as numbers --------- */

static void subject_of(const tabletop *world, float xy[2])
{
    const task_spec *t = task_of(world);

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
    const task_spec *t = task_of(world);

    xy[0] = subject[0];
    xy[1] = subject[1];
    switch (t->family) {
    case FAMILY_PUSH:
    case FAMILY_PUSH_NEAREST:
        xy[0] = (float)(world->start[0] + 0.10 * t->direction);
        xy[1] = (float)world->start[1];
        break;
    case FAMILY_STACK:
        xy[0] = (float)world_block(world, t->other)[0];
        xy[1] = (float)world_block(world, t->other)[1];
        break;
    case FAMILY_STORE:
        xy[0] = WORLD_DRAWER_X;
        xy[1] = (float)(WORLD_DRAWER_Y - world_drawer(world));
        break;
    case FAMILY_DRAWER:
        xy[1] = (float)(WORLD_DRAWER_Y + WORLD_HANDLE_Y - (t->direction > 0 ? WORLD_DRAWER_OPEN : 0));
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
