/* SPDX-License-Identifier: MIT */
/* deer_sim.c - the tabletop benchmark: record demonstrations, judge policies. */
#include "datasets/cli/sim/sim_commands.h"
#include "runtime/cli/tool.h"

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"record", "record demonstrations by the scripted expert", sim_record_main},
        {"eval", "judge a policy by closed-loop rollouts", sim_eval_main},
        {"tasks", "list the tasks", sim_tasks_main},
        {"watch", "draw a rollout with the exit taken at each step", sim_watch_main},
        {"picture", "draw a scene as the cameras see it", sim_picture_main},
        {NULL, NULL, NULL}};

    return tool_dispatch("deer-sim", "the tabletop benchmark", commands, argc, argv);
}
