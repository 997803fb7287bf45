/* SPDX-License-Identifier: MIT */
/* tile_emulator.h - Intel's tile instructions on a processor that has none.
 *
 *   tiles_emulate();                  // in a test, since cmocka sets signals for each
 *   ... code with tile instructions ...
 *   assert_int_equal(tiles_held(), 0);
 *
 * The processor refuses such an instruction, which is a signal; its handler does what the manual
 * says of it, and goes on behind it. So what runs is what the compiler made for a processor with
 * tiles. It aborts where such a processor would refuse: no configuration, shapes that do not fit.
 */
#ifndef TESTS_TILE_EMULATOR_H
#define TESTS_TILE_EMULATOR_H

void tiles_emulate(void);

/* Threads that have a configuration now. */
int tiles_held(void);

/* Instructions so far. */
long tiles_instructions(void);

#endif
