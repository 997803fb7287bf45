/* SPDX-License-Identifier: MIT */
/* chain.h - several instructions in a row without a reset, the metric of CALVIN.
 *
 *   chain row;
 *   chain_draw(world, seed, -1, TABLETOP_CHAIN, TABLETOP_SEEN, &row);
 *   chain_begin(world, &row, 0);      // resets the world
 *   ...                               // until tabletop_succeeded(world)
 *   chain_begin(world, &row, 1);      // asks for the next, in the state as it is
 */
#ifndef TABLETOP_CHAIN_H
#define TABLETOP_CHAIN_H

#include "datasets/tabletop/tabletop.h"

#define TABLETOP_CHAIN 5 /* instructions in a row, as in CALVIN */

typedef struct {
    uint64_t seed;
    tabletop_split split;
    int length;
    int tasks[TABLETOP_CHAIN];
} chain;

/* Draws `length` (1 to TABLETOP_CHAIN) different tasks, each of which is possible in the state in
 * which the scripted expert's execution of those before it ends: so the row can be done. first: the
 * first task, -1 to draw it too. The same seed gives the same row on one machine. The world is left
 * anywhere. */
void chain_draw(tabletop *world, uint64_t seed, int first, int length, tabletop_split split,
                chain *row);

/* Resets the world for the row's first task (i = 0), or gives it the i-th instruction. */
void chain_begin(tabletop *world, const chain *row, int i);

#endif
