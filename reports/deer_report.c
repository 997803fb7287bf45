/* deer_report.c - tables of what was measured. */
#include "reports/rollouts.h"
#include "runtime/tool.h"

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"rollouts", "compare closed-loop evaluations in one table", report_rollouts_main},
        {NULL, NULL, NULL}};

    return tool_dispatch("deer-report", "tables of what was measured", commands, argc, argv);
}
