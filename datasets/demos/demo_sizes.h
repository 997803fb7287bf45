/* SPDX-License-Identifier: MIT */
/* demo_sizes.h - sizes of what a demonstration holds, for those that keep copies. */
#ifndef DATASETS_DEMO_SIZES_H
#define DATASETS_DEMO_SIZES_H

#define DEMO_ACTION 7         /* numbers of an action */
#define DEMO_INSTRUCTION 1024 /* room for an instruction, with its zero */
#define DEMO_TASK 128         /* the same of a task's name */

#endif
