/* commands.h - the sub-commands of deer-sim. */
#ifndef SIM_COMMANDS_H
#define SIM_COMMANDS_H

#include "datasets/tabletop/tabletop.h"

int sim_record_main(int argc, char **argv);
int sim_eval_main(int argc, char **argv);
int sim_tasks_main(int argc, char **argv);
int sim_picture_main(int argc, char **argv);
int sim_watch_main(int argc, char **argv);

/* Tasks by names, families or "all", separated by commas; returns how many, -1 for an unknown name
 * (which is then in *unknown). */
int sim_select_tasks(const char *names, int *tasks, const char **unknown);

/* The split called "seen" or "unseen"; DEER_FAILED for another name. */
deer_status sim_split(const char *name, tabletop_split *split);

/* Opens a policy with the thresholds of a file, or fixed at an exit (DEER_ALL_EXITS: the deepest).
 */
deer_status sim_open_policy(const char *model_path, const char *thresholds_path, long exit_index,
                            deer_model **model, deer_thresholds *thresholds, deer_error *err);

#endif
