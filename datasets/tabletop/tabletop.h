/* SPDX-License-Identifier: MIT */
/* tabletop.h - the project's own benchmark: a simulated table, language-conditioned tasks, an
 * expert.
 *
 *   tabletop          *world;
 *   tabletop_renderer *eye;
 *   tabletop_new(&world, &err);
 *   tabletop_renderer_new(world, &eye, &err);
 *   tabletop_reset(world, seed, task, TABLETOP_SEEN);
 *   while (!tabletop_succeeded(world) && steps++ < TABLETOP_MAX_STEPS) {
 *       tabletop_render(eye, world, TABLETOP_STATIC, pixels);
 *       tabletop_expert(world, action);       // or a policy's action
 *       tabletop_step(world, action);
 *   }
 *
 * Several instructions in a row without a reset: tabletop_ask for the next one (chain.h draws such
 * rows).
 *
 * Everything random comes from the seeds of tabletop_reset and tabletop_ask; the same seed and
 * actions give the same states and pixels bit for bit on one machine. A world belongs to one thread
 * at a time. A renderer holds the calling thread's OpenGL context; it can draw any world of this
 * module.
 */
#ifndef TABLETOP_H
#define TABLETOP_H

#include "runtime/deer.h"

#define TABLETOP_IMAGE 64      /* side of both camera images, pixels */
#define TABLETOP_MAX_STEPS 60  /* control steps a rollout may take; an expert needs 8 to 35 */
#define TABLETOP_CONTROL_HZ 10 /* control steps per simulated second */
#define TABLETOP_BLOCKS 3
#define TABLETOP_OBJECT_SIZE 21 /* floats of tabletop_objects */

/* Physical size of an action component of 1: metres and radians per step. */
#define TABLETOP_METRES 0.03
#define TABLETOP_RADIANS 0.15

typedef enum { TABLETOP_STATIC, TABLETOP_GRIPPER } tabletop_camera;

/* Seen: what demonstrations are recorded from. Unseen: other wordings of the same instructions, and
 * the block that the instruction means starts where in seen layouts no block ever starts. */
typedef enum { TABLETOP_SEEN, TABLETOP_UNSEEN } tabletop_split;

typedef struct tabletop tabletop;
typedef struct tabletop_renderer tabletop_renderer;

/* ---- tasks ---- */

int tabletop_tasks(void);      /* those that the shipped policy has learnt, and rows are drawn of */
int tabletop_every_task(void); /* and others, numbered behind them */
const char *tabletop_task_name(int task);   /* "lift_red", "stack_blue_on_green", "open_drawer" */
const char *tabletop_task_family(int task); /* "lift", "stack", ...; "relation" where a block is
                                               named by its place */
int tabletop_task_find(const char *name);   /* -1 if there is none */

/* ---- a world ---- */

deer_status tabletop_new(tabletop **world, deer_error *err);
void tabletop_free(tabletop *world);

/* A new episode: block poses, distractors, drawer, lamp, hand, lighting, camera and wording drawn
 * from the seed so that the task can be done. */
void tabletop_reset(tabletop *world, uint64_t seed, int task, tabletop_split split);

/* Whether the task could be begun in the present state: it is not done yet, the blocks it means are
 * clear, within reach, and there is room for it. */
bool tabletop_possible(const tabletop *world, int task);

/* The next instruction, in the state as it is. */
void tabletop_ask(tabletop *world, uint64_t seed, int task, tabletop_split split);

int tabletop_task(const tabletop *world);
const char *tabletop_instruction(const tabletop *world);

/* One control step. action: relative pose (x, y, z, roll, pitch, yaw) in -1..1 and gripper, > 0
 * open. Values outside are clipped; roll and pitch do nothing, as the carriage has none; NaN counts
 * as 0. */
void tabletop_step(tabletop *world, const float action[DEER_COMMAND]);

/* Whether the task of this episode is done in the present state. */
bool tabletop_succeeded(const tabletop *world);

/* What should not have happened since the instruction was given: something fell off the table, or
 * another thing than the block that is meant was lifted by 3 cm (what was in the hand then aside).
 */
typedef enum { TABLETOP_NO_HARM, TABLETOP_FELL, TABLETOP_LIFTED_OTHER } tabletop_harm;

tabletop_harm tabletop_harm_done(const tabletop *world);
const char *tabletop_harm_name(tabletop_harm harm); /* "none", "fell", "lifted" */

/* The scripted expert's action: a function of the present state and the task alone, so that it can
 * also label states that another policy reached. */
void tabletop_expert(const tabletop *world, float action[DEER_COMMAND]);

/* How many steps the expert would take from the present state, at most TABLETOP_MAX_STEPS; 0 where
 * it does not get there. `scratch`, another world, is left anywhere. */
int tabletop_expert_steps(const tabletop *world, tabletop *scratch);

/* The state as numbers, for analysis and auxiliary losses; metres, radians:
 *   [0..8] red, green, blue block xyz   [9] drawer opening   [10] lamp on   [11..14] hand x y z yaw
 *   [15] gripper width   [16] gripper command   [17..18] xy of the thing the instruction is about
 *   [19..20] xy of the place it should go to */
void tabletop_objects(const tabletop *world, float out[TABLETOP_OBJECT_SIZE]);

/* Disturbs the executed action now and then (labels stay clean): kicks of three steps, whose
 * components have standard deviation sigma, drawn from the world's own random stream. */
void tabletop_perturb(tabletop *world, double sigma, float action[DEER_COMMAND]);

/* What the hand is about: far from the thing that the instruction is about; at it; moving what it
 * holds; at the place where that should go. A function of the state, for reports. */
typedef enum { TABLETOP_REACH, TABLETOP_ENGAGE, TABLETOP_CARRY, TABLETOP_PLACE } tabletop_phase;
#define TABLETOP_PHASES 4

tabletop_phase tabletop_phase_of(const tabletop *world);
const char *tabletop_phase_name(tabletop_phase phase); /* "reach", "engage", "carry", "place" */

/* A number from the world's own random stream, to seed somebody else's. */
uint64_t tabletop_draw(tabletop *world);

/* ---- drawing ---- */

/* An off-screen OpenGL context (EGL, no display needed) bound to the calling thread. */
deer_status tabletop_renderer_new(const tabletop *world, tabletop_renderer **eye, deer_error *err);
void tabletop_renderer_free(tabletop_renderer *eye);

/* rgb [side, side, 3], rows from the top; side at most 256. */
void tabletop_render(tabletop_renderer *eye, const tabletop *world, tabletop_camera camera,
                     int side, uint8_t *rgb);

/* The same with a line of text in its upper and its lower left corner; side at least 128. */
void tabletop_render_captioned(tabletop_renderer *eye, const tabletop *world,
                               tabletop_camera camera, int side, const char *top,
                               const char *bottom, uint8_t *rgb);

#endif
