/* SPDX-License-Identifier: MIT */
/* arguments.h - the options of deer-calib solve. */
#ifndef CALIB_ARGUMENTS_H
#define CALIB_ARGUMENTS_H

#include "calib/pipeline/calibrate.h"
#include "datasets/demos/demos.h"
#include "runtime/cli/tool.h"

/* As given; numbers that were not are NaN. */
typedef struct {
    const char *cache, *model, *table, *official, *out, *frontier;
    file_list demos;
    demos_options reading; /* of demos */
    const char *scope, *method, *criterion, *history, *loss, *bound, *mix, *rule, *cameras;
    deer_camera_rules rules; /* cameras, understood */
    double average, fraction, peak, average_cost, peak_cost, memory;
    double gripper_weight, confidence, deviation, largest_loss;
    long seed, evaluations, threads, longest, points;
    bool json, print_official, per_task, fresh;
} solve_arguments;

/* Parses, and says in spec what they mean; true when the program should end with *status.
 * with_replay: the short form, which needs --model and --demos. */
bool solve_arguments_parse(int argc, char **argv, bool with_replay, solve_arguments *a,
                           calibrate_spec *spec, int *status);

#endif
