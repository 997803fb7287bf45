/* SPDX-License-Identifier: MIT */
/* deer_run.c - runs a policy: on recorded observations, for robots that ask, and against the clock.
 */
#include "runtime/cli/run_commands.h"
#include "runtime/cli/tool.h"

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
#ifndef DEER_LEAN
        {"episode", "play recorded observations through a policy", run_episode_main},
#endif
        {"serve", "serve a policy to robots by websocket", run_serve_main},
        {"bench", "latency and memory of each exit", run_bench_main},
        {"devices", "what a policy can run on", run_devices_main},
        {NULL, NULL, NULL}};

    return tool_dispatch("deer-run", "runs a multi-exit policy under a compute budget", commands,
                         argc, argv);
}
