/* SPDX-License-Identifier: MIT */
/* deer_calib.c - offline calibration of exit thresholds. */
#include <signal.h>

#include "calib/cli/commands.h"
#include "runtime/cli/tool.h"

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"replay", "run a policy over demonstrations into a feature cache", calib_replay_main},
        {"solve", "choose thresholds under budgets from a cache", calib_solve_main},
        {"check", "judge a thresholds file on a cache", calib_check_main},
        {"online", "find thresholds by trying them", calib_online_main},
        {"bench", "measure the solvers on made-up problems", calib_bench_main},
        {NULL, NULL, NULL}};

    signal(SIGXFSZ, SIG_IGN);           /* a file-size limit then fails the write, which says so */
    if (tool_is_short_form(argc, argv)) /* deer-calib --model M --demos D: replay, then solve */
        return calib_short_main(argc, argv);
    return tool_dispatch("deer-calib", "exit thresholds, offline, under budgets", commands, argc,
                         argv);
}
