/* SPDX-License-Identifier: MIT */
/* deer_data.c - looks into demonstrations, imports them. */
#include "datasets/cli/data_commands.h"
#include "runtime/cli/tool.h"

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"info", "what a demonstrations file holds", data_info_main},
        {"frame", "one camera image as a PNG", data_frame_main},
        {"import", "demonstrations from other datasets", data_import_main},
        {NULL, NULL, NULL}};

    return tool_dispatch("deer-data", "recorded demonstrations: look into them, import them",
                         commands, argc, argv);
}
