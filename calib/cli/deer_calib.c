/* SPDX-License-Identifier: MIT */
/* deer_calib.c - offline calibration of exit thresholds. */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "calib/cli/commands.h"
#include "calib/cluster/cluster.h"
#include "runtime/cli/tool.h"

/* The commands that many ranks share; others would do the same many times. */
static bool runs_here(int argc, char **argv)
{
    return cluster_size() == 1 || argc < 2 || *argv[1] == '-' || !strcmp(argv[1], "replay") ||
           !strcmp(argv[1], "solve");
}

static int run(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"replay", "run a policy over demonstrations into a feature cache", calib_replay_main},
        {"solve", "choose thresholds under budgets from a cache", calib_solve_main},
        {"check", "judge a thresholds file on a cache", calib_check_main},
        {"online", "find thresholds by trying them", calib_online_main},
        {"bench", "measure the solvers on made-up problems", calib_bench_main},
        {NULL, NULL, NULL}};

    if (!runs_here(argc, argv)) {
        fprintf(stderr,
                "deer-calib %s: replay and solve alone are for many ranks; "
                "run it without mpirun\n",
                argv[1]);
        return TOOL_USAGE;
    }
    if (tool_is_short_form(argc, argv)) /* deer-calib --model M --demos D: replay, then solve */
        return calib_short_main(argc, argv);
    return tool_dispatch("deer-calib", "exit thresholds, offline, under budgets", commands, argc,
                         argv);
}

int main(int argc, char **argv)
{
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit then fails the write, which says so */
    cluster_begin(&argc, &argv);
    return cluster_end(run(argc, argv));
}
