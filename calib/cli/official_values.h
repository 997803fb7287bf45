/* SPDX-License-Identifier: MIT */
/* official_values.h - thresholds from the criterion values that the official code leaves in its
 * checkpoints (`values`, [exits, samples]): deer-calib solve --official, check --official. */
#ifndef CALIB_OFFICIAL_VALUES_H
#define CALIB_OFFICIAL_VALUES_H

#include <math.h>

#include "calib/solve/solve.h"

typedef struct {
    const char *path;       /* checkpoint */
    double average;         /* LLM GFLOPs a step, NaN: not given */
    double fraction;        /* the same as a share of full depth, NaN: not given */
    solve_method method;    /* official-exp, -gauss, -gamma; anything else: exp */
    const char *thresholds; /* judge these instead of solving: one number per exit */
    bool json, print_official;
} official_request;

/* Solves or judges, and prints. Costs are those of the published model with the checkpoint's width
 * at OFFICIAL_TOKENS text tokens; of another width only shares of full depth are known. */
#define OFFICIAL_TOKENS 13
deer_status official_values(const official_request *request, deer_error *err);

#endif
