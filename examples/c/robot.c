/* SPDX-License-Identifier: MIT */
/* robot.c - a robot's control loop in C: cc robot.c -o robot $(pkg-config --cflags --libs deer)
 *
 *   ./robot POLICY [THRESHOLDS]
 *
 * Put your cameras into look() and your robot into move_robot(). */
#include <deer/deer.h>

#include <stdio.h>
#include <string.h>

enum { WIDTH = 128, HEIGHT = 96, STEPS = 10 };

static uint8_t frame[HEIGHT * WIDTH * 3], wrist[HEIGHT * WIDTH * 3];

static deer_observation look(int step)
{
    memset(frame, 40 + 10 * step, sizeof frame);
    memset(wrist, 90, sizeof wrist);
    return (deer_observation){{frame, sizeof frame}, {wrist, sizeof wrist}};
}

static void move_robot(const float command[DEER_COMMAND])
{
    printf("move %+.3f %+.3f %+.3f, turn %+.3f %+.3f %+.3f, %s\n", command[0], command[1],
           command[2], command[3], command[4], command[5], command[6] > 0 ? "open" : "close");
}

int main(int argc, char **argv)
{
    const deer_session_options options = {.size = sizeof options,
                                          .static_view = {.width = WIDTH, .height = HEIGHT},
                                          .gripper_view = {.width = WIDTH, .height = HEIGHT}};
    deer_model *model = NULL;
    deer_thresholds *thresholds = NULL;
    deer_session *session = NULL;
    deer_error err = {"usage: robot POLICY [THRESHOLDS]"};
    int failed = argc < 2 || deer_model_open(argv[1], DEER_ALL_EXITS, &model, &err) ||
                 (argc > 2 ? deer_thresholds_load(argv[2], model, &thresholds, &err)
                           : deer_thresholds_fixed(model, 1, &thresholds, &err)) ||
                 deer_session_new(model, thresholds, &options, &session, &err) ||
                 deer_session_set_instruction(session, "lift the red block", &err) ||
                 deer_session_set_deadline(session, 100000, &err); /* ten steps a second */

    for (int step = 0; step < STEPS && !failed; step++) {
        deer_observation observation = look(step);
        deer_action action;

        failed = deer_step(session, &observation, &action, &err);
        if (!failed)
            move_robot(action.command);
    }
    if (failed)
        fprintf(stderr, "%s\n", err.message);
    deer_session_free(session);
    deer_thresholds_free(thresholds);
    deer_model_close(model);
    return failed != 0;
}
