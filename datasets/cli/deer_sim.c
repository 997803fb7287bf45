/* SPDX-License-Identifier: MIT */
/* deer_sim.c - the tabletop benchmark: record demonstrations, judge policies. */
#include <stdio.h>
#include <string.h>

#include "calib/cluster/cluster.h"
#include "datasets/cli/sim/sim_commands.h"
#include "runtime/cli/tool.h"

static int run(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"record", "record demonstrations by the scripted expert", sim_record_main},
        {"eval", "judge a policy by closed-loop rollouts", sim_eval_main},
        {"tasks", "list the tasks", sim_tasks_main},
        {"watch", "draw a rollout with the exit taken at each step", sim_watch_main},
        {"picture", "draw a scene as the cameras see it", sim_picture_main},
        {NULL, NULL, NULL}};

    if (cluster_size() > 1 && argc > 1 && *argv[1] != '-' && strcmp(argv[1], "eval") != 0) {
        fprintf(stderr, "deer-sim %s: eval alone is for many ranks; run it without mpirun\n",
                argv[1]);
        return TOOL_USAGE;
    }
    return tool_dispatch("deer-sim", "the tabletop benchmark", commands, argc, argv);
}

int main(int argc, char **argv)
{
    cluster_begin(&argc, &argv);
    return cluster_end(run(argc, argv));
}
