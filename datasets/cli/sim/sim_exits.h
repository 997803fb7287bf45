/* SPDX-License-Identifier: MIT */
/* sim_exits.h - deer-sim eval --exits KIND:WHAT, in words. */
#ifndef SIM_EXITS_H
#define SIM_EXITS_H

#include "datasets/tabletop/exits.h"

/* The control that text asks for, of so many exits; reads the file that it names. DEER_USAGE
 * where it is no such text. */
deer_status sim_exits_read(const char *text, int exits, exits_control *control, deer_error *err);

#endif
