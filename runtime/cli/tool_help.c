/* SPDX-License-Identifier: MIT */
/* tool_help.c - what a command says of itself: for people, and as a table for manual pages and
 * shell completion (packaging/ makes them). */
#include <stdio.h>
#include <string.h>

#include "runtime/cli/tool.h"

static void print_option(const char *name, const char *argument, const char *help)
{
    char left[64];

    snprintf(left, sizeof left, "--%s%s%s", name, argument ? " " : "", argument ? argument : "");
    printf("  %-26s %s\n", left, help);
}

/* Each line of a text, with something before it. */
static void print_lines(const char *before, const char *text)
{
    while (*text) {
        size_t n = strcspn(text, "\n");
        printf("%s%.*s\n", before, (int)n, text);
        text += n + (text[n] == '\n');
    }
}

void tool_print_help(const tool_command *command)
{
    printf("%s - %s\n\nusage: %s%s%s\n\n", command->name, command->summary, command->name,
           *command->usage ? " " : "", command->usage);
    for (const tool_option *o = command->options; o->name; o++)
        if (o->type != TOOL_RENAMED)
            print_option(o->name, o->argument, o->help);
    print_option("help", NULL, "this text");
    print_option("version", NULL, "the version");
    printf("\nexamples:\n");
    print_lines("  ", command->example);
}

/* Lines of fields between tabs: command NAME SUMMARY USAGE, option TYPE NAME ARGUMENT HELP, example
 * TEXT. */
void tool_print_table(const tool_command *command)
{
    static const char *const types[] = {
        [TOOL_FLAG] = "flag",     [TOOL_STRING] = "string", [TOOL_INT] = "integer",
        [TOOL_DOUBLE] = "number", [TOOL_BYTES] = "bytes",   [TOOL_FILES] = "files",
        [TOOL_MAYBE] = "number",  [TOOL_OUTPUT] = "output", [TOOL_FILE] = "file",
        [TOOL_TEXT] = "file",     [TOOL_RENAMED] = "old",
    };

    printf("command\t%s\t%s\t%s\n", command->name, command->summary, command->usage);
    for (const tool_option *o = command->options; o->name; o++)
        printf("option\t%s\t%s\t%s\t%s\n", types[o->type], o->name,
               o->type == TOOL_RENAMED ? (const char *)o->value
               : o->argument           ? o->argument
                                       : "",
               o->help ? o->help : "");
    print_lines("example\t", command->example);
}
