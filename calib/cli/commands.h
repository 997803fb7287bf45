/* SPDX-License-Identifier: MIT */
/* commands.h - the sub-commands of deer-calib. */
#ifndef CALIB_COMMANDS_H
#define CALIB_COMMANDS_H

int calib_replay_main(int argc, char **argv);
int calib_solve_main(int argc, char **argv);
int calib_check_main(int argc, char **argv);
int calib_online_main(int argc, char **argv);
int calib_bench_main(int argc, char **argv);

/* "deer-calib --model M --demos D --avg-gflops X --out T": replay and solve in one. */
int calib_short_main(int argc, char **argv);

#endif
