/* SPDX-License-Identifier: MIT */
/* strip.h - which exits a rollout took, as a strip of boxes with axes and a legend.
 *
 *   strip s = {.width = 512, .exits = 6, .most_steps = 60};
 *   strip_draw(&s, exit_taken, steps, rgb);       // rgb [strip_height(&s), 512, 3]
 *
 * One column a step from the left; in it one box an exit from below, filled in the colour of the
 * exit that was taken as far as exits were looked at. Steps are counted below, exits at the left;
 * above stands which colour is which exit.
 */
#ifndef DATASETS_STRIP_H
#define DATASETS_STRIP_H

#include <stdint.h>

typedef struct {
    int width;      /* pixels */
    int exits;      /* of the policy */
    int most_steps; /* columns */
} strip;

int strip_height(const strip *s);

/* taken [steps]: exits, from 0. */
void strip_draw(const strip *s, const int *taken, int steps, uint8_t *rgb);

#endif
