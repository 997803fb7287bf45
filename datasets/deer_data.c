/* deer_data.c - looks into demonstrations. */
#include "datasets/data/commands.h"
#include "runtime/tool.h"

int main(int argc, char **argv)
{
    static const tool_subcommand commands[] = {
        {"info", "what a demonstrations file holds", data_info_main},
        {"frame", "one camera image as a PNG", data_frame_main},
        {NULL, NULL, NULL}};

    return tool_dispatch("deer-data", "looks into recorded demonstrations", commands, argc, argv);
}
