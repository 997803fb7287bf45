/* SPDX-License-Identifier: MIT */
/* sim_commands.h - the sub-commands of deer-sim. */
#ifndef SIM_COMMANDS_H
#define SIM_COMMANDS_H

#include "datasets/tabletop/tabletop.h"
#include "runtime/cli/tool.h"

int sim_record_main(int argc, char **argv);
int sim_eval_main(int argc, char **argv);
int sim_tasks_main(int argc, char **argv);
int sim_picture_main(int argc, char **argv);
int sim_watch_main(int argc, char **argv);

/* Tasks by names, families, "all" (that the shipped policy has learnt) or "every", separated by
 * commas; returns how many, -1 for an unknown name (which is then in *unknown). */
int sim_select_tasks(const char *names, int *tasks, const char **unknown);

/* The split called "seen" or "unseen"; for another name false, after a message as of tool_usage. */
bool sim_split(const tool_command *command, const char *name, tabletop_split *split);

/* Episodes of a task, or rows, that can be asked for. */
enum { SIM_MOST_EPISODES = 1000000 };

#endif
