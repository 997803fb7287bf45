/* SPDX-License-Identifier: MIT */
/* episode_loss.h - what the steps of an episode lose together, under the exits that were taken.
 *
 *   episode_steps e = {.n = n, .lost = lost, .off = off, ...};
 *   for (int i = 0; i < EPISODE_LOSSES; i++)
 *       printf("%s %g\n", episode_losses[i].name, episode_losses[i].of(&e));
 *
 * The mean over the steps knows nothing of their order; the others do. Which of them foretells
 * success in time is measured (docs/calibration.md), and EPISODE_LOSS_CHOSEN is that one.
 */
#ifndef CALIB_EPISODE_LOSS_H
#define CALIB_EPISODE_LOSS_H

#include "runtime/deer.h"

/* One episode, [n] each. */
typedef struct {
    int n;
    const float *lost;     /* loss of the exit taken (calibration.h), to the deepest exit */
    const float *astray;   /* the same to the demonstrated action */
    const float (*off)[3]; /* x, y, z of the pose taken, minus the deepest exit's */
    const float (*demonstrated)[3], (*moved)[3]; /* x, y, z demonstrated, and of the pose taken */
} episode_steps;

typedef struct {
    const char *name, *words;
    double (*of)(const episode_steps *e);
} episode_loss;

enum { EPISODE_LOSSES = 8, EPISODE_LOSS_CHOSEN = 0 };

extern const episode_loss episode_losses[EPISODE_LOSSES];

#endif
