/* SPDX-License-Identifier: MIT */
/* exits.h - exits chosen from outside: controls that show what choosing the moment is worth.
 *
 *   exits_chooser *chooser;
 *   exits_chooser_new(&control, model, NULL, &chooser, &err);
 *   exits_begin(chooser, instruction, seed, &err);             // a rollout
 *   while (...)
 *       exits_choose(chooser, session, &seen, world, &err);    // the session's next step
 *
 * Blind ones know shares, or what followed what, or count steps; the others look at what the robot
 * would do at each exit before it does anything, which no rule can.
 */
#ifndef TABLETOP_EXITS_H
#define TABLETOP_EXITS_H

#include "datasets/tabletop/tabletop.h"

typedef enum {
    EXITS_RANDOM,   /* each step's exit is drawn from `first` */
    EXITS_MARKOV,   /* the first step's from `first`, then from next[exit before] */
    EXITS_PERIODIC, /* pattern[step % length] */
    EXITS_ORACLE,   /* the first exit whose action is within `amount` of the deepest one's */
    EXITS_EXPERT,   /* the exit nearest to the expert's action, at a price of `amount` on depth */
} exits_kind;

enum { EXITS_MOST_PATTERN = 64 };

typedef struct {
    exits_kind kind;
    double first[DEER_MAX_EXITS];                /* probabilities */
    double next[DEER_MAX_EXITS][DEER_MAX_EXITS]; /* likewise, by the exit before */
    int pattern[EXITS_MOST_PATTERN], length;
    double amount;
} exits_control;

typedef struct exits_chooser exits_chooser;

/* What an exit's action is away from another: root mean square over the pose, and 0.2 more where
 * the gripper differs (as the loss of deer-calib solve). */
double exits_distance(const float pose[DEER_POSE], float gripper, const float other[DEER_COMMAND]);

/* Whether it looks at what exits would do (oracle, expert), with both cameras as they are then. */
bool exits_look(const exits_control *control);

/* The exit that oracle and expert take. pose [exits, 6], gripper [exits] (probability of open):
 * what each exit would do; expert [7] is read by EXITS_EXPERT. Its price is amount times the share
 * of the decoder's layers that run. */
int exits_best(const exits_control *control, const deer_model *model, const float *pose,
               const float *gripper, const float expert[DEER_COMMAND]);

/* cameras: rules for them, for blind controls; NULL: both are encoded at every step. */
deer_status exits_chooser_new(const exits_control *control, const deer_model *model,
                              const deer_camera_rules *cameras, exits_chooser **chooser,
                              deer_error *err);
void exits_chooser_free(exits_chooser *chooser);

/* Before the first step of a rollout; what is drawn depends on its seed alone. */
deer_status exits_begin(exits_chooser *chooser, const char *instruction, uint64_t seed,
                        deer_error *err);

/* Makes the session's next step take the exit that is chosen. */
deer_status exits_choose(exits_chooser *chooser, deer_session *session,
                         const deer_observation *seen, const tabletop *world, deer_error *err);

#endif
