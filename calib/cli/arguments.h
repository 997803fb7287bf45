/* SPDX-License-Identifier: MIT */
/* arguments.h - the options of deer-calib solve. */
#ifndef CALIB_ARGUMENTS_H
#define CALIB_ARGUMENTS_H

#include "calib/guarantee/guarantee.h"
#include "calib/pipeline/onpolicy.h"
#include "datasets/demos/demos.h"

/* As given; numbers that were not are NaN. */
typedef struct {
    const char *cache, *model, *demos, *table, *official, *out, *frontier;
    demos_cameras cameras; /* of demos */
    const char *scope, *method, *criterion, *history, *loss, *bound;
    double average, fraction, peak, average_cost, peak_cost, memory;
    double gripper_weight, confidence, deviation, largest_loss;
    long seed, evaluations, threads, longest, points;
    bool json, print_official;
} solve_arguments;

/* What they mean. */
typedef struct {
    onpolicy_spec spec;       /* budget and deepest exit are filled in once costs are known */
    guarantee_spec guarantee; /* confidence 0: none is asked */
    double average, fraction, peak, memory; /* limits; NaN (the first two) and infinity: none */
} solve_settings;

/* Parses; true when the program should end with *status. with_replay: the short form, which needs
 * --model and --demos. */
bool solve_arguments_parse(int argc, char **argv, bool with_replay, solve_arguments *a,
                           solve_settings *settings, int *status);

#endif
