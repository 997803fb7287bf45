/* SPDX-License-Identifier: MIT */
/* deer_report.c - what was measured, and what it means for the computer to buy. */

#include "reports/cli/compare.h"
#include "reports/cli/rollouts.h"
#include "reports/cli/whatif.h"
#include "runtime/cli/tool.h"

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"whatif", "which computer does this robot need? a page, JSON, CSV", report_whatif_main},
        {"compare", "two reports of whatif side by side", report_compare_main},
        {"rollouts", "compare closed-loop evaluations in one table", report_rollouts_main},
        {NULL, NULL, NULL}};

    if (tool_is_short_form(argc, argv)) /* deer-report --cache DIR: whatif */
        return report_whatif_main(argc, argv);
    return tool_dispatch("deer-report", "what was measured, and which computer it takes", commands,
                         argc, argv);
}
