/* SPDX-License-Identifier: MIT */
/* deer_report.c - what was measured, and what it means for the computer to buy. */
#include <string.h>

#include "reports/cli/compare.h"
#include "reports/cli/rollouts.h"
#include "reports/cli/whatif.h"
#include "runtime/cli/tool.h"

/* deer-report --cache DIR ... is short for deer-report whatif --cache DIR ... */
static bool is_short_form(int argc, char **argv)
{
    return argc > 1 && !strncmp(argv[1], "--", 2) && strcmp(argv[1], "--help") &&
           strcmp(argv[1], "--version");
}

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"whatif", "which computer does this robot need? a page, JSON, CSV", report_whatif_main},
        {"compare", "two reports of whatif side by side", report_compare_main},
        {"rollouts", "compare closed-loop evaluations in one table", report_rollouts_main},
        {NULL, NULL, NULL}};

    if (is_short_form(argc, argv))
        return report_whatif_main(argc, argv);
    return tool_dispatch("deer-report", "what was measured, and which computer it takes", commands,
                         argc, argv);
}
