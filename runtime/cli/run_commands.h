/* SPDX-License-Identifier: MIT */
/* run_commands.h - the sub-commands of deer-run. */
#ifndef RUN_COMMANDS_H
#define RUN_COMMANDS_H

int run_bench_main(int argc, char **argv);
int run_devices_main(int argc, char **argv);
int run_serve_main(int argc, char **argv);
int run_episode_main(int argc, char **argv); /* not in a lean build: it reads HDF5 */

#endif
